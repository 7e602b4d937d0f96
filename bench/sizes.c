#include "sizes.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "opts.h"

struct sizes sizes_fixed(uint64_t size)
{
    return (struct sizes){.n = 1, .parts = {{size, size, 1}}};
}

/* N or LO-HI, then :SHARE in a list. */
static int parse_part(struct sizes *s, char *text, bool list, uint64_t min, uint64_t max)
{
    char *share = strchr(text, ':');
    char *high = strchr(text, '-');
    size_t i = s->n++;
    s->parts[i].share = 1;
    if (list != (share != NULL)) {
        return -1;
    }
    if (share != NULL) {
        char *end;
        *share++ = '\0';
        s->parts[i].share = strtod(share, &end);
        if (end == share || *end != '\0' || !(s->parts[i].share > 0 && s->parts[i].share <= 1)) {
            return -1;
        }
    }
    if (high != NULL) {
        *high++ = '\0';
    }
    if (opts_count(text, min, max, &s->parts[i].low) != 0) {
        return -1;
    }
    return opts_count(high == NULL ? text : high, s->parts[i].low, max, &s->parts[i].high);
}

int sizes_parse(struct sizes *s, const char *text, uint64_t min, uint64_t max)
{
    char copy[512];
    bool list = strchr(text, ':') != NULL;
    size_t len = strlen(text);
    double sum = 0;
    if (len == 0 || len >= sizeof copy || text[len - 1] == ',') {
        return -1;
    }
    memcpy(copy, text, len + 1);
    s->n = 0;
    for (char *part = copy, *next; part != NULL; part = next) {
        next = strchr(part, ',');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (s->n == SIZES_MAX || parse_part(s, part, list, min, max) != 0) {
            return -1;
        }
        sum += s->parts[s->n - 1].share;
    }
    return fabs(sum - 1) <= 1e-6 ? 0 : -1;
}

uint64_t sizes_at(const struct sizes *s, double q)
{
    size_t i = 0;
    while (i + 1 < s->n && q >= s->parts[i].share) {
        q -= s->parts[i++].share;
    }
    double span = (double)(s->parts[i].high - s->parts[i].low + 1);
    uint64_t size = s->parts[i].low + (uint64_t)(q / s->parts[i].share * span);
    return size < s->parts[i].high ? size : s->parts[i].high;
}

uint64_t sizes_min(const struct sizes *s)
{
    uint64_t min = UINT64_MAX;
    for (size_t i = 0; i < s->n; i++) {
        min = s->parts[i].low < min ? s->parts[i].low : min;
    }
    return min;
}

uint64_t sizes_max(const struct sizes *s)
{
    uint64_t max = 0;
    for (size_t i = 0; i < s->n; i++) {
        max = s->parts[i].high > max ? s->parts[i].high : max;
    }
    return max;
}

uint64_t sizes_mean(const struct sizes *s)
{
    double mean = 0;
    for (size_t i = 0; i < s->n; i++) {
        mean += s->parts[i].share * ((double)s->parts[i].low + (double)s->parts[i].high) / 2;
    }
    return (uint64_t)(mean + 0.5);
}
