/* micro: what the dictionary costs, measured in this process, printed as a table. Nothing is asserted on time.
 *
 *      txkv-micro [KEYS]     (default 10,000,000; 1M rows are always printed) */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dict.h"
#include "hash.h"
#include "history.h"
#include "mem.h"
#include "replay.h"
#include "store.h"

#define PASSES 3
#define PROBES 2000000U
#define GROUP 16
#define KEY_BYTES 16
#define VALUE "0123456789abcdef"

/* CPU time of this thread: a stop is what the program itself does, not what else the machine does meanwhile. */
static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* Bytes of memory that is this process's alone. */
static size_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long all = 0, present = 0, shared = 0;
    if (f == NULL || fscanf(f, "%lu %lu %lu", &all, &present, &shared) != 3) {
        exit(1);
    }
    fclose(f);
    return (present - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

static struct slice key_at(char *text, uint64_t number)
{
    char digits[32];
    snprintf(digits, sizeof(digits), "key:%012llu", (unsigned long long)number);
    memcpy(text, digits, KEY_BYTES);
    return slice_of(text, KEY_BYTES);
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct store_limits limits = {{(size_t)10 << 20, 10000}, (size_t)256 << 20, 0};

struct growth {
    uint64_t longest_ns;
    uint64_t total_ns;
    size_t bytes; /* resident, above the start */
};

/* The least time of each insert over all passes, which the processes share. A stop that an insert makes comes at the same
 * insert of each pass; one that the machine makes (a page of memory that its host has to find, a stolen moment that counts as
 * ours) does not. */
static uint32_t *least_ns;

static struct growth grow(struct store *st, uint64_t keys)
{
    struct growth g = {0};
    size_t before = resident();
    char text[KEY_BYTES];
    for (uint64_t i = 0; i < keys; i++) {
        struct slice key = key_at(text, i);
        uint32_t hash = hash_of(key);
        uint64_t start = now_ns();
        if (store_set(st, NULL, key, hash, slice_str(VALUE)) < 0) {
            exit(1);
        }
        uint64_t took = now_ns() - start;
        g.total_ns += took;
        g.longest_ns = took > g.longest_ns ? took : g.longest_ns;
        least_ns[i] = took < least_ns[i] ? (uint32_t)took : least_ns[i];
        mem_tend();
    }
    g.bytes = resident() - before;
    return g;
}

/* Nanoseconds per lookup of random keys that exist, hash and key text included; grouped: prefetched 16 at a time. */
static double look_up(struct store *st, uint64_t keys, bool grouped, bool only_hash)
{
    static char texts[GROUP][KEY_BYTES];
    uint32_t hashes[GROUP];
    struct slice found[GROUP], value;
    uint64_t state = 88172645463325252U;
    uint64_t seen = 0;
    uint64_t start = now_ns();
    for (unsigned i = 0; i < PROBES; i += GROUP) {
        for (unsigned j = 0; j < GROUP; j++) {
            found[j] = key_at(texts[j], random_next(&state) % keys);
            hashes[j] = hash_of(found[j]);
        }
        if (grouped) {
            store_prefetch(st, hashes, GROUP);
        }
        for (unsigned j = 0; j < GROUP && !only_hash; j++) {
            seen += store_get(st, NULL, found[j], hashes[j], &value) == 1 ? value.len : 0;
        }
    }
    double each = (double)(now_ns() - start) / PROBES;
    if (!only_hash && seen != (uint64_t)PROBES * strlen(VALUE)) {
        fprintf(stderr, "a key was lost\n");
        exit(1);
    }
    return each;
}

static uint64_t longest_of_least(uint64_t keys)
{
    uint64_t longest = 0;
    for (uint64_t i = 0; i < keys; i++) {
        longest = least_ns[i] > longest ? least_ns[i] : longest;
    }
    return longest;
}

/* The loop's part of a checkpoint, step by step; what it makes is dropped where the server gives it to a thread. The data does
 * not change meanwhile, so a step is the same in each pass. */
static void report_walk(struct store *st, uint64_t keys)
{
    uint64_t total = 0;
    uint64_t longest = 0;
    size_t steps = 0;
    for (int i = 0; i < PASSES; i++) {
        total = 0;
        steps = 0;
        store_walk_begin(st);
        for (bool more = true; more; steps++) {
            struct buf out;
            uint64_t start = now_ns();
            more = walk_step(&st->walk, WALK_STEP_BYTES);
            uint64_t took = now_ns() - start;
            total += took;
            least_ns[steps] = i == 0 || took < least_ns[steps] ? (uint32_t)took : least_ns[steps];
            walk_take(&st->walk, &out);
            buf_deinit(&out);
        }
        store_walk_end(st);
    }
    for (size_t i = 0; i < steps; i++) {
        longest = least_ns[i] > longest ? least_ns[i] : longest;
    }
    printf("|            | checkpoint: %.0f ns a key in %zu steps, the longest %.3f ms (each at its best of %d passes)\n",
           (double)total / (double)keys, steps, (double)longest / 1e6, PASSES);
}

/* Reading a checkpoint back, without the disk, as a server does whose hash has another secret: in no order that helps. */
static void report_replay(struct store *st, uint64_t keys)
{
    struct buf all;
    struct store again;
    store_walk_begin(st);
    while (walk_step(&st->walk, SIZE_MAX / 2)) {
    }
    walk_take(&st->walk, &all);
    store_walk_end(st);
    if (store_init(&again, &limits, STORE_PARTITION_BITS) < 0) {
        exit(1);
    }
    struct replay replay;
    unsigned char secret[HASH_SECRET_BYTES] = "another secret than that of the store that was walked";
    hash_init_known(secret);
    uint64_t start = now_ns();
    if (replay_init(&replay, &again) < 0) {
        exit(1);
    }
    for (size_t at = 0; at < buf_len(&all);) {
        struct record_header h;
        record_header_read(&h, buf_head(&all) + at, 0);
        if (h.kind == RECORD_PART && replay_add(&replay, h.seq, slice_of(buf_head(&all) + at + RECORD_HEADER_BYTES, h.length)) < 0) {
            exit(1);
        }
        at += RECORD_HEADER_BYTES + h.length;
    }
    if (replay_finish(&replay) < 0 || again.keys != keys) {
        exit(1);
    }
    replay_deinit(&replay);
    uint64_t took = now_ns() - start;
    printf("|            | reading it back: %.0f ns a key\n", (double)took / (double)keys);
    buf_deinit(&all);
    store_deinit(&again);
}

static void report_flush(struct store *st)
{
    store_tend(st); /* as a server does after each tick: the next slice is no larger for what was written before */
    uint64_t start = now_ns();
    store_flush(st, NULL);
    uint64_t flush_ns = now_ns() - start;
    uint64_t longest = 0;
    for (bool more = true; more;) {
        start = now_ns();
        more = store_tend(st);
        more = mem_tend() || more;
        uint64_t took = now_ns() - start;
        longest = took > longest ? took : longest;
    }
    printf("|            | FLUSH %.3f ms, then the longest slice of freeing %.3f ms\n", (double)flush_ns / 1e6,
           (double)longest / 1e6);
}

static void pass(uint64_t keys, bool last)
{
    struct store st;
    if (store_init(&st, &limits, STORE_PARTITION_BITS) < 0) {
        exit(1);
    }
    struct growth g = grow(&st, keys);
    if (!last) {
        exit(0);
    }
    double base = look_up(&st, keys, false, true);
    double single = look_up(&st, keys, false, false) - base;
    double grouped = look_up(&st, keys, true, false) - base;
    printf("| %10llu | %8.0f | %8.0f | %8.0f | %10.3f | %10.3f | %10.1f |\n", (unsigned long long)keys, single, grouped,
           (double)g.total_ns / (double)keys, (double)longest_of_least(keys) / 1e6, (double)g.longest_ns / 1e6,
           (double)g.bytes / (double)keys);
    report_walk(&st, keys);
    report_replay(&st, keys); /* after all that looks keys up: it changes the hash */
    report_flush(&st);
    store_deinit(&st);
    exit(0);
}

/* Each pass in a process of its own: none uses memory that an earlier one has left. */
static void report(uint64_t keys)
{
    least_ns = mmap(NULL, keys * sizeof(*least_ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (least_ns == MAP_FAILED) {
        exit(1);
    }
    memset(least_ns, 0xff, keys * sizeof(*least_ns));
    for (int i = 1; i <= PASSES; i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            pass(keys, i == PASSES);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            exit(1);
        }
    }
    munmap(least_ns, keys * sizeof(*least_ns));
}

unsigned micro_uthash_default(const char *key, size_t len); /* micro_default_hash.c */

/* Writes of keys whose 14 low bits agree under uthash's default hash, beside as many random keys. */
static void flood(void)
{
    enum { FLOOD = 4000 };
    static char keys[2][FLOOD][KEY_BYTES];
    size_t count = 0;
    for (uint64_t i = 0; count < FLOOD; i++) {
        key_at(keys[0][count], i);
        count += (micro_uthash_default(keys[0][count], KEY_BYTES) & 0x3fffU) == 0 ? 1 : 0;
    }
    uint64_t state = 42;
    for (count = 0; count < FLOOD; count++) {
        key_at(keys[1][count], random_next(&state) % 1000000000000U);
    }
    double cost[2];
    for (int which = 0; which < 2; which++) {
        struct store st;
        if (store_init(&st, &limits, STORE_PARTITION_BITS) < 0) {
            exit(1);
        }
        uint64_t start = now_ns();
        for (int round = 0; round < 100; round++) {
            for (size_t i = 0; i < FLOOD; i++) {
                struct slice key = slice_of(keys[which][i], KEY_BYTES);
                store_set(&st, NULL, key, hash_of(key), slice_str(VALUE));
            }
        }
        cost[which] = (double)(now_ns() - start) / (100.0 * FLOOD);
        store_flush(&st, NULL);
        while (store_tend(&st)) {
        }
        store_deinit(&st);
    }
    printf("SET of %d keys that collide in 14 bits under uthash's default hash: %.0f ns; of random keys: %.0f ns; ratio %.2f\n",
           FLOOD, cost[0], cost[1], cost[0] / cost[1]);
}

int main(int argc, char **argv)
{
    uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000U;
    mem_init();
    if (hash_init() < 0 || most == 0) {
        fprintf(stderr, "usage: txkv-micro [KEYS]\n");
        return 2;
    }
    printf("16-byte keys, 16-byte values; ns per lookup of random keys beyond making and hashing the key\n\n");
    printf("longest: of all inserts, each at its best of %d passes; and in the last pass alone, with the machine's own stops\n\n",
           PASSES);
    printf("| %10s | %8s | %8s | %8s | %10s | %10s | %10s |\n", "keys", "one ns", "by 16 ns", "insert", "longest ms", "one pass",
           "bytes/key");
    printf("|-----------:|---------:|---------:|---------:|-----------:|-----------:|-----------:|\n");
    if (most > 1000000U) {
        report(1000000U);
    }
    report(most);
    printf("\n");
    flood();
    return 0;
}
