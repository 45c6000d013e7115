#include "stages/io/tokenizer_text.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

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
    if (!made)
        mem_exhausted();
    buf_add(out, made, made_n);
    free(made);
}
uint32_t *text_characters(const char *text, size_t n, size_t *ret_n)
{
    *ret_n = 0;
    uint32_t *c = u8_to_u32((const uint8_t *)text, n, NULL, ret_n);
    if (!c)
        mem_exhausted();
    return c;
}
/* Is the sigma at i the last letter of its word? Characters like the apostrophe do not count. */
static bool ends_word(const ucs4_t *c, size_t n, size_t i)
{
    size_t before = i, after = i + 1;
    while (before > 0 && uc_is_property_case_ignorable(c[before - 1]))
        before--;
    while (after < n && uc_is_property_case_ignorable(c[after]))
        after++;
    return before > 0 && uc_is_property_cased(c[before - 1]) &&
           !(after < n && uc_is_property_cased(c[after]));
}
/* Only one character has several in lower case, whatever stands around it: I with a dot. words: as Python's
 * str.lower, which knows the sigma at a word's end. */
static void lower(const char *text, size_t n, bool words, struct buf *out)
{
    AUTO(mem) ucs4_t *c = text_characters(text, n, &n);
    for (size_t i = 0; i < n; i++) {
        if (c[i] == 0x130)
            buf_puts(out, "i\u0307");
        else if (words && c[i] == 0x3a3 && ends_word(c, n, i))
            buf_puts(out, "\u03c2");
        else
            text_put(out, uc_tolower(c[i]));
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
    lower(buf_str(&b), b.len, true, out);
}
void text_huggingface(const char *text, size_t n, bool nfc, bool lower_case, struct buf *out)
{
    AUTO(buf) struct buf a = {0};
    if (nfc)
        text_nfc(text, n, &a);
    else
        buf_add(&a, text, n);
    if (lower_case)
        lower(buf_str(&a), a.len, false, out);
    else
        buf_add(out, buf_str(&a), a.len);
}
