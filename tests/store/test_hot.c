/* Plain files that lie ready: shared, made anew when somebody wrote to one, gone when unused for longest; and
 * claims on keys, which die with their holder. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/hot.h"
#include "tests/test.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/weft-hot-XXXXXX";

static struct store *open_store(void)
{
    AUTO(mem) char *path = xprintf("%s/store", root);
    struct store *s;
    struct error err = {0};
    if (!store_open(path, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

static struct digest put(struct store *s, const char *text)
{
    AUTO(mem) char *in = xprintf("%s/in", root);
    struct digest d;
    assert_true(fs_write_file(in, text, strlen(text), NULL));
    assert_true(store_put_file(s, in, &d, NULL, NULL));
    return d;
}

static char *hot(struct store *s, const struct digest *d, const char *text)
{
    struct error err = {0};
    AUTO(mem) char *back = NULL;
    char *path = store_hot(s, d, (int64_t)strlen(text), &err);
    if (!path || !fs_read_file(path, &back, NULL, &err))
        fail_msg("%s", err.text);
    assert_string_equal(back, text);
    return path;
}

static size_t trim(struct store *s, int64_t limit)
{
    int64_t bytes;
    size_t n;
    store_hot_trim(s, limit, &bytes, &n);
    return n;
}

static void written_to(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest d = put(s, "content"), found;
    int64_t size;
    AUTO(mem) char *path = hot(s, &d, "content");
    assert_true(store_hot_digest(s, path, &found, &size) && digest_equal(&found, &d) && size == 7);
    assert_false(store_hot_digest(s, root, &found, &size));
    assert_true(store_hot_unchanged(s, &d));
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(fs_write_file(path, "CONTENT", 7, NULL)); /* as long as it was */
    assert_false(store_hot_unchanged(s, &d));
    assert_false(fs_exists(path));
    AUTO(mem) char *again = hot(s, &d, "content");
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(fs_write_file(path, "other", 5, NULL));
    AUTO(mem) char *third = hot(s, &d, "content"); /* nobody had asked: it is seen when it is needed */
}

static void adopted(void **state)
{
    AUTO(store) struct store *s = open_store();
    AUTO(mem) char *file = xprintf("%s/output", root);
    struct digest d = put(s, "made by a task");
    assert_true(fs_write_file(file, "made by a task", 14, NULL));
    AUTO(mem) char *path = store_hot_adopt(s, &d, 14, file);
    assert_non_null(path);
    assert_false(fs_exists(file));
    AUTO(mem) char *same = hot(s, &d, "made by a task");
    assert_string_equal(path, same);
}

/* What is used last stays, and what is in use: by this store, by another one, by a process that lives. */
static void room(void **state)
{
    AUTO(store) struct store *s = open_store();
    trim(s, 0);
    static const char *const text[] = {"first", "other", "third"};
    struct digest d[3];
    for (int i = 0; i < 3; i++) {
        d[i] = put(s, text[i]);
        AUTO(mem) char *path = hot(s, &d[i], text[i]);
        usleep(2000); /* the kernel's clock for files is coarse */
    }
    assert_true(store_flush(s, NULL));
    AUTO(store) struct store *other = open_store();
    store_hot_drop(s, &d[1]);
    store_hot_drop(s, &d[2]);
    AUTO(mem) char *theirs = hot(other, &d[1], text[1]);
    assert_int_equal(trim(s, 0), 1); /* the third alone */
    AUTO(mem) char *mine = hot(s, &d[0], text[0]);
    store_hot_drop(s, &d[0]);
    assert_int_equal(trim(other, 0), 0); /* used twice, dropped once */
    store_hot_drop(s, &d[0]);
    usleep(2000);
    AUTO(mem) char *last = hot(s, &d[2], text[2]);
    store_hot_drop(s, &d[2]);
    store_hot_drop(other, &d[1]);
    assert_int_equal(trim(s, 5), 2); /* room for one of them: that used last */
    assert_true(fs_exists(last));
    assert_false(fs_exists(theirs));
}

/* The folder of another boot goes, that of this one stays. */
static void boots(void **state)
{
    AUTO(mem) char *old = xprintf("%s/store/hot/another-boot/ab", root);
    AUTO(mem) char *torn = xprintf("%s/cdef", old);
    assert_true(fs_mkdirs(old, NULL) && fs_write_file(torn, "torn", 4, NULL));
    AUTO(store) struct store *s = open_store();
    struct digest d = put(s, "content");
    AUTO(mem) char *path = hot(s, &d, "content");
    assert_false(fs_exists(old));
    assert_non_null(strstr(path, fs_boot_id()));
}

/* A process that holds the claim and waits, until it is killed. */
static pid_t holder(const struct digest *key)
{
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct store *s = open_store();
        c = store_claim(s, key, NULL) ? 'y' : 'n';
        (void)!write(ready[1], &c, 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void claims(void **state)
{
    struct digest key, near;
    hash_bytes("key", 3, &key);
    near = key;
    near.byte[8] ^= 4; /* the last bits that count */
    pid_t pid = holder(&key);
    AUTO(store) struct store *s = open_store();
    struct error err = {0};
    assert_false(store_claim(s, &key, &err));
    assert_int_equal(err.code, ERROR_NONE);
    assert_true(store_claim(s, &near, &err));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(store_claim(s, &key, &err));
    AUTO(store) struct store *other = open_store();
    assert_false(store_claim(other, &key, &err)); /* of one process, too */
    store_unclaim(s, &key);
    assert_true(store_claim(other, &key, &err));
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(written_to), cmocka_unit_test(adopted),
                                       cmocka_unit_test(room), cmocka_unit_test(boots),
                                       cmocka_unit_test(claims)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
