/* resources: timeout and retries of a task. Cores and memory: test_spec.c. */
#include "tests/unit/spec_folder.h"

static struct spec *read_with(const char *resources, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text, "experiment: e\nvars: {t: 2m}\nstages: {a: {uses: source, resources: %s}}\n",
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
    assert_null(read_with("{timout: 4h}",
                          "main.yaml:3:40 unknown resource 'timout': there are cores, memory, timeout "
                          "and retries; did you mean 'timeout'?\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(times), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
