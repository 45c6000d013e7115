/* resources: what each of them may be, what is refused and where, and what defaults leave. */
#include "tests/unit/spec_folder.h"

static struct spec *read_with(const char *resources, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text,
               "experiment: e\nvars: {t: 2m, n: 3, yes: true, p: spread, f: 1.5}\nstages: {a: {uses: source, "
               "resources: %s}}\n",
               resources);
    folder_write("main.yaml", buf_str(&text));
    return folder_read(&(struct spec_options){.n_set = 0}, want);
}

static void times(void **state)
{
    static const struct {
        const char *text;
        double seconds;
    } row[] = {{"4h", 14400}, {"30m", 1800}, {"90s", 90},    {"1h30m", 5400}, {"1d2h3m4s", 93784},
               {"90", 90},    {"0.5", 0.5},  {"1.5h", 5400}, {"'${t}'", 120}, {"1h5s", 3605}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "{timeout: %s}", row[i].text);
        struct spec *s = read_with(buf_str(&text), "");
        assert_non_null(s);
        assert_true(s->task[0]->timeout == row[i].seconds);
        assert_int_equal(s->task[0]->retries, 0);
        spec_free(s);
    }
    struct spec *s = read_with("{retries: 100}", "");
    assert_true(s->task[0]->timeout == 0);
    assert_int_equal(s->task[0]->retries, 100);
    spec_free(s);
}

static void refused(void **state)
{
    static const char *const time[] = {"0",    "-1",  "4 h",  "1:30",  "30m1h", "1h1h",
                                       "1h30", "h",   "4x",   "1e3s",  "many",  "''",
                                       "nan",  "inf", "0x10", "1..2s", "2e9",   "1000000000000h"},
                             *const number[] = {"-1", "101", "1.5", "some", "''", "0x1", "1000000000000"};
    for (size_t i = 0; i < sizeof time / sizeof *time; i++) {
        AUTO(buf) struct buf text = {0}, want = {0};
        const char *shown = strcmp(time[i], "''") == 0 ? "" : time[i];
        buf_printf(&text, "{timeout: %s}", time[i]);
        buf_printf(
            &want,
            "main.yaml:3:49 timeout must be a time such as 90s, 30m or 1h30m, or a number of seconds, not "
            "'%s'\n",
            shown);
        assert_null(read_with(buf_str(&text), buf_str(&want)));
    }
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        AUTO(buf) struct buf text = {0}, want = {0};
        const char *shown = strcmp(number[i], "''") == 0 ? "" : number[i];
        buf_printf(&text, "{retries: %s}", number[i]);
        buf_printf(&want, "main.yaml:3:49 retries must be a number between 0 and 100, not '%s'\n", shown);
        assert_null(read_with(buf_str(&text), buf_str(&want)));
    }
    assert_null(read_with(
        "{timout: 4h}",
        "main.yaml:3:40 unknown resource 'timout': there are cores, memory, exclusive, place, units, "
        "timeout and retries; did you mean 'timeout'?\n"));
}

/* The first task's, in one line: what is not asked is left out. */
static void shape(const struct task *t, struct buf *out)
{
    buf_clear(out);
    if (t->cores_min || t->cores_max)
        buf_printf(out, "cores %d..%d ", t->cores_min, t->cores_max);
    if (t->memory)
        buf_printf(out, "memory %lld ", (long long)t->memory);
    buf_printf(out, "%s%s", t->exclusive ? "exclusive " : "", t->spread ? "spread " : "");
    for (int i = 0; i < t->n_units; i++)
        buf_printf(out, "%s=%d@%d:%d ", t->unit[i].name, t->unit[i].count, t->unit[i].pos.line,
                   t->unit[i].pos.col);
    if (t->timeout > 0)
        buf_printf(out, "timeout %g ", t->timeout);
    if (t->retries || t->backoff > 0 || t->memory_growth > 0)
        buf_printf(out, "retries %d backoff %g memory x%g ", t->retries, t->backoff, t->memory_growth);
}

struct asked {
    const char *text, *shape;
};

static void taken(void **state)
{
    static const struct asked row[] = {
        {"{}", ""},
        {"{cores: auto}", ""},
        {"{memory: auto}", ""},
        {"{cores: '2..8'}", "cores 2..8 "},
        {"{exclusive: true}", "exclusive "},
        {"{exclusive: false}", ""},
        {"{exclusive: '${yes}'}", "exclusive "},
        {"{place: spread}", "spread "},
        {"{place: compact}", ""},
        {"{place: '${p}'}", "spread "},
        {"{units: {gpu: 1}}", "gpu=1@3:48 "},
        {"{units: {licence: 10000, a-b: 2, Gpu: '${n}'}}", "Gpu=3@3:72 a-b=2@3:64 licence=10000@3:48 "},
        {"{units: {}}", ""},
        {"{retries: 2}", "retries 2 backoff 0 memory x0 "},
        {"{retries: {times: 3}}", "retries 3 backoff 0 memory x0 "},
        {"{retries: {times: '${n}', backoff: 10s}}", "retries 3 backoff 10 memory x0 "},
        {"{memory: 1KiB, retries: {times: 1, memory: x2, backoff: '${t}'}}",
         "memory 1024 retries 1 backoff 120 memory x2 "},
        {"{retries: {times: 1, memory: 'x${f}'}, memory: 5}", "memory 5 retries 1 backoff 0 memory x1.5 "},
        {"{memory: 5, retries: {times: 1, memory: x16}}", "memory 5 retries 1 backoff 0 memory x16 "}};
    AUTO(buf) struct buf got = {0};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct spec *s = read_with(row[i].text, "");
        assert_non_null(s);
        shape(s->task[0], &got);
        assert_string_equal(buf_str(&got), row[i].shape);
        spec_free(s);
    }
}

#define SECONDS "must be a time such as 90s, 30m or 1h30m, or a number of seconds, not "
#define GROWTH  "memory of retries must be a factor above x1 and up to x16, such as x2 or x1.5, not "
#define NAME    "a name has letters, digits, - and _ and begins with a letter\n"

static void wrong(void **state)
{
    static const struct asked row[] = {
        {"{cores: automatic}", "47 cores must be a number, \"2..8\", \"4..\" or auto, not 'automatic'\n"},
        {"{cores: [auto]}", "47 cores must be a number, \"2..8\", \"4..\" or auto, not a list\n"},
        {"{exclusive: 1}", "51 exclusive must be true or false, not '1'\n"},
        {"{exclusive: 'true'}", "51 exclusive must be true or false, not 'true'\n"},
        {"{exclusive: {}}", "51 exclusive must be true or false, not a map\n"},
        {"{place: spred}", "47 place must be compact or spread, not 'spred'; did you mean 'spread'?\n"},
        {"{place: 7}", "47 place must be compact or spread, not '7'\n"},
        {"{place: [spread]}", "47 place must be compact or spread, not a list\n"},
        {"{units: gpu}", "47 units must be a map from names to numbers such as { gpu: 1 }, not 'gpu'\n"},
        {"{units: [gpu]}", "47 units must be a map from names to numbers such as { gpu: 1 }, not a list\n"},
        {"{units: {gpu: 0}}", "53 unit 'gpu' must be a number between 1 and 10000, not '0'\n"},
        {"{units: {gpu: 10001}}", "53 unit 'gpu' must be a number between 1 and 10000, not '10001'\n"},
        {"{units: {gpu: 1.5}}", "53 unit 'gpu' must be a number between 1 and 10000, not '1.5'\n"},
        {"{units: {gpu: [0]}}", "53 unit 'gpu' must be a number between 1 and 10000, not a list\n"},
        {"{units: {1x: 1}}", "48 unit '1x': " NAME},
        {"{units: {'': 1}}", "48 unit '': " NAME},
        {"{units: {'a b': 1}}", "48 unit 'a b': " NAME},
        {"{units: {a-b: 1, A_b: 1}}", "56 unit 'A_b': 'a-b' has the same variable\n"},
        {"{timeout: }", "49 timeout " SECONDS "''\n"},
        {"{retries: [1]}", "49 retries must be a number between 0 and 100, not a list\n"},
        {"{retries: {times: 101}}", "57 times must be a number between 0 and 100, not '101'\n"},
        {"{retries: {backoff: 1s}}", "49 retries needs 'times': how many more attempts there are\n"},
        {"{retries: {times: 1, backof: 1s}}", "60 retries has no key 'backof'; did you mean 'backoff'?\n"},
        {"{retries: {times: 1, backoff: soon}}", "69 backoff " SECONDS "'soon'\n"},
        {"{retries: {times: 1, backoff: 0}}", "69 backoff " SECONDS "'0'\n"},
        {"{memory: auto, retries: {times: 1, memory: x2}}",
         "82 retries that grow memory need 'memory:' beside them to start from, such as memory: 6GiB\n"},
        {"{memory: 5, retries: {times: 1, memory: 2}}", "79 " GROWTH "'2'\n"},
        {"{memory: 5, retries: {times: 1, memory: x1}}", "79 " GROWTH "'x1'\n"},
        {"{memory: 5, retries: {times: 1, memory: x16.1}}", "79 " GROWTH "'x16.1'\n"},
        {"{memory: 5, retries: {times: 1, memory: x2x}}", "79 " GROWTH "'x2x'\n"},
        {"{memory: 5, retries: {times: 1, memory: x}}", "79 " GROWTH "'x'\n"},
        {"{memory: 5, retries: {times: 1, memory: xinf}}", "79 " GROWTH "'xinf'\n"},
        {"{memory: 5, retries: {times: 1, memory: 6GiB}}", "79 " GROWTH "'6GiB'\n"},
        {"{retries: {times: 1, memory: x2}}",
         "68 retries that grow memory need 'memory:' beside them to start from, such as memory: 6GiB\n"},
        {"{memory: much, retries: {times: 1, memory: x2}}",
         "48 memory must be a size such as 6GiB, or auto, not 'much'\n"},
        {"{units: {gpu: '${nix}'}, retries: {times: 1, memory: x2}}",
         "53 unknown variable '${nix}'; did you mean 'n'?\n"},
        {"{unit: {gpu: 1}}", "40 unknown resource 'unit': there are cores, memory, exclusive, place, units, "
                             "timeout and retries; did you mean 'units'?\n"},
        {"4", "39 resources: takes a map of cores, memory, exclusive, place, units, timeout and retries\n"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf want = {0};
        buf_printf(&want, "main.yaml:3:%s", row[i].shape);
        assert_null(read_with(row[i].text, buf_str(&want)));
    }
}

/* Each resource alone: what a stage says of it replaces what the defaults say. */
static void defaults(void **state)
{
    static const char head[] =
        "experiment: e\ndefaults:\n  source:\n    resources:\n      {cores: 4, memory: 1KiB, "
        "exclusive: true, place: spread, units: {gpu: 1, net: 2},\n"
        "       retries: {times: 3, backoff: 5s, memory: x2}}\nstages: {a: {uses: source";
    static const struct asked row[] = {
        {"", "cores 4..4 memory 1024 exclusive spread gpu=1@5:72 net=2@5:80 retries 3 backoff 5 memory x2 "},
        {", resources: {cores: auto, exclusive: false, place: compact, units: {}, retries: 0}",
         "memory 1024 "},
        {", resources: {units: {b: 1}, retries: {times: 1, memory: x3}}",
         "cores 4..4 memory 1024 exclusive spread b=1@7:48 retries 1 backoff 0 memory x3 "}};
    AUTO(buf) struct buf text = {0};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        buf_clear(&text);
        buf_printf(&text, "%s%s}}\n", head, row[i].text);
        folder_write("main.yaml", buf_str(&text));
        struct spec *s = folder_read(&(struct spec_options){.n_set = 0}, "");
        assert_non_null(s);
        shape(s->task[0], &text);
        assert_string_equal(buf_str(&text), row[i].shape);
        spec_free(s);
    }
}

/* Memory that grows starts from one, whoever gives it. */
static void growth(void **state)
{
    static const char head[] =
        "experiment: e\ndefaults: {source: {resources: {retries: {times: 1, memory: x2}}}}\n"
        "stages: {a: {uses: source";
    static const struct {
        const char *text, *errors;
    } row[] = {{"",
                "main.yaml:2:61 retries that grow memory need 'memory:' beside them to start from, such as "
                "memory: 6GiB\n"},
               {", resources: {memory: 4}", ""},
               {", resources: {retries: 1}", ""},
               {", resources: {memory: much}",
                "main.yaml:3:48 memory must be a size such as 6GiB, or auto, not 'much'\n"},
               {", resources: {memory: '${x}'}", "main.yaml:3:48 unknown variable '${x}'\n"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        buf_printf(&text, "%s%s}}\n", head, row[i].text);
        folder_write("main.yaml", buf_str(&text));
        spec_free(folder_read(&(struct spec_options){.n_set = 0}, row[i].errors));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(times),    cmocka_unit_test(refused),
                                       cmocka_unit_test(taken),    cmocka_unit_test(wrong),
                                       cmocka_unit_test(defaults), cmocka_unit_test(growth)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
