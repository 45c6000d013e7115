/* The text tower: token and position embeddings, causal blocks, the first end token's row through final_norm
 * and the projection. x[b,t] = token[ids[b,t]] + pos[t] */
#include "stages/model/clip_parts.h"

#define LEGACY_EOS 2 /* early configurations name 2; the end token is then the largest id of the sequence */

static struct tower text_tower(const struct clip *m)
{
    return (struct tower){m->text, m->config.text.layers, &m->final_norm, &m->text_projection, "text_embeds"};
}
/* at[b]: index of the first end token. */
static bool find_ends(const struct clip *m, const int32_t *ids, int64_t batch, int64_t ctx, int32_t *at,
                      struct error *err)
{
    for (int64_t b = 0; b < batch; b++) {
        const int32_t *row = ids + b * ctx;
        int64_t found = m->config.eos == LEGACY_EOS ? 0 : -1;
        for (int64_t t = 0; t < ctx; t++) {
            if (row[t] < 0 || row[t] >= m->config.vocab)
                return error_set(err, NULL, ERROR_INPUT, "token id %d is outside the vocabulary of %lld",
                                 (int)row[t], (long long)m->config.vocab);
            if (m->config.eos == LEGACY_EOS ? row[t] > row[found] : found < 0 && row[t] == m->config.eos)
                found = t;
        }
        if (found < 0)
            return error_set(err, NULL, ERROR_INPUT, "a text has no end token (id %lld)",
                             (long long)m->config.eos);
        at[b] = (int32_t)found;
    }
    return true;
}
static void observe_ends(const struct pass *p, const int32_t *at)
{
    for (int64_t b = 0; p->observer && b < p->batch; b++) {
        float position = (float)at[b];
        observe(p->observer, "eot_position", (int)b, &position, 1, 1, 1);
    }
}
bool clip_text_forward(const struct clip *m, struct pass *p, const int32_t *ids, int64_t ctx, float *embeds,
                       struct clip_tape **tape, struct error *err)
{
    int64_t c = m->config.text.width, rows = p->batch * ctx;
    p->t = ctx;
    p->width = c;
    if (!m->text)
        return error_set(err, NULL, ERROR_INPUT, "the model has no text tower");
    if (ctx > m->config.context)
        return error_set(err, NULL, ERROR_INPUT,
                         "%lld tokens do not fit into the text tower's %lld positions", (long long)ctx,
                         (long long)m->config.context);
    struct tower w = text_tower(m);
    struct clip_tape *t = p->train ? tape_new(p, w.layers) : NULL;
    int32_t *at = arena_try(p->arena, (size_t)p->batch * sizeof *at);
    float *x = arena_floats(p->arena, rows * c);
    if (!at || !x || (p->train && !t))
        return clip_no_memory(err);
    if (!find_ends(m, ids, p->batch, ctx, at, err))
        return false;
    observe_ends(p, at);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *token = m->token_embed.w + ids[r] * c, *pos = m->text_pos.w + r % ctx * c;
        for (int64_t i = 0; i < c; i++)
            x[r * c + i] = token[i] + pos[i];
    }
    if (t)
        t->at = at;
    if (!tower_forward(&w, p, false, x, at, embeds, NULL, t, err))
        return false;
    if (t)
        *tape = t;
    return true;
}
bool clip_text_backward(const struct clip *m, const struct pass *p, const struct clip_tape *tape,
                        const int32_t *ids, int64_t ctx, const float *dembeds, struct error *err)
{
    int64_t c = p->width, rows = p->batch * ctx;
    struct tower w = text_tower(m);
    float *dx;
    if (!tower_backward(&w, p, false, tape, dembeds, m->token_embed.g || m->text_pos.g, &dx, err))
        return false;
    if (m->text_pos.g)
        column_sums(dx, p->batch, ctx * c, m->text_pos.g);
    for (int64_t r = 0; m->token_embed.g && r < rows; r++) /* rows in order: one fixed sum per token */
        add_into(m->token_embed.g + ids[r] * c, dx + r * c, c);
    return true;
}
