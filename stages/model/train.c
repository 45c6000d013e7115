#include "stages/model/train.h"
#include "base/cleanup.h"
#include "stages/model/train_routers.h"
#include <math.h>
#include <string.h>

static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory in training: lower 'micro_batch' or 'batch'");
}
struct optim_config train_optim_config(const struct train_params *p)
{
    return (struct optim_config){.kind = strcmp(p->optimizer, "adamw") ? OPTIM_SGD : OPTIM_ADAMW,
                                 .lr = p->lr,
                                 .weight_decay = p->weight_decay,
                                 .momentum = p->momentum,
                                 .nesterov = p->nesterov,
                                 .beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .eps = 1e-8};
}
struct optim *train_optim(const struct train_params *p, struct arena *a)
{
    const struct optim_config o = train_optim_config(p);
    return optim_new(&o, a);
}
bool train_check(const struct train_params *p, struct error *err)
{
    if (!prompt_check(&p->prompt, err))
        return false;
    if (p->nesterov && p->momentum == 0 && strcmp(p->optimizer, "adamw") != 0)
        return error_set(err, NULL, ERROR_INPUT, "'nesterov' needs a 'momentum' above 0");
    return true;
}
bool train_prefix(const struct train_params *p)
{
    return !strcmp(p->schedule, "constant") && p->warmup == 0;
}

/* ---- images ---- */
struct runner {
    struct train *t;
    struct arena arena; /* of one pass */
    struct train_routers routers;
    int64_t micro, side, image; /* images at once; their side and floats */
};
static void runner_init(struct runner *r, struct train *t)
{
    int64_t fit = TRAIN_TOKENS / clip_tokens(t->model);
    *r = (struct runner){.t = t, .side = t->model->config.image_size};
    r->image = 3 * r->side * r->side;
    r->micro = t->params->micro_batch ? t->params->micro_batch : fit < 1 ? 1 : fit;
    arena_init(&r->arena);
}
static struct transform transform_of(const struct runner *r, bool augment)
{
    if (!augment || !r->t->params->augment)
        return transform_eval((int)r->side);
    if (!strcmp(r->t->params->image_transform, "released"))
        return transform_train((int)r->side);
    if (!strcmp(r->t->params->image_transform, "random_resized"))
        return transform_resized((int)r->side);
    struct transform t = transform_eval((int)r->side);
    t.crop = CROP_RANDOM;
    return t;
}
/* What one pass works on: samples order[0..n-1], put set by set so that each set is loaded in one go. */
struct chunk {
    int64_t n;
    int64_t *label; /* (n) */
    float *target;  /* (n,K), or NULL */
    float *pixels;  /* (n,3,S,S) */
};
static bool chunk_load(struct runner *r, const int64_t *order, int64_t n, bool augment, uint32_t epoch,
                       struct chunk *ret, struct error *err)
{
    const struct train *t = r->t;
    struct transform transform = transform_of(r, augment);
    int64_t *index = arena_try(&r->arena, (size_t)n * sizeof *index), at = 0;
    *ret = (struct chunk){.n = n, .label = arena_try(&r->arena, (size_t)n * sizeof *ret->label)};
    ret->pixels = arena_floats(&r->arena, n * r->image);
    int64_t experts = t->target && r->routers.loss ? r->routers.experts : 0;
    ret->target = experts ? arena_floats(&r->arena, n * experts) : NULL;
    if (!index || !ret->label || !ret->pixels || (experts && !ret->target))
        return no_memory(err);
    for (int set = 0; set < t->sets; set++) {
        struct rng_stream crops =
            rng_stream((uint64_t)t->params->seed, arena_printf(&r->arena, "%s.augment.%d", t->name, set));
        int64_t first = at;
        for (int64_t i = 0; i < n; i++)
            if (t->sample[order[i]].set == set) {
                index[at] = t->sample[order[i]].index;
                if (experts)
                    copy_into(ret->target + at * experts, t->target + order[i] * experts, experts);
                ret->label[at++] = t->sample[order[i]].label;
            }
        if (at > first && !loader_batch(t->data[set], index + first, at - first, &transform, crops, epoch,
                                        t->threads, ret->pixels + first * r->image, err))
            return false;
    }
    return true;
}
static void count_on(struct train *t, int64_t n)
{
    t->done += n;
    if (t->progress)
        t->progress(t->arg, t->done, t->total);
}
static bool find_context(struct runner *r, struct pass *p, const struct chunk *c, struct error *err)
{
    const float **context = NULL;
    const struct clip *m = r->t->model;
    if (!m->moe || m->moe[0].context != MOE_CONTEXT_SEED)
        return true;
    if (!clip_seed_context(m, &r->arena, c->pixels, c->n, &context, err))
        return false;
    p->context = context;
    return true;
}

/* ---- one step ---- */
static int64_t count_right(const struct chunk *c, const float *logits, int64_t classes)
{
    int64_t right = 0;
    for (int64_t i = 0; i < c->n; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            if (logits[i * classes + k] > logits[i * classes + best])
                best = k;
        right += best == c->label[i];
    }
    return right;
}
/* Adds this chunk's share of a batch's gradients; += its summed loss and right answers. */
static bool chunk_gradients(struct runner *r, const struct chunk *c, int64_t batch, double *loss,
                            int64_t *right, struct error *err)
{
    struct train *t = r->t;
    const struct clip *m = t->model;
    int64_t e = m->config.embed;
    struct pass p = {
        .batch = c->n, .arena = &r->arena, .train = true, .last_row0 = true, .loss = r->routers.loss};
    struct clip_tape *tape;
    float value, *embeds = arena_floats(&r->arena, c->n * e), *dembeds = arena_floats(&r->arena, c->n * e);
    float *logits = arena_floats(&r->arena, c->n * t->classes);
    if (!embeds || !dembeds || !logits)
        return no_memory(err);
    if (p.loss)
        p.loss->target = c->target;
    if (!find_context(r, &p, c, err) || !clip_image_forward(m, &p, c->pixels, embeds, NULL, &tape, err) ||
        !clip_classify(embeds, t->text, expf(m->logit_scale.w[0]), c->label, c->n, t->classes, e, &r->arena,
                       logits, dembeds, &value, err))
        return false;
    *loss += (double)value * (double)c->n;
    *right += count_right(c, logits, t->classes);
    scale_into(dembeds, (float)((double)c->n / (double)batch), c->n * e);
    return clip_image_backward(m, &p, tape, c->pixels, dembeds, err);
}
static double learning_rate(const struct train_params *p, int64_t step, int64_t steps)
{
    int64_t warm = (int64_t)ceil(p->warmup * (double)steps);
    if (step < warm)
        return p->lr * (double)(step + 1) / (double)warm;
    if (!strcmp(p->schedule, "constant"))
        return p->lr;
    return p->lr * 0.5 * (1 + cos(M_PI * (double)(step - warm) / (double)(steps - warm)));
}
/* The routers' load over a whole batch, of which only parts are in memory: forward alone. */
static bool count_visits(struct runner *r, const int64_t *order, int64_t n, int64_t epoch, struct error *err)
{
    const struct clip *m = r->t->model;
    for (int64_t at = 0; at < n; at += r->micro) {
        int64_t some = n - at < r->micro ? n - at : r->micro;
        struct pass p = {.batch = some, .arena = &r->arena, .last_row0 = true, .loss = r->routers.loss};
        float *embeds = arena_floats(&r->arena, some * m->config.embed);
        struct chunk c;
        if (!embeds)
            return no_memory(err);
        if (!chunk_load(r, order + at, some, true, (uint32_t)epoch, &c, err) ||
            !find_context(r, &p, &c, err) || !clip_image_forward(m, &p, c.pixels, embeds, NULL, NULL, err))
            return false;
        arena_reset(&r->arena);
    }
    train_routers_counted(&r->routers);
    return true;
}
/* Images order[0..n-1] are a batch. */
static bool batch_step(struct runner *r, const int64_t *order, int64_t n, int64_t epoch, double lr,
                       double *loss, int64_t *right, struct error *err)
{
    bool count = train_routers_count_first(&r->routers, n, r->micro);
    train_routers_begin(&r->routers, n, count);
    if (count && !count_visits(r, order, n, epoch, err))
        return false;
    for (int64_t at = 0; at < n; at += r->micro) {
        int64_t some = n - at < r->micro ? n - at : r->micro;
        struct chunk c;
        if (!chunk_load(r, order + at, some, true, (uint32_t)epoch, &c, err) ||
            !chunk_gradients(r, &c, n, loss, right, err))
            return false;
        arena_reset(&r->arena);
        count_on(r->t, some);
    }
    if (!isfinite(*loss))
        return error_set(err, NULL, ERROR_TASK, "the loss is no longer finite in epoch %lld: lower 'lr'",
                         (long long)epoch + 1);
    train_routers_end(&r->routers, n);
    optim_clip(r->t->optim, r->t->params->clip);
    optim_step(r->t->optim, lr);
    if (r->t->balance) {
        train_routers_balance(&r->routers, r->t->model->moe);
        optim_step(r->t->balance, r->t->balance_rate);
    }
    return true;
}
static void report(struct runner *r, double loss, int64_t right, int64_t epoch)
{
    static const char *const names[] = {"balance_loss", "z_loss", "domain_loss"};
    const struct train *t = r->t;
    if (!t->metric)
        return;
    for (int k = 0; r->routers.loss && k < MOE_LOSSES; k++)
        if (t->loss->weight[k] != 0)
            t->metric(t->arg, names[k], r->routers.total[k] / (double)t->count, epoch + 1);
    t->metric(t->arg, "loss", loss / (double)t->count, epoch + 1);
    t->metric(t->arg, "accuracy", (double)right / (double)t->count, epoch + 1);
}
bool train_batch(struct train *t, const int64_t *order, int64_t n, int64_t epoch, double lr, double *loss,
                 int64_t *right, struct error *err)
{
    AUTO(arena) struct arena keep;
    struct runner r;
    arena_init(&keep);
    runner_init(&r, t);
    bool ok =
        train_routers_init(&r.routers, t->loss, t->model->moe, t->model->config.vision.layers, &keep, err) &&
        batch_step(&r, order, n, epoch, lr, loss, right, err);
    arena_done(&r.arena);
    return ok;
}
static bool epochs_run(struct runner *r, int64_t *order, struct error *err)
{
    struct train *t = r->t;
    const struct train_params *p = t->params;
    AUTO(arena) struct arena names;
    arena_init(&names);
    struct rng_stream shuffle = rng_stream((uint64_t)p->seed, arena_printf(&names, "%s.order", t->name));
    int64_t batches = (t->count + p->batch - 1) / p->batch;
    t->done = t->count * t->epoch;
    for (int64_t epoch = t->epoch; epoch < p->epochs; epoch++) {
        struct rng rng = rng_at(shuffle, (uint64_t)epoch, 0);
        double loss = 0;
        int64_t right = 0;
        memset(r->routers.total, 0, sizeof r->routers.total);
        bool given = p->order && !strcmp(p->order, "given");
        if (!given)
            rng_permutation(&rng, t->count, order);
        for (int64_t i = 0; given && i < t->count; i++)
            order[i] = i;
        for (int64_t b = 0; b < batches; b++) {
            int64_t first = b * p->batch, n = t->count - first < p->batch ? t->count - first : p->batch;
            double lr = learning_rate(p, epoch * batches + b, p->epochs * batches);
            if (!batch_step(r, order + first, n, epoch, lr, &loss, &right, err))
                return false;
        }
        report(r, loss, right, epoch);
        if (t->passed && !t->passed(t->arg, epoch + 1, err))
            return false;
    }
    return true;
}
bool train_run(struct train *t, struct error *err)
{
    AUTO(arena) struct arena keep;
    struct runner r;
    arena_init(&keep);
    int64_t *order = arena_try(&keep, (size_t)t->count * sizeof *order);
    if (!order)
        return no_memory(err);
    runner_init(&r, t);
    optim_zero(t->optim);
    bool ok =
        train_routers_init(&r.routers, t->loss, t->model->moe, t->model->config.vision.layers, &keep, err) &&
        epochs_run(&r, order, err);
    arena_done(&r.arena);
    return ok;
}

/* ---- looking ---- */
static bool observe_all(struct runner *r, const struct observer *o, struct error *err)
{
    struct train *t = r->t;
    for (int64_t first = 0; first < t->count; first += r->micro) {
        int64_t n = t->count - first < r->micro ? t->count - first : r->micro;
        struct pass p = {.batch = n, .arena = &r->arena, .observer = o};
        struct chunk c;
        int64_t *order = arena_try(&r->arena, (size_t)n * sizeof *order);
        float *embeds = arena_floats(&r->arena, n * t->model->config.embed);
        if (!order || !embeds)
            return no_memory(err);
        for (int64_t i = 0; i < n; i++)
            order[i] = first + i;
        if (!chunk_load(r, order, n, false, 0, &c, err) || !find_context(r, &p, &c, err) ||
            !clip_image_forward(t->model, &p, c.pixels, embeds, NULL, NULL, err))
            return false;
        arena_reset(&r->arena);
        count_on(t, n);
    }
    return true;
}
bool train_observe(struct train *t, const struct observer *o, struct error *err)
{
    struct runner r;
    runner_init(&r, t);
    bool ok = observe_all(&r, o, err);
    arena_done(&r.arena);
    return ok;
}
