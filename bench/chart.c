#include "chart.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "svg.h"

#define WIDTH 560.0
#define HEIGHT 320.0
#define LEFT 66.0
#define RIGHT (WIDTH - 108) /* beyond it the lines' ends are named */
#define TOP 30.0
#define BOTTOM (HEIGHT - 46)
#define LABEL_HEIGHT 14.0
#define TICKS_MAX 32
#define STEPS_MAX 6      /* of a linear axis */
#define DECADES_FINE 3.2 /* up to here a logarithmic axis has ticks at 1, 2 and 5, beyond at 1 */

/* Axes */

/* The greatest of 1, 2, 5, 10, 20, ... (and 0.5, 0.2, ...) that is not above value, or the least that is not below. */
static double round_value(double value, bool up)
{
    static const double steps[] = {1, 2, 5, 10};
    double decade = pow(10, floor(log10(value)));
    double found = steps[up ? 3 : 0] * decade;
    for (size_t i = 0; i < 4; i++) {
        double step = steps[up ? 3 - i : i] * decade;
        bool holds = up ? step >= value * (1 - 1e-9) : step <= value * (1 + 1e-9);
        found = holds ? step : found;
    }
    return found;
}

struct range {
    double low;
    double high;
};

static void range_add(struct range *r, double value, bool log)
{
    if (isfinite(value) && (!log || value > 0)) {
        r->low = fmin(r->low, value);
        r->high = fmax(r->high, value);
    }
}

/* Round ends around the range, also of no values at all. */
static struct svg_scale axis_scale(const struct chart_axis *a, struct range r, double from, double to)
{
    struct svg_scale s = {.log = a->log, .from = from, .to = to};
    if (!(r.low <= r.high)) {
        r = (struct range){1, 1};
    }
    if (a->ticks_n > 0) {
        s.low = a->ticks[0].value;
        s.high = a->ticks[a->ticks_n - 1].value;
    } else if (a->log) {
        bool fine = log10(r.high / r.low) <= DECADES_FINE - 0.6; /* rounding widens the range */
        s.low = fine ? round_value(r.low, false) : pow(10, floor(log10(r.low)));
        s.high = fine ? round_value(r.high, true) : pow(10, ceil(log10(r.high)));
    } else {
        s.low = a->from_zero ? fmin(0, r.low) : r.low;
        s.high = r.high;
    }
    if (!(s.low < s.high)) {
        s.high = a->log ? s.low * 10 : s.low + 1;
    }
    return s;
}

static size_t log_ticks(const struct svg_scale *s, double *ticks)
{
    double decades = log10(s->high / s->low);
    static const double steps[] = {1, 2, 5};
    size_t n = 0;
    for (double decade = pow(10, floor(log10(s->low) + 1e-9)); decade <= s->high * 1.001; decade *= 10) {
        for (size_t i = 0; i < (decades > DECADES_FINE ? 1 : 3); i++) {
            double tick = decade * steps[i];
            if (n < TICKS_MAX && tick > s->low * 0.999 && tick < s->high * 1.001) {
                ticks[n++] = tick;
            }
        }
    }
    return n;
}

static size_t linear_ticks(const struct svg_scale *s, double *ticks)
{
    double step = round_value((s->high - s->low) / STEPS_MAX, true);
    size_t n = 0;
    for (double k = ceil(s->low / step - 1e-9); n < TICKS_MAX && k * step <= s->high * (1 + 1e-9); k++) {
        ticks[n++] = k * step + 0.0; /* makes -0 a 0 */
    }
    return n;
}

/* Ticks with their labels; the labels of computed ones are written into texts. */
static size_t axis_ticks(const struct chart_axis *a, const struct svg_scale *s, struct chart_tick *ticks,
                         char texts[TICKS_MAX][TEXT_MAX])
{
    double values[TICKS_MAX];
    if (a->ticks_n > 0) {
        size_t n = a->ticks_n < TICKS_MAX ? a->ticks_n : TICKS_MAX;
        memcpy(ticks, a->ticks, n * sizeof *ticks);
        return n;
    }
    size_t n = a->log ? log_ticks(s, values) : linear_ticks(s, values);
    for (size_t i = 0; i < n; i++) {
        ticks[i] = (struct chart_tick){values[i], a->print(texts[i], values[i])};
    }
    return n;
}

static void draw_x_axis(FILE *f, const struct chart_axis *a, const struct svg_scale *s, double top, double bottom)
{
    struct chart_tick ticks[TICKS_MAX];
    char texts[TICKS_MAX][TEXT_MAX];
    size_t n = axis_ticks(a, s, ticks, texts);
    for (size_t i = 0; i < n; i++) {
        double x = svg_at(s, ticks[i].value);
        svg_line(f, "grid", x, top, x, bottom);
        svg_text(f, "tick middle", x, bottom + LABEL_HEIGHT + 2, ticks[i].label);
    }
    svg_text(f, "label middle", (s->from + s->to) / 2, bottom + 2 * LABEL_HEIGHT + 8, a->label);
}

static void draw_y_axis(FILE *f, const struct chart_axis *a, const struct svg_scale *s)
{
    struct chart_tick ticks[TICKS_MAX];
    char texts[TICKS_MAX][TEXT_MAX];
    size_t n = axis_ticks(a, s, ticks, texts);
    for (size_t i = 0; i < n; i++) {
        double y = svg_at(s, ticks[i].value);
        svg_line(f, "grid", LEFT, y, RIGHT, y);
        svg_text(f, "tick right", LEFT - 8, y + 4, ticks[i].label);
    }
    svg_text(f, "label", 4, LABEL_HEIGHT, a->label);
}

/* Lines */

static struct svg_scale lines_scale(const struct chart_axis *a, const struct chart_line *lines, size_t n, bool of_x)
{
    struct range r = {INFINITY, -INFINITY};
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < lines[i].n; k++) {
            range_add(&r, of_x ? lines[i].x[k] : lines[i].y[k], a->log);
            if (!of_x && lines[i].low != NULL) {
                range_add(&r, lines[i].low[k], a->log);
                range_add(&r, lines[i].high[k], a->log);
            }
        }
    }
    return of_x ? axis_scale(a, r, LEFT, RIGHT) : axis_scale(a, r, BOTTOM, TOP);
}

static void draw_points(FILE *f, const struct chart_axis *ya, const struct svg_scale *x, const struct svg_scale *y,
                        const struct chart_line *line)
{
    char class[32];
    char value[TEXT_MAX];
    for (size_t i = 0; line->low != NULL && i < line->n; i++) {
        double at = svg_at(x, line->x[i]);
        snprintf(class, sizeof class, "whisker s%u", line->colour % CHART_COLOURS);
        svg_line(f, class, at, svg_at(y, line->low[i]), at, svg_at(y, line->high[i]));
        snprintf(class, sizeof class, "dot s%u", line->colour % CHART_COLOURS);
        svg_dot(f, class, at, svg_at(y, line->y[i]), ya->print(value, line->y[i]));
    }
}

/* Returns where it ended, or -1 when it has no point. */
static double draw_line(FILE *f, const struct svg_scale *x, const struct svg_scale *y, const struct chart_line *line)
{
    char class[48];
    double end = -1;
    snprintf(class, sizeof class, "line %.16s s%u", line->kind, line->colour % CHART_COLOURS);
    struct svg_path path = svg_path_open(f, class);
    for (size_t i = 0; i < line->n; i++) {
        if (!isfinite(line->y[i]) || (y->log && line->y[i] <= 0)) {
            svg_path_gap(&path);
        } else {
            end = svg_at(y, line->y[i]);
            svg_path_point(&path, svg_at(x, line->x[i]), end);
        }
    }
    svg_path_close(&path);
    return end;
}

/* Names the lines' ends. Names that would lie on each other move apart, from the highest line downwards, and back up
 * where the picture ends. */
static void draw_ends(FILE *f, const struct chart_line *lines, const double *ends, size_t n)
{
    size_t order[CHART_LINES_MAX];
    double at[CHART_LINES_MAX];
    size_t shown = 0;
    for (size_t i = 0; i < n; i++) {
        if (lines[i].end == NULL || ends[i] < 0) {
            continue;
        }
        size_t k = shown++;
        for (; k > 0 && ends[order[k - 1]] > ends[i]; k--) {
            order[k] = order[k - 1];
        }
        order[k] = i;
    }
    for (size_t k = 0; k < shown; k++) {
        double free_from = k == 0 ? TOP : at[k - 1] + LABEL_HEIGHT;
        at[k] = fmax(ends[order[k]] + 4, free_from);
    }
    double limit = BOTTOM;
    for (size_t k = shown; k > 0; k--) {
        at[k - 1] = fmin(at[k - 1], limit);
        limit = at[k - 1] - LABEL_HEIGHT;
    }
    for (size_t k = 0; k < shown; k++) {
        char class[24];
        char name[TEXT_MAX];
        const struct chart_line *line = &lines[order[k]];
        snprintf(class, sizeof class, "end s%u", line->colour % CHART_COLOURS);
        svg_text(f, class, RIGHT + 6, at[k], text_name(name, line->end));
    }
}

void chart_lines(FILE *f, const char *title, const struct chart_axis *x, const struct chart_axis *y,
                 const struct chart_line *lines, size_t n)
{
    double ends[CHART_LINES_MAX];
    assert(n <= CHART_LINES_MAX);
    struct svg_scale xs = lines_scale(x, lines, n, true);
    struct svg_scale ys = lines_scale(y, lines, n, false);
    svg_open(f, WIDTH, HEIGHT, title);
    draw_x_axis(f, x, &xs, TOP, BOTTOM);
    draw_y_axis(f, y, &ys);
    svg_line(f, "axis", LEFT, BOTTOM, RIGHT, BOTTOM);
    for (size_t i = 0; i < n; i++) {
        ends[i] = draw_line(f, &xs, &ys, &lines[i]);
        draw_points(f, y, &xs, &ys, &lines[i]);
    }
    draw_ends(f, lines, ends, n);
    svg_close(f);
}

/* Bars */

#define BAR_LEFT 126.0
#define BAR_RIGHT (WIDTH - 100)
#define BAR_HEIGHT 22.0
#define BAR_STEP 52.0
#define BAR_TOP 12.0

static void draw_whisker(FILE *f, const struct svg_scale *x, double y, const struct chart_bar *bar)
{
    double low = svg_at(x, bar->low);
    double high = svg_at(x, bar->high);
    if (bar->low < bar->high) {
        svg_line(f, "spread", low, y, high, y);
        svg_line(f, "spread", low, y - 5, low, y + 5);
        svg_line(f, "spread", high, y - 5, high, y + 5);
    }
}

static void draw_bar(FILE *f, const struct chart_axis *a, const struct svg_scale *x, double y,
                     const struct chart_bar *bar)
{
    char class[24];
    char name[TEXT_MAX];
    char value[TEXT_MAX];
    char low[TEXT_MAX];
    char high[TEXT_MAX];
    char title[256];
    a->print(value, bar->value);
    snprintf(title, sizeof title, "%.64s: %s (quartiles %s to %s)", bar->name, value, a->print(low, bar->low),
             a->print(high, bar->high));
    snprintf(class, sizeof class, "bar s%u", bar->colour % CHART_COLOURS);
    svg_text(f, "name right", BAR_LEFT - 10, y + BAR_HEIGHT / 2 + 4, text_name(name, bar->name));
    svg_rect(f, class, BAR_LEFT, y, svg_at(x, bar->value) - BAR_LEFT, BAR_HEIGHT, title);
    draw_whisker(f, x, y + BAR_HEIGHT / 2, bar);
    svg_text(f, "value", svg_at(x, fmax(bar->high, bar->value)) + 8, y + BAR_HEIGHT / 2 + 4, value);
    svg_text(f, "note", BAR_LEFT + 4, y + BAR_HEIGHT + LABEL_HEIGHT, bar->note);
}

void chart_bars(FILE *f, const char *title, const struct chart_axis *x, const struct chart_bar *bars, size_t n)
{
    struct range r = {0, 0};
    for (size_t i = 0; i < n; i++) {
        range_add(&r, bars[i].value, false);
        range_add(&r, bars[i].high, false);
    }
    struct svg_scale scale = axis_scale(x, r, BAR_LEFT, BAR_RIGHT);
    double bottom = BAR_TOP + (double)n * BAR_STEP;
    svg_open(f, WIDTH, bottom + 46, title);
    draw_x_axis(f, x, &scale, BAR_TOP - 6, bottom);
    for (size_t i = 0; i < n; i++) {
        draw_bar(f, x, &scale, BAR_TOP + (double)i * BAR_STEP, &bars[i]);
    }
    svg_line(f, "axis", BAR_LEFT, BAR_TOP - 6, BAR_LEFT, bottom);
    svg_close(f);
}

/* The charts of measurements */

#define CURVE_STEPS 40 /* points of a curve for each nine */
#define NINES 4
#define CURVE_POINTS (NINES * CURVE_STEPS + 1)

static const struct chart_axis latency_axis = {.label = "latency", .print = text_ns, .log = true};

struct curve {
    size_t n;
    double x[CURVE_POINTS]; /* nines: 2 is 99% */
    double y[CURVE_POINTS]; /* ns */
};

/* Ends where fewer than ten samples are left above: beyond, a curve would show chance. */
static void curve_fill(struct curve *c, const struct hist *h)
{
    double reach = h->count < 10 ? 0 : log10((double)h->count / 10);
    c->n = 0;
    for (size_t i = 0; h->count > 0 && i < CURVE_POINTS; i++) {
        double nines = (double)i / CURVE_STEPS;
        if (i > 0 && nines > reach) {
            return;
        }
        c->x[c->n] = nines;
        c->y[c->n++] = (double)hist_quantile(h, 1 - pow(10, -nines));
    }
}

void chart_percentiles(FILE *f, const char *title, const char *const *names, const struct hist *const *latencies,
                       size_t n)
{
    static const struct chart_tick ticks[] = {{0, "0"},  {0.30103, "50"}, {1, "90"},
                                              {2, "99"}, {3, "99.9"},     {4, "99.99"}};
    static const struct chart_axis x = {
        .label = "percentile of the replies", .ticks = ticks, .ticks_n = sizeof ticks / sizeof *ticks};
    struct curve curves[CHART_LINES_MAX];
    struct chart_line lines[CHART_LINES_MAX];
    assert(n <= CHART_LINES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct curve *c = &curves[i];
        curve_fill(c, latencies[i]);
        lines[i] =
            (struct chart_line){.colour = (unsigned)i, .kind = "", .end = names[i], .n = c->n, .x = c->x, .y = c->y};
    }
    chart_lines(f, title, &x, &latency_axis, lines, n);
}

struct slots {
    double s[TIMELINE_SLOTS];
    double p99_ns[TIMELINE_SLOTS];
    double max_ns[TIMELINE_SLOTS];
};

static void slots_fill(struct slots *to, const struct timeline *t)
{
    for (size_t i = 0; i < t->n; i++) {
        to->s[i] = ((double)i + 0.5) * (double)t->slot_ns / 1e9;
        to->p99_ns[i] = (double)t->slots[i].p99_ns;
        to->max_ns[i] = (double)t->slots[i].max_ns;
    }
}

void chart_timelines(FILE *f, const char *title, const char *const *names, const struct timeline *const *timelines,
                     size_t n)
{
    static const struct chart_axis x = {.label = "time, s", .print = text_short, .from_zero = true};
    struct slots slots[CHART_LINES_MAX / 2];
    struct chart_line lines[CHART_LINES_MAX];
    assert(n <= CHART_LINES_MAX / 2);
    for (size_t i = 0; i < n; i++) {
        struct slots *s = &slots[i];
        slots_fill(s, timelines[i]);
        struct chart_line line = {.colour = (unsigned)i, .n = timelines[i]->n, .x = s->s};
        lines[i] = line; /* below all the others */
        lines[i].kind = "thin";
        lines[i].y = s->max_ns;
        lines[n + i] = line;
        lines[n + i].kind = "";
        lines[n + i].y = s->p99_ns;
        lines[n + i].end = names[i];
    }
    chart_lines(f, title, &x, &latency_axis, lines, 2 * n);
}

void chart_latency_by_rate(FILE *f, const char *title, const struct chart_rates *series, size_t n)
{
    static const struct chart_axis x = {.label = "requests per second", .print = text_grouped, .from_zero = true};
    static const char *const kinds[] = {"thin", "", "dash"};
    static const char *const alone[] = {"p50", "p99", "p99.9"};
    struct chart_line lines[CHART_LINES_MAX];
    assert(n <= CHART_LINES_MAX / 3);
    for (size_t i = 0; i < 3 * n; i++) {
        const struct chart_rates *s = &series[i / 3];
        const double *const curves[] = {s->p50_ns, s->p99_ns, s->p999_ns};
        lines[i] = (struct chart_line){.colour = (unsigned)(i / 3),
                                       .kind = kinds[i % 3],
                                       .end = n == 1       ? alone[i % 3]
                                              : i % 3 == 1 ? s->name
                                                           : NULL,
                                       .n = s->n,
                                       .x = s->rate,
                                       .y = curves[i % 3]};
    }
    chart_lines(f, title, &x, &latency_axis, lines, n * 3);
}
