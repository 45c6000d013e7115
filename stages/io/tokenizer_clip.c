/* CLIP's tokenizer: the prepared text is cut into words by
 *   <|startoftext|>|<|endoftext|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+
 * and each word's bytes are merged. OpenAI's code has the special tokens in that pattern, so they count where
 * a word may begin; Hugging Face's cuts the text at added tokens first. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/tokenizer_bpe.h"
#include "stages/io/tokenizer_text.h"
#include <string.h>
#include <unictype.h>
#include <unistr.h>

struct byte_pairs *byte_pairs_new(struct bpe *owned)
{
    struct byte_pairs *p = xcalloc(1, sizeof *p);
    p->bpe = owned;
    p->nfc = p->lower = true;
    return p;
}
void byte_pairs_free(struct byte_pairs *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->added_n; i++) {
        free(p->added[i].text);
        free(p->added[i].form);
    }
    free(p->added);
    bpe_free(p->bpe);
    free(p);
}
void byte_pairs_add(struct byte_pairs *p, const char *text, int32_t id, bool prepared)
{
    p->added = xgrow(p->added, &p->added_cap, p->added_n + 1, sizeof *p->added);
    p->added[p->added_n++] = (struct added_token){xstrdup(text), NULL, id, prepared};
}
void byte_pairs_ready(struct byte_pairs *p)
{
    for (size_t i = 0; i < p->added_n; i++) {
        struct added_token *t = &p->added[i];
        AUTO(buf) struct buf form = {0};
        free(t->form);
        if (p->openai || t->prepared)
            text_huggingface(t->text, strlen(t->text), p->openai || p->nfc, p->openai || p->lower, &form);
        else
            buf_puts(&form, t->text);
        t->form = buf_take(&form);
    }
}

/* ---- words ---- */
enum kind { SPACE, LETTER, NUMBER, OTHER };
static enum kind kind_at(const char *s, size_t n, size_t *ret_length)
{
    ucs4_t c;
    *ret_length = (size_t)u8_mbtouc(&c, (const uint8_t *)s, n);
    if (uc_is_property_white_space(c))
        return SPACE;
    if (uc_is_general_category_withtable(c, UC_CATEGORY_MASK_L))
        return LETTER;
    return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_N) ? NUMBER : OTHER;
}
static size_t contraction(const char *s, size_t n)
{
    static const char *const all[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; *s == '\'' && i < sizeof all / sizeof *all; i++)
        if (strlen(all[i]) <= n && !memcmp(s, all[i], strlen(all[i])))
            return strlen(all[i]);
    return 0;
}
/* Length of the word at s; 0 for a space, whose length is *ret_space. */
static size_t word_at(const char *s, size_t n, size_t *ret_space)
{
    size_t length, i = contraction(s, n);
    if (i)
        return i;
    enum kind kind = kind_at(s, n, &length);
    *ret_space = length;
    if (kind == SPACE || kind == NUMBER)
        return kind == SPACE ? 0 : length;
    for (i = length; i < n && kind_at(s + i, n - i, &length) == kind; i += length) {
    }
    return i;
}

/* ---- added tokens ---- */
enum which { GIVEN, PREPARED, ALL };
/* The longest added token at s, or NULL. */
static const struct added_token *added_at(const struct byte_pairs *p, enum which which, const char *s,
                                          size_t n)
{
    const struct added_token *best = NULL;
    size_t most = 0;
    for (size_t i = 0; i < p->added_n; i++) {
        const struct added_token *t = &p->added[i];
        size_t length = strlen(t->form);
        if ((which == ALL || (which == PREPARED) == t->prepared) && length > most && length <= n &&
            !memcmp(s, t->form, length)) {
            best = t;
            most = length;
        }
    }
    return best;
}
static void words(const struct byte_pairs *p, const char *text, size_t n, struct ids *out)
{
    for (size_t i = 0; i < n;) {
        const struct added_token *t = p->openai ? added_at(p, ALL, text + i, n - i) : NULL;
        size_t space = 0, length = t ? strlen(t->form) : word_at(text + i, n - i, &space);
        if (t)
            ids_add(out, t->id);
        else if (length)
            bpe_word(p->bpe, text + i, length, out);
        i += length ? length : space;
    }
}
/* Hugging Face's way: cut at the tokens that are looked for in the text as given, prepare what is between,
 * cut that at the other tokens, and that into words. */
static void cut(const struct byte_pairs *p, enum which which, const char *text, size_t n, struct ids *out);
static void between(const struct byte_pairs *p, enum which which, const char *text, size_t n, struct ids *out)
{
    if (which == PREPARED) {
        words(p, text, n, out);
        return;
    }
    AUTO(buf) struct buf ready = {0};
    text_huggingface(text, n, p->nfc, p->lower, &ready);
    cut(p, PREPARED, buf_str(&ready), ready.len, out);
}
static void cut(const struct byte_pairs *p, enum which which, const char *text, size_t n, struct ids *out)
{
    size_t from = 0;
    for (size_t i = 0; i < n;) {
        const struct added_token *t = added_at(p, which, text + i, n - i);
        if (!t) {
            i++;
            continue;
        }
        between(p, which, text + from, i - from, out);
        ids_add(out, t->id);
        from = i += strlen(t->form);
    }
    between(p, which, text + from, n - from, out);
}
void byte_pairs_encode(const struct tokenizer *t, const char *text, size_t n, struct ids *out)
{
    const struct byte_pairs *p = t->pairs;
    if (!p->openai) {
        cut(p, GIVEN, text, n, out);
        return;
    }
    AUTO(buf) struct buf ready = {0};
    text_openai(text, n, &ready);
    words(p, buf_str(&ready), ready.len, out);
}
