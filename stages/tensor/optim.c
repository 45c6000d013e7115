/* Optimisers. Every element's update is independent of all others, and work is cut into blocks of a fixed
 * size, so that the same bits come out for any thread count. */
#include "stages/tensor/optim.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define BLOCK    8192      /* elements a thread takes at a time; fixed: sums are made a block at a time */
#define PARALLEL (1 << 15) /* below this many elements threads cost more than they give */

struct slot { /* one trained matrix */
    struct mat *m;
    double lr_scale;
    float *first;   /* SGD: momentum buffer; Adam: mean of the gradient; NULL when not needed */
    float *second;  /* Adam: mean of the squared gradient */
    double *square; /* one sum of squares a block */
    int64_t n, blocks;
    struct slot *next;
};
struct optim {
    struct optim_config config;
    struct arena *arena;
    struct slot *head, **tail;
    int64_t steps; /* taken so far */
};

struct optim *optim_new(const struct optim_config *config, struct arena *a)
{
    struct optim *o = arena_alloc(a, sizeof *o);
    o->config = *config;
    o->arena = a;
    o->head = NULL;
    o->tail = &o->head;
    o->steps = 0;
    return o;
}

bool optim_add(struct optim *o, struct mat *m, double lr_scale, struct error *err)
{
    assert(m->w && m->g);
    int64_t n = mat_size(m), blocks = (n + BLOCK - 1) / BLOCK;
    bool adam = o->config.kind != OPTIM_SGD;
    size_t bytes = (size_t)n * sizeof(float);
    struct slot *s = arena_try(o->arena, sizeof *s);
    float *first = adam || o->config.momentum != 0 ? arena_try(o->arena, bytes) : NULL;
    float *second = adam ? arena_try(o->arena, bytes) : NULL;
    double *square = arena_try(o->arena, (size_t)blocks * sizeof *square);
    if (!s || !square || (adam && !second) || ((adam || o->config.momentum != 0) && !first))
        return error_set(err, NULL, ERROR_TASK,
                         "out of memory for the optimiser's state of %lld x %lld weights", (long long)m->rows,
                         (long long)m->cols);
    *s = (struct slot){m, lr_scale, first, second, square, n, blocks, NULL};
    *o->tail = s;
    o->tail = &s->next;
    return true;
}

/* g += wd p;  v = start ? g : momentum v + g;  p -= lr (nesterov ? g + momentum v : v) */
static void sgd_block(const struct optim_config *c, const struct slot *s, int64_t from, int64_t to, float lr,
                      bool start)
{
    float *restrict p = s->m->w, *restrict g = s->m->g, *restrict v = s->first;
    float wd = (float)c->weight_decay, mu = (float)c->momentum, keep = start ? 0 : mu;
    if (!v) {
        for (int64_t i = from; i < to; i++) {
            p[i] -= lr * (g[i] + wd * p[i]);
            g[i] = 0;
        }
        return;
    }
    /* Direction g + mu v with Nesterov, v without: a g + b v. */
    float a = c->nesterov ? 1 : 0, b = c->nesterov ? mu : 1;
    for (int64_t i = from; i < to; i++) {
        float gi = g[i] + wd * p[i], vi = keep * v[i] + gi;
        v[i] = vi;
        p[i] -= lr * (a * gi + b * vi);
        g[i] = 0;
    }
}

/* What an Adam step shares among all elements of a matrix. */
struct adam {
    float b2;     /* decay rate of the mean square */
    float c1, c2; /* 1 - decay rates */
    float decay;  /* AdamW: p *= decay first */
    float l2;     /* Adam: g += l2 p first */
    float step;   /* lr / (1 - beta1^t) */
    float scale;  /* 1 / sqrt(1 - beta2^t) */
    float eps;
};
/* m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr mhat / (sqrt(vhat) + eps) */
static void adam_block(const struct adam *c, const struct slot *s, int64_t from, int64_t to)
{
    float *restrict p = s->m->w, *restrict g = s->m->g, *restrict m = s->first, *restrict v = s->second;
    for (int64_t i = from; i < to; i++) {
        float gi = g[i] + c->l2 * p[i];
        float mi = m[i] + c->c1 * (gi - m[i]), vi = c->b2 * v[i] + c->c2 * (gi * gi);
        m[i] = mi;
        v[i] = vi;
        p[i] = c->decay * p[i] - c->step * (mi / (sqrtf(vi) * c->scale + c->eps));
        g[i] = 0;
    }
}
static struct adam adam_constants(const struct optim_config *o, double lr, int64_t t)
{
    bool decoupled = o->kind == OPTIM_ADAMW;
    return (struct adam){
        .b2 = (float)o->beta2,
        .c1 = (float)(1 - o->beta1),
        .c2 = (float)(1 - o->beta2),
        .decay = decoupled ? (float)(1 - lr * o->weight_decay) : 1,
        .l2 = decoupled ? 0 : (float)o->weight_decay,
        .step = (float)(lr / (1 - pow(o->beta1, (double)t))),
        .scale = (float)(1 / sqrt(1 - pow(o->beta2, (double)t))),
        .eps = (float)o->eps,
    };
}

void optim_step(struct optim *o, double lr_now)
{
    const struct optim_config *c = &o->config;
    bool start = o->steps++ == 0;
    for (struct slot *s = o->head; s; s = s->next) {
        double lr = lr_now * s->lr_scale;
        struct adam k = c->kind == OPTIM_SGD ? (struct adam){0} : adam_constants(c, lr, o->steps);
#pragma omp parallel for schedule(static) if (s->n > PARALLEL)
        for (int64_t i = 0; i < s->blocks; i++) {
            int64_t from = i * BLOCK, to = from + BLOCK < s->n ? from + BLOCK : s->n;
            if (c->kind == OPTIM_SGD)
                sgd_block(c, s, from, to, (float)lr, start);
            else
                adam_block(&k, s, from, to);
        }
    }
}

double optim_grad_norm(const struct optim *o)
{
    double total = 0;
    for (const struct slot *s = o->head; s; s = s->next) {
        const float *g = s->m->g;
#pragma omp parallel for schedule(static) if (s->n > PARALLEL)
        for (int64_t i = 0; i < s->blocks; i++) {
            int64_t from = i * BLOCK, to = from + BLOCK < s->n ? from + BLOCK : s->n;
            double sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t j = from; j < to; j++)
                sum += (double)g[j] * g[j];
            s->square[i] = sum;
        }
        for (int64_t i = 0; i < s->blocks; i++)
            total += s->square[i];
    }
    return sqrt(total);
}

void optim_clip(struct optim *o, double max_norm)
{
    if (max_norm <= 0)
        return;
    double norm = optim_grad_norm(o);
    if (!(norm > max_norm))
        return;
    float factor = (float)(max_norm / (norm + 1e-6));
    for (struct slot *s = o->head; s; s = s->next) {
        float *g = s->m->g;
#pragma omp parallel for simd schedule(static) if (s->n > PARALLEL)
        for (int64_t i = 0; i < s->n; i++)
            g[i] *= factor;
    }
}

void optim_zero(struct optim *o)
{
    for (struct slot *s = o->head; s; s = s->next)
        memset(s->m->g, 0, (size_t)s->n * sizeof(float));
}

bool optim_state(const struct optim *o, int i, struct optim_state *ret)
{
    const struct slot *s = o->head;
    for (; s && i > 0; i--)
        s = s->next;
    if (s)
        *ret = (struct optim_state){s->m->w, s->first, s->second, s->n};
    return s != NULL;
}

int64_t optim_steps(const struct optim *o)
{
    return o->steps;
}

void optim_set_steps(struct optim *o, int64_t steps)
{
    o->steps = steps;
}
