#include "base/cleanup.h"
#include "base/mem.h"
#include "base/svg.h"
#include "engine/cli/scale.h"
#include "engine/cli/sweep_view.h"
#include "tests/test.h"
#include "tests/unit/xml_check.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int count(const char *s, const char *what)
{
    int n = 0;
    for (; (s = strstr(s, what)); s += strlen(what))
        n++;
    return n;
}

enum { AXES = 6 };
struct sample {
    struct sweep_trial *trial;
    char **text;
    double *number;
};

static struct sample make(int n)
{
    struct sample s = {.trial = xcalloc((size_t)n + 1, sizeof *s.trial),
                       .text = xcalloc((size_t)n * AXES + 1, sizeof *s.text),
                       .number = xcalloc((size_t)n * AXES + 1, sizeof *s.number)};
    for (int i = 0; i < n * AXES; i++) {
        bool word = i % AXES == 3;
        s.number[i] = word ? NAN : i % AXES == 1 ? pow(10, i / AXES % 5) : i % 13;
        s.text[i] =
            word ? xprintf("a <\"rather\"> long & winding text \x01 %d", i % 4) : xprintf("%g", s.number[i]);
    }
    for (int i = 0; i < n; i++)
        s.trial[i] = (struct sweep_trial){.value = (const char *const *)s.text + i * AXES,
                                          .number = s.number + i * AXES,
                                          .state = i % 4 ? TRIAL_DONE : TRIAL_FAILED,
                                          .objective = i % 4 ? i % 7 : NAN,
                                          .rung = -1};
    return s;
}

static void done(struct sample *s, int n)
{
    for (int i = 0; i < n * AXES; i++)
        free(s->text[i]);
    free(s->text);
    free(s->number);
    free(s->trial);
}

static void pictures(void **state)
{
    static const char *const axis[] = {"a", "b<&>", "c", "d", "a.very.long.name.of.a.variable.that.is.cut",
                                       "f"};
    static const int sizes[] = {0, 1, 2, 9, 300};
    for (int axes = 0; axes <= AXES; axes++)
        for (size_t k = 0; k < 2 * sizeof sizes / sizeof *sizes; k++) {
            int n = sizes[k / 2];
            struct sample s = make(n);
            struct sweep_view v = {.experiment = "x & y",
                                   .objective = k % 2 ? "s.m" : NULL,
                                   .axis = axis,
                                   .n_axes = axes,
                                   .trial = s.trial,
                                   .n = n};
            AUTO(buf) struct buf out = {0};
            sweep_svg(&v, &out);
            const char *text = buf_str(&out);
            check_xml(text);
            assert_null(strstr(text, "nan"));
            assert_null(strstr(text, "inf"));
            assert_null(strstr(text, "(null)"));
            int valued = n - (n + 3) / 4;
            if (axes == 1)
                assert_int_equal(count(text, "<circle"), k % 2 ? valued : 0);
            if (axes >= 2 && k % 2) { /* the best one has a casing, the legend one line of its own */
                assert_int_equal(count(text, "class=\"line\" stroke=\"#"), valued + (valued > 0));
                assert_int_equal(count(text, "class=\"line none\""), n - valued + (n > valued));
                assert_int_equal(count(text, "class=\"head\""), axes + 1);
            }
            done(&s, n);
        }
}

static void expect_ticks(const struct scale *s, const char *want)
{
    AUTO(buf) struct buf got = {0};
    for (int i = 0; i < s->n_ticks; i++)
        if (!s->tick[i].hidden)
            buf_printf(&got, "%s%s@%.2f", got.len ? " " : "", s->tick[i].text, s->tick[i].at);
    assert_string_equal(buf_str(&got), want);
}

static void scales(void **state)
{
    AUTO(scale) struct scale few = {0}, logs = {0}, many = {0}, one = {0}, texts = {0}, wide = {0};
    scale_numbers(&few, (double[]){3, 1, NAN, 2, 1}, 5, 0);
    expect_ticks(&few, "1@0.00 2@0.50 3@1.00");
    assert_true(isnan(few.at[2]) && few.at[3] == 0.5);
    scale_numbers(&logs, (double[]){1e-4, 1, 1e-2}, 3, 0);
    assert_true(logs.log && fabs(logs.at[2] - 0.5) < 1e-12);
    scale_numbers(&wide, (double[]){-1, 1000}, 2, 0.1); /* not positive: linear */
    assert_false(wide.log);
    assert_true(wide.lo < -1 && wide.hi > 1000);
    double value[21];
    for (int i = 0; i < 21; i++)
        value[i] = i * 0.05;
    scale_numbers(&many, value, 21, 0);
    expect_ticks(&many, "0@0.00 0.2@0.20 0.4@0.40 0.6@0.60 0.8@0.80 1@1.00");
    scale_thin(&many, 60, false, 0); /* room for every other one */
    expect_ticks(&many, "0@0.00 0.4@0.40 1@1.00");
    scale_numbers(&one, (double[]){7, 7}, 2, 0.1);
    expect_ticks(&one, "7@0.50");
    scale_texts(&texts, (const char *const[]){"b", "a", "b", "c"}, 4);
    expect_ticks(&texts, "b@0.00 a@0.50 c@1.00");
    assert_true(texts.at[2] == 0 && texts.at[3] == 1);
}

static void texts_and_colours(void **state)
{
    AUTO(buf) struct buf out = {0};
    svg_text(&out, 1, 2, "left", 80, "a<b");
    svg_text(&out, 1, 2, "left", 70, "äöü and many more words ß");
    assert_string_equal(buf_str(&out), "<text x=\"1.0\" y=\"2.0\" class=\"left\">a&lt;b</text>\n"
                                       "<text x=\"1.0\" y=\"2.0\" class=\"left\">äöü …ds ß"
                                       "<title>äöü and many more words ß</title></text>\n");
    assert_string_equal(svg_colour(0).s, "#5ec962");
    assert_string_equal(svg_colour(1).s, "#440154");
    assert_string_equal(svg_colour(7).s, "#440154");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures), cmocka_unit_test(scales),
                                       cmocka_unit_test(texts_and_colours)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
