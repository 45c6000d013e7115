/* Text to ids. Which tokenizer a model folder has is read from its files. */
#ifndef STAGES_IO_TOKENIZER_H
#define STAGES_IO_TOKENIZER_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct tokenizer;
/* How CLIP's byte-pair tokenizer prepares a text before it is cut into words (tokenizer_text.h). */
enum tokenizer_cleaning {
    TOKENIZER_FILES, /* as whoever made the files does */
    TOKENIZER_OPENAI,
    TOKENIZER_HUGGINGFACE
};
/* From what a model folder has of: tokenizer.json (weft's byte-level one written by tokenizer_save_bytes, or
 * CLIP's byte pairs), vocab.json with merges.txt, bpe_simple_vocab_16e6.txt.gz. None, a damaged one, and two
 * that are different tokenizers are errors. A tokenizer serves one thread: it remembers words. */
bool tokenizer_open(const char *dir, struct tokenizer **ret, struct error *err) MUST_CHECK;
void tokenizer_free(struct tokenizer *t);
static inline void tokenizer_auto(struct tokenizer **t)
{
    tokenizer_free(*t);
}
/* No effect on a byte-level tokenizer, which takes texts as they are. */
void tokenizer_clean(struct tokenizer *t, enum tokenizer_cleaning how);
int64_t tokenizer_vocab(const struct tokenizer *t); /* ids are below */
/* Of n bytes of UTF-8 (anything else is an error; NUL is a character as any): [bos] ids [eos], padded with
 * eos to ctx entries. Longer text is cut off before eos where truncate says so, else an error naming the text
 * and ctx. */
bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, int64_t ctx, bool truncate,
                      int32_t *ids, struct error *err) MUST_CHECK;
/* Byte-level vocabulary: 256 bytes, <|startoftext|> 256, <|endoftext|> 257, no merges; a tokenizer.json that
 * Hugging Face's tokenizers library reads. */
bool tokenizer_save_bytes(const char *dir, struct error *err) MUST_CHECK;
#define TOKENIZER_BYTES_VOCAB 258
#endif
