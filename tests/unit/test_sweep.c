/* Sweeps: values, search methods, constraints, what is shared, errors. */
#include "base/cleanup.h"
#include "engine/spec/sweep.h"
#include "tests/unit/spec_folder.h"
#include <math.h>

#define STAGES                                                                                               \
    "stages:\n"                                                                                              \
    "  data: {foreach: [p, q], uses: source, with: {size: '${size}'}}\n"                                     \
    "  a: {uses: step, in: {data: 'data[p]'}, with: {rate: '${deep.rate}'}}\n"                               \
    "  b: {uses: step, in: {data: a}, with: {text: '${word}', size: '${other}'}}\n"                          \
    "  m: {foreach: [x, y], uses: list, in: {all: [b, 'data[*]']}}\n"                                        \
    "  free: {uses: list, in: {all: still}}\n"                                                               \
    "  still: {uses: source}\n"
#define HEAD                                                                                                 \
    "experiment: e\n"                                                                                        \
    "vars: {size: 1, deep: {rate: 0.5, more: 1}, word: 'w${size}', other: 3, maps: [a, b]}\n"

static struct spec *read_sweep(const char *sweep, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text, HEAD "%s" STAGES, sweep);
    folder_write("main.yaml", buf_str(&text));
    return folder_read(&(struct spec_options){.sweep = true}, want);
}

/* "name; name; ..." of all points */
static void expect_points(const char *sweep, const char *want)
{
    struct spec *s = read_sweep(sweep, "");
    AUTO(buf) struct buf b = {0};
    for (int i = 0; i < s->sweep->n; i++)
        buf_printf(&b, "%s%s", i ? "; " : "", s->sweep->point[i].name);
    assert_string_equal(buf_str(&b), want);
    spec_free(s);
}

static void values(void **state)
{
    expect_points("sweep: {size: [3, 1], deep.rate: [0.25, 1]}\n",
                  "size=3,deep.rate=0.25; size=3,deep.rate=1; size=1,deep.rate=0.25; size=1,deep.rate=1");
    expect_points("sweep: {deep.rate: {range: [0, 0.5, 0.1]}}\n",
                  "deep.rate=0; deep.rate=0.1; deep.rate=0.2; deep.rate=0.3; deep.rate=0.4; deep.rate=0.5");
    expect_points("sweep: {size: {range: [9, 4, -2]}}\n", "size=9; size=7; size=5");
    expect_points("sweep: {deep.rate: {range: [1e-3, 0.003, 0.001]}}\n",
                  "deep.rate=0.001; deep.rate=0.002; deep.rate=0.003");
    expect_points("sweep: {size: {logrange: [1, 100, 3]}}\n", "size=1; size=10; size=100");
    expect_points("sweep: {deep.rate: {logrange: [1e-2, 1, 5]}}\n",
                  "deep.rate=0.01; deep.rate=0.0316228; deep.rate=0.1; deep.rate=0.316228; deep.rate=1");
    expect_points("sweep: {'size, deep.rate': [[1, 0.5], [2, 1]], other: [1, 2]}\n",
                  "size=1,deep.rate=0.5,other=1; size=1,deep.rate=0.5,other=2; size=2,deep.rate=1,other=1; "
                  "size=2,deep.rate=1,other=2");
    expect_points("sweep: {size: [1, 2], other: [3, 4]}\nsearch: {method: zip}\n",
                  "size=1,other=3; size=2,other=4");
    expect_points("sweep: {maps: [[a], [a, b]]}\n", "maps=#0; maps=#1");
    expect_points("sweep: {size: ['${other}', 7]}\n", "size=3; size=7");
}

/* Which of the points 1, 2, 3 a condition allows; "": it cannot be understood. */
static void constraints(void **state)
{
    static const struct {
        const char *where, *want; /* NULL: none */
    } row[] = {{"size < 3", "size=1; size=2"},
               {"size + 2 * 3 == 8", "size=2"},
               {"(size + 1) * 2 == 8", "size=3"},
               {"-size - -3 >= 1", "size=1; size=2"},
               {"8 / 4 / size == 1", "size=2"},
               {"size >= 2 and not (size == 3)", "size=2"},
               {"size == 1 or size == 3", "size=1; size=3"},
               {"not size == 2", "size=1; size=3"},
               {"word == 'w1'", "size=1"}, /* a variable that depends on an axis */
               {"word < 'w3' and word != 'w1'", "size=2"},
               {"size == 'a'", NULL},
               {"size != 'a'", "size=1; size=2; size=3"},
               {"deep.rate == 0.5", "size=1; size=2; size=3"},
               {"size == 1 or size == 2 and size == 3", "size=1"},
               {"1 / 0 == 1", ""},
               {"size < 'a'", ""},
               {"", ""},
               {"size <", ""},
               {"(size == 1", ""},
               {"size == 1 1", ""},
               {"'a", ""},
               {"-'a' == 1", ""},
               {"none == 1", ""},
               {"maps == 1", ""}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        AUTO(buf) struct buf got = {0};
        const struct spec_options opt = {.sweep = true, .find = fake_find};
        struct spec *s = NULL;
        struct error *list = NULL;
        int n = 0;
        buf_printf(&text, HEAD "sweep: {size: [1, 2, 3]}\nsearch: {where: [\"%s\"]}\n" STAGES, row[i].where);
        folder_write("main.yaml", buf_str(&text));
        bool ok = spec_read("main.yaml", &opt, &s, &list, &n);
        for (int k = 0; ok && k < s->sweep->n; k++)
            buf_printf(&got, "%s%s", k ? "; " : "", s->sweep->point[k].name);
        const char *want = row[i].want ? row[i].want : "";
        if (strcmp(buf_str(&got), want) != 0)
            fail_msg("'%s': %s, not %s", row[i].where, buf_str(&got), want);
        if (!ok)
            assert_non_null(strstr(list[0].text, row[i].want ? "condition" : "none of the sweep's 3 points"));
        free(list);
        spec_free(s);
    }
}

static double number(const struct spec *s, int point, int axis)
{
    return s->sweep->point[point].number[axis];
}

static void random_search(void **state)
{
    static const char text[] =
        "sweep: {size: {integer: [3, 8]}, deep.rate: {uniform: [0.25, 0.75]}, word: {choice: [x, y]}, "
        "maps: {loguniform: [1, 100]}}\nsearch: {method: random, count: 200, seed: 5, where: size < 8}\n";
    struct spec *s = read_sweep(text, ""), *again = read_sweep(text, "");
    assert_in_range(s->sweep->n, 120, 199); /* those with size 8 are left out */
    bool sizes[9] = {false}, words[2] = {false};
    for (int i = 0; i < s->sweep->n; i++) {
        assert_string_equal(s->sweep->point[i].name, again->sweep->point[i].name);
        assert_in_range((int)number(s, i, 0), 3, 7);
        sizes[(int)number(s, i, 0)] = true;
        assert_true(number(s, i, 1) >= 0.25 && number(s, i, 1) <= 0.75);
        words[s->sweep->point[i].value[2][0] == 'y'] = true;
        assert_true(number(s, i, 3) >= 1 && number(s, i, 3) <= 100);
    }
    for (int i = 3; i < 8; i++)
        assert_true(sizes[i]);
    assert_true(words[0] && words[1]);
    spec_free(again);
    spec_free(s);
}

/* Every axis has one value in each of its strata, whatever the constraints of the others. */
static void latin_hypercube(void **state)
{
    enum { N = 40 };
    struct spec *s =
        read_sweep("sweep: {deep.rate: {uniform: [0, 1]}, maps: {loguniform: [1, 10000]}, size: "
                   "{integer: [20, 59]}, word: [x, y]}\nsearch: {method: lhs, count: 40, seed: 3}\n",
                   "");
    int strata[3][N] = {{0}}, words = 0;
    assert_int_equal(s->sweep->n, N);
    for (int i = 0; i < N; i++) {
        const double u[] = {number(s, i, 0), log(number(s, i, 1)) / log(10000), (number(s, i, 2) - 20) / N};
        for (int k = 0; k < 3; k++) {
            int at = (int)floor(u[k] * N + 1e-9);
            assert_in_range(at, 0, N - 1);
            strata[k][at]++;
        }
        words += s->sweep->point[i].value[3][0] == 'y';
    }
    for (int i = 0; i < 3 * N; i++)
        assert_int_equal(strata[i / N][i % N], 1);
    assert_int_equal(words, N / 2);
    spec_free(s);
}

static void shared(void **state)
{
    struct spec *s = read_sweep("sweep: {size: [1, 2], deep.rate: [0.25, 0.5], other: [3, 4]}\n", "");
    /* data by size 4, a 2x2, b 2x2x2, m twice as many, free and still once */
    assert_int_equal(s->sweep->n, 8);
    assert_int_equal(s->sweep->tasks, 64);
    assert_int_equal(s->n, 34);
    const struct task *b = spec_find(s, "b@size=2,deep.rate=0.25,other=4"), *a = b->inputs[0].ref[0].task;
    assert_string_equal(a->name, "a@size=2,deep.rate=0.25");
    assert_string_equal(a->inputs[0].ref[0].task->name, "data[p]@size=2");
    assert_int_equal(folder_params(s, "data[p]@size=2")->size, 2);
    assert_string_equal(folder_params(s, b->name)->text, "w2"); /* through another variable */
    assert_int_equal(folder_params(s, b->name)->size, 4);
    assert_true(folder_params(s, a->name)->rate == 0.25);
    assert_non_null(spec_find(s, "still"));
    for (int i = 0; i < s->n; i++)
        assert_int_equal(s->task[i]->index, i);
    for (int k = 0; k < s->sweep->n; k++)
        assert_int_equal(s->sweep->cell[k].n, 8);
    spec_free(s);
}

static void objective(void **state)
{
    struct spec *s = read_sweep("sweep: {size: [1, 2]}\nobjective: m.average, max\n", "");
    assert_true(s->sweep->maximise);
    assert_string_equal(s->sweep->metric, "average");
    assert_int_equal(s->sweep->cell[1].n_objective, 2);
    assert_string_equal(s->sweep->cell[1].objective[0]->name, "m[x]@size=2");
    spec_free(s);
    s = read_sweep("sweep: {size: [1, 2]}\nobjective: 'm[y].loss, min'\n", "");
    assert_true(!s->sweep->maximise);
    assert_string_equal(s->sweep->metric, "loss");
    assert_int_equal(s->sweep->cell[0].n_objective, 1);
    spec_free(s);
}

static void rungs(void **state)
{
    struct spec *s = read_sweep("sweep: {other: [1, 2, 3]}\nobjective: m.average, max\n"
                                "search: {halving: {over: size, rungs: [1, 5], keep: 0.25}}\n",
                                "");
    assert_int_equal(s->sweep->n, 3);
    assert_int_equal(s->sweep->n_rungs, 2);
    assert_true(s->sweep->keep == 0.25 && s->sweep->rung[1] == 5 && !s->sweep->wait);
    assert_string_equal(s->sweep->cell[2 * 2 + 1].objective[1]->name, "m[y]@other=3,size=5");
    assert_non_null(spec_find(s, "data[q]@size=5"));
    spec_free(s);
}

static void errors(void **state)
{
    static const struct {
        const char *sweep, *want;
    } row[] = {
        {"sweep: {sise: [1], deep.rat: [1]}\nsearch: {metod: grid}\nobjective: mm.average, max\n",
         "main.yaml:3:9 the experiment has no variable 'sise' to sweep; did you mean 'size'?\n"
         "main.yaml:3:20 the experiment has no variable 'deep.rat' to sweep; did you mean 'rate'?\n"
         "main.yaml:4:10 search has no key 'metod'; did you mean 'method'?\n"
         "main.yaml:5:12 objective: there is no 'mm' in stages:; did you mean 'm'?\n"},
        {"sweep: {size: [], other: 3, word: {rang: [1]}}\nsearch: {method: gird}\n",
         "main.yaml:3:15 a list of values is missing here\n"
         "main.yaml:3:26 a variable of a sweep takes a list, or one of range, logrange, choice, uniform, "
         "loguniform, "
         "integer: {range: [1, 9, 2]}\n"
         "main.yaml:3:36 a sweep has no 'rang'; did you mean 'range'?\n"
         "main.yaml:4:18 method: takes grid, zip, random or lhs; did you mean 'grid'?\n"},
        {"sweep: {size: [1, 2, 1], other: {range: [1, 5, -1]}, deep: [1], deep.rate: [1]}\n",
         "main.yaml:3:22 this value is there twice\n  main.yaml:3:16 first defined here\n"
         "main.yaml:3:41 this range never gets from 1 to 5 in steps of -1\n"
         "main.yaml:3:65 'deep' and 'deep.rate' set the same variable\n  main.yaml:3:54 first defined "
         "here\n"},
        {"sweep: {size: [1, 2], other: [1, 2, 3]}\nsearch: {method: zip}\n",
         "main.yaml:3:23 a zip needs lists of equal length: 'other' has 3 values, 'size' 2\n"},
        {"sweep: {'size, other': [[1, 2], 3, [4]]}\n",
         "main.yaml:3:33 a list of 2 values is missing here, one a variable\n"
         "main.yaml:3:36 a list of 2 values is missing here, one a variable\n"},
        {"sweep: {size: {range: [1, 90, 1]}, other: {range: [1, 90, 1]}, word: [a, b]}\n",
         "main.yaml:3:9 the sweep has 16200 points: at most 10000\n"},
        {"objective: m.average, max\nsearch: {method: grid}\n",
         "main.yaml:1:1 the file has no 'sweep:', which says what to vary\n"
         "main.yaml:3:1 'objective:' belongs to a sweep, and the file has none\n"
         "main.yaml:4:1 'search:' belongs to a sweep, and the file has none\n"},
        {"sweep: {size: [1, 200]}\nobjective: m.average\n",
         "main.yaml:4:12 objective: takes TASK.METRIC, max or min: \"score.average, max\"\n"},
        {"sweep: {size: [1, 200]}\nobjective: a.x, max\n",
         "main.yaml:4:12 objective: 'a' (stage step) makes no metrics\n"},
        {"sweep: {size: [1, 200]}\n",
         "main.yaml:5:54 stage 'source': 'size' must be an integer between 1 and 100, not 200\n"
         "  main.yaml:3:9 at the sweep's point size=200\n"},
        {"sweep: {size: [1, 2]}\nsearch: {halving: {over: other, rungs: [2, 1]}}\n",
         "main.yaml:4:19 halving needs an objective: which trials are to go on?\n"
         "main.yaml:4:44 rungs: takes a list of 2 to 20 rising numbers\n"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        spec_free(read_sweep(row[i].sweep, row[i].want));
}

static void set_fixes(void **state)
{
    const char *const set[] = {"size=7", "other=9"};
    folder_write("main.yaml",
                 HEAD "sweep: {size: [1, 2], word: [a, b], 'other, deep.rate': [[1, 0.5], [2, 1]]}\n" STAGES);
    struct spec *s = folder_read(&(struct spec_options){.sweep = true, .set = set, .n_set = 2}, "");
    assert_int_equal(s->sweep->n, 2);
    assert_string_equal(s->sweep->point[1].name, "word=b");
    assert_int_equal(folder_params(s, "b@word=b")->size, 9);
    assert_int_equal(folder_params(s, "data[p]")->size, 7);
    spec_free(s);
    folder_write("main.yaml", HEAD "sweep: {size: [1, 2]}\n" STAGES);
    folder_read(&(struct spec_options){.sweep = true, .set = set, .n_set = 2},
                "main.yaml:3:8 --set fixes every variable of the sweep\n");
    s = folder_read(&(struct spec_options){.set = set, .n_set = 2},
                    ""); /* of no importance without a sweep */
    assert_int_equal(folder_params(s, "data[p]")->size, 7);
    spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),          cmocka_unit_test(constraints), cmocka_unit_test(random_search),
        cmocka_unit_test(latin_hypercube), cmocka_unit_test(shared),      cmocka_unit_test(objective),
        cmocka_unit_test(rungs),           cmocka_unit_test(errors),      cmocka_unit_test(set_fixes)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
