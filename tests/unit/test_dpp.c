/* dpp.c against a plain kernel Cholesky greedy, brute force, and the properties a selection must have. */
#include "base/rng.h"
#include "stages/algo/dpp.h"
#include "tests/test.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

struct items {
    int64_t n, d;
    float *x, *r;
};
static struct items make(int64_t n, int64_t d, int clusters, uint64_t seed)
{
    struct items it = {n, d, malloc((size_t)(n * d) * sizeof(float)), malloc((size_t)n * sizeof(float))};
    struct rng_stream s = rng_stream(seed, "test.dpp");
    for (int64_t i = 0; i < n; i++) {
        struct rng own = rng_at(s, (uint64_t)i, 0);
        struct rng centre = rng_at(s, rng_below(&own, (uint64_t)clusters), 1);
        it.r[i] = 0.4f + 0.6f * rng_uniform(&own);
        for (int64_t c = 0; c < d; c++)
            it.x[i * d + c] = rng_normal(&centre) + 0.7f * rng_normal(&own);
    }
    return it;
}
static void items_auto(struct items *it)
{
    free(it->x);
    free(it->r);
}
#define AUTO_ITEMS __attribute__((cleanup(items_auto))) struct items

static void pick(const struct items *it, int64_t m, enum dpp_fill fill, struct arena *a, struct dpp_result *r)
{
    struct error err;
    if (!dpp_greedy(it->x, it->r, it->n, it->d, m, fill, a, r, &err))
        fail_msg("%s", err.text);
}
static void assert_distinct(const struct dpp_result *r)
{
    for (int64_t i = 0; i < r->picked; i++)
        for (int64_t j = 0; j < i; j++)
            assert_int_not_equal(r->order[i], r->order[j]);
}
static double cosine(const struct items *it, int64_t i, int64_t j)
{
    double xy = 0, xx = 0, yy = 0;
    for (int64_t c = 0; c < it->d; c++) {
        double u = it->x[i * it->d + c], v = it->x[j * it->d + c];
        xy += u * v, xx += u * u, yy += v * v;
    }
    return xy / sqrt(xx * yy);
}
/* log det of the m x m kernel submatrix by Cholesky; -inf when singular. */
static double logdet(const struct items *it, const int64_t *set, int64_t m)
{
    double *l = calloc((size_t)(m * m), sizeof *l), sum = 0;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j <= i; j++) {
            double v = (double)it->r[set[i]] * it->r[set[j]] * (i == j ? 1 : cosine(it, set[i], set[j]));
            for (int64_t k = 0; k < j; k++)
                v -= l[i * m + k] * l[j * m + k];
            l[i * m + j] = i == j ? sqrt(v > 0 ? v : 0) : v / l[j * m + j];
            if (i == j)
                sum += v > 0 ? log(v) : -INFINITY;
        }
    free(l);
    return sum;
}
/* The textbook greedy: form the kernel, update every item's Schur complement at each step (Chen et al. 2018).
 */
static void kernel_greedy(const struct items *it, int64_t m, int64_t *order)
{
    int64_t n = it->n;
    double *kern = malloc((size_t)(n * n) * sizeof *kern), *c = calloc((size_t)(n * m), sizeof *c);
    double *left = malloc((size_t)n * sizeof *left);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            kern[i * n + j] = kern[j * n + i] = (double)it->r[i] * it->r[j] * (i == j ? 1 : cosine(it, i, j));
    for (int64_t i = 0; i < n; i++)
        left[i] = kern[i * n + i];
    for (int64_t k = 0; k < m; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if (left[i] > left[best])
                best = i;
        order[k] = best;
        double pivot = sqrt(left[best]);
        left[best] = -1;
        for (int64_t i = 0; i < n; i++) {
            double v = kern[best * n + i];
            for (int64_t l = 0; l < k; l++)
                v -= c[i * m + l] * c[best * m + l];
            c[i * m + k] = v / pivot;
            if (left[i] > 0)
                left[i] -= c[i * m + k] * c[i * m + k];
        }
    }
    free(kern);
    free(c);
    free(left);
}
static void test_against_kernel(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        AUTO_ITEMS it = make(300, 24 + 7 * (int64_t)seed, 1 + 5 * (int)seed, seed);
        int64_t order[20];
        kernel_greedy(&it, 20, order);
        struct arena a;
        arena_init(&a);
        struct dpp_result r;
        pick(&it, 20, DPP_STOP, &a, &r);
        assert_int_equal(r.picked, 20);
        assert_memory_equal(r.order, order, sizeof order);
        double sum = 0;
        for (int64_t k = 0; k < 20; k++) {
            sum += r.gain[k];
            assert_true(fabs(sum - logdet(&it, order, k + 1)) < 1e-9 * (1 + fabs(sum)));
        }
        assert_true(r.logdet == sum);
        arena_done(&a);
    }
}
/* Among all subsets of size m the greedy one is at least max / (m!)^2, and its first pick is the best single
 * one. */
static void test_brute_force(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        AUTO_ITEMS it = make(12, 9, 3, 100 + seed);
        double best = -INFINITY;
        for (unsigned bits = 0; bits < 1u << 12; bits++) {
            int64_t set[12], m = 0;
            for (int i = 0; i < 12; i++)
                if (bits >> i & 1)
                    set[m++] = i;
            if (m == 4)
                best = fmax(best, logdet(&it, set, 4));
        }
        struct arena a;
        arena_init(&a);
        struct dpp_result r;
        pick(&it, 4, DPP_STOP, &a, &r);
        assert_true(r.logdet <= best + 1e-9 && r.logdet >= best - 2 * log(24));
        arena_done(&a);
    }
}
static void test_prefix(void **state)
{
    (void)state;
    AUTO_ITEMS it = make(400, 32, 12, 3);
    struct arena a;
    arena_init(&a);
    struct dpp_result all;
    pick(&it, 30, DPP_RESTART, &a, &all);
    for (int64_t m = 0; m < 30; m += 7) {
        struct dpp_result r;
        pick(&it, m, DPP_RESTART, &a, &r);
        assert_int_equal(r.picked, m);
        assert_true(m == 0 || memcmp(r.order, all.order, (size_t)m * sizeof *r.order) == 0);
    }
    arena_done(&a);
}
static void test_permutation_and_scale(void **state)
{
    (void)state;
    AUTO_ITEMS it = make(250, 40, 9, 4);
    AUTO_ITEMS other = make(250, 40, 9, 4);
    int64_t to[250];
    struct rng g = rng_at(rng_stream(9, "test.order"), 0, 0);
    rng_permutation(&g, 250, to);
    for (int64_t i = 0; i < 250; i++) {
        float length = 0.25f + rng_uniform(&g); /* the length of a row means nothing either */
        for (int64_t c = 0; c < 40; c++)
            other.x[to[i] * 40 + c] = it.x[i * 40 + c] * length;
        other.r[to[i]] = it.r[i] * 1e-20f;
    }
    struct arena a;
    arena_init(&a);
    struct dpp_result r, s;
    pick(&it, 35, DPP_STOP, &a, &r);
    pick(&other, 35, DPP_STOP, &a, &s);
    for (int64_t k = 0; k < 35; k++)
        assert_int_equal(to[r.order[k]], s.order[k]);
    arena_done(&a);
}
static void test_threads(void **state)
{
    (void)state;
    AUTO_ITEMS it = make(3000, 160, 20, 5);
    struct arena a;
    arena_init(&a);
    struct dpp_result one, many;
    omp_set_num_threads(1);
    pick(&it, 200, DPP_RESTART, &a, &one);
    for (int threads = 2; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        pick(&it, 200, DPP_RESTART, &a, &many);
        assert_memory_equal(one.order, many.order, 200 * sizeof *one.order);
        assert_memory_equal(one.gain, many.gain, 200 * sizeof *one.gain);
        assert_int_equal(one.restarts, many.restarts);
    }
    assert_int_equal(one.determined, 160);
    arena_done(&a);
}
/* Past the rank: stop, or the most relevant ones, or a new process; never an item twice. */
static void test_fill(void **state)
{
    (void)state;
    AUTO_ITEMS it = make(60, 8, 60, 6);
    struct arena a;
    arena_init(&a);
    struct dpp_result stop, rel, re;
    pick(&it, 30, DPP_STOP, &a, &stop);
    assert_int_equal(stop.picked, 8);
    pick(&it, 30, DPP_RELEVANCE, &a, &rel);
    pick(&it, 30, DPP_RESTART, &a, &re);
    assert_true(rel.picked == 30 && re.picked == 30 && rel.determined == 8 && re.determined == 8);
    assert_true(rel.restarts == 0 && re.restarts == 3);
    assert_memory_equal(rel.order, stop.order, 8 * sizeof *stop.order);
    assert_memory_equal(re.order, stop.order, 8 * sizeof *stop.order);
    assert_distinct(&rel);
    assert_distinct(&re);
    for (int64_t i = 9; i < 30; i++)
        assert_true(it.r[rel.order[i]] <= it.r[rel.order[i - 1]] && rel.gain[i] == 0);
    /* The second process is the first one on what is left. */
    AUTO_ITEMS left = make(60, 8, 60, 6);
    for (int i = 0; i < 8; i++)
        left.r[re.order[i]] = 0;
    pick(&left, 8, DPP_STOP, &a, &stop);
    assert_memory_equal(re.order + 8, stop.order, 8 * sizeof *stop.order);
    assert_true(re.logdet == rel.logdet && isfinite(re.logdet));
    pick(&it, 60, DPP_RESTART, &a, &re);
    assert_int_equal(re.picked, 60);
    assert_distinct(&re);
    arena_done(&a);
}
/* Twins add nothing, zero rows and zero relevance are left out until a fill needs them; ties go to the lowest
 * index. */
static void test_degenerate(void **state)
{
    (void)state;
    float x[6 * 3] = {0, 0, 0, /**/ 1, 0, 0, /**/ 1, 0, 0, /**/ 0, 2, 0, /**/ 0, 1, 0, /**/ 0, 0, 1};
    float r[6] = {1, .5f, .5f, .25f, .25f, 0};
    struct items it = {6, 3, x, r};
    struct arena a;
    arena_init(&a);
    struct dpp_result p;
    pick(&it, 6, DPP_STOP, &a, &p);
    assert_int_equal(p.picked, 2);
    assert_true(p.order[0] == 1 && p.order[1] == 3);
    pick(&it, 6, DPP_RELEVANCE, &a, &p);
    const int64_t relevance[6] = {1, 3, 0, 2, 4, 5}, restart[6] = {1, 3, 2, 4, 0, 5};
    assert_memory_equal(p.order, relevance, sizeof relevance);
    pick(&it, 6, DPP_RESTART, &a, &p);
    assert_memory_equal(p.order, restart, sizeof restart);
    assert_true(p.restarts == 1 && p.determined == 2);
    /* A hugely relevant twin's rounding residue must not count as a direction. */
    r[2] = 0.49f;
    r[1] = 1e30f;
    r[2] = 0.9e30f;
    pick(&it, 6, DPP_STOP, &a, &p);
    assert_int_equal(p.picked, 2);
    /* The smallest relevances do not vanish. */
    for (int i = 0; i < 6; i++)
        r[i] = 1e-44f;
    pick(&it, 6, DPP_STOP, &a, &p);
    assert_true(p.picked == 3 && isfinite(p.logdet));
    arena_done(&a);
}
static void test_errors(void **state)
{
    (void)state;
    float x[4] = {1, 0, 0, 1}, r[2] = {1, 1};
    struct arena a;
    arena_init(&a);
    struct dpp_result p;
    struct error err;
    assert_false(dpp_greedy(x, r, 2, 2, 3, DPP_STOP, &a, &p, &err));
    assert_non_null(strstr(err.text, "3 of 2"));
    r[1] = -1;
    assert_false(dpp_greedy(x, r, 2, 2, 1, DPP_STOP, &a, &p, &err));
    assert_non_null(strstr(err.text, "item 1"));
    r[1] = NAN;
    assert_false(dpp_greedy(x, r, 2, 2, 1, DPP_STOP, &a, &p, &err));
    r[1] = 1;
    x[0] = INFINITY;
    assert_false(dpp_greedy(x, r, 2, 2, 1, DPP_STOP, &a, &p, &err));
    assert_non_null(strstr(err.text, "item 0"));
    arena_done(&a);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_kernel), cmocka_unit_test(test_brute_force),
        cmocka_unit_test(test_prefix),         cmocka_unit_test(test_permutation_and_scale),
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_degenerate),     cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
