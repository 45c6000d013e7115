/* Bundles: what goes out and comes in is the same; every cut and every flipped bit of one: what is whole
 * comes in, the store stays sound, and an error tells of the rest; what is no bundle is refused. */
#include "cache/bundle.h"
#include "cache/config.h"
#include "tests/store/findings.h"
#include "tests/store/results.h"
#include <errno.h>
#include <fcntl.h>

static struct result results[] = {{.name = "small", .n = 40},
                                  {.name = "words", .n = 200000},
                                  {.name = "floats", .n = 40000, .kind = 1},
                                  {.name = "empty"}};
#define RESULTS (sizeof results / sizeof *results)

static struct digest keys[RESULTS + 4];
static char *bundle; /* its bytes */
static size_t bundle_size;

static struct store *open_at(const char *name)
{
    AUTO(mem) char *path = at(name);
    struct store *s;
    struct error err = {0};
    if (!store_open(path, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

static struct store *open_fresh(void)
{
    AUTO(mem) char *path = at("other");
    assert_true(fs_remove_tree(path, NULL));
    return open_at("other");
}

static struct bundle_report write_bundle(struct store *s, size_t n, const char *name)
{
    AUTO(mem) char *path = at(name);
    struct bundle_report r;
    struct error err = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    if (!bundle_write(s, keys, n, &(struct frame_file){fd, path}, NULL, &r, &err))
        fail_msg("%s", err.text);
    close(fd);
    return r;
}

static bool read_bytes(struct store *s, const char *p, size_t n, struct bundle_report *ret, struct error *err)
{
    AUTO(mem) char *path = at("in.tar");
    assert_true(fs_write_file(path, p, n, NULL));
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return bundle_read(s, &(struct frame_file){fd, "in.tar"}, NULL, ret, err);
}

static size_t count_right(struct store *s)
{
    size_t n = 0;
    for (size_t i = 0; i < RESULTS; i++)
        n += check_result(s, &results[i]);
    return n;
}

static void nothing_found(struct store *s)
{
    struct seen seen = verify(s, false);
    if (seen.n)
        fail_msg("%s: %s", seen.path, seen.why);
}

/* ---- out and in ---- */

static void there_and_back(void **state)
{
    AUTO(store) struct store *s = open_fresh();
    struct bundle_report r;
    struct error err = {0};
    if (!read_bytes(s, bundle, bundle_size, &r, &err))
        fail_msg("%s", err.text);
    assert_int_equal(r.records, RESULTS);
    assert_int_equal(r.objects, RESULTS);
    assert_int_equal(r.known + r.references, 0);
    assert_int_equal(count_right(s), RESULTS);
    nothing_found(s);
    if (!read_bytes(s, bundle, bundle_size, &r, &err)) /* once more: nothing new */
        fail_msg("%s", err.text);
    assert_int_equal(r.known, RESULTS);
    assert_int_equal(r.records + r.objects, 0);
    write_bundle(s, RESULTS, "again.tar"); /* and out of that store: the same bytes */
    AUTO(mem) char *path = at("again.tar");
    AUTO(mem) char *again = NULL;
    size_t n;
    assert_true(fs_read_file(path, &again, &n, NULL));
    assert_int_equal(n, bundle_size);
    assert_memory_equal(again, bundle, n);
}

/* Parts of it meet parts that are there. */
static void what_is_missing_comes(void **state)
{
    AUTO(store) struct store *s = open_fresh();
    struct bundle_report r;
    put_result(s, &results[1]);
    AUTO(mem) char *object = store_file(s, "objects", &results[1].object);
    assert_int_equal(unlink(object), 0);
    put_result(s, &results[0]);
    assert_true(store_free(s, &results[0].key, 1, NULL));
    assert_true(read_bytes(s, bundle, bundle_size, &r, NULL));
    assert_int_equal(r.records, RESULTS - 1); /* the freed one, too; the lost one's object is enough */
    assert_int_equal(r.known, 1);
    assert_int_equal(r.objects, RESULTS);
    assert_int_equal(count_right(s), RESULTS);
    nothing_found(s);
}

static void freed_and_lost(void **state)
{
    AUTO(store) struct store *s = open_fresh();
    for (size_t i = 0; i < RESULTS; i++)
        put_result(s, &results[i]);
    assert_true(store_free(s, &results[2].key, 1, NULL));
    AUTO(mem) char *object = store_file(s, "objects", &results[1].object);
    assert_int_equal(unlink(object), 0);
    memset(&keys[RESULTS], 7, sizeof keys[RESULTS]); /* a key that there is not */
    struct bundle_report r = write_bundle(s, RESULTS + 1, "part.tar");
    assert_int_equal(r.records, RESULTS - 1);
    assert_int_equal(r.objects, RESULTS - 2);
    assert_int_equal(r.left_out, 2);
    AUTO(mem) char *path = at("part.tar");
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(path, &text, &n, NULL));
    AUTO(store) struct store *other = open_fresh();
    assert_true(read_bytes(other, text, n, &r, NULL));
    const struct index_entry *e;
    enum store_state state_of;
    assert_true(store_look_up(other, &results[2].key, &e, &state_of, NULL));
    assert_int_equal(state_of, STORE_FREED);
    assert_int_equal(count_right(other), RESULTS - 2);
    nothing_found(other);
}

/* What two records need goes once. */
static void shared(void **state)
{
    AUTO(store) struct store *s = open_fresh();
    struct result twin = {.name = "twin", .n = results[1].n};
    put_result(s, &results[1]);
    twin.content = xstrdup(results[1].content);
    put_result(s, &twin);
    keys[RESULTS] = results[1].key;
    keys[RESULTS + 1] = twin.key;
    AUTO(mem) char *path = at("twins.tar");
    AUTO(mem) char *text = NULL;
    struct bundle_report r;
    size_t n;
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(bundle_write(s, &keys[RESULTS], 2, &(struct frame_file){fd, path}, NULL, &r, NULL));
    assert_int_equal(r.records, 2);
    assert_int_equal(r.objects, 1);
    assert_true(fs_read_file(path, &text, &n, NULL));
    AUTO(store) struct store *other = open_at("twins");
    assert_true(read_bytes(other, text, n, &r, NULL));
    assert_int_equal(r.records, 2);
    assert_int_equal(r.objects, 1);
    assert_true(check_result(other, &results[1]) && check_result(other, &twin));
    free(twin.content);
}

/* An object that is damaged here does not leave; the whole ones of a record that is left out do not either.
 */
static void damage_stays(void **state)
{
    AUTO(store) struct store *s = open_fresh();
    for (size_t i = 0; i < RESULTS; i++)
        put_result(s, &results[i]);
    AUTO(mem) char *object = store_file(s, "objects", &results[1].object);
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(object, &text, &n, NULL));
    text[n / 2] ^= 1;
    chmod(object, 0666);
    assert_true(fs_write_file(object, text, n, NULL));
    struct bundle_report r = write_bundle(s, RESULTS, "part.tar");
    assert_int_equal(r.records, RESULTS - 1);
    assert_int_equal(r.objects, RESULTS - 1);
    assert_int_equal(r.left_out, 1);
}

/* ---- damage ---- */

/* Whatever was done to the bundle: an error, and a sound store that may have some of it. */
static size_t refused(const char *p, size_t n, const char *what, size_t where)
{
    AUTO(store) struct store *s = open_fresh();
    struct bundle_report r;
    struct error err = {0};
    if (read_bytes(s, p, n, &r, &err))
        fail_msg("%s at %zu goes unseen", what, where);
    if (err.code != ERROR_INPUT)
        fail_msg("%s at %zu: %s", what, where, err.text);
    size_t right = count_right(s);
    assert_int_equal(r.records, right);
    nothing_found(s);
    AUTO(mem) char *tmp = at("other/tmp");
    char **list;
    assert_true(fs_list_tree(tmp, &list, &n, NULL));
    fs_list_free(list, n);
    assert_int_equal(n, 1); /* .lock */
    return right;
}

/* The tar's own end, two blocks of zeros and what fills up its last record, may be lost. */
static size_t end_of_last_entry(void)
{
    size_t n = bundle_size;
    while (n && !bundle[n - 1])
        n--;
    return n;
}

static void cut(void **state)
{
    size_t last = end_of_last_entry(), most = 0;
    for (size_t n = 0; n < last; n += n < 4096 ? 97 : 1531) {
        size_t right = refused(bundle, n, "a cut", n);
        assert_true(right >= most); /* what is whole comes in */
        most = right;
    }
    assert_int_equal(most, RESULTS - 1);
}

/* Every bit of a bundle counts, but those of a tar header that say nothing of the content. */
static void flipped(void **state)
{
    AUTO(mem) char *copy = xmalloc(bundle_size);
    size_t last = end_of_last_entry(), whole = 0;
    for (size_t i = 0; i < last; i += 199) {
        memcpy(copy, bundle, bundle_size);
        copy[i] ^= (char)(1 << i % 8);
        AUTO(store) struct store *s = open_fresh();
        struct bundle_report r;
        struct error err = {0};
        bool ok = read_bytes(s, copy, bundle_size, &r, &err);
        size_t right = count_right(s);
        if (ok && right != RESULTS)
            fail_msg("a flipped bit at %zu goes unseen", i);
        if (!ok && err.code != ERROR_INPUT)
            fail_msg("a flipped bit at %zu: %s", i, err.text);
        nothing_found(s);
        whole += ok;
    }
    assert_true(whole < last / 199 / 10); /* what fills up the blocks of a tar */
}

static void says(const char *p, size_t n, const char *want)
{
    AUTO(store) struct store *s = open_fresh();
    struct bundle_report r;
    struct error err = {0};
    assert_false(read_bytes(s, p, n, &r, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, want))
        fail_msg("wanted '%s', got '%s'", want, err.text);
    nothing_found(s);
}

static char *find(char *p, const char *what)
{
    return memmem(p, bundle_size, what, strlen(what));
}

static void messages(void **state)
{
    AUTO(mem) char *copy = xmalloc(bundle_size);
    says("", 0, "'in.tar' is no bundle: not a tar");
    says("hello, this is no tar", 21, "'in.tar' is no bundle: not a tar");
    says(bundle, 5, "'in.tar' is no bundle: not a tar");
    memcpy(copy, bundle, bundle_size);
    find(copy, "\"version\"")[1] = 'w';
    says(copy, bundle_size, "'in.tar' has no list of what should be in it ('weft-bundle': its seal");
    memcpy(copy, bundle, bundle_size);
    find(copy, "\"seconds\"")[12] ^= 1;
    says(copy, bundle_size, "1 record did not come in: ");
    says(bundle, end_of_last_entry() / 2, "did not come in: ");
}

/* ---- what weft never wrote ---- */

static size_t tar_block(char *to, const char *name, char type, const char *text)
{
    size_t n = strlen(text);
    unsigned sum = 0;
    memset(to, 0, 512);
    snprintf(to, 100, "%s", name);
    snprintf(to + 100, 8, "0000644");
    snprintf(to + 108, 8, "0000000");
    snprintf(to + 116, 8, "0000000");
    snprintf(to + 124, 12, "%011o", (unsigned)n);
    snprintf(to + 136, 12, "00000000000");
    to[156] = type;
    memcpy(to + 257,
           "ustar\0"
           "00",
           8);
    memset(to + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)to[i];
    snprintf(to + 148, 8, "%06o", sum);
    size_t padded = (n + 511) / 512 * 512;
    memset(to + 512, 0, padded);
    memcpy(to + 512, text, n);
    return 512 + padded;
}

static void one_entry(const char *name, char type, const char *text, const char *want)
{
    AUTO(mem) char *tar = xcalloc(1, 1 << 16);
    size_t n = tar_block(tar, name, type, text);
    says(tar, n + 1024, want);
}

static void foreign(void **state)
{
    char name[80];
    memset(name, 'a', sizeof name);
    memcpy(name, "objects/aa/", 11);
    name[11 + 62] = '\0';
    one_entry("../../evil", '0', "x",
              "'in.tar' is no bundle: it holds '../../evil', no record and no object");
    one_entry("/etc/passwd", '0', "x", "it holds '/etc/passwd'");
    one_entry("objects/../../evil", '0', "x", "it holds 'objects/../../evil'");
    one_entry("config", '0', "{}", "it holds 'config'");
    one_entry(name, '2', "", "it holds 'objects/aa/"); /* a link */
    one_entry(name, '5', "", "it holds 'objects/aa/"); /* a folder */
    one_entry(name, '0', "no object", "too short");
    memcpy(name, "records/aa/", 11);
    one_entry(name, '0', "{}", "its seal, key or text does not fit");
    AUTO(mem) char *evil = at("evil");
    assert_false(fs_exists(evil));
}

/* A sound record that would write outside of its result. */
static void unsafe_names(void **state)
{
    static const char *const names[] = {"../x", "/x", "a/../x", "a//b", "", ".", "a/", ".."};
    static char text[] = "weft-key 1\nstage demo 1\nname evil\n", stage[] = "demo", task[] = "evil",
                port[] = "out", up[] = "..", when[] = "";
    AUTO(mem) char *tar = xcalloc(1, 1 << 16);
    for (size_t i = 0; i <= sizeof names / sizeof *names; i++) {
        AUTO(store) struct store *s = open_at("evil-store");
        bool last = i == sizeof names / sizeof *names;
        char *name = xstrdup(last ? "x" : names[i]);
        struct record_file f = {.name = name, .source = text};
        struct record_output o = {.port = last ? up : port, .file = &f, .n = 1};
        record_tree_digest(&o);
        struct record rec = {
            .text = text, .stage = stage, .task = task, .when = when, .threads = 1, .output = &o, .n = 1};
        hash_bytes(text, strlen(text), &rec.key);
        assert_true(store_put_record(s, &rec, NULL));
        keys[RESULTS] = rec.key;
        AUTO(mem) char *path = at("evil.tar");
        struct bundle_report r;
        AUTO(fd) int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        assert_true(bundle_write(s, &rec.key, 1, &(struct frame_file){out, path}, NULL, &r, NULL));
        AUTO(mem) char *bytes = NULL;
        size_t n;
        assert_true(fs_read_file(path, &bytes, &n, NULL));
        says(bytes, n, "it names files outside of its result");
        free(name);
    }
}

/* ---- faults ---- */

static struct fs_ops faulty;
static int writes_left;
static ssize_t write_until(int fd, const void *p, size_t n)
{
    if (writes_left-- > 0)
        return write(fd, p, n);
    errno = ENOSPC;
    return -1;
}

/* A store with a limit: what does not fit is refused, what is there stays; what only claims to be large does
 * not make anything go. */
static void limited(void **state)
{
    AUTO(store) struct store *s = open_fresh();
    put_result(s, &results[0]);
    store_close(s);
    AUTO(mem) char *config = at("other/config");
    assert_true(config_write(config, "max_size", "4K", NULL));
    s = open_at("other");
    AUTO(mem) char *tar = xcalloc(1, 1 << 16);
    char name[80];
    memset(name, 'a', sizeof name);
    memcpy(name, "objects/aa/", 11);
    name[11 + 62] = '\0';
    tar_block(tar, name, '0', "x");
    unsigned sum = 0;
    memcpy(tar + 124, "77777777777", 11); /* 8 GiB */
    memset(tar + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)tar[i];
    snprintf(tar + 148, 8, "%06o", sum);
    struct bundle_report r;
    struct error err = {0};
    assert_false(read_bytes(s, tar, 4096, &r, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_true(check_result(s, &results[0]));
    assert_false(read_bytes(s, bundle, bundle_size, &r, &err));
    assert_int_equal(err.code, ERROR_SYSTEM);
    assert_non_null(strstr(err.text, "object 'objects/"));
    nothing_found(s);
}

/* A disk that is full at any write, out and in: an error that says so, and nothing half written. */
static void full_disk(void **state)
{
    bool done = false;
    for (int i = 0; !done; i += 3) {
        AUTO(store) struct store *s = open_fresh();
        struct bundle_report r;
        struct error err = {0};
        AUTO(mem) char *path = at("in.tar");
        assert_true(fs_write_file(path, bundle, bundle_size, NULL));
        AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
        faulty = quick_fs();
        faulty.write = write_until;
        writes_left = i;
        fs = &faulty;
        done = bundle_read(s, &(struct frame_file){fd, "in.tar"}, NULL, &r, &err);
        fs = &fs_real;
        assert_true(done || err.code == ERROR_FULL);
        store_close(s);
        s = open_at("other");
        nothing_found(s);
        assert_true(!done || count_right(s) == RESULTS);
    }
    AUTO(store) struct store *s = open_at("store");
    struct bundle_report r;
    struct error err = {0};
    AUTO(mem) char *path = at("out.tar");
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    writes_left = 1;
    fs = &faulty;
    assert_false(bundle_write(s, keys, RESULTS, &(struct frame_file){fd, path}, NULL, &r, &err));
    fs = &fs_real;
    assert_int_equal(err.code, ERROR_FULL);
    assert_non_null(strstr(err.text, "No space left"));
}

static int setup(void **state)
{
    if (!mkdtemp(root))
        return -1;
    static struct fs_ops quick;
    quick = quick_fs();
    fs = &quick;
    struct store *s = open_store();
    for (size_t i = 0; i < RESULTS; i++) {
        put_result(s, &results[i]);
        keys[i] = results[i].key;
    }
    write_bundle(s, RESULTS, "all.tar");
    store_close(s);
    AUTO(mem) char *path = at("all.tar");
    return fs_read_file(path, &bundle, &bundle_size, NULL) ? 0 : -1;
}
static int teardown(void **state)
{
    for (size_t i = 0; i < RESULTS; i++)
        free(results[i].content);
    free(bundle);
    fs = &fs_real;
    return fs_remove_tree(root, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(what_is_missing_comes),
        cmocka_unit_test(freed_and_lost), cmocka_unit_test(damage_stays),
        cmocka_unit_test(shared),         cmocka_unit_test(cut),
        cmocka_unit_test(flipped),        cmocka_unit_test(messages),
        cmocka_unit_test(foreign),        cmocka_unit_test(unsafe_names),
        cmocka_unit_test(full_disk),      cmocka_unit_test(limited),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
