#include "engine/cli/scale.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/svg.h"
#include "engine/cli/sweep_impl.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AS_THEY_ARE = 10 }; /* so many different numbers are the ticks themselves */

double scale_place(const struct scale *s, double x)
{
    if (!isfinite(x))
        return NAN;
    if (s->hi == s->lo)
        return 0.5;
    return s->log ? log(x / s->lo) / log(s->hi / s->lo) : (x - s->lo) / (s->hi - s->lo);
}

static void add_tick(struct scale *s, double at, const char *text)
{
    s->tick = xrealloc(s->tick, (size_t)(s->n_ticks + 1) * sizeof *s->tick);
    s->tick[s->n_ticks++] = (struct tick){.at = at, .text = xstrdup(text)};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The finite ones, sorted, each once; returns how many. */
static int distinct(const double *number, int n, double *ret)
{
    int count = 0, kept = 0;
    for (int i = 0; i < n; i++)
        if (isfinite(number[i]))
            ret[count++] = number[i];
    qsort(ret, (size_t)count, sizeof *ret, compare);
    for (int i = 0; i < count; i++)
        if (kept == 0 || ret[i] != ret[kept - 1])
            ret[kept++] = ret[i];
    return kept;
}

/* Steps of 1, 2 or 5 times a power of ten, about six of them. */
static void linear_ticks(struct scale *s)
{
    double rough = (s->hi - s->lo) / 6, ten = pow(10, floor(log10(rough)));
    double step = rough <= ten ? ten : rough <= 2 * ten ? 2 * ten : rough <= 5 * ten ? 5 * ten : 10 * ten;
    double first = ceil(s->lo / step - 1e-9);
    for (int i = 0; i < 20 && (first + i) * step <= s->hi + 1e-9 * step; i++)
        add_tick(s, scale_place(s, (first + i) * step), sweep_short((first + i) * step + 0.0).s);
}

static void log_ticks(struct scale *s)
{
    for (int e = (int)ceil(log10(s->lo) - 1e-9); e <= log10(s->hi) + 1e-9; e++)
        add_tick(s, scale_place(s, pow(10, e)), sweep_short(pow(10, e)).s);
}

void scale_numbers(struct scale *s, const double *number, int n, double margin)
{
    AUTO(mem) double *value = xcalloc((size_t)n + 1, sizeof *value);
    int k = distinct(number, n, value);
    *s = (struct scale){.at = xcalloc((size_t)n + 1, sizeof *s->at)};
    if (k > 0) {
        s->log = value[0] > 0 && value[k - 1] / value[0] > 100;
        double by = s->log ? pow(value[k - 1] / value[0], margin) : (value[k - 1] - value[0]) * margin;
        s->lo = s->log ? value[0] / by : value[0] - by;
        s->hi = s->log ? value[k - 1] * by : value[k - 1] + by;
    }
    for (int i = 0; i < n; i++)
        s->at[i] = scale_place(s, number[i]);
    if (k <= AS_THEY_ARE)
        for (int i = 0; i < k; i++)
            add_tick(s, scale_place(s, value[i]), sweep_short(value[i]).s);
    else if (s->log)
        log_ticks(s);
    else
        linear_ticks(s);
}

void scale_texts(struct scale *s, const char *const *text, int n)
{
    *s = (struct scale){.at = xcalloc((size_t)n + 1, sizeof *s->at)};
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < s->n_ticks && strcmp(s->tick[k].text, text[i]) != 0)
            k++;
        if (k == s->n_ticks)
            add_tick(s, 0, text[i]);
        s->at[i] = k;
    }
    for (int i = 0; i < n; i++)
        s->at[i] = s->n_ticks > 1 ? s->at[i] / (s->n_ticks - 1) : 0.5;
    for (int k = 0; k < s->n_ticks; k++)
        s->tick[k].at = s->n_ticks > 1 ? (double)k / (s->n_ticks - 1) : 0.5;
}

/* Pixels that two labels need between their middles. */
static double room(const struct tick *a, const struct tick *b, bool horizontal, double most)
{
    return horizontal ? (fmin(svg_width(a->text), most) + fmin(svg_width(b->text), most)) / 2 + 8 : 15;
}

void scale_thin(struct scale *s, double pixels, bool horizontal, double most)
{
    if (s->n_ticks == 0)
        return;
    struct tick *t = s->tick, *last = t + s->n_ticks - 1, *shown = t;
    for (int i = 1; i < s->n_ticks; i++) {
        bool near = (t[i].at - shown->at) * pixels < room(shown, &t[i], horizontal, most);
        bool end = &t[i] != last && (last->at - t[i].at) * pixels < room(last, &t[i], horizontal, most);
        t[i].hidden = &t[i] == last ? near : near || end;
        shown = t[i].hidden ? shown : &t[i];
    }
}

void scale_done(struct scale *s)
{
    for (int i = 0; i < s->n_ticks; i++)
        free(s->tick[i].text);
    free(s->tick);
    free(s->at);
    *s = (struct scale){0};
}
