#include "report.h"

#include <inttypes.h>
#include <stdarg.h>

bool report_anomaly(struct report *r, const char *format, ...)
{
    r->anomalies++;
    if (!r->out || r->anomalies > REPORT_TEXTS_MAX) {
        return false;
    }
    fputs("ANOMALY ", r->out);
    va_list args;
    va_start(args, format);
    vfprintf(r->out, format, args);
    va_end(args);
    fputc('\n', r->out);
    return true;
}

void report_line(struct report *r, const char *format, ...)
{
    if (!r->out) {
        return;
    }
    fputs("  ", r->out);
    va_list args;
    va_start(args, format);
    vfprintf(r->out, format, args);
    va_end(args);
    fputc('\n', r->out);
}

const char *report_value(uint64_t value)
{
    static char texts[4][32];
    static unsigned next;
    if (value == VALUE_ABSENT) {
        return "absent";
    }
    if (value == VALUE_FOREIGN) {
        return "a value nobody wrote";
    }
    char *text = texts[next++ % 4];
    snprintf(text, sizeof(texts[0]), "v%" PRIu64, value);
    return text;
}

static void print_op(FILE *out, const struct op *op)
{
    switch (op->kind) {
    case OP_READ:
        fprintf(out, " read k%d=%s", op->key, report_value(op->value));
        break;
    case OP_EXISTS:
        fprintf(out, " k%d %s", op->key, op->value ? "exists" : "is absent");
        break;
    case OP_COUNT:
        fprintf(out, " counted %" PRIu32, op->value);
        break;
    case OP_WRITE:
        fprintf(out, " set k%d=%s", op->key, report_value(op->value));
        break;
    case OP_DELETE:
        fprintf(out, " del k%d", op->key);
        break;
    default:
        fputs(" flush", out);
    }
}

static void print_outcome(FILE *out, const struct tx *t)
{
    if (t->outcome == TX_CONFLICT) {
        fputs("conflict", out);
    } else if (t->outcome == TX_ABORTED) {
        fputs("rolled back", out);
    } else if (t->seq == SEQ_UNKNOWN) {
        fputs("committed", out);
    } else if (t->seq == 0) {
        fputs("committed, nothing changed", out);
    } else {
        fprintf(out, "committed as %" PRIu64, t->seq);
    }
}

void report_tx(struct report *r, const struct history *h, size_t tx)
{
    static const char *const modes[] = {"no transaction", "plain", "serializable", "readonly"};
    if (!r->out) {
        return;
    }
    const struct tx *t = &h->txs[tx];
    fprintf(r->out, "  T%zu session %" PRIu32 " %s, begin t%" PRIu64 "-%" PRIu64 ", end t%" PRIu64 "-%" PRIu64, tx,
            t->session, modes[t->mode], t->begin_sent, t->begin_answered, t->end_sent, t->end_answered);
    if (t->snapshot != SEQ_UNKNOWN) {
        fprintf(r->out, ", snapshot %" PRIu64, t->snapshot);
    }
    fputc(':', r->out);
    for (size_t i = 0; i < t->op_count; i++) {
        print_op(r->out, &tx_ops(h, t)[i]);
    }
    fputs(" -> ", r->out);
    print_outcome(r->out, t);
    fputc('\n', r->out);
}
