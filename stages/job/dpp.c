/* Stage dpp: the proxies of a client, public samples that are relevant and unlike each other (paper 3.2): the
 * `pool` most relevant samples, of which a greedy determinantal point process takes `size`. */
#include "stages/algo/dpp.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "stages/algo/rank.h"
#include "stages/io/safetensors.h"
#include "stages/job/effort.h"
#include "stages/stage.h"
#include <omp.h>
#include <string.h>

struct dpp_params {
    int64_t pool, size, seed;
    const char *method, *kernel, *fill, *draw;
};
static const struct param params[] = {
    PARAM(struct dpp_params, pool, .def = "3000", .min = 1, .max = 1e9, .unit = "samples",
          .doc = "how many of the most relevant samples to choose from; at most all",
          .source = "paper: 3000; authors' code: 2000"),
    PARAM(struct dpp_params, size, .def = "500", .min = 1, .max = 1e9, .unit = "samples",
          .doc = "how many to choose", .source = "paper: 500"),
    PARAM(
        struct dpp_params, method, .def = "dpp", .choices = "dpp|similarity|random",
        .doc =
            "relevance-weighted process, the most relevant ones, or a random draw from the whole public set",
        .source = "paper: dpp; ablation: similarity"),
    PARAM(struct dpp_params, kernel, .def = "cosine", .choices = "cosine",
          .doc = "similarity of two samples"),
    PARAM(struct dpp_params, fill, .def = "restart", .choices = "restart|relevance|stop",
          .doc = "past the rank of the features, where every determinant is 0: start a new process on what "
                 "is left, take the "
                 "most relevant ones, or stop short"),
    PARAM(struct dpp_params, seed, .def = "0", .min = 0, .max = 9e15, .doc = "of the random draw"),
    PARAM(struct dpp_params, draw, .def = "",
          .doc = "name of the random draw: clients that draw under names of their own draw other samples"),
    {0}};

struct candidates {
    int64_t n, d;
    const float *x, *r; /* (n,d), (n) */
    json_t *ids;        /* (n) */
};
struct choice {
    int64_t *index; /* rows of the public set, in pick order */
    double *gain;   /* NULL without a process */
    int64_t count, determined, restarts;
    double logdet;
    int64_t pool;
};

static bool check(const void *params_, struct error *err)
{
    const struct dpp_params *p = params_;
    return p->size <= p->pool ||
           error_set(err, NULL, ERROR_INPUT, "size %lld is larger than the pool of %lld", (long long)p->size,
                     (long long)p->pool);
}
static bool no_memory(struct error *err, int64_t n)
{
    return error_set(err, NULL, ERROR_TASK, "out of memory for a pool of %lld samples", (long long)n);
}

/* The process over the rows from[0..n-1]; indices are put back in terms of the public set. */
static bool process(struct stage_context *ctx, const struct candidates *c, const int64_t *from, int64_t n,
                    int64_t m, enum dpp_fill fill, struct dpp_result *ret, struct error *err)
{
    float *x = arena_floats(ctx->arena, n * c->d), *r = arena_floats(ctx->arena, n);
    if (!x || !r)
        return no_memory(err, n);
    for (int64_t i = 0; i < n; i++) {
        memcpy(x + i * c->d, c->x + from[i] * c->d, (size_t)c->d * sizeof *x);
        r[i] = c->r[from[i]];
    }
    if (!dpp_greedy(x, r, n, c->d, m, fill, ctx->arena, ret, err))
        return false;
    for (int64_t i = 0; i < ret->picked; i++)
        ret->order[i] = from[ret->order[i]];
    return true;
}
/* A choice made without the process: log det of it all the same, for comparison. */
static bool take_first(struct stage_context *ctx, const struct candidates *c, int64_t *order, int64_t size,
                       struct choice *ret, struct error *err)
{
    struct dpp_result r = {0};
    if (!process(ctx, c, order, size, size, DPP_STOP, &r, err))
        return false;
    ret->index = order;
    ret->count = size;
    ret->determined = r.determined;
    ret->logdet = r.logdet;
    return true;
}

static bool choose(struct stage_context *ctx, const struct candidates *c, struct choice *ret,
                   struct error *err)
{
    const struct dpp_params *p = ctx->params;
    int64_t *order = arena_try(ctx->arena, (size_t)c->n * sizeof *order);
    int64_t *work = arena_try(ctx->arena, (size_t)c->n * sizeof *work);
    if (!order || !work)
        return no_memory(err, c->n);
    *ret = (struct choice){.pool = p->pool < c->n ? p->pool : c->n};
    if (!strcmp(p->method, "random")) {
        ret->pool = c->n;
        AUTO(mem) char *stream = xprintf(*p->draw ? "dpp.random.%s" : "dpp.random", p->draw);
        struct rng rng = rng_at(rng_stream((uint64_t)p->seed, stream), 0, 0);
        rng_permutation(&rng, c->n, order);
        return take_first(ctx, c, order, p->size, ret, err);
    }
    if (p->pool > c->n)
        stage_warn(ctx, "the pool of %lld is the whole public set of %lld samples", (long long)p->pool,
                   (long long)c->n);
    rank_descending(c->r, c->n, order, work);
    if (!strcmp(p->method, "similarity"))
        return take_first(ctx, c, order, p->size, ret, err);
    enum dpp_fill fill = !strcmp(p->fill, "stop")        ? DPP_STOP
                         : !strcmp(p->fill, "relevance") ? DPP_RELEVANCE
                                                         : DPP_RESTART;
    struct dpp_result r = {0};
    if (!process(ctx, c, order, ret->pool, p->size, fill, &r, err))
        return false;
    ret->index = r.order;
    ret->gain = r.gain;
    ret->count = r.picked;
    ret->determined = r.determined;
    ret->restarts = r.restarts;
    ret->logdet = r.logdet;
    return true;
}

static bool read_candidates(struct stage_context *ctx, const struct safetensors *features,
                            const struct safetensors *relevance, struct candidates *c, struct error *err)
{
    const struct dpp_params *p = ctx->params;
    const struct tensor *x = safetensors_want(features, "features", -1, NULL, err);
    const struct tensor *r = x ? safetensors_want(relevance, "relevance", -1, NULL, err) : NULL;
    if (!r)
        return false;
    if (x->rank != 2 || x->shape[1] < 1)
        return error_set(err, NULL, ERROR_INPUT, "the features must be a (samples, features) table");
    c->n = x->shape[0];
    c->d = x->shape[1];
    if (r->n != c->n || (int64_t)json_array_size(c->ids) != c->n)
        return error_set(
            err, NULL, ERROR_INPUT,
            "%lld feature rows, %lld ids and %lld relevances: they must be of the same public set",
            (long long)c->n, (long long)json_array_size(c->ids), (long long)r->n);
    if (p->size > c->n)
        return error_set(err, NULL, ERROR_INPUT,
                         "size %lld is larger than the pool: the public set has %lld samples",
                         (long long)p->size, (long long)c->n);
    c->x = tensor_floats(x, ctx->arena);
    c->r = tensor_floats(r, ctx->arena);
    return (c->x && c->r) || no_memory(err, c->n);
}

static bool write_choice(struct stage_context *ctx, const struct candidates *c, const struct choice *s,
                         struct error *err)
{
    const struct dpp_params *p = ctx->params;
    AUTO_JSON ids = json_array();
    AUTO_JSON indices = json_array();
    AUTO_JSON relevance = json_array();
    AUTO_JSON gain = json_array();
    for (int64_t i = 0; i < s->count; i++) {
        json_array_append(ids, json_array_get(c->ids, (size_t)s->index[i]));
        json_array_append_new(indices, json_integer(s->index[i]));
        json_array_append_new(relevance, json_real((double)c->r[s->index[i]]));
        if (s->gain)
            json_array_append_new(gain, json_real(s->gain[i]));
    }
    AUTO_JSON o =
        json_pack("{s:s, s:O, s:O, s:O, s:O, s:f, s:I, s:I, s:I, s:I}", "method", p->method, "ids", ids,
                  "indices", indices, "relevance", relevance, "gain", gain, "logdet", s->logdet, "determined",
                  (json_int_t)s->determined, "restarts", (json_int_t)s->restarts, "pool", (json_int_t)s->pool,
                  "size", (json_int_t)s->count);
    return json_write(stage_out_file(ctx, "selection", "selection.json"), o, err);
}

static bool run(struct stage_context *ctx, struct error *err)
{
    AUTO(safetensors) struct safetensors *features = NULL;
    AUTO(safetensors) struct safetensors *relevance = NULL;
    omp_set_num_threads(ctx->threads);
    AUTO_JSON ids = json_read(stage_in_file(ctx, "features", 0, "ids.json"), err);
    if (!ids ||
        !safetensors_open(stage_in_file(ctx, "features", 0, "features.safetensors"), &features, err) ||
        !safetensors_open(stage_in_file(ctx, "relevance", 0, "relevance.safetensors"), &relevance, err))
        return false;
    struct candidates c = {.ids = ids};
    struct choice s = {0};
    if (!read_candidates(ctx, features, relevance, &c, err) || !choose(ctx, &c, &s, err))
        return false;
    stage_metric(ctx, "logdet", s.logdet, 0);
    stage_metric(ctx, "determined", (double)s.determined, 0);
    return write_choice(ctx, &c, &s, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct dpp_params *p = params_;
    double n = (double)p->pool, m = (double)p->size, d = EFFORT_WIDTH;
    if (in->samples > 0 && in->samples < p->pool)
        n = (double)in->samples;
    ret->flops = 2 * n * m * d + 4 * m * m * d;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + (double)in->bytes + n * (d * 4 + 64) + m * d * 8);
    ret->makes = (struct cost_output){.samples = p->size, .bytes = cost_count(100 * m)};
}
const struct stage stage_dpp = {
    .name = "dpp",
    .version = 1,
    .doc = "Proxies of a client: relevant public samples unlike each other, by a greedy determinantal point "
           "process.",
    .params = params,
    .params_size = sizeof(struct dpp_params),
    .inputs =
        (const struct port[]){
            {.name = "features", .type = ARTIFACT_FEATURES, .doc = "features of the public set"},
            {.name = "relevance",
             .type = ARTIFACT_RELEVANCE,
             .private_ok = true,
             .doc = "relevance of its samples for a client"},
            {0}},
    .outputs = (const struct port[]){{.name = "selection",
                                      .type = ARTIFACT_SELECTION,
                                      .releases = true,
                                      .release = "ids of public samples",
                                      .doc = "chosen samples in pick order"},
                                     {0}},
    .check = check,
    .cost = cost,
    .run = run,
};
