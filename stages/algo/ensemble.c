#include "stages/algo/ensemble.h"
#include <math.h>
#include <stdbool.h>

/* x (n) -> softmax(x), in place. */
static void softmax(double *x, int64_t n)
{
    double top = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - top);
    for (int64_t i = 0; i < n; i++)
        x[i] /= sum;
}
void ensemble_mean(enum ensemble_mean mean, const float *const *logits, const double *weight, int k,
                   int64_t n, double *room, double *ret)
{
    for (int64_t i = 0; i < n; i++)
        ret[i] = 0;
    for (int p = 0; p < k; p++) {
        for (int64_t i = 0; i < n; i++)
            room[i] = (double)logits[p][i];
        if (mean == ENSEMBLE_PROBABILITY)
            softmax(room, n);
        for (int64_t i = 0; i < n; i++)
            ret[i] += weight[p] * room[i];
    }
    if (mean == ENSEMBLE_LOGIT)
        softmax(ret, n);
}
/* Is score p one of the `top` best? */
static bool among(const double *score, int k, int top, int p)
{
    int better = 0;
    for (int q = 0; q < k; q++)
        better += score[q] > score[p] || (score[q] == score[p] && q < p);
    return better < top;
}
void ensemble_posterior(const double *score, int k, int top, double *ret)
{
    double most = score[0], sum = 0;
    for (int p = 1; p < k; p++)
        most = score[p] > most ? score[p] : most;
    for (int p = 0; p < k; p++)
        sum += ret[p] = among(score, k, top, p) ? exp(score[p] - most) : 0;
    for (int p = 0; p < k; p++)
        ret[p] /= sum;
}
