/* The limit of a store: what is counted, by any number of processes, and what makes room. */
#include "tests/store/findings.h"
#include "tests/store/room.h"
#include <sched.h>
#include <sys/file.h>

#define ONE ((int64_t)SIZE + 1200) /* more than an object with its record takes */

/* What STORE/usage says, by its bytes. */
static int64_t counted(void)
{
    AUTO(mem) char *path = at("store/usage");
    AUTO(mem) char *p = NULL;
    size_t n;
    int64_t bytes;
    if (!fs_read_file(path, &p, &n, NULL) || n < 16)
        return -1;
    memcpy(&bytes, p + 8, sizeof bytes);
    return bytes;
}

static void limited(int64_t size)
{
    AUTO(mem) char *config = xprintf("{\"max_size\": %lld}", (long long)size);
    new_store(config);
}

static void no_limit(void **state)
{
    new_store(NULL);
    AUTO(store) struct store *s = open_store();
    assert_true(store_reserve(s, INT64_MAX, NULL));
    store_unreserve(s, INT64_MAX);
    put_entry("a", 1, "a");
    assert_int_equal(counted(), -1);
}

/* To the byte: after puts, of what is there already, after a gc, and after a free. */
static void count(void **state)
{
    limited(1000 * ONE);
    put_entry("a", 1, "ab");
    assert_int_equal(counted(), size_of_store());
    put_entry("b", 1, "bc");
    assert_int_equal(counted(), size_of_store());
    AUTO(store) struct store *s = open_store();
    struct digest d, key;
    assert_true(put_content(s, "large", 3 << 20, &d, NULL)); /* its digest is known when it is packed */
    assert_true(put_content(s, "large", 3 << 20, &d, NULL));
    assert_true(store_flush(s, NULL));
    assert_int_equal(counted(), size_of_store());
    assert_true(store_reserve(s, 1000, NULL) && store_reserve(s, 500, NULL));
    assert_int_equal(counted(), size_of_store() + 1500);
    store_unreserve(s, 1100);
    assert_int_equal(counted(), size_of_store() + 400);
    store_close(s); /* gives back what it did not use */
    s = NULL;
    assert_int_equal(counted(), size_of_store());
    assert_int_equal(gc_to(ONE).freed, 2);
    assert_int_equal(counted(), size_of_store());
    put_entry("c", 1, "d");
    s = open_store();
    key = key_of("c");
    assert_true(store_free(s, &key, 1, NULL));
    assert_int_equal(counted(), size_of_store());
}

#define ROOM (4 * ONE - 2000)

/* The least valuable makes room; what is pinned stays, and then there is none. */
static void makes_room(void **state)
{
    limited(ROOM);
    put_entry("a", 9, "a");
    put_entry("b", 1, "b");
    put_entry("c", 5, "c");
    expect("b", HIT);
    put_entry("d", 7, "d");
    expect("b", FREED);
    put_entry("e", 9, "e");
    assert_true(size_of_store() <= ROOM);
    expect("a", HIT);
    expect("c", FREED);
    expect("e", HIT);
    pin("a", "a");
    pin("d", "d");
    pin("e", "e");
    AUTO(store) struct store *s = open_store();
    struct error err = {0};
    int64_t before = size_of_store();
    assert_false(put_entry_or(s, "f", 1, "fg", &err));
    assert_int_equal(err.code, ERROR_SYSTEM);
    assert_non_null(strstr(err.text, "the store is full: "));
    assert_non_null(strstr(err.text, "3 results that could go are pinned"));
    assert_non_null(strstr(err.text, "Raise 'max_size' in '"));
    assert_true(size_of_store() <= before);
    store_close(s);
    s = NULL;
    assert_int_equal(counted(), size_of_store());
    expect("a", HIT);
    expect("f", MISS);
}

/* More than the limit: nothing goes for what can never fit. */
static void too_large(void **state)
{
    limited(2 * ONE);
    put_entry("a", 1, "a");
    AUTO(store) struct store *s = open_store();
    struct digest d;
    struct error err = {0};
    assert_false(put_content(s, "large", 3 * SIZE, &d, &err));
    assert_int_equal(err.code, ERROR_SYSTEM);
    assert_non_null(strstr(err.text, "cannot store '"));
    expect("a", HIT);
}

/* What is there already needs no room, however long it is. */
static void there_already(void **state)
{
    limited((5 << 20) + ONE);
    AUTO(store) struct store *s = open_store();
    struct digest d, again;
    put_entry("a", 1, "a");
    assert_true(put_content(s, "large", 3 << 20, &d, NULL));
    assert_true(put_content(s, "large", 3 << 20, &again, NULL));
    assert_true(digest_equal(&d, &again));
    expect("a", HIT);
}

static bool reserve_two(struct store *s)
{
    return store_reserve(s, 2 * ONE, NULL);
}

/* What another process has reserved is not ours; when it has died it is. */
static void two_processes(void **state)
{
    limited(3 * ONE);
    put_entry("a", 1, "a");
    pid_t pid = other_process(reserve_two);
    AUTO(store) struct store *s = open_store();
    struct error err = {0};
    assert_int_equal(counted(), size_of_store() + 2 * ONE);
    assert_false(store_reserve(s, ONE + 1, &err));
    assert_non_null(strstr(err.text, "work under way has reserved"));
    expect("a", HIT);
    assert_true(store_reserve(s, ONE, &err)); /* once a is gone */
    expect("a", MISS);
    gc_to(0);
    assert_int_equal(counted(), size_of_store() + 3 * ONE); /* summed up again: both count */
    assert_false(store_reserve(s, 100, NULL));
    end_process(pid);
    assert_true(store_reserve(s, 3 * ONE / 2, &err));
    assert_int_equal(counted(), size_of_store() + ONE + 3 * ONE / 2);
}

static const char *other_boot(void)
{
    return "another boot";
}

/* A count that is missing, damaged, or older than the machine's start is made anew. */
static void count_lost(void **state)
{
    AUTO(mem) char *path = at("store/usage");
    AUTO(mem) char *config = at("store/config");
    limited(100 * ONE);
    put_entry("a", 1, "ab");
    unlink(path);
    put_entry("b", 1, "c");
    assert_int_equal(counted(), size_of_store());
    AUTO(mem) char *good = NULL;
    size_t n;
    assert_true(fs_read_file(path, &good, &n, NULL));
    for (size_t i = 0; i < 8 * n; i++) {
        good[i / 8] ^= (char)(1 << i % 8);
        assert_true(fs_write_file(path, good, n, NULL));
        AUTO(store) struct store *s = open_store();
        assert_true(store_reserve(s, 10, NULL));
        assert_int_equal(counted(), size_of_store() + 10);
        good[i / 8] ^= (char)(1 << i % 8);
    }
    assert_true(fs_write_file(path, good, 20, NULL));
    put_entry("c", 1, "d");
    assert_int_equal(counted(), size_of_store());
    struct digest d = object_of("d");
    AUTO(mem) char *object = file_of("objects", &d);
    assert_int_equal(unlink(object), 0); /* nobody has noticed */
    put_entry("d", 1, "e");
    assert_true(counted() > size_of_store() + (int64_t)SIZE);
    struct fs_ops boot = *fs;
    const struct fs_ops *before = fs;
    boot.boot_id = other_boot;
    fs = &boot;
    put_entry("e", 1, "f");
    assert_int_equal(counted(), size_of_store());
    fs = before;
    assert_true(fs_write_file(config, "{}", 2, NULL));
    put_entry("g", 1, "g"); /* without a limit nobody counts */
    assert_int_equal(counted(), -1);
}

/* ---- many at once ---- */

enum { PROCESSES = 4, ROUNDS = 60, NAMES = 12 };
#define LIMIT (5 * ONE)

/* It hits: then it is whole and right, now and as long as we use it. */
static void check_hit(struct store *s, const char *name, const char *labels)
{
    struct digest key = key_of(name);
    const struct index_entry *e;
    enum store_state found;
    store_use(s, &key);
    if (!store_look_up(s, &key, &e, &found, NULL) || found == STORE_LOST)
        _exit(10);
    if (found != STORE_HIT)
        return;
    sched_yield();
    for (const char *l = labels; *l; l++) {
        char label[2] = {*l};
        AUTO(mem) char *out = xprintf("%s/out.%ld", root, (long)getpid());
        AUTO(mem) char *want = content_of(label, SIZE);
        AUTO(mem) char *back = NULL;
        struct digest d = object_of(label);
        size_t n;
        unlink(out);
        if (!store_get_file(s, &d, (int64_t)SIZE, out, NULL) || !fs_read_file(out, &back, &n, NULL) ||
            n != SIZE || memcmp(back, want, n) != 0)
            _exit(11);
    }
}

/* While nothing goes and nobody reserves: what is published meanwhile was reserved before. */
static bool within_limit(const struct store *s)
{
    AUTO(fd) int gc = store_lock(s, "gc", LOCK_EX, NULL);
    AUTO(fd) int usage = store_lock(s, "usage", LOCK_EX, NULL);
    return gc >= 0 && usage >= 0 && size_of_store() <= LIMIT;
}

/* Results of the same names have the same content; names next to each other share half of it. */
static void churn(int seed)
{
    unsigned x = (unsigned)seed * 7919 + 1;
    for (int i = 0; i < ROUNDS; i++) {
        x = x * 1103515245 + 12345;
        int k = (int)(x >> 16) % NAMES;
        char name[16], labels[3] = {(char)('A' + k), (char)('A' + (k + 1) % NAMES)};
        snprintf(name, sizeof name, "n%d", k);
        AUTO(store) struct store *s = open_store();
        struct gc_report r;
        struct error err = {0};
        if (seed % 2 == 0 && i % 3 == 0 &&
            !store_gc(s, &(struct gc_options){.max_size = (int64_t)(x >> 8) % LIMIT + 1}, &r, &err))
            _exit(12);
        check_hit(s, name, labels);
        if (!put_entry_or(s, name, 1 + k % 3, labels, &err) && !strstr(err.text, "the store is full"))
            _exit(13);
        check_hit(s, name, labels);
        if (!within_limit(s))
            _exit(14);
        if (seed == 3 && i == ROUNDS / 2) { /* dies with a reservation */
            (void)!store_reserve(s, ONE, NULL);
            _exit(0);
        }
    }
    _exit(0);
}

static void at_once(void **state)
{
    limited(LIMIT);
    pid_t pid[PROCESSES];
    int hits = 0, status;
    for (int p = 0; p < PROCESSES; p++) {
        pid[p] = fork();
        if (pid[p] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            churn(p);
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        assert_int_equal(waitpid(pid[p], &status, 0), pid[p]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_true(size_of_store() <= LIMIT);
    for (int k = 0; k < NAMES; k++) {
        AUTO(mem) char *name = xprintf("n%d", k);
        assert_int_not_equal(state_of(name), STORE_LOST);
        hits += state_of(name) == STORE_HIT;
    }
    assert_true(hits > 0);
    AUTO(store) struct store *s = open_store();
    struct seen seen = verify(s, false);
    if (seen.n)
        fail_msg("%s: %s", seen.path, seen.why);
    gc_to(0);
    assert_int_equal(counted(), size_of_store());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_limit),      cmocka_unit_test(count),
                                       cmocka_unit_test(makes_room),    cmocka_unit_test(too_large),
                                       cmocka_unit_test(there_already), cmocka_unit_test(two_processes),
                                       cmocka_unit_test(count_lost),    cmocka_unit_test(at_once)};
    return cmocka_run_group_tests(tests, entries_setup, entries_teardown);
}
