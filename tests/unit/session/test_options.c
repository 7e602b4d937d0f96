/* The server's command line: what each option accepts and refuses, and the defaults. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "options.h"

#define ARGS_MAX 64

static struct options o;
static char out[8192]; /* what was printed */
static char err[8192];

/* Puts a file in place of a descriptor; the descriptor that it stood for. */
static int redirect(int fd, int file)
{
    int kept = dup(fd);
    cr_assert(kept >= 0 && file >= 0 && dup2(file, fd) == fd);
    return kept;
}

static void take_back(int fd, int kept, int file, char *text, size_t size)
{
    dup2(kept, fd);
    close(kept);
    ssize_t len = pread(file, text, size - 1, 0);
    text[len < 0 ? 0 : len] = '\0';
    close(file);
}

/* Parses arguments, up to a NULL, and keeps what was printed. */
static enum options_result parse_all(char *const *args)
{
    char *argv[ARGS_MAX + 2] = {"txkv-server"};
    int argc = 1;
    while (*args != NULL && argc < ARGS_MAX) {
        argv[argc++] = *args++;
    }
    fflush(NULL);
    int out_file = memfd_create("out", 0);
    int err_file = memfd_create("err", 0);
    int out_kept = redirect(STDOUT_FILENO, out_file);
    int err_kept = redirect(STDERR_FILENO, err_file);
    enum options_result result = options_parse(&o, argc, argv);
    fflush(NULL);
    take_back(STDERR_FILENO, err_kept, err_file, err, sizeof(err));
    take_back(STDOUT_FILENO, out_kept, out_file, out, sizeof(out));
    return result;
}

#define PARSE(...) parse_all((char *const[]){__VA_ARGS__, NULL})

/* One line on stderr, from this program. */
static void check_complaint(const char *about)
{
    size_t len = strlen(err);
    cr_assert_eq(strncmp(err, "txkv-server: ", 13), 0, "%s: \"%s\"", about, err);
    cr_assert_eq(strchr(err, '\n'), err + len - 1, "%s: \"%s\"", about, err);
    cr_assert_str_empty(out);
}

static void check_silent(void)
{
    cr_assert_str_empty(err);
    cr_assert_str_empty(out);
}

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

/* --- the defaults --- */

Test(options, the_defaults_are_those_of_the_documents)
{
    cr_assert_eq(parse_all((char *const[]){NULL}), OPTIONS_RUN);
    check_silent();
    cr_assert_eq(o.bind_count, 0u);
    cr_assert_eq(o.port, 8888u);
    cr_assert_null(o.unix_path);
    cr_assert_not(o.serializable);
    cr_assert_not(o.quiet_transactions);
    cr_assert_eq(o.max_connections, 0u);
    cr_assert_eq(o.max_memory, 0u);
    cr_assert_eq(o.history_max, 256 * MIB);
    cr_assert_eq(o.key_max, KIB);
    cr_assert_eq(o.value_max, MIB);
    cr_assert_eq(o.tx_bytes, 10 * MIB);
    cr_assert_eq(o.tx_keys, 10000u);
    cr_assert_eq(o.answer_max, 8 * MIB);
    cr_assert_eq(o.pending_max, MIB);
    cr_assert_eq(o.unread_seconds, 60u);
    cr_assert_eq(o.partial_seconds, 30u);
    cr_assert_eq(o.tx_idle_seconds, 0u);
    cr_assert_eq(o.outcome_keep_seconds, 600u);
    cr_assert_eq(o.outcome_max, 1000000u);
}

Test(options, nothing_is_left_of_the_command_line_before)
{
    cr_assert_eq(PARSE("--port", "1", "--bind", "::1", "--quiet-transactions", "--isolation", "serializable"),
                 OPTIONS_RUN);
    cr_assert_eq(parse_all((char *const[]){NULL}), OPTIONS_RUN);
    cr_assert_eq(o.port, 8888u);
    cr_assert_eq(o.bind_count, 0u);
    cr_assert_not(o.quiet_transactions);
    cr_assert_not(o.serializable);
}

/* --- numbers and sizes --- */

struct number {
    char *name;
    char *text;
    size_t wanted;
    size_t offset; /* of its field in struct options */
};

#define FIELD(field) offsetof(struct options, field)

static const struct number good[] = {
    {"--port", "0", 0, FIELD(port)},
    {"--port", "65535", 65535, FIELD(port)},
    {"--port", "09", 9, FIELD(port)},
    {"--outcome-keep", "604800", 604800, FIELD(outcome_keep_seconds)},
    {"--outcome-max", "1000", 1000, FIELD(outcome_max)},
    {"--max-connections", "1", 1, FIELD(max_connections)},
    {"--max-connections", "1000000", 1000000, FIELD(max_connections)},
    {"--maxmemory", "0", 0, FIELD(max_memory)},
    {"--maxmemory", "123456", 123456, FIELD(max_memory)},
    {"--maxmemory", "4G", 4 * GIB, FIELD(max_memory)},
    {"--history-max", "0", 0, FIELD(history_max)},
    {"--history-max", "512k", 512 * KIB, FIELD(history_max)},
    {"--key-max", "1", 1, FIELD(key_max)},
    {"--key-max", "1M", MIB, FIELD(key_max)},
    {"--value-max", "0", 0, FIELD(value_max)},
    {"--value-max", "64m", 64 * MIB, FIELD(value_max)},
    {"--tx-bytes", "1", 1, FIELD(tx_bytes)},
    {"--tx-bytes", "1g", GIB, FIELD(tx_bytes)},
    {"--tx-keys", "1", 1, FIELD(tx_keys)},
    {"--tx-keys", "100000000", 100000000, FIELD(tx_keys)},
    {"--tx-idle", "0", 0, FIELD(tx_idle_seconds)},
    {"--tx-idle", "86400", 86400, FIELD(tx_idle_seconds)},
    {"--answer-max", "1024", KIB, FIELD(answer_max)},
    {"--answer-max", "1G", GIB, FIELD(answer_max)},
    {"--pending-max", "1K", KIB, FIELD(pending_max)},
    {"--pending-max", "1G", GIB, FIELD(pending_max)},
    {"--unread-timeout", "0", 0, FIELD(unread_seconds)},
    {"--unread-timeout", "5", 5, FIELD(unread_seconds)},
    {"--partial-timeout", "0", 0, FIELD(partial_seconds)},
    {"--partial-timeout", "86400", 86400, FIELD(partial_seconds)},
};

Test(options, good_numbers_reach_their_fields)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct number *n = &good[i];
        size_t got;
        cr_assert_eq(PARSE(n->name, n->text), OPTIONS_RUN, "%s %s: %s", n->name, n->text, err);
        check_silent();
        memcpy(&got, (const char *)&o + n->offset, sizeof(got));
        cr_assert_eq(got, n->wanted, "%s %s: %zu", n->name, n->text, got);
    }
}

Test(options, a_value_may_follow_an_equals_sign)
{
    cr_assert_eq(PARSE("--port=123", "--maxmemory=2M"), OPTIONS_RUN);
    cr_assert_eq(o.port, 123u);
    cr_assert_eq(o.max_memory, 2 * MIB);
}

Test(options, the_last_of_several_values_counts)
{
    cr_assert_eq(PARSE("--port", "1", "--port", "2"), OPTIONS_RUN);
    cr_assert_eq(o.port, 2u);
}

static char *const numbers[] = {"--port",    "--max-connections", "--tx-keys",
                                "--tx-idle", "--unread-timeout",  "--partial-timeout"};
static char *const sizes[] = {"--maxmemory", "--history-max", "--key-max",    "--value-max",
                              "--tx-bytes",  "--answer-max",  "--pending-max"};

static void check_refused(char *name, char *text)
{
    cr_assert_eq(PARSE(name, text), OPTIONS_WRONG, "%s '%s' was taken", name, text);
    check_complaint(name);
    cr_assert_not_null(strstr(err, name), "%s", err);
}

Test(options, what_is_no_number_is_refused)
{
    static char *const bad[] = {"",
                                " ",
                                "x",
                                "-1",
                                "+1",
                                " 1",
                                "1 ",
                                "1.5",
                                "1x",
                                "0x10",
                                "1e3",
                                "1KB",
                                "1T",
                                "K",
                                "99999999999999999999999",
                                "18446744073709551616"};
    for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            check_refused(numbers[i], bad[b]);
        }
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            check_refused(sizes[i], bad[b]);
        }
    }
}

Test(options, a_plain_number_takes_no_unit)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        check_refused(numbers[i], "1K");
    }
}

Test(options, a_size_that_overflows_is_refused)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_refused(sizes[i], "18014398509481984K"); /* 2^64 */
        check_refused(sizes[i], "17179869185G");       /* 2^64 and a little */
    }
}

Test(options, numbers_out_of_range_are_refused)
{
    static const struct number bad[] = {
        {"--port", "65536", 0, 0},
        {"--max-connections", "0", 0, 0},
        {"--max-connections", "1000001", 0, 0},
        {"--maxmemory", "65537G", 0, 0},
        {"--history-max", "65537G", 0, 0},
        {"--key-max", "0", 0, 0},
        {"--key-max", "1048577", 0, 0},
        {"--value-max", "67108865", 0, 0},
        {"--tx-bytes", "0", 0, 0},
        {"--tx-bytes", "65537G", 0, 0},
        {"--tx-keys", "0", 0, 0},
        {"--tx-keys", "100000001", 0, 0},
        {"--tx-idle", "86401", 0, 0},
        {"--answer-max", "1023", 0, 0},
        {"--answer-max", "2G", 0, 0},
        {"--pending-max", "0", 0, 0},
        {"--pending-max", "1025M", 0, 0},
        {"--unread-timeout", "86401", 0, 0},
        {"--partial-timeout", "86401", 0, 0},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_refused(bad[i].name, bad[i].text);
    }
}

/* --- the other options --- */

Test(options, addresses_are_kept_in_their_order)
{
    cr_assert_eq(PARSE("--bind", "0.0.0.0", "--bind", "::"), OPTIONS_RUN);
    cr_assert_eq(o.bind_count, 2u);
    cr_assert_str_eq(o.binds[0], "0.0.0.0");
    cr_assert_str_eq(o.binds[1], "::");
}

Test(options, one_address_too_many_is_refused)
{
    char *args[2 * OPTIONS_BINDS_MAX + 3] = {0};
    for (size_t i = 0; i < OPTIONS_BINDS_MAX; i++) {
        args[2 * i] = "--bind";
        args[2 * i + 1] = "::1";
    }
    cr_assert_eq(parse_all(args), OPTIONS_RUN);
    cr_assert_eq(o.bind_count, (size_t)OPTIONS_BINDS_MAX);
    args[2 * OPTIONS_BINDS_MAX] = "--bind";
    args[2 * OPTIONS_BINDS_MAX + 1] = "::1";
    cr_assert_eq(parse_all(args), OPTIONS_WRONG);
    check_complaint("--bind");
}

Test(options, a_socket_path_has_1_to_100_bytes)
{
    char path[102];
    memset(path, 'p', sizeof(path));
    path[100] = '\0';
    cr_assert_eq(PARSE("--unix", path), OPTIONS_RUN);
    cr_assert_str_eq(o.unix_path, path);
    path[100] = 'p';
    path[101] = '\0';
    check_refused("--unix", path);
    check_refused("--unix", "");
}

Test(options, isolation_has_two_levels)
{
    cr_assert_eq(PARSE("--isolation", "serializable"), OPTIONS_RUN);
    cr_assert(o.serializable);
    cr_assert_eq(PARSE("--isolation", "plain"), OPTIONS_RUN);
    cr_assert_not(o.serializable);
    check_refused("--isolation", "");
    check_refused("--isolation", "Serializable");
    check_refused("--isolation", "serial");
}

Test(options, quiet_transactions_is_a_switch)
{
    cr_assert_eq(PARSE("--quiet-transactions"), OPTIONS_RUN);
    cr_assert(o.quiet_transactions);
    cr_assert_eq(PARSE("--quiet-transactions=yes"), OPTIONS_WRONG);
    check_complaint("--quiet-transactions=yes");
}

/* --- help, version, and what is no option --- */

Test(options, help_names_every_option_with_its_default)
{
    static const char *const others[] = {"--bind", "--unix",   "--isolation", "--quiet-transactions",
                                         "--help", "--version"};
    cr_assert_eq(PARSE("--help"), OPTIONS_DONE);
    cr_assert_str_empty(err);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        cr_assert_not_null(strstr(out, numbers[i]), "%s", numbers[i]);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        cr_assert_not_null(strstr(out, sizes[i]), "%s", sizes[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not_null(strstr(out, others[i]), "%s", others[i]);
    }
    cr_assert_not_null(strstr(out, "(default 8888)"));
}

Test(options, version_is_one_line)
{
    cr_assert_eq(PARSE("--version"), OPTIONS_DONE);
    cr_assert_str_empty(err);
    cr_assert_str_eq(out, "txkv " TXKV_VERSION "\n");
}

Test(options, what_comes_before_help_is_checked)
{
    cr_assert_eq(PARSE("--port", "x", "--help"), OPTIONS_WRONG);
    cr_assert_eq(PARSE("--help", "--port", "x"), OPTIONS_DONE);
}

Test(options, what_is_no_option_is_refused_by_name)
{
    static char *const bad[] = {"--nonsense", "-x", "word", "--nonsense=1", "--"};
    for (size_t i = 0; i + 1 < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(PARSE(bad[i]), OPTIONS_WRONG, "%s", bad[i]);
        check_complaint(bad[i]);
        cr_assert_not_null(strstr(err, bad[i]), "%s", err);
    }
    cr_assert_eq(PARSE("--", "--port"), OPTIONS_WRONG);
    check_complaint("-- --port");
}

Test(options, an_option_without_its_value_is_refused)
{
    static char *const rest[] = {"--bind", "--unix", "--isolation"};
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
        cr_assert_eq(PARSE(rest[i]), OPTIONS_WRONG, "%s", rest[i]);
        check_complaint(rest[i]);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        cr_assert_eq(PARSE(numbers[i]), OPTIONS_WRONG);
        check_complaint(numbers[i]);
        cr_assert_not_null(strstr(err, numbers[i]), "%s", err);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        cr_assert_eq(PARSE(sizes[i]), OPTIONS_WRONG);
        check_complaint(sizes[i]);
    }
}
