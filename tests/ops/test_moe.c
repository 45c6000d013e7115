/* The mixture of experts: forward against the equations written out in double precision, gradients against
 * central differences of those, for every gate, both contexts, one and several rows a sequence; threads
 * change no bit; the router's gradient is exactly zero where the weight is a constant. */
#include "base/rng.h"
#include "stages/model/moe.h"
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

enum { B = 2, T = 4, C = 5, F = 7, K = 3, RANK = 2, MATS = 20 };
struct setup {
    struct arena arena;
    struct moe m;
    struct ffn f;
    struct adapter expert[K];
    struct mat *mat[MATS]; /* everything that has a gradient */
    int mats;
    int64_t t; /* rows routed of each sequence: T or 1 */
    float *z, *z_all, *dy, *dz, *dz_all;
    const float *context[1];
};
static struct rng rng;

static float *random_floats(struct arena *a, int64_t n, float size)
{
    float *x = arena_floats(a, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = size * rng_normal(&rng);
    return x;
}
static void fill(struct setup *s, struct mat *w, int64_t rows, int64_t cols)
{
    *w = (struct mat){random_floats(&s->arena, rows * cols, 0.6f),
                      arena_alloc(&s->arena, (size_t)(rows * cols) * sizeof(float)), rows, cols};
    s->mat[s->mats++] = w;
}
/* row0: only the first row of each sequence is routed. seed_expert: expert 0 is the base itself. */
static void begin(struct setup *s, enum moe_gate gate, int top_k, enum moe_context context, bool row0,
                  bool seed_expert)
{
    *s = (struct setup){.t = row0 ? 1 : T};
    rng = rng_at(rng_stream(3, "test.moe"), (uint64_t)gate * 8 + (uint64_t)top_k, row0);
    arena_init(&s->arena);
    s->f.act = ACT_QUICK_GELU;
    fill(s, &s->f.fc1.w, F, C);
    fill(s, &s->f.fc1.b, F, 1);
    fill(s, &s->f.fc2.w, C, F);
    fill(s, &s->f.fc2.b, C, 1);
    for (int k = seed_expert; k < K; k++) {
        struct adapter *ad = &s->expert[k];
        ad->fc1.scale = 2;
        ad->fc2.scale = 1.5f;
        fill(s, &ad->fc1.a, RANK, C);
        fill(s, &ad->fc1.b, F, RANK);
        fill(s, &ad->fc2.a, RANK, F);
        fill(s, &ad->fc2.b, C, RANK);
    }
    s->m = (struct moe){.experts = K,
                        .expert = s->expert,
                        .top_k = top_k,
                        .gate = gate,
                        .context = context,
                        .temperature = 0.7f};
    fill(s, &s->m.router, K, C);
    fill(s, &s->m.bias, K, 1);
    fill(s, &s->m.lambda, 1, 1);
    s->m.lambda.w[0] = 0.4f;
    s->f.moe = &s->m;
    s->z_all = random_floats(&s->arena, B * T * C, 1);
    s->z = s->z_all;
    if (row0) {
        s->z = arena_floats(&s->arena, B * C);
        for (int b = 0; b < B; b++)
            memcpy(s->z + b * C, s->z_all + b * T * C, C * sizeof(float));
    }
    s->context[0] = random_floats(&s->arena, B * C, 1);
    s->dy = random_floats(&s->arena, B * s->t * C, 1);
    s->dz = random_floats(&s->arena, B * s->t * C, 1); /* overwritten */
    s->dz_all = arena_alloc(&s->arena, B * T * C * sizeof(float));
}
static struct pass pass_of(struct setup *s, bool train)
{
    return (struct pass){
        .batch = B, .t = T, .width = C, .arena = &s->arena, .train = train, .context = s->context};
}

/* ---- the equations in double precision ---- */
static double low_rank(const struct lora *l, const double *x, int64_t out)
{
    double sum = 0;
    for (int64_t j = 0; l->a.w && j < l->a.rows; j++) {
        double u = 0;
        for (int64_t i = 0; i < l->a.cols; i++)
            u += (double)l->a.w[j * l->a.cols + i] * x[i];
        sum += (double)l->scale * u * (double)l->b.w[out * l->b.cols + j];
    }
    return sum;
}
static void expert_row(const struct setup *s, int k, const float *z, double *y)
{
    double x[C], g[F];
    for (int i = 0; i < C; i++)
        x[i] = (double)z[i];
    for (int o = 0; o < F; o++) {
        double h = (double)s->f.fc1.b.w[o] + low_rank(&s->expert[k].fc1, x, o);
        for (int i = 0; i < C; i++)
            h += (double)s->f.fc1.w.w[o * C + i] * x[i];
        g[o] = h / (1 + exp(-1.702 * h));
    }
    for (int o = 0; o < C; o++) {
        y[o] = (double)s->f.fc2.b.w[o] + low_rank(&s->expert[k].fc2, g, o);
        for (int i = 0; i < F; i++)
            y[o] += (double)s->f.fc2.w.w[o * F + i] * g[i];
    }
}
static void probabilities(const struct setup *s, int64_t row, double *pi)
{
    double l = fmin(fmax((double)s->m.lambda.w[0], 0), 1), sum = 0;
    for (int k = 0; k < K; k++) {
        double x = (double)s->m.bias.w[k];
        for (int i = 0; i < C; i++) {
            double c = 0;
            for (int t = 0; t < T; t++)
                c += (double)s->z_all[(row / s->t * T + t) * C + i] / T;
            if (s->m.context == MOE_CONTEXT_SEED)
                c = (double)s->context[0][row / s->t * C + i];
            x += ((1 - l) * (double)s->z[row * C + i] + l * c) * (double)s->m.router.w[k * C + i];
        }
        sum += pi[k] = exp(x / (double)s->m.temperature);
    }
    for (int k = 0; k < K; k++)
        pi[k] /= sum;
}
static void choose(const struct setup *s, const double *pi, bool *chosen)
{
    int slots = s->m.gate == MOE_GATE_SOFT ? K : s->m.top_k;
    memset(chosen, 0, K * sizeof *chosen);
    for (int n = 0; n < slots; n++) {
        int best = -1;
        for (int k = 0; k < K; k++)
            if (!chosen[k] && (best < 0 || pi[k] > pi[best]))
                best = k;
        chosen[best] = true;
    }
}
/* What stays fixed when something is moved a little: the selection, and for the straight gate the point where
 * its weights were taken: w = w0 + (pi - pi0) has the value of renorm and the slope of raw. */
struct fixed {
    bool chosen[B * T][K];
    double pi[B * T][K], w[B * T][K];
};
static void renormalised(const bool *chosen, const double *pi, double *w)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += chosen[k] ? pi[k] : 0;
    for (int k = 0; k < K; k++)
        w[k] = chosen[k] ? pi[k] / sum : 0;
}
static void fix(const struct setup *s, struct fixed *x)
{
    for (int64_t r = 0; r < B * s->t; r++) {
        probabilities(s, r, x->pi[r]);
        choose(s, x->pi[r], x->chosen[r]);
        renormalised(x->chosen[r], x->pi[r], x->w[r]);
    }
}
static void output_row(const struct setup *s, const struct fixed *x, int64_t r, double *y)
{
    double pi[K], w[K], of[C];
    probabilities(s, r, pi);
    renormalised(x->chosen[r], pi, w);
    memset(y, 0, C * sizeof *y);
    for (int k = 0; k < K; k++) {
        if (s->m.gate == MOE_GATE_RAW || s->m.gate == MOE_GATE_SOFT)
            w[k] = pi[k];
        if (s->m.gate == MOE_GATE_STRAIGHT)
            w[k] = x->w[r][k] + pi[k] - x->pi[r][k];
        expert_row(s, k, s->z + r * C, of);
        for (int i = 0; x->chosen[r][k] && i < C; i++)
            y[i] += w[k] * of[i];
    }
}
static double loss(const struct setup *s, const struct fixed *x)
{
    double y[C], sum = 0;
    for (int64_t r = 0; r < B * s->t; r++) {
        output_row(s, x, r, y);
        for (int i = 0; i < C; i++)
            sum += y[i] * (double)s->dy[r * C + i];
    }
    return sum;
}
static double slope(const struct setup *s, const struct fixed *x, float *at)
{
    float was = *at, up = was + 1e-3f, down = was - 1e-3f;
    *at = up;
    double high = loss(s, x);
    *at = down;
    double low = loss(s, x);
    *at = was;
    return (high - low) / ((double)up - (double)down);
}
static void near(double got, double want, const char *what, int64_t i)
{
    if (!(fabs(got - want) <= 2e-4 * (1 + fabs(want))))
        fail_msg("%s[%lld]: %.7g instead of %.7g", what, (long long)i, got, want);
}

/* ---- tests ---- */
static void run(struct setup *s)
{
    struct error err = {0};
    struct moe_tape *tape = NULL;
    struct fixed x;
    double want[C];
    float *y = arena_floats(&s->arena, B * s->t * C), *again = arena_floats(&s->arena, B * s->t * C);
    struct pass p = pass_of(s, false);
    size_t used = s->arena.used;
    assert_true(moe_forward(&s->m, &s->f, &p, 0, s->t, s->z, s->z_all, again, NULL, &err));
    assert_int_equal(s->arena.used, used); /* inference keeps nothing */
    p.train = true;
    assert_true(moe_forward(&s->m, &s->f, &p, 0, s->t, s->z, s->z_all, y, &tape, &err));
    assert_memory_equal(y, again, (size_t)(B * s->t * C) * sizeof *y);
    assert_true(moe_backward(&s->m, &s->f, &p, 0, s->t, s->z, s->z_all, tape, s->dy, s->dz, s->dz_all, &err));
    fix(s, &x);
    for (int64_t r = 0; r < B * s->t; r++) {
        output_row(s, &x, r, want);
        for (int i = 0; i < C; i++)
            near((double)y[r * C + i], want[i], "y", r * C + i);
    }
    for (int k = 0; k < s->mats; k++)
        for (int64_t i = 0; i < mat_size(s->mat[k]); i++)
            near((double)s->mat[k]->g[i], slope(s, &x, s->mat[k]->w + i), "gradient", k * 1000 + i);
    for (int64_t i = 0; i < B * s->t * C; i++)
        near((double)s->dz[i], slope(s, &x, s->z + i), "dz", i);
    for (int64_t i = 0; s->t != T && i < B * T * C; i++)
        near((double)s->dz_all[i], slope(s, &x, s->z_all + i), "dz_all", i);
}
static void gates_and_contexts(void **state)
{
    for (int gate = MOE_GATE_RAW; gate <= MOE_GATE_SOFT; gate++)
        for (int top_k = 1; top_k <= K; top_k++)
            for (int kind = 0; kind < 8; kind++) {
                struct setup s;
                begin(&s, (enum moe_gate)gate, top_k, kind & 1 ? MOE_CONTEXT_SEED : MOE_CONTEXT_SELF,
                      kind & 2, kind & 4);
                run(&s);
                arena_done(&s.arena);
            }
}
/* One forward and backward over all rows; y (B,T,C). */
static void pass_once(struct setup *s, float *y, float *dz)
{
    struct error err = {0};
    struct moe_tape *tape;
    struct pass p = pass_of(s, true);
    assert_true(moe_forward(&s->m, &s->f, &p, 0, T, s->z, s->z_all, y, &tape, &err));
    assert_true(moe_backward(&s->m, &s->f, &p, 0, T, s->z, s->z_all, tape, s->dy, dz, NULL, &err));
}
/* Both ends of [0,1] let the gradient through, the outside does not. */
static void lambda_is_clamped(void **state)
{
    const float values[] = {-0.5f, 0, 1, 1.3f};
    for (int i = 0; i < 4; i++) {
        struct setup s;
        struct fixed x;
        float y[B * T * C];
        begin(&s, MOE_GATE_RAW, 2, MOE_CONTEXT_SELF, false, false);
        s.m.lambda.w[0] = values[i];
        pass_once(&s, y, s.dz);
        fix(&s, &x);
        double at = loss(&s, &x), got = (double)s.m.lambda.g[0];
        s.m.lambda.w[0] += values[i] == 1 ? -1e-4f : 1e-4f;
        double one_sided = (loss(&s, &x) - at) / ((double)s.m.lambda.w[0] - (double)values[i]);
        if (i == 0 || i == 3)
            assert_true(got == 0 && one_sided == 0);
        else
            assert_true(fabs(one_sided) > 1e-3 && fabs(got - one_sided) < 3e-3 * (1 + fabs(one_sided)));
        arena_done(&s.arena);
    }
}
static void constant_weight_has_no_gradient(void **state)
{
    struct setup s;
    float y[B * T * C];
    begin(&s, MOE_GATE_RENORM, 1, MOE_CONTEXT_SELF, false, false);
    pass_once(&s, y, NULL);
    for (int i = 0; i < K * C; i++)
        assert_true(s.m.router.g[i] == 0);
    for (int k = 0; k < K; k++)
        assert_true(s.m.bias.g[k] == 0);
    assert_true(s.m.lambda.g[0] == 0);
    arena_done(&s.arena);
}
struct watching {
    double selected, probs;
    int calls;
};
static void watch(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t, int64_t c)
{
    struct watching *w = arg;
    assert_int_equal(layer, 5);
    assert_true(batch == B && t == T && c == (strcmp(what, "moe_out") ? K : C));
    w->calls++;
    for (int64_t i = 0; i < batch * t * c; i++) {
        w->selected += strcmp(what, "moe_selected") ? 0 : (double)x[i];
        w->probs += strcmp(what, "moe_probs") ? 0 : (double)x[i];
    }
}
static void ties_and_observers(void **state)
{
    struct setup s;
    struct error err = {0};
    struct watching w = {0};
    struct observer o = {watch, &w};
    float y[B * T * C];
    double want[C];
    begin(&s, MOE_GATE_RAW, 1, MOE_CONTEXT_SELF, false, false);
    for (int i = 0; i < K * C; i++) /* all experts alike: the first one wins */
        s.m.router.w[i] = 0;
    for (int k = 0; k < K; k++)
        s.m.bias.w[k] = 0;
    struct pass p = pass_of(&s, false);
    p.observer = &o;
    assert_true(moe_forward(&s.m, &s.f, &p, 5, T, s.z, s.z_all, y, NULL, &err));
    assert_true(w.calls == 3 && w.selected == B * T && fabs(w.probs - B * T) < 1e-5);
    expert_row(&s, 0, s.z, want);
    for (int i = 0; i < C; i++)
        near((double)y[i], want[i] / K, "y", i);
    s.m.context = MOE_CONTEXT_SEED;
    p.context = NULL;
    assert_false(moe_forward(&s.m, &s.f, &p, 5, T, s.z, s.z_all, y, NULL, &err));
    arena_done(&s.arena);
}
/* All outputs and gradients of a batch large enough for every parallel path; malloc'd. */
static float *bits(int threads, enum moe_gate gate, size_t *ret)
{
    enum { b = 9, t = 21, c = 40, f = 160 };
    struct setup s = {0};
    struct error err = {0};
    struct moe_tape *tape;
    rng = rng_at(rng_stream(4, "test.moe"), 0, 0);
    arena_init(&s.arena);
    omp_set_num_threads(threads);
    fill(&s, &s.f.fc1.w, f, c);
    fill(&s, &s.f.fc2.w, c, f);
    for (int k = 0; k < K; k++) {
        s.expert[k].fc1.scale = s.expert[k].fc2.scale = 1;
        fill(&s, &s.expert[k].fc1.a, 4, c);
        fill(&s, &s.expert[k].fc1.b, f, 4);
        fill(&s, &s.expert[k].fc2.a, 4, f);
        fill(&s, &s.expert[k].fc2.b, c, 4);
    }
    s.m = (struct moe){.experts = K, .expert = s.expert, .top_k = 1, .gate = gate, .temperature = 1};
    fill(&s, &s.m.router, K, c);
    fill(&s, &s.m.lambda, 1, 1);
    s.m.lambda.w[0] = 0.3f;
    float *z = random_floats(&s.arena, b * t * c, 1), *dy = random_floats(&s.arena, b * t * c, 1);
    struct pass p = {.batch = b, .t = t, .width = c, .arena = &s.arena, .train = true};
    int64_t n = 2 * b * t * c, at = n;
    for (int k = 0; k < s.mats; k++)
        n += mat_size(s.mat[k]);
    float *all = malloc((size_t)n * sizeof *all);
    assert_true(moe_forward(&s.m, &s.f, &p, 0, t, z, z, all, &tape, &err));
    assert_true(moe_backward(&s.m, &s.f, &p, 0, t, z, z, tape, dy, all + b * t * c, NULL, &err));
    for (int k = 0; k < s.mats; at += mat_size(s.mat[k++]))
        memcpy(all + at, s.mat[k]->g, (size_t)mat_size(s.mat[k]) * sizeof *all);
    *ret = (size_t)n * sizeof *all;
    arena_done(&s.arena);
    return all;
}
static void threads_change_nothing(void **state)
{
    for (int gate = MOE_GATE_RAW; gate <= MOE_GATE_SOFT; gate += MOE_GATE_SOFT) {
        size_t n, m;
        float *one = bits(1, (enum moe_gate)gate, &n);
        for (int threads = 2; threads <= 4; threads++) {
            float *more = bits(threads, (enum moe_gate)gate, &m);
            assert_true(n == m && !memcmp(one, more, n));
            free(more);
        }
        free(one);
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gates_and_contexts), cmocka_unit_test(lambda_is_clamped),
        cmocka_unit_test(constant_weight_has_no_gradient), cmocka_unit_test(ties_and_observers),
        cmocka_unit_test(threads_change_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
