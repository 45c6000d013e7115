/* The steps of a round. Where they are in the whole training follows from the optimisers' counts, so that a
 * round is a function of the state before it. */
#include "stages/job/comigs.h"
#include <math.h>
#include <string.h>

#define ID_LONGEST 4096

/* One of the two parts of the client's images, and what learns from it. */
struct part {
    struct train train;
    struct rng_stream shuffle;
    int64_t *order; /* (count), of pass `pass` */
    int64_t pass;   /* -1: none yet */
    double loss, balance;
    int64_t seen, right;
};
struct round {
    struct comigs *x;
    struct moe_loss loss;
    double coefficient[COMIGS_EXPERTS];
    struct part part[2]; /* for the experts, for the routers */
    int64_t done, total;
};
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for a round");
}

/* ---- the two parts ---- */
/* By its id alone: other images, seeds and rounds change nothing. */
static bool held_out(const char *id, double share)
{
    char name[ID_LONGEST];
    snprintf(name, sizeof name, "comigs.holdout %s", id);
    struct rng r = rng_at(rng_stream(0, name), 0, 0);
    return rng_uniform_double(&r) < share;
}
static bool split(struct round *r, struct error *err)
{
    struct comigs *x = r->x;
    int64_t n = dataset_count(x->data), count[2] = {0};
    struct train_sample *sample[2];
    for (int k = 0; k < 2; k++) {
        sample[k] = arena_try(x->ctx->arena, (size_t)n * sizeof **sample);
        r->part[k].order = arena_try(x->ctx->arena, (size_t)n * sizeof *r->part[k].order);
        if (!sample[k] || !r->part[k].order)
            return no_memory(err);
    }
    for (int64_t i = 0; i < n; i++) {
        int k = held_out(dataset_id(x->data, i), x->p->holdout);
        sample[k][count[k]++] = (struct train_sample){0, i, dataset_label(x->data, i)};
    }
    for (int k = 0; k < 2; k++) {
        r->part[k].train.sample = sample[k];
        r->part[k].train.count = count[k];
    }
    return (count[0] && count[1]) ||
           error_set(
               err, NULL, ERROR_INPUT,
               "of the client's %lld images %lld are held out for the routers: the experts and the routers "
               "need some each, choose another 'holdout'",
               (long long)n, (long long)count[1]);
}
static bool prepare(struct round *r, struct error *err)
{
    static const char *const names[] = {"comigs.experts", "comigs.routers"};
    struct comigs *x = r->x;
    double q = x->p->importance;
    r->coefficient[COMIGS_GENERALIST] = 1 / (COMIGS_EXPERTS * q);
    r->coefficient[COMIGS_SPECIALIST] = (COMIGS_EXPERTS - 1) / (COMIGS_EXPERTS * (1 - q));
    r->loss = (struct moe_loss){.coefficient = r->coefficient};
    r->loss.weight[MOE_LOSS_BALANCE] = x->p->balance_loss;
    for (int k = 0; k < 2; k++) {
        struct part *part = &r->part[k];
        part->train = (struct train){.params = &x->p->train,
                                     .name = names[k],
                                     .model = x->model,
                                     .data = &x->data,
                                     .sets = 1,
                                     .text = x->text,
                                     .classes = dataset_classes(x->data),
                                     .optim = x->state.optim[k],
                                     .loss = &r->loss,
                                     .threads = x->ctx->threads};
        part->shuffle = rng_stream((uint64_t)x->p->train.seed, names[k]);
        part->pass = -1;
    }
    return split(r, err);
}

/* ---- steps ---- */
/* Falls along a cosine to lr_end times itself at step `horizon`, and stays there. */
static double expert_rate(const struct comigs_params *p, int64_t step)
{
    double end = p->lr_end * p->train.lr, at = (double)(step < p->horizon ? step : p->horizon);
    if (!strcmp(p->train.schedule, "constant"))
        return p->train.lr;
    return end + (p->train.lr - end) * 0.5 * (1 + cos(M_PI * at / (double)p->horizon));
}
/* Passes go through the part in batches, the last of which may be smaller. */
static bool step(struct round *r, int k, double lr, struct error *err)
{
    struct part *part = &r->part[k];
    int64_t count = part->train.count, batch = r->x->p->train.batch, batches = (count + batch - 1) / batch;
    int64_t at = optim_steps(part->train.optim), first = at % batches * batch;
    int64_t n = count - first < batch ? count - first : batch;
    if (at / batches != part->pass) {
        part->pass = at / batches;
        struct rng rng = rng_at(part->shuffle, (uint64_t)part->pass, 0);
        rng_permutation(&rng, count, part->order);
    }
    comigs_turn(r->x, k == 1);
    if (!train_batch(&part->train, part->order + first, n, part->pass, lr, &part->loss, &part->right, err))
        return false;
    part->seen += n;
    part->balance += r->loss.value[MOE_LOSS_BALANCE] * (double)n;
    stage_progress(r->x->ctx, (double)++r->done, (double)r->total, "steps");
    return true;
}
static void report(const struct round *r)
{
    static const char *const names[][3] = {{"loss", "accuracy", "balance_loss"},
                                           {"router_loss", "router_accuracy", "router_balance_loss"}};
    for (int k = 0; k < 2; k++) {
        const struct part *part = &r->part[k];
        double n = (double)part->seen;
        int64_t at = optim_steps(r->x->state.optim[0]);
        if (!part->seen)
            continue;
        stage_metric(r->x->ctx, names[k][0], part->loss / n, at);
        stage_metric(r->x->ctx, names[k][1], (double)part->right / n, at);
        if (r->x->p->balance_loss > 0)
            stage_metric(r->x->ctx, names[k][2], part->balance / n, at);
    }
}
bool comigs_round(struct comigs *x, struct error *err)
{
    struct round r = {.x = x};
    const struct comigs_params *p = x->p;
    if (!prepare(&r, err))
        return false;
    int64_t from = optim_steps(x->state.optim[0]), to = from + p->steps;
    r.total = p->steps + (to / p->router_every - from / p->router_every) * p->router_steps;
    for (int64_t at = from; at < to; at++) {
        if (!step(&r, 0, expert_rate(p, at), err))
            return false;
        for (int64_t i = 0; (at + 1) % p->router_every == 0 && i < p->router_steps; i++)
            if (!step(&r, 1, p->lr_router * p->train.lr, err))
                return false;
    }
    report(&r);
    return true;
}
