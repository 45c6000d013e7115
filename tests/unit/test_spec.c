/* The experiment file: values, expansion, references, order, labels, and every kind of error with its place.
 */
#include "base/cleanup.h"
#include "base/rng.h"
#include "tests/test.h"
#include "tests/unit/spec_fake.h"

#define HEAD "experiment: e\nstages:\n"

static struct spec *good_set(const char *text, const char *const *set, int n)
{
    AUTO(buf) struct buf errors = {0};
    struct spec *s = fake_read(text, set, n, &errors);
    if (!s)
        fail_msg("refused:\n%s\n%s", text, buf_str(&errors));
    return s;
}

static struct spec *good(const char *text)
{
    return good_set(text, NULL, 0);
}

/* All of `want`, a list "line:col substring" separated by |, and as many errors. */
static void bad_set(const char *text, const char *want, const char *const *set, int n)
{
    AUTO(buf) struct buf errors = {0};
    struct spec *s = fake_read(text, set, n, &errors);
    if (s)
        fail_msg("accepted:\n%s", text);
    const char *at = buf_str(&errors);
    int lines = 0, wanted = 0;
    for (const char *c = at; *c; c++)
        lines += *c == '\n';
    for (const char *w = want; *w; wanted++) {
        size_t len = strcspn(w, "|"), place = strcspn(w, " ");
        AUTO(buf) struct buf pos = {0}, part = {0};
        buf_printf(&pos, "%.*s ", (int)place, w);
        buf_printf(&part, "%.*s", (int)(len - place - 1), w + place + 1);
        const char *end = strchr(at, '\n'), *found = strstr(at, buf_str(&part));
        if (!end || strncmp(at, buf_str(&pos), pos.len) != 0 || !found || found > end)
            fail_msg("%s\nwanted '%.*s' at '%s', got:\n%s", text, (int)len, w, at, buf_str(&errors));
        at = end + 1;
        w += len + (w[len] == '|');
    }
    if (lines != wanted)
        fail_msg("%s\nwanted %d errors, got:\n%s", text, wanted, buf_str(&errors));
}

static void bad(const char *text, const char *want)
{
    bad_set(text, want, NULL, 0);
}

static void names_are(const struct spec *s, const char *want)
{
    AUTO(buf) struct buf b = {0};
    for (int i = 0; i < s->n; i++) {
        buf_printf(&b, "%s%s", i ? " " : "", s->task[i]->name);
        assert_int_equal(s->task[i]->index, i);
    }
    assert_string_equal(buf_str(&b), want);
}

static void inputs_are(const struct spec *s, const char *task, int port, const char *want)
{
    const struct task *t = spec_find(s, task);
    assert_non_null(t);
    AUTO(buf) struct buf b = {0};
    for (int i = 0; i < t->inputs[port].n; i++) {
        const struct task_ref *r = &t->inputs[port].ref[i];
        buf_printf(&b, "%s%s:%d", i ? " " : "", r->task->name, r->output);
        if (r->output_also >= 0)
            buf_printf(&b, "+%d", r->output_also);
    }
    assert_string_equal(buf_str(&b), want);
}

static const struct fake_params *params(const struct spec *s, const char *task)
{
    const struct task *t = spec_find(s, task);
    assert_non_null(t);
    return t->params;
}

static void values(void **state)
{
    struct spec *s = good("experiment: e\n"
                          "vars: {n: 7, r: 1, b: {c: deep, on: true}, name: '${b.c}-${n}', same: '${n}'}\n"
                          "stages:\n"
                          "  a: {uses: source, with: {size: '${same}', rate: '${r}', flag: '${b.on}', text: "
                          "'x ${name} $${y} $z'}}\n"
                          "  b: {uses: source, with: {text: '${n}', kind: b}}\n"
                          "  c: {uses: source}\n");
    assert_int_equal(params(s, "a")->size, 7);
    assert_true(params(s, "a")->rate == 1);
    assert_true(params(s, "a")->flag);
    assert_string_equal(params(s, "a")->text, "x deep-7 ${y} $z");
    assert_string_equal(params(s, "b")->text, "7");
    assert_string_equal(params(s, "b")->kind, "b");
    assert_int_equal(params(s, "c")->size, 5);
    assert_int_equal(spec_find(s, "a")->param_pos[0].line, 4);
    assert_int_equal(spec_find(s, "c")->param_pos[0].line, 0);
    assert_null(spec_find(s, "d"));
    spec_free(s);
}

static void set(void **state)
{
    static const char text[] = "experiment: e\nvars: {l: [a], n: {x: 1, y: 2}, t: plain}\nstages:\n"
                               "  s: {foreach: '${l}', uses: source, with: {size: '${n.x}', text: '${t}'}}\n";
    const char *const ok[] = {"l=[p, q]", "n.x=9", "t="};
    struct spec *s = good_set(text, ok, 3);
    names_are(s, "s[p] s[q]");
    assert_int_equal(params(s, "s[q]")->size, 9);
    assert_string_equal(params(s, "s[q]")->text, "");
    spec_free(s);
    const char *const wrong[] = {"n.z=1", "tt=1", "novalue", "l=[a"};
    bad_set(text,
            "0:0 --set l=[a: the value is not valid YAML|0:0 no variable 'n.z'; did you mean|"
            "0:0 write --set name=value|0:0 no variable 'tt'; did you mean 't'?",
            wrong, 4);
    const char *const type[] = {"n.x=many"};
    bad_set(text, "4:51 'size' must be an integer between 1 and 100, not \"many\"", type, 1);
}

static void expansion(void **state)
{
    struct spec *s =
        good(HEAD "  f: {foreach: [x, 2], uses: source, with: {text: '${item}-${key}'}}\n"
                  "  m: {foreach: {p: 1, q: 2}, uses: source, with: {size: '${item}', text: '${key}'}}\n"
                  "  l: {foreach: [{name: u, n: 3}, {n: 4}], uses: source, with: {size: '${item.n}'}}\n"
                  "  x: {matrix: {a: [1, 2], b: [p, q]}, uses: source, with: {size: '${item.a}', text: "
                  "'${item.b}'}}\n");
    names_are(s, "f[x] f[2] m[p] m[q] l[u] l[1] x[1,p] x[1,q] x[2,p] x[2,q]");
    assert_string_equal(params(s, "f[2]")->text, "2-2");
    assert_int_equal(params(s, "m[q]")->size, 2);
    assert_string_equal(params(s, "m[q]")->text, "q");
    assert_int_equal(params(s, "l[1]")->size, 4);
    assert_int_equal(params(s, "x[2,p]")->size, 2);
    assert_string_equal(params(s, "x[2,p]")->text, "p");
    spec_free(s);
    bad(HEAD "  a: {foreach: [], uses: source}\n  b: {foreach: [x, x], uses: source}\n  c: {foreach: 3, "
             "uses: source}\n"
             "  d: {foreach: ['p,q'], uses: source}\n  e: {foreach: [x], matrix: {a: [1]}, uses: source}\n"
             "  f: {matrix: [1], uses: source}\n  g: {matrix: {a: 1}, uses: source}\n  h: {uses: source, "
             "with: {text: '${item}'}}\n",
        "3:16 foreach is empty|4:20 'x' is there twice|5:16 foreach takes a list|6:17 'p,q' cannot name a "
        "task|"
        "7:29 both foreach and matrix|8:15 matrix takes a map|9:19 a matrix axis takes|10:34 only in a stage "
        "with foreach");
}

static void exclusion(void **state)
{
    struct spec *s =
        good("experiment: e\nvars: {w: [1, 2], skip: [{a: '${w}', b: p}]}\nstages:\n"
             "  x: {matrix: {a: [1, 2, 3], exclude: [{a: 1, b: q}, {a: 3}], b: [p, q]}, uses: source, "
             "with: {size: '${item.a}'}}\n"
             "  y: {matrix: {a: [{name: u, n: 3}, {n: 4}], b: [p], exclude: [{a: u}]}, uses: source, "
             "with: {size: '${item.a.n}'}}\n"
             "  z: {matrix: {a: '${w}', b: {p: 1, q: 2}, exclude: []}, uses: source}\n"
             "  t: {matrix: {a: [1, 2], b: [p, q], exclude: [{a: 1}, {a: 1, b: p}]}, uses: source}\n"
             "  l: {uses: list, in: {all: ['x[*,p]', 'x[*]']}}\n");
    inputs_are(s, "l", 0, "x[1,p]:0 x[2,p]:0 x[1,p]:0 x[2,p]:0 x[2,q]:0");
    names_are(s, "x[1,p] x[2,p] x[2,q] y[1,p] z[1,p] z[1,q] z[2,p] z[2,q] t[2,p] t[2,q] l");
    assert_int_equal(params(s, "x[2,q]")->size, 2);
    assert_int_equal(params(s, "y[1,p]")->size, 4);
    spec_free(s);
    bad("experiment: e\nvars: {w: [1, 2]}\nstages:\n"
        "  a: {matrix: {long: [1, 2], b: [p, q], exclude: [{lonk: 1}, {b: r}, {b: [p]}, 3, {}]}, uses: "
        "source}\n"
        "  b: {matrix: {a: [1, 2], exclude: {a: 1}}, uses: source}\n"
        "  c: {matrix: {a: [1, 2], exclude: [{a: 1}, {a: 2}]}, uses: source}\n"
        "  d: {matrix: {exclude: [{a: 1}]}, uses: source}\n"
        "  e: {matrix: {a: [alpha], exclude: [{a: alpho}]}, uses: source}\n"
        "  f: {uses: step, in: {data: 'g[1]'}}\n  g: {matrix: {a: [1, 2], exclude: [{a: 1}]}, uses: "
        "source}\n",
        "4:52 exclude names no axis of the matrix: 'lonk'; did you mean 'long'?|"
        "4:66 exclude matches nothing: axis 'b' has no 'r'|4:74 takes one value of axis 'b', not a list|"
        "4:80 exclude: takes a list of maps|4:83 exclude: takes a list of maps|5:36 exclude: takes a list of "
        "maps|"
        "6:36 exclude leaves nothing of the matrix|7:15 matrix takes a map of lists|"
        "8:42 exclude matches nothing: axis 'a' has no 'alpho'; did you mean 'alpha'?|9:30 'g[1]' matches no "
        "task: there is g[2]");
}

static void references(void **state)
{
    struct spec *s = good(HEAD "  d: {matrix: {a: [0, 1], b: [p, q]}, uses: source}\n"
                               "  all: {uses: list, in: {all: 'd[*]'}}\n"
                               "  row: {uses: list, in: {all: 'd[0,*]'}}\n"
                               "  col: {uses: list, in: {all: ['d[*,q]', 'd[0,p]']}}\n"
                               "  t: {foreach: [p, q], uses: train, in: {data: 'd[1,${item}]'}}\n"
                               "  j: {uses: join, in: {experts: 't[*]'}}\n"
                               "  k: {uses: join, in: {experts: 't[p].adapter'}}\n"
                               "  w: {uses: twice}\n"
                               "  v: {uses: step, in: {data: w.right, more: 'd[0,p].images'}}\n");
    inputs_are(s, "all", 0, "d[0,p]:0 d[0,q]:0 d[1,p]:0 d[1,q]:0");
    inputs_are(s, "row", 0, "d[0,p]:0 d[0,q]:0");
    inputs_are(s, "col", 0, "d[0,q]:0 d[1,q]:0 d[0,p]:0");
    inputs_are(s, "t[q]", 0, "d[1,q]:0");
    inputs_are(s, "j", 0, "t[p]:0+1 t[q]:0+1");
    inputs_are(s, "k", 0, "t[p]:0+1");
    inputs_are(s, "v", 0, "w:1");
    inputs_are(s, "v", 1, "d[0,p]:0");
    spec_free(s);
}

static void wrong_references(void **state)
{
    static const char sources[] =
        HEAD "  a: {uses: source}\n  g: {foreach: [p, q], uses: source}\n  w: {uses: twice}\n";
    static const struct {
        const char *line, *want;
    } row[] = {
        {"  x: {uses: step, in: {data: b}}\n", "6:30 there is no 'b' in stages:; did you mean 'a'?"},
        {"  x: {uses: step, in: {data: g}}\n", "6:30 'g' is a group of tasks"},
        {"  x: {uses: step, in: {data: 'g[z]'}}\n", "6:30 'g[z]' matches no task: there is g[p], g[q]"},
        {"  x: {uses: step, in: {data: 'g[p,q]'}}\n", "6:30 matches no task"},
        {"  x: {uses: step, in: {data: 'a[p]'}}\n", "6:30 'a' is one task, not a group"},
        {"  x: {uses: step, in: {data: 'g[*]'}}\n", "6:30 takes one artifact, not 2"},
        {"  x: {uses: step, in: {data: 'g[p'}}\n", "6:30 a reference looks like"},
        {"  x: {uses: step, in: {data: {u: v}}}\n", "6:30 a reference looks like"},
        {"  x: {uses: list, in: {all: []}}\n", "6:24 connected to nothing"},
        {"  x: {uses: step, in: {date: a}}\n",
         "6:3 needs the input 'data'|6:24 no input 'date'; did you mean 'data'?"},
        {"  x: {uses: step}\n", "6:3 stage 'step' needs the input 'data'"},
        {"  x: {uses: step, in: [a]}\n", "6:23 in: takes a map"},
        {"  x: {uses: step, in: {data: w}}\n", "6:30 several outputs of type images: name one as w.OUTPUT"},
        {"  x: {uses: step, in: {data: w.lefd}}\n", "6:30 no output 'lefd'; did you mean 'left'?"},
        {"  x: {uses: join, in: {experts: a}}\n",
         "6:33 'a' (stage source) makes no adapter, which input 'experts' of stage join"},
        {"  x: {uses: train, in: {data: a}}\n  y: {uses: step, in: {data: x.router}}\n",
         "7:30 output 'router' of 'x' (stage train) is router, but input 'data' of stage step takes images"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "%s%s", sources, row[i].line);
        bad(buf_str(&text), row[i].want);
    }
}

static void order(void **state)
{
    struct spec *s =
        good(HEAD "  z: {uses: list, in: {all: [b, c]}}\n  c: {uses: step, in: {data: a}}\n"
                  "  b: {uses: step, in: {data: a}}\n  a: {uses: source}\n  y: {uses: source}\n");
    names_are(s, "a b c z y");
    spec_free(s);
    bad(HEAD "  a: {uses: step, in: {data: c}}\n  b: {uses: step, in: {data: a}}\n  c: {uses: step, in: "
             "{data: b}}\n",
        "3:3 cycle: a -> b -> c -> a");
    bad(HEAD "  a: {uses: step, in: {data: a}}\n", "3:3 cycle: a -> a");
    AUTO(buf) struct buf chain = {0}; /* long, and written backwards */
    buf_puts(&chain, HEAD);
    for (int i = 5000; i > 0; i--)
        buf_printf(&chain, "  s%d: {uses: step, in: {data: s%d}}\n", i, i - 1);
    buf_puts(&chain, "  s0: {uses: source}\n");
    s = good(buf_str(&chain));
    assert_int_equal(s->n, 5001);
    assert_string_equal(s->task[5000]->name, "s5000");
    spec_free(s);
}

static void wrong_params(void **state)
{
    bad(HEAD
        "  a: {uses: source, with: {sise: 3, rate: '0.1', flag: yes, kind: c, size: 1.0, path: "
        "/nonexistent/x}}\n"
        "  b: {uses: need}\n  c: {uses: source, with: {size: 13}}\n  d: {uses: source, with: 3}\n"
        "  e: {uses: sauce}\n  f: {with: {}}\n  g: 3\n  h: {uses: source, wiht: {}}\n  i j: {uses: source}\n",
        "3:28 no parameter 'sise'; did you mean 'size'?|3:43 'rate' must be a number between 0 and 1, not "
        "\"0.1\"|"
        "3:56 'flag' must be true or false, not \"yes\"|3:67 'kind' must be one of a, b|3:76 'size' must be "
        "an integer|"
        "3:87 cannot find '/nonexistent/x'|4:3 needs the parameter 'size': how many|5:27 13 brings bad luck|"
        "6:27 with: takes a map|7:13 there is no stage 'sauce'|8:3 stage 'f' needs 'uses: STAGE'|9:6 a stage "
        "must be a map|"
        "10:21 a stage has no key 'wiht'; did you mean 'with'?|11:3 a stage's name has letters");
}

static void resources(void **state)
{
    struct spec *s =
        good(HEAD "  a: {uses: source, resources: {cores: 4, memory: 6GiB}}\n"
                  "  b: {uses: source, resources: {cores: 2..8, memory: 1.5MB}}\n"
                  "  c: {uses: source, resources: {cores: '4..'}, tags: [x], description: words}\n");
    const struct task *a = spec_find(s, "a"), *b = spec_find(s, "b"), *c = spec_find(s, "c");
    assert_true(a->cores_min == 4 && a->cores_max == 4 && a->memory == (int64_t)6 << 30);
    assert_true(b->cores_min == 2 && b->cores_max == 8 && b->memory == 1500000);
    assert_true(c->cores_min == 4 && c->cores_max == 0 && c->memory == 0);
    spec_free(s);
    bad(HEAD "  a: {uses: source, resources: {cores: 0, memory: much, timeouts: 4h}}\n"
             "  b: {uses: source, resources: {cores: 8..2}}\n  c: {uses: source, resources: 4}\n"
             "  d: {uses: source, resources: {cores: 2x}, tags: x}\n",
        "3:40 cores must be|3:51 memory must be|3:57 unknown resource 'timeouts'|4:40 cores must be|5:32 "
        "takes a map|"
        "6:40 cores must be|6:51 tags: takes a list");
}

static void labels(void **state)
{
    static const char two[] = "  d: {foreach: [p, q], uses: source, private: '${item}'}\n";
    AUTO(buf) struct buf text = {0};
    buf_printf(&text,
               HEAD "%s  s: {uses: step, in: {data: 'd[p]'}}\n  t: {foreach: [p, q], uses: train, in: {data: "
                    "'d[${item}]'}}\n"
                    "  j: {uses: join, in: {experts: 't[*]'}}\n",
               two);
    struct spec *s = good(buf_str(&text));
    assert_int_equal(spec_find(s, "s")->n_labels, 1);
    assert_string_equal(spec_find(s, "s")->labels[0], "p");
    assert_int_equal(spec_find(s, "t[q]")->n_labels, 1);
    assert_int_equal(spec_find(s, "j")->n_labels, 0);
    spec_free(s);

    buf_clear(&text);
    buf_printf(&text, HEAD "%s  l: {uses: list, in: {all: 'd[*]'}}\n", two);
    bad(buf_str(&text), "4:3 'l' would see private data of 'p' and of 'q': d[p] -> l; d[q] -> l");
    buf_puts(&text, "privacy: {allow: [l]}\n");
    spec_free(good(buf_str(&text)));
    buf_puts(&text, "vars: {}\n");
    spec_free(good(buf_str(&text)));

    buf_clear(&text);
    buf_printf(&text, HEAD "%s  s: {uses: step, in: {data: 'd[p]'}}\n  x: {uses: public, in: {data: s}}\n",
               two);
    bad(buf_str(&text), "5:3 private data of 'p' must not reach input 'data' of 'x': d[p] -> s -> x");
    bad(HEAD "  a: {uses: source, private: [x]}\n", "3:30 private: takes the name");
    bad("experiment: e\nprivacy: {allow: [b]}\nstages:\n  a: {uses: source}\n",
        "2:19 there is no stage 'b' to allow");
}

static void outline(void **state)
{
    bad("[1]", "1:1 an experiment must be a map");
    bad("experiment: e\n", "1:1 the file has no stages");
    bad("experiment: e\nstages: {}\n", "2:9 the file has no stages");
    bad("experiment: [x]\nstage: {}\nstages: {a: {uses: source}}\n",
        "1:13 takes a name of letters|2:1 no key 'stage'; did you mean 'stages'?");
    bad("stages: {a: {uses: source}}\n", "1:1 no 'experiment: NAME'");
    bad("experiment: e\nvars: [1]\nstages: {a: {uses: source}}\n", "2:7 vars: takes a map");
    bad("experiment: e\nvars: {a: 1, a: 2}\n", "2:14 duplicate key 'a'");
}

static void variables(void **state)
{
    static const char tail[] = "stages: {a: {uses: source, with: {text: '${a}'}}}\n";
    static const struct {
        const char *vars, *want;
    } row[] = {
        {"{a: '${b}', b: '${a}'}", "2:11 in a circle: b -> a -> b|2:22 in a circle: a -> b -> a"},
        {"{a: 'x${a}'}", "2:11 in a circle: a -> a"},
        {"{a: '${bb}', b: 1}", "2:11 unknown variable '${bb}'; did you mean 'b'?"},
        {"{a: '${b.y}', b: {x: 1}}", "2:11 unknown variable '${b.y}'; did you mean 'x'?"},
        {"{a: 'x ${b}', b: [1]}", "2:11 '${b}' is a list: it cannot stand inside text"},
        {"{a: '${b'}", "2:11 '${' without '}'"},
        {"{a: 1, unused: '${nix}'}", "2:22 unknown variable '${nix}'"},
        {"{a: '${item}'}", "2:11 only in a stage with foreach"},
        {"{a: 1, b.c: 2}", "2:14 must not hold a '.'"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "experiment: e\nvars: %s\n%s", row[i].vars, tail);
        bad(buf_str(&text), row[i].want);
    }
}

static void doubling(const char *first, const char *format, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text, "experiment: e\nvars:\n  v0: %s\n", first);
    for (int i = 1; i < 40; i++) {
        buf_printf(&text, "  v%d: ", i);
        for (const char *c = format; *c; c++)
            *c == '@' ? buf_printf(&text, "${v%d}", i - 1) : buf_putc(&text, *c);
        buf_putc(&text, '\n');
    }
    buf_puts(&text, "stages: {a: {uses: source}}\n");
    AUTO(buf) struct buf errors = {0};
    assert_null(fake_read(buf_str(&text), NULL, 0, &errors));
    if (!strstr(buf_str(&errors), want))
        fail_msg("wanted '%s', got %.500s", want, buf_str(&errors));
}

static void bombs(void **state)
{
    doubling("xxxxxxxx", "@@@@@@@@", "grows beyond");
    doubling("[x, x, x, x]", "['@', '@', '@', '@', '@', '@', '@', '@']", "the variables grow beyond");
    AUTO(buf) struct buf axes = {0};
    buf_puts(&axes, HEAD "  m:\n    uses: source\n    matrix:\n");
    for (int i = 0; i < 10; i++)
        buf_printf(&axes, "      a%d: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n", i);
    bad(buf_str(&axes), "6:7 a matrix of more than 100000 tasks");
}

/* An experiment with damaged bytes is read or refused with a message, never worse. */
static void damaged(void **state)
{
    static const char text[] =
        "experiment: e\nvars: {c: [p, q], n: '${m}', m: 3}\nprivacy: {allow: [l]}\n"
        "defaults: {source: {with: {rate: 0.25}, resources: {timeout: 1h30m, retries: 2}}}\n"
        "reference: [{name: r, source: s, rows: {u: {p: 1.5, q: 2}}}]\nstages:\n"
        "  d: {foreach: '${c}', uses: source, with: {size: '${n}', text: 'x${key}'}, private: '${item}'}\n"
        "  x: {matrix: {a: '${c}', b: [1, 2], exclude: [{a: p, b: 2}]}, uses: step, in: {data: "
        "'d[${item.a}]'}, resources: {cores: "
        "2..3}}\n"
        "  l: {uses: list, in: {all: ['d[*]', 'x[p,*]', 'x[b=1,a=*]']}}\n"
        "  t: {uses: train, in: {data: 'x[q,1].images'}}\n  j: {uses: join, in: {experts: t}}\n";
    AUTO(buf) struct buf errors = {0};
    struct spec *s = fake_read(text, NULL, 0, &errors);
    assert_non_null(s);
    spec_free(s);
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct rng r = rng_at(rng_stream(seed, "spec"), 0, 0);
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        static const char with[] = "[]{}*&:,.$'\" \n#a1-<";
        for (uint32_t k = 0, n = 1 + (uint32_t)rng_below(&r, 3); k < n; k++)
            copy[rng_below(&r, sizeof text - 1)] = with[rng_below(&r, sizeof with - 1)];
        s = fake_read(copy, NULL, 0, &errors);
        assert_true(s || errors.len);
        spec_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),    cmocka_unit_test(set),          cmocka_unit_test(expansion),
        cmocka_unit_test(exclusion), cmocka_unit_test(references),   cmocka_unit_test(wrong_references),
        cmocka_unit_test(order),     cmocka_unit_test(wrong_params), cmocka_unit_test(resources),
        cmocka_unit_test(labels),    cmocka_unit_test(outline),      cmocka_unit_test(variables),
        cmocka_unit_test(bombs),     cmocka_unit_test(damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
