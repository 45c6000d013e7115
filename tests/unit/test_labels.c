/* Private labels: what carries them, who may see them, and that nothing labelled gets into a table. */
#include "tests/test.h"
#include "tests/unit/spec_folder.h"

/* The fakes, and the table of the registry: `list` makes metrics that keep their labels, as no stage there
 * does. */
static const struct stage *find_both(const char *name)
{
    const struct stage *s = fake_find(name);
    return s ? s : stage_find(name);
}

/* What main.yaml says, "" when it is accepted; then *ret is to be freed. */
static char *said(const char *text, struct spec **ret)
{
    const struct spec_options opt = {.find = find_both};
    struct error *list = NULL;
    int n = 0;
    struct buf b = {0};
    folder_write("main.yaml", text);
    if (!spec_read("main.yaml", &opt, ret, &list, &n))
        folder_print(list, n, &b);
    free(list);
    return buf_take(&b);
}

static void refused(const char *text, const char *want)
{
    struct spec *s = NULL;
    AUTO(mem) char *got = said(text, &s);
    assert_string_equal(got, want);
}

static struct spec *accepted(const char *text)
{
    struct spec *s = NULL;
    AUTO(mem) char *got = said(text, &s);
    assert_string_equal(got, "");
    return s;
}

static void labels_are(const struct spec *s, const char *task, int output, const char *want)
{
    const struct task *t = spec_find(s, task);
    const char *const *label;
    assert_non_null(t);
    AUTO(buf) struct buf b = {0};
    for (int i = 0, n = task_output_labels(t, output, &label); i < n; i++)
        buf_printf(&b, "%s%s", i ? " " : "", label[i]);
    assert_string_equal(buf_str(&b), want);
}

#define CLIENTS "  c: {foreach: [p, q], uses: source, private: '${item}'}\n"

static void outputs(void **state)
{
    struct spec *s = accepted("experiment: e\nstages:\n" CLIENTS "  open: {uses: source}\n"
                              "  more: {foreach: [p, q], uses: step, in: {data: 'c[${item}]', more: open}}\n"
                              "  train: {foreach: [p, q], uses: train, in: {data: 'more[${item}]'}}\n"
                              "  join: {uses: join, in: {experts: 'train[*]'}}\n"
                              "  count: {uses: list, in: {all: ['more[p]', open]}}\n");
    labels_are(s, "c[p]", 0, "p");
    labels_are(s, "open", 0, "");
    labels_are(s, "more[q]", 0, "q");
    labels_are(s, "train[p]", 0, ""); /* it sees p's data, and releases what it makes */
    labels_are(s, "train[p]", 1, "");
    assert_int_equal(spec_find(s, "train[p]")->n_labels, 1);
    labels_are(s, "join", 0, "");
    assert_int_equal(spec_find(s, "join")->n_labels, 0);
    labels_are(s, "count", 0, "p");
    assert_false(spec_allows(s, spec_find(s, "count")));
    spec_free(s);
}

/* A baseline that pools all clients' data. */
static void pooling(void **state)
{
    static const char pooled[] =
        "stages:\n" CLIENTS "  more: {foreach: [p, q], uses: step, in: {data: 'c[${item}]'}}\n"
        "  pool: {uses: list, in: {all: 'more[*]'}}\n";
    AUTO(buf) struct buf plain = {0}, other = {0}, named = {0};
    buf_printf(&plain, "experiment: e\n%s", pooled);
    refused(buf_str(&plain),
            "main.yaml:5:3 'pool' would see private data of 'p' and of 'q': c[p] -> more[p] -> pool; "
            "c[q] -> more[q] -> pool (an exception is named in privacy: {allow: [...]})\n");
    buf_printf(&other, "experiment: e\nprivacy: {allow: [more]}\n%s", pooled);
    refused(buf_str(&other),
            "main.yaml:6:3 'pool' would see private data of 'p' and of 'q': c[p] -> more[p] -> pool; "
            "c[q] -> more[q] -> pool (an exception is named in privacy: {allow: [...]})\n");
    buf_printf(&named, "experiment: e\nprivacy: {allow: [pool]}\n%s", pooled);
    struct spec *s = accepted(buf_str(&named));
    labels_are(s, "pool", 0, "p q"); /* an exception is seen, not forgotten */
    assert_true(spec_allows(s, spec_find(s, "pool")));
    assert_false(spec_allows(s, spec_find(s, "more[p]")));
    spec_free(s);
}

static void table(void **state)
{
    refused("experiment: e\nstages:\n" CLIENTS "  count: {uses: list, in: {all: 'c[p]'}}\n"
            "  t: {uses: table, in: {scores: count}}\n",
            "main.yaml:5:3 private data of 'p' must not reach input 'scores' of 't': c[p] -> count -> t (an "
            "exception "
            "is named in privacy: {allow: [...]})\n");
    for (const struct stage *const *s = stage_registry; *s; s++) {
        bool makes_table = false;
        for (int i = 0; i < stage_port_count((*s)->outputs); i++)
            makes_table = makes_table || (*s)->outputs[i].type == ARTIFACT_TABLE;
        for (int i = 0; makes_table && i < stage_port_count((*s)->inputs); i++)
            if ((*s)->inputs[i].private_ok)
                fail_msg("stage '%s' makes a table, and its input '%s' takes private data", (*s)->name,
                         (*s)->inputs[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(outputs), cmocka_unit_test(pooling),
                                       cmocka_unit_test(table)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
