/* Settings of a store: what people write into STORE/config, and what they get wrong. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/config.h"
#include "cache/store.h"
#include "tests/test.h"

static char root[] = "/tmp/weft-config-XXXXXX";

/* NULL: the store opens; else it does not, and says this. */
static void expect(const char *text, const char *want)
{
    AUTO(mem) char *file = xprintf("%s/config", root);
    AUTO(store) struct store *s = NULL;
    struct error err = {0};
    assert_true(fs_write_file(file, text, strlen(text), NULL));
    bool ok = store_open(root, &s, &err);
    if (!want && !ok)
        fail_msg("%s", err.text);
    if (want && (ok || !strstr(err.text, want)))
        fail_msg("%s: wanted '%s', got '%s'", text, want, err.text);
    assert_true(ok || err.code == ERROR_INPUT);
}

static void wrong(void **state)
{
    expect("{\"levels\": 3}", "a store has no setting 'levels'; did you mean 'level'?");
    expect("{\"level\": 99}", "level");
    expect("{\"level\": \"3\"}", "level");
    expect("{\"block\": 1}", "block");
    expect("{\"hot\": \"here\"}", "'hot' must be an absolute path, not 'here'");
    expect("{\"fetch_tries\": 0}", "fetch_tries");
    expect("{\"fetch_silence\": 0.5}", "fetch_silence");
    expect("[3]", "is not a JSON object");
    expect("level: 3", "not valid JSON");
    expect("", "not valid JSON");
    expect("{\"level\": 3, \"level\": 4}", "level");
}

static void right(void **state)
{
    expect("{}", NULL);
    expect("{\"level\": 7, \"locks\": false, \"hot_size\": 0}", NULL);
    AUTO(store) struct store *s = NULL;
    assert_true(store_open(root, &s, NULL));
    assert_int_equal(store_config(s)->level, 7);
    assert_false(store_config(s)->locks);
    assert_int_equal(store_config(s)->hot_size, 0);
    assert_string_equal(store_config(s)->hot, "");
}

static int setup(void **state)
{
    return mkdtemp(root) ? 0 : -1;
}
static int teardown(void **state)
{
    return fs_remove_tree(root, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrong), cmocka_unit_test(right)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
