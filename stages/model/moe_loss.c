/* The losses of moe_loss.h and their gradients. With n = rows of the whole batch times L:
 *   balance  dpi_e = E c_e f_e / n, through the softmax: dx_e = pi_e (dpi_e - sum_j pi_j dpi_j)
 *   z        dx_e = 2 (log sum exp x) pi_e / n
 *   domain   dx_e = ((sum_j q_j) pi_e - q_e) / n
 * Values are added row by row in double, whatever the threads. */
#include "stages/model/moe_loss.h"
#include "stages/model/moe_parts.h"
#include <math.h>
#include <string.h>

bool moe_loss_active(const struct pass *p)
{
    for (int i = 0; p->loss && i < MOE_LOSSES; i++)
        if (p->loss->weight[i] != 0)
            return true;
    return false;
}
void moe_loss_count(const struct pass *p, int layer, const struct moe_route *r)
{
    if (!p->loss || !p->loss->count)
        return;
    double *count = p->loss->count + layer * r->experts;
    for (int64_t k = r->scored; k < r->experts; k++)
        count[k] += (double)(r->first[k + 1] - r->first[k]);
}
float moe_loss_lse(const float *x, int64_t n)
{
    double max = -INFINITY, sum = 0;
    for (int64_t k = 0; k < n; k++)
        max = (double)x[k] > max ? (double)x[k] : max;
    for (int64_t k = 0; k < n; k++)
        sum += exp((double)x[k] - max);
    return (float)(max + log(sum));
}

/* slope (K) = E c_e f_e */
static void balance_slope(const struct moe_loss *loss, int layer, const struct moe_route *r, double *slope)
{
    int64_t n = r->experts, visits = r->first[n] - r->first[r->scored];
    for (int64_t k = r->scored; k < n; k++) {
        double f =
            loss->load ? loss->load[layer * n + k] : (double)(r->first[k + 1] - r->first[k]) / (double)visits;
        slope[k] = (double)(n - r->scored) * (loss->coefficient ? loss->coefficient[k] : 1) * f;
    }
}
/* Row i of sequence b: += into its values, dx += scale of each times its gradient. */
static void row_backward(const struct moe_loss *loss, const struct moe_route *r, int64_t i, int64_t b,
                         const double *slope, double scale, double *value, float *dx)
{
    int64_t n = r->experts;
    const float *pi = r->prob + i * n, *q = loss->target ? loss->target + b * n : NULL;
    double along = 0, cross = 0, known = 0;
    for (int64_t k = 0; k < n; k++) {
        along += slope[k] * (double)pi[k];
        cross -= q && q[k] > 0 ? (double)q[k] * log(fmax((double)pi[k], 1e-37)) : 0;
        known += q ? (double)q[k] : 0;
    }
    double lse = r->lse ? (double)r->lse[i] : 0;
    value[MOE_LOSS_BALANCE] += along;
    value[MOE_LOSS_Z] += lse * lse;
    value[MOE_LOSS_DOMAIN] += cross;
    for (int64_t k = 0; k < n; k++) {
        double p = (double)pi[k], sum = loss->weight[MOE_LOSS_BALANCE] * p * (slope[k] - along);
        sum += loss->weight[MOE_LOSS_Z] * 2 * lse * p;
        sum += loss->weight[MOE_LOSS_DOMAIN] * (known * p - (q ? (double)q[k] : 0));
        dx[k] += (float)(scale * sum);
    }
}
bool moe_loss_backward(const struct pass *p, int layer, const struct moe_route *r, float *dx,
                       struct error *err)
{
    struct moe_loss *loss = p->loss;
    double value[MOE_LOSSES] = {0}, scale = 1 / ((double)(loss->sequences * r->t) * (double)loss->layers);
    double *slope = arena_try(p->arena, (size_t)r->experts * sizeof *slope);
    if (!slope)
        return moe_no_memory(err);
    if (loss->weight[MOE_LOSS_BALANCE] != 0)
        balance_slope(loss, layer, r, slope);
    for (int64_t i = 0; i < r->rows; i++)
        row_backward(loss, r, i, i / r->t, slope, scale, value, dx + i * r->experts);
    for (int k = 0; k < MOE_LOSSES; k++)
        if (loss->weight[k] != 0)
            loss->value[k] += scale * value[k];
    return true;
}
