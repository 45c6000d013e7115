/* The three layouts of CLIP's tokenizer: vocab.json with merges.txt, tokenizer.json, and OpenAI's list of
 * merges alone, whose vocabulary follows from it. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/tokenizer_bpe.h"
#include "stages/io/tokenizer_text.h"
#include <archive.h>
#include <string.h>

#define END_OF_WORD "</w>"

/* ---- a vocabulary and its merges become a table ---- */
struct reading {
    const char *path; /* for messages */
    const json_t *vocab;
    struct bpe *bpe;
    size_t merges;
    struct buf name;
};
static void reading_auto(struct reading *r)
{
    bpe_free(r->bpe);
    buf_done(&r->name);
}
static bool begin(struct reading *r, const char *path, const json_t *vocab, struct error *err)
{
    int32_t first[256], last[256];
    *r = (struct reading){.path = path, .vocab = vocab};
    for (int b = 0; b < 256; b++) {
        char inside[4], end[4 + sizeof END_OF_WORD];
        byte_character(b, inside);
        snprintf(end, sizeof end, "%s" END_OF_WORD, inside);
        if (!tokenizer_id(vocab, inside, &first[b]) || !tokenizer_id(vocab, end, &last[b]))
            return error_set(err, NULL, ERROR_INPUT,
                             "'%s': the vocabulary has no valid ids for byte %d: '%s' and '%s'", path, b,
                             inside, end);
    }
    r->bpe = bpe_new(first, last);
    return true;
}
static bool id_of(struct reading *r, const char *a, size_t a_n, const char *b, size_t b_n, int32_t *ret)
{
    buf_clear(&r->name);
    buf_add(&r->name, a, a_n);
    buf_add(&r->name, b, b_n);
    return tokenizer_id(r->vocab, buf_str(&r->name), ret);
}
static bool add(struct reading *r, const char *a, size_t a_n, const char *b, size_t b_n, struct error *err)
{
    int32_t left, right, merged;
    r->merges++;
    if (!id_of(r, a, a_n, "", 0, &left) || !id_of(r, b, b_n, "", 0, &right) ||
        !id_of(r, a, a_n, b, b_n, &merged))
        return error_set(
            err, NULL, ERROR_INPUT,
            "'%s': merge %zu joins '%.*s' and '%.*s', but the vocabulary has no valid ids for them "
            "and what they become",
            r->path, r->merges, (int)a_n, a, (int)b_n, b);
    bpe_merge(r->bpe, left, right, merged);
    return true;
}
/* "a b", of n bytes. */
static bool halves(const char *line, size_t n, const char **b, size_t *a_n)
{
    const char *space = memchr(line, ' ', n);
    *a_n = space ? (size_t)(space - line) : 0;
    *b = space ? space + 1 : NULL;
    return space && *a_n && *a_n + 1 < n && !memchr(*b, ' ', n - *a_n - 1);
}
/* The next line of *rest without its end; false: there is none, or only white space to the end. */
static bool next_line(const char **rest, const char *end, const char **line, size_t *n)
{
    const char *newline = memchr(*rest, '\n', (size_t)(end - *rest));
    *line = *rest;
    *rest = newline ? newline + 1 : end;
    *n = (size_t)((newline ? newline : end) - *line);
    if (*n && (*line)[*n - 1] == '\r')
        --*n;
    for (const char *c = *line; c < end; c++)
        if (*c != '\n' && *c != '\r' && *c != ' ')
            return true;
    return false;
}
static bool bad_line(const char *path, const char *line, size_t n, struct error *err)
{
    return error_set(err, NULL, ERROR_INPUT, "'%s': a line of merges is two tokens and one space, not '%.*s'",
                     path, (int)(n < 100 ? n : 100), line);
}
static bool add_lines(struct reading *r, const char *text, const char *end, struct error *err)
{
    const char *line, *b;
    size_t n, a_n;
    while (next_line(&text, end, &line, &n)) {
        if (!halves(line, n, &b, &a_n))
            return bad_line(r->path, line, n, err);
        if (!add(r, line, a_n, b, n - a_n - 1, err))
            return false;
    }
    return true;
}
static int64_t vocab_end(const json_t *vocab)
{
    const char *token;
    json_t *id;
    int64_t end = 0;
    json_object_foreach((json_t *)vocab, token, id)
    {
        json_int_t x = json_integer_value(id);
        end = x >= end && x < TOKENIZER_LIMIT ? x + 1 : end;
    }
    return end;
}
/* The table is t's from now on. */
static void finish(struct reading *r, struct tokenizer *t)
{
    t->encode = byte_pairs_encode;
    t->pairs = byte_pairs_new(r->bpe);
    r->bpe = NULL;
    t->vocab = vocab_end(r->vocab);
}
static bool add_special(const struct reading *r, struct tokenizer *t, struct error *err)
{
    if (!tokenizer_id(r->vocab, BOS_TEXT, &t->bos) || !tokenizer_id(r->vocab, EOS_TEXT, &t->eos))
        return error_set(err, NULL, ERROR_INPUT, "'%s': no valid ids for " BOS_TEXT " and " EOS_TEXT,
                         r->path);
    byte_pairs_add(t->pairs, BOS_TEXT, t->bos, true);
    byte_pairs_add(t->pairs, EOS_TEXT, t->eos, true);
    return true;
}
static bool has_nul(const char *text, size_t n, const char *path, struct error *err)
{
    return memchr(text, 0, n) &&
           !error_set(err, NULL, ERROR_INPUT, "'%s' has NUL bytes: it is no text", path);
}

/* ---- vocab.json, merges.txt ---- */
bool byte_pairs_open_hub(const char *dir, struct tokenizer *t, struct error *err)
{
    static const char header[] = "#version";
    AUTO(mem) char *vocab_path = xprintf("%s/vocab.json", dir);
    AUTO(mem) char *path = xprintf("%s/merges.txt", dir);
    AUTO(mem) char *text = NULL;
    AUTO(reading) struct reading r = {0};
    size_t n;
    AUTO_JSON vocab = json_read(vocab_path, err);
    if (!vocab || !fs_read_file(path, &text, &n, err) || has_nul(text, n, path, err) ||
        !begin(&r, vocab_path, vocab, err))
        return false;
    const char *rest = text, *line;
    size_t length;
    bool headed = n >= sizeof header && !memcmp(text, header, sizeof header - 1);
    if (headed)
        (void)next_line(&rest, text + n, &line, &length);
    r.path = path;
    if (!add_lines(&r, rest, text + n, err))
        return false;
    finish(&r, t);
    r.path = vocab_path;
    return add_special(&r, t, err);
}

/* ---- OpenAI's list ---- */
#define OPENAI_MERGES (49152 - 256 - 2) /* of those in the list, the first ones are used */
#define OPENAI_MOST   (64 << 20)

static void archive_auto(struct archive **a)
{
    if (*a)
        archive_read_free(*a);
}
static bool unpack(const char *path, struct buf *out, struct error *err)
{
    AUTO(archive) struct archive *a = archive_read_new();
    struct archive_entry *e;
    char part[1 << 14];
    la_ssize_t n;
    if (!a || archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_format_raw(a) != ARCHIVE_OK)
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory for reading '%s'", path);
    if (archive_read_open_filename(a, path, sizeof part) != ARCHIVE_OK ||
        archive_read_next_header(a, &e) != ARCHIVE_OK)
        return error_set(err, NULL, ERROR_INPUT, "'%s' cannot be unpacked: %s", path,
                         archive_error_string(a));
    while ((n = archive_read_data(a, part, sizeof part)) > 0 && out->len <= OPENAI_MOST)
        buf_add(out, part, (size_t)n);
    if (n < 0)
        return error_set(err, NULL, ERROR_INPUT, "'%s' cannot be unpacked: %s", path,
                         archive_error_string(a));
    return n == 0 || error_set(err, NULL, ERROR_INPUT, "'%s' is no list of merges: it is far too long", path);
}
/* Printable bytes, the others, all of them once more at the end of a word, the merges, the special tokens. */
static json_t *openai_vocab(const char *rest, const char *end, const char **merges_end, const char *path,
                            struct error *err)
{
    AUTO_JSON vocab = json_object();
    AUTO(buf) struct buf name = {0};
    const char *line, *b;
    size_t n, a_n;
    int ids = 0;
    for (int turn = 0; turn < 4; turn++)
        for (int byte = 0; byte < 256; byte++) {
            char c[4];
            byte_character(byte, c);
            bool plain = (unsigned char)c[0] < 0xc4; /* stands for itself */
            buf_clear(&name);
            buf_printf(&name, "%s%s", c, turn < 2 ? "" : END_OF_WORD);
            if (plain == (turn % 2 == 0))
                json_object_set_new(vocab, buf_str(&name), json_integer(ids++));
        }
    *merges_end = rest;
    for (int i = 0; i < OPENAI_MERGES && next_line(&rest, end, &line, &n); i++, *merges_end = rest) {
        if (!halves(line, n, &b, &a_n) || text_valid(line, n) < n) {
            bad_line(path, line, n, err);
            return NULL;
        }
        buf_clear(&name);
        buf_add(&name, line, a_n);
        buf_add(&name, b, n - a_n - 1);
        json_object_set_new(vocab, buf_str(&name), json_integer(ids++));
    }
    json_object_set_new(vocab, BOS_TEXT, json_integer(ids));
    json_object_set_new(vocab, EOS_TEXT, json_integer(ids + 1));
    return json_incref(vocab);
}
bool byte_pairs_open_openai(const char *path, struct tokenizer *t, struct error *err)
{
    AUTO(buf) struct buf text = {0};
    AUTO(reading) struct reading r = {0};
    if (!unpack(path, &text, err) || has_nul(buf_str(&text), text.len, path, err))
        return false;
    const char *rest = buf_str(&text), *end = rest + text.len, *line, *merges_end;
    size_t n;
    (void)next_line(&rest, end, &line, &n); /* the version */
    AUTO_JSON vocab = openai_vocab(rest, end, &merges_end, path, err);
    if (!vocab || !begin(&r, path, vocab, err) || !add_lines(&r, rest, merges_end, err))
        return false;
    finish(&r, t);
    t->pairs->from_openai = true;
    return add_special(&r, t, err);
}

/* ---- tokenizer.json ---- */
static bool is_text(const json_t *v, const char *text)
{
    return json_is_string(v) && !strcmp(json_string_value(v), text);
}
static bool is_off(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) || is_text(v, "");
}
static bool refuse(const char *path, const char *what, const json_t *v, struct error *err)
{
    AUTO(mem) char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    return error_set(
        err, NULL, ERROR_INPUT,
        "'%s' is no tokenizer that weft reads: neither byte-level without merges nor CLIP's byte "
        "pairs, by %s %.200s",
        path, what, text ? text : "that is missing");
}
/* Element i of a sequence, or the thing itself when it is none. */
static const json_t *step(const json_t *v, const char *list, size_t i)
{
    const json_t *all = json_object_get(v, list);
    return all ? json_array_get(all, i) : i || json_is_null(v) ? NULL : v;
}
static bool read_normalizer(const json_t *j, const char *path, struct byte_pairs *p, struct error *err)
{
    const json_t *all = json_object_get(j, "normalizer"), *v;
    p->nfc = p->lower = false;
    for (size_t i = 0; (v = step(all, "normalizers", i)); i++) {
        const json_t *type = json_object_get(v, "type");
        bool space = is_text(type, "Replace") && /* white space ends words anyway */
                     is_text(json_object_get(json_object_get(v, "pattern"), "Regex"), "\\s+") &&
                     is_text(json_object_get(v, "content"), " ");
        if (!is_text(type, "NFC") && !is_text(type, "Lowercase") && !is_text(type, "Strip") && !space)
            return refuse(path, "'normalizer'", v, err);
        p->nfc = p->nfc || is_text(type, "NFC");
        p->lower = p->lower || is_text(type, "Lowercase");
    }
    return true;
}
/* CLIP's pattern, as it is written with or without brackets and special tokens? */
static bool is_pattern(const char *s)
{
    static const char want[] = "'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^\\s\\p{L}\\p{N}]+",
                      special[] = "<\\|startoftext\\|>|<\\|endoftext\\|>|";
    AUTO(buf) struct buf b = {0};
    s += strncmp(s, special, sizeof special - 1) ? 0 : sizeof special - 1;
    while (*s) {
        bool class = !strncmp(s, "[\\p{L}]", 7) || !strncmp(s, "[\\p{N}]", 7);
        buf_add(&b, class ? s + 1 : s, class ? 5 : 1);
        s += class ? 7 : 1;
    }
    return !strcmp(buf_str(&b), want);
}
static bool check_words(const json_t *j, const char *path, struct error *err)
{
    const json_t *all = json_object_get(j, "pre_tokenizer"), *v;
    bool split = false, bytes = false;
    for (size_t i = 0; (v = step(all, "pretokenizers", i)); i++) {
        const json_t *type = json_object_get(v, "type");
        const char *regex = json_string_value(json_object_get(json_object_get(v, "pattern"), "Regex"));
        bool is_split = is_text(type, "Split") && regex && is_pattern(regex) &&
                        is_text(json_object_get(v, "behavior"), "Removed") &&
                        json_is_true(json_object_get(v, "invert"));
        bool is_bytes = is_text(type, "ByteLevel") && is_off(json_object_get(v, "add_prefix_space"));
        if (!is_split && !is_bytes)
            return refuse(path, "'pre_tokenizer'", v, err);
        split = split || is_split;
        bytes = bytes || is_bytes;
    }
    return (split && bytes) || refuse(path, "'pre_tokenizer'", all, err);
}
static bool check_model(const json_t *model, const char *path, struct error *err)
{
    static const char *const off[] = {"continuing_subword_prefix", "byte_fallback", "ignore_merges"};
    const json_t *type = json_object_get(model, "type");
    if (type && !is_text(type, "BPE"))
        return refuse(path, "'type'", type, err);
    if (!is_text(json_object_get(model, "end_of_word_suffix"), END_OF_WORD))
        return refuse(path, "'end_of_word_suffix'", json_object_get(model, "end_of_word_suffix"), err);
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (!is_off(json_object_get(model, off[i])))
            return refuse(path, off[i], json_object_get(model, off[i]), err);
    return json_is_object(json_object_get(model, "vocab")) ||
           refuse(path, "'vocab'", json_object_get(model, "vocab"), err);
}
static bool add_merges(struct reading *r, const json_t *merges, struct error *err)
{
    size_t i;
    json_t *v;
    if (!json_is_array(merges))
        return refuse(r->path, "'merges'", merges, err);
    json_array_foreach((json_t *)merges, i, v)
    {
        const char *a = json_string_value(json_is_array(v) ? json_array_get(v, 0) : v), *b;
        size_t a_n = a ? strlen(a) : 0, n = a_n;
        if (json_is_array(v)) {
            b = json_array_size(v) == 2 ? json_string_value(json_array_get(v, 1)) : NULL;
            if (!a || !b)
                return refuse(r->path, "a merge", v, err);
            n = a_n + 1 + strlen(b);
        } else if (!a || !halves(a, n, &b, &a_n)) {
            return refuse(r->path, "a merge", v, err);
        }
        if (!add(r, a, a_n, b, n - a_n - 1, err))
            return false;
    }
    return true;
}
static bool add_tokens(const json_t *j, const char *path, struct tokenizer *t, struct error *err)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(j, "added_tokens"), i, v)
    {
        const char *text = json_string_or(v, "content", "");
        int32_t id;
        if (!*text || !tokenizer_id(v, "id", &id))
            return refuse(path, "an added token", v, err);
        if (json_bool_or(v, "single_word", false))
            return refuse(path, "an added token that is a 'single_word':", v, err);
        byte_pairs_add(t->pairs, text, id, json_bool_or(v, "normalized", true));
        t->vocab = id >= t->vocab ? id + 1 : t->vocab;
        if (!strcmp(text, BOS_TEXT))
            t->bos = id;
        if (!strcmp(text, EOS_TEXT))
            t->eos = id;
    }
    return true;
}
bool byte_pairs_open_json(const json_t *j, const char *path, struct tokenizer *t, struct error *err)
{
    const json_t *model = json_object_get(j, "model");
    AUTO(reading) struct reading r = {0};
    if (!check_model(model, path, err) || !check_words(j, path, err) ||
        !begin(&r, path, json_object_get(model, "vocab"), err) ||
        !add_merges(&r, json_object_get(model, "merges"), err))
        return false;
    finish(&r, t);
    t->bos = t->eos = -1;
    if (!read_normalizer(j, path, t->pairs, err) || !add_tokens(j, path, t, err))
        return false;
    if ((t->bos < 0 && !tokenizer_id(r.vocab, BOS_TEXT, &t->bos)) ||
        (t->eos < 0 && !tokenizer_id(r.vocab, EOS_TEXT, &t->eos)))
        return error_set(err, NULL, ERROR_INPUT, "'%s': no valid ids for " BOS_TEXT " and " EOS_TEXT, path);
    return true;
}
