#include "page_parts.h"

#include "svg.h"

void page_put(FILE *f, const char *before, const char *text, const char *after)
{
    fputs(before, f);
    svg_escape(f, text);
    fputs(after, f);
}

bool page_all_accounted(const struct config *c)
{
    bool all = true;
    for (size_t t = 0; t < c->target_count; t++) {
        all = all && c->targets[t].pid != 0;
    }
    return all;
}

const char *page_ratio(char *out, size_t size, const struct row *row, enum metric m, size_t other)
{
    struct stats_interval r = compare_ratio(row, m, other);
    if (row->series[other].n > 1) {
        snprintf(out, size, "%.3f [%.3f, %.3f]", r.median, r.low, r.high);
    } else {
        snprintf(out, size, "%.3f", r.median);
    }
    return out;
}

void page_figure_open(FILE *f, const char *caption, const char *details)
{
    page_put(f, "<figure><figcaption>", caption, "");
    page_put(f, "<small>", details, "</small></figcaption>\n");
}

void page_figure_close(FILE *f)
{
    fputs("</figure>\n", f);
}
