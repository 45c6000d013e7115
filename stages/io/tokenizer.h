/* Text to ids. Which tokenizer a model folder has is read from its files. */
#ifndef STAGES_IO_TOKENIZER_H
#define STAGES_IO_TOKENIZER_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct tokenizer;
/* From tokenizer.json of a model folder (weft's byte-level one written by tokenizer_save_bytes, or CLIP's
 * BPE). */
bool tokenizer_open(const char *dir, struct tokenizer **ret, struct error *err) MUST_CHECK;
void tokenizer_free(struct tokenizer *t);
static inline void tokenizer_auto(struct tokenizer **t)
{
    tokenizer_free(*t);
}
int64_t tokenizer_vocab(const struct tokenizer *t);
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
