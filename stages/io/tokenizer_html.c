/* HTML's character references by Python's rules (html.unescape): numbers, names with their semicolon, and the
 * old Latin-1 names without. Names are the 253 that libxml2 has, those of HTML 4, and six in capitals;
 * others of HTML 5 stay as they are. */
#include "stages/io/tokenizer_text.h"
#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <string.h>

/* Longest name of HTML 4 is "thetasym". */
#define NAME 16

/* That HTML 5 takes in capitals too. */
static const char *const capital[] = {"AMP", "COPY", "GT", "LT", "QUOT", "REG"};

/* The character of a name of n letters, 0 when there is none. */
static uint32_t find_name(const char *s, size_t n)
{
    char name[NAME];
    if (n >= sizeof name)
        return 0;
    memcpy(name, s, n);
    name[n] = 0;
    for (size_t i = 0; i < sizeof capital / sizeof *capital; i++)
        if (!strcmp(name, capital[i]))
            for (char *c = name; *c; c++)
                *c = (char)tolower((unsigned char)*c);
    const htmlEntityDesc *e = htmlEntityLookup((const xmlChar *)name);
    uint32_t c = e ? e->value : 0;
    return c == 0x2329 ? 0x27e8 : c == 0x232a ? 0x27e9 : c; /* lang and rang, which HTML 5 moved */
}
static uint32_t find_old_name(const char *s, size_t n)
{
    uint32_t c = n == 4 && !memcmp(s, "apos", 4) ? 0 : find_name(s, n);
    return c < 0x100 ? c : 0;
}
/* What a number stands for; 0: nothing at all. */
static uint32_t of_number(uint64_t x)
{
    if (x >= 0x80 && x <= 0x9f)
        return text_windows_1252((uint32_t)x);
    if (x == 0 || x > 0x10ffff || (x >= 0xd800 && x <= 0xdfff))
        return 0xfffd;
    bool none = (x < 0x20 && !strchr("\t\n\f\r", (int)x)) || x == 0x7f || (x >= 0xfdd0 && x <= 0xfdef) ||
                (x & 0xfffe) == 0xfffe;
    return none ? 0 : (uint32_t)x;
}
/* Length of the number "#..." at s with its semicolon, 0 when there is none. */
static size_t read_number(const char *s, size_t n, bool strict, uint32_t *ret)
{
    static const char digit[] = "0123456789abcdef";
    size_t base = n > 1 && (s[1] == 'x' || s[1] == 'X') ? 16 : 10, first = base == 16 ? 2 : 1, i = first;
    uint64_t x = 0;
    for (; i < n && s[i]; i++) {
        const char *d = strchr(digit, tolower((unsigned char)s[i]));
        if (!d || (size_t)(d - digit) >= base)
            break;
        x = x > 0x10ffff ? x : x * base + (uint64_t)(d - digit);
    }
    bool closed = i < n && s[i] == ';';
    if (i == first || (strict && !closed))
        return 0;
    *ret = of_number(x);
    return i + closed;
}
static size_t read_name(const char *s, size_t n, bool strict, uint32_t *ret)
{
    size_t letters = 0;
    while (letters < n && isalnum((unsigned char)s[letters]))
        letters++;
    if (letters < n && s[letters] == ';' && (*ret = find_name(s, letters)))
        return letters + 1;
    for (size_t i = letters < NAME ? letters : NAME; !strict && i > 1; i--)
        if ((*ret = find_old_name(s, i)))
            return i;
    return 0;
}
void text_unescape(const char *text, size_t n, bool strict, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        const char *s = text + i + 1;
        size_t left = n - i - 1, used = 0;
        uint32_t c = 0;
        if (text[i] == '&' && left)
            used = *s == '#' ? read_number(s, left, strict, &c) : read_name(s, left, strict, &c);
        if (!used)
            buf_putc(out, text[i]);
        else if (c)
            text_put(out, c);
        i += 1 + used;
    }
}
