/* Bytes are read here rather than by libedit, so that Ctrl-C ends the reading of the line. SIGINT is blocked except
 * inside ppoll(), and while a command runs: so it cannot come unseen between a look at the flag and the wait for a
 * byte, nor end the program in the moment between two lines. */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "complete.h"
#include "edit.h"
#include "history_file.h"

struct edit {
    EditLine *el;
    History *history;
    HistEvent event;
    const char *prompt; /* borrowed while a line is read */
    char *line;         /* owned; the line read last */
    sigset_t mask;      /* signals blocked while waiting for a byte: those of the start */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static struct edit *edit_of(EditLine *el)
{
    void *e = NULL;
    el_get(el, EL_CLIENTDATA, &e);
    return e;
}

static char *on_prompt(EditLine *el)
{
    static char text[64]; /* libedit wants a string that it may write to */
    snprintf(text, sizeof text, "%s", edit_of(el)->prompt);
    return text;
}

/* Waits for a byte: 1, 0 at the end, -1 on an error or after Ctrl-C. */
static int read_byte(struct edit *e, char *byte)
{
    while (!interrupted) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        if (ppoll(&p, 1, NULL, &e->mask) < 0) {
            if (errno != EINTR) {
                return -1;
            }
            continue;
        }
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0 || errno != EINTR) {
            return (int)n;
        }
    }
    return -1;
}

/* Reads one character, with the results of read_byte. A byte that is no character is dropped. */
static int on_read(EditLine *el, wchar_t *character)
{
    mbstate_t state = {0};
    for (;;) {
        char byte;
        int n = read_byte(edit_of(el), &byte);
        if (n <= 0) {
            return n;
        }
        size_t len = mbrtowc(character, &byte, 1, &state);
        if (len == 0 || len == 1) {
            return 1;
        }
        if (len == (size_t)-1) {
            state = (mbstate_t){0};
        }
    }
}

static void list_matches(const struct slice *matches, size_t count)
{
    putchar('\n');
    for (size_t i = 0; i < count; i++) {
        printf("%.*s%s", (int)matches[i].len, matches[i].data, i + 1 < count ? "  " : "\n");
    }
}

/* The Tab key. */
static unsigned char on_tab(EditLine *el, wint_t key)
{
    (void)key;
    struct slice matches[COMPLETE_MAX];
    size_t word_len;
    const LineInfo *info = el_line(el);
    struct slice text = slice_of(info->buffer, (size_t)(info->cursor - info->buffer));
    size_t count = complete_find(text, matches, &word_len);
    if (count == 0) {
        return CC_REFRESH_BEEP;
    }
    size_t common = complete_common(matches, count);
    char word[64];
    if (common + 2 > sizeof word) {
        return CC_REFRESH_BEEP;
    }
    snprintf(word, sizeof word, "%.*s%s", (int)common, matches[0].data, count == 1 ? " " : "");
    if (count > 1 && common == word_len) {
        list_matches(matches, count);
        return CC_REDISPLAY;
    }
    el_deletestr(el, (int)word_len); /* what was typed may be in small letters */
    return el_insertstr(el, word) == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
}

static void on_history_line(const char *line, void *ctx)
{
    struct edit *e = ctx;
    history(e->history, &e->event, H_ENTER, line);
}

static void set_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) { /* the plain C locale would drop every byte that is not ASCII */
        setlocale(LC_CTYPE, "C.UTF-8");
    }
}

static void bind_keys(EditLine *el)
{
    static const char *const keys[][2] = {
        {"^I", "txkv-complete"},      {"^R", "em-inc-search-prev"}, {"\\e[3~", "ed-delete-next-char"},
        {"\\e[H", "ed-move-to-beg"},  {"\\e[F", "ed-move-to-end"},  {"\\e[1~", "ed-move-to-beg"},
        {"\\e[4~", "ed-move-to-end"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        el_set(el, EL_BIND, keys[i][0], keys[i][1], NULL);
    }
}

void edit_let_interrupt(struct edit *e, bool on)
{
    struct sigaction action = {.sa_handler = on ? SIG_DFL : on_interrupt};
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    if (on) {
        sigaction(SIGINT, &action, NULL);
        sigprocmask(SIG_SETMASK, &e->mask, NULL);
    } else {
        sigprocmask(SIG_BLOCK, &interrupt, NULL);
        sigaction(SIGINT, &action, NULL);
    }
}

struct edit *edit_new(void)
{
    struct edit *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    sigprocmask(SIG_BLOCK, NULL, &e->mask);
    edit_let_interrupt(e, false);
    set_locale();
    if (getenv("TERM") == NULL) {
        setenv("TERM", "dumb", 1); /* libedit complains of none */
    }
    e->prompt = "";
    e->history = history_init();
    e->el = el_init("txkv-cli", stdin, stdout, stderr);
    if (e->history == NULL || e->el == NULL) {
        edit_free(e);
        return NULL;
    }
    history(e->history, &e->event, H_SETSIZE, HISTORY_LINES);
    history(e->history, &e->event, H_SETUNIQUE, 1);
    history_file_load(on_history_line, e);
    el_set(e->el, EL_CLIENTDATA, e);
    el_set(e->el, EL_PROMPT, on_prompt);
    el_set(e->el, EL_EDITOR, "emacs");
    el_set(e->el, EL_HIST, history, e->history);
    el_set(e->el, EL_GETCFN, on_read);
    el_wset(e->el, EL_ADDFN, L"txkv-complete", L"Complete the word", on_tab); /* el_set would leak copies */
    bind_keys(e->el);
    el_source(e->el, NULL);
    return e;
}

void edit_free(struct edit *e)
{
    if (e == NULL) {
        return;
    }
    edit_let_interrupt(e, true);
    if (e->el != NULL) {
        el_end(e->el);
    }
    if (e->history != NULL) {
        history_end(e->history);
    }
    free(e->line);
    free(e);
}

enum edit_result edit_read(struct edit *e, const char *prompt, const char **line)
{
    int len = 0;
    e->prompt = prompt;
    interrupted = 0;
    el_set(e->el, EL_PREP_TERM, 1); /* before the prompt is seen: a Ctrl-D typed after it must come as such */
    const char *typed = el_gets(e->el, &len);
    if (interrupted) {
        el_reset(e->el);
        printf("\n");
        fflush(stdout);
        return EDIT_INTERRUPTED;
    }
    if (typed == NULL || len <= 0) {
        return EDIT_END;
    }
    size_t kept = typed[len - 1] == '\n' ? (size_t)len - 1 : (size_t)len;
    free(e->line);
    e->line = strndup(typed, kept);
    *line = e->line == NULL ? "" : e->line;
    return EDIT_LINE;
}

void edit_remember(struct edit *e, const char *line)
{
    history(e->history, &e->event, H_ENTER, line);
    history_file_append(line);
}
