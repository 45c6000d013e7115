/* A small mixture with random weights and inputs, for tests. */
#ifndef TESTS_OPS_MOE_SETUP_H
#define TESTS_OPS_MOE_SETUP_H
#include "base/rng.h"
#include "stages/model/moe.h"
#include "stages/model/moe_loss.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

enum { B = 2, T = 4, C = 5, F = 7, K = 3, RANK = 2, MATS = 24 };
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
    struct moe_loss *loss; /* of the layer 0; NULL: none */
};
static struct rng rng;

static inline float *random_floats(struct arena *a, int64_t n, float size)
{
    float *x = arena_floats(a, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = size * rng_normal(&rng);
    return x;
}
static inline void fill(struct setup *s, struct mat *w, int64_t rows, int64_t cols)
{
    *w = (struct mat){random_floats(&s->arena, rows * cols, 0.6f),
                      arena_alloc(&s->arena, (size_t)(rows * cols) * sizeof(float)), rows, cols};
    s->mat[s->mats++] = w;
}
/* row0: only the first row of each sequence is routed. seed_expert: expert 0 is the base itself. */
static inline void begin(struct setup *s, enum moe_gate gate, int top_k, enum moe_context context, bool row0,
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
static inline struct pass pass_of(struct setup *s, bool train)
{
    return (struct pass){.batch = B,
                         .t = T,
                         .width = C,
                         .arena = &s->arena,
                         .train = train,
                         .context = s->context,
                         .loss = s->loss};
}
#endif
