/* Pipelining: answers are exact and in order, however the bytes arrive. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "server_fixture.h"
#include "wire.h"

#define MILLION 1000000

/* A stretch of commands whose answers are known, of the client with this number. */
static void add_commands(struct text *out, struct text *expected, int client, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        int key = i / 5 % 1000;
        switch (i % 5) {
        case 0:
            text_addf(out, "SET k%d:%d value %d\r\n", client, key, i);
            text_addf(expected, "OK\r\n");
            break;
        case 1:
            text_addf(out, "get k%d:%d\n", client, key);
            text_addf(expected, "value %d\r\n", i - 1);
            break;
        case 2:
            text_addf(out, "INCR count%d 2\r\n", client);
            text_addf(expected, "%d\r\n", (i / 5 + 1) * 2);
            break;
        case 3:
            text_addf(out, "\r\nDEL absent\r\n");
            text_addf(expected, "OK\r\n");
            break;
        default:
            text_addf(out, "GET absent\r\n");
            text_addf(expected, "\r\n");
        }
    }
}

static void million(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    struct text expected = {0};
    server_start(&s, NULL);
    client_open(&c, &s);
    add_commands(&out, &expected, 1, 0, MILLION);
    client_exchange(&c, &out, &expected);
    client_ask(&c, "DBSIZE", "1001");
    client_close(&c);
    server_stop(&s);
}

static const char conversation[] = "SET a 1\r\n"
                                   "BEGIN\r\n"
                                   "SET a 2 \n"
                                   "SET b\r\n"
                                   "GET a\r\n"
                                   "COMMIT\r\n"
                                   "\r\n"
                                   "GET a\r\n"
                                   "begin\r\n"
                                   "INCR a\r\n"
                                   "DEL b\r\n"
                                   "commit\r\n"
                                   "MGET a b\r\n"
                                   "SET e \r\n"
                                   "EXISTS e\r\n"
                                   "bogus\r\n"
                                   "QUIT\r\n";

static const char conversation_answers[] =
    "OK\r\n"
    "OK\r\n"
    "OK\r\n"
    "ERR SYNTAX SET lacks its value (for an empty one, end the line with a space): SET key value\r\n"
    "ERR ABORTED nothing runs until COMMIT or ROLLBACK (SYNTAX SET lacks its value (for an empty one, end the line "
    "with a "
    "space): SET key value)\r\n"
    "ERR ABORTED the transaction is over, nothing of it was applied (SYNTAX SET lacks its value (for an empty one, end "
    "the "
    "line with a space): SET key value)\r\n"
    "1\r\n"
    "OK\r\n"
    "2\r\n"
    "OK\r\n"
    "OK\r\n"
    "2\r\n"
    "\r\n"
    "OK\r\n"
    "1\r\n"
    "ERR UNKNOWN there is no command bogus; HELP lists the commands\r\n";

/* All in one go, then again a byte at a time, against a server each. */
static void byte_by_byte(void)
{
    struct text out = {(char *)(size_t)conversation, sizeof(conversation) - 1, 0};
    struct text expected = {(char *)(size_t)conversation_answers, sizeof(conversation_answers) - 1, 0};
    for (int single = 0; single <= 1; single++) {
        struct server s;
        struct client c;
        server_start(&s, NULL);
        client_open(&c, &s);
        for (size_t i = 0; single && i < out.len; i++) {
            client_send(&c, out.data + i, 1);
        }
        client_exchange(&c, single ? &(struct text){0} : &out, &expected);
        client_expect_eof(&c);
        client_close(&c);
        server_stop(&s);
    }
}

/* Two clients send pieces in turn that end anywhere; each must get its own answers. */
static void two_interleaved(void)
{
    struct server s;
    struct client c[2];
    struct text out[2] = {{0}, {0}};
    struct text expected[2] = {{0}, {0}};
    size_t at[2] = {0, 0};
    server_start(&s, NULL);
    for (int i = 0; i < 2; i++) {
        client_open(&c[i], &s);
        add_commands(&out[i], &expected[i], i, 0, 20000);
    }
    for (size_t turn = 0; at[0] < out[0].len || at[1] < out[1].len; turn++) {
        size_t i = turn % 2;
        size_t piece = 1 + turn * 7919 % 997;
        piece = piece < out[i].len - at[i] ? piece : out[i].len - at[i];
        client_send(&c[i], out[i].data + at[i], piece);
        at[i] += piece;
    }
    for (int i = 0; i < 2; i++) {
        client_exchange(&c[i], &(struct text){0}, &expected[i]);
        client_close(&c[i]);
    }
    server_stop(&s);
}

static void two_transactions_interleaved(void)
{
    struct server s;
    struct client a;
    struct client b;
    server_start(&s, NULL);
    client_open(&a, &s);
    client_open(&b, &s);
    client_ask(&a, "BEGIN", "OK");
    client_ask(&b, "BEGIN", "OK");
    client_sendf(&a, "SET x a\r\nSET y");
    client_sendf(&b, "SET x b\r\nGET y\r\nGE");
    client_sendf(&a, " a\r\nCOMMIT\r\nGET x\r\n");
    client_expect(&a, "OK");
    client_expect(&a, "OK");
    client_expect(&a, "OK");
    client_expect(&a, "a");
    client_sendf(&b, "T y\r\nCOMMIT\r\n");
    client_expect(&b, "OK");
    client_expect(&b, "");
    client_expect(&b, "");
    client_expect(&b, "OK");
    client_ask(&a, "GET x", "b");
    client_ask(&a, "GET y", "a");
    client_close(&a);
    client_close(&b);
    server_stop(&s);
}

/* Answers to large values may wait for one another, but for nothing that the client has not sent: it gets the first one before it
 * ends the next request, wherever that has been cut. */
static void large_next_begun(void)
{
    struct server s;
    struct client c;
    struct text line = {0};
    server_start(&s, NULL);
    client_open(&c, &s);
    text_add_line(&line, 'v', LARGE_VALUE, "SET %s ", "key");
    client_set_large(&c, "key", 'v', LARGE_VALUE);
    for (size_t cut = 0; cut < line.len; cut = cut < 8 ? cut + 1 : cut * 3) {
        struct text out = {0};
        text_add(&out, line.data, line.len);
        text_add(&out, line.data, cut);
        client_send(&c, out.data, out.len);
        client_expect(&c, "OK");
        client_send(&c, line.data + cut, line.len - cut);
        client_expect(&c, "OK");
        text_free(&out);
    }
    text_free(&line);
    client_close(&c);
    server_stop(&s);
}

/* Many in one go, and other requests behind them, are answered in order; then the client says that nothing more comes. */
static void large_in_one_go(void)
{
    struct server s;
    struct client c;
    struct text out = {0};
    struct text expected = {0};
    server_start(&s, NULL);
    client_open(&c, &s);
    for (int i = 0; i < 50; i++) {
        text_add_line(&out, 'v', LARGE_VALUE, "SET key%d ", i % 7);
        text_addf(&expected, "OK\r\n");
        if (i % 10 == 9) {
            text_addf(&out, "STRLEN key\r\nDBSIZE\r\n");
            text_addf(&expected, "ERR UNKNOWN there is no command STRLEN; HELP lists the commands\r\n7\r\n");
        }
    }
    client_send(&c, out.data, out.len);
    client_half_close(&c);
    client_exchange(&c, &(struct text){0}, &expected);
    client_expect_eof(&c);
    client_close(&c);
    server_stop(&s);
}

#define LENT_VALUE 20000 /* bytes: few enough for all to come in one turn of the loop, enough to be sent from where they lie */

#define LENT_BESIDE 50   /* values on both sides of it, so that its memory, once free, is the best place for the next one */

/* Sets so many values beside each other. */
static void set_beside(struct client *c, const char *name)
{
    char key[16];
    for (int i = 0; i < LENT_BESIDE; i++) {
        snprintf(key, sizeof(key), "%s%d", name, i);
        client_set_large(c, key, 'x', LENT_VALUE);
    }
}

/* A value that is answered and changes, or goes and leaves its memory to another one, before its answer is sent. Each way but FLUSH,
 * whose values leave one large place, shows for itself where this is forgotten. */
static void large_changed_behind(void)
{
    static const char *const before[] = {"", "DEL big\r\n", "BEGIN\r\n", "BEGIN\r\nGET big\r\nDEL big\r\nCOMMIT\r\n", "FLUSH\r\n"};
    struct server s;
    struct client c;
    server_start(&s, NULL);
    client_open(&c, &s);
    client_set_large(&c, "big", 'x', 10 * LENT_VALUE); /* it reads much at a time from now on */
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        struct text out = {0};
        struct text expected = {0};
        set_beside(&c, "below");
        client_set_large(&c, "big", 'a', LENT_VALUE);
        set_beside(&c, "above");
        text_addf(&out, "GET big\r\nGET big\r\n%s", before[i]);
        text_add_line(&expected, 'a', LENT_VALUE, "%s", "");
        text_add_line(&expected, 'a', LENT_VALUE, "%s", "");
        text_addf(&expected, "%s", before[i][0] == '\0' ? "" : "OK\r\n");
        if (i == 2) { /* a value that goes with its transaction */
            text_add_line(&out, 'c', LENT_VALUE, "SET big ");
            text_addf(&out, "GET big\r\nROLLBACK\r\n");
            text_addf(&expected, "OK\r\n");
            text_add_line(&expected, 'c', LENT_VALUE, "%s", "");
            text_addf(&expected, "OK\r\n");
        }
        if (i == 3) {
            text_add_line(&expected, 'a', LENT_VALUE, "%s", "");
            text_addf(&expected, "OK\r\nOK\r\n");
        }
        text_add_line(&out, 'b', LENT_VALUE, "SET %s ", i == 0 ? "big" : "new");
        text_addf(&expected, "OK\r\n");
        client_exchange(&c, &out, &expected);
        client_ask(&c, "DEL new", "OK");
        text_free(&out);
        text_free(&expected);
    }
    client_close(&c);
    server_stop(&s);
}

#define MEDIUM_VALUE 100000

/* The same where the client does not take all of it at once, and another one changes it meanwhile. Each answer is one value or the
 * other, whole. */
static void large_read_slowly(void)
{
    struct server s;
    struct client slow;
    struct client other;
    char value = 'a';
    server_start(&s, "--pending-max", "64M", NULL);
    client_open_small(&slow, &s, 4096);
    client_open(&other, &s);
    client_set_large(&other, "big", 'a', MEDIUM_VALUE);
    for (int i = 0; i < 100; i++) {
        client_sendf(&slow, "GET big\r\n");
    }
    client_wait_delivered(&slow);
    for (char next = 'b'; next < 'f'; next++) {
        client_set_large(&other, "big", next, MEDIUM_VALUE);
    }
    for (int i = 0; i < 100; i++) {
        size_t len;
        const char *line = client_line(&slow, &len);
        CHECK(line != NULL && len == MEDIUM_VALUE, "answer %d has %zu bytes", i, len);
        CHECK(line[0] >= value && line[0] < 'f', "answer %d is of '%c', after one of '%c'", i, line[0], value);
        value = line[0];
        CHECK(strspn(line, (char[]){value, '\0'}) == len, "answer %d is made of two values", i);
    }
    client_close(&slow);
    client_close(&other);
    server_stop(&s);
}

static const struct check checks[] = {
    {"a million in one go", million},
    {"byte by byte", byte_by_byte},
    {"two clients interleaved", two_interleaved},
    {"two transactions interleaved", two_transactions_interleaved},
    {"large values, the next one begun", large_next_begun},
    {"large values in one go", large_in_one_go},
    {"a large value changed behind its answer", large_changed_behind},
    {"a large value read slowly", large_read_slowly},
};

CHECK_MAIN(checks)
