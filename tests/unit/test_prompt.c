/* Class texts: templates, class names, and features of one template and of an ensemble. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "stages/model/prompt.h"
#include "stages/tensor/ops.h"
#include <math.h>

#include "tests/test.h"

static struct prompt_params params_of(const char *template)
{
    return (struct prompt_params){template, "refined", "files", "error"};
}
static void text_is(const char *template, const char *names, int64_t which, const char *name,
                    const char *want)
{
    struct prompt_params p = params_of(template);
    p.class_names = names;
    AUTO(mem) char *got = prompt_text(&p, which, name);
    assert_string_equal(got, want);
}
static void texts(void **state)
{
    text_is("This is a photo of a {}", "refined", 0, "Great_Pyrenees-dog",
            "This is a photo of a great pyrenees dog");
    text_is("This is a photo of a {}", "raw", 0, "Great_Pyrenees-dog",
            "This is a photo of a Great_Pyrenees-dog");
    text_is("a {}.", "refined", 0, "AnnualCrop", "a annualcrop.");
    text_is("{} here", "refined", 0, "", " here");
    text_is("\na {}\r\n \n{} b\n", "refined", 0, "X", "a x");
    text_is("\na {}\r\n \n{} b\n", "refined", 1, "X", "x b");
    text_is("{} {}", "refined", 0, "X", "x {}");
}
static void counts(void **state)
{
    struct prompt_params p = params_of("a {}\n\n \t\nb {}\r\nc {}");
    assert_int_equal(prompt_count(&p), 3);
    assert_true(prompt_check(&p, NULL));
}
static void refuses(const char *template, const char *why)
{
    struct error err = {0};
    struct prompt_params p = params_of(template);
    assert_false(prompt_check(&p, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}
static void bad_templates(void **state)
{
    refuses("a photo", "'a photo'");
    refuses("a {}\nno hole\nb {}", "'no hole'");
    refuses("", "empty");
    refuses(" \n", "empty");
}

/* ---- features ---- */
#define EMBED 8
static struct clip *model(void)
{
    struct clip_config c = {.vision = {.width = 16, .layers = 1, .heads = 2, .mlp = 32, .eps = 1e-5},
                            .text = {.width = 16, .layers = 1, .heads = 2, .mlp = 32, .eps = 1e-5},
                            .image_size = 8,
                            .patch = 4,
                            .channels = 3,
                            .vocab = TOKENIZER_BYTES_VOCAB,
                            .context = 24,
                            .bos = TOKENIZER_BYTES_VOCAB - 2,
                            .eos = TOKENIZER_BYTES_VOCAB - 1,
                            .embed = EMBED};
    struct clip *m;
    assert_true(clip_new(&c, 3, &m, NULL));
    return m;
}
static struct tokenizer *tokenizer(void)
{
    char dir[] = "/tmp/weft-prompt-XXXXXX";
    struct tokenizer *t;
    assert_non_null(mkdtemp(dir));
    assert_true(tokenizer_save_bytes(dir, NULL) && tokenizer_open(dir, &t, NULL));
    assert_true(fs_remove_tree(dir, NULL));
    return t;
}
/* More than one chunk of names, and the mean done by hand from the single templates. */
static void ensemble(void **state)
{
    enum { N = 70, T = 3 };
    static const char *const template[T] = {"a {}", "the big {}", "{}!"};
    AUTO(clip) struct clip *m = model();
    AUTO(tokenizer) struct tokenizer *t = tokenizer();
    struct prompt_params p = params_of("a {}\nthe big {}\n{}!");
    static char name[N][8];
    const char *names[N];
    static float single[T][N * EMBED], all[N * EMBED], again[N * EMBED];
    for (int i = 0; i < N; i++) {
        snprintf(name[i], sizeof name[i], "c%d", i * i);
        names[i] = name[i];
    }
    assert_true(prompt_features(m, t, &p, names, N, all, NULL));
    for (int k = 0; k < T; k++) {
        struct prompt_params one = params_of(template[k]);
        assert_true(prompt_features(m, t, &one, names, N, single[k], NULL));
    }
    for (int i = 0; i < N; i++) {
        double mean[EMBED], length = 0, apart = 0;
        for (int e = 0; e < EMBED; e++) {
            mean[e] = ((double)single[0][i * EMBED + e] + (double)single[1][i * EMBED + e] +
                       (double)single[2][i * EMBED + e]) /
                      T;
            length += mean[e] * mean[e];
        }
        for (int e = 0; e < EMBED; e++) {
            assert_true(fabs(mean[e] / sqrt(length) - (double)all[i * EMBED + e]) < 1e-6);
            apart = fmax(apart, fabs((double)single[0][i * EMBED + e] - (double)single[1][i * EMBED + e]));
        }
        assert_true(apart > 1e-3); /* the templates are told apart */
    }
    assert_true(prompt_features(m, t, &p, names, N, again, NULL));
    assert_memory_equal(all, again, sizeof all);
}
static void long_texts(void **state)
{
    AUTO(clip) struct clip *m = model();
    AUTO(tokenizer) struct tokenizer *t = tokenizer();
    struct prompt_params p = params_of("a photo of a {}");
    const char *names[] = {"dog", "a name beyond the context"}, *cut[] = {"dog", "a name bey and another"};
    float out[2 * EMBED], same[2 * EMBED];
    struct error err = {0};
    assert_false(prompt_features(m, t, &p, names, 2, out, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, "'a photo of a a name beyond the context' has 40 tokens"));
    p.long_texts = "truncate";
    assert_true(prompt_features(m, t, &p, names, 2, out, &err));
    assert_true(prompt_features(m, t, &p, cut, 2, same, &err));
    assert_memory_equal(out, same, sizeof out);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(counts),
                                       cmocka_unit_test(bad_templates), cmocka_unit_test(ensemble),
                                       cmocka_unit_test(long_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
