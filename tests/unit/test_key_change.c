/* Whatever may change a result changes the key, of the task and of all that use what it makes, and of no
 * other: every parameter of every stage by its row, imported bytes, inputs, their order, the stage's version.
 */
#include "tests/unit/key_flow.h"
#include <math.h>

/* One task a stage, called like it; all else follows from the rows. */
static const struct {
    const char *stage, *in, *with;
} wiring[] = {
    {"synthetic", "", "domain: public"},
    {"images", "", "path: ."},
    {"model", "", "path: ."},
    {"pretrain", "public: synthetic", ""},
    {"embedding", "model: model, data: images", ""},
    {"classifier", "model: model, public: embedding, private: synthetic", ""},
    {"dpp", "features: embedding, relevance: classifier", ""},
    {"expert", "model: pretrain, private: images, public: synthetic, proxy: dpp", ""},
    {"merge", "model: pretrain, experts: [expert, second]", ""},
    {"router", "model: merge, public: synthetic, proxies: [dpp, other]", ""},
    {"evaluate", "model: router, data: images", ""},
    {"compare", "predictions: [evaluate, score]", "against: model"},
    {"ensemble", "model: pretrain, experts: [expert, second], data: images", ""},
    {"average", "adapters: [expert, second]", ""},
    {"comigs", "model: pretrain, private: images", ""},
    {"table", "scores: [evaluate, score]", ""},
    {"routing", "scores: [evaluate, score]", ""},
    {"diagnose", "features: embedding, relevance: classifier, selection: dpp", ""},
    {"map", "features: embedding, relevance: classifier, selections: [dpp, other]", ""},
    {"contact", "selection: dpp, data: synthetic", ""},
    {"pseudolabel", "model: pretrain, data: synthetic, selection: dpp, classes: images", ""},
};
/* Rows that their stage takes only beside another parameter. */
static const struct {
    const char *stage, *row, *with;
} beside[] = {
    {"merge", "average", "method: soup"},        {"merge", "scaling", "method: task"},
    {"merge", "density", "method: ties"},        {"merge", "trim", "method: ties"},
    {"merge", "drop", "method: dare"},           {"ensemble", "temperature", "weights: posterior"},
    {"ensemble", "top_k", "weights: posterior"},
};
#define STAGES (sizeof wiring / sizeof *wiring)
/* Second tasks for the ports that take many. */
static const char more[] =
    "  second: { uses: expert, in: { model: pretrain, private: images }, with: { seed: 77 } }\n"
    "  other: { uses: dpp, in: { features: embedding, relevance: classifier }, with: { seed: 77 } }\n"
    "  score: { uses: evaluate, in: { model: pretrain, data: images } }\n";

static const char *beside_row(const char *stage, const char *row)
{
    for (size_t i = 0; row && i < sizeof beside / sizeof *beside; i++)
        if (strcmp(beside[i].stage, stage) == 0 && strcmp(beside[i].row, row) == 0)
            return beside[i].with;
    return NULL;
}

/* main.yaml, the task of `stage` with one parameter more, or another value of one; value NULL: only with what
 * the parameter wants beside it. */
static void write_text(const char *stage, const char *name, const char *value)
{
    AUTO(buf) struct buf b = {0};
    buf_puts(&b, "experiment: e\nstages:\n");
    for (size_t i = 0; i < STAGES; i++) {
        bool it = stage && strcmp(stage, wiring[i].stage) == 0;
        AUTO(mem) char *own = xprintf("%s:", it ? name : " ");
        bool again = it && strncmp(wiring[i].with, own, strlen(own)) == 0;
        const char *with = it ? beside_row(stage, name) : NULL;
        with = again ? "" : with ? with : wiring[i].with;
        buf_printf(&b, "  %s: { uses: %s, in: { %s }, with: { %s", wiring[i].stage, wiring[i].stage,
                   wiring[i].in, with);
        if (it && value)
            buf_printf(&b, "%s%s: %s", *with ? ", " : "", name, value);
        buf_puts(&b, " } }\n");
    }
    buf_puts(&b, more);
    folder_write("main.yaml", buf_str(&b));
}

/* Read main.yaml with keys; *f to be given back with done(). False where the file is refused. */
static bool read_keys(struct flow *f, const struct spec_options *opt)
{
    struct error *list = NULL;
    int n;
    struct spec *s;
    bool ok = spec_read("main.yaml", opt, &s, &list, &n);
    free(list);
    f->spec = s;
    if (ok)
        flow_keys(f);
    return ok;
}

static void done(struct flow *f)
{
    free(f->key);
    spec_free((struct spec *)f->spec);
}

/* By task: does it use what changed? All tasks of `stage` did, or `task`, or one output of f->touched. */
static bool *reached(const struct flow *f, const char *stage, const char *task)
{
    bool *hit = xcalloc((size_t)f->spec->n, sizeof *hit);
    for (int i = 0; i < f->spec->n; i++) { /* in topological order */
        const struct task *t = f->spec->task[i];
        hit[i] = (stage && strcmp(t->stage->name, stage) == 0) || (task && strcmp(t->name, task) == 0);
        for (int p = 0; p < stage_port_count(t->stage->inputs); p++)
            for (int k = 0; k < t->inputs[p].n; k++) {
                const struct task_ref *r = &t->inputs[p].ref[k];
                bool direct = r->task == f->touched &&
                              (r->output == f->touched_output || r->output_also == f->touched_output);
                hit[i] = hit[i] || direct || hit[r->task->index];
            }
    }
    return hit;
}

/* The keys of b differ from those of a for the tasks of `hit`, and for them alone. */
static void differ(const struct flow *a, const struct flow *b, const bool *hit, const char *what)
{
    assert_int_equal(a->spec->n, b->spec->n);
    for (int i = 0; i < a->spec->n; i++) {
        const struct task *t = spec_find(b->spec, a->spec->task[i]->name);
        assert_non_null(t);
        if (digest_equal(&a->key[i], &b->key[t->index]) == hit[i])
            fail_msg("%s: the key of '%s' is%s the same", what, t->name, hit[i] ? "" : " not");
    }
}

/* ---- parameters ---- */

/* Candidate i for another value of a row, as YAML; false when there is none. */
static bool candidate(const struct param *row, int i, struct buf *out)
{
    buf_clear(out);
    double x = row->def ? strtod(row->def, NULL) : 0, lo = row->min, hi = row->max;
    const double number[] = {x + 1, x - 1, x * 2, x / 2, lo, hi, lo + (hi - lo) / 2, nextafter(x, hi)};
    if (row->type == PARAM_BOOL) {
        buf_puts(out, row->def && strcmp(row->def, "true") == 0 ? "false" : "true");
        return i == 0;
    }
    if (row->type != PARAM_STRING) {
        if (i >= 8 - (row->type == PARAM_INT))
            return false;
        if (row->type == PARAM_INT)
            buf_printf(out, "%lld", (long long)number[i]);
        else
            buf_printf(out, "%.17g", number[i]);
        return true;
    }
    if (!row->choices) {
        buf_puts(out, "'another {}'");
        return i == 0;
    }
    const char *c = row->choices;
    for (; i > 0 && c; i--)
        c = (c = strchr(c, '|')) ? c + 1 : NULL;
    if (c)
        buf_printf(out, "'%.*s'", (int)strcspn(c, "|"), c);
    return c;
}

static bool same_value(const struct param *row, const void *a, const void *b)
{
    const char *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
    switch (row->type) {
    case PARAM_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case PARAM_INT:
        return *(const int64_t *)x == *(const int64_t *)y;
    case PARAM_REAL:
        return *(const double *)x == *(const double *)y;
    case PARAM_STRING:
        return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
    }
    return false;
}

/* How many other values of a row the stage takes; each has keys of its own, or the old ones if it is a
 * runtime row. */
static int try_values(const struct flow *base, const struct stage *s, const struct param *row,
                      const struct spec_options *opt)
{
    AUTO(buf) struct buf value = {0};
    struct flow own = {0};
    if (beside_row(s->name, row->name)) {
        write_text(s->name, row->name, NULL);
        assert_true(read_keys(&own, opt));
        base = &own;
    }
    AUTO(mem) bool *hit = reached(base, NULL, s->name), *none = xcalloc((size_t)base->spec->n, sizeof *none);
    struct digest seen[16];
    const struct task *t = spec_find(base->spec, s->name);
    int n = 0;
    seen[n++] = base->key[t->index];
    for (int i = 0; n < 16 && candidate(row, i, &value); i++) {
        struct flow f = {0};
        AUTO(mem) char *what = xprintf("stage '%s', %s: %s", s->name, row->name, buf_str(&value));
        write_text(s->name, row->name, buf_str(&value));
        if (!read_keys(&f, opt))
            continue; /* out of range, or refused by the stage's own check */
        const struct task *changed = spec_find(f.spec, s->name);
        bool same = same_value(row, t->params, changed->params);
        differ(base, &f, same || (row->flags & PARAM_RUNTIME) ? none : hit, what);
        for (int k = 1; !(row->flags & PARAM_RUNTIME) && !same && k < n; k++)
            if (digest_equal(&seen[k], &f.key[changed->index]) && row->type != PARAM_INT &&
                row->type != PARAM_REAL)
                fail_msg("%s: two values have one key", what);
        if (!same)
            seen[n++] = f.key[changed->index];
        done(&f);
    }
    done(&own);
    return n - 1;
}

static void parameters(void **state)
{
    struct flow base = {0};
    int rows = 0;
    write_text(NULL, NULL, NULL);
    assert_true(read_keys(&base, NULL));
    for (const struct stage *const *s = stage_registry; *s; s++) {
        if (stage_port_count((*s)->outputs) == 0)
            continue; /* what it makes is declared where it is used: the row says nothing */
        if (!spec_find(base.spec, (*s)->name))
            fail_msg("stage '%s' is missing in this test's wiring", (*s)->name);
        for (const struct param *row = (*s)->params; row && row->name; row++)
            if (!(row->flags & PARAM_IMPORT) && !(row->choices && !strchr(row->choices, '|'))) {
                if (try_values(&base, *s, row, NULL) == 0)
                    fail_msg("stage '%s': no other value of '%s' was found", (*s)->name, row->name);
                rows++;
            }
    }
    assert_true(rows > 60);
    done(&base);
}

/* ---- rows that a test changes ---- */

static struct stage changed_stage;
static struct param changed_params[64];

static const struct stage *find_changed(const char *name)
{
    return changed_stage.name && strcmp(name, changed_stage.name) == 0 ? &changed_stage : stage_find(name);
}

/* No stage has a runtime parameter so far: make each one such for a moment. */
static void runtime(void **state)
{
    const struct spec_options opt = {.find = find_changed};
    for (const struct stage *const *s = stage_registry; *s; s++)
        for (int i = 0; stage_port_count((*s)->outputs) && (*s)->params && (*s)->params[i].name; i++) {
            const struct param *row = &(*s)->params[i];
            if ((row->flags & PARAM_IMPORT) || (row->choices && !strchr(row->choices, '|')))
                continue;
            size_t n = 0;
            for (; (*s)->params[n].name; n++)
                changed_params[n] = (*s)->params[n];
            changed_params[n] = (struct param){0};
            changed_params[i].flags |= PARAM_RUNTIME;
            changed_stage = **s;
            changed_stage.params = changed_params;
            struct flow base = {0};
            write_text(NULL, NULL, NULL);
            assert_true(read_keys(&base, &opt));
            assert_true(try_values(&base, &changed_stage, &changed_params[i], &opt) > 0);
            done(&base);
        }
    changed_stage.name = NULL;
}

static void version(void **state)
{
    struct flow base = {0};
    write_text(NULL, NULL, NULL);
    assert_true(read_keys(&base, NULL));
    for (size_t i = 0; i < STAGES; i++) {
        struct flow f = {0};
        changed_stage = *stage_find(wiring[i].stage);
        changed_stage.version++;
        assert_true(read_keys(&f, &(struct spec_options){.find = find_changed}));
        AUTO(mem) bool *hit = reached(&base, wiring[i].stage, NULL);
        differ(&base, &f, hit, wiring[i].stage);
        done(&f);
    }
    changed_stage.name = NULL;
    done(&base);
}

/* ---- bytes ---- */

static void imports(void **state)
{
    struct flow base = {0}, f = {.content = "contenu"};
    write_text(NULL, NULL, NULL);
    assert_true(read_keys(&base, NULL) && read_keys(&f, NULL));
    AUTO(mem) bool *images = reached(&base, "images", NULL), *model = reached(&base, "model", NULL);
    for (int i = 0; i < base.spec->n; i++)
        images[i] = images[i] || model[i];
    differ(&base, &f, images, "another content of what is imported");
    done(&base);
    done(&f);
}

static void inputs(void **state)
{
    struct flow base = {0};
    int edges = 0;
    write_text(NULL, NULL, NULL);
    assert_true(read_keys(&base, NULL));
    for (int i = 0; i < base.spec->n; i++)
        for (int p = 0; p < stage_port_count(base.spec->task[i]->stage->outputs); p++, edges++) {
            struct flow f = {.spec = base.spec, .touched = base.spec->task[i], .touched_output = p};
            flow_keys(&f);
            AUTO(mem) bool *hit = reached(&f, NULL, NULL);
            differ(&base, &f, hit, base.spec->task[i]->name);
            free(f.key);
        }
    assert_true(edges > 12);
    done(&base);
}

/* The order of what a port takes many of. */
static void order(void **state)
{
    static const char *const pair[][2] = {{"experts: [expert, second]", "experts: [second, expert]"},
                                          {"proxies: [dpp, other]", "proxies: [other, dpp]"},
                                          {"scores: [evaluate, score]", "scores: [score, evaluate]"}};
    static const char *const user[] = {"merge", "router", "table"};
    for (int i = 0; i < 3; i++) {
        struct flow base = {0}, f = {0};
        AUTO(mem) char *text = NULL;
        struct error err = {0};
        write_text(NULL, NULL, NULL);
        assert_true(read_keys(&base, NULL) && fs_read_file("main.yaml", &text, NULL, &err));
        char *at = strstr(text, pair[i][0]);
        assert_non_null(at);
        memcpy(at, pair[i][1], strlen(pair[i][1]));
        folder_write("main.yaml", text);
        assert_true(read_keys(&f, NULL));
        AUTO(mem) bool *hit = reached(&base, NULL, user[i]);
        differ(&base, &f, hit, pair[i][1]);
        done(&base);
        done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parameters), cmocka_unit_test(runtime),
                                       cmocka_unit_test(version),    cmocka_unit_test(imports),
                                       cmocka_unit_test(inputs),     cmocka_unit_test(order)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
