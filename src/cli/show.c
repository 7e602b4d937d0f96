#include "show.h"

#include <stdio.h>
#include <unistd.h>

/* The bytes at text[i] that begin a control character: C0, DEL, and C1 as UTF-8 writes it; 0 if none does. */
static size_t control_len(const char *text, size_t len, size_t i)
{
    unsigned char byte = (unsigned char)text[i];
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
        return 1;
    }
    if (byte == 0xc2 && i + 1 < len) {
        unsigned char next = (unsigned char)text[i + 1];
        return next >= 0x80 && next <= 0x9f ? 2 : 0;
    }
    return 0;
}

static void show_safely(const char *text, size_t len)
{
    size_t plain = 0; /* from here to i nothing is a control character */
    for (size_t i = 0; i < len;) {
        size_t control = control_len(text, len, i);
        if (control == 0) {
            i++;
            continue;
        }
        fwrite(text + plain, 1, i - plain, stdout);
        for (size_t end = i + control; i < end; i++) {
            printf("\\x%02x", (unsigned char)text[i]);
        }
        plain = i;
    }
    fwrite(text + plain, 1, len - plain, stdout);
}

void show_reply(const struct txkv_reply *reply)
{
    bool terminal = isatty(STDOUT_FILENO);
    for (size_t i = 0; i < reply->count; i++) {
        if (terminal) {
            show_safely(reply->values[i].data, reply->values[i].len);
        } else {
            fwrite(reply->values[i].data, 1, reply->values[i].len, stdout);
        }
        putchar('\n');
    }
}

bool show_is_lost(int code)
{
    return code == TXKV_ERR_LOST || code == TXKV_ERR_OUTCOME || code == TXKV_ERR_PROTOCOL;
}
