#include "stages/io/tokenizer_text.h"
#include "base/mem.h"
#include <stdlib.h>
#include <unicase.h>
#include <unistr.h>

/* What libunistring allocated, appended; NULL means that memory has run out. */
static void take(struct buf *out, uint8_t *made, size_t n)
{
    if (!made)
        mem_exhausted();
    buf_add(out, made, n);
    free(made);
}
size_t text_valid(const char *text, size_t n)
{
    const uint8_t *bad = u8_check((const uint8_t *)text, n);
    return bad ? (size_t)(bad - (const uint8_t *)text) : n;
}
void text_lower(const char *text, size_t n, struct buf *out)
{
    size_t made_n = 0;
    if (n) {
        uint8_t *made = u8_tolower((const uint8_t *)text, n, NULL, NULL, NULL, &made_n);
        take(out, made, made_n);
    }
}
