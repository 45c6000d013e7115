/* Objects through the store: settings, parts, the memo of what was verified, what lies under a wrong name. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/pack_format.h"
#include "cache/store_impl.h"
#include "cache/verified.h"
#include "tests/test.h"
#include <fcntl.h>
#include <string.h>

static char root[] = "/tmp/weft-object-XXXXXX";

static char *at(const char *name)
{
    return xprintf("%s/%s", root, name);
}
static struct store *open_store(void)
{
    AUTO(mem) char *path = at("store");
    struct store *s;
    struct error err = {0};
    if (!store_open(path, &s, &err))
        fail_msg("%s", err.text);
    return s;
}
static void configure(const char *name, json_int_t value)
{
    AUTO(mem) char *path = at("store/config");
    AUTO_JSON j = fs_exists(path) ? json_read(path, NULL) : json_object();
    json_object_set_new(j, name, json_integer(value));
    assert_true(json_write(path, j, NULL));
}

/* Words in an order that repeats late. */
static char *words(size_t n)
{
    char *p = xmalloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = "objects are content by digest"[(uint32_t)i * 2654435761u / 4096 % 29];
    return p;
}
static struct digest put(struct store *s, const char *p, size_t n)
{
    AUTO(mem) char *in = at("in");
    struct digest d;
    int64_t size;
    struct error err = {0};
    assert_true(fs_write_file(in, p, n, NULL));
    if (!store_put_file(s, in, &d, &size, &err))
        fail_msg("%s", err.text);
    assert_int_equal(size, n);
    if (!store_flush(s, &err)) /* published */
        fail_msg("%s", err.text);
    return d;
}
/* As p: true; ERROR_DAMAGE: false. */
static bool get(struct store *s, const struct digest *d, const char *p, size_t n)
{
    AUTO(mem) char *out = at("out");
    AUTO(mem) char *back = NULL;
    struct error err = {0};
    size_t len;
    unlink(out);
    if (!store_get_file(s, d, (int64_t)n, out, &err)) {
        assert_int_equal(err.code, ERROR_DAMAGE);
        assert_false(fs_exists(out));
        return false;
    }
    assert_true(fs_read_file(out, &back, &len, NULL) && len == n);
    assert_memory_equal(back, p, n);
    return true;
}

static void blocks_and_threads(void **state)
{
    size_t n = 300000;
    AUTO(mem) char *p = words(n);
    store_close(open_store());
    configure("block", 65536);
    for (int threads = 0; threads < 4; threads++) {
        configure("threads", threads);
        AUTO(store) struct store *s = open_store();
        AUTO(mem) char *name = NULL;
        struct pack_info i;
        const char *why;
        p[0] = (char)('0' + threads);
        struct digest d = put(s, p, n), again = put(s, p, n);
        assert_true(digest_equal(&d, &again) && store_has(s, &d));
        name = store_file(s, "objects", &d);
        AUTO(fd) int fd = open(name, O_RDONLY | O_CLOEXEC);
        assert_true(pack_open(&(struct frame_file){fd, name}, &i, &why, NULL));
        assert_int_equal(i.blocks, 5);
        assert_true(get(s, &d, p, n));
        char part[1000];
        for (int64_t from = 0; from + 1000 <= (int64_t)n; from += 9973) {
            assert_true(store_read_at(s, &d, (int64_t)n, from, part, sizeof part, NULL));
            assert_memory_equal(part, p + from, sizeof part);
        }
        struct error err = {0};
        assert_false(store_read_at(s, &d, (int64_t)n, (int64_t)n - 999, part, sizeof part, &err));
        assert_int_equal(err.code, ERROR_INPUT);
        assert_true(get(s, &d, p, n)); /* a question that makes no sense does no harm */
        AUTO(mem) char *tmp = at("store/tmp");
        char **list;
        size_t left;
        assert_true(fs_list_tree(tmp, &list, &left, NULL));
        fs_list_free(list, left);
        assert_true(left <= 1); /* .lock: what was there already left nothing behind */
    }
}

static void stat_of(struct store *s, const struct digest *d, struct stat *ret)
{
    assert_true(store_stat(s->objects, d, ret));
}

/* Marked by the first whole read; another file, or a lost or spoilt memo, is compared again. */
static void verified_once(void **state)
{
    AUTO(store) struct store *s = open_store();
    static const char text[] = "what was compared once, compared once";
    struct digest d = put(s, text, sizeof text), other;
    struct stat st, changed;
    AUTO(mem) char *memo = at("store/verified");
    stat_of(s, &d, &st);
    assert_false(verified_is(s, &d, &st));
    assert_true(get(s, &d, text, sizeof text));
    if (!fs_boot_id()[0])
        skip();
    assert_true(verified_is(s, &d, &st));
    changed = st;
    changed.st_ino++;
    assert_false(verified_is(s, &d, &changed));
    changed = st;
    changed.st_mtim.tv_nsec ^= 1;
    assert_false(verified_is(s, &d, &changed));
    changed = st;
    changed.st_size++;
    assert_false(verified_is(s, &d, &changed));
    other = d;
    other.byte[31] ^= 1; /* the same place in the table */
    assert_false(verified_is(s, &other, &st));
    verified_mark(s, &other, &st);
    assert_true(verified_is(s, &other, &st) && !verified_is(s, &d, &st));
    assert_true(get(s, &d, text, sizeof text));
    assert_true(verified_is(s, &d, &st));
    assert_true(fs_write_file(memo, "?", 1, NULL));
    assert_false(verified_is(s, &d, &st));
    assert_true(get(s, &d, text, sizeof text) && verified_is(s, &d, &st));
    assert_int_equal(unlink(memo), 0);
    assert_int_equal(mkdir(memo, 0777), 0); /* it cannot be written: no memo, no harm */
    assert_true(get(s, &d, text, sizeof text) && !verified_is(s, &d, &st));
    assert_int_equal(rmdir(memo), 0);
}

/* A file that is whole, but whose content is not what its header and name say. */
static void false_header(void **state)
{
    AUTO(store) struct store *s = open_store();
    static const char text[] = "the right content", wrong[] = "the wrong content";
    struct digest d = put(s, text, sizeof text), w = put(s, wrong, sizeof wrong);
    AUTO(mem) char *object = store_file(s, "objects", &d);
    AUTO(mem) char *other = store_file(s, "objects", &w);
    AUTO(mem) char *bytes = NULL;
    size_t n;
    struct pack_info i;
    assert_true(fs_read_file(other, &bytes, &n, NULL));
    assert_true(pack_header_read((uint8_t *)bytes, &i));
    assert_true(fs_write_file(object, bytes, n, NULL)); /* the file of another object */
    assert_false(get(s, &d, text, sizeof text));
    assert_false(store_has(s, &d));
    put(s, text, sizeof text);
    assert_true(get(s, &d, text, sizeof text));
    i.digest = d;
    pack_header_write(&i, (uint8_t *)bytes);
    unlink(object); /* another inode: the memo does not know it */
    assert_true(fs_write_file(other, bytes, n, NULL) && rename(other, object) == 0);
    assert_false(get(s, &d, text, sizeof text));
    put(s, text, sizeof text);
    assert_true(get(s, &d, text, sizeof text));
}

/* Also by a part that is read, and what the memo knows does not hide it. */
static void damage_is_found(void **state)
{
    AUTO(store) struct store *s = open_store();
    size_t n = 200000;
    AUTO(mem) char *p = words(n);
    char part[10];
    for (int how = 0; how < 2; how++) {
        struct digest d = put(s, p, n);
        AUTO(mem) char *object = store_file(s, "objects", &d);
        struct stat st;
        assert_true(get(s, &d, p, n));
        stat_of(s, &d, &st);
        AUTO(fd) int fd = open(object, O_RDWR | O_CLOEXEC);
        assert_true(fs_pwrite_all(fd, "\0\0\0\0", 4, st.st_size / 2, object, NULL));
        assert_int_equal(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
        if (how == 0) {
            assert_false(get(s, &d, p, n));
        } else {
            struct error err = {0};
            bool ok = true;
            for (int64_t from = 0; ok && from + 10 <= (int64_t)n; from += 10000)
                ok = store_read_at(s, &d, (int64_t)n, from, part, sizeof part, &err);
            assert_true(!ok && err.code == ERROR_DAMAGE);
        }
        assert_false(store_has(s, &d));
    }
}

static void not_a_file(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest d;
    int64_t size;
    struct error err = {0};
    AUTO(mem) char *none = at("none");
    assert_false(store_put_file(s, root, &d, &size, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_false(store_put_file(s, none, &d, &size, &err));
    assert_int_equal(err.code, ERROR_INPUT);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_and_threads), cmocka_unit_test(verified_once), cmocka_unit_test(false_header),
        cmocka_unit_test(damage_is_found),    cmocka_unit_test(not_a_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
