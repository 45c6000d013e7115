/* Settings of a store: what people write into STORE/config, and what they get wrong. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/config.h"
#include "cache/store.h"
#include "tests/test.h"
#include <errno.h>

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

/* Set one; want NULL: that works. */
static void set(const char *name, const char *text, const char *want)
{
    AUTO(mem) char *file = xprintf("%s/config", root);
    struct error err = {0};
    bool ok = config_write(file, name, text, &err);
    if (ok == (want != NULL) || (want && !strstr(err.text, want)))
        fail_msg("%s=%s: wanted '%s', got '%s'", name, text, want ? want : "", err.text);
    assert_true(ok || err.code == ERROR_INPUT);
}

static void file_is(const char *want)
{
    AUTO(mem) char *file = xprintf("%s/config", root);
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(file, &text, &n, NULL));
    assert_string_equal(text, want);
}

/* What is refused changes nothing; what is wrong already can be put right; nothing else is lost. */
static void written(void **state)
{
    expect("{}", NULL);
    set("max_size", "1.5GiB", NULL);
    set("remote_mode", "read", NULL);
    set("locks", "false", NULL);
    set("level", "9", NULL);
    set("max_sise", "1", "a store has no setting 'max_sise'; did you mean 'max_size'?");
    set("max_size", "ten", "'max_size' must be a size such as 500MB, 1.5GiB or 20K, not 'ten'");
    set("block", "1K", "'block' must be an integer between 65536 and 67108864, not 1024");
    set("level", "99", "'level' must be an integer between 1 and 19, not 99");
    set("level", "3x", "'level' must be an integer between 1 and 19, not \"3x\"");
    set("locks", "1", "'locks' must be true or false, not 1");
    set("remote_mode", "none", "'remote_mode' must be one of read-write, read, write, not \"none\"");
    set("hot", "here", "'hot' must be an absolute path, not 'here'");
    file_is("{\n  \"level\": 9,\n  \"locks\": false,\n  \"max_size\": 1610612736,\n"
            "  \"remote_mode\": \"read\"\n}\n");
    set("level", "", NULL);
    set("remote_mode", "", NULL);
    set("max_size", "", NULL);
    file_is("{\n  \"locks\": false\n}\n");
    expect("{\"level\": 99, \"block\": 65536}", "level");
    set("block", "1M", "'level' must be an integer");
    set("level", "1", NULL);
    file_is("{\n  \"block\": 65536,\n  \"level\": 1\n}\n");
    expect("[3]", "is not a JSON object");
    set("level", "1", "is not a JSON object");
}

static struct fs_ops without_space;
static int no_rename(const char *from, const char *to)
{
    errno = ENOSPC;
    return -1;
}

static void full_disk(void **state)
{
    AUTO(mem) char *file = xprintf("%s/config", root);
    struct error err = {0};
    char **list;
    size_t n, before;
    expect("{\"level\": 4}", NULL);
    assert_true(fs_list_tree(root, &list, &before, NULL));
    fs_list_free(list, before);
    without_space = fs_real;
    without_space.rename = no_rename;
    fs = &without_space;
    assert_false(config_write(file, "level", "5", &err));
    fs = &fs_real;
    assert_int_equal(err.code, ERROR_FULL);
    file_is("{\"level\": 4}");
    assert_true(fs_list_tree(root, &list, &n, NULL));
    fs_list_free(list, n);
    assert_int_equal(n, before);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(wrong), cmocka_unit_test(right),
                                       cmocka_unit_test(written), cmocka_unit_test(full_disk)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
