#include "stages/io/tokenizer_text.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
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
void text_put(struct buf *out, uint32_t character)
{
    uint8_t utf8[6];
    int n = u8_uctomb(utf8, character, sizeof utf8);
    if (n > 0)
        buf_add(out, utf8, (size_t)n);
}
void text_nfc(const char *text, size_t n, struct buf *out)
{
    size_t made_n = 0;
    if (!n)
        return;
    uint8_t *made = u8_normalize(UNINORM_NFC, (const uint8_t *)text, n, NULL, &made_n);
    take(out, made, made_n);
}
static void lower_as_python(const char *text, size_t n, struct buf *out)
{
    size_t made_n = 0;
    if (!n)
        return;
    uint8_t *made = u8_tolower((const uint8_t *)text, n, NULL, NULL, NULL, &made_n);
    take(out, made, made_n);
}
/* Only one character has several in lower case, whatever stands around it: I with a dot. */
static void lower_each(const char *text, size_t n, struct buf *out)
{
    ucs4_t c;
    for (size_t i = 0; i < n;) {
        i += (size_t)u8_mbtouc(&c, (const uint8_t *)text + i, n - i);
        if (c == 0x130)
            buf_puts(out, "i\u0307");
        else
            text_put(out, uc_tolower(c));
    }
}
static void collapse(const char *text, size_t n, struct buf *out)
{
    size_t from = out->len;
    bool space = false;
    ucs4_t c;
    for (size_t i = 0; i < n;) {
        int length = u8_mbtouc(&c, (const uint8_t *)text + i, n - i);
        if (!uc_is_property_white_space(c)) {
            if (space && out->len > from)
                buf_putc(out, ' ');
            buf_add(out, text + i, (size_t)length);
        }
        space = uc_is_property_white_space(c);
        i += (size_t)length;
    }
}
void text_openai(const char *text, size_t n, struct buf *out)
{
    AUTO(buf) struct buf a = {0};
    AUTO(buf) struct buf b = {0};
    text_repair(text, n, &a);
    text_unescape(buf_str(&a), a.len, false, &b);
    buf_clear(&a);
    text_unescape(buf_str(&b), b.len, false, &a);
    buf_clear(&b);
    collapse(buf_str(&a), a.len, &b);
    lower_as_python(buf_str(&b), b.len, out);
}
void text_huggingface(const char *text, size_t n, bool nfc, bool lower, struct buf *out)
{
    AUTO(buf) struct buf a = {0};
    if (nfc)
        text_nfc(text, n, &a);
    else
        buf_add(&a, text, n);
    if (lower)
        lower_each(buf_str(&a), a.len, out);
    else
        buf_add(out, buf_str(&a), a.len);
}
