/* What both towers share: the blocks, then one row per sequence through a norm and the projection.
 *   h_0 = x,  h_l = block_l(h_{l-1}),  pooled = norm(h_N[at]),  embeds = pooled P^T */
#include "stages/model/clip_parts.h"

struct clip_tape *tape_new(const struct pass *p, int64_t layers)
{
    struct clip_tape *t = arena_try(p->arena, sizeof *t);
    if (!t)
        return NULL;
    t->block = arena_try(p->arena, (size_t)layers * sizeof *t->block);
    return t->block ? t : NULL;
}
static bool blocks_forward(const struct tower *w, const struct pass *p, bool row0, float *x,
                           struct clip_tape *tape, struct error *err)
{
    observe(p->observer, "hidden", 0, x, p->batch, p->t, p->width);
    for (int64_t l = 0; l < w->layers; l++) {
        bool top = row0 && l == w->layers - 1;
        struct arena_mark mark = arena_mark(p->arena);
        if (!block_forward(&w->block[l], p, (int)l, top, x, tape ? &tape->block[l] : NULL, err))
            return false;
        if (!tape)
            arena_release(p->arena, mark);
        if (!top)
            observe(p->observer, "hidden", (int)l + 1, x, p->batch, p->t, p->width);
    }
    return true;
}
/* row (B,C) = x[b, at[b]] */
static void gather(const struct pass *p, const float *x, const int32_t *at, float *row)
{
    for (int64_t b = 0; b < p->batch; b++)
        memcpy(row + b * p->width, x + (b * p->t + at[b]) * p->width, (size_t)p->width * sizeof *row);
}
bool tower_forward(const struct tower *w, const struct pass *p, bool row0, float *x, const int32_t *at,
                   float *embeds, float *pooled, struct clip_tape *tape, struct error *err)
{
    int64_t b = p->batch, c = p->width;
    float *row = arena_floats(p->arena, b * c),
          *out = pooled && !tape ? pooled : arena_floats(p->arena, b * c);
    float *stats = arena_floats(p->arena, 2 * b);
    if (!row || !out || !stats)
        return clip_no_memory(err);
    if (!blocks_forward(w, p, row0, x, tape, err))
        return false;
    gather(p, x, at, row);
    layernorm_forward(w->norm, row, b, out, stats, stats + b);
    linear_forward(w->project, out, b, embeds, false);
    observe(p->observer, "pooled", 0, out, b, 1, c);
    observe(p->observer, w->embeds, 0, embeds, b, 1, w->project->w.rows);
    if (pooled && out != pooled)
        memcpy(pooled, out, (size_t)(b * c) * sizeof *out);
    if (tape) {
        tape->row = row;
        tape->pooled = out;
        tape->row_mean = stats;
        tape->row_rstd = stats + b;
    }
    return true;
}

static int64_t first_trainable(const struct tower *w)
{
    int64_t l = 0;
    while (l < w->layers && !block_trainable(&w->block[l]))
        l++;
    return l;
}
bool tower_backward(const struct tower *w, const struct pass *p, bool row0, const struct clip_tape *tape,
                    const float *dembeds, bool need_input, float **ret_dx, struct error *err)
{
    int64_t b = p->batch, c = p->width, first = need_input ? -1 : first_trainable(w);
    *ret_dx = NULL;
    float *dpooled = arena_try(p->arena, (size_t)(b * c) * sizeof(float));
    float *drow = arena_try(p->arena, (size_t)(b * c) * sizeof(float));
    float *dx = arena_try(p->arena, (size_t)(b * p->t * c) * sizeof(float));
    if (!dpooled || !drow || !dx)
        return clip_no_memory(err);
    /* embeds = pooled P^T; pooled = norm(row) */
    linear_backward(w->project, tape->pooled, dembeds, b, dpooled);
    layernorm_backward(w->norm, tape->row, tape->row_mean, tape->row_rstd, dpooled, b, drow);
    /* row[b] = x[b, at[b]] */
    for (int64_t i = 0; i < b; i++)
        memcpy(dx + (i * p->t + tape->at[i]) * c, drow + i * c, (size_t)c * sizeof *dx);
    for (int64_t l = w->layers - 1; l >= 0 && l >= first; l--) {
        bool top = row0 && l == w->layers - 1;
        struct arena_mark mark = arena_mark(p->arena);
        if (!block_backward(&w->block[l], p, (int)l, top, tape->block[l], dx, l > first, err))
            return false;
        arena_release(p->arena, mark);
    }
    if (need_input)
        *ret_dx = dx;
    return true;
}
