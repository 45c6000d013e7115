/* Robust fits of what a stage's runs took: medians throughout, so that a few runs disturbed by other work on
 * the machine change nothing. Pure. The law: a run of work w on p cores takes g(w) (s + (1 - s) / p) seconds,
 * s the serial share; g(w) is proportional to the work or, where the runs show it, a line. */
#ifndef ENGINE_EXEC_FIT_H
#define ENGINE_EXEC_FIT_H
#include <stdbool.h>

struct fit_point { /* one run */
    double seconds;
    int cores;
    double work; /* in any unit, the same for all; 0: not known */
    int task;    /* equal for runs of one task */
};
struct fit {
    double serial; /* s */
    int pairs;     /* of runs at different widths that it is the median of; 0: it is FIT_SERIAL */
    double fixed;  /* g(w) ~ fixed + w */
};
/* The serial share of a stage that ran at one width only: docs/scheduling.md has the measurement. */
#define FIT_SERIAL 0.25
/* The n points but number `without` (-1: all of them). */
void fit_points(const struct fit_point *p, int n, int without, struct fit *ret);
/* Seconds on `cores` cores as a part of those on one. */
double fit_share(const struct fit *f, int cores);
/* g(to) / g(from); 1 where either is not known. */
double fit_scale(const struct fit *f, double from, double to);
/* Sorts x; 0 of nothing. */
double fit_median(double *x, int n);
/* The least of x that no more than one in ten are above. Sorts x; 0 of nothing. */
double fit_nearly_all(double *x, int n);
#endif
