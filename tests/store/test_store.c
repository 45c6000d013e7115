/* The store: round trips, damage of every byte, temporary folders, imports. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include "tests/test.h"
#include <sys/wait.h>

static char root[] = "/tmp/weft-store-XXXXXX";
static char *at(const char *name)
{
    return xprintf("%s/%s", root, name);
}

static void put(struct store *s, const char *text, size_t n, struct digest *d)
{
    AUTO(mem) char *file = at("in");
    struct error err = {0};
    int64_t size;
    assert_true(fs_write_file(file, text, n, &err));
    assert_true(store_put_file(s, file, d, &size, &err));
    assert_int_equal(size, n);
}

/* 1: right content came back; 0: ERROR_DAMAGE; anything else fails the test. */
static int get(struct store *s, const struct digest *d, const char *text, size_t n)
{
    AUTO(mem) char *file = at("out");
    struct error err = {0};
    unlink(file);
    if (!store_get_file(s, d, (int64_t)n, file, &err)) {
        assert_int_equal(err.code, ERROR_DAMAGE);
        assert_false(fs_exists(file));
        return 0;
    }
    AUTO(mem) char *back = NULL;
    size_t len;
    assert_true(fs_read_file(file, &back, &len, &err));
    assert_int_equal(len, n);
    assert_memory_equal(back, text, n);
    return 1;
}

static struct store *open_store(void)
{
    AUTO(mem) char *path = at("store");
    struct store *s;
    struct error err = {0};
    assert_true(store_open(path, &s, &err));
    return s;
}

static char *object_path(const struct digest *d)
{
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    return xprintf("%s/store/objects/%.2s/%s", root, hex, hex + 2);
}

static void objects(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest d;
    put(s, "", 0, &d);
    assert_int_equal(get(s, &d, "", 0), 1);
    size_t n = 3 * 1024 * 1024 + 17;
    AUTO(mem) char *big = xmalloc(n);
    for (size_t i = 0; i < n; i++)
        big[i] = "content by its digest, records by their key"[(uint32_t)i * 2654435761u / 4096 % 43];
    put(s, big, n, &d);
    put(s, big, n, &d);
    assert_int_equal(get(s, &d, big, n), 1);
    assert_true(store_has(s, &d));
    AUTO(mem) char *object = object_path(&d);
    AUTO(mem) char *command = xprintf("zstd -q -d -c %s | cmp -s - %s/in", object, root);
    assert_int_equal(system(command), 0); /* any zstd reads it */
}

/* Each byte flipped and each length: right content or damage, and then a put heals it. */
static void damaged_object(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest d;
    static const char text[] = "small content, small content, small content";
    put(s, text, sizeof text, &d);
    AUTO(mem) char *path = object_path(&d);
    AUTO(mem) char *good = NULL;
    size_t n;
    struct error err = {0};
    assert_true(store_flush(s, &err)); /* published */
    assert_true(fs_read_file(path, &good, &n, &err));
    AUTO(mem) char *bad = xmalloc(n);
    int seen = 0;
    for (size_t i = 0; i < 2 * n; i++) {
        memcpy(bad, good, n);
        bad[i % n] ^= (char)(1 << (i % 8));
        assert_true(fs_write_file(path, bad, i < n ? n : i - n, &err));
        seen += !get(s, &d, text, sizeof text);
        put(s, text, sizeof text, &d);
        assert_int_equal(get(s, &d, text, sizeof text), 1);
    }
    assert_true(seen >= (int)n);
    unlink(path);
    assert_int_equal(get(s, &d, text, sizeof text), 0);
}

static void fill_record(struct record *r, struct record_output *o, struct record_file *f)
{
    static char text[] = "weft-key 1\nstage demo 1\n", stage[] = "demo", task[] = "demo[x]", port[] = "out";
    static char name1[] = "b/data", name2[] = "a", source[] = "/nonexistent/source";
    hash_bytes("1", 1, &f[0].digest);
    hash_bytes("2", 1, &f[1].digest);
    f[0].name = name1;
    f[0].size = 5;
    f[1].name = name2;
    f[1].size = 7;
    f[1].source = source;
    static char node[] = "n1", cpuset[] = "0-2,5";
    *o = (struct record_output){.port = port, .file = f, .n = 2, .samples = 9};
    record_tree_digest(o);
    *r = (struct record){.text = text,
                         .stage = stage,
                         .task = task,
                         .seconds = 1.5,
                         .resumed = 3,
                         .threads = 2,
                         .read = 77,
                         .samples = 11,
                         .cost = {.flops = 2.5e12, .bytes = 13, .peak = 1 << 20, .rule = 5},
                         .node = node,
                         .cpuset = cpuset,
                         .output = o,
                         .n = 1};
    hash_bytes(text, strlen(text), &r->key);
}

static bool same_record(const struct record *a, const struct record *b)
{
    return digest_equal(&a->key, &b->key) && !strcmp(a->text, b->text) && a->n == b->n &&
           !strcmp(a->output[0].port, b->output[0].port) && a->seconds == b->seconds &&
           a->resumed == b->resumed && digest_equal(&a->output[0].digest, &b->output[0].digest) &&
           a->output[0].samples == b->output[0].samples && a->read == b->read && a->samples == b->samples &&
           !memcmp(&a->cost, &b->cost, sizeof a->cost) && !strcmp(a->node, b->node) &&
           !strcmp(a->cpuset, b->cpuset);
}

static struct record *from_json(const char *members)
{
    char hex[DIGEST_HEX];
    struct digest key;
    hash_bytes("t", 1, &key);
    AUTO(mem)
    char *text =
        xprintf("{\"version\": 1, \"text\": \"t\", \"key\": \"%s\"%s}", digest_hex(&key, hex), members);
    AUTO_JSON j = json_parse(text, strlen(text), "record", NULL);
    assert_non_null(j);
    store_seal(j);
    AUTO(mem) char *sealed = json_text(j, true);
    return record_parse(sealed, strlen(sealed));
}

/* What a record of an earlier version has not, and what nobody should have written, says nothing. */
static void absent_members(void **state)
{
    struct record *old = from_json(", \"outputs\": [{\"port\": \"out\", \"files\": []}], \"host\": \"h\"");
    assert_non_null(old);
    assert_true(!old->read && !old->samples && !old->cost.flops && !old->cost.bytes && !old->cost.peak);
    assert_true(!*old->node && !*old->cpuset && !old->output[0].samples);
    record_free(old);
    struct record *odd =
        from_json(", \"outputs\": [{\"port\": \"out\", \"files\": [], \"samples\": -1}], \"read\": -5,"
                  "\"samples\": \"many\", \"cost\": {\"flops\": -2.0, \"bytes\": -1, \"peak\": 1.5}, "
                  "\"node\": 3");
    assert_non_null(odd);
    assert_true(!odd->read && !odd->samples && !odd->cost.flops && !odd->cost.bytes && !odd->cost.peak);
    assert_true(!*odd->node && !odd->output[0].samples);
    record_free(odd);
    odd = from_json(", \"outputs\": [], \"cost\": 7");
    assert_true(odd && !odd->cost.flops);
    record_free(odd);
}

static bool count_one(void *arg, const struct record *r)
{
    ++*(int *)arg;
    return true;
}

static void records(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct record r, *back;
    struct record_output o;
    struct record_file f[2] = {{0}};
    struct error err = {0};
    fill_record(&r, &o, f);
    assert_true(store_get_record(s, &r.key, &back, &err) && !back);
    assert_true(store_put_record(s, &r, &err));
    assert_true(store_get_record(s, &r.key, &back, &err));
    assert_non_null(back);
    assert_true(same_record(&r, back));
    assert_string_equal(back->output[0].file[0].name, "a");
    assert_false(store_record_complete(s, back));
    record_free(back);
    int seen = 0;
    assert_true(store_each_record(s, count_one, &seen, &err));
    assert_int_equal(seen, 1);

    char hex[DIGEST_HEX];
    digest_hex(&r.key, hex);
    AUTO(mem) char *path = xprintf("%s/store/records/%.2s/%s", root, hex, hex + 2);
    AUTO(mem) char *good = NULL;
    size_t n;
    assert_true(fs_read_file(path, &good, &n, &err));
    AUTO(mem) char *bad = xmalloc(n);
    for (size_t i = 0; i < 2 * n; i++) {
        memcpy(bad, good, n);
        bad[i % n] ^= (char)(1 << (i % 7));
        assert_true(fs_write_file(path, bad, i < n ? n : i - n, &err));
        assert_true(store_get_record(s, &r.key, &back, &err));
        if (back)
            assert_true(same_record(&r, back));
        record_free(back);
    }
}

static void temporary_folders(void **state)
{
    struct store *s = open_store();
    struct error err = {0};
    AUTO(mem) char *mine = NULL;
    assert_true(store_temp_dir(s, &mine, &err));
    AUTO(mem) char *stale = at("store/tmp/999999-1");
    assert_true(fs_mkdirs(stale, &err));
    pid_t pid = fork();
    if (pid == 0) { /* another process: sweeps the stale one, keeps ours */
        struct store *other = open_store();
        store_close(other);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    assert_true(fs_exists(mine));
    assert_false(fs_exists(stale));
    struct store *twin =
        open_store(); /* as from another container: the same process number, the same count */
    AUTO(mem) char *theirs = NULL;
    assert_true(store_temp_dir(twin, &theirs, &err));
    assert_string_not_equal(mine, theirs);
    assert_true(fs_exists(mine) && fs_exists(theirs));
    store_close(twin);
    assert_true(fs_exists(mine) && !fs_exists(theirs));
    store_close(s);
    assert_false(fs_exists(mine));
}

static void imports(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct error err = {0};
    AUTO(mem) char *dir = at("data/sub");
    AUTO(mem) char *root_dir = at("data");
    AUTO(mem) char *one = at("data/one");
    AUTO(mem) char *two = at("data/sub/two");
    assert_true(fs_mkdirs(dir, &err) && fs_write_file(one, "1", 1, &err) &&
                fs_write_file(two, "22", 2, &err));
    struct digest d, again, file, plain;
    int64_t size;
    assert_true(store_import(s, root_dir, &d, &size, &err));
    assert_int_equal(size, 3);
    assert_true(store_import(s, one, &file, &size, &err));
    hash_bytes("1", 1, &plain);
    assert_true(digest_equal(&file, &plain));
    AUTO(mem) char *found = store_import_find(s, &d);
    assert_non_null(found);
    assert_true(fs_write_file(two, "33", 2, &err)); /* same size, other content and time */
    assert_null(store_import_find(s, &d));
    assert_true(store_import(s, root_dir, &again, &size, &err));
    assert_false(digest_equal(&d, &again));
    AUTO(mem) char *moved = at("moved");
    assert_int_equal(rename(root_dir, moved), 0);
    assert_true(store_import(s, moved, &d, &size, &err));
    assert_true(digest_equal(&d, &again)); /* where it lies does not count */
    assert_false(store_import(s, root_dir, &d, &size, &err));
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
        cmocka_unit_test(objects), cmocka_unit_test(damaged_object),
        cmocka_unit_test(records), cmocka_unit_test(absent_members),
        cmocka_unit_test(imports), cmocka_unit_test(temporary_folders),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
