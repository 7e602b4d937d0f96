/* The client library against a scripted server: what it sends, and what it makes of every answer, however it is cut. */
#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "fake.h"
#include "txkv.h"

static struct txkv *connect_to(struct fake f)
{
    struct txkv *c;
    CHECK_INT(txkv_connect(&c, "127.0.0.1", f.port, 5000), TXKV_OK);
    return c;
}

static void end(struct txkv *c, struct fake f)
{
    txkv_close(c);
    fake_end(f);
}

/* ---- commands ---- */

static void commands(size_t chunk)
{
    const char *script[] = {"> SET a 1 2 ", "< OK",         "> GET a",    "< 1 2 ",     "> GET none",
                            "< ",           "> DEL a",      "< OK",       "> EXISTS a", "< 0",
                            "> EXISTS b",   "< 1",          "> INCR n 1", "< -41",      "> INCR n -9223372036854775808",
                            "< 7",          "> MGET a b c", "< x",        "< ",         "< z",
                            "> PING",       "< +PONG",      NULL};
    struct fake f = fake_start(script, chunk);
    struct txkv *c = connect_to(f);
    struct txkv_value value = {"untouched", 9};
    struct txkv_value values[3];
    bool exists = true;
    int64_t number = 0;
    const char *keys[] = {"a", "b", "c"};
    CHECK_INT(txkv_set(c, "a", "1 2 ", 4), TXKV_OK);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_OK);
    CHECK_TEXT(value.data, "1 2 ");
    CHECK_INT(value.len, 4);
    CHECK_INT(txkv_get(c, "none", &value), TXKV_OK);
    CHECK_INT(value.len, 0);
    CHECK_INT(txkv_del(c, "a"), TXKV_OK);
    CHECK_INT(txkv_exists(c, "a", &exists), TXKV_OK);
    CHECK(!exists);
    CHECK_INT(txkv_exists(c, "b", &exists), TXKV_OK);
    CHECK(exists);
    CHECK_INT(txkv_incr(c, "n", 1, &number), TXKV_OK);
    CHECK_INT(number, -41);
    CHECK_INT(txkv_incr(c, "n", INT64_MIN, NULL), TXKV_OK);
    CHECK_INT(txkv_mget(c, keys, 3, values), TXKV_OK);
    CHECK_TEXT(values[0].data, "x");
    CHECK_TEXT(values[1].data, "");
    CHECK_TEXT(values[2].data, "z");
    CHECK_INT(txkv_ping(c), TXKV_OK);
    CHECK_TEXT(txkv_errmsg(c), "");
    end(c, f);
}

static void test_commands(void)
{
    commands(0);
}

static void test_commands_cut_at_every_byte(void)
{
    commands(1);
}

static void test_values_are_any_bytes_but_line_ends(void)
{
    static const char bytes[] = "\0\x01 \xff\x80 ERR x";
    const char *script[] = {"> SET k ", "< OK", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    CHECK_INT(txkv_set(c, "k", NULL, 0), TXKV_OK);
    CHECK_INT(txkv_append_set(c, "k", bytes, sizeof bytes - 1), TXKV_OK);
    CHECK_INT(txkv_append_set(c, "k", "a\rb", 3), TXKV_ERR_ARG);
    CHECK_INT(txkv_append_set(c, "k", "a\n", 2), TXKV_ERR_ARG);
    CHECK_INT(txkv_append_set(c, "k", NULL, 2), TXKV_ERR_ARG);
    CHECK_INT(txkv_pending(c), 1);
    end(c, f);
}

static void test_keys_are_checked_before_sending(void)
{
    const char *script[] = {NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv_value value;
    char key[TXKV_KEY_MAX + 2];
    memset(key, 'k', sizeof key);
    key[TXKV_KEY_MAX + 1] = '\0';
    const char *const bad[] = {"", NULL, "a b", " ", "a\tb", "a\n", "\r", "\x7f", "\x01", key};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(txkv_get(c, bad[i], &value), TXKV_ERR_ARG);
        CHECK_INT(txkv_set(c, bad[i], "v", 1), TXKV_ERR_ARG);
        CHECK_INT(txkv_mget(c, &bad[i], 1, &value), TXKV_ERR_ARG);
        CHECK(txkv_errmsg(c)[0] != '\0');
    }
    key[TXKV_KEY_MAX] = '\0';
    CHECK_INT(txkv_append_get(c, key), TXKV_OK);
    CHECK_INT(txkv_append_get(c, "\xc3\xa4"), TXKV_OK);
    CHECK_INT(txkv_append_mget(c, NULL, 0), TXKV_ERR_ARG);
    CHECK_INT(txkv_append_begin(c, (enum txkv_mode)7), TXKV_ERR_ARG);
    CHECK_INT(txkv_append(c, "", 0), TXKV_ERR_ARG);
    CHECK_INT(txkv_append(c, "GET a\nGET b", 11), TXKV_ERR_ARG);
    CHECK_INT(txkv_pending(c), 2);
    end(c, f);
}

/* ---- errors ---- */

static void test_each_error_has_its_code(void)
{
    static const struct {
        const char *answer;
        int code;
    } rows[] = {
        {"< ERR SYNTAX x", TXKV_ERR_SYNTAX},     {"< ERR UNKNOWN x", TXKV_ERR_UNKNOWN},
        {"< ERR NOTX x", TXKV_ERR_NOTX},         {"< ERR INTX x", TXKV_ERR_INTX},
        {"< ERR CONFLICT x", TXKV_ERR_CONFLICT}, {"< ERR ABORTED x", TXKV_ERR_ABORTED},
        {"< ERR EXPIRED x", TXKV_ERR_EXPIRED},   {"< ERR TOOBIG x", TXKV_ERR_TOOBIG},
        {"< ERR FULL x", TXKV_ERR_FULL},         {"< ERR READONLY x", TXKV_ERR_READONLY},
        {"< ERR DENIED x", TXKV_ERR_DENIED},     {"< ERR NOTINT x", TXKV_ERR_NOTINT},
        {"< ERR OVERFLOW x", TXKV_ERR_OVERFLOW}, {"< ERR BINARY x", TXKV_ERR_BINARY},
        {"< ERR DISK x", TXKV_ERR_DISK},         {"< ERR DONE x", TXKV_ERR_DONE},
        {"< ERR NEWWORD x", TXKV_ERR_SERVER},    {"< ERR BINARY", TXKV_ERR_BINARY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *script[] = {"> SET k v", rows[i].answer, "> PING", "< +PONG", NULL};
        struct fake f = fake_start(script, 0);
        struct txkv *c = connect_to(f);
        CHECK_INT(txkv_set(c, "k", "v", 1), rows[i].code);
        CHECK_TEXT(txkv_errmsg(c), rows[i].answer + strlen("< ERR "));
        CHECK_INT(txkv_ping(c), TXKV_OK);
        end(c, f);
    }
    CHECK_TEXT(txkv_code_name(TXKV_ERR_CONFLICT), "CONFLICT");
    CHECK_TEXT(txkv_code_name(TXKV_ERR_OUTCOME), "OUTCOME");
    CHECK_TEXT(txkv_code_name(1), "?");
}

static void test_a_value_like_an_error(void)
{
    const char *script[] = {"> GET a", "< ERR OR NOT", "> GET a", "< ERR",        "> GET a", "< ERROR x",
                            "> GET a", "< ERR FULL",   "> GET a", "< ERR FULLER", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv_value value;
    CHECK_INT(txkv_get(c, "a", &value), TXKV_OK);
    CHECK_TEXT(value.data, "ERR OR NOT");
    CHECK_INT(txkv_get(c, "a", &value), TXKV_OK);
    CHECK_TEXT(value.data, "ERR");
    CHECK_INT(txkv_get(c, "a", &value), TXKV_OK);
    CHECK_TEXT(value.data, "ERROR x");
    CHECK_INT(txkv_get(c, "a", &value), TXKV_ERR_FULL);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_OK);
    CHECK_TEXT(value.data, "ERR FULLER");
    end(c, f);
}

static void refused_mget(size_t chunk)
{
    const char *script[] = {"> MGET a b c", "< ERR TOOBIG x", "> MGET a b c", "< 1", "< ERR FULL x", "< ", "> MGET a",
                            "< ",           "> PING",         "< +PONG",      NULL};
    struct fake f = fake_start(script, chunk);
    struct txkv *c = connect_to(f);
    struct txkv_value values[3];
    const char *keys[] = {"a", "b", "c"};
    CHECK_INT(txkv_mget(c, keys, 3, values), TXKV_ERR_TOOBIG);
    CHECK_INT(txkv_mget(c, keys, 3, values), TXKV_OK);
    CHECK_TEXT(values[1].data, "ERR FULL x");
    CHECK_INT(txkv_mget(c, keys, 1, values), TXKV_OK);
    CHECK_INT(txkv_ping(c), TXKV_OK);
    end(c, f);
}

static void test_a_refused_mget_is_one_line(void)
{
    refused_mget(0);
    refused_mget(1);
}

/* KEYS says first how many lines follow; the keys may look like anything. */
static void a_list(size_t chunk)
{
    const char *script[] = {"> KEYS a",     "< 2",  "< a1",   "< ERR FULL x", "> KEYS b",          "< 0",
                            "> KEYS c",     "< ERR TOOBIG x", "> PING",       "< +PONG",           "> KEYS d",
                            "< many", "hang", NULL};
    struct fake f = fake_start(script, chunk);
    struct txkv *c = connect_to(f);
    struct txkv_reply reply;
    CHECK_INT(txkv_command(c, "KEYS a", 6, &reply), TXKV_OK);
    CHECK_INT((int)reply.count, 3);
    CHECK_TEXT(reply.values[0].data, "2");
    CHECK_TEXT(reply.values[1].data, "a1");
    CHECK_TEXT(reply.values[2].data, "ERR FULL x");
    CHECK_INT(txkv_command(c, "KEYS b", 6, &reply), TXKV_OK);
    CHECK_INT((int)reply.count, 1);
    CHECK_INT(txkv_command(c, "KEYS c", 6, &reply), TXKV_ERR_TOOBIG);
    CHECK_INT(txkv_ping(c), TXKV_OK);
    CHECK_INT(txkv_command(c, "KEYS d", 6, &reply), TXKV_ERR_PROTOCOL);
    end(c, f);
}

static void test_a_list_says_how_long_it_is(void)
{
    a_list(0);
    a_list(1);
}

static void test_more_lines_than_questions(void)
{
    const char *script[] = {"> MGET a b", "<<ERR FULL x\r\nsecond\r\n", "hang", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv_value values[2];
    const char *keys[] = {"a", "b"};
    CHECK_INT(txkv_mget(c, keys, 2, values), TXKV_ERR_FULL);
    CHECK_INT(txkv_ping(c), TXKV_ERR_PROTOCOL);
    CHECK(strstr(txkv_errmsg(c), "second") != NULL);
    CHECK_INT(txkv_ping(c), TXKV_ERR_LOST);
    end(c, f);
}

static void test_nonsense(void)
{
    const char *script[] = {"> DEL a", "< HTTP/1.1 400 Bad Request", "hang", "accept", "> EXISTS a", "< yes", "hang",
                            NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    bool exists;
    CHECK_INT(txkv_del(c, "a"), TXKV_ERR_OUTCOME);
    CHECK(strstr(txkv_errmsg(c), "HTTP") != NULL);
    CHECK_INT(txkv_reconnect(c), TXKV_OK);
    CHECK_INT(txkv_exists(c, "a", &exists), TXKV_ERR_PROTOCOL);
    end(c, f);
}

/* ---- pipelining ---- */

static void pipeline(size_t chunk)
{
    const char *script[] = {"> SET a 1",
                            "> GET a",
                            "> MGET a b",
                            "> FOO",
                            "> INCR a 1",
                            "> BEGIN READONLY",
                            "> SET b 2",
                            "> ROLLBACK",
                            "< OK",
                            "< 1",
                            "< 1",
                            "< ",
                            "< ERR UNKNOWN x",
                            "< 2",
                            "< OK",
                            "< ERR READONLY x",
                            "< OK",
                            NULL};
    struct fake f = fake_start(script, chunk);
    struct txkv *c = connect_to(f);
    struct txkv_reply reply;
    struct txkv_value value;
    const char *keys[] = {"a", "b"};
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_ERR_NOREPLY);
    txkv_append_set(c, "a", "1", 1);
    txkv_append_get(c, "a");
    txkv_append_mget(c, keys, 2);
    txkv_append(c, "FOO", 3);
    txkv_append_incr(c, "a", 1);
    txkv_append_begin(c, TXKV_READONLY);
    txkv_append_set(c, "b", "2", 1);
    txkv_append_rollback(c);
    CHECK_INT(txkv_pending(c), 8);
    CHECK_INT(txkv_send(c), TXKV_OK);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_ERR_BUSY);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_TEXT(reply.values[0].data, "1");
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_INT(reply.count, 2);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_ERR_UNKNOWN);
    CHECK_TEXT(reply.values[0].data, "ERR UNKNOWN x");
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_OPEN);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_ERR_READONLY);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_FAILED);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_pending(c), 0);
    end(c, f);
}

static void test_pipeline(void)
{
    pipeline(0);
    pipeline(1);
    pipeline(7);
}

static void test_quit(void)
{
    const char *script[] = {"> GET a", "> quit", "< v", "close", "accept", "> QUIT x", "< ERR SYNTAX x", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv_reply reply;
    txkv_append_get(c, "a");
    CHECK_INT(txkv_append(c, "quit", 4), TXKV_OK);
    CHECK_INT(txkv_append_get(c, "b"), TXKV_ERR_LOST);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_OK);
    CHECK_INT(reply.count, 0);
    CHECK_INT(txkv_ping(c), TXKV_ERR_LOST);
    CHECK_INT(txkv_reconnect(c), TXKV_OK);
    CHECK_INT(txkv_command(c, "QUIT x", 6, &reply), TXKV_ERR_SYNTAX);
    end(c, f);
}

/* ---- lost connections ---- */

static void test_lost_commands_each_have_an_outcome(void)
{
    const char *script[] = {"> GET a", "> SET a 1", "> BEGIN", "> SET b 2", "> COMMIT", "> BEGIN",
                            "> DEL c", "> FOO",     "< v",     "<<O",       "close",    NULL};
    static const int codes[] = {TXKV_OK,          TXKV_ERR_OUTCOME, TXKV_ERR_LOST, TXKV_ERR_LOST,
                                TXKV_ERR_OUTCOME, TXKV_ERR_LOST,    TXKV_ERR_LOST, TXKV_ERR_LOST};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv_reply reply;
    txkv_append_get(c, "a");
    txkv_append_set(c, "a", "1", 1);
    txkv_append_begin(c, TXKV_DEFAULT);
    txkv_append_set(c, "b", "2", 1);
    txkv_append_commit(c);
    txkv_append_begin(c, TXKV_DEFAULT);
    txkv_append_del(c, "c");
    txkv_append(c, "FOO", 3);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        CHECK_INT(txkv_next_reply(c, &reply), codes[i]);
    }
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_ERR_NOREPLY);
    CHECK_INT(txkv_append_get(c, "a"), TXKV_ERR_LOST);
    end(c, f);
}

static void test_reconnect(void)
{
    const char *script[] = {"> BEGIN", "< OK", "reset", "accept", "> COMMIT", "< ERR NOTX x", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv_value value;
    CHECK_INT(txkv_begin(c, TXKV_DEFAULT), TXKV_OK);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_OPEN);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_ERR_LOST);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_check(c), TXKV_ERR_LOST);
    CHECK_INT(txkv_reconnect(c), TXKV_OK);
    CHECK_INT(txkv_check(c), TXKV_OK);
    CHECK_INT(txkv_commit(c), TXKV_ERR_NOTX);
    end(c, f);
}

static void test_a_farewell_is_told(void)
{
    const char *script[] = {"< ERR FULL too many connections", "close", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    fake_end(f);
    CHECK_INT(txkv_check(c), TXKV_ERR_LOST);
    CHECK(strstr(txkv_errmsg(c), "too many connections") != NULL);
    txkv_close(c);
}

static void test_no_answer_in_time(void)
{
    const char *script[] = {"> SET a 1", "hang", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c;
    CHECK_INT(txkv_connect(&c, "127.0.0.1", f.port, 50), TXKV_OK);
    CHECK_INT(txkv_set(c, "a", "1", 1), TXKV_ERR_OUTCOME);
    CHECK(strstr(txkv_errmsg(c), "50 ms") != NULL);
    CHECK_INT(txkv_ping(c), TXKV_ERR_LOST);
    end(c, f);
}

/* A command of which the server cannot have seen the end did not run; one before it may have. */
static void test_a_line_not_sent_whole_did_not_run(void)
{
    enum { HUGE = 64 << 20 };
    const char *script[] = {"stall", "reset", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c;
    struct txkv_reply reply;
    char *value = malloc(HUGE);
    memset(value, 'v', HUGE);
    CHECK_INT(txkv_connect(&c, "127.0.0.1", f.port, 50), TXKV_OK);
    txkv_append_set(c, "a", "1", 1);
    txkv_append_set(c, "b", value, HUGE);
    CHECK_INT(txkv_send(c), TXKV_ERR_LOST);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_ERR_OUTCOME);
    CHECK_INT(txkv_next_reply(c, &reply), TXKV_ERR_LOST);
    free(value);
    end(c, f);
}

/* What the server said before it dropped the connection is read even when nothing can be sent any more. */
static void test_last_words(void)
{
    const char *script[] = {"< ERR FULL too many connections", "pause", "reset", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f); /* a reset while it connects would be a failure to connect */
    fake_go_on(f);
    fake_end(f);
    CHECK_INT(txkv_ping(c), TXKV_ERR_FULL);
    CHECK_INT(txkv_ping(c), TXKV_ERR_LOST);
    txkv_close(c);
}

static void test_no_connection(void)
{
    const char *script[] = {"close", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv *d;
    end(c, f);
    CHECK_INT(txkv_connect(&d, NULL, f.port, 1000), TXKV_ERR_CONNECT); /* nobody listens there any more */
    CHECK(strstr(txkv_errmsg(d), "refused") != NULL);
    CHECK_INT(txkv_ping(d), TXKV_ERR_LOST);
    CHECK_INT(txkv_reconnect(d), TXKV_ERR_CONNECT);
    txkv_close(d);
    CHECK_INT(txkv_connect(&d, "127.0.0.1", 0, 0), TXKV_ERR_ARG);
    txkv_close(d);
    CHECK_INT(txkv_connect(&d, "", 1, 0), TXKV_ERR_ARG);
    txkv_close(d);
    CHECK_INT(txkv_connect(&d, NULL, 1, -1), TXKV_ERR_ARG);
    txkv_close(d);
    CHECK_INT(txkv_connect_unix(&d, "/nonexistent/socket", 0), TXKV_ERR_CONNECT);
    txkv_close(d);
    CHECK_INT(txkv_connect_unix(&d, NULL, 0), TXKV_ERR_ARG);
    txkv_close(d);
    txkv_close(NULL);
    CHECK_TEXT(txkv_errmsg(NULL), "out of memory");
}

/* ---- transactions ---- */

static int set_once(struct txkv *c, void *ctx)
{
    int *calls = ctx;
    ++*calls;
    return txkv_set(c, "a", "1", 1);
}

static int refuse(struct txkv *c, void *ctx)
{
    (void)c;
    (void)ctx;
    return 42;
}

static int commit_itself(struct txkv *c, void *ctx)
{
    (void)ctx;
    return txkv_commit(c);
}

static int leave_replies(struct txkv *c, void *ctx)
{
    (void)ctx;
    txkv_append_get(c, "a");
    return txkv_append_incr(c, "a", 1);
}

/* Runs txkv_transaction against a script; calls gets how often fn was called. */
static int run_transaction(const char *const *script, int (*fn)(struct txkv *c, void *ctx), int tries, int *calls)
{
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    *calls = 0;
    int rc = txkv_transaction(c, TXKV_SERIALIZABLE, fn, calls, tries);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_pending(c), 0);
    end(c, f);
    return rc;
}

#define BEGUN "> BEGIN SERIALIZABLE ID $ID", "< OK"
#define SET_A "> SET a 1", "< OK"

static void test_transaction_retries_conflicts(void)
{
    const char *once[] = {BEGUN, SET_A, "> COMMIT", "< OK", NULL};
    const char *conflicts[] = {
        BEGUN,  SET_A, "> COMMIT", "< ERR CONFLICT x", BEGUN,  "> SET a 1", "< ERR EXPIRED x", "> ROLLBACK",
        "< OK", BEGUN, SET_A,      "> COMMIT",         "< OK", NULL};
    const char *too_many[] = {BEGUN, SET_A, "> COMMIT", "< ERR CONFLICT x", BEGUN, SET_A, "> COMMIT", "< ERR EXPIRED x",
                              NULL};
    int calls;
    CHECK_INT(run_transaction(once, set_once, 5, &calls), TXKV_OK);
    CHECK_INT(calls, 1);
    CHECK_INT(run_transaction(conflicts, set_once, 5, &calls), TXKV_OK);
    CHECK_INT(calls, 3);
    CHECK_INT(run_transaction(too_many, set_once, 2, &calls), TXKV_ERR_EXPIRED);
    CHECK_INT(calls, 2);
}

static void test_transaction_rolls_back(void)
{
    const char *refused[] = {BEGUN, "> ROLLBACK", "< OK", NULL};
    const char *failed[] = {BEGUN, "> SET a 1", "< ERR TOOBIG x", "> ROLLBACK", "< OK", NULL};
    const char *no_begin[] = {"> BEGIN SERIALIZABLE ID $ID", "< ERR READONLY x", "> ROLLBACK", "< OK", NULL};
    const char *replies[] = {BEGUN,      "> GET a",         "> INCR a 1", "< x", "< ERR NOTINT x",
                             "> COMMIT", "< ERR ABORTED x", NULL};
    const char *itself[] = {BEGUN, "> COMMIT", "< OK", NULL};
    int calls;
    CHECK_INT(run_transaction(refused, refuse, 5, &calls), 42);
    CHECK_INT(run_transaction(failed, set_once, 5, &calls), TXKV_ERR_TOOBIG);
    CHECK_INT(run_transaction(no_begin, set_once, 5, &calls), TXKV_ERR_READONLY);
    CHECK_INT(calls, 0);
    CHECK_INT(run_transaction(replies, leave_replies, 5, &calls), TXKV_ERR_ABORTED);
    CHECK_INT(run_transaction(itself, commit_itself, 5, &calls), TXKV_ERR_ARG);
}

static void test_transaction_lost_before_its_commit(void)
{
    const char *begin_lost[] = {"> BEGIN SERIALIZABLE ID $ID", "close", NULL};
    const char *set_lost[] = {BEGUN, "> SET a 1", "close", NULL};
    const char *nothing[] = {NULL};
    int calls;
    CHECK_INT(run_transaction(begin_lost, set_once, 5, &calls), TXKV_ERR_LOST);
    CHECK_INT(calls, 0);
    CHECK_INT(run_transaction(set_lost, set_once, 5, &calls), TXKV_ERR_LOST);
    CHECK_INT(calls, 1);
    CHECK_INT(run_transaction(nothing, set_once, 0, &calls), TXKV_ERR_ARG);
    CHECK_INT(run_transaction(nothing, NULL, 1, &calls), TXKV_ERR_ARG);
}

#define LOST_COMMIT BEGUN, SET_A, "> COMMIT", "close", "accept"
#define DONE "> BEGIN SERIALIZABLE ID $ID", "< ERR DONE x", "> ROLLBACK", "< OK"
#define NOT_DONE BEGUN, "> ROLLBACK", "< OK"

static void test_transaction_finds_out_what_became_of_its_commit(void)
{
    const char *done[] = {LOST_COMMIT, DONE, NULL};
    const char *reset[] = {BEGUN, SET_A, "> COMMIT", "<<O", "reset", "accept", DONE, NULL};
    const char *not_done[] = {LOST_COMMIT, NOT_DONE, BEGUN, SET_A, "> COMMIT", "< OK", NULL};
    const char *twice[] = {LOST_COMMIT, NOT_DONE, LOST_COMMIT, DONE, NULL};
    const char *refused[] = {LOST_COMMIT, NOT_DONE, BEGUN, SET_A, "> COMMIT", "< ERR CONFLICT x", BEGUN,
                             SET_A,       "> COMMIT", "< OK",   NULL};
    const char *no_more_tries[] = {LOST_COMMIT, NOT_DONE, NULL};
    int calls;
    CHECK_INT(run_transaction(done, set_once, 1, &calls), TXKV_OK);
    CHECK_INT(calls, 1);
    CHECK_INT(run_transaction(reset, set_once, 5, &calls), TXKV_OK);
    CHECK_INT(calls, 1);
    CHECK_INT(run_transaction(not_done, set_once, 5, &calls), TXKV_OK);
    CHECK_INT(calls, 2);
    CHECK_INT(run_transaction(twice, set_once, 5, &calls), TXKV_OK);
    CHECK_INT(calls, 2);
    CHECK_INT(run_transaction(refused, set_once, 5, &calls), TXKV_OK);
    CHECK_INT(calls, 3);
    CHECK_INT(run_transaction(no_more_tries, set_once, 1, &calls), TXKV_ERR_LOST);
    CHECK_INT(calls, 1);
}

static void test_transaction_asks_until_it_is_told(void)
{
    const char *begin_lost[] = {LOST_COMMIT, "> BEGIN SERIALIZABLE ID $ID", "close", "accept", DONE, NULL};
    const char *answer_lost[] = {LOST_COMMIT, "> BEGIN SERIALIZABLE ID $ID", "< ERR DONE x", "> ROLLBACK", "close", NULL};
    const char *turned_away[] = {LOST_COMMIT, "> BEGIN SERIALIZABLE ID $ID", "< ERR FULL all connections are in use", "close",
                                 "accept",    DONE, NULL};
    const char *rollback_lost[] = {LOST_COMMIT, BEGUN, "> ROLLBACK", "close", NULL};
    int calls;
    CHECK_INT(run_transaction(begin_lost, set_once, 1, &calls), TXKV_OK);
    CHECK_INT(run_transaction(answer_lost, set_once, 1, &calls), TXKV_OK);
    CHECK_INT(run_transaction(turned_away, set_once, 1, &calls), TXKV_OK);
    CHECK_INT(calls, 1);
    CHECK_INT(run_transaction(rollback_lost, set_once, 1, &calls), TXKV_ERR_LOST);
}

/* Nobody answers any more, or somebody else: fn is not called again. */
static void test_transaction_never_retries_an_unknown_outcome(void)
{
    const char *gone[] = {BEGUN, SET_A, "> COMMIT", "close", NULL};
    const char *stranger[] = {LOST_COMMIT, "> BEGIN SERIALIZABLE ID $ID", "< 220 mail.example.com", "hang", NULL};
    const char *nonsense[] = {BEGUN, SET_A, "> COMMIT", "< yes", "hang", "accept", DONE, NULL};
    const char *read_only[] = {"> BEGIN READONLY", "< OK", "> SET a 1", "< OK", "> COMMIT", "close", NULL};
    struct fake f = fake_start(gone, 0);
    struct txkv *c = connect_to(f);
    int calls = 0;
    CHECK_INT(txkv_transaction(c, TXKV_SERIALIZABLE, set_once, &calls, 5), TXKV_ERR_OUTCOME);
    CHECK(strstr(txkv_errmsg(c), "whether COMMIT took effect") != NULL);
    CHECK_INT(strlen(txkv_transaction_id(c)), 32);
    CHECK_INT(calls, 1);
    end(c, f);
    CHECK_INT(run_transaction(stranger, set_once, 5, &calls), TXKV_ERR_OUTCOME);
    CHECK_INT(calls, 1);
    CHECK_INT(run_transaction(nonsense, set_once, 5, &calls), TXKV_OK);
    CHECK_INT(calls, 1);
    f = fake_start(read_only, 0);
    c = connect_to(f);
    CHECK_INT(txkv_transaction(c, TXKV_READONLY, set_once, &calls, 5), TXKV_ERR_OUTCOME);
    CHECK_TEXT(txkv_transaction_id(c), "");
    end(c, f);
}

static void test_each_transaction_has_an_id_of_its_own(void)
{
    const char *script[] = {BEGUN, SET_A, "> COMMIT", "< OK", "> BEGIN ID $NEW", "< OK", SET_A, "> COMMIT", "< OK", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    int calls = 0;
    CHECK_TEXT(txkv_transaction_id(c), "");
    CHECK_INT(txkv_transaction(c, TXKV_SERIALIZABLE, set_once, &calls, 1), TXKV_OK);
    CHECK_INT(txkv_transaction(c, TXKV_DEFAULT, set_once, &calls, 1), TXKV_OK);
    end(c, f);
}

/* A server that knows no IDs, or has no room for one: transactions go without, and the outcome of a lost COMMIT is unknown. */
static void without_ids(const char *answer)
{
    const char *script[] = {"> BEGIN ID $ID", answer, "> ROLLBACK", "< OK",     "> BEGIN", "< OK", SET_A,
                            "> COMMIT",       "< OK", "> BEGIN",    "< OK",     SET_A,     "> COMMIT", "close", NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    int calls = 0;
    CHECK_INT(txkv_transaction(c, TXKV_DEFAULT, set_once, &calls, 5), TXKV_OK);
    CHECK_TEXT(txkv_transaction_id(c), "");
    CHECK_INT(txkv_transaction(c, TXKV_DEFAULT, set_once, &calls, 5), TXKV_ERR_OUTCOME);
    CHECK_INT(calls, 2);
    end(c, f);
}

static void test_transactions_without_ids(void)
{
    const char *turned_away[] = {"> BEGIN SERIALIZABLE ID $ID", "< ERR FULL all connections are in use", "close", NULL};
    int calls;
    without_ids("< ERR SYNTAX BEGIN got more than it takes");
    without_ids("< ERR FULL no room for a further ID");
    CHECK_INT(run_transaction(turned_away, set_once, 5, &calls), TXKV_ERR_FULL);
    CHECK_INT(calls, 0);
}

static void test_ids(void)
{
    const char *script[] = {"> BEGIN READONLY ID x", "< OK",         "> ROLLBACK",  "< OK",        "> BEGIN ID !~", "< ERR DONE x",
                            "> ROLLBACK",            "< OK",         "> OUTCOME x", "< UNKNOWN",   "> OUTCOME x",   "< COMMITTED",
                            "> OUTCOME x",           "< ERR FULL x", "> OUTCOME x", "< ABORTED",   "> OUTCOME x",   "< perhaps",
                            "hang",                  NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    enum txkv_outcome_state outcome = TXKV_ABORTED;
    char id[TXKV_ID_MAX + 2];
    memset(id, 'i', sizeof id);
    id[TXKV_ID_MAX + 1] = '\0';
    const char *const bad[] = {"", NULL, "a b", "\t", "\x7f", "\xc3\xa4", id};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(txkv_begin_id(c, TXKV_DEFAULT, bad[i]), TXKV_ERR_ARG);
        CHECK_INT(txkv_outcome(c, bad[i], &outcome), TXKV_ERR_ARG);
    }
    CHECK_INT(txkv_begin_id(c, (enum txkv_mode)3, "x"), TXKV_ERR_ARG);
    CHECK_INT(txkv_begin_id(c, TXKV_READONLY, "x"), TXKV_OK);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_OPEN);
    CHECK_INT(txkv_rollback(c), TXKV_OK);
    CHECK_INT(txkv_begin_id(c, TXKV_DEFAULT, "!~"), TXKV_ERR_DONE);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_FAILED);
    CHECK_INT(txkv_rollback(c), TXKV_OK);
    CHECK_INT(txkv_outcome(c, "x", &outcome), TXKV_OK);
    CHECK_INT(outcome, TXKV_UNKNOWN);
    CHECK_INT(txkv_outcome(c, "x", &outcome), TXKV_OK);
    CHECK_INT(outcome, TXKV_COMMITTED);
    CHECK_INT(txkv_outcome(c, "x", &outcome), TXKV_ERR_FULL);
    CHECK_INT(outcome, TXKV_COMMITTED);
    CHECK_INT(txkv_outcome(c, "x", &outcome), TXKV_OK);
    CHECK_INT(outcome, TXKV_ABORTED);
    CHECK_INT(txkv_outcome(c, "x", &outcome), TXKV_ERR_PROTOCOL);
    CHECK_INT(txkv_outcome(c, "x", &outcome), TXKV_ERR_LOST);
    end(c, f);
}

static void test_states(void)
{
    const char *script[] = {"> BEGIN",    "< OK",
                            "> BEGIN",    "< ERR INTX x",
                            "> begin x",  "< ERR INTX x",
                            "> COMMIT x", "< ERR SYNTAX x",
                            "> GET a",    "< ERR ABORTED x",
                            "> COMMIT",   "< ERR ABORTED x",
                            "> begin x",  "< ERR SYNTAX x",
                            "> ROLLBACK", "< OK",
                            "> COMMIT",   "< ERR NOTX x",
                            NULL};
    struct fake f = fake_start(script, 0);
    struct txkv *c = connect_to(f);
    struct txkv_reply reply;
    struct txkv_value value;
    CHECK_INT(txkv_begin(c, TXKV_DEFAULT), TXKV_OK);
    CHECK_INT(txkv_begin(c, TXKV_DEFAULT), TXKV_ERR_INTX);
    CHECK_INT(txkv_command(c, "begin x", 7, &reply), TXKV_ERR_INTX);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_OPEN);
    CHECK_INT(txkv_transaction(c, TXKV_DEFAULT, set_once, NULL, 1), TXKV_ERR_INTX);
    CHECK_INT(txkv_command(c, "COMMIT x", 8, &reply), TXKV_ERR_SYNTAX);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_FAILED);
    CHECK_INT(txkv_get(c, "a", &value), TXKV_ERR_ABORTED);
    CHECK_INT(txkv_commit(c), TXKV_ERR_ABORTED);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_command(c, "begin x", 7, &reply), TXKV_ERR_SYNTAX);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_FAILED);
    CHECK_INT(txkv_rollback(c), TXKV_OK);
    CHECK_INT(txkv_transaction_state(c), TXKV_STATE_NONE);
    CHECK_INT(txkv_commit(c), TXKV_ERR_NOTX);
    end(c, f);
}

static const struct test tests[] = {
    {"commands", test_commands},
    {"commands, answers cut at every byte", test_commands_cut_at_every_byte},
    {"values are any bytes but line ends", test_values_are_any_bytes_but_line_ends},
    {"keys are checked before sending", test_keys_are_checked_before_sending},
    {"each error has its code", test_each_error_has_its_code},
    {"a value like an error", test_a_value_like_an_error},
    {"a refused MGET is one line", test_a_refused_mget_is_one_line},
    {"a list says how long it is", test_a_list_says_how_long_it_is},
    {"more lines than questions", test_more_lines_than_questions},
    {"nonsense", test_nonsense},
    {"pipeline", test_pipeline},
    {"QUIT", test_quit},
    {"lost commands each have an outcome", test_lost_commands_each_have_an_outcome},
    {"reconnect", test_reconnect},
    {"a farewell is told", test_a_farewell_is_told},
    {"no answer in time", test_no_answer_in_time},
    {"a line not sent whole did not run", test_a_line_not_sent_whole_did_not_run},
    {"last words", test_last_words},
    {"no connection", test_no_connection},
    {"transaction retries conflicts", test_transaction_retries_conflicts},
    {"transaction rolls back", test_transaction_rolls_back},
    {"transaction lost before its COMMIT", test_transaction_lost_before_its_commit},
    {"transaction finds out what became of its COMMIT", test_transaction_finds_out_what_became_of_its_commit},
    {"transaction asks until it is told", test_transaction_asks_until_it_is_told},
    {"transaction never retries an unknown outcome", test_transaction_never_retries_an_unknown_outcome},
    {"each transaction has an ID of its own", test_each_transaction_has_an_id_of_its_own},
    {"transactions without IDs", test_transactions_without_ids},
    {"IDs", test_ids},
    {"states", test_states},
};

int main(void)
{
    return check_run(tests, sizeof tests / sizeof tests[0]);
}
