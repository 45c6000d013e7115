/* Greedy DPP against stored cases: order, gains, log dets, the small ones also against every subset. */
#include "stages/algo/dpp.h"
#include "tests/golden/oracle.h"
#include <math.h>

struct items {
    int64_t n, d, m;
    const float *x, *r;
};
static double *doubles(struct oracle_case *c, int64_t n)
{
    return arena_alloc(&c->arena, (size_t)(n > 0 ? n : 1) * sizeof(double));
}

/* (n,n): L_ij = cos(x_i, x_j), times r_i r_j when weighted. */
static double *kernel(struct oracle_case *c, const struct items *it, bool weighted)
{
    int64_t n = it->n, d = it->d;
    double *unit = doubles(c, n * d), *l = doubles(c, n * n);
    for (int64_t i = 0; i < n; i++) {
        double s = 0;
        for (int64_t k = 0; k < d; k++)
            s += (double)it->x[i * d + k] * it->x[i * d + k];
        for (int64_t k = 0; k < d; k++)
            unit[i * d + k] = it->x[i * d + k] / sqrt(s);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double s = 0;
            for (int64_t k = 0; k < d; k++)
                s += unit[i * d + k] * unit[j * d + k];
            l[i * n + j] = weighted ? s * it->r[i] * it->r[j] : s;
        }
    return l;
}
/* log det of a symmetric positive (m,m) matrix by Cholesky, in place. */
static double logdet(double *a, int64_t m)
{
    double sum = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++) {
            double v = a[i * m + j];
            for (int64_t k = 0; k < j; k++)
                v -= a[i * m + k] * a[j * m + k];
            a[i * m + j] = i == j ? sqrt(v) : v / a[j * m + j];
            if (i == j)
                sum += log(v);
        }
    return sum;
}
/* log det of the kernel of the items `set` alone. */
static double logdet_of(struct oracle_case *c, const struct items *it, const int64_t *set, int64_t m,
                        bool weighted)
{
    struct arena_mark mark = arena_mark(&c->arena);
    float *x = arena_floats(&c->arena, m * it->d), *r = arena_floats(&c->arena, m);
    for (int64_t i = 0; i < m; i++) {
        memcpy(x + i * it->d, it->x + set[i] * it->d, (size_t)it->d * sizeof *x);
        r[i] = it->r[set[i]];
    }
    struct items sub = {m, it->d, m, x, r};
    double v = logdet(kernel(c, &sub, weighted), m);
    arena_release(&c->arena, mark);
    return v;
}

static bool next_subset(int64_t *set, int64_t m, int64_t n)
{
    for (int64_t i = m; i-- > 0;)
        if (set[i] < n - m + i) {
            set[i]++;
            for (int64_t j = i + 1; j < m; j++)
                set[j] = set[j - 1] + 1;
            return true;
        }
    return false;
}
/* Every subset of size m in lexicographic order. */
static void check_subsets(struct oracle_case *c, const struct items *it, double greedy)
{
    const struct tensor *want = oracle_expected(c, "all_subsets");
    if (!want)
        return;
    int64_t count = want->shape[0], m = it->m, seen = 0, best = 0;
    int64_t *all = arena_alloc(&c->arena, (size_t)(count * m) * sizeof *all);
    int64_t *set = arena_alloc(&c->arena, (size_t)m * sizeof *set);
    double *value = doubles(c, count);
    for (int64_t i = 0; i < m; i++)
        set[i] = i;
    do {
        if (seen == count) {
            oracle_fail(c, "more than %lld subsets", (long long)count);
            return;
        }
        memcpy(all + seen * m, set, (size_t)m * sizeof *set);
        value[seen] = logdet_of(c, it, set, m, true);
        if (value[seen] > value[best])
            best = seen;
        seen++;
    } while (next_subset(set, m, it->n));
    oracle_check_ints(c, "all_subsets", all, seen * m);
    oracle_check_double(c, "all_logdets", value, seen);
    oracle_check_ints(c, "best_set", all + best * m, m);
    oracle_check_scalar(c, "best_logdet", value[best]);
    if (greedy > value[best] + 1e-9)
        oracle_fail(c, "greedy's log det %.12g is above the best subset's %.12g", greedy, value[best]);
}
static void check_kernel(struct oracle_case *c, const struct items *it)
{
    int64_t n = it->n;
    if (oracle_expected(c, "L"))
        oracle_check_double(c, "L", kernel(c, it, false), n * n);
    if (!oracle_expected(c, "K"))
        return;
    double *k = kernel(c, it, true);
    oracle_check_double(c, "K", k, n * n);
    for (int64_t i = 0; i < n; i++)
        k[i * n + i] += 1;
    oracle_check_scalar(c, "log_normaliser", logdet(k, n));
}
static void check_top(struct oracle_case *c, const struct items *it)
{
    if (!oracle_has_scalar(c, "logdet_of_top_r"))
        return;
    int64_t *top = arena_alloc(&c->arena, (size_t)it->m * sizeof *top), count = 0;
    for (int64_t i = 0; i < it->n; i++) { /* insertion into the m best, equal ones in index order */
        int64_t at = count < it->m ? count++ : it->m;
        for (; at > 0 && it->r[top[at - 1]] < it->r[i]; at--)
            if (at < it->m)
                top[at] = top[at - 1];
        if (at < it->m)
            top[at] = i;
    }
    oracle_check_scalar(c, "logdet_of_top_r", logdet_of(c, it, top, it->m, true));
}

/* What holds for any fill: no item twice, every number finite, the determined part first. */
static void check_fill(struct oracle_case *c, const struct items *it, enum dpp_fill fill,
                       const struct dpp_result *stop)
{
    struct dpp_result r;
    struct error err = {0};
    if (!oracle_ok(c, dpp_greedy(it->x, it->r, it->n, it->d, it->m, fill, &c->arena, &r, &err), &err))
        return;
    if (r.picked != it->m)
        oracle_fail(c, "fill %d picked %lld of %lld", (int)fill, (long long)r.picked, (long long)it->m);
    if (r.determined != stop->determined ||
        memcmp(r.order, stop->order, (size_t)stop->picked * sizeof *r.order) != 0)
        oracle_fail(c, "fill %d changes the determined choices", (int)fill);
    bool *taken = arena_alloc(&c->arena, (size_t)it->n);
    memset(taken, 0, (size_t)it->n);
    for (int64_t i = 0; i < r.picked; i++) {
        int64_t j = r.order[i];
        if (j < 0 || j >= it->n || taken[j])
            oracle_fail(c, "fill %d: item %lld is no item, or chosen twice", (int)fill, (long long)j);
        else
            taken[j] = true;
        if (!isfinite(r.gain[i]))
            oracle_fail(c, "fill %d: gain %lld is not finite", (int)fill, (long long)i);
    }
}
/* Both of a pair of same directions: never. */
static void check_pairs(struct oracle_case *c, const struct dpp_result *r)
{
    size_t at;
    json_t *pair;
    json_array_foreach(json_object_get(c->json, "pairs"), at, pair)
    {
        int found = 0;
        for (int64_t i = 0; i < r->picked; i++)
            found += r->order[i] == json_integer_value(json_array_get(pair, 0)) ||
                     r->order[i] == json_integer_value(json_array_get(pair, 1));
        if (found > 1)
            oracle_fail(c, "both items of pair %d were chosen", (int)at);
    }
}
/* The order, where the twin of an expected item that is as relevant counts as that item: equally good. */
static void check_order(struct oracle_case *c, const struct items *it, const struct dpp_result *r)
{
    const struct tensor *want = oracle_expected(c, "order");
    const int64_t *expected = want ? tensor_ints(want, &c->arena) : NULL;
    int64_t *order = arena_alloc(&c->arena, (size_t)r->picked * sizeof *order);
    size_t at;
    json_t *pair;
    for (int64_t i = 0; i < r->picked; i++) {
        order[i] = r->order[i];
        json_array_foreach(json_object_get(c->json, "pairs"), at, pair)
        {
            int64_t a = json_integer_value(json_array_get(pair, 0)),
                    b = json_integer_value(json_array_get(pair, 1));
            if (it->r[a] == it->r[b] && expected && i < want->n &&
                ((order[i] == a && expected[i] == b) || (order[i] == b && expected[i] == a)))
                order[i] = expected[i];
        }
    }
    oracle_check_ints(c, "order", order, r->picked);
}

static void run(struct oracle_case *c)
{
    int64_t shape[8];
    struct items it = {.m = (int64_t)oracle_number(c, "m")};
    it.x = oracle_floats(c, "features", shape, NULL);
    it.r = oracle_floats(c, "relevance", NULL, NULL);
    it.n = shape[0], it.d = shape[1];

    struct dpp_result r;
    struct error err = {0};
    if (!oracle_ok(c, dpp_greedy(it.x, it.r, it.n, it.d, it.m, DPP_STOP, &c->arena, &r, &err), &err))
        return;
    double *prefix = doubles(c, r.picked), sum = 0, weights = 0;
    for (int64_t i = 0; i < r.picked; i++) {
        prefix[i] = sum += r.gain[i];
        weights += 2 * log((double)it.r[r.order[i]]);
    }
    check_order(c, &it, &r);
    oracle_check_double(c, "gain", r.gain, r.picked);
    oracle_check_double(c, "logdet_prefix", prefix, r.picked);
    oracle_check_scalar(c, "logdet", r.logdet);
    oracle_check_scalar(c, "sum_2_log_r", weights);
    oracle_check_scalar(c, "logdet_unweighted", r.logdet - weights);
    check_kernel(c, &it);
    check_subsets(c, &it, r.logdet);
    check_top(c, &it);
    check_pairs(c, &r);
    check_fill(c, &it, DPP_RELEVANCE, &r);
    check_fill(c, &it, DPP_RESTART, &r);
}
int main(void)
{
    return oracle_main("dpp", NULL, run);
}
