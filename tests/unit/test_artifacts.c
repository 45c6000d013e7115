/* Artifacts as folders: into the store and out of it, by content, by link to an input, by link to outside
 * data. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/hot.h"
#include "engine/exec/artifacts.h"
#include "tests/test.h"
#include <string.h>

static char root[] = "/tmp/weft-artifacts-XXXXXX";
static struct world { /* one run in one store */
    struct store *store;
    char *temp; /* of the run */
    struct artifacts *artifacts;
    int outputs; /* output folders made */
} w;

static void put(const char *path, const char *text)
{
    AUTO(mem) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    struct error err = {0};
    if (!fs_mkdirs(dir, &err) || !fs_write_file(path, text, strlen(text), &err))
        fail_msg("%s", err.text);
}

static void expect_file(const char *path, const char *want)
{
    AUTO(mem) char *text = NULL;
    struct error err = {0};
    if (!fs_read_file(path, &text, NULL, &err))
        fail_msg("%s", err.text);
    assert_string_equal(text, want);
}

static char *outside(const char *name)
{
    return xprintf("%s/outside/%s", root, name);
}

/* A fresh output folder of a task's attempt. */
static char *output_folder(void)
{
    char *dir = xprintf("%s/attempt.%d/out", w.temp, w.outputs++);
    assert_true(fs_mkdirs(dir, NULL));
    return dir;
}

static void put_in(const char *dir, const char *name, const char *text)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    put(path, text);
}

static void link_in(const char *dir, const char *name, const char *target)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    assert_int_equal(symlink(target, path), 0);
}

static void link_to(const char *dir, const char *name, const char *folder, const char *file)
{
    AUTO(mem) char *target = xprintf("%s/%s", folder, file);
    link_in(dir, name, target);
}

static void done(struct record_output *o)
{
    for (size_t i = 0; i < o->n; i++) {
        free(o->file[i].name);
        free(o->file[i].source);
    }
    free(o->file);
    free(o->port);
    *o = (struct record_output){0};
}

static struct record_output collect(const char *dir)
{
    struct record_output o = {0};
    struct error err = {0};
    if (!artifacts_collect(w.artifacts, dir, "out", true, &o, &err))
        fail_msg("%s", err.text);
    assert_string_equal(o.port, "out");
    return o;
}

static void refuse(const char *dir, enum error_code code, const char *want)
{
    struct record_output o = {0};
    struct error err = {0};
    if (artifacts_collect(w.artifacts, dir, "port", true, &o, &err))
        fail_msg("taken although: %s", want);
    if (!strstr(err.text, want) || strncmp(err.text, "output 'port': ", 15) != 0)
        fail_msg("wanted '%s', got '%s'", want, err.text);
    assert_int_equal(err.code, code);
    done(&o);
}

static char *folder(const struct record_output *o)
{
    const char *path;
    struct error err = {0};
    if (!artifacts_folder(w.artifacts, o, &path, &err))
        fail_msg("%s", err.text);
    return xstrdup(path);
}

/* "NAME=TEXT ..." of all files of the artifact's folder, in order. */
static void expect_folder(const char *dir, const char *want)
{
    AUTO(buf) struct buf b = {0};
    char **list;
    size_t n;
    assert_true(fs_list_tree(dir, &list, &n, NULL));
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, list[i]);
        AUTO(mem) char *text = NULL;
        struct error err = {0};
        if (!fs_is_dir(path) && !fs_read_file(path, &text, NULL, &err))
            fail_msg("%s", err.text);
        buf_printf(&b, "%s=%s ", list[i], text ? text : "/");
    }
    fs_list_free(list, n);
    assert_string_equal(buf_str(&b), want);
}

/* The next run in the same store: nothing lies ready. */
static void next_run(void)
{
    int64_t bytes;
    size_t n;
    artifacts_free(w.artifacts);
    if (w.store)
        store_hot_trim(w.store, 0, &bytes, &n);
    store_close(w.store);
    free(w.temp);
    AUTO(mem) char *path = xprintf("%s/store", root);
    struct error err = {0};
    if (!store_open(path, &w.store, &err) || !store_temp_dir(w.store, &w.temp, &err))
        fail_msg("%s", err.text);
    w.artifacts = artifacts_new(w.store, w.temp);
}

static char *object_path(const char *content)
{
    struct digest d;
    char hex[DIGEST_HEX];
    hash_bytes(content, strlen(content), &d);
    digest_hex(&d, hex);
    return xprintf("%s/store/objects/%.2s/%s", root, hex, hex + 2);
}

static void files(void **state)
{
    AUTO(mem) char *dir = output_folder();
    put_in(dir, "b", "two");
    put_in(dir, "a/c/d", "three");
    put_in(dir, "a/b", "");
    AUTO(mem) char *empty = xprintf("%s/nothing", dir);
    assert_int_equal(mkdir(empty, 0777), 0);
    struct record_output o = collect(dir), again;
    assert_int_equal(o.n, 3);
    assert_string_equal(o.file[0].name, "a/b");
    assert_string_equal(o.file[1].name, "a/c/d");
    assert_int_equal(o.file[1].size, 5);
    assert_null(o.file[1].source);
    AUTO(mem) char *moved = xprintf("%s/b", dir);
    assert_false(fs_exists(moved)); /* to where consumers look */
    AUTO(mem) char *ready = folder(&o);
    expect_folder(ready, "a/b= a/c/d=three b=two ");
    next_run();
    AUTO(mem) char *unpacked = folder(&o);
    expect_folder(unpacked, "a/b= a/c/d=three b=two ");
    AUTO(mem) char *same = folder(&o);
    assert_string_equal(same, unpacked);
    /* the same content made again, in another order: the same artifact */
    AUTO(mem) char *twin = output_folder();
    put_in(twin, "a/b", "");
    put_in(twin, "a/c/d", "three");
    put_in(twin, "b", "two");
    again = collect(twin);
    assert_true(digest_equal(&o.digest, &again.digest));
    done(&again);
    put_in(twin, "b", "Two");
    put_in(twin, "a/c/d", "three");
    again = collect(twin);
    assert_false(digest_equal(&o.digest, &again.digest));
    done(&again);
    done(&o);
}

/* What no task will read is stored and stays where it was made; who needs it after all gets it unpacked. */
static void unread(void **state)
{
    next_run();
    AUTO(mem) char *dir = output_folder();
    put_in(dir, "leaf", "read by nobody");
    struct record_output o = {0};
    struct error err = {0};
    int64_t bytes;
    size_t n;
    assert_true(artifacts_collect(w.artifacts, dir, "out", false, &o, &err));
    expect_folder(dir, "leaf=read by nobody ");
    store_hot_trim(w.store, 0, &bytes, &n);
    assert_int_equal(n, 0); /* nothing lay ready */
    AUTO(mem) char *ready = folder(&o);
    expect_folder(ready, "leaf=read by nobody ");
    done(&o);
}

/* An output may link to a file of an input: no copy, the same content. */
static void input_links(void **state)
{
    AUTO(mem) char *dir = output_folder();
    AUTO(mem) char *data = outside("data");
    put(data, "far");
    put_in(dir, "weights", "big");
    put_in(dir, "sub/x", "small");
    link_in(dir, "far", data);
    struct record_output in = collect(dir);
    AUTO(mem) char *input = folder(&in);
    AUTO(mem) char *out = output_folder();
    put_in(out, "own", "new");
    link_to(out, "w", input, "weights");
    link_to(out, "x", input, "sub/x");
    link_to(out, "f", input, "far");
    link_to(out, "v", input, "sub/../weights");
    link_in(out, "chain", "w");
    struct record_output o = collect(out);
    assert_int_equal(o.n, 6);
    for (size_t i = 0; i < o.n; i++)
        assert_int_equal(o.file[i].source != NULL, strcmp(o.file[i].name, "f") == 0);
    AUTO(mem) char *ready = folder(&o);
    expect_folder(ready, "chain=big f=far own=new v=big w=big x=small ");
    next_run();
    AUTO(mem) char *unpacked = folder(&o);
    expect_folder(unpacked, "chain=big f=far own=new v=big w=big x=small ");
    done(&o);
    done(&in);
}

/* A plain file may outlive its object; what a record names is there, whichever way the link leads. */
static void outlived(void **state)
{
    AUTO(mem) char *dir = output_folder();
    put_in(dir, "weights", "outlives its object");
    struct record_output in = collect(dir);
    AUTO(mem) char *input = folder(&in);
    AUTO(mem) char *object = object_path("outlives its object");
    AUTO(mem) char *file = xprintf("%s/weights", input);
    AUTO(mem) char *hot = realpath(file, NULL);
    for (int direct = 0; direct < 2; direct++) {
        assert_true(store_flush(w.store, NULL));
        assert_int_equal(unlink(object), 0);
        AUTO(mem) char *out = output_folder();
        link_in(out, "w", direct ? hot : file);
        struct record_output o = collect(out);
        assert_true(store_flush(w.store, NULL));
        assert_true(fs_exists(object) && digest_equal(&o.file[0].digest, &in.file[0].digest));
        assert_int_equal(o.file[0].size, 19);
        done(&o);
    }
    done(&in);
}

/* What a record refers to must outlive the run: links to its temporary files other than artifacts' are
 * refused, as are links to nothing. */
static void bad_links(void **state)
{
    AUTO(mem) char *dir = output_folder();
    AUTO(mem) char *scratch = xprintf("%s/attempt.0/scratch/tmp", w.temp);
    AUTO(mem) char *folder_path = xprintf("%s/attempt.0/scratch", w.temp);
    put(scratch, "gone soon");
    link_in(dir, "a", scratch);
    refuse(dir, ERROR_TASK, "'a' links to a temporary file");
    AUTO(mem) char *second = output_folder();
    link_in(second, "b", folder_path);
    refuse(second, ERROR_TASK, "'b' links to a temporary file");
    AUTO(mem) char *third = output_folder();
    put_in(third, "sub/x", "1");
    struct record_output in = collect(third);
    AUTO(mem) char *input = folder(&in);
    AUTO(mem) char *sub = xprintf("%s/sub", input);
    AUTO(mem) char *fourth = output_folder();
    link_in(fourth, "c", sub); /* a folder of an input is not a file of it */
    refuse(fourth, ERROR_TASK, "'c' links to a temporary file");
    done(&in);
    AUTO(mem) char *fifth = output_folder();
    AUTO(mem) char *missing = outside("missing");
    link_in(fifth, "d", missing);
    refuse(fifth, ERROR_INPUT, "leads nowhere: No such file or directory");
    AUTO(mem) char *sixth = output_folder();
    link_in(sixth, "loop", "loop");
    refuse(sixth, ERROR_SYSTEM, "leads nowhere: Too many levels of symbolic links");
    AUTO(mem) char *empty = output_folder();
    refuse(empty, ERROR_TASK, "nothing was written");
    AUTO(mem) char *hollow = output_folder();
    AUTO(mem) char *inner = xprintf("%s/a/b", hollow);
    assert_true(fs_mkdirs(inner, NULL));
    refuse(hollow, ERROR_TASK, "nothing was written");
    AUTO(mem) char *pipe_dir = output_folder();
    AUTO(mem) char *pipe_path = xprintf("%s/pipe", pipe_dir);
    assert_int_equal(mkfifo(pipe_path, 0666), 0);
    refuse(pipe_dir, ERROR_TASK, "'pipe' is neither a file nor a link");
    AUTO(mem) char *none = xprintf("%s/none", w.temp);
    refuse(none, ERROR_INPUT, "cannot open folder");
}

/* Links to outside data: by reference, linked to for a consumer, copied for an export. */
static void imports(void **state)
{
    AUTO(mem) char *file = outside("set/a.txt");
    AUTO(mem) char *deep = outside("set/b/c.txt");
    AUTO(mem) char *set = outside("set");
    AUTO(mem) char *alias = outside("alias");
    put(file, "aa");
    put(deep, "cc");
    assert_int_equal(symlink("set", alias), 0);
    AUTO(mem) char *dir = output_folder();
    put_in(dir, "list", "2");
    link_in(dir, "one", file);
    link_in(dir, "source", alias);
    struct record_output o = collect(dir);
    assert_int_equal(o.n, 3);
    assert_string_equal(o.file[1].source, file);
    assert_string_equal(o.file[2].source, set);
    assert_int_equal(o.file[2].size, 4);
    next_run();
    AUTO(mem) char *linked = xprintf("%s/linked", root);
    AUTO(mem) char *copied = xprintf("%s/copied", root);
    struct error err = {0};
    assert_true(fs_mkdirs(linked, &err) && fs_mkdirs(copied, &err));
    assert_true(artifacts_write(w.store, &o, linked, false, &err));
    expect_folder(linked, "list=2 one=aa source=/ ");
    AUTO(mem) char *source = xprintf("%s/source", linked);
    expect_folder(source, "a.txt=aa b/c.txt=cc ");
    assert_true(artifacts_write(w.store, &o, copied, true, &err));
    expect_folder(copied, "list=2 one=aa source/a.txt=aa source/b/c.txt=cc ");
    AUTO(mem) char *copy = xprintf("%s/source/a.txt", copied);
    struct stat st;
    assert_true(lstat(copy, &st) == 0 && S_ISREG(st.st_mode));
    /* changed data is not passed on as if it were the old, and is no fault of the store's */
    put(deep, "dd!");
    AUTO(mem) char *late = xprintf("%s/late", root);
    assert_true(fs_mkdirs(late, &err));
    assert_false(artifacts_write(w.store, &o, late, true, &err));
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_non_null(strstr(err.text, "output 'out': outside data changed or is gone: '"));
    expect_file(copy, "aa");
    done(&o);
}

/* A damaged object: ERROR_DAMAGE, no half folder, and making it again heals. */
static void damage(void **state)
{
    for (int how = 0; how < 3; how++) {
        AUTO(mem) char *dir = output_folder();
        put_in(dir, "a", "first");
        put_in(dir, "b", "second, to be damaged");
        struct record_output o = collect(dir);
        next_run();
        AUTO(mem) char *object = object_path("second, to be damaged");
        AUTO(mem) char *bytes = NULL;
        size_t n;
        assert_true(fs_read_file(object, &bytes, &n, NULL));
        bytes[n / 2] ^= 1;
        assert_int_equal(unlink(object), 0);
        if (how < 2)
            assert_true(fs_write_file(object, bytes, how ? n / 2 : n, NULL));
        const char *path;
        struct error err = {0};
        assert_false(artifacts_folder(w.artifacts, &o, &path, &err));
        assert_int_equal(err.code, ERROR_DAMAGE);
        assert_false(fs_exists(object));
        AUTO(mem) char *all = xprintf("%s/artifacts", w.temp);
        expect_folder(all, "");
        AUTO(mem) char *twin = output_folder();
        put_in(twin, "a", "first");
        put_in(twin, "b", "second, to be damaged");
        struct record_output again = collect(twin);
        assert_true(digest_equal(&o.digest, &again.digest));
        next_run();
        AUTO(mem) char *healed = folder(&o);
        expect_folder(healed, "a=first b=second, to be damaged ");
        done(&again);
        done(&o);
    }
}

/* Someone writes into a folder that was for reading: noticed by all that began before, made anew for the
 * next. */
static void changed(void **state)
{
    static const char *const how[] = {"more", "sub/less", "same size"};
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        AUTO(mem) char *dir = output_folder();
        AUTO(mem) char *content = xprintf("input %zu", i);
        AUTO(mem) char *want = xprintf("a=%s sub/b=b ", content);
        put_in(dir, "a", content);
        put_in(dir, "sub/b", "b");
        struct record_output o = collect(dir);
        AUTO(mem) char *ready = folder(&o);
        size_t before = artifacts_spoilt(w.artifacts);
        assert_true(artifacts_unchanged(w.artifacts, &o, before));
        AUTO(mem) char *path = xprintf("%s/%s", ready, i == 0 ? "more" : i == 1 ? "sub/b" : "a");
        if (i == 1)
            assert_int_equal(unlink(path), 0);
        else
            put(path, "INPUT x"); /* as long as it was, where it was there */
        assert_false(artifacts_unchanged(w.artifacts, &o, before));
        assert_true(artifacts_spoilt(w.artifacts) > before); /* the folder, and its file where that was */
        AUTO(mem) char *anew = folder(&o);
        expect_folder(anew, want);
        assert_true(
            artifacts_unchanged(w.artifacts, &o, artifacts_spoilt(w.artifacts))); /* for who begins now */
        assert_false(artifacts_unchanged(w.artifacts, &o, before)); /* for who had begun before */
        done(&o);
    }
}

static int setup(void **state)
{
    if (!mkdtemp(root))
        return 1;
    next_run();
    return 0;
}
static int teardown(void **state)
{
    artifacts_free(w.artifacts);
    store_close(w.store);
    free(w.temp);
    return !fs_remove_tree(root, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(files),    cmocka_unit_test(input_links),
                                       cmocka_unit_test(outlived), cmocka_unit_test(bad_links),
                                       cmocka_unit_test(imports),  cmocka_unit_test(damage),
                                       cmocka_unit_test(changed),  cmocka_unit_test(unread)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
