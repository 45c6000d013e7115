/* The byte-level tokenizer: every byte of the UTF-8 text is a token. Small models trained from scratch have
 * too few texts to learn merges from. In tokenizer.json it is a BPE model without merges behind a ByteLevel
 * pre-tokenizer. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/tokenizer_parts.h"

#define BOS 256
#define EOS 257

/* Printable Latin-1 bytes stand for themselves; the others, in order, for U+0100 onwards. */
static int code_point(int byte)
{
    int others = 0;
    for (int b = 0; b <= byte; b++) {
        bool plain = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        if (b == byte)
            return plain ? b : 256 + others;
        others += !plain;
    }
    return 0;
}
void byte_character(int byte, char out[4])
{
    int c = code_point(byte);
    memset(out, 0, 4);
    if (c < 0x80) {
        out[0] = (char)c;
        return;
    }
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
}

/* ---- reading ---- */
static bool empty(const json_t *v)
{
    return !v || json_is_null(v) || (json_is_string(v) && !*json_string_value(v)) ||
           (json_is_array(v) && !json_array_size(v));
}
static const json_t *get(const json_t *j, const char *a, const char *b)
{
    return json_object_get(json_object_get(j, a), b);
}
static bool is_text(const json_t *v, const char *text)
{
    return json_is_string(v) && !strcmp(json_string_value(v), text);
}
bool tokenizer_bytes_is(const json_t *j)
{
    return is_text(get(j, "model", "type"), "BPE") && json_is_array(get(j, "model", "merges")) &&
           empty(get(j, "model", "merges")) && empty(get(j, "model", "end_of_word_suffix")) &&
           empty(json_object_get(j, "normalizer")) && is_text(get(j, "pre_tokenizer", "type"), "ByteLevel");
}
static void encode(const struct tokenizer *t, const char *text, size_t n, struct ids *out)
{
    for (size_t i = 0; i < n; i++)
        ids_add(out, t->byte_id[(unsigned char)text[i]]);
}
/* A special token's id, in the vocabulary or among the added tokens. */
static bool find_special(const json_t *j, const char *token, int32_t *ret)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_object_get(j, "added_tokens"), i, v)
    {
        if (is_text(json_object_get(v, "content"), token))
            return tokenizer_id(v, "id", ret);
    }
    return tokenizer_id(get(j, "model", "vocab"), token, ret);
}
bool tokenizer_bytes_open(const json_t *j, const char *path, struct tokenizer *t, struct error *err)
{
    const json_t *vocab = get(j, "model", "vocab");
    size_t i;
    json_t *v;
    t->encode = encode;
    for (int b = 0; b < 256; b++) {
        char token[4];
        byte_character(b, token);
        if (!tokenizer_id(vocab, token, &t->byte_id[b]))
            return error_set(err, NULL, ERROR_INPUT, "'%s': the vocabulary has no valid id for byte %d", path,
                             b);
    }
    if (!find_special(j, BOS_TEXT, &t->bos) || !find_special(j, EOS_TEXT, &t->eos))
        return error_set(err, NULL, ERROR_INPUT, "'%s': no valid ids for " BOS_TEXT " and " EOS_TEXT, path);
    t->vocab = (int64_t)json_object_size(vocab);
    json_array_foreach(json_object_get(j, "added_tokens"), i, v)
    {
        int64_t id = json_int_or(v, "id", -1);
        t->vocab = id >= t->vocab && id < TOKENIZER_LIMIT ? id + 1 : t->vocab;
    }
    return true;
}

/* ---- writing ---- */
static json_t *added_token(int id, const char *text)
{
    return json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", text, "single_word", 0,
                     "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1);
}
static json_t *special(const char *text)
{
    return json_pack("{s:{s:s, s:i}}", "SpecialToken", "id", text, "type_id", 0);
}
static json_t *post_processor(void)
{
    json_t *a = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0);
    json_t *b = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1);
    json_t *names =
        json_pack("{s:{s:s, s:[i], s:[s]}, s:{s:s, s:[i], s:[s]}}", BOS_TEXT, "id", BOS_TEXT, "ids", BOS,
                  "tokens", BOS_TEXT, EOS_TEXT, "id", EOS_TEXT, "ids", EOS, "tokens", EOS_TEXT);
    return json_pack("{s:s, s:[o, O, o], s:[o, o, o, o, o], s:o}", "type", "TemplateProcessing", "single",
                     special(BOS_TEXT), a, special(EOS_TEXT), "pair", special(BOS_TEXT), a, special(EOS_TEXT),
                     b, special(EOS_TEXT), "special_tokens", names);
}
static json_t *byte_level(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1,
                     "use_regex", 0);
}
bool tokenizer_save_bytes(const char *dir, struct error *err)
{
    json_t *vocab = json_object();
    for (int b = 0; b < 256; b++) {
        char token[4];
        byte_character(b, token);
        json_object_set_new(vocab, token, json_integer(b));
    }
    json_object_set_new(vocab, BOS_TEXT, json_integer(BOS));
    json_object_set_new(vocab, EOS_TEXT, json_integer(EOS));
    json_t *model = json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:o, s:[]}", "type", "BPE", "dropout",
                              "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                              "byte_fallback", 0, "vocab", vocab, "merges");
    AUTO_JSON j = json_pack("{s:s, s:n, s:n, s:[o, o], s:n, s:o, s:o, s:o, s:o}", "version", "1.0",
                            "truncation", "padding", "added_tokens", added_token(BOS, BOS_TEXT),
                            added_token(EOS, EOS_TEXT), "normalizer", "pre_tokenizer", byte_level(),
                            "post_processor", post_processor(), "decoder", byte_level(), "model", model);
    AUTO(mem) char *path = xprintf("%s/tokenizer.json", dir);
    return json_write(path, j, err);
}
