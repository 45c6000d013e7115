/* Repair of text that went through the wrong hands: the rules that OpenAI's tokenizer has from ftfy's default
 * settings, over and over until nothing changes any more, line by line:
 *   - HTML references with their semicolon, in text without '<'
 *   - UTF-8 that was read as Latin-1 or Windows-1252: where every character is a byte of these, the bytes are
 *     UTF-8, and some of its sequences is nothing that people write
 *   - C1 control characters mean what Windows-1252 means by them
 *   - Latin ligatures and digraphs as letters; full and half width forms as the usual ones
 *   - curly quotes as straight ones
 *   - no colour codes of terminals, no control characters but white space, no byte order mark
 *   - NFC
 * Left out: other code pages (Cyrillic, Mac, DOS), and repairs of only a part of a line's bytes. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/tokenizer_text.h"
#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#define ESCAPE 0x1b

static const uint16_t windows_1252[32] = {0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                          0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
                                          0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                          0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};

uint32_t text_windows_1252(uint32_t byte)
{
    return windows_1252[byte & 31];
}
/* ---- UTF-8 read as Latin-1 or Windows-1252 ---- */
static bool to_byte(ucs4_t c, uint8_t *ret)
{
    *ret = (uint8_t)c;
    if (c < 0x100)
        return true;
    for (int i = 0; i < 32; i++)
        if (windows_1252[i] == c) {
            *ret = (uint8_t)(0x80 + i);
            return true;
        }
    return false;
}
/* Characters that end or follow a word in usual text: no-break space, quotes, the ellipsis. */
static bool after_words(uint8_t byte)
{
    return byte == 0xa0 || byte == 0xbb || byte == 0x85 || (byte >= 0x91 && byte <= 0x94);
}
/* Is the UTF-8 sequence at i nothing that people write, read as characters? "É…" and "à »" they do. */
static bool odd(const uint8_t *byte, const ucs4_t *c, size_t i, int length)
{
    switch (length) {
    case 2:
        return (byte[i] == 0xc2 || byte[i] == 0xc3) && !(i > 0 && uc_is_upper(c[i - 1]));
    case 3:
        return byte[i] == 0xe2 || byte[i] == 0xef || (!after_words(byte[i + 1]) && !after_words(byte[i + 2]));
    default:
        return length == 4;
    }
}
static void undo_wrong_decoding(struct buf *text)
{
    size_t n;
    AUTO(mem) ucs4_t *c = text_characters(buf_str(text), text->len, &n);
    AUTO(mem) uint8_t *byte = xmalloc(n + 1);
    bool any = false;
    for (size_t i = 0; i < n; i++)
        if (!to_byte(c[i], &byte[i]))
            return;
    if (u8_check(byte, n))
        return;
    for (size_t i = 0; i < n;) {
        int length = u8_mblen(byte + i, n - i);
        any = any || odd(byte, c, i, length);
        i += length > 0 ? (size_t)length : 1; /* 0: NUL */
    }
    if (any) {
        buf_clear(text);
        buf_add(text, byte, n);
    }
}

/* ---- single characters ---- */
/* Latin letters that are two or three: IJ, 'n, DZ with caron, LJ, NJ, DZ, ff to st. */
static bool is_ligature(ucs4_t c)
{
    return c == 0x132 || c == 0x133 || c == 0x149 || (c >= 0x1c4 && c <= 0x1cc) ||
           (c >= 0x1f1 && c <= 0x1f3) || (c >= 0xfb00 && c <= 0xfb06);
}
static bool is_control(ucs4_t c)
{
    return (c < 0x20 && !(c && strchr("\t\n\f\r", (int)c))) || c == 0x7f || (c >= 0x206a && c <= 0x206f) ||
           c == 0xfeff || (c >= 0xfff9 && c <= 0xfffc);
}
static void put_repaired(struct buf *out, ucs4_t c)
{
    ucs4_t part[UC_DECOMPOSITION_MAX_LENGTH];
    int tag, parts;
    if (c >= 0x80 && c <= 0x9f)
        c = text_windows_1252(c);
    if (is_control(c))
        return;
    if (c == 0x3000 || (c >= 0xff01 && c <= 0xffef)) { /* width */
        size_t n = 0;
        AUTO(mem) uint32_t *all = u32_normalize(UNINORM_NFKC, &c, 1, NULL, &n);
        for (size_t i = 0; all && i < n; i++)
            text_put(out, all[i]);
    } else if (is_ligature(c) && (parts = uc_decomposition(c, &tag, part)) > 0) {
        for (int i = 0; i < parts; i++)
            text_put(out, part[i]);
    } else if (c == 0x2bc || (c >= 0x2018 && c <= 0x201b)) {
        buf_putc(out, '\'');
    } else if (c >= 0x201c && c <= 0x201f) {
        buf_putc(out, '"');
    } else {
        text_put(out, c);
    }
}
/* Length of "ESC[1;31m" at c, 0 when there is none. */
static size_t terminal_code(const ucs4_t *c, size_t n)
{
    size_t i = 2;
    if (n < 3 || c[0] != ESCAPE || c[1] != '[')
        return 0;
    while (i < n && ((c[i] >= '0' && c[i] <= '9') || c[i] == ';'))
        i++;
    return i < n && c[i] < 0x80 && uc_is_alpha(c[i]) ? i + 1 : 0;
}
static void repair_characters(struct buf *text)
{
    size_t n;
    AUTO(mem) ucs4_t *c = text_characters(buf_str(text), text->len, &n);
    AUTO(buf) struct buf out = {0};
    for (size_t i = 0; i < n;) {
        size_t code = terminal_code(c + i, n - i);
        if (!code)
            put_repaired(&out, c[i]);
        i += code ? code : 1;
    }
    buf_clear(text);
    text_nfc(buf_str(&out), out.len, text);
}
static void repair_line(const char *line, size_t n, bool unescape, struct buf *out)
{
    AUTO(buf) struct buf now = {0};
    AUTO(buf) struct buf before = {0};
    buf_add(&now, line, n);
    do {
        buf_clear(&before);
        buf_add(&before, buf_str(&now), now.len);
        if (unescape) {
            buf_clear(&now);
            text_unescape(buf_str(&before), before.len, true, &now);
        }
        undo_wrong_decoding(&now);
        repair_characters(&now);
    } while (now.len != before.len || memcmp(buf_str(&now), buf_str(&before), now.len) != 0);
    buf_add(out, buf_str(&now), now.len);
}
void text_repair(const char *text, size_t n, struct buf *out)
{
    bool unescape = !memchr(text, '<', n);
    for (size_t i = 0; i < n;) {
        const char *end = memchr(text + i, '\n', n - i);
        size_t length = end ? (size_t)(end - text) + 1 - i : n - i;
        repair_line(text + i, length, unescape, out);
        i += length;
    }
}
