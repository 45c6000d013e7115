/* One input of the fuzzer of tokenizers: files of a model's folder, behind a letter each and up to a NUL
 * byte: j tokenizer.json, v vocab.json, m merges.txt, z OpenAI's list (plain text will do); t a text, which a
 * small tokenizer that is always there encodes too. Only what ends and how: an id is in the vocabulary, a row
 * is whole. */
#ifndef TESTS_FUZZ_TOKENIZER_INPUT_H
#define TESTS_FUZZ_TOKENIZER_INPUT_H
#include "stages/io/tokenizer_parts.h"
#include "tests/unit/tokenizer_make.h"
#include <unistd.h>

static char tokenizer_input_root[] = "/tmp/weft-fuzz-XXXXXX";
static struct tokenizer *tokenizer_input_small;

static inline void tokenizer_input_leave(void)
{
    tokenizer_free(tokenizer_input_small);
    fs_remove_tree(tokenizer_input_root, NULL);
}
static inline void tokenizer_input_enter(void)
{
    if (!mkdtemp(tokenizer_input_root))
        abort();
    make_hub(tokenizer_input_root, "a b\nab c\nc c</w>\n");
    if (!tokenizer_open(tokenizer_input_root, &tokenizer_input_small, NULL))
        abort();
    atexit(tokenizer_input_leave);
}
static inline void tokenizer_input_encode(struct tokenizer *t, const char *text, size_t n)
{
    for (int how = TOKENIZER_OPENAI; how <= TOKENIZER_HUGGINGFACE; how++) {
        int32_t ids[77];
        tokenizer_clean(t, how);
        if (!tokenizer_encode(t, text, n, 77, true, ids, NULL))
            continue;
        if (ids[0] != t->bos || ids[76] != t->eos)
            abort();
        for (int i = 0; i < 77; i++)
            if (ids[i] < 0 || ids[i] >= tokenizer_vocab(t))
                abort();
    }
}
static inline void tokenizer_input_run(const uint8_t *data, size_t n)
{
    static const char letter[] = "jvmz";
    static const char *const file[] = {"tokenizer.json", "vocab.json", "merges.txt",
                                       "bpe_simple_vocab_16e6.txt.gz"};
    const char *text = "abc ccc 12 <|endoftext|>";
    size_t text_n = strlen(text);
    for (int i = 0; i < 4; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", tokenizer_input_root, file[i]);
        unlink(path);
    }
    for (size_t i = 0; i < n;) {
        const uint8_t *end = memchr(data + i, 0, n - i);
        size_t length = end ? (size_t)(end - data) - i : n - i;
        const char *which = data[i] ? strchr(letter, data[i]) : NULL;
        AUTO(mem) char *path = xprintf("%s/%s", tokenizer_input_root, which ? file[which - letter] : "none");
        if (which && !fs_write_file(path, data + i + 1, length - 1, NULL))
            abort();
        if (data[i] == 't') {
            text = (const char *)data + i + 1;
            text_n = length - 1;
        }
        i += length + 1;
    }
    struct tokenizer *t = NULL;
    tokenizer_input_encode(tokenizer_input_small, text, text_n);
    if (tokenizer_open(tokenizer_input_root, &t, NULL))
        tokenizer_input_encode(t, text, text_n);
    tokenizer_free(t);
}
#endif
