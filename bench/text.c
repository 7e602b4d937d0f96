#include "text.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define THREE_DIGITS 999.5 /* from here on rounding makes it four */

const char *text_grouped(char out[TEXT_MAX], double value)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%.0f", fabs(value));
    char *at = out;
    if (value <= -0.5) {
        *at++ = '-';
    }
    for (int i = 0; i < n && i < 18; i++) {
        if (i > 0 && (n - i) % 3 == 0) {
            *at++ = ',';
        }
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

const char *text_short(char out[TEXT_MAX], double value)
{
    if (fabs(value) >= THREE_DIGITS) {
        return text_grouped(out, value);
    }
    snprintf(out, TEXT_MAX, "%.3g", value);
    return out;
}

const char *text_ns(char out[TEXT_MAX], double ns)
{
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    char number[TEXT_MAX];
    size_t unit = 0;
    while (unit + 1 < sizeof units / sizeof *units && ns >= THREE_DIGITS) {
        ns /= 1000;
        unit++;
    }
    snprintf(out, TEXT_MAX, "%.26s %s", text_short(number, ns), units[unit]);
    return out;
}

const char *text_name(char out[TEXT_MAX], const char *text)
{
    bool whole = strlen(text) <= TEXT_NAME;
    snprintf(out, TEXT_MAX, "%.*s%s", whole ? TEXT_NAME : TEXT_NAME - 1, text, whole ? "" : "…");
    return out;
}
