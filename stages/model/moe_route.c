/* The router: context, scores, probabilities, selection, weights. With s = z.e and v = c.e (one product a row
 * and one a sequence), zt.e = (1-l) s + l v: zt itself is never made.
 *   x_k = ((1-l) s_k + l v_k + b_k + min(n_k,0)) / temperature      pi = softmax(x)
 *   raw, soft, smear: w = pi      renorm, straight: w = softmax over the selected x
 * Class tokens may have an e and a b of their own: they are the first row of each sequence. */
#include "stages/model/moe_loss.h"
#include "stages/model/moe_parts.h"
#include "stages/tensor/gemm.h"
#include <math.h>
#include <string.h>

bool moe_no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a mixture of experts: use smaller batches");
}
bool moe_check(const struct moe *m, struct error *err)
{
    bool vector = moe_context_is_vector(m), whole = m->gate == MOE_GATE_SOFT || m->gate == MOE_GATE_SMEAR;
    const char *why = NULL;
    if (!whole && m->top_k > m->experts - moe_first_scored(m))
        return error_set(err, NULL, ERROR_INPUT, "'top_k' is %d, but there are %lld experts to select from",
                         m->top_k, (long long)(m->experts - moe_first_scored(m)));
    if (m->gate == MOE_GATE_SMEAR && !vector)
        why = "the gate smear mixes one expert a sequence: its context must be self, seed, class or patches";
    if (m->gate == MOE_GATE_SMEAR && m->shared)
        why = "the gate smear mixes all experts into one: the seed's cannot be shared beside it";
    if (m->gate == MOE_GATE_SMEAR && m->class_router.w)
        why = "the gate smear routes sequences: class tokens have no rows of their own";
    if (m->shared == MOE_SHARED_REST && m->gate != MOE_GATE_RAW)
        why =
            "the seed's expert takes what the gate raw leaves; with other gates the weights sum to 1 already";
    if (m->class_router.w && !vector)
        why = "rows of their own for class tokens need a context that is one vector a sequence";
    if (m->class_bias.w && !m->class_router.w)
        why = "class tokens have a bias of their own, but no rows";
    if (m->balance.w && whole)
        why = "a bias of the selection does nothing where every token visits all experts";
    return !why || error_set(err, NULL, ERROR_INPUT, "%s", why);
}
static float clamped(const struct moe *m)
{
    float l = m->lambda.w[0];
    return m->gate == MOE_GATE_SMEAR ? 1 : l < 0 ? 0 : l > 1 ? 1 : l;
}

/* ---- selection and weights ---- */
/* The highest `slots` of x (K) from expert `from` on, ties to the lower index: pair 0 for those, -1 for
 * others; experts before are selected anyway. */
static void select_row(const float *x, int64_t from, int64_t experts, int64_t slots, int64_t *pair)
{
    for (int64_t k = 0; k < experts; k++)
        pair[k] = k < from ? 0 : -1;
    for (int64_t s = from; s < slots; s++) {
        int64_t best = -1;
        for (int64_t k = from; k < experts; k++)
            if (pair[k] < 0 && (best < 0 || x[k] > x[best]))
                best = k;
        pair[best] = 0;
    }
}
/* weight: softmax of x over the selected from expert `from` on. */
static void renormalise(const float *x, int64_t from, int64_t experts, const int64_t *pair, float *weight)
{
    float top = -INFINITY, sum = 0;
    for (int64_t k = from; k < experts; k++)
        if (pair[k] >= 0 && x[k] > top)
            top = x[k];
    for (int64_t k = from; k < experts; k++)
        sum += weight[k] = pair[k] < 0 ? 0 : expf(x[k] - top);
    for (int64_t k = from; k < experts; k++)
        weight[k] /= sum;
}
/* to = softmax(x) + balance: by what is selected where there is a bias for it. */
static void balanced(const struct moe *m, const float *x, int64_t from, int64_t n, float *to)
{
    float lse = moe_loss_lse(x + from, n - from);
    for (int64_t k = from; k < n; k++)
        to[k] = expf(x[k] - lse) + m->balance.w[k];
}
static void shared_weight(const struct moe *m, const struct moe_route *r, int64_t i)
{
    float *w = r->weight + i * r->experts, sum = 0;
    for (int64_t k = 1; k < r->experts; k++)
        sum += w[k];
    w[0] = m->shared == MOE_SHARED_ADDED ? 1 : 1 - sum;
}
/* prob holds x on entry. */
static void gate_rows(const struct moe *m, struct moe_route *r)
{
    int64_t n = r->experts, from = r->scored;
    bool renorm = m->gate == MOE_GATE_RENORM || m->gate == MOE_GATE_STRAIGHT;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < r->rows; i++) {
        const float *x = r->prob + i * n;
        float *w = r->weight + i * n;
        if (m->balance.w)
            balanced(m, x, from, n, w);
        select_row(m->balance.w ? w : x, from, n, r->slots, r->pair + i * n);
        if (renorm)
            renormalise(x, from, n, r->pair + i * n, w);
        if (r->lse)
            r->lse[i] = moe_loss_lse(x, n);
    }
    softmax_rows(r->prob, r->rows, n);
    for (int64_t i = 0; from && i < r->rows; i++)
        r->prob[i * n] = 0;
    for (int64_t i = 0; !renorm && i < r->rows * n; i++)
        r->weight[i] = r->pair[i] < 0 ? 0 : r->prob[i];
    for (int64_t i = 0; from && i < r->rows; i++)
        shared_weight(m, r, i);
}
static void number_pairs(struct moe_route *r)
{
    int64_t n = r->experts, next = 0;
    for (int64_t k = 0; k < n; k++) {
        r->first[k] = next;
        for (int64_t i = 0; i < r->rows; i++)
            if (r->pair[i * n + k] >= 0) {
                r->row[next] = i;
                r->pair[i * n + k] = next++;
            }
    }
    r->first[n] = next;
}

/* ---- scores ---- */
/* score (R,K) = z.e, and where class tokens have their own e, that of every first row. */
static void score_rows(const struct moe *m, int64_t batch, const float *z, struct moe_route *r)
{
    int64_t n = r->experts, c = r->width, t = r->t;
    gemm(false, true, r->rows, n, c, 1, z, c, m->router.w, c, 0, r->score, n);
    if (m->class_router.w)
        gemm(false, true, batch, n, c, 1, z, t * c, m->class_router.w, c, 0, r->score, t * n);
}
/* context_score (R,K) of one vector a sequence. */
static bool score_context(const struct moe *m, const struct pass *p, struct moe_route *r, struct error *err)
{
    int64_t n = r->experts, c = r->width, t = r->t, batch = p->batch;
    float *v = arena_floats(p->arena, batch * n);
    if (!v)
        return moe_no_memory(err);
    gemm(false, true, batch, n, c, 1, r->context, c, m->router.w, c, 0, v, n);
    for (int64_t i = 0; i < r->rows; i++)
        memcpy(r->context_score + i * n, v + i / t * n, (size_t)n * sizeof *v);
    if (m->class_router.w)
        gemm(false, true, batch, n, c, 1, r->context, c, m->class_router.w, c, 0, r->context_score, t * n);
    return true;
}
/* prob = x */
static void blend(const struct moe *m, struct moe_route *r)
{
    int64_t n = r->experts;
    for (int64_t i = 0; i < r->rows; i++) {
        const float *b = m->class_router.w && i % r->t == 0 ? m->class_bias.w : m->bias.w;
        for (int64_t k = 0; k < n; k++) {
            float s = m->gate == MOE_GATE_SMEAR ? 0 : r->score[i * n + k];
            float x = (1 - r->l) * s + r->l * r->context_score[i * n + k];
            if (m->negative.w)
                x += m->negative.w[k] < 0 ? m->negative.w[k] : 0;
            r->prob[i * n + k] = k < r->scored ? -INFINITY : (x + (b ? b[k] : 0)) / m->temperature;
        }
    }
}
static bool route_alloc(const struct moe *m, const struct pass *p, int64_t t, struct moe_route *r,
                        struct error *err)
{
    struct arena *a = p->arena;
    bool smear = m->gate == MOE_GATE_SMEAR, all = smear || m->gate == MOE_GATE_SOFT;
    int64_t k = m->experts, from = moe_first_scored(m), slots = m->top_k + from,
            n = p->batch * (smear ? 1 : t);
    bool lse = p->train && p->loss && p->loss->weight[MOE_LOSS_Z] != 0;
    *r = (struct moe_route){.rows = n,
                            .t = smear ? 1 : t,
                            .width = p->width,
                            .experts = k,
                            .scored = from,
                            .slots = all || slots >= k ? k : slots,
                            .l = clamped(m)};
    r->score = arena_floats(a, n * k);
    r->context_score = arena_floats(a, n * k);
    r->prob = arena_floats(a, n * k);
    r->weight = arena_floats(a, n * k);
    r->pair = arena_try(a, (size_t)(n * k) * sizeof *r->pair);
    r->first = arena_try(a, (size_t)(k + 1) * sizeof *r->first);
    r->row = arena_try(a, (size_t)(n * r->slots) * sizeof *r->row);
    r->lse = lse ? arena_floats(a, n) : NULL;
    return ((!lse || r->lse) && r->score && r->context_score && r->prob && r->weight && r->pair && r->first &&
            r->row) ||
           moe_no_memory(err);
}
bool moe_route(const struct moe *m, const struct pass *p, int layer, int64_t t, const float *z,
               const float *z_all, struct moe_route *r, struct error *err)
{
    if (!route_alloc(m, p, t, r, err))
        return false;
    r->which = moe_context_tokens(m, p, t, z_all != z || t == p->t);
    if (m->gate != MOE_GATE_SMEAR)
        score_rows(m, p->batch, z, r);
    if (!moe_context_is_vector(m))
        moe_context_scores(m, r->score, p->batch, t, r->experts, r->context_score);
    else if (!moe_context_vector(m, p, layer, z_all, r->which, &r->context, err) ||
             !score_context(m, p, r, err))
        return false;
    blend(m, r);
    gate_rows(m, r);
    number_pairs(r);
    moe_loss_count(p, layer, r);
    return true;
}
