/* Rounds: what a round takes from the one before, and the first where there is none; names, keys, labels. */
#include "engine/spec/sweep.h"
#include "tests/unit/spec_folder.h"

static const struct spec_options plain = {.n_set = 0};

static struct spec *read_it(const char *text, const char *want)
{
    folder_write("main.yaml", text);
    return folder_read(&plain, want);
}
static void names_are(const struct spec *s, const char *want)
{
    AUTO(buf) struct buf b = {0};
    for (int i = 0; i < s->n; i++)
        buf_printf(&b, "%s%s", i ? " " : "", s->task[i]->name);
    assert_string_equal(buf_str(&b), want);
}
/* Of a port: "" when it is not connected. */
static void takes(const struct spec *s, const char *task, int port, const char *want)
{
    AUTO(buf) struct buf b = {0};
    const struct task *t = spec_find(s, task);
    assert_non_null(t);
    for (int i = 0; i < t->inputs[port].n; i++)
        buf_printf(&b, "%s%s", i ? " " : "", t->inputs[port].ref[i].task->name);
    assert_string_equal(buf_str(&b), want);
}

/* Two clients that learn on by turns with a mean of what they learnt. */
#define LEARNING                                                                                             \
    "experiment: e\nvars: {clients: [p, q], n: 3}\nstages:\n"                                                \
    "  own: {foreach: '${clients}', uses: source, private: '${item}'}\n"                                     \
    "  local: {foreach: '${clients}', rounds: '${n}', uses: turn,\n"                                         \
    "          in: {data: 'own[${item}]', before: 'local[${item},${previous}]', mean: "                      \
    "'mean[${previous}]'}}\n"                                                                                \
    "  mean: {rounds: '${n}', uses: mean, in: {all: 'local[*,${round}].shared'}}\n"                          \
    "  last: {foreach: '${clients}', uses: list, in: {all: 'local[${item},${n}]'}}\n"

static void recurrence(void **state)
{
    struct spec *s = read_it(LEARNING, "");
    names_are(s, "own[p] own[q] local[p,1] local[q,1] mean[1] local[p,2] local[q,2] mean[2] local[p,3] "
                 "local[q,3] mean[3] last[p] last[q]");
    takes(s, "local[q,1]", 0, "own[q]");
    takes(s, "local[q,1]", 1, "");
    takes(s, "local[q,1]", 2, "");
    takes(s, "local[q,3]", 0, "own[q]");
    takes(s, "local[q,3]", 1, "local[q,2]");
    takes(s, "local[q,3]", 2, "mean[2]");
    takes(s, "mean[2]", 0, "local[p,2] local[q,2]");
    takes(s, "last[p]", 0, "local[p,3]");
    const char *const *label;
    assert_int_equal(task_output_labels(spec_find(s, "local[q,3]"), 1, &label), 1); /* its state stays q's */
    assert_string_equal(label[0], "q");
    assert_int_equal(task_output_labels(spec_find(s, "mean[3]"), 0, &label), 0);
    spec_free(s);
}

static void first(void **state)
{
    struct spec *s =
        read_it("experiment: e\nstages:\n"
                "  a: {uses: source}\n"
                "  s: {rounds: 3, uses: step, in: {data: 's[${previous}]', more: a}, first: "
                "{data: a}, with: {size: '${round}', text: 'r${round}'}}\n"
                "  t: {rounds: 2, uses: step, in: {data: a}, first: {more: 's[3]', data: 's[1]'}}\n"
                "  l: {rounds: 2, uses: list, in: {all: [a, 'l2[${previous}]', 's[1]']}}\n"
                "  l2: {rounds: 2, uses: source}\n",
                "");
    takes(s, "s[1]", 0, "a");
    takes(s, "s[1]", 1, "a");
    takes(s, "s[2]", 0, "s[1]");
    takes(s, "s[3]", 0, "s[2]");
    takes(s, "t[1]", 1, "s[3]");
    takes(s, "t[1]", 0, "s[1]"); /* also of what names no round before */
    takes(s, "t[2]", 0, "a");
    takes(s, "t[2]", 1, "");
    takes(s, "l[1]", 0, "a s[1]");
    takes(s, "l[2]", 0, "a l2[1] s[1]");
    assert_int_equal(folder_params(s, "s[3]")->size, 3);
    assert_string_equal(folder_params(s, "s[2]")->text, "r2");
    spec_free(s);
}

static void coordinates(void **state)
{
    struct spec *s =
        read_it("experiment: e\nstages:\n"
                "  m: {matrix: {a: [x, y], b: [1, 2], exclude: [{a: y, b: 2}]}, rounds: 2, uses: "
                "source, with: {text: '${item.a}${round}'}}\n"
                "  f: {foreach: {u: 4, v: 5}, rounds: 2, uses: source, with: {size: '${item}'}}\n"
                "  o: {rounds: 2, uses: source}\n"
                "  l: {uses: list, in: {all: ['m[*,2,1]', 'm[round=2]', 'm[a=y,round=1]', "
                "'f[round=2]', 'f[item=v]', 'f[v,*]', 'o[*]', 'o[round=2]']}}\n",
                "");
    takes(s, "l", 0,
          "m[x,2,1] m[x,1,2] m[x,2,2] m[y,1,2] m[y,1,1] f[u,2] f[v,2] f[v,1] f[v,2] f[v,1] f[v,2] o[1] o[2] "
          "o[2]");
    assert_string_equal(folder_params(s, "m[y,1,2]")->text, "y2");
    assert_int_equal(folder_params(s, "f[v,1]")->size, 5);
    spec_free(s);
}

static void wrong(void **state)
{
    static const struct {
        const char *stages, *want;
    } row[] = {
        {"  a: {rounds: 0, uses: source}\n  b: {rounds: many, uses: source}\n"
         "  c: {rounds: 10001, uses: source}\n  d: {rounds: 2.5, uses: source}\n",
         "main.yaml:3:15 rounds: takes a whole number from 1 to 10000\n"
         "main.yaml:4:15 rounds: takes a whole number from 1 to 10000\n"
         "main.yaml:5:15 rounds: takes a whole number from 1 to 10000\n"
         "main.yaml:6:15 rounds: takes a whole number from 1 to 10000\n"},
        {"  a: {uses: source}\n  s: {rounds: 2, uses: step, in: {data: 's[${previous}]'}}\n",
         "main.yaml:4:41 stage 'step' needs the input 'data' in the first round, too, where there is no "
         "${previous}: say in first: what it takes\n"},
        {"  a: {uses: source}\n  s: {rounds: 2, uses: step, in: {more: a}, first: {data: a}}\n",
         "main.yaml:4:3 stage 'step' needs the input 'data'\n"},
        {"  a: {uses: source}\n  s: {uses: step, in: {data: a}, first: {data: a}}\n",
         "main.yaml:4:34 first: is for stages with rounds: the inputs of the first round\n"},
        {"  a: {uses: source}\n  s: {rounds: 2, uses: step, in: {data: a}, first: {date: a}}\n"
         "  t: {rounds: 2, uses: step, in: {data: a}, first: a}\n",
         "main.yaml:4:53 stage 'step' has no input 'date'; did you mean 'data'?\n"
         "main.yaml:5:52 first: takes a map from inputs to references\n"},
        {"  a: {rounds: 2, uses: source, with: {text: '${previous}'}}\n",
         "main.yaml:3:45 '${previous}' means nothing in the first round: only inputs may name it\n"},
        {"  a: {uses: source, with: {text: '${round}'}}\n  b: {uses: step, in: {data: 'a[${previous}]'}}\n"
         "  c: {rounds: 2, uses: source, with: {text: '${item}'}}\n",
         "main.yaml:3:34 '${round}' has a meaning only in a stage with rounds\n"
         "main.yaml:4:30 '${previous}' has a meaning only in a stage with rounds\n"
         "main.yaml:5:45 '${item}' has a meaning only in a stage with foreach or matrix\n"},
        {"  a: {rounds: 2, uses: source}\n  b: {uses: step, in: {data: a, more: 'a[3]'}}\n"
         "  c: {uses: step, in: {data: 'a[rond=1]'}}\n",
         "main.yaml:4:30 'a' is a group of tasks: write a[item] or a[*]\n"
         "main.yaml:4:39 'a[3]' matches no task: there is a[1], a[2]\n"
         "main.yaml:5:30 'a' has no axis 'rond': there is round; did you mean 'round'?\n"},
        {"  a: {matrix: {round: [1]}, rounds: 2, uses: source}\n",
         "main.yaml:3:15 with rounds the matrix cannot have an axis 'round' of its own\n"},
        {"  a: {matrix: {x: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}, rounds: 10000, uses: source}\n",
         "main.yaml:3:3 stage 'a' is more than 100000 tasks\n"},
        {"  s: {rounds: 2, uses: step, in: {data: 's[${round}]'}}\n",
         "main.yaml:3:3 tasks need each other in a cycle: s[1] -> s[1]\n"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "experiment: e\nstages:\n%s", row[i].stages);
        assert_null(read_it(buf_str(&text), row[i].want));
    }
}

/* A variable may have the name where there are no rounds. */
static void variable(void **state)
{
    struct spec *s = read_it("experiment: e\nvars: {round: 7}\nstages:\n"
                             "  a: {uses: source, with: {size: '${round}'}}\n"
                             "  b: {rounds: 2, uses: source, with: {size: '${round}'}}\n",
                             "");
    assert_int_equal(folder_params(s, "a")->size, 7);
    assert_int_equal(folder_params(s, "b[2]")->size, 2);
    spec_free(s);
}

/* Another client's state is refused. */
static void labels(void **state)
{
    assert_null(
        read_it("experiment: e\nstages:\n"
                "  own: {foreach: [p, q], uses: source, private: '${item}'}\n"
                "  local: {foreach: [p, q], rounds: 2, uses: turn, in: {data: 'own[${item}]', before: "
                "'local[p,${previous}]'}}\n",
                "main.yaml:4:3 'local[q,2]' would see private data of 'p' and of 'q': own[p] -> "
                "local[p,1] -> local[q,2]; own[q] -> local[q,2] (an exception is named in privacy: "
                "{allow: [...]})\n"));
}

static bool no_digest(void *arg, const struct task *t, int output, struct digest *ret)
{
    const char *name = t->stage->name;
    (void)arg;
    memset(ret, output, sizeof *ret);
    memcpy(ret, name, strlen(name));
    return true;
}
static void key_is(const struct spec *s, const char *task, const char *same)
{
    const struct key_source source = {.output = no_digest};
    struct digest a, b;
    char *ta, *tb;
    struct error err = {0};
    assert_true(task_key(spec_find(s, task), &source, &a, &ta, &err));
    assert_true(task_key(spec_find(s, same), &source, &b, &tb, &err));
    assert_string_equal(ta, tb);
    free(ta);
    free(tb);
}
/* The number of a round is no part of a key: the same inputs, the same work. */
static void keys(void **state)
{
    struct spec *s = read_it(LEARNING, "");
    key_is(s, "local[p,2]", "local[p,3]");
    key_is(s, "mean[1]", "mean[3]");
    spec_free(s);
}

/* All stages of a circle depend on what one of them depends on, whichever comes first in the file. */
static void sweeping(void **state)
{
    static const char *const stages[] = {
        "  mean: {rounds: 2, uses: mean, in: {all: 'local[round=${round}].shared'}}\n",
        "  local: {rounds: 2, uses: turn, in: {data: own, mean: 'mean[${previous}]'}, with: {size: "
        "'${n}'}}\n",
        "  own: {uses: source}\n", "  all: {uses: public, in: {data: 'mean[2]'}}\n"};
    for (int i = 0; i < 24; i++) { /* all orders */
        AUTO(buf) struct buf text = {0};
        int left[] = {0, 1, 2, 3}, n = 4, code = i;
        buf_puts(&text, "experiment: e\nvars: {n: 1}\nsweep: {n: [1, 2]}\nstages:\n");
        for (; n > 0; n--) {
            int at = code % n;
            code /= n;
            buf_puts(&text, stages[left[at]]);
            memmove(&left[at], &left[at + 1], (size_t)(n - at - 1) * sizeof *left);
        }
        folder_write("main.yaml", buf_str(&text));
        struct spec *s = folder_read(&(struct spec_options){.sweep = true}, "");
        takes(s, "local[2]@n=2", 2, "mean[1]@n=2");
        takes(s, "mean[1]@n=2", 0, "local[1]@n=2");
        takes(s, "all@n=1", 0, "mean[2]@n=1");
        assert_non_null(spec_find(s, "own"));
        assert_int_equal(s->n, 1 + 2 * 5);
        spec_free(s);
    }
    folder_write("main.yaml",
                 "experiment: e\nvars: {n: 1}\nsweep: {n: [1, 2]}\nstages:\n"
                 "  own: {uses: source, with: {size: '${n}'}}\n"
                 "  s: {rounds: 2, uses: step, in: {data: 's[${previous}]'}, first: {data: own}}\n");
    struct spec *s = folder_read(&(struct spec_options){.sweep = true}, "");
    takes(s, "s[1]@n=2", 0, "own@n=2");
    takes(s, "s[2]@n=2", 0, "s[1]@n=2");
    spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(recurrence),  cmocka_unit_test(first),
                                       cmocka_unit_test(coordinates), cmocka_unit_test(wrong),
                                       cmocka_unit_test(labels),      cmocka_unit_test(variable),
                                       cmocka_unit_test(keys),        cmocka_unit_test(sweeping)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
