/* How CLIP's tokenizer prepares a text; Unicode by libunistring. Texts are UTF-8 of n bytes (NUL is a
 * character as any); what a function makes is appended to out. */
#ifndef STAGES_IO_TOKENIZER_TEXT_H
#define STAGES_IO_TOKENIZER_TEXT_H
#include "base/buf.h"
#include <stddef.h>
#include <stdint.h>

/* Bytes of text that are UTF-8, counted from its start: n when all are. */
size_t text_valid(const char *text, size_t n);
/* As OpenAI's code has it: text_repair, HTML unescaped twice, white space collapsed and trimmed, lower case
 * as Python's str.lower (the sigma at a word's end and all). */
void text_openai(const char *text, size_t n, struct buf *out);
/* As Hugging Face's tokenizers library has it: NFC, lower case of each character by itself. */
void text_huggingface(const char *text, size_t n, bool nfc, bool lower, struct buf *out);

void text_nfc(const char *text, size_t n, struct buf *out);
/* HTML character references, as Python's html.unescape, of the names of HTML 4 (tokenizer_html.c). strict:
 * only those with their semicolon. */
void text_unescape(const char *text, size_t n, bool strict, struct buf *out);
/* What ftfy's default settings repair in text that went through the wrong hands (tokenizer_repair.c says
 * which rules). */
void text_repair(const char *text, size_t n, struct buf *out);
/* What Windows-1252 means by a byte of 0x80 to 0x9f; the byte itself where it means nothing. */
uint32_t text_windows_1252(uint32_t byte);
uint32_t *text_characters(const char *text, size_t n, size_t *ret_n); /* malloc'd */
void text_put(struct buf *out, uint32_t character);                   /* as UTF-8 */
#endif
