/* A trace as rows of block characters:
 *   stage   tasks  0           10 s        20 s
 *   data        4  ██▄
 *   expert      3    ▄██████▄▄▄▄
 *   all cores 78%  █████████▄▄▄▄  */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/gantt.h"
#include "engine/cli/screen.h"
#include "engine/cli/units.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 24, COLUMNS_LEAST = 20 };

/* A text, cut and filled up to so many columns. */
static void put_cell(struct buf *out, const char *text, int columns)
{
    for (int used = screen_cut(text, columns, out); used < columns; used++)
        buf_putc(out, ' ');
}

/* Adds the cores that a bar holds, in each column the mean over its time. */
static void add_bar(const struct gantt *g, size_t i, double *column, int columns)
{
    const struct trace_bar *b = &g->trace->bar[i];
    double width = g->end / columns;
    for (int c = (int)fmin(b->start / width, columns - 1); c < columns && c * width < b->end; c++) {
        double from = fmax(b->start, c * width), to = fmin(b->end, (c + 1) * width);
        column[c] += to > from ? (to - from) / width * b->cores : 0;
    }
}

/* What is there at all shows. */
static void put_blocks(struct buf *out, const double *column, int columns, int cores)
{
    static const char *const block[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    int last = columns;
    while (last > 0 && !(column[last - 1] > 0))
        last--;
    for (int c = 0; c < last; c++) {
        int height = (int)lround(8 * column[c] / cores);
        buf_puts(out, block[column[c] > 0 ? (height < 1 ? 1 : height > 8 ? 8 : height) : 0]);
    }
    buf_putc(out, '\n');
}

/* Round times over the columns where they are. */
static void put_times(struct buf *out, double end, int columns)
{
    double step = gantt_step(end, columns > 28 ? columns / 14 : 2);
    int at = 0;
    for (int i = 0; i * step <= end; i++) {
        char text[UNITS_MAX] = "0";
        int column = (int)(i * step / end * columns);
        if (i)
            seconds_text(i * step, text);
        if (column < at || column + (int)strlen(text) > columns)
            continue;
        for (; at < column; at++)
            buf_putc(out, ' ');
        buf_puts(out, text);
        at += (int)strlen(text) + 1;
        buf_putc(out, ' ');
    }
    while (out->len && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    buf_putc(out, '\n');
}

void gantt_text(const struct gantt *g, int cores, int columns, struct buf *out)
{
    int name = (int)strlen("all cores");
    double held = 0;
    for (int i = 0; i < g->n_stages; i++) {
        int w = screen_width(g->stage[i].name);
        name = w > name ? w : name;
        held += g->stage[i].core_seconds;
    }
    name = name > NAME_MOST ? NAME_MOST : name;
    int n = columns - name - 9 > COLUMNS_LEAST ? columns - name - 9 : COLUMNS_LEAST;
    AUTO(mem) double *all = xcalloc((size_t)n, sizeof *all);
    AUTO(mem) double *of = xcalloc((size_t)n * ((size_t)g->n_stages + 1), sizeof *of);
    for (size_t i = 0; i < g->trace->n; i++) {
        add_bar(g, i, of + (size_t)n * (size_t)g->stage_of[i], n);
        add_bar(g, i, all, n);
    }
    put_cell(out, "stage", name);
    buf_puts(out, "  tasks  ");
    put_times(out, g->end, n);
    for (int i = 0; i < g->n_stages; i++) {
        put_cell(out, g->stage[i].name, name);
        buf_printf(out, "%7d  ", g->stage[i].bars);
        put_blocks(out, of + (size_t)n * (size_t)i, n, cores);
    }
    put_cell(out, "all cores", name);
    buf_printf(out, "%6.0f%%  ", 100 * held / (g->end * cores));
    put_blocks(out, all, n, cores);
}
