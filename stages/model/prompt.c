#include "stages/model/prompt.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <string.h>

/* Texts per pass: bounds memory; a constant, so that results do not depend on the machine. */
#define CHUNK 64

/* Length up to and with the first end token of the padding: ids behind it are all the same. */
static int64_t used(const int32_t *ids, int64_t ctx)
{
    int64_t n = ctx;
    while (n > 1 && ids[n - 2] == ids[ctx - 1])
        n--;
    return n;
}
static bool encode_chunk(const struct clip *m, const struct tokenizer *t, const char *template_,
                         const char *const *name, int64_t n, int32_t *ids, int64_t *ret_longest,
                         struct error *err)
{
    *ret_longest = 0;
    for (int64_t i = 0; i < n; i++) {
        AUTO(mem) char *text = prompt_text(template_, name[i]);
        int32_t *row = ids + i * m->config.context;
        if (!tokenizer_encode(t, text, m->config.context, row, err))
            return false;
        int64_t length = used(row, m->config.context);
        *ret_longest = length > *ret_longest ? length : *ret_longest;
    }
    for (int64_t i = 1; i < n; i++) /* cut the padding off */
        memmove(ids + i * *ret_longest, ids + i * m->config.context, (size_t)*ret_longest * sizeof *ids);
    return true;
}
static bool chunk_features(const struct clip *m, const struct tokenizer *t, const char *template_,
                           const char *const *name, int64_t n, float *out, struct arena *a, struct error *err)
{
    int64_t e = m->config.embed, ctx;
    int32_t *ids = arena_try(a, (size_t)(n * m->config.context) * sizeof *ids);
    float *embeds = arena_floats(a, n * e), *norm = arena_floats(a, n);
    if (!ids || !embeds || !norm)
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory for text features");
    struct pass p = {.batch = n, .arena = a};
    if (!encode_chunk(m, t, template_, name, n, ids, &ctx, err) ||
        !clip_text_forward(m, &p, ids, ctx, embeds, NULL, err))
        return false;
    unit_forward(embeds, n, e, out, norm);
    return true;
}
bool prompt_features(const struct clip *m, const struct tokenizer *t, const char *template_,
                     const char *const *name, int64_t n, float *out, struct error *err)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t k = n - i < CHUNK ? n - i : CHUNK;
        if (!chunk_features(m, t, template_, name + i, k, out + i * m->config.embed, &a, err))
            return error_context(err, "class texts");
        arena_reset(&a);
    }
    return true;
}
