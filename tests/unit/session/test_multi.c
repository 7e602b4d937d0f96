/* The queue of MULTI: what goes in comes out, whatever the words are, within its limits; and EXEC long after it was filled. */
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "fault.h"
#include "hash.h"
#include "mem.h"
#include "talk.h"
#include "unit.h"

#define PLENTY ((size_t)1 << 20)

static struct multi m;
static struct talk t;

static void set_up(void)
{
    cr_assert_eq(hash_init(), 0);
    cr_assert_eq(fault_choose(getenv("TXKV_FAULT")), 0);
    multi_init(&m);
    talk_init(&t, 2);
}

static void tear_down(void)
{
    mem_fail(0, false);
    multi_deinit(&m);
    talk_deinit(&t);
}

TestSuite(multi, .init = set_up, .fini = tear_down);

static struct request request_of(const char *verb, const struct slice *args, size_t count, uint32_t hash)
{
    struct request r = {.command = command_find(PROTO_RESP, slice_str(verb)), .args = args, .count = count, .hash = hash};
    cr_assert_not_null(r.command);
    return r;
}

static int push(const char *verb, const struct slice *args, size_t count, uint32_t hash, size_t bytes_max)
{
    struct request r = request_of(verb, args, count, hash);
    return multi_push(&m, &r, bytes_max);
}

/* The request at *at is this one. */
static void check_next(size_t *at, const char *verb, const struct slice *args, size_t count, uint32_t hash)
{
    static struct slice words[COMMAND_ARGS_MAX];
    struct request got = {0};
    multi_take(&m, at, words, &got);
    cr_assert_str_eq(got.command->name, verb);
    cr_assert_eq(got.count, count);
    cr_assert_eq(got.hash, hash);
    cr_assert_eq(got.error, 0);
    for (size_t i = 0; i < count; i++) {
        assert_slice(got.args[i], args[i]);
    }
}

static void check_at_end(size_t at)
{
    cr_assert_eq(at, buf_len(&m.queue));
}

Test(multi, gives_back_what_was_queued_in_order)
{
    const struct slice two[] = {S("key"), S("a\0\r\nb")};
    const struct slice empty[] = {S(""), S("")};
    size_t at = 0;
    cr_assert_eq(push("SET", two, 2, 7, PLENTY), 0);
    cr_assert_eq(push("DBSIZE", NULL, 0, 0, PLENTY), 0);
    cr_assert_eq(push("MGET", empty, 2, 0xffffffff, PLENTY), 0);
    cr_assert_eq(m.count, 3);
    check_next(&at, "SET", two, 2, 7);
    check_next(&at, "DBSIZE", NULL, 0, 0);
    check_next(&at, "MGET", empty, 2, 0xffffffff);
    check_at_end(at);
}

/* Words of 0 to some 200 bytes, so that each stands at any place, and as many of them as a request may have. */
Test(multi, keeps_as_many_words_as_a_request_may_have)
{
    static char bytes[COMMAND_ARGS_MAX + 256];
    static struct slice args[COMMAND_ARGS_MAX];
    size_t at = 0;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 31);
    }
    for (size_t i = 0; i < COMMAND_ARGS_MAX; i++) {
        args[i] = slice_of(bytes + i, i % 211);
    }
    cr_assert_eq(push("MGET", args, COMMAND_ARGS_MAX, 1, PLENTY), 0);
    cr_assert_eq(push("GET", args + 40, 1, 2, PLENTY), 0);
    check_next(&at, "MGET", args, COMMAND_ARGS_MAX, 1);
    check_next(&at, "GET", args + 40, 1, 2);
    check_at_end(at);
}

/* The words are copies: what they were made of may go. */
Test(multi, owns_its_words)
{
    char bytes[] = "key";
    const struct slice arg = slice_of(bytes, 3);
    const struct slice before = S("key");
    size_t at = 0;
    cr_assert_eq(push("GET", &arg, 1, 0, PLENTY), 0);
    memcpy(bytes, "xyz", 3);
    check_next(&at, "GET", &before, 1, 0);
}

Test(multi, is_bounded_in_requests)
{
    for (size_t i = 0; i < MULTI_REQUESTS_MAX; i++) {
        cr_assert_eq(push("DBSIZE", NULL, 0, 0, PLENTY), 0);
    }
    size_t len = buf_len(&m.queue);
    cr_assert_eq(push("DBSIZE", NULL, 0, 0, PLENTY), ERR_TOOBIG);
    cr_assert_eq(m.count, MULTI_REQUESTS_MAX);
    check_at_end(len);
}

/* All that a request takes of the queue counts, not its words alone. */
Test(multi, is_bounded_in_bytes)
{
    const struct slice args[] = {S("key"), S("value")};
    cr_assert_eq(push("SET", args, 2, 0, PLENTY), 0);
    size_t size = buf_len(&m.queue);
    cr_assert_gt(size, sizeof("SETkeyvalue"));
    cr_assert_eq(push("SET", args, 2, 0, 2 * size - 1), ERR_TOOBIG);
    cr_assert_eq(m.count, 1);
    check_at_end(size);
    cr_assert_eq(push("SET", args, 2, 0, 2 * size), 0);
    check_at_end(2 * size);
}

Test(multi, without_memory_nothing_is_queued)
{
    const struct slice key = S("key");
    size_t at = 0;
    mem_chunk_drain();
    mem_fail(1, false);
    cr_assert_eq(push("GET", &key, 1, 3, PLENTY), ERR_FULL);
    cr_assert_eq(m.count, 0);
    check_at_end(0);
    cr_assert_eq(push("GET", &key, 1, 3, PLENTY), 0);
    check_next(&at, "GET", &key, 1, 3);
}

/* Those of commands without a key are left out; the others are those of the requests from a place on. */
Test(multi, tells_the_hashes_of_what_comes)
{
    const struct slice args[] = {S("a"), S("b")};
    uint32_t hashes[8];
    size_t at = 0;
    static struct slice words[COMMAND_ARGS_MAX];
    struct request first = {0};
    cr_assert_eq(multi_hashes(&m, 0, hashes, 8), 0);
    cr_assert_eq(push("GET", args, 1, 1, PLENTY), 0);
    cr_assert_eq(push("DBSIZE", NULL, 0, 99, PLENTY), 0);
    cr_assert_eq(push("MSET", args, 2, 2, PLENTY), 0);
    cr_assert_eq(push("SET", args, 2, 3, PLENTY), 0);
    cr_assert_eq(multi_hashes(&m, 0, hashes, 8), 3);
    cr_assert(hashes[0] == 1 && hashes[1] == 2 && hashes[2] == 3);
    cr_assert_eq(multi_hashes(&m, 0, hashes, 3), 2);
    multi_take(&m, &at, words, &first);
    cr_assert_eq(multi_hashes(&m, at, hashes, 8), 2);
    cr_assert(hashes[0] == 2 && hashes[1] == 3);
}

/* --- through a session --- */

static void check_answer(const char *request, const char *wanted)
{
    assert_slice(talk_ask(&t, 0, request), slice_str(wanted));
}

static void queue_sets(unsigned first, unsigned count)
{
    char line[64];
    for (unsigned i = first; i < first + count; i++) {
        snprintf(line, sizeof(line), "SET k%u v%u\r\n", i, i);
        check_answer(line, "+QUEUED\r\n");
    }
}

/* A line's answers, so many times. */
static void check_answers_begin(struct slice got, const char *head, const char *line, unsigned times)
{
    cr_assert_eq(got.len, strlen(head) + times * strlen(line));
    assert_slice(slice_of(got.data, strlen(head)), slice_str(head));
    for (unsigned i = 0; i < times; i++) {
        assert_slice(slice_of(got.data + strlen(head) + i * strlen(line), strlen(line)), slice_str(line));
    }
}

/* Hundreds of others were served since the keys were fetched: EXEC fetches them again, some at a time. */
Test(multi, runs_long_after_it_was_queued)
{
    check_answer("*1\r\n$5\r\nMULTI\r\n", "+OK\r\n");
    queue_sets(0, 300);
    for (unsigned i = 0; i < 1000; i++) {
        assert_slice(talk_ask(&t, 1, "GET k7\r\n"), S("\r\n"));
    }
    queue_sets(300, 37);
    check_answers_begin(talk_ask(&t, 0, "EXEC\r\n"), "*337\r\n", "+OK\r\n", 337);
    assert_slice(talk_ask(&t, 1, "GET k7\r\n"), S("v7\r\n"));
    assert_slice(talk_ask(&t, 1, "GET k336\r\n"), S("v336\r\n"));
    assert_slice(talk_ask(&t, 1, "DBSIZE\r\n"), S("337\r\n"));
}

/* The one place for words in quotes holds another line's by then. */
Test(multi, keeps_words_in_quotes)
{
    check_answer("*1\r\n$5\r\nMULTI\r\n", "+OK\r\n");
    check_answer("SET \"a key\" \"one\\x0d\\x0a\"\r\n", "+QUEUED\r\n");
    check_answer("SET 'another' plain\r\n", "+QUEUED\r\n");
    check_answer("ECHO \"two of them\"\r\n", "+QUEUED\r\n");
    check_answer("EXEC\r\n", "*3\r\n+OK\r\n+OK\r\n$11\r\ntwo of them\r\n");
    check_answer("GET \"a key\"\r\n", "$5\r\none\r\n\r\n");
    check_answer("GET another\r\n", "$5\r\nplain\r\n");
}

/* What is queued is answered in the version of the protocol that holds when it runs. */
Test(multi, answers_in_the_version_of_its_exec)
{
    check_answer("*1\r\n$5\r\nMULTI\r\n", "+OK\r\n");
    check_answer("GET none\r\n", "+QUEUED\r\n");
    check_answer("HELLO 3\r\n", "+QUEUED\r\n");
    check_answer("GET none\r\n", "+QUEUED\r\n");
    struct slice got = talk_ask(&t, 0, "EXEC\r\n");
    assert_slice(slice_of(got.data, 11), S("*3\r\n$-1\r\n%7"));
    assert_slice(slice_of(got.data + got.len - 3, 3), S("_\r\n"));
}
