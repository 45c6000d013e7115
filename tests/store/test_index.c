/* The index: whatever becomes of its file, and of records and objects behind its back, what is found is what
 * the records say. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/gc.h"
#include "cache/store.h"
#include "tests/test.h"
#include <fcntl.h>

#define RECORDS 3

static char root[] = "/tmp/weft-index-XXXXXX";
static struct digest key[RECORDS], content[RECORDS];

static struct fs_ops quick; /* no power is lost here */

static int no_sync(int fd)
{
    return 0;
}

static char *at(const char *name)
{
    return xprintf("%s/%s", root, name);
}

static char *file_of(const char *kind, const struct digest *d)
{
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    return xprintf("%s/store/%s/%.2s/%s", root, kind, hex, hex + 2);
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

/* Record i: outputs "one", a file, and "many", two files, the second of them the same in all records. */
static void put(struct store *s, int i)
{
    AUTO(mem) char *in = at("in");
    AUTO(mem) char *mine = xprintf("content %d", i);
    AUTO(mem) char *text = xprintf("weft-key 1\nstage demo %d\n", i);
    AUTO(mem) char *task = xprintf("demo[%d]", i);
    struct record_file f[3] = {{.name = (char *)(uintptr_t) "a"}, {.name = (char *)(uintptr_t) "b"}};
    assert_true(fs_write_file(in, mine, strlen(mine), NULL));
    assert_true(store_put_file(s, in, &f[0].digest, &f[0].size, NULL));
    assert_true(fs_write_file(in, "shared", 6, NULL));
    assert_true(store_put_file(s, in, &f[1].digest, &f[1].size, NULL));
    f[2] = f[0];
    f[2].name = (char *)(uintptr_t) "c";
    struct record_output o[2] = {
        {.port = (char *)(uintptr_t) "one", .file = &f[0], .n = 1},
        {.port = (char *)(uintptr_t) "many", .file = &f[1], .n = 2, .samples = 40 + i}};
    struct record r = {.text = text,
                       .task = task,
                       .stage = (char *)(uintptr_t) "demo",
                       .when = (char *)(uintptr_t) "2026-01-01T00:00:00Z",
                       .seconds = 1.5 + i,
                       .threads = 2,
                       .peak_rss = 1000 + i,
                       .read = 2000 + i,
                       .samples = 3000 + i,
                       .cost = {.flops = 4000.5 + i, .bytes = 5000 + i, .peak = 6000 + i, .rule = 1 + i % 2},
                       .host = (char *)(uintptr_t) "from",
                       .node = (char *)(uintptr_t)(i % 2 ? "at" : ""),
                       .output = o,
                       .n = 2};
    hash_bytes(text, strlen(text), &r.key);
    AUTO(mem) char *before = file_of("records", &r.key);
    unlink(before);
    key[i] = r.key;
    content[i] = f[0].digest;
    assert_true(store_put_record(s, &r, NULL));
}

/* Looks record i up: 1 a hit that says what the record says, 0 a miss, -1 lost. */
static int look(struct store *s, int i)
{
    const struct index_entry *e;
    enum store_state state;
    struct error err = {0};
    if (!store_look_up(s, &key[i], &e, &state, &err))
        fail_msg("%s", err.text);
    if (!e)
        return state == STORE_LOST ? -1 : 0;
    struct record *r;
    struct record_summary m;
    assert_true(store_get_record(s, &key[i], &r, &err));
    assert_non_null(r);
    record_summary_of(e, &m);
    assert_memory_equal(m.key, &r->key, sizeof r->key);
    assert_string_equal(m.stage, r->stage);
    assert_string_equal(m.task, r->task);
    assert_string_equal(m.when, r->when);
    assert_true(m.seconds == r->seconds && m.threads == r->threads && m.peak_rss == r->peak_rss);
    assert_true(m.read == r->read && m.samples == r->samples && !memcmp(&m.cost, &r->cost, sizeof m.cost));
    assert_string_equal(m.node, *r->node ? r->node : r->host);
    assert_true(m.told == (*r->node != '\0') && !m.freed);
    assert_int_equal(m.outputs, r->n);
    for (size_t k = 0; k < r->n; k++) {
        const struct record_output *o = &r->output[k];
        int64_t bytes = o->file[0].size + (o->n > 1 ? o->file[1].size : 0);
        assert_true(m.content[k].bytes == bytes && m.content[k].samples == o->samples);
        assert_ptr_equal(index_content(e, o->port), &m.content[k]);
    }
    assert_null(index_content(e, "on"));
    for (size_t k = 0; k < r->n; k++)
        assert_memory_equal(index_output(e, r->output[k].port), &r->output[k].digest, sizeof(struct digest));
    assert_null(index_output(e, "on"));
    record_free(r);
    return 1;
}

static void expect_all(int want)
{
    AUTO(store) struct store *s = open_store();
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(look(s, i), want);
}

static bool add_one(void *arg, const struct record_summary *m)
{
    *(double *)arg += m->seconds;
    return true;
}

static double seconds_of_all(void)
{
    AUTO(store) struct store *s = open_store();
    double sum = 0;
    assert_true(store_each_summary(s, add_one, &sum, NULL));
    return sum;
}

static char *read_index(size_t *n)
{
    AUTO(mem) char *path = at("store/index");
    char *text;
    assert_true(fs_read_file(path, &text, n, NULL));
    return text;
}

static void write_index(const char *text, size_t n)
{
    AUTO(mem) char *path = at("store/index");
    unlink(path); /* some file systems wait for the disk when a file is written over */
    assert_true(fs_write_file(path, text, n, NULL));
}

/* The index alone is enough for a hit: nothing reads a record that is the one it was made from. */
static void remembers(void **state)
{
    expect_all(1);
    AUTO(mem) char *path = file_of("records", &key[0]);
    AUTO(store) struct store *s = open_store();
    assert_int_equal(chmod(path, 0), 0);
    const struct index_entry *e;
    enum store_state found;
    static struct fs_ops blind;
    blind = quick;
    assert_int_equal(look(s, 1), 1); /* the index is read */
    blind.open = NULL;               /* a call would not go unseen */
    fs = &blind;
    assert_true(store_look_up(s, &key[0], &e, &found, NULL));
    fs = &quick;
    assert_non_null(e);
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(seconds_of_all() == 7.5);
}

/* Each byte flipped, each length: found as without an index, and appended to as if nothing were wrong. */
static void damage(void **state)
{
    expect_all(1);
    size_t n;
    AUTO(mem) char *good = read_index(&n);
    AUTO(mem) char *bad = xmalloc(n);
    assert_true(n > RECORDS * sizeof(struct index_entry));
    for (size_t i = 0; i < 2 * n; i++) {
        memcpy(bad, good, n);
        bad[i % n] ^= (char)(i < n ? 1 << i % 8 : 0);
        write_index(bad, i < n ? n : i - n);
        expect_all(1);
        assert_true(seconds_of_all() == 7.5);
    }
    write_index(good, n - 3); /* a write that was cut short; the next one comes after it */
    AUTO(store) struct store *s = open_store();
    put(s, 2);
    store_close(s);
    s = NULL;
    size_t longer;
    AUTO(mem) char *now = read_index(&longer);
    assert_true(longer > n && longer % 8 == 0);
    expect_all(1);
    write_index("", 0);
    expect_all(1);
    write_index(good, n);
}

static void gone(void **state)
{
    AUTO(mem) char *index = at("store/index");
    for (int with = 0; with < 2; with++) {
        AUTO(mem) char *object = file_of("objects", &content[0]);
        AUTO(mem) char *record = file_of("records", &key[1]);
        expect_all(1);
        if (!with)
            assert_int_equal(unlink(index), 0);
        AUTO(store) struct store *s = open_store();
        assert_int_equal(look(s, 0), 1);
        assert_int_equal(look(s, 1), 1);
        assert_int_equal(unlink(object), 0); /* behind the back of an open store */
        assert_int_equal(unlink(record), 0);
        assert_int_equal(look(s, 0), -1);
        assert_int_equal(look(s, 1), 0);
        assert_int_equal(look(s, 2), 1);
        assert_true(seconds_of_all() == 5);
        put(s, 0);
        put(s, 1);
    }
}

/* A record that is written over, in place or by another file, is read anew; a damaged one is a miss and moved
 * away. */
static void replaced(void **state)
{
    AUTO(mem) char *path = file_of("records", &key[0]);
    AUTO(mem) char *text = NULL;
    size_t n;
    expect_all(1);
    assert_true(fs_read_file(path, &text, &n, NULL));
    for (size_t i = 0; i < n; i += 5) {
        AUTO(store) struct store *s = open_store();
        put(s, 0);
        text[i] ^= 2;
        assert_true(i % 2 ? fs_write_file(path, text, n, NULL) : fs_publish(path, text, n, false, NULL));
        text[i] ^= 2;
        assert_int_equal(look(s, 0), 0);
        assert_false(fs_exists(path));
    }
    assert_true(fs_write_file(path, text, n, NULL));
    expect_all(1);
}

/* Two stores open at once append to one file; entries that are out of use go some day. */
static void grows(void **state)
{
    AUTO(store) struct store *one = open_store();
    AUTO(store) struct store *two = open_store();
    for (int i = 0; i < 800; i++) {
        put(one, 0);
        put(two, 1);
    }
    store_close(one);
    store_close(two);
    one = two = NULL;
    size_t n, less;
    AUTO(mem) char *before = read_index(&n);
    assert_true(n > 1600 * sizeof(struct index_entry));
    expect_all(1);
    AUTO(mem) char *after = read_index(&less);
    assert_true(less < 4 * RECORDS * sizeof(struct index_entry));
    expect_all(1);
}

static int setup(void **state)
{
    if (!mkdtemp(root))
        return 1;
    quick = fs_real;
    quick.fsync = no_sync;
    fs = &quick;
    AUTO(store) struct store *s = open_store();
    for (int i = 0; i < RECORDS; i++)
        put(s, i);
    return 0;
}
static int teardown(void **state)
{
    return !fs_remove_tree(root, NULL);
}

/* Entries of records that were removed go too, once there are many. */
static void removed(void **state)
{
    AUTO(mem) char *index = at("store/index");
    AUTO(store) struct store *s = open_store();
    struct gc_report r;
    struct stat full, left;
    for (int i = 0; i < 1100; i++) {
        AUTO(mem) char *text = xprintf("weft-key 1\nstage none %d\n", i);
        struct record rec = {.text = text, .stage = text, .task = text, .seconds = i < 1090};
        hash_bytes(text, strlen(text), &rec.key);
        assert_true(store_put_record_soon(s, &rec, NULL));
    }
    assert_true(store_flush(s, NULL));
    store_close(s);
    assert_int_equal(stat(index, &full), 0);
    s = open_store();
    assert_true(store_gc(s, &(struct gc_options){.max_size = 1}, &r, NULL));
    assert_true(r.removed >= 1100);
    store_close(s);
    s = open_store();
    assert_int_equal(stat(index, &left), 0);
    assert_true(left.st_size < full.st_size / 100);
}

/* A bit of a record's file flips, and its stat does not tell: what is read of a hit is right or not there. */
static void flipped(void **state)
{
    struct stat st;
    char byte;
    AUTO(store) struct store *s = open_store();
    for (int i = 0; i < RECORDS; i++)
        put(s, i);
    AUTO(mem) char *file = file_of("records", &key[0]);
    AUTO(fd) int fd = open(file, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 0; at < st.st_size; at += 7) {
        const struct index_entry *e;
        enum store_state found;
        struct record *r;
        assert_true(store_look_up(s, &key[0], &e, &found, NULL) && found == STORE_HIT);
        assert_true(store_get_found(s, e, &r, NULL) && r && digest_equal(&r->key, &key[0]));
        record_free(r);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (char)(1 << at % 7);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        const struct timespec time[2] = {st.st_atim, st.st_mtim};
        assert_int_equal(futimens(fd, time), 0);
        assert_true(store_get_found(s, e, &r, NULL));
        assert_null(r);
        assert_false(fs_exists(file)); /* in quarantine */
        byte ^= (char)(1 << at % 7);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(futimens(fd, time), 0);
        char hex[DIGEST_HEX];
        AUTO(mem) char *aside = xprintf("%s/store/quarantine/record-%s", root, digest_hex(&key[0], hex));
        assert_int_equal(rename(aside, file), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(remembers), cmocka_unit_test(damage),
                                       cmocka_unit_test(gone),      cmocka_unit_test(replaced),
                                       cmocka_unit_test(grows),     cmocka_unit_test(removed),
                                       cmocka_unit_test(flipped)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
