#include "opts.h"

#include <assert.h>
#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTS_MAX 64
#define HELP_COLUMN 38
#define CODE_HELP 1000
#define CODE_VERSION 1001
#define CODE_OPTION 2000 /* + index in the table */

int opts_count(const char *text, uint64_t min, uint64_t max, uint64_t *n)
{
    static const struct {
        char letter;
        uint64_t factor;
    } units[] = {{'k', 1000}, {'K', 1000}, {'m', 1000000}, {'M', 1000000}, {'g', 1000000000}, {'G', 1000000000}};
    uint64_t value = 0;
    if (!isdigit((unsigned char)*text)) {
        return -1;
    }
    for (; isdigit((unsigned char)*text); text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return -1;
        }
        value = value * 10 + digit;
    }
    for (size_t i = 0; *text != '\0' && i < sizeof units / sizeof *units; i++) {
        if (*text == units[i].letter && value <= UINT64_MAX / units[i].factor) {
            value *= units[i].factor;
            text++;
            break;
        }
    }
    if (*text != '\0' || value < min || value > max) {
        return -1;
    }
    *n = value;
    return 0;
}

static int parse_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *ns)
{
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end != '\0' || !isdigit((unsigned char)*text) || !isfinite(s) || s < (double)min ||
        s > (double)max) {
        return -1;
    }
    *ns = (uint64_t)(s * 1e9);
    return 0;
}

static int apply(const struct opt *o, void *config, const char *arg)
{
    char *at = (char *)config + o->at;
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)at = true;
        return 0;
    case OPT_COUNT:
        return opts_count(arg, o->min, o->max, (uint64_t *)at);
    case OPT_SECONDS:
        return parse_seconds(arg, o->min, o->max, (uint64_t *)at);
    case OPT_TEXT:
        *(const char **)at = arg == NULL ? "" : arg;
        return 0;
    default:
        return o->parse(config, arg);
    }
}

static void describe_wrong(const struct opt *o, const char *arg, char *why, size_t size)
{
    if (o->kind == OPT_COUNT || o->kind == OPT_SECONDS) {
        snprintf(why, size, "--%s %s: expected %s from %" PRIu64 " to %" PRIu64, o->name, arg,
                 o->kind == OPT_COUNT ? "a number" : "seconds", o->min, o->max);
    } else {
        snprintf(why, size, "--%s %s: expected %s, %s", o->name, arg, o->arg, o->help);
    }
}

static void make_options(const struct opt *table, size_t n, struct option *longs, char *shorts)
{
    *shorts++ = ':'; /* a missing argument is told from an unknown option */
    for (size_t i = 0; i < n; i++) {
        int takes = table[i].arg == NULL ? no_argument : table[i].arg[0] == '[' ? optional_argument : required_argument;
        longs[i] = (struct option){.name = table[i].name, .has_arg = takes, .val = CODE_OPTION + (int)i};
        if (table[i].letter != 0) {
            *shorts++ = table[i].letter;
            if (takes == required_argument) {
                *shorts++ = ':';
            }
        }
    }
    *shorts = '\0';
    longs[n] = (struct option){.name = "help", .val = CODE_HELP};
    longs[n + 1] = (struct option){.name = "version", .val = CODE_VERSION};
    longs[n + 2] = (struct option){0};
}

static const struct opt *find_option(const struct opt *table, size_t n, int code)
{
    if (code >= CODE_OPTION) {
        return &table[code - CODE_OPTION];
    }
    for (size_t i = 0; i < n; i++) {
        if (table[i].letter == code) {
            return &table[i];
        }
    }
    return NULL;
}

enum opts_result opts_parse(const struct opt *table, size_t n, void *config, int argc, char **argv, char *why,
                            size_t why_size)
{
    struct option longs[OPTS_MAX + 3];
    char shorts[2 * OPTS_MAX + 2];
    assert(n <= OPTS_MAX);
    make_options(table, n, longs, shorts);
    opterr = 0;
    optind = 0; /* glibc: start anew */
    int code;
    while ((code = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (code == CODE_HELP || code == CODE_VERSION) {
            return code == CODE_HELP ? OPTS_HELP : OPTS_VERSION;
        }
        if (code == '?' || code == ':') {
            const char *culprit = argv[optind - 1];
            if (optopt > 0 && optopt < CODE_HELP) {
                snprintf(why, why_size, "option '-%c' %s", optopt, code == ':' ? "needs an argument" : "is unknown");
            } else {
                snprintf(why, why_size, "option '%s' %s", culprit,
                         code == ':'   ? "needs an argument"
                         : optopt != 0 ? "takes no argument"
                                       : "is unknown");
            }
            return OPTS_BAD;
        }
        const struct opt *o = find_option(table, n, code);
        if (o == NULL || apply(o, config, optarg) != 0) {
            describe_wrong(o, optarg == NULL ? "" : optarg, why, why_size);
            return OPTS_BAD;
        }
    }
    if (optind < argc) {
        snprintf(why, why_size, "argument '%s' is not expected", argv[optind]);
        return OPTS_BAD;
    }
    return OPTS_OK;
}

void opts_print(const struct opt *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char left[128];
        char letter[8] = "    ";
        if (table[i].letter != 0) {
            snprintf(letter, sizeof letter, "-%c, ", table[i].letter);
        }
        const char *arg = table[i].arg == NULL ? "" : table[i].arg;
        const char *space = *arg == '\0' || *arg == '[' ? "" : " ";
        snprintf(left, sizeof left, "%s--%s%s%s", letter, table[i].name, space, arg);
        if (strlen(left) > HELP_COLUMN) {
            printf("  %s\n", left);
            left[0] = '\0';
        }
        printf("  %-*s %s\n", HELP_COLUMN, left, table[i].help);
    }
    printf("      %-*s %s\n", HELP_COLUMN - 4, "--help", "this text");
    printf("      %-*s %s\n", HELP_COLUMN - 4, "--version", "the version");
}
