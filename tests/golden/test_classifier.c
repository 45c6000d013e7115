/* The linear probe against stored training runs: losses, first gradient, final weights, scores, ranking. */
#include "stages/algo/probe.h"
#include "tests/golden/oracle.h"

static float *copy(struct oracle_case *c, const float *x, int64_t n)
{
    float *y = arena_floats(&c->arena, n);
    memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}
static float *zeros(struct oracle_case *c, int64_t n)
{
    return arena_alloc(&c->arena, (size_t)n * sizeof(float));
}
/* final.NAME and delta.NAME. */
static void check_trained(struct oracle_case *c, const char *name, const struct mat *m, const float *init)
{
    float *delta = zeros(c, mat_size(m));
    for (int64_t i = 0; i < mat_size(m); i++)
        delta[i] = m->w[i] - init[i];
    oracle_check(c, arena_printf(&c->arena, "final.%s", name), m->w, mat_size(m));
    oracle_check(c, arena_printf(&c->arena, "delta.%s", name), delta, mat_size(m));
}
static void check_scores(struct oracle_case *c, const struct probe *p)
{
    int64_t shape[8];
    const float *x = oracle_floats(c, "public_features", shape, NULL);
    int64_t n = shape[0], *rank = arena_alloc(&c->arena, (size_t)n * sizeof *rank);
    float *score = zeros(c, n);
    probe_score(p, x, n, score);
    for (int64_t i = 0; i < n; i++) { /* by decreasing score, equal ones in order */
        int64_t at = i;
        for (; at > 0 && score[rank[at - 1]] < score[i]; at--)
            rank[at] = rank[at - 1];
        rank[at] = i;
    }
    oracle_check(c, "scores", score, n);
    oracle_check_ints(c, "ranking", rank, n);
}
static struct optim_config read_optimizer(const struct oracle_case *c)
{
    const json_t *betas = json_object_get(json_object_get(c->json, "hyper"), "betas");
    return (struct optim_config){
        .kind = strstr(json_string_or(c->json, "description", ""), "AdamW") ? OPTIM_ADAMW : OPTIM_ADAM,
        .lr = oracle_number(c, "hyper.lr"),
        .weight_decay = oracle_number(c, "hyper.weight_decay"),
        .beta1 = json_number_value(json_array_get(betas, 0)),
        .beta2 = json_number_value(json_array_get(betas, 1)),
        .eps = oracle_number(c, "hyper.eps"),
    };
}
/* The loss follows from the weights: one logit with bias, or two without. */
static struct probe read_probe(struct oracle_case *c, const float **ret_w, const float **ret_b)
{
    int64_t shape[8];
    *ret_w = oracle_floats(c, "init.weight", shape, NULL);
    struct probe p = {shape[0] == 1 ? PROBE_BCE : PROBE_SOFTMAX, shape[1], {0}, {0}};
    int64_t n = shape[0] * shape[1];
    p.w = (struct mat){copy(c, *ret_w, n), zeros(c, n), shape[0], shape[1]};
    *ret_b = NULL;
    if (p.loss == PROBE_BCE) {
        *ret_b = oracle_floats(c, "init.bias", NULL, NULL);
        p.b = (struct mat){copy(c, *ret_b, 1), zeros(c, 1), 1, 1};
    }
    return p;
}
static void run(struct oracle_case *c)
{
    int64_t shape[8], batch = (int64_t)oracle_number(c, "batch_size"),
                      epochs = (int64_t)oracle_number(c, "epochs");
    const float *x = oracle_floats(c, "features", shape, NULL), *w, *b;
    const int64_t *label = oracle_ints(c, "labels", NULL, NULL), *order = oracle_ints(c, "order", NULL, NULL);
    int64_t n = shape[0], batches = (n + batch - 1) / batch * epochs;
    struct probe p = read_probe(c, &w, &b);
    struct optim_config o = read_optimizer(c);

    probe_gradient(&p, x, label, order, batch < n ? batch : n);
    oracle_check(c, "grad1.weight", p.w.g, mat_size(&p.w));
    if (b)
        oracle_check(c, "grad1.bias", p.b.g, 1);

    int64_t *visits = arena_alloc(&c->arena, (size_t)(n * epochs) * sizeof *visits);
    for (int64_t e = 0; e < epochs; e++)
        memcpy(visits + e * n, order, (size_t)n * sizeof *visits);
    float *losses = zeros(c, batches);
    struct error err = {0};
    if (!oracle_ok(c, probe_train(&p, x, label, visits, n, batch, epochs, &o, &c->arena, losses, &err), &err))
        return;
    oracle_check(c, "loss", losses, batches);
    check_trained(c, "weight", &p.w, w);
    if (b)
        check_trained(c, "bias", &p.b, b);
    check_scores(c, &p);
}
int main(void)
{
    return oracle_main("classifier", NULL, run);
}
