#include "engine/exec/fit.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>

#define LINE_POINTS 5   /* fewer say nothing of a line */
#define LINE_SPREAD 2.0 /* nor do such whose works differ by less than this factor */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double fit_median(double *x, int n)
{
    if (n <= 0)
        return 0;
    qsort(x, (size_t)n, sizeof *x, by_number);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

double fit_nearly_all(double *x, int n)
{
    if (n <= 0)
        return 0;
    qsort(x, (size_t)n, sizeof *x, by_number);
    return x[n - 1 - n / 10];
}

double fit_share(const struct fit *f, int cores)
{
    return f->serial + (1 - f->serial) / (cores > 1 ? cores : 1);
}

double fit_scale(const struct fit *f, double from, double to)
{
    return from > 0 && to > 0 ? (f->fixed + to) / (f->fixed + from) : 1;
}

/* s from a ratio of times at 1/x and 1/y cores, x > y: (s + (1 - s) x) / (s + (1 - s) y) = r. */
static double serial_of(double r, double x, double y)
{
    if (r <= 1)
        return 1;
    if (r >= x / y)
        return 0;
    return (x - r * y) / (r * (1 - y) - (1 - x));
}

/* Over all pairs of runs at different widths: of the same task, or of any two whose work is known. */
static double find_serial(const struct fit_point *p, int n, int without, bool same_task, double *x,
                          int *ret_n)
{
    int pairs = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++) {
            bool comparable = same_task ? p[i].task == p[k].task : p[i].work > 0 && p[k].work > 0;
            if (i == without || k == without || p[i].cores >= p[k].cores || !comparable)
                continue;
            double scale = p[i].work > 0 && p[k].work > 0 ? p[k].work / p[i].work : 1;
            x[pairs++] = serial_of(p[i].seconds * scale / p[k].seconds, 1.0 / p[i].cores, 1.0 / p[k].cores);
        }
    *ret_n = pairs;
    return fit_median(x, pairs);
}

static bool shows_line(const struct fit_point *p, int n, int without)
{
    double least = HUGE_VAL, most = 0;
    int points = 0;
    for (int i = 0; i < n; i++) {
        if (i == without)
            continue;
        least = fmin(least, p[i].work);
        most = fmax(most, p[i].work);
        points++;
    }
    return points >= LINE_POINTS && least > 0 && most >= LINE_SPREAD * least;
}

/* Theil and Sen's line through the times on one core, of which only the proportion counts. */
static double find_fixed(const struct fit *f, const struct fit_point *p, int n, int without, double *x)
{
    int pairs = 0, points = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            if (i != without && k != without && p[k].work > p[i].work * 1.05)
                x[pairs++] =
                    (p[k].seconds / fit_share(f, p[k].cores) - p[i].seconds / fit_share(f, p[i].cores)) /
                    (p[k].work - p[i].work);
    double slope = fit_median(x, pairs);
    for (int i = 0; i < n; i++)
        if (i != without)
            x[points++] = p[i].seconds / fit_share(f, p[i].cores) - slope * p[i].work;
    double at_none = fit_median(x, points), most = 0;
    for (int i = 0; i < n; i++)
        most = fmax(most, p[i].work);
    if (!(slope > 0)) /* the work makes no difference */
        return 1e6 * most;
    return at_none > 0 ? at_none / slope : 0;
}

void fit_points(const struct fit_point *p, int n, int without, struct fit *ret)
{
    AUTO(mem) double *x = xcalloc((size_t)n * (size_t)n + 1, sizeof *x);
    *ret = (struct fit){0};
    ret->serial = find_serial(p, n, without, true, x, &ret->pairs);
    if (!ret->pairs)
        ret->serial = find_serial(p, n, without, false, x, &ret->pairs);
    if (!ret->pairs)
        ret->serial = FIT_SERIAL;
    if (shows_line(p, n, without))
        ret->fixed = find_fixed(ret, p, n, without, x);
}
