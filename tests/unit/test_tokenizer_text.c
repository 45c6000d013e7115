/* How a text is prepared: rule by rule, OpenAI's way and Hugging Face's. */
#include "base/cleanup.h"
#include "stages/io/tokenizer_text.h"
#include <string.h>

#include "tests/test.h"

static void openai_n(const char *text, size_t n, const char *want)
{
    AUTO(buf) struct buf b = {0};
    text_openai(text, n, &b);
    if (strcmp(buf_str(&b), want) != 0)
        fail_msg("'%s' became '%s', not '%s'", text, buf_str(&b), want);
}
static void openai(const char *text, const char *want)
{
    openai_n(text, strlen(text), want);
}
static void huggingface(const char *text, const char *want)
{
    AUTO(buf) struct buf b = {0};
    text_huggingface(text, strlen(text), true, true, &b);
    assert_string_equal(buf_str(&b), want);
}
static void html(void **state)
{
    openai("&lt;b&gt; &quot;x&quot; &apos;", "<b> \"x\" '");
    openai("&copy 2024, &copy2024, &COPY; &AMPx &NBSP;", "\u00a9 2024, \u00a92024, \u00a9 &x &nbsp;");
    openai("&notit; &thetasym; &thetasym", "\u00acit; \u03d1 &thetasym");
    openai("AT&T a&b;c & && &; &amp", "at&t a&b;c & && &; &");
    openai("&#65;&#x42;&#X43&#68 &#; &#x; &#xg;", "abcd &#; &#x; &#xg;");
    openai("&#128;&#x99;|&#0;|&#1;|&#xd800;|&#x110000;|&#99999999999999999999;|&#xffff;|",
           "\u20ac\u2122|\ufffd||\ufffd|\ufffd|\ufffd||");
    openai("&lang;&rang;", "\u27e8\u27e9");
    openai("&nbsp;", "");
    openai("&#18446744073709551681; &apos", "\ufffd &apos");
    AUTO(buf) struct buf b = {0};
    text_unescape("&#65 &#65; &lt &lt;", 19, true, &b);
    assert_string_equal(buf_str(&b), "&#65 A &lt <");
    openai("&amp;amp;amp;lt;", "<");            /* until nothing is left, */
    openai("< &amp;amp;amp;lt;", "< &amp;lt;"); /* but twice only where the text may be HTML */
    openai("&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;",
           "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;");
}
static void letters(void **state)
{
    openai("\ufb03 \ufb05 \u0132\u0133 \u0149 \u01c8 \u01f1", "ffi \u017ft ijij 'n lj dz");
    openai("\uff21\uff22\uff01 \uff71 \uffe5", "ab! \u30a2 \u00a5");
    openai("\u201equoted\u201f \u2018\u02bc\u201b", "\"quoted\" '''");
    openai("e\u0301 A\u030a \u1100\u1161", "\u00e9 \u00e5 \uac00");
    openai("\u00bd \u2122 \u2026 x\u00b2 \U0001d509",
           "\u00bd \u2122 \u2026 x\u00b2 \U0001d509"); /* no NFKC */
}
static void controls(void **state)
{
    openai("\ufeffbom \u206a\ufffc|", "bom |");
    openai("it\xc2\x92s \xc2\x80\xc2\x81", "it's \u20ac\xc2\x81");
    openai("\033[1;31mred\033[0m \033[ \033x", "red [ x");
    openai_n("a\0b\vc\x1f|\x7f", 8, "abc|");
    openai("soft\u00adhyphen zero\u200bwidth", "soft\u00adhyphen zero\u200bwidth");
}
static void wrong_decoding(void **state)
{
    openai("sch\u00c3\u00b6n", "sch\u00f6n");
    openai("sch\u00c3\u0192\u00c2\u00b6n", "sch\u00f6n"); /* twice */
    openai("\u00e2\u20ac\u201d \u00f0\u0178\u02dc\u20ac", "\u2014 \U0001f600");
    openai("\u00e6\u2014\u00a5\u00e6\u0153\u00ac\u00e8\u00aa\u017e", "\u65e5\u672c\u8a9e");
    openai("50\u00c2\u00b0", "50\u00b0");
    openai("good\nsch\u00c3\u00b6n", "good sch\u00f6n"); /* line by line */
    openai("\u65e5\u672c\nsch\u00c3\u00b6n", "\u65e5\u672c sch\u00f6n");
    openai("sch\u00c3\u00b6n \u65e5", "sch\u00e3\u00b6n \u65e5");         /* not all of it is bytes */
    openai("sch\u00c3\u00b6n sch\u00f6n", "sch\u00e3\u00b6n sch\u00f6n"); /* not all of it is UTF-8 */
    openai("CAF\u00c9\u2026 AMANH\u00c3\u2026", "caf\u00e9\u2026 amanh\u00e3\u2026"); /* what people write */
    openai("voil\u00e0\u00a0\u00bb", "voil\u00e0 \u00bb");
    openai("\u00c5\u00e9 na\u00efve caf\u00e9", "\u00e5\u00e9 na\u00efve caf\u00e9");
}
static void space_and_case(void **state)
{
    openai(" \t a\u3000\u2003b\r\n\fc ", "a b c");
    openai("\u2028a\u00a0\u2029", "a");
    openai("a\u180eb", "a\u180eb"); /* was a space once */
    openai("", "");
    openai("\u039f\u0394\u039f\u03a3 \u03a3 \u03a3\u0391", "\u03bf\u03b4\u03bf\u03c2 \u03c3 \u03c3\u03b1");
    openai("\u0391'\u03a3' \u0391\u03a3'\u0391", "\u03b1'\u03c2' \u03b1\u03c3'\u03b1");
    openai("\u0130\u1e9e\u2163\U00010400", "i\u0307\u00df\u2173\U00010428");
}
static void as_huggingface(void **state)
{
    huggingface("\u039f\u0394\u039f\u03a3 \u0130", "\u03bf\u03b4\u03bf\u03c3 i\u0307");
    huggingface("e\u0301 &amp; \u2019 \ufb01 sch\u00c3\u00b6n",
                "\u00e9 &amp; \u2019 \ufb01 sch\u00e3\u00b6n");
    huggingface("", "");
    AUTO(buf) struct buf b = {0};
    text_huggingface("E\u0301", 3, false, false, &b);
    assert_string_equal(buf_str(&b), "E\u0301");
}
static void validity(void **state)
{
    assert_int_equal(text_valid("a\u00e9\U0001f600", 7), 7);
    assert_int_equal(text_valid("a\0b", 3), 3);
    assert_int_equal(text_valid("ab\xff", 3), 2);
    assert_int_equal(text_valid("a\xc3", 2), 1);             /* cut off */
    assert_int_equal(text_valid("\xed\xa0\x80", 3), 0);      /* a surrogate */
    assert_int_equal(text_valid("\xc0\x80", 2), 0);          /* too long for NUL */
    assert_int_equal(text_valid("x\xf4\x90\x80\x80", 5), 1); /* beyond Unicode */
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(html),           cmocka_unit_test(letters),
                                       cmocka_unit_test(controls),       cmocka_unit_test(wrong_decoding),
                                       cmocka_unit_test(space_and_case), cmocka_unit_test(as_huggingface),
                                       cmocka_unit_test(validity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
