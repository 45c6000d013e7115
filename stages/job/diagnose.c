/* Stage diagnose: how good a proxy set is, beside the most relevant samples and a random draw of the same
 * size: volume, relevance, diversity, and how well it covers the client's own data (REFERENCE section 4). */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/rng.h"
#include "stages/algo/diversity.h"
#include "stages/algo/dpp.h"
#include "stages/algo/rank.h"
#include "stages/job/feature_rows.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct diagnose_params {
    const char *domain, *replicate;
    int64_t seed;
};
static const struct param params[] = {
    PARAM(struct diagnose_params, domain, .def = "test",
          .doc = "whose proxies these are: their column in a table"),
    PARAM(struct diagnose_params, replicate, .def = "", .doc = "which of several equal runs this is"),
    PARAM(struct diagnose_params, seed, .def = "0", .min = 0, .max = 9e15,
          .doc = "of the random draw, which is the one of stage dpp that has no name"),
    {0}};

struct diagnosis {
    struct feature_rows public, private; /* private.n 0: none */
    const float *relevance;              /* (public.n) */
    json_t *rows;
};

/* ---- measuring ---- */

static void add(struct stage_context *ctx, struct diagnosis *g, const char *system, const char *metric,
                double value, int64_t n)
{
    const struct diagnose_params *p = ctx->params;
    json_array_append_new(g->rows, json_pack("{s:s, s:s, s:s, s:f, s:I, s:s}", "system", system, "domain",
                                             p->domain, "metric", metric, "value", value, "n", (json_int_t)n,
                                             "replicate", p->replicate));
}
static int64_t duplicates(struct stage_context *ctx, const struct diagnosis *g, const int64_t *row, int64_t n)
{
    bool *seen = arena_alloc(ctx->arena, (size_t)g->public.n);
    int64_t twice = 0;
    for (int64_t i = 0; i < n; i++) {
        twice += seen[row[i]];
        seen[row[i]] = true;
    }
    return twice;
}
/* The rows `row` (n) of the public set under the name `system`. Past the rank every determinant is 0: the
 * logarithm is that of as many as the rank has. */
static bool measure(struct stage_context *ctx, struct diagnosis *g, const char *system, const int64_t *row,
                    int64_t n, struct error *err)
{
    struct arena_mark mark = arena_mark(ctx->arena);
    int64_t d = g->public.d;
    struct dpp_result volume = {0};
    double log_r = 0, r = 0, coverage = 0;
    float *x = arena_floats(ctx->arena, n * d), *weight = arena_floats(ctx->arena, n);
    if (!x || !weight)
        return error_set(err, NULL, ERROR_TASK, "out of memory for %lld proxies", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        memcpy(x + i * d, g->public.x + row[i] * d, (size_t)d * sizeof *x);
        weight[i] = g->relevance[row[i]];
        r += (double)weight[i] / (double)n;
        log_r += log((double)weight[i]);
    }
    if (!dpp_greedy(x, weight, n, d, n, DPP_STOP, ctx->arena, &volume, err))
        return false;
    if (g->private.n > 0 &&
        !diversity_coverage(x, n, g->private.x, g->private.n, d, ctx->arena, &coverage, err))
        return false;
    add(ctx, g, system, "logdet", volume.logdet, n);
    add(ctx, g, system, "rank", (double)volume.determined, n);
    add(ctx, g, system, "log_relevance", log_r, n);
    add(ctx, g, system, "relevance", r, n);
    add(ctx, g, system, "duplicates", (double)duplicates(ctx, g, row, n), n);
    if (n > 1)
        add(ctx, g, system, "cosine", diversity_cosine(x, n, d), n);
    if (g->private.n > 0)
        add(ctx, g, system, "coverage", coverage, n);
    arena_release(ctx->arena, mark);
    return true;
}
static bool measure_all(struct stage_context *ctx, struct diagnosis *g, struct error *err)
{
    const struct diagnose_params *p = ctx->params;
    int64_t *chosen, n, all = g->public.n;
    AUTO_JSON selection = NULL;
    int64_t *order = arena_try(ctx->arena, (size_t)all * sizeof *order);
    int64_t *work = arena_try(ctx->arena, (size_t)all * sizeof *work);
    if (!order || !work)
        return error_set(err, NULL, ERROR_TASK, "out of memory for %lld samples", (long long)all);
    if (!feature_rows_selection(ctx, &g->public, "selection", 0, &chosen, &n, &selection, err) ||
        !measure(ctx, g, "selected", chosen, n, err))
        return false;
    rank_descending(g->relevance, all, order, work);
    if (!measure(ctx, g, "most relevant", order, n, err))
        return false;
    struct rng rng = rng_at(rng_stream((uint64_t)p->seed, "dpp.random"), 0, 0);
    rng_permutation(&rng, all, order);
    return measure(ctx, g, "random", order, n, err);
}

static bool run(struct stage_context *ctx, struct error *err)
{
    AUTO_JSON o = json_object();
    struct diagnosis g = {.rows = json_array()};
    json_object_set_new(o, "rows", g.rows);
    omp_set_num_threads(ctx->threads);
    bool ok = feature_rows_read(ctx, "features", 0, &g.public, err) &&
              feature_rows_relevance(ctx, &g.public, &g.relevance, err) &&
              (!stage_in(ctx, "private", 0) || feature_rows_read(ctx, "private", 0, &g.private, err));
    if (ok && g.private.n > 0 && g.private.d != g.public.d)
        ok = error_set(err, NULL, ERROR_INPUT,
                       "private features have %lld columns, public ones %lld: they must be of one model",
                       (long long)g.private.d, (long long)g.public.d);
    if (ok) {
        diversity_unit(g.public.x, g.public.n, g.public.d);
        diversity_unit(g.private.x, g.private.n, g.public.d);
        ok = measure_all(ctx, &g, err);
    }
    json_decref(g.public.ids);
    json_decref(g.private.ids);
    return ok && json_write(stage_out_file(ctx, "metrics", "metrics.json"), o, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    (void)params_;
    double m = (double)in->chosen;
    ret->flops = 12 * m * m * 1000 + 6 * (double)in->own * m * 1000;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 2 * (double)in->bytes + m * 16e3);
    ret->makes = (struct cost_output){.bytes = 4000};
}
const struct stage stage_diagnose = {
    .name = "diagnose",
    .version = 1,
    .doc = "How good a proxy set is: volume, relevance, diversity and coverage, beside the most relevant "
           "samples and random ones.",
    .params = params,
    .params_size = sizeof(struct diagnose_params),
    .inputs =
        (const struct port[]){
            {.name = "features", .type = ARTIFACT_FEATURES, .doc = "features of the public set"},
            {.name = "relevance",
             .type = ARTIFACT_RELEVANCE,
             .private_ok = true,
             .doc = "relevance of its samples for the client"},
            {.name = "selection", .type = ARTIFACT_SELECTION, .doc = "the client's proxies"},
            {.name = "private",
             .type = ARTIFACT_FEATURES,
             .optional = true,
             .private_ok = true,
             .doc = "features of the client's own images, for the coverage"},
            {0}},
    .outputs = (const struct port[]){{.name = "metrics",
                                      .type = ARTIFACT_METRICS,
                                      .releases = true,
                                      .release = "counts and averages",
                                      .doc = "logdet, rank, log_relevance, relevance, cosine, coverage, "
                                             "duplicates of each list"},
                                     {0}},
    .cost = cost,
    .run = run,
};
