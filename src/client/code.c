/* code: the table of result codes, and what an ERR line means. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client.h"

static const struct {
    int code;
    const char *name; /* of what the server answers, the word behind ERR */
} table[] = {
    {TXKV_OK, "OK"},
    {TXKV_ERR_ARG, "ARG"},
    {TXKV_ERR_NOMEM, "NOMEM"},
    {TXKV_ERR_CONNECT, "CONNECT"},
    {TXKV_ERR_LOST, "LOST"},
    {TXKV_ERR_OUTCOME, "OUTCOME"},
    {TXKV_ERR_PROTOCOL, "PROTOCOL"},
    {TXKV_ERR_BUSY, "BUSY"},
    {TXKV_ERR_NOREPLY, "NOREPLY"},
    {TXKV_ERR_SERVER, "SERVER"},
    {TXKV_ERR_SYNTAX, "SYNTAX"},
    {TXKV_ERR_UNKNOWN, "UNKNOWN"},
    {TXKV_ERR_NOTX, "NOTX"},
    {TXKV_ERR_INTX, "INTX"},
    {TXKV_ERR_CONFLICT, "CONFLICT"},
    {TXKV_ERR_ABORTED, "ABORTED"},
    {TXKV_ERR_EXPIRED, "EXPIRED"},
    {TXKV_ERR_TOOBIG, "TOOBIG"},
    {TXKV_ERR_FULL, "FULL"},
    {TXKV_ERR_READONLY, "READONLY"},
    {TXKV_ERR_DENIED, "DENIED"},
    {TXKV_ERR_NOTINT, "NOTINT"},
    {TXKV_ERR_OVERFLOW, "OVERFLOW"},
    {TXKV_ERR_BINARY, "BINARY"},
    {TXKV_ERR_DISK, "DISK"},
    {TXKV_ERR_DONE, "DONE"},
};

#define TABLE_SIZE (sizeof table / sizeof table[0])
#define PREFIX "ERR "
#define PREFIX_LEN (sizeof PREFIX - 1)

const char *txkv_code_name(int code)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (table[i].code == code) {
            return table[i].name;
        }
    }
    return "?";
}

int txkv_code_of_line(const char *line, size_t len)
{
    if (len < PREFIX_LEN || memcmp(line, PREFIX, PREFIX_LEN) != 0) {
        return 0;
    }
    const char *word = line + PREFIX_LEN;
    size_t word_len = 0;
    while (word_len < len - PREFIX_LEN && word[word_len] != ' ') {
        word_len++;
    }
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (table[i].code < TXKV_ERR_NOREPLY && strlen(table[i].name) == word_len &&
            memcmp(table[i].name, word, word_len) == 0) {
            return table[i].code;
        }
    }
    return TXKV_ERR_SERVER;
}

int txkv_fail(struct txkv *c, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->err, sizeof c->err, format, args);
    va_end(args);
    return code;
}

const char *txkv_errmsg(const struct txkv *c)
{
    return c == NULL ? "out of memory" : c->err;
}
