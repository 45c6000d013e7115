#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/tokenizer_parts.h"
#include "stages/io/tokenizer_text.h"

void ids_add(struct ids *l, int32_t id)
{
    l->id = xgrow(l->id, &l->cap, l->n + 1, sizeof *l->id);
    l->id[l->n++] = id;
}
void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    if (t->done)
        t->done(t);
    free(t);
}
int64_t tokenizer_vocab(const struct tokenizer *t)
{
    return t->vocab;
}
bool tokenizer_open(const char *dir, struct tokenizer **ret, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/tokenizer.json", dir);
    if (!fs_exists(path))
        return error_set(err, NULL, ERROR_INPUT,
                         "model '%s' has no tokenizer.json, so its texts cannot be encoded", dir);
    AUTO_JSON j = json_read(path, err);
    if (!j)
        return false;
    if (!tokenizer_bytes_is(j))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' is no byte-level tokenizer without merges, the one kind weft reads", path);
    AUTO(tokenizer) struct tokenizer *t = xcalloc(1, sizeof *t);
    if (!tokenizer_bytes_open(j, path, t, err))
        return false;
    *ret = t;
    t = NULL;
    return true;
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
