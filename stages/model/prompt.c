#include "stages/model/prompt.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <string.h>

/* Texts per pass: bounds memory; a constant, so that results do not depend on the machine. */
#define CHUNK 64

/* ---- texts ---- */
/* The next line of *rest that is not blank; false: there is none. */
static bool next_template(const char **rest, const char **ret, size_t *ret_n)
{
    while (**rest) {
        *ret = *rest;
        *ret_n = strcspn(*ret, "\r\n");
        *rest += (*rest)[*ret_n] ? *ret_n + 1 : *ret_n;
        if (strspn(*ret, " \t") < *ret_n)
            return true;
    }
    return false;
}
int64_t prompt_count(const struct prompt_params *p)
{
    const char *rest = p->template, *one;
    size_t n;
    int64_t count = 0;
    while (next_template(&rest, &one, &n))
        count++;
    return count;
}
bool prompt_check(const struct prompt_params *p, struct error *err)
{
    const char *rest = p->template, *one;
    size_t n;
    while (next_template(&rest, &one, &n))
        if (!memmem(one, n, "{}", 2))
            return error_set(err, NULL, ERROR_INPUT,
                             "'template' needs {} where the class name goes, not '%.*s'", (int)n, one);
    return prompt_count(p) > 0 ||
           error_set(err, NULL, ERROR_INPUT, "'template' needs {} where the class name goes, but is empty");
}
/* Lower case (ASCII: CLIP's tokenizer sees to the rest), '_' and '-' as spaces. */
static void refine(const char *name, struct buf *out)
{
    for (const char *p = name; *p; p++) {
        char c = *p;
        if (c == '_' || c == '-')
            c = ' ';
        else if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        buf_putc(out, c);
    }
}
char *prompt_text(const struct prompt_params *p, int64_t which, const char *class_name)
{
    AUTO(buf) struct buf b = {0};
    const char *rest = p->template, *one = "";
    size_t n = 0;
    for (int64_t i = 0; i <= which; i++)
        if (!next_template(&rest, &one, &n))
            return buf_take(&b);
    const char *hole = memmem(one, n, "{}", 2);
    buf_add(&b, one, hole ? (size_t)(hole - one) : n);
    if (hole) {
        if (!strcmp(p->class_names, "raw"))
            buf_puts(&b, class_name);
        else
            refine(class_name, &b);
        buf_add(&b, hole + 2, n - (size_t)(hole + 2 - one));
    }
    return buf_take(&b);
}

/* ---- features ---- */
static bool no_memory(struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "out of memory for text features");
}
/* Length up to and with the first end token of the padding: ids behind it are all the same. */
static int64_t used(const int32_t *ids, int64_t ctx)
{
    int64_t n = ctx;
    while (n > 1 && ids[n - 2] == ids[ctx - 1])
        n--;
    return n;
}
/* One template's text of each of the n classes, (n, *ret_longest) ids. */
static bool encode_chunk(const struct clip *m, const struct tokenizer *t, const struct prompt_params *p,
                         int64_t which, const char *const *name, int64_t n, int32_t *ids,
                         int64_t *ret_longest, struct error *err)
{
    bool truncate = !strcmp(p->long_texts, "truncate");
    *ret_longest = 0;
    for (int64_t i = 0; i < n; i++) {
        AUTO(mem) char *text = prompt_text(p, which, name[i]);
        int32_t *row = ids + i * m->config.context;
        if (!tokenizer_encode(t, text, strlen(text), m->config.context, truncate, row, err))
            return false;
        int64_t length = used(row, m->config.context);
        *ret_longest = length > *ret_longest ? length : *ret_longest;
    }
    for (int64_t i = 1; i < n; i++) /* cut the padding off */
        memmove(ids + i * *ret_longest, ids + i * m->config.context, (size_t)*ret_longest * sizeof *ids);
    return true;
}
/* Unit text features of one template, (n,E). */
static bool chunk_features(const struct clip *m, const struct tokenizer *t, const struct prompt_params *p,
                           int64_t which, const char *const *name, int64_t n, float *out, struct arena *a,
                           struct error *err)
{
    int64_t e = m->config.embed, ctx;
    int32_t *ids = arena_try(a, (size_t)(n * m->config.context) * sizeof *ids);
    float *embeds = arena_floats(a, n * e), *norm = arena_floats(a, n);
    if (!ids || !embeds || !norm)
        return no_memory(err);
    struct pass pass = {.batch = n, .arena = a};
    if (!encode_chunk(m, t, p, which, name, n, ids, &ctx, err) ||
        !clip_text_forward(m, &pass, ids, ctx, embeds, NULL, err))
        return false;
    unit_forward(embeds, n, e, out, norm);
    return true;
}
/* Further templates: out (n,E) holds the first one's features, and in the end those of the mean. */
static bool chunk_ensemble(const struct clip *m, const struct tokenizer *t, const struct prompt_params *p,
                           int64_t templates, const char *const *name, int64_t n, float *out,
                           struct error *err)
{
    int64_t size = n * m->config.embed;
    AUTO(arena) struct arena a;
    arena_init(&a);
    for (int64_t which = 1; which < templates; which++) {
        float *one = arena_floats(&a, size);
        if (!one)
            return no_memory(err);
        if (!chunk_features(m, t, p, which, name, n, one, &a, err))
            return false;
        add_into(out, one, size);
        arena_reset(&a);
    }
    unit_forward(out, n, m->config.embed, out, NULL); /* of the sum: the mean's direction */
    return true;
}
bool prompt_features(const struct clip *m, struct tokenizer *t, const struct prompt_params *p,
                     const char *const *name, int64_t n, float *out, struct error *err)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    int64_t templates = prompt_count(p);
    tokenizer_clean(t, !strcmp(p->text_cleaning, "openai")        ? TOKENIZER_OPENAI
                       : !strcmp(p->text_cleaning, "huggingface") ? TOKENIZER_HUGGINGFACE
                                                                  : TOKENIZER_FILES);
    for (int64_t i = 0; i < n; i += CHUNK) {
        int64_t k = n - i < CHUNK ? n - i : CHUNK;
        float *to = out + i * m->config.embed;
        if (!chunk_features(m, t, p, 0, name + i, k, to, &a, err) ||
            (templates > 1 && !chunk_ensemble(m, t, p, templates, name + i, k, to, err)))
            return error_context(err, "class texts");
        arena_reset(&a);
    }
    return true;
}
