/* Verification: every kind of finding, what repair moves and that the next run makes it anew, and no false
 * finding beside others at work. */
#include "tests/store/findings.h"
#include "tests/store/results.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct result words = {.name = "words", .n = 900}, floats = {.name = "floats", .n = 800, .kind = 1},
                     freed = {.name = "freed", .n = 100};
static struct fs_ops ops;

static int fresh(void **state)
{
    AUTO(mem) char *path = at("store");
    fs_remove_tree(path, NULL);
    ops = quick_fs();
    return 0;
}

static char *in_store(const char *rel)
{
    return xprintf("%s/store/%s", root, rel);
}
static char *path_of(struct store *s, const char *kind, const struct digest *d)
{
    return store_file(s, kind, d);
}
static void flip(const char *path, off_t at_byte)
{
    AUTO(fd) int fd = open(path, O_RDWR | O_CLOEXEC);
    char c;
    assert_true(fd >= 0 && pread(fd, &c, 1, at_byte) == 1);
    c ^= 1;
    assert_int_equal(pwrite(fd, &c, 1, at_byte), 1);
}
static void plant(const char *rel, const char *text)
{
    AUTO(mem) char *path = in_store(rel);
    AUTO(mem) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    assert_true(fs_mkdirs(dir, NULL));
    assert_true(fs_write_file(path, text, strlen(text), NULL));
}
static size_t quarantined(void)
{
    AUTO(mem) char *dir = in_store("quarantine");
    char **list;
    size_t n;
    assert_true(fs_list_tree(dir, &list, &n, NULL));
    fs_list_free(list, n);
    return n;
}

static void fill(struct store *s)
{
    put_result(s, &words);
    put_result(s, &floats);
    put_result(s, &freed);
    assert_true(store_free(s, &freed.key, 1, NULL));
    put_checkpoint(s, 3);
    put_checkpoint(s, 4);
}

/* All that a store makes, and what others keep below it: nothing is wrong. */
static void clean(void **state)
{
    AUTO(store) struct store *s = open_store();
    AUTO(mem) char *outside = at("outside");
    struct digest d;
    int64_t size;
    fill(s);
    assert_true(fs_write_file(outside, "outside", 7, NULL) && store_import(s, outside, &d, &size, NULL));
    assert_true(check_result(s, &words)); /* STORE/verified */
    store_close(s);
    s = open_store(); /* STORE/index */
    AUTO(mem) char *temp = NULL;
    assert_true(store_temp_dir(s, &temp, NULL));
    AUTO(mem) char *attempt = xprintf("%s/attempt", temp);
    assert_true(fs_write_file(attempt, "?", 1, NULL));
    static const char *const own[] = {"usage",         "verified.1",   "hot/boot/ab/x",      "fetched/a/b/c",
                                      "runs/1/events", "locks/key.99", "quarantine/object-x"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        plant(own[i], "?");
    struct seen seen = verify(s, true);
    if (seen.n)
        fail_msg("%s: %s", seen.path, seen.why);
    assert_int_equal(seen.report.objects, 2);
    assert_int_equal(seen.report.records, 3);
    assert_int_equal(seen.report.checkpoints, 2);
    assert_true(seen.report.bytes > 0 && seen.bytes == seen.of && seen.of == seen.report.bytes);
    assert_true(fs_exists(attempt));
}

enum { FLIP = -1, GONE = -2, WRONG_NAME = -3 };
struct damage {
    const char *what; /* folder */
    int how;          /* one of the above, or the length to cut it to */
    enum verify_kind kind;
};

static void do_damage(struct store *s, const struct damage *d)
{
    bool checkpoint = d->kind == VERIFY_CHECKPOINT;
    struct digest id = checkpoint_id();
    bool object = strcmp(d->what, "objects") == 0;
    AUTO(mem) char *of = path_of(s, d->what, checkpoint ? &id : object ? &words.object : &words.key);
    AUTO(mem) char *path = checkpoint ? xprintf("%s/4", of) : xstrdup(of);
    AUTO(mem)
    char *other =
        checkpoint ? xprintf("%s/5", of) : path_of(s, d->what, object ? &floats.object : &floats.key);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    if (d->how == FLIP)
        flip(path, st.st_size / 2);
    else if (d->how == GONE)
        assert_int_equal(unlink(path), 0);
    else if (d->how == WRONG_NAME && checkpoint)
        assert_int_equal(rename(path, other), 0);
    else if (d->how == WRONG_NAME) {
        assert_int_equal(unlink(path), 0);
        assert_int_equal(link(other, path), 0);
    } else
        assert_int_equal(truncate(path, d->how), 0);
}

/* Told without repair and nothing moved; told again and moved with it; a miss then, until it is put again. */
static void damages(void **state)
{
    static const struct damage damage[] = {
        {"objects", FLIP, VERIFY_OBJECT},
        {"objects", 0, VERIFY_OBJECT},
        {"objects", 100, VERIFY_OBJECT},
        {"objects", WRONG_NAME, VERIFY_OBJECT},
        {"objects", GONE, VERIFY_MISSING},
        {"records", FLIP, VERIFY_RECORD},
        {"records", 0, VERIFY_RECORD},
        {"records", WRONG_NAME, VERIFY_RECORD},
        {"checkpoints", FLIP, VERIFY_CHECKPOINT},
        {"checkpoints", 0, VERIFY_CHECKPOINT},
        {"checkpoints", 300, VERIFY_CHECKPOINT},
        {"checkpoints", WRONG_NAME, VERIFY_CHECKPOINT},
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        const struct damage *d = &damage[i];
        fresh(NULL);
        AUTO(store) struct store *s = open_store();
        fill(s);
        do_damage(s, d);
        struct seen seen = verify(s, false), again = verify(s, true);
        if (seen.n != 1 || seen.kind != d->kind || seen.report.repaired || !*seen.why)
            fail_msg("%zu: %zu findings, the last: %s %s", i, seen.n, seen.path, seen.why);
        assert_int_equal(strncmp(seen.path, d->kind == VERIFY_MISSING ? "records/" : d->what, 7), 0);
        /* A record whose object went to quarantine goes there too. */
        bool both = d->kind == VERIFY_OBJECT;
        assert_int_equal(again.n, both ? 2 : 1);
        assert_int_equal(again.report.findings[d->kind], 1);
        assert_int_equal(again.report.findings[VERIFY_MISSING], both || d->kind == VERIFY_MISSING);
        assert_int_equal(again.report.repaired, again.n);
        assert_int_equal(quarantined(), again.n);
        assert_int_equal(check_result(s, &words), d->kind == VERIFY_CHECKPOINT);
        assert_true(check_result(s, &floats));
        assert_int_equal(verify(s, false).n, 0);
        put_result(s, &words);
        if (d->kind == VERIFY_CHECKPOINT) {
            assert_true(check_checkpoint(s, 3)); /* the one before */
            put_checkpoint(s, 4);
        }
        assert_true(check_result(s, &words) && check_checkpoint(s, 4));
        seen = verify(s, false);
        assert_true(!seen.n && seen.report.objects == 2 && seen.report.records == 3);
    }
}

/* Files and folders in every place; what was somebody's is kept, and replaces nothing. */
static void foreign(void **state)
{
    static const char *const at_place[] = {"notes.txt",
                                           "folder/with/files",
                                           "objects/x",
                                           "objects/ab/x",
                                           "objects/zz/y",
                                           "records/ab/record.json",
                                           "checkpoints/ab/x",
                                           "imports/x",
                                           "imports/by-content/ab/x",
                                           "imports/ab/x",
                                           "tmp/x",
                                           "configuration",
                                           "objects/ab/cdef.tmp",
                                           "by-content/x"};
    AUTO(store) struct store *s = open_store();
    fill(s);
    size_t n = sizeof at_place / sizeof *at_place;
    struct digest id = checkpoint_id();
    AUTO(mem) char *states = path_of(s, "checkpoints", &id);
    AUTO(mem) char *step = xprintf("%s/04", states);
    AUTO(mem) char *notes = in_store("notes.txt");
    AUTO(mem) char *link_path = in_store("records/ab/link");
    AUTO(mem) char *kept = NULL;
    struct digest d;
    char hex[DIGEST_HEX];
    for (size_t i = 0; i < n; i++)
        plant(at_place[i], "precious");
    assert_true(fs_write_file(step, "?", 1, NULL));
    assert_int_equal(symlink("/nowhere", link_path), 0);
    struct seen seen = verify(s, false);
    assert_int_equal(seen.report.findings[VERIFY_FOREIGN], n + 2);
    assert_int_equal(seen.n, n + 2);
    assert_true(fs_exists(notes));
    seen = verify(s, true);
    assert_int_equal(seen.report.repaired, n + 2);
    assert_false(fs_exists(notes));
    plant("notes.txt", "other");
    assert_int_equal(verify(s, true).report.repaired, 1);
    assert_int_equal(verify(s, false).n, 0);
    hash_bytes("notes.txt", 9, &d);
    AUTO(mem) char *first = xprintf("%s/store/quarantine/foreign-%s", root, digest_hex(&d, hex));
    assert_true(fs_read_file(first, &kept, NULL, NULL));
    assert_string_equal(kept, "precious");
    assert_true(check_result(s, &words) && check_result(s, &floats) && check_checkpoint(s, 4));
}

/* A freed record may miss its objects; computed anew it may not. */
static void freed_record(void **state)
{
    AUTO(store) struct store *s = open_store();
    fill(s);
    AUTO(mem) char *object = path_of(s, "objects", &freed.object);
    assert_false(fs_exists(object));
    assert_int_equal(verify(s, true).n, 0);
    put_result(s, &freed);
    assert_int_equal(unlink(object), 0);
    struct seen seen = verify(s, false);
    assert_true(seen.n == 1 && seen.kind == VERIFY_MISSING);
    assert_non_null(strstr(seen.why, "1 of its objects"));
}

static int no_rename(const char *from, const char *to)
{
    errno = EROFS;
    return -1;
}
static ssize_t no_pread(int fd, void *p, size_t n, off_t where)
{
    errno = EIO;
    return -1;
}

/* What cannot be moved or read is no clean bill: an error, and nothing is lost. */
static void failures(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct verify_options o = {.repair = true};
    struct verify_report report;
    struct error err = {0};
    fill(s);
    AUTO(mem) char *object = path_of(s, "objects", &words.object);
    flip(object, 80);
    ops.rename = no_rename;
    assert_false(store_verify(s, &o, &report, &err));
    assert_int_equal(err.code, ERROR_SYSTEM);
    assert_non_null(strstr(err.text, "quarantine"));
    assert_true(fs_exists(object));
    ops = quick_fs();
    ops.pread = no_pread;
    assert_false(store_verify(s, &o, &report, &err));
    assert_true(fs_exists(object));
    ops = quick_fs();
    assert_int_equal(verify(s, true).report.findings[VERIFY_OBJECT], 1);
}

/* One that computes, replaces, lets go and drops all the time. */
static void busy(int turns)
{
    AUTO(store) struct store *s = open_store();
    struct digest id = checkpoint_id();
    for (int i = 0; i < turns; i++) {
        put_result(s, &words);
        put_result(s, &freed);
        put_checkpoint(s, 3);
        put_checkpoint(s, 4 + i % 3);
        assert_true(store_free(s, &freed.key, 1, NULL));
        if (i % 2)
            assert_true(store_free(s, &words.key, 1, NULL));
        store_checkpoint_drop_below(s, &id, 5);
        if (i % 7 == 0)
            store_checkpoint_drop_all(s, &id);
    }
}

static void beside_others(void **state)
{
    AUTO(store) struct store *s = open_store();
    put_result(s, &floats);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        busy(400);
        _exit(0);
    }
    int status, looks = 0;
    for (bool running = true; running; looks++) { /* once more when it is done */
        running = waitpid(child, &status, WNOHANG) == 0;
        struct seen seen = verify(s, looks % 2);
        if (seen.n)
            fail_msg("%s %s: %s", verify_kind_name(seen.kind), seen.path, seen.why);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(looks > 1 && check_result(s, &floats));
    assert_int_equal(quarantined(), 0);
}

int main(void)
{
    ops = quick_fs();
    fs = &ops;
    if (!mkdtemp(root))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(clean, fresh),    cmocka_unit_test_setup(damages, fresh),
        cmocka_unit_test_setup(foreign, fresh),  cmocka_unit_test_setup(freed_record, fresh),
        cmocka_unit_test_setup(failures, fresh), cmocka_unit_test_setup(beside_others, fresh),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(words.content);
    free(floats.content);
    free(freed.content);
    fs_remove_tree(root, NULL);
    return failed;
}
