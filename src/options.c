#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_ADDRESS, KIND_NUMBER, KIND_SIZE, KIND_PATH, KIND_ISOLATION, KIND_SYNC, KIND_WRITER, KIND_FLAG, KIND_HELP, KIND_VERSION };

struct option_row {
    const char *name;
    const char *argument; /* as the help shows it; NULL where it takes none */
    enum kind kind;
    size_t offset; /* of its field in struct options */
    size_t min;
    size_t max;
    const char *initial; /* default, as one would write it; NULL: off, or as the help says */
    const char *help;
};

#define FIELD(name) offsetof(struct options, name)
#define SIZES_MAX ((size_t)1 << 46)
#define VALUES_MAX ((size_t)64 << 20) /* DICT_VALUE_MAX */

static const struct option_row rows[] = {
    {"bind", "ADDRESS", KIND_ADDRESS, FIELD(binds), 0, 0, NULL,
     "address to listen on; may be given several times (default 127.0.0.1 and ::1)"},
    {"port", "PORT", KIND_NUMBER, FIELD(port), 0, 65535, "8888", "port to listen on; 0 picks a free one"},
    {"unix", "PATH", KIND_PATH, FIELD(unix_path), 1, 100, NULL, "listen on a Unix socket at PATH too"},
    {"password-file", "FILE", KIND_PATH, FIELD(password_file), 1, 4000, NULL,
     "the first line of FILE is a password that every client must say; clients of other machines are served then"},
    {"data", "DIR", KIND_PATH, FIELD(data), 1, 4000, NULL,
     "keep all commits in DIR, which is made where there is none (default: memory only)"},
    {"sync", "WHEN", KIND_SYNC, FIELD(sync), 0, 0, "commit",
     "when the log is synced: commit (before anything is acknowledged or shown), interval (once a second) or none"},
    {"log-writer", "WHO", KIND_WRITER, FIELD(log_writer), 0, 0, "auto",
     "who writes the log beside the loop: kernel (where it can), thread, or auto (the kernel, where that is not much slower)"},
    {"checkpoint-log-bytes", "SIZE", KIND_SIZE, FIELD(checkpoint_log_bytes), 64 << 10, SIZES_MAX, "256M",
     "begin a checkpoint when the log has grown by so much since the last one"},
    {"log-segment-bytes", "SIZE", KIND_SIZE, FIELD(segment_bytes), 64 << 10, (size_t)4 << 30, "64M",
     "size of a segment of the log; the largest commit must fit"},
    {"backup-dir", "DIR", KIND_PATH, FIELD(backup_dir), 1, 4000, NULL,
     "directory for the copies that BACKUP makes, not the one of --data itself (default: BACKUP is refused)"},
    {"outcome-keep", "SECONDS", KIND_NUMBER, FIELD(outcome_keep_seconds), 600, 604800, "600",
     "how long at least OUTCOME can tell what became of a transaction with an ID, by the system's clock"},
    {"outcome-max", "N", KIND_NUMBER, FIELD(outcome_max), 1000, 10000000, "1000000",
     "how many IDs are remembered, about 200 bytes each; over it BEGIN with an ID gets ERR FULL: in the long run "
     "this many in --outcome-keep seconds can commit (1,666 a second by default)"},
    {"isolation", "LEVEL", KIND_ISOLATION, FIELD(serializable), 0, 0, "plain",
     "what a bare BEGIN opens: plain (the last commit wins) or serializable"},
    {"quiet-transactions", NULL, KIND_FLAG, FIELD(quiet_transactions), 0, 0, NULL,
     "do not answer BEGIN, COMMIT and ROLLBACK that succeed"},
    {"max-connections", "N", KIND_NUMBER, FIELD(max_connections), 1, 1000000, NULL,
     "connections at a time; one more gets ERR FULL (default: 10000, or 64 below the limit of open files)"},
    {"maxmemory", "SIZE", KIND_SIZE, FIELD(max_memory), 0, SIZES_MAX, "0",
     "memory for data and buffers; over it writes get ERR FULL; 0 is no limit"},
    {"history-max", "SIZE", KIND_SIZE, FIELD(history_max), 0, SIZES_MAX, "256M",
     "old versions kept for open transactions; over it the oldest transaction is expired"},
    {"key-max", "SIZE", KIND_SIZE, FIELD(key_max), 1, 1 << 20, "1K", "longest key"},
    {"value-max", "SIZE", KIND_SIZE, FIELD(value_max), 0, VALUES_MAX, "1M", "longest value"},
    {"tx-bytes", "SIZE", KIND_SIZE, FIELD(tx_bytes), 1, SIZES_MAX, "10M", "memory of one transaction's writes and marks"},
    {"tx-keys", "N", KIND_NUMBER, FIELD(tx_keys), 1, 100000000, "10000", "keys that one transaction may write or mark"},
    {"tx-idle", "SECONDS", KIND_NUMBER, FIELD(tx_idle_seconds), 0, 86400, "0",
     "expire a transaction without a command for so long; 0 is never"},
    {"answer-max", "SIZE", KIND_SIZE, FIELD(answer_max), 1024, (size_t)1 << 30, "8M", "longest answer of one MGET"},
    {"pending-max", "SIZE", KIND_SIZE, FIELD(pending_max), 1024, (size_t)1 << 30, "1M",
     "unsent answers of a client, over which none of its commands is run"},
    {"unread-timeout", "SECONDS", KIND_NUMBER, FIELD(unread_seconds), 0, 86400, "60",
     "close a client that has read nothing of its answers for so long; 0 is never"},
    {"partial-timeout", "SECONDS", KIND_NUMBER, FIELD(partial_seconds), 0, 86400, "30",
     "close a client that leaves a line unfinished for so long; 0 is never"},
    {"help", NULL, KIND_HELP, 0, 0, 0, NULL, "print this and exit"},
    {"version", NULL, KIND_VERSION, 0, 0, 0, NULL, "print the version and exit"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void print_help(void)
{
    printf("Usage: txkv-server [OPTION]...\n"
           "A transactional in-memory key/value server. SIZE takes K, M or G (powers of 1024).\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        char left[48];
        snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument == NULL ? "" : " ",
                 rows[i].argument == NULL ? "" : rows[i].argument);
        printf("  %-26s %s", left, rows[i].help);
        printf(rows[i].initial == NULL ? "%s\n" : " (default %s)\n", rows[i].initial == NULL ? "" : rows[i].initial);
    }
}

static bool parse_number(const char *text, bool sized, size_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (text[0] < '0' || text[0] > '9' || errno != 0) {
        return false;
    }
    if (sized && *end != '\0') {
        const char *units = "KMG";
        const char *unit = strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end);
        if (unit == NULL || end[1] != '\0') {
            return false;
        }
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    if (*end != '\0' || value > (SIZE_MAX >> shift)) {
        return false;
    }
    *number = (size_t)value << shift;
    return true;
}

static int set_number(const struct option_row *row, const char *text, size_t *field)
{
    size_t number;
    if (!parse_number(text, row->kind == KIND_SIZE, &number)) {
        fprintf(stderr, "txkv-server: --%s %s: not a %s (%s)\n", row->name, text,
                row->kind == KIND_SIZE ? "size" : "whole number", row->kind == KIND_SIZE ? "such as 512K or 256M" : "digits");
        return -1;
    }
    if (number < row->min || number > row->max) {
        fprintf(stderr, "txkv-server: --%s %s: out of range, %zu to %zu\n", row->name, text, row->min, row->max);
        return -1;
    }
    *field = number;
    return 0;
}

static bool is_address(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* Which one of three words it is, or -1. */
static int one_of(const struct option_row *row, const char *text, const char *const words[3])
{
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    fprintf(stderr, "txkv-server: --%s %s: %s, %s or %s is wanted\n", row->name, text, words[0], words[1], words[2]);
    return -1;
}

static int set_sync(const struct option_row *row, const char *text, enum options_sync *field)
{
    static const char *const words[] = {[SYNC_COMMIT] = "commit", [SYNC_INTERVAL] = "interval", [SYNC_NONE] = "none"};
    int which = one_of(row, text, words);
    *field = which < 0 ? *field : (enum options_sync)which;
    return which < 0 ? -1 : 0;
}

static int set_writer(const struct option_row *row, const char *text, enum options_writer *field)
{
    static const char *const words[] = {[WRITER_AUTO] = "auto", [WRITER_KERNEL] = "kernel", [WRITER_THREAD] = "thread"};
    int which = one_of(row, text, words);
    *field = which < 0 ? *field : (enum options_writer)which;
    return which < 0 ? -1 : 0;
}

/* What no single option can be checked for. */
static int check_together(const struct options *o)
{
    size_t largest = (o->tx_bytes > o->key_max + o->value_max ? o->tx_bytes : o->key_max + o->value_max) + 4096;
    if (o->data != NULL && o->segment_bytes < largest) {
        fprintf(stderr, "txkv-server: --log-segment-bytes %zu: the largest commit must fit (--tx-bytes, --value-max): %zu are wanted\n",
                o->segment_bytes, largest);
        return -1;
    }
    return 0;
}

static int set_field(struct options *o, const struct option_row *row, const char *text)
{
    char *field = (char *)o + row->offset;
    switch (row->kind) {
    case KIND_ADDRESS:
        if (!is_address(text)) {
            fprintf(stderr, "txkv-server: --%s '%s': an IPv4 or IPv6 address is wanted, such as 127.0.0.1 or ::1\n", row->name,
                    text);
            return -1;
        }
        if (o->bind_count == OPTIONS_BINDS_MAX) {
            fprintf(stderr, "txkv-server: --bind: at most %d addresses\n", OPTIONS_BINDS_MAX);
            return -1;
        }
        o->binds[o->bind_count++] = text;
        return 0;
    case KIND_NUMBER:
    case KIND_SIZE:
        return set_number(row, text, (size_t *)(void *)field);
    case KIND_PATH:
        if (strlen(text) < row->min || strlen(text) > row->max) {
            fprintf(stderr, "txkv-server: --%s '%s': a path of %zu to %zu bytes is wanted\n", row->name, text, row->min, row->max);
            return -1;
        }
        *(const char **)(void *)field = text;
        return 0;
    case KIND_SYNC:
        return set_sync(row, text, (enum options_sync *)(void *)field);
    case KIND_WRITER:
        return set_writer(row, text, (enum options_writer *)(void *)field);
    case KIND_ISOLATION:
        o->serializable = strcmp(text, "serializable") == 0;
        if (!o->serializable && strcmp(text, "plain") != 0) {
            fprintf(stderr, "txkv-server: --%s %s: plain or serializable is wanted\n", row->name, text);
            return -1;
        }
        return 0;
    case KIND_FLAG:
        *(bool *)field = true;
        return 0;
    case KIND_HELP:
    case KIND_VERSION:
    default:
        return 0;
    }
}

static void fill_getopt(struct option *longs)
{
    for (size_t i = 0; i < ROWS; i++) {
        longs[i] = (struct option){rows[i].name, rows[i].argument == NULL ? no_argument : required_argument, NULL,
                                   (int)(i + 256)};
    }
    longs[ROWS] = (struct option){0};
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
    struct option longs[ROWS + 1];
    *o = (struct options){0};
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].initial != NULL && set_field(o, &rows[i], rows[i].initial) < 0) {
            return OPTIONS_WRONG;
        }
    }
    fill_getopt(longs);
    optind = 0;
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, ":", longs, NULL)) != -1;) {
        if (got == ':' || got == '?') {
            const char letter[] = {'-', (char)optopt, '\0'};
            bool is_letter = got == '?' && optopt > 0 && optopt < 256;
            fprintf(stderr, "txkv-server: %s %s; --help lists the options\n", is_letter ? letter : argv[optind - 1],
                    got == ':' ? "lacks its value" : "is not an option, or takes no value");
            return OPTIONS_WRONG;
        }
        const struct option_row *row = &rows[got - 256];
        if (row->kind == KIND_HELP) {
            print_help();
            return OPTIONS_DONE;
        }
        if (row->kind == KIND_VERSION) {
            printf("txkv %s\n", TXKV_VERSION);
            return OPTIONS_DONE;
        }
        if (set_field(o, row, optarg == NULL ? "" : optarg) < 0) {
            return OPTIONS_WRONG;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "txkv-server: '%s' is not an option; --help lists the options\n", argv[optind]);
        return OPTIONS_WRONG;
    }
    return check_together(o) < 0 ? OPTIONS_WRONG : OPTIONS_RUN;
}
