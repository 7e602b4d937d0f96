#include "err.h"

#include <assert.h>

static const struct {
    const char *word;
    const char *text;
} table[ERR_COUNT] = {
#define X(name, text) {#name, text},
    ERR_TABLE(X)
#undef X
};

const char *err_word(int err)
{
    assert(err < 0 && err >= -ERR_COUNT);
    return table[-err - 1].word;
}

const char *err_text(int err)
{
    assert(err < 0 && err >= -ERR_COUNT);
    return table[-err - 1].text;
}
