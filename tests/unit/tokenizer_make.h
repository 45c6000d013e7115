/* Tokenizer files of every layout, made of one list of merges: "a b\n" a line. */
#ifndef TESTS_UNIT_TOKENIZER_MAKE_H
#define TESTS_UNIT_TOKENIZER_MAKE_H
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static inline void make_file(const char *dir, const char *name, const char *text)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    if (!fs_write_file(path, text, strlen(text), NULL))
        abort();
}
static inline void make_json(const char *dir, const char *name, const json_t *j)
{
    AUTO(mem) char *text = json_dumps(j, JSON_COMPACT);
    make_file(dir, name, text);
}
/* OpenAI's: a line with the version, and packed. */
static inline void make_gz(const char *dir, const char *merges)
{
    AUTO(mem) char *command = xprintf("gzip -c >'%s/bpe_simple_vocab_16e6.txt.gz'", dir);
    FILE *f = popen(command, "w");
    if (!f || fprintf(f, "\"bpe_simple_vocab_16e6.txt#version: 0.2\n%s", merges) < 0 || pclose(f) != 0)
        abort();
}
/* The ids that OpenAI's code gives: bytes in the order of their characters' code points, each a second time
 * with </w>, merges, specials. */
static inline json_t *make_vocab(const char *merges)
{
    json_t *vocab = json_object();
    for (int end = 0; end < 2; end++)
        for (int c = '!'; c < 0x144; c++) {
            char name[8];
            if ((c > '~' && c < 0xa1) || c == 0xad)
                continue;
            if (c < 0x80)
                snprintf(name, sizeof name, "%c%s", c, end ? "</w>" : "");
            else
                snprintf(name, sizeof name, "%c%c%s", 0xc0 | c >> 6, 0x80 | (c & 63), end ? "</w>" : "");
            json_object_set_new(vocab, name, json_integer((json_int_t)json_object_size(vocab)));
        }
    for (const char *line = merges; *line; line = strchr(line, '\n') + 1) {
        size_t n = strcspn(line, "\n"), a = strcspn(line, " ");
        AUTO(mem) char *name = xprintf("%.*s%.*s", (int)a, line, (int)(n - a - 1), line + a + 1);
        json_object_set_new(vocab, name, json_integer((json_int_t)json_object_size(vocab)));
    }
    json_object_set_new(vocab, "<|startoftext|>", json_integer((json_int_t)json_object_size(vocab)));
    json_object_set_new(vocab, "<|endoftext|>", json_integer((json_int_t)json_object_size(vocab)));
    return vocab;
}
static inline void make_hub(const char *dir, const char *merges)
{
    AUTO_JSON vocab = make_vocab(merges);
    AUTO(mem) char *text = xprintf("#version: 0.2\n%s", merges);
    make_json(dir, "vocab.json", vocab);
    make_file(dir, "merges.txt", text);
}
static inline json_t *make_added(json_t *id, const char *text, bool normalized)
{
    return json_pack("{s:O, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", text, "single_word", 0,
                     "lstrip", 0, "rstrip", 0, "normalized", normalized, "special", 1);
}
/* tokenizer.json as the hub has it; pairs: merges as ["a","b"]. */
static inline json_t *make_tokenizer(const char *merges, bool pairs)
{
    json_t *vocab = make_vocab(merges), *list = json_array();
    for (const char *line = merges; *line; line = strchr(line, '\n') + 1) {
        int n = (int)strcspn(line, "\n"), a = (int)strcspn(line, " ");
        json_array_append_new(
            list, pairs ? json_pack("[s%, s%]", line, (size_t)a, line + a + 1, (size_t)(n - a - 1))
                        : json_stringn(line, (size_t)n));
    }
    json_t *added =
        json_pack("[o, o]", make_added(json_object_get(vocab, "<|startoftext|>"), "<|startoftext|>", true),
                  make_added(json_object_get(vocab, "<|endoftext|>"), "<|endoftext|>", false));
    json_t *normalizer =
        json_pack("{s:s, s:[{s:s}, {s:s, s:{s:s}, s:s}, {s:s}]}", "type", "Sequence", "normalizers", "type",
                  "NFC", "type", "Replace", "pattern", "Regex", "\\s+", "content", " ", "type", "Lowercase");
    json_t *words = json_pack(
        "{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, {s:s, s:b, s:b}]}", "type", "Sequence", "pretokenizers", "type",
        "Split", "pattern", "Regex", "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
        "behavior", "Removed", "invert", 1, "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1);
    json_t *model = json_pack("{s:s, s:n, s:s, s:s, s:s, s:b, s:o, s:o}", "type", "BPE", "dropout",
                              "unk_token", "<|endoftext|>", "continuing_subword_prefix", "",
                              "end_of_word_suffix", "</w>", "fuse_unk", 0, "vocab", vocab, "merges", list);
    return json_pack("{s:s, s:n, s:n, s:o, s:o, s:o, s:n, s:n, s:o}", "version", "1.0", "truncation",
                     "padding", "added_tokens", added, "normalizer", normalizer, "pre_tokenizer", words,
                     "post_processor", "decoder", "model", model);
}
#endif
