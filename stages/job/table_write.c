/* A table as Markdown, CSV and JSON. */
#include "base/json.h"
#include "stages/job/table.h"
#include <math.h>
#include <string.h>

static const struct cell *cell_of(const struct table *t, int row, int column)
{
    return table_cell(t, t->row[row].system, t->column[column].domain);
}

/* ---- Markdown ---- */

/* A name as a Markdown cell. */
static void put_name(struct buf *b, const char *name)
{
    for (; *name; name++) {
        if (*name == '|' || *name == '\\')
            buf_putc(b, '\\');
        buf_putc(b, *name == '\n' || *name == '\r' ? ' ' : *name);
    }
}
static void put_value(struct buf *b, const struct table *t, const struct cell *c)
{
    int n = (int)t->p->decimals;
    if (c->runs == 0) {
        buf_puts(b, "–");
        return;
    }
    buf_printf(b, "%.*f", n, 100 * c->mean);
    if (!strcmp(t->p->cells, "interval") && c->sure)
        buf_printf(b, " [%.*f, %.*f]", n, 100 * c->at.low, n, 100 * c->at.high);
    else if (!strcmp(t->p->cells, "spread") && c->runs > 1)
        buf_printf(b, " ± %.*f (%d)", n, 100 * c->sd, c->runs);
}
static void put_difference(struct buf *b, const struct table *t, const struct cell *c)
{
    int n = (int)t->p->decimals;
    if (c->compared)
        buf_printf(b, "%+.*f [%+.*f, %+.*f]%s", n, 100 * c->difference, n, 100 * c->diff.low, n,
                   100 * c->diff.high, table_is_tie(c) ? " tie" : "");
    else
        buf_puts(b, "–");
}
static void markdown_grid(const struct table *t, struct buf *b,
                          void (*put)(struct buf *b, const struct table *t, const struct cell *c))
{
    buf_putc(b, '|');
    for (int h = 0; h < t->heads; h++) {
        buf_putc(b, ' ');
        put_name(b, t->head[h]);
        buf_puts(b, " |");
    }
    for (int k = 0; k < t->columns; k++) {
        buf_putc(b, ' ');
        put_name(b, t->column[k].label);
        buf_puts(b, " |");
    }
    buf_puts(b, "\n|");
    for (int h = 0; h < t->heads; h++)
        buf_puts(b, "---|");
    for (int k = 0; k < t->columns; k++)
        buf_puts(b, "---:|");
    for (int r = 0; r < t->rows; r++) {
        buf_puts(b, "\n|");
        for (int h = 0; h < t->heads; h++) {
            buf_putc(b, ' ');
            put_name(b, t->row[r].label[h]);
            buf_puts(b, " |");
        }
        for (int k = 0; k < t->columns; k++) {
            buf_putc(b, ' ');
            put(b, t, cell_of(t, r, k));
            buf_puts(b, " |");
        }
    }
    buf_putc(b, '\n');
}
void table_markdown(const struct table *t, struct buf *out)
{
    if (*t->p->title)
        buf_printf(out, "## %s\n\n", t->p->title);
    markdown_grid(t, out, put_value);
    if (table_has(t).differences) {
        buf_printf(out, "\nMinus %s, with intervals of %g %%; a tie: the interval holds 0.\n\n",
                   t->p->against, 100 * t->p->level);
        markdown_grid(t, out, put_difference);
    }
}

/* ---- CSV ---- */

static void put_text(struct buf *b, const char *text)
{
    bool plain = !text[strcspn(text, ",\"\n\r")];
    buf_puts(b, plain ? "" : "\"");
    for (; *text; text++) {
        if (*text == '"')
            buf_putc(b, '"');
        buf_putc(b, *text);
    }
    buf_puts(b, plain ? "" : "\"");
}
static void put_number(struct buf *b, const struct table *t, bool there, double x)
{
    buf_putc(b, ',');
    if (there)
        buf_printf(b, "%.*f", (int)t->p->decimals, 100 * x);
}
static void csv_head(const struct table *t, struct buf *b, const char *what)
{
    for (int k = 0; k < t->columns; k++) {
        char name[300];
        snprintf(name, sizeof name, "%s%s", t->column[k].label, what);
        buf_putc(b, ',');
        put_text(b, name);
    }
}
/* The columns of the table, then what more is known of each. */
void table_csv(const struct table *t, struct buf *out)
{
    struct table_has has = table_has(t);
    static const char *const more[] = {
        "", " sd", " low", " high", " difference", " difference low", " difference high"};
    const bool shown[] = {
        true, has.runs, has.intervals, has.intervals, has.differences, has.differences, has.differences};
    for (int h = 0; h < t->heads; h++) {
        buf_puts(out, h ? "," : "");
        put_text(out, t->head[h]);
    }
    for (int i = 0; i < 7; i++)
        if (shown[i])
            csv_head(t, out, more[i]);
    for (int r = 0; r < t->rows; r++) {
        buf_putc(out, '\n');
        for (int h = 0; h < t->heads; h++) {
            buf_puts(out, h ? "," : "");
            put_text(out, t->row[r].label[h]);
        }
        for (int i = 0; i < 7; i++)
            for (int k = 0; k < t->columns && shown[i]; k++) {
                const struct cell *c = cell_of(t, r, k);
                const double value[] = {c->mean,       c->sd,       c->at.low,   c->at.high,
                                        c->difference, c->diff.low, c->diff.high};
                const bool there[] = {c->runs > 0, c->runs > 1, c->sure,    c->sure,
                                      c->compared, c->compared, c->compared};
                put_number(out, t, there[i], value[i]);
            }
    }
    buf_putc(out, '\n');
}

/* ---- JSON ---- */

static json_t *row_json(const struct table *t, int r, int k)
{
    const struct cell *c = cell_of(t, r, k);
    const char *system = t->system.item[t->row[r].system], *label = t->row[r].label[0];
    int domain = t->column[k].domain;
    json_t *row = json_pack("{s:s, s:s, s:s, s:f, s:I}", "system", system, "domain",
                            domain < t->domain.n ? t->domain.item[domain] : TABLE_AVERAGE, "metric",
                            t->p->metric, "value", c->mean, "n", (json_int_t)c->n);
    if (t->heads > 1 || strcmp(label, system) != 0) {
        json_t *labels = json_array();
        for (int h = 0; h < t->heads; h++)
            json_array_append_new(labels, json_string(t->row[r].label[h]));
        json_object_set_new(row, "labels", labels);
    }
    if (c->runs > 1) {
        json_object_set_new(row, "sd", json_real(c->sd));
        json_object_set_new(row, "runs", json_integer(c->runs));
    }
    if (c->sure)
        json_object_set_new(row, "interval", json_pack("[f, f]", c->at.low, c->at.high));
    if (c->compared) {
        json_object_set_new(row, "difference", json_real(c->difference));
        json_object_set_new(row, "difference_interval", json_pack("[f, f]", c->diff.low, c->diff.high));
        json_object_set_new(row, "tie", json_boolean(table_is_tie(c)));
    }
    return row;
}
json_t *table_json(const struct table *t)
{
    json_t *rows = json_array(), *o = json_pack("{s:o}", "rows", rows);
    struct table_has has = table_has(t);
    if (*t->p->title)
        json_object_set_new(o, "title", json_string(t->p->title));
    if (has.intervals)
        json_object_set_new(o, "level", json_real(t->p->level));
    if (has.differences)
        json_object_set_new(o, "against", json_string(t->p->against));
    for (int r = 0; r < t->rows; r++)
        for (int k = 0; k < t->columns; k++)
            if (cell_of(t, r, k)->runs > 0)
                json_array_append_new(rows, row_json(t, r, k));
    return o;
}
