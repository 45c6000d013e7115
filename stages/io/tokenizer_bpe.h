/* Byte-pair merging as CLIP has it: a word's bytes are its first symbols, the last of them marked as the end
 * of a word; again and again the pair of neighbours that comes first in the list of merges becomes one
 * symbol, everywhere in the word. Words and what became of them are remembered, so one object serves one
 * thread. */
#ifndef STAGES_IO_TOKENIZER_BPE_H
#define STAGES_IO_TOKENIZER_BPE_H
#include "stages/io/tokenizer_parts.h"

struct bpe;
/* first[b], last[b]: id of byte b inside a word, and as its last one. */
struct bpe *bpe_new(const int32_t first[256], const int32_t last[256]);
void bpe_free(struct bpe *b);
/* left right -> merged, after all earlier merges; given twice, the later counts. */
void bpe_merge(struct bpe *b, int32_t left, int32_t right, int32_t merged);
bool bpe_same(const struct bpe *a, const struct bpe *b);
/* Append the ids of a word of n > 0 bytes. */
void bpe_word(struct bpe *b, const char *word, size_t n, struct ids *out);
#endif
