#include "svg.h"

#include <math.h>

double svg_at(const struct svg_scale *s, double value)
{
    double v = value >= s->low ? fmin(value, s->high) : s->low;
    double part = s->log ? log(v / s->low) / log(s->high / s->low) : (v - s->low) / (s->high - s->low);
    return s->from + part * (s->to - s->from);
}

void svg_escape(FILE *f, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        default:
            fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, f);
        }
    }
}

static void write_title(FILE *f, const char *title)
{
    fputs("<title>", f);
    svg_escape(f, title);
    fputs("</title>", f);
}

void svg_open(FILE *f, double width, double height, const char *title)
{
    fprintf(f, "<svg role=\"img\" viewBox=\"0 0 %g %g\">", width, height);
    write_title(f, title);
    fputc('\n', f);
}

void svg_close(FILE *f)
{
    fputs("</svg>\n", f);
}

void svg_line(FILE *f, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(f, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class, x1, y1, x2, y2);
}

void svg_text(FILE *f, const char *class, double x, double y, const char *text)
{
    fprintf(f, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    svg_escape(f, text);
    fputs("</text>\n", f);
}

void svg_rect(FILE *f, const char *class, double x, double y, double width, double height, const char *title)
{
    fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\">", class, x, y, width,
            height);
    write_title(f, title);
    fputs("</rect>\n", f);
}

void svg_dot(FILE *f, const char *class, double x, double y, const char *title)
{
    fprintf(f, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\">", class, x, y);
    write_title(f, title);
    fputs("</circle>\n", f);
}

struct svg_path svg_path_open(FILE *f, const char *class)
{
    fprintf(f, "<path class=\"%s\" d=\"", class);
    return (struct svg_path){.f = f};
}

void svg_path_point(struct svg_path *p, double x, double y)
{
    fprintf(p->f, "%c%.1f %.1f", p->points++ == 0 ? 'M' : 'L', x, y);
}

void svg_path_gap(struct svg_path *p)
{
    if (p->points == 1) {
        fputs("h0", p->f); /* round ends make it visible */
    }
    p->points = 0;
}

void svg_path_close(struct svg_path *p)
{
    svg_path_gap(p);
    fputs("\"/>\n", p->f);
}
