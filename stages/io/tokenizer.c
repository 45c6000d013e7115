#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/tokenizer_parts.h"

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
bool tokenizer_encode(const struct tokenizer *t, const char *text, int64_t ctx, int32_t *ids,
                      struct error *err)
{
    struct ids l = {0};
    ids_add(&l, t->bos);
    t->encode(t, text, &l);
    ids_add(&l, t->eos);
    int64_t n = (int64_t)l.n;
    bool ok = n <= ctx;
    if (ok) {
        memcpy(ids, l.id, l.n * sizeof *ids);
        for (int64_t i = n; i < ctx; i++)
            ids[i] = t->eos;
    }
    free(l.id);
    return ok || error_set(err, NULL, ERROR_INPUT,
                           "the text '%s' has %lld tokens, but the model's text tower takes %lld at most",
                           text, (long long)n, (long long)ctx);
}

/* The class name as words: lower case (ASCII), '_' and '-' as spaces. */
static void add_class(struct buf *b, const char *name)
{
    for (const char *p = name; *p; p++) {
        char c = *p;
        if (c == '_' || c == '-')
            c = ' ';
        else if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        buf_putc(b, c);
    }
}
char *prompt_text(const char *template_, const char *class_name)
{
    struct buf b = {0};
    const char *hole = strstr(template_, "{}");
    if (!hole) {
        buf_puts(&b, template_);
        return buf_take(&b);
    }
    buf_add(&b, template_, (size_t)(hole - template_));
    add_class(&b, class_name);
    buf_puts(&b, hole + 2);
    return buf_take(&b);
}
