/* Intervals by the bootstrap: of every draw the cells are computed anew. Runs of equal replicates are drawn
 * together in all systems and domains, samples together where a pair says what was right of the same ones;
 * runs of which only counts are known are drawn one by one. Streams go by names, so that a row has the same
 * intervals in every table. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/job/table.h"
#include <math.h>
#include <omp.h>
#include <string.h>

struct crew { /* the replicates of a system */
    int n, replicate[BOOTSTRAP_RUNS];
    struct rng_stream stream;
};
struct trial {               /* a system on a domain */
    const struct pair *pair; /* NULL: counts alone */
    bool compared;           /* the pair is with the system that the table compares with */
    int runs, replicate[BOOTSTRAP_RUNS];
    int64_t right[BOOTSTRAP_RUNS], n[BOOTSTRAP_RUNS];
    struct rng_stream stream;
};
struct draws {
    const struct table *t;
    int64_t count;
    struct crew own, other;
    struct trial *trial; /* (n_used) */
    double *mean, *diff; /* (n_used + 1, count), the average last */
};

/* ---- what is drawn ---- */

/* False: no runs, or more than can be drawn together. */
static bool find_crew(const struct table *t, int system, struct crew *c)
{
    AUTO(buf) struct buf name = {0};
    *c = (struct crew){0};
    buf_puts(&name, "table.runs");
    for (int r = 0; r < t->replicate.n; r++) {
        bool has = false;
        for (int i = 0; i < t->scores && !has; i++)
            has = t->score[i].system == system && t->score[i].replicate == r;
        if (!has)
            continue;
        if (c->n == BOOTSTRAP_RUNS)
            return false;
        c->replicate[c->n++] = r;
        buf_printf(&name, "|%s", t->replicate.item[r]);
    }
    c->stream = rng_stream((uint64_t)t->p->seed, buf_str(&name));
    return c->n > 0;
}
/* The pair with the system that the table compares with, else any: it says which samples were right. */
static const struct pair *find_pair(const struct table *t, int system, int domain)
{
    const struct pair *any = NULL;
    for (int i = 0; i < t->pairs; i++) {
        const struct pair *p = &t->pair[i];
        if (p->system == system && p->domain == domain) {
            if (t->against >= 0 && p->against == t->against)
                return p;
            any = any ? any : p;
        }
    }
    return any;
}
/* False: nothing that can be drawn. */
static bool find_trial(const struct table *t, int system, int domain, struct trial *ret)
{
    AUTO(mem) char *name = xprintf("table.samples|%s|%s", t->system.item[system], t->domain.item[domain]);
    *ret = (struct trial){.pair = find_pair(t, system, domain),
                          .stream = rng_stream((uint64_t)t->p->seed, name)};
    ret->compared = ret->pair && t->against >= 0 && ret->pair->against == t->against;
    for (int i = 0; i < t->scores && !ret->pair; i++) {
        const struct score *s = &t->score[i];
        if (s->system != system || s->domain != domain)
            continue;
        if (s->right < 0 || s->n > 1 << 30 || ret->runs == BOOTSTRAP_RUNS)
            return false;
        ret->replicate[ret->runs] = s->replicate;
        ret->right[ret->runs] = s->right;
        ret->n[ret->runs++] = s->n;
    }
    return ret->pair || ret->runs > 0;
}

/* ---- drawing ---- */

/* Mean of shares by the weights of their replicates; the plain one where none of these was drawn. */
static double weighted(const struct crew *c, const double *weight, const int *replicate, int runs,
                       const double *share)
{
    double sum = 0, total = 0, plain = 0;
    for (int i = 0; i < runs; i++) {
        plain += share[i] / runs;
        for (int k = 0; k < c->n; k++)
            if (c->replicate[k] == replicate[i]) {
                sum += weight[k] * share[i];
                total += weight[k];
            }
    }
    return total > 0 ? sum / total : plain;
}
static void draw_trial(const struct draws *d, const struct trial *q, int64_t b, const double *own,
                       const double *other, double *mean, double *diff)
{
    double share[BOOTSTRAP_RUNS];
    if (!q->pair) {
        for (int i = 0; i < q->runs; i++) {
            struct rng r = rng_at(q->stream, (uint64_t)b, (uint32_t)i);
            share[i] = (double)bootstrap_count(&r, q->right[i], q->n[i]) / (double)q->n[i];
        }
        *mean = weighted(&d->own, own, q->replicate, q->runs, share);
        return;
    }
    const struct pair *p = q->pair;
    int64_t right[BOOTSTRAP_RUNS];
    struct rng r = rng_at(q->stream, (uint64_t)b, 0);
    bootstrap_samples(&r, p->mask, p->n, p->runs + p->others, right);
    for (int i = 0; i < p->runs + p->others; i++)
        share[i] = (double)right[i] / (double)p->n;
    *mean = weighted(&d->own, own, p->replicate, p->runs, share);
    if (q->compared)
        *diff = *mean - weighted(&d->other, other, p->replicate + p->runs, p->others, share + p->runs);
}
static void draw_all(struct draws *d)
{
    int n = d->t->n_used;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < d->count; b++) {
        double own[BOOTSTRAP_RUNS], other[BOOTSTRAP_RUNS], mean = 0, diff = 0;
        struct rng r = rng_at(d->own.stream, (uint64_t)b, 0), q = rng_at(d->other.stream, (uint64_t)b, 0);
        bootstrap_runs(&r, d->own.n, own);
        if (d->other.n > 0)
            bootstrap_runs(&q, d->other.n, other);
        for (int k = 0; k < n; k++) {
            double *m = &d->mean[k * d->count + b], *x = &d->diff[k * d->count + b];
            draw_trial(d, &d->trial[k], b, own, other, m, x);
            mean += *m / n;
            diff += *x / n;
        }
        d->mean[n * d->count + b] = mean;
        d->diff[n * d->count + b] = diff;
    }
}

/* ---- into the cells ---- */

static void fill(struct draws *d, struct cell *c, const struct cell *other, int k, bool compared)
{
    double level = d->t->p->level;
    c->sure = true;
    c->at = bootstrap_interval(d->mean + k * d->count, d->count, level);
    if (!compared || other->runs == 0)
        return;
    c->compared = true;
    c->difference = c->mean - other->mean;
    c->diff = bootstrap_interval(d->diff + k * d->count, d->count, level);
}
static void one_system(struct draws *d, int system)
{
    const struct table *t = d->t;
    bool all = true;
    int against = t->against >= 0 ? t->against : system;
    if (!find_crew(t, system, &d->own))
        return;
    d->other = (struct crew){0};
    if (t->against >= 0 && !find_crew(t, t->against, &d->other))
        return;
    for (int k = 0; k < t->n_used; k++)
        if (!find_trial(t, system, t->used[k], &d->trial[k])) {
            d->trial[k] = (struct trial){0};
            all = false;
        }
    memset(d->diff, 0, (size_t)((t->n_used + 1) * d->count) * sizeof *d->diff);
    draw_all(d);
    bool compared = all;
    for (int k = 0; k < t->n_used; k++) {
        const struct trial *q = &d->trial[k];
        compared = compared && q->compared;
        if (q->pair || q->runs > 0)
            fill(d, table_cell(t, system, t->used[k]), table_cell(t, against, t->used[k]), k, q->compared);
    }
    if (all && table_cell(t, system, t->domain.n)->runs > 0)
        fill(d, table_cell(t, system, t->domain.n), table_cell(t, against, t->domain.n), t->n_used, compared);
}

bool table_intervals(struct stage_context *ctx, struct table *t, struct error *err)
{
    struct draws d = {.t = t, .count = t->p->draws};
    size_t room = (size_t)(t->n_used + 1) * (size_t)d.count;
    if (d.count == 0)
        return true;
    omp_set_num_threads(ctx->threads);
    d.trial = arena_try(ctx->arena, (size_t)t->n_used * sizeof *d.trial);
    d.mean = arena_try(ctx->arena, room * sizeof *d.mean);
    d.diff = arena_try(ctx->arena, room * sizeof *d.diff);
    if (!d.trial || !d.mean || !d.diff)
        return error_set(err, NULL, ERROR_TASK, "out of memory for %lld draws", (long long)d.count);
    for (int i = 0; i < t->rows; i++) {
        one_system(&d, t->row[i].system);
        stage_progress(ctx, i + 1, t->rows, "rows");
    }
    return true;
}
