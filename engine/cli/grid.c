#include "engine/cli/grid.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

void grid_put(struct grid *g, const char *text)
{
    g->cell = xgrow(g->cell, &g->cap, g->n + 1, sizeof *g->cell);
    g->cell[g->n++] = xstrdup(text);
}

void grid_done(struct grid *g)
{
    for (size_t i = 0; i < g->n; i++)
        free(g->cell[i]);
    free(g->cell);
    *g = (struct grid){0};
}

/* ---- Markdown ---- */
/* What would end the cell or start markup. */
static void put_escaped(struct buf *b, const char *s)
{
    for (; *s; s++) {
        if (*s == '\n' || *s == '\r') {
            buf_putc(b, ' ');
            continue;
        }
        if (strchr("\\|*`<", *s))
            buf_putc(b, '\\');
        buf_putc(b, *s);
    }
}

static int characters(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += (*s & 0xC0) != 0x80; /* not a UTF-8 continuation */
    return n;
}

/* A number, or "mean ± sd". */
static bool is_number(const char *s)
{
    char *end;
    strtod(s, &end);
    return end != s && (*end == '\0' || strncmp(end, " ± ", 4) == 0);
}

struct column {
    int width;
    bool right;
};

static struct column measure(const struct grid *g, int column)
{
    struct column c = {.width = 3, .right = true};
    for (size_t i = (size_t)column; i < g->n; i += (size_t)g->columns) {
        AUTO(buf) struct buf text = {0};
        put_escaped(&text, g->cell[i]);
        int n = characters(buf_str(&text));
        c.width = n > c.width ? n : c.width;
        if (i >= (size_t)g->columns && g->cell[i][0] && !is_number(g->cell[i]))
            c.right = false;
    }
    return c;
}

static void put_cell(struct buf *out, const char *s, const struct column *c)
{
    AUTO(buf) struct buf text = {0};
    put_escaped(&text, s);
    int pad = c->width - characters(buf_str(&text));
    buf_printf(out, "| %*s%s%*s ", c->right ? pad : 0, "", buf_str(&text), c->right ? 0 : pad, "");
}

static void put_rule(struct buf *out, const struct column *column, int n)
{
    for (int i = 0; i < n; i++) {
        buf_puts(out, "| ");
        for (int k = 0; k < column[i].width - column[i].right; k++)
            buf_putc(out, '-');
        buf_puts(out, column[i].right ? ": " : " ");
    }
    buf_puts(out, "|\n");
}

void grid_markdown(const struct grid *g, struct buf *out)
{
    AUTO(mem) struct column *column = xcalloc((size_t)g->columns + 1, sizeof *column);
    for (int i = 0; i < g->columns; i++)
        column[i] = measure(g, i);
    for (size_t i = 0; i < g->n; i++) {
        int at = (int)(i % (size_t)g->columns);
        put_cell(out, g->cell[i], &column[at]);
        if (at < g->columns - 1)
            continue;
        buf_puts(out, "|\n");
        if (i < (size_t)g->columns)
            put_rule(out, column, g->columns);
    }
}

/* ---- CSV ---- */
static void put_field(struct buf *out, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        buf_puts(out, s);
        return;
    }
    buf_putc(out, '"');
    for (; *s; s++) {
        if (*s == '"')
            buf_putc(out, '"');
        buf_putc(out, *s);
    }
    buf_putc(out, '"');
}

void grid_csv(const struct grid *g, struct buf *out)
{
    for (size_t i = 0; i < g->n; i++) {
        put_field(out, g->cell[i]);
        buf_puts(out, (i + 1) % (size_t)g->columns ? "," : "\r\n");
    }
}
