#include "stages/io/tokenizer.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/tokenizer_bpe.h"
#include "stages/io/tokenizer_text.h"
#include <string.h>

void ids_add(struct ids *l, int32_t id)
{
    l->id = xgrow(l->id, &l->cap, l->n + 1, sizeof *l->id);
    l->id[l->n++] = id;
}
bool tokenizer_id(const json_t *vocab, const char *token, int32_t *ret)
{
    const json_t *v = json_object_get(vocab, token);
    json_int_t id = json_integer_value(v);
    *ret = (int32_t)id;
    return json_is_integer(v) && id >= 0 && id < TOKENIZER_LIMIT;
}
void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    byte_pairs_free(t->pairs);
    free(t);
}
int64_t tokenizer_vocab(const struct tokenizer *t)
{
    return t->vocab;
}

/* ---- which files there are ---- */
static bool open_json(const char *dir, const char *path, struct tokenizer *t, struct error *err)
{
    AUTO_JSON j = json_read(path, err);
    if (!j)
        return false;
    return tokenizer_bytes_is(j) ? tokenizer_bytes_open(j, path, t, err)
                                 : byte_pairs_open_json(j, path, t, err);
}
static bool open_hub(const char *dir, const char *path, struct tokenizer *t, struct error *err)
{
    return byte_pairs_open_hub(dir, t, err);
}
static bool open_openai(const char *dir, const char *path, struct tokenizer *t, struct error *err)
{
    return byte_pairs_open_openai(path, t, err);
}
static const struct layout {
    const char *file;
    bool (*open)(const char *dir, const char *path, struct tokenizer *t, struct error *err);
} layouts[] = {
    {"tokenizer.json", open_json}, {"merges.txt", open_hub}, {"bpe_simple_vocab_16e6.txt.gz", open_openai}};

static bool same(const struct tokenizer *a, const struct tokenizer *b)
{
    return a->pairs && b->pairs && a->bos == b->bos && a->eos == b->eos &&
           bpe_same(a->pairs->bpe, b->pairs->bpe);
}
bool tokenizer_open(const char *dir, struct tokenizer **ret, struct error *err)
{
    AUTO(tokenizer) struct tokenizer *found = NULL;
    const char *first = NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, layouts[i].file);
        AUTO(tokenizer) struct tokenizer *t = xcalloc(1, sizeof *t);
        if (!fs_exists(path))
            continue;
        if (!layouts[i].open(dir, path, t, err))
            return false;
        if (found && !same(found, t))
            return error_set(err, NULL, ERROR_INPUT,
                             "model '%s': '%s' and '%s' are different tokenizers: remove the wrong one", dir,
                             first, layouts[i].file);
        if (!found) {
            first = layouts[i].file;
            found = t;
            t = NULL;
        }
    }
    if (!found)
        return error_set(
            err, NULL, ERROR_INPUT,
            "model '%s' has no tokenizer, so its texts cannot be encoded: it needs tokenizer.json, or "
            "vocab.json and merges.txt, or bpe_simple_vocab_16e6.txt.gz",
            dir);
    tokenizer_clean(found, TOKENIZER_FILES);
    *ret = found;
    found = NULL;
    return true;
}
void tokenizer_clean(struct tokenizer *t, enum tokenizer_cleaning how)
{
    if (!t->pairs)
        return;
    t->pairs->openai = how == TOKENIZER_FILES ? t->pairs->from_openai : how == TOKENIZER_OPENAI;
    byte_pairs_ready(t->pairs);
}

bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, int64_t ctx, bool truncate,
                      int32_t *ids, struct error *err)
{
    size_t valid = text_valid(text, n);
    if (valid < n)
        return error_set(err, NULL, ERROR_INPUT, "a text is not UTF-8: byte 0x%02x after '%.*s'",
                         (unsigned char)text[valid], (int)valid, text);
    struct ids l = {0};
    ids_add(&l, t->bos);
    t->encode(t, text, n, &l);
    ids_add(&l, t->eos);
    int64_t all = (int64_t)l.n;
    bool ok = all <= ctx || truncate;
    if (ok) {
        for (int64_t i = 0; i < ctx; i++)
            ids[i] = i < all ? l.id[i] : t->eos;
        ids[ctx - 1] = t->eos;
    }
    free(l.id);
    return ok || error_set(err, NULL, ERROR_INPUT,
                           "the text '%.*s' has %lld tokens, but the model's text tower takes %lld at most",
                           (int)n, text, (long long)all, (long long)ctx);
}
