/* Unicode for tokenizers, by libunistring. All texts are UTF-8 of n bytes (NUL is a character as any); what a
 * function makes is appended to out. */
#ifndef STAGES_IO_TOKENIZER_TEXT_H
#define STAGES_IO_TOKENIZER_TEXT_H
#include "base/buf.h"
#include <stddef.h>
#include <stdint.h>

/* Bytes of text that are UTF-8, counted from its start: n when all are. */
size_t text_valid(const char *text, size_t n);
/* Lower case as Python's str.lower: the whole Unicode rule, with the sigma at a word's end. */
void text_lower(const char *text, size_t n, struct buf *out);
#endif
