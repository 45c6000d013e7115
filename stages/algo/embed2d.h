/* Points of many dimensions on a plane, for pictures: principal components, and exact t-SNE (van der Maaten
 * and Hinton 2008). Pure functions of their arguments, whatever the number of threads. */
#ifndef STAGES_ALGO_EMBED2D_H
#define STAGES_ALGO_EMBED2D_H
#include "base/arena.h"
#include "base/error.h"

/* x (n,d) -> y (n,2), the two components of largest variance; the loading of largest size is positive. */
bool embed2d_pca(const float *x, int64_t n, int64_t d, struct arena *a, double *y,
                 struct error *err) MUST_CHECK;

struct tsne_options {
    double perplexity; /* the effective number of neighbours, below n / 3 */
    int64_t iterations;
    void (*progress)(void *arg, int64_t done, int64_t total); /* may be NULL */
    void *arg;
};
/* x (n,d) -> y (n,2), O(n^2) time an iteration and memory. Starts from the principal components, as
 * scikit-learn does. *ret_kl: the divergence that was reached. */
bool embed2d_tsne(const float *x, int64_t n, int64_t d, const struct tsne_options *o, struct arena *a,
                  double *y, double *ret_kl, struct error *err) MUST_CHECK;
#endif
