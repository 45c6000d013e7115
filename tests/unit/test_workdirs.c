/* The folders that attempts work in: the next one finds what the last one found, whatever that did to it. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/workdirs.h"
#include "tests/test.h"
#include <string.h>

static char root[] = "/tmp/weft-workdirs-XXXXXX";
static struct workdirs *w;

static const char *take(void)
{
    struct error err = {0};
    const char *path = workdirs_take(w, &err);
    if (!path || !workdirs_sub(w, path, "scratch", &err) || !workdirs_sub(w, path, "out.a", &err))
        fail_msg("%s", err.text);
    return path;
}

static char *in(const char *path, const char *name)
{
    return xprintf("%s/%s", path, name);
}

static void put(const char *path, const char *name)
{
    AUTO(mem) char *file = in(path, name);
    assert_true(fs_write_file(file, "x", 1, NULL));
}

static void expect_fresh(const char *path)
{
    char **list;
    size_t n;
    AUTO(mem) char *scratch = in(path, "scratch");
    AUTO(mem) char *out = in(path, "out.a");
    struct stat st;
    assert_true(fs_is_dir(scratch) && fs_is_dir(out));
    assert_true(lstat(scratch, &st) == 0 && (st.st_mode & 0700) == 0700);
    assert_true(fs_list_tree(path, &list, &n, NULL));
    assert_int_equal(n, 0);
    fs_list_free(list, n);
}

static void again(void **state)
{
    const char *first = take(), *second = take();
    assert_string_not_equal(first, second);
    expect_fresh(first);
    AUTO(mem) char *name = xstrdup(first);
    AUTO(mem) char *deep = in(first, "scratch/a/b");
    AUTO(mem) char *link = in(first, "out.a/link");
    assert_true(fs_mkdirs(deep, NULL));
    assert_int_equal(symlink("/", link), 0);
    put(first, "stray");
    put(first, "out.a/result");
    put(first, "scratch/a/b/c");
    workdirs_give(w, first, false);
    const char *next = take();
    assert_string_equal(next, name);
    expect_fresh(next);
    AUTO(mem) char *inner = in(next, "scratch/a");
    assert_false(fs_is_dir(inner));
    workdirs_give(w, next, false);
    workdirs_give(w, second, false);
    workdirs_give(w, NULL, false);
}

/* A program may remove its folders, put links in their places, or change who may use them. */
static void spoilt(void **state)
{
    const char *path = take();
    AUTO(mem) char *scratch = in(path, "scratch");
    assert_int_equal(rmdir(scratch), 0);
    workdirs_give(w, path, false);
    path = take();
    expect_fresh(path);
    AUTO(mem) char *out = in(path, "out.a");
    AUTO(mem) char *outside = in(root, "outside");
    assert_true(fs_mkdirs(outside, NULL));
    put(outside, "precious");
    assert_int_equal(rmdir(out), 0);
    assert_int_equal(symlink(outside, out), 0);
    workdirs_give(w, path, false);
    path = take();
    expect_fresh(path);
    AUTO(mem) char *kept = in(outside, "precious");
    assert_true(fs_exists(kept));
    AUTO(mem) char *closed = in(path, "scratch");
    assert_int_equal(chmod(closed, 0), 0);
    workdirs_give(w, path, false);
    path = take();
    expect_fresh(path);
    workdirs_give(w, path, false);
}

/* By the worker, which leaves the outputs to the engine. */
static void tidied(void **state)
{
    const char *path = take();
    AUTO(mem) char *name = xstrdup(path);
    AUTO(mem) char *scratch = in(path, "scratch");
    AUTO(mem) char *deep = in(path, "scratch/a/b");
    AUTO(mem) char *stray = in(path, "stray");
    assert_true(fs_mkdirs(deep, NULL));
    put(path, "scratch/a/b/c");
    put(path, "out.a/result");
    assert_true(workdirs_tidy(scratch));
    workdirs_give(w, path, true);
    path = take();
    assert_string_equal(path, name);
    expect_fresh(path);
    put(path, "stray");
    assert_false(workdirs_tidy(scratch));
    assert_int_equal(unlink(stray), 0);
    AUTO(mem) char *out = in(path, "out.a");
    assert_int_equal(rmdir(out), 0); /* after the worker's look */
    workdirs_give(w, path, true);
    path = take();
    expect_fresh(path);
    assert_int_equal(rmdir(scratch), 0);
    assert_false(workdirs_tidy(scratch));
    workdirs_give(w, path, false);
}

static int setup(void **state)
{
    if (!mkdtemp(root))
        return -1;
    w = workdirs_new(root);
    return 0;
}

static int teardown(void **state)
{
    workdirs_free(w);
    fs_remove_tree(root, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(again), cmocka_unit_test(spoilt),
                                       cmocka_unit_test(tidied)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
