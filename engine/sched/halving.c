#include "engine/sched/halving.h"
#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    int trial;
    double value;
    bool promoted;
};
struct rung {
    struct entry *best; /* finished with a value, best first */
    int n;
    int finished; /* n and the failed ones */
    int entered;  /* promoted into it; all trials for rung 0 */
    int promoted; /* out of it */
};
struct halving {
    struct rung *rung;
    int *in;       /* by trial: the rung that it is in or has finished, */
    bool *is_done; /* and which of the two */
    int rungs;
    double keep;
    bool wait;
};

struct halving *halving_new(int trials, int rungs, double keep, bool wait)
{
    struct halving *h = xcalloc(1, sizeof *h);
    *h = (struct halving){.rung = xcalloc((size_t)rungs, sizeof *h->rung),
                          .in = xcalloc((size_t)trials, sizeof *h->in),
                          .is_done = xcalloc((size_t)trials, sizeof *h->is_done),
                          .rungs = rungs,
                          .keep = keep,
                          .wait = wait};
    for (int i = 0; i < rungs; i++)
        h->rung[i].best = xcalloc((size_t)trials, sizeof *h->rung[i].best);
    if (rungs > 0)
        h->rung[0].entered = trials;
    return h;
}

void halving_free(struct halving *h)
{
    if (!h)
        return;
    for (int i = 0; i < h->rungs; i++)
        free(h->rung[i].best);
    free(h->rung);
    free(h->in);
    free(h->is_done);
    free(h);
}

static bool better(const struct entry *a, const struct entry *b)
{
    return a->value != b->value ? a->value > b->value : a->trial < b->trial;
}

void halving_done(struct halving *h, int trial, int rung, double value)
{
    if (rung < 0 || rung >= h->rungs || h->in[trial] != rung || h->is_done[trial])
        return;
    struct rung *r = &h->rung[rung];
    h->is_done[trial] = true;
    r->finished++;
    if (isnan(value))
        return;
    struct entry e = {.trial = trial, .value = value};
    int at = r->n++;
    for (; at > 0 && better(&e, &r->best[at - 1]); at--)
        r->best[at] = r->best[at - 1];
    r->best[at] = e;
}

/* How many of those that finished may go on; a hair more than the product, since 0.29 * 100 is below 29. */
static int quota(const struct halving *h, const struct rung *r)
{
    int n = (int)floor(r->finished * h->keep + 1e-9);
    return n < r->n ? n : r->n;
}

/* Nothing can join the rung or is at work in it. */
static bool closed(const struct halving *h, int rung)
{
    for (int i = 0; i < rung; i++)
        if (h->rung[i].finished < h->rung[i].entered || h->rung[i].promoted < quota(h, &h->rung[i]))
            return false;
    return h->rung[rung].finished == h->rung[rung].entered;
}

static bool promote(struct halving *h, int rung, int *ret_trial)
{
    struct rung *r = &h->rung[rung];
    for (int i = 0, n = quota(h, r); i < n; i++) {
        struct entry *e = &r->best[i];
        if (e->promoted)
            continue;
        e->promoted = true;
        r->promoted++;
        h->rung[rung + 1].entered++;
        h->in[e->trial] = rung + 1;
        h->is_done[e->trial] = false;
        *ret_trial = e->trial;
        return true;
    }
    return false;
}

bool halving_next(struct halving *h, int *ret_trial, int *ret_rung)
{
    for (int rung = h->rungs - 2; rung >= 0; rung--)
        if ((!h->wait || closed(h, rung)) && promote(h, rung, ret_trial)) {
            *ret_rung = rung + 1;
            return true;
        }
    return false;
}
