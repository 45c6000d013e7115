/* block.c and ffn.c against the block's equations in double: values, every gradient by differences, the
 * shortcuts, and the same bits for any thread count. Mixtures have their own test. */
#include "stages/model/block.h"
#include "tests/ops/check.h"
#include "tests/ops/reference.h"

enum { LN1W, LN1B, LN2W, LN2B, QW, QB, KW, KB, VW, VB, OW, OB, W1, B1, W2, B2, A1, AB1, A2, AB2, WEIGHTS };
static const char *const name[WEIGHTS] = {"ln1.w", "ln1.b", "ln2.w", "ln2.b", "q.w",   "q.b",   "k.w",
                                          "k.b",   "v.w",   "v.b",   "o.w",   "o.b",   "fc1.w", "fc1.b",
                                          "fc2.w", "fc2.b", "fc1.A", "fc1.B", "fc2.A", "fc2.B"};

struct sizes {
    int64_t batch, t, c, heads, wide, rank; /* rank 0: no LoRA */
    enum activation act;
    bool causal, row0;
};
struct model {
    struct sizes s;
    struct pair w[WEIGHTS], x, dy;
    float *g[WEIGHTS]; /* NULL: frozen */
    struct adapter adapter;
    struct block block;
};
#define EPS   1e-5f
#define SCALE 1.5f

static void shape_of(const struct sizes *s, int i, int64_t *rows, int64_t *cols)
{
    *rows = i >= W1 && i <= B1 ? s->wide : s->c;
    *cols = i >= LN1W && i <= LN2B ? 1 : i % 2 ? 1 : i == W2 ? s->wide : s->c;
    if (i == A1 || i == A2) {
        *rows = s->rank;
        *cols = i == A1 ? s->c : s->wide;
    } else if (i == AB1 || i == AB2) {
        *rows = i == AB1 ? s->wide : s->c;
        *cols = s->rank;
    }
}
static struct mat mat_of(const struct model *m, int i)
{
    struct mat w = {.w = m->w[i].f, .g = m->g[i]};
    shape_of(&m->s, i, &w.rows, &w.cols);
    return w;
}
/* The block's views of the weights, with the gradients that there are now. */
static void connect(struct model *m)
{
    struct mat w[WEIGHTS];
    for (int i = 0; i < WEIGHTS; i++)
        w[i] = mat_of(m, i);
    m->adapter = (struct adapter){{w[A1], w[AB1], SCALE}, {w[A2], w[AB2], SCALE}};
    m->block = (struct block){
        .ln1 = {w[LN1W], w[LN1B], EPS},
        .ln2 = {w[LN2W], w[LN2B], EPS},
        .q = {w[QW], w[QB]},
        .k = {w[KW], w[KB]},
        .v = {w[VW], w[VB]},
        .o = {w[OW], w[OB]},
        .ffn = {{w[W1], w[B1]}, {w[W2], w[B2]}, m->s.act, m->s.rank ? &m->adapter : NULL, NULL},
        .heads = m->s.heads,
        .causal = m->s.causal};
}
static void model_init(struct model *m, struct sizes s)
{
    *m = (struct model){.s = s};
    for (int i = 0; i < WEIGHTS; i++) {
        int64_t rows, cols;
        shape_of(&s, i, &rows, &cols);
        m->w[i] = pair_new(rows * cols, i == LN1W || i == LN2W ? 1 : 0, 0.4);
    }
    m->x = pair_new(s.batch * s.t * s.c, 0, 1);
    m->dy = pair_new(s.batch * s.t * s.c, 0, 1);
    for (int64_t i = 0; i < m->dy.n && s.row0; i++)
        if (i / s.c % s.t)
            m->dy.d[i] = m->dy.f[i] = 0;
    connect(m);
}
static void train(struct model *m, int from, int to)
{
    for (int i = 0; i < WEIGHTS; i++) {
        free(m->g[i]);
        m->g[i] = i >= from && i < to ? floats(m->w[i].n, 0) : NULL;
    }
    connect(m);
}
static void model_done(struct model *m)
{
    train(m, 0, 0);
    for (int i = 0; i < WEIGHTS; i++)
        pair_free(&m->w[i]);
    pair_free(&m->x);
    pair_free(&m->dy);
}

/* y += SCALE (x A^T) B^T */
static void ref_lora(const struct model *m, int a, const double *x, int64_t rows, int64_t in, int64_t out,
                     double *y)
{
    int64_t r = m->s.rank;
    double *t = doubles(rows * r), *d = doubles(rows * out);
    ref_linear(x, m->w[a].d, NULL, rows, in, r, t);
    ref_linear(t, m->w[a + 1].d, NULL, rows, r, out, d);
    for (int64_t i = 0; i < rows * out && r; i++)
        y[i] += (double)SCALE * d[i];
    free(t);
    free(d);
}
static void reference(const struct model *m, double *y)
{
    const struct sizes *s = &m->s;
    const struct pair *w = m->w;
    int64_t rows = s->batch * s->t, c = s->c, n = rows * c;
    double *z = doubles(n), *q = doubles(n), *k = doubles(n), *v = doubles(n), *h = doubles(n);
    double *u = doubles(rows * s->wide);
    ref_layernorm(m->x.d, w[LN1W].d, w[LN1B].d, (double)EPS, rows, c, z);
    ref_linear(z, w[QW].d, w[QB].d, rows, c, c, q);
    ref_linear(z, w[KW].d, w[KB].d, rows, c, c, k);
    ref_linear(z, w[VW].d, w[VB].d, rows, c, c, v);
    ref_attention(q, k, v, s->batch, s->t, s->t, s->heads, c / s->heads, s->causal, h, NULL);
    ref_linear(h, w[OW].d, w[OB].d, rows, c, c, y);
    for (int64_t i = 0; i < n; i++)
        y[i] += m->x.d[i];
    ref_layernorm(y, w[LN2W].d, w[LN2B].d, (double)EPS, rows, c, z);
    ref_linear(z, w[W1].d, w[B1].d, rows, c, s->wide, u);
    ref_lora(m, A1, z, rows, c, s->wide, u);
    for (int64_t i = 0; i < rows * s->wide; i++)
        u[i] = ref_activation(s->act, u[i]);
    ref_linear(u, w[W2].d, w[B2].d, rows, s->wide, c, h);
    ref_lora(m, A2, u, rows, s->wide, c, h);
    for (int64_t i = 0; i < n; i++)
        y[i] += h[i];
    free(z);
    free(q);
    free(k);
    free(v);
    free(h);
    free(u);
}
static double loss(void *arg)
{
    struct model *m = arg;
    double *y = doubles(m->x.n), sum = 0;
    reference(m, y);
    for (int64_t i = 0; i < m->x.n; i++)
        sum += y[i] * m->dy.d[i];
    free(y);
    return sum;
}

static struct pass pass_of(const struct model *m, struct arena *a, bool training)
{
    return (struct pass){.batch = m->s.batch, .t = m->s.t, .width = m->s.c, .arena = a, .train = training};
}
/* y and dx (each like x) of one pass forth and back */
static void forth_and_back(struct model *m, bool need_dx, float *y, float *dx)
{
    struct arena a;
    arena_init(&a);
    struct pass p = pass_of(m, &a, true);
    struct block_tape *tape = NULL;
    memcpy(y, m->x.f, (size_t)m->x.n * sizeof *y);
    memcpy(dx, m->dy.f, (size_t)m->x.n * sizeof *dx);
    assert_true(block_forward(&m->block, &p, 0, m->s.row0, y, &tape, NULL));
    size_t used = a.used;
    assert_true(block_backward(&m->block, &p, 0, m->s.row0, tape, dx, need_dx, NULL));
    assert_int_equal(a.used, used);
    arena_done(&a);
}
/* Rows that were computed: all, or the first of each sequence; packs both to the front. */
static int64_t computed(const struct sizes *s, float *y, double *want)
{
    if (!s->row0)
        return s->batch * s->t * s->c;
    for (int64_t i = 0; i < s->batch * s->c; i++) {
        int64_t at = i / s->c * s->t * s->c + i % s->c;
        y[i] = y[at];
        want[i] = want[at];
    }
    return s->batch * s->c;
}
static void check_model(struct sizes s)
{
    struct model m;
    model_init(&m, s);
    train(&m, 0, s.rank ? WEIGHTS : A1);
    float *y = floats(m.x.n, NAN), *dx = floats(m.x.n, NAN);
    double *want = doubles(m.x.n);
    forth_and_back(&m, true, y, dx);
    reference(&m, want);
    check_close("y", y, want, computed(&s, y, want), 5e-6);
    check_differences(loss, &m, m.x.d, m.x.n, want);
    check_close("dx", dx, want, m.x.n, 2e-5);
    for (int i = 0; i < (s.rank ? WEIGHTS : A1); i++) {
        double *grad = doubles(m.w[i].n);
        check_differences(loss, &m, m.w[i].d, m.w[i].n, grad);
        if (i == KB) /* a key bias moves all scores of a query alike: no gradient but rounding */
            check_close(name[i], m.g[i], grad, 0, 0);
        else
            check_close(name[i], m.g[i], grad, m.w[i].n, 5e-5);
        free(grad);
    }
    free(y);
    free(dx);
    free(want);
    model_done(&m);
}
static void gradients(void **state)
{
    (void)state;
    check_seed("block.gradients");
    const struct sizes all[] = {
        {2, 5, 6, 2, 9, 0, ACT_QUICK_GELU, false, false}, {2, 4, 6, 3, 7, 2, ACT_QUICK_GELU, false, false},
        {3, 3, 4, 1, 5, 3, ACT_GELU, true, false},        {2, 5, 6, 2, 9, 2, ACT_QUICK_GELU, false, true},
        {1, 4, 4, 2, 8, 0, ACT_SILU, false, true},        {2, 1, 4, 2, 3, 1, ACT_QUICK_GELU, false, true},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        check_model(all[i]);
}

/* Freezing weights, and not needing dx, changes nothing about the gradients that are still made. */
static void freezing(void **state)
{
    (void)state;
    check_seed("block.freezing");
    for (int row0 = 0; row0 < 2; row0++) {
        struct model m;
        model_init(&m, (struct sizes){2, 5, 8, 2, 11, 3, ACT_QUICK_GELU, false, row0});
        float *y = floats(m.x.n, 0), *dx = floats(m.x.n, 0), *all[WEIGHTS];
        train(&m, 0, WEIGHTS);
        assert_true(block_trainable(&m.block) && ffn_trainable(&m.block.ffn));
        forth_and_back(&m, true, y, dx);
        for (int i = 0; i < WEIGHTS; i++) {
            all[i] = m.g[i];
            m.g[i] = NULL;
        }
        for (int i = 0; i < WEIGHTS; i++) {
            train(&m, i, i + 1);
            assert_true(block_trainable(&m.block));
            assert_int_equal(ffn_trainable(&m.block.ffn), i >= W1);
            forth_and_back(&m, false, y, dx);
            assert_memory_equal(m.g[i], all[i], (size_t)m.w[i].n * sizeof *all[i]);
        }
        train(&m, 0, 0);
        assert_false(block_trainable(&m.block));
        for (int i = 0; i < WEIGHTS; i++)
            free(all[i]);
        free(y);
        free(dx);
        model_done(&m);
    }
}

struct seen {
    int calls;
    int64_t t;
};
static void see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t, int64_t c)
{
    struct seen *s = arg;
    s->calls += strcmp(what, "mlp_in") == 0 && layer == 3 && x && batch == 2 && c == 8;
    s->t = t;
}
/* Inference gives the same bits as training, leaves the arena as it was, and reports the MLP's input. */
static void inference(void **state)
{
    (void)state;
    check_seed("block.inference");
    for (int row0 = 0; row0 < 2; row0++) {
        struct model m;
        model_init(&m, (struct sizes){2, 7, 8, 2, 13, 2, ACT_QUICK_GELU, false, row0});
        float *y = floats(m.x.n, 0), *dx = floats(m.x.n, 0), *x = floats(m.x.n, 0);
        double *none = doubles(m.x.n);
        forth_and_back(&m, true, y, dx);
        struct arena a;
        arena_init(&a);
        struct seen seen = {0};
        struct observer o = {see, &seen};
        struct pass p = pass_of(&m, &a, false);
        p.observer = &o;
        memcpy(x, m.x.f, (size_t)m.x.n * sizeof *x);
        assert_true(block_forward(&m.block, &p, 3, row0, x, NULL, NULL));
        assert_int_equal(a.used, 0);
        assert_int_equal(seen.calls, !row0);
        assert_true(row0 || seen.t == 7);
        computed(&m.s, x, none);
        assert_memory_equal(x, y, (size_t)computed(&m.s, y, none) * sizeof *x);
        arena_done(&a);
        free(y);
        free(dx);
        free(x);
        free(none);
        model_done(&m);
    }
}

/* Whatever the limit: an error or success, no crash; small limits do fail. */
static void exhaustion(void **state)
{
    (void)state;
    check_seed("block.exhaustion");
    struct model m;
    model_init(&m, (struct sizes){2, 5, 8, 2, 11, 3, ACT_QUICK_GELU, false, false});
    train(&m, 0, WEIGHTS);
    float *x = floats(m.x.n, 0), *dx = floats(m.x.n, 0);
    int failed = 0, passed = 0;
    for (size_t limit = 64; limit < 40000; limit += 256) {
        struct arena a;
        arena_init(&a);
        a.limit = limit;
        struct pass p = pass_of(&m, &a, true);
        struct block_tape *tape = NULL;
        struct error err = {0};
        memcpy(x, m.x.f, (size_t)m.x.n * sizeof *x);
        memcpy(dx, m.dy.f, (size_t)m.x.n * sizeof *dx);
        bool ok = block_forward(&m.block, &p, 0, false, x, &tape, &err) &&
                  block_backward(&m.block, &p, 0, false, tape, dx, true, &err);
        assert_true(ok || strstr(err.text, "out of memory"));
        failed += !ok;
        passed += ok;
        arena_done(&a);
    }
    assert_true(failed > 10 && passed > 10);
    free(x);
    free(dx);
    model_done(&m);
}

static void run(void *arg, float *out)
{
    struct model *m = arg;
    train(m, 0, WEIGHTS);
    forth_and_back(m, true, out, out + m->x.n);
    double *none = doubles(m->x.n);
    int64_t n = computed(&m->s, out, none);
    memset(out + n, 0, (size_t)(m->x.n - n) * sizeof *out);
    free(none);
    out += 2 * m->x.n;
    for (int i = 0; i < WEIGHTS; out += m->w[i++].n)
        memcpy(out, m->g[i], (size_t)m->w[i].n * sizeof *out);
}
static void threads(void **state)
{
    (void)state;
    check_seed("block.threads");
    for (int i = 0; i < 3; i++) {
        struct model m;
        model_init(&m, (struct sizes){9, 23, 48, 3, 101, 5, ACT_QUICK_GELU, i == 1, i == 2});
        int64_t n = 2 * m.x.n;
        for (int j = 0; j < WEIGHTS; j++)
            n += m.w[j].n;
        check_threads("block", run, &m, n);
        model_done(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients), cmocka_unit_test(freezing),
                                       cmocka_unit_test(inference), cmocka_unit_test(exhaustion),
                                       cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
