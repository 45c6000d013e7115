/* Checkpoints in the store: the highest whole one up to a step, what is kept and what goes, damage of every
 * byte. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/checkpoint.h"
#include "tests/test.h"

static char root[] = "/tmp/weft-checkpoint-XXXXXX";
static char *at(const char *name)
{
    return xprintf("%s/%s", root, name);
}

static struct store *open_store(void)
{
    AUTO(mem) char *path = at("store");
    struct store *s;
    struct error err = {0};
    assert_true(store_open(path, &s, &err));
    return s;
}

static struct digest id_of(const char *text)
{
    struct digest d;
    hash_bytes(text, strlen(text), &d);
    return d;
}

static char *path_of(const struct digest *id, int64_t step)
{
    char hex[DIGEST_HEX];
    digest_hex(id, hex);
    return xprintf("%s/store/checkpoints/%.2s/%s/%lld", root, hex, hex + 2, (long long)step);
}

/* The state of a step: its number, many times. */
static char *state_of(int64_t step, size_t *n)
{
    *n = 5000;
    char *text = xmalloc(*n);
    for (size_t i = 0; i < *n; i++)
        text[i] = (char)((int64_t)(i * i >> 5) + step);
    return text;
}

static void put(struct store *s, const struct digest *id, int64_t step, bool keep)
{
    AUTO(mem) char *file = at("in");
    size_t n;
    AUTO(mem) char *text = state_of(step, &n);
    struct error err = {0};
    assert_true(fs_write_file(file, text, n, &err));
    struct checkpoint c = {step, 0.5 * (double)step, keep};
    if (!store_checkpoint_put(s, id, &c, file, &err))
        fail_msg("%s", err.text);
}

/* The step found, with its right content; 0: none. */
static int64_t find(struct store *s, const struct digest *id, int64_t max)
{
    AUTO(mem) char *file = at("out");
    struct checkpoint c;
    struct error err = {0};
    unlink(file);
    if (!store_checkpoint_find(s, id, max, file, &c, &err))
        fail_msg("%s", err.text);
    assert_int_equal(fs_exists(file), c.step > 0);
    if (!c.step)
        return 0;
    size_t n, have;
    AUTO(mem) char *want = state_of(c.step, &n);
    AUTO(mem) char *got = NULL;
    assert_true(fs_read_file(file, &got, &have, &err));
    assert_int_equal(have, n);
    assert_memory_equal(got, want, n);
    assert_true(c.seconds == 0.5 * (double)c.step);
    return c.step;
}

static void highest_up_to(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest a = id_of("a"), b = id_of("b");
    assert_int_equal(find(s, &a, 100), 0);
    put(s, &a, 9, false);
    put(s, &a, 10, false); /* numbers, not texts, are compared */
    put(s, &a, 2, true);
    assert_int_equal(find(s, &a, 100), 10);
    assert_int_equal(find(s, &a, 9), 9);
    assert_int_equal(find(s, &a, 8), 2);
    assert_int_equal(find(s, &a, 1), 0);
    assert_int_equal(find(s, &b, 100), 0);
    AUTO(mem) char *path = path_of(&a, 10);
    AUTO(mem) char *command = xprintf("zstd -q -d -c <%s | cmp -s - %s/in10", path, root);
    AUTO(mem) char *in = at("in10");
    size_t n;
    AUTO(mem) char *text = state_of(10, &n);
    assert_true(fs_write_file(in, text, n, NULL));
    assert_int_equal(system(command), 0); /* any zstd reads the state */
    store_checkpoint_drop_all(s, &a);
    assert_int_equal(find(s, &a, 100), 0);
}

static void kept(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest a = id_of("kept");
    put(s, &a, 1, true);
    put(s, &a, 2, false);
    put(s, &a, 1, false); /* again, by a run that goes further: stays one to keep */
    store_checkpoint_drop(s, &a, 1);
    store_checkpoint_drop(s, &a, 2);
    store_checkpoint_drop(s, &a, 3); /* is not there */
    assert_int_equal(find(s, &a, 100), 1);
    put(s, &a, 2, false);
    put(s, &a, 2, true);
    store_checkpoint_drop(s, &a, 2);
    assert_int_equal(find(s, &a, 100), 2);
    for (int64_t step = 3; step <= 6; step++)
        put(s, &a, step, step == 4);
    store_checkpoint_drop_below(s, &a, 6);
    for (int64_t step = 1; step <= 6; step++)
        assert_int_equal(find(s, &a, step), step == 3 ? 2 : step == 5 ? 4 : step);
    store_checkpoint_drop_all(s, &a);
    assert_int_equal(find(s, &a, 100), 0);
    store_checkpoint_drop_all(s, &a);
    store_checkpoint_drop_below(s, &a, 6);
}

/* Each byte flipped and each length: the step below is found then, the damaged one is out of the way, and a
 * new one heals. */
static void damaged(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest a = id_of("damaged");
    AUTO(mem) char *path = path_of(&a, 7);
    AUTO(mem) char *good = NULL;
    size_t n;
    put(s, &a, 3, false);
    put(s, &a, 7, false);
    assert_true(fs_read_file(path, &good, &n, NULL));
    AUTO(mem) char *bad = xmalloc(n + 1);
    int seen = 0;
    for (size_t i = 0; i < 2 * n + 1; i++) {
        size_t len = i < n ? n : i == 2 * n ? n + 1 : i - n;
        memcpy(bad, good, n);
        bad[n] = 0;
        if (i < n)
            bad[i] ^= (char)(1 << (i % 8));
        assert_true(fs_write_file(path, bad, len, NULL));
        int64_t step = find(s, &a, 7);
        assert_true(step == 3 || step == 7);
        assert_true(step == 7 || !fs_exists(path));
        seen += step == 3;
    }
    assert_true(seen >= (int)(2 * n)); /* nearly all of them: a flipped bit may lie in what says nothing */
    put(s, &a, 7, false);
    assert_int_equal(find(s, &a, 7), 7);
    /* one that belongs elsewhere */
    AUTO(mem) char *other = path_of(&a, 6);
    assert_true(fs_write_file(other, good, n, NULL));
    assert_int_equal(find(s, &a, 6), 3);
    /* what is no checkpoint is none */
    AUTO(mem) char *dir = path_of(&a, 0);
    dir[strlen(dir) - 2] = '\0';
    AUTO(mem) char *stranger = xprintf("%s/README", dir);
    AUTO(mem) char *huge = xprintf("%s/99999999999999999999999", dir);
    assert_true(fs_write_file(stranger, "x", 1, NULL) && fs_write_file(huge, "x", 1, NULL));
    assert_int_equal(find(s, &a, INT64_MAX), 7);
}

static void trouble(void **state)
{
    AUTO(store) struct store *s = open_store();
    struct digest a = id_of("trouble");
    struct error err = {0};
    struct checkpoint c = {1, 0, false};
    AUTO(mem) char *nothing = at("nothing");
    assert_false(store_checkpoint_put(s, &a, &c, nothing, &err));
    put(s, &a, 1, false);
    AUTO(mem) char *nowhere = at("no/where");
    assert_false(store_checkpoint_find(s, &a, 1, nowhere, &c, &err)); /* trouble of the reader: no damage */
    assert_int_equal(find(s, &a, 1), 1);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(highest_up_to), cmocka_unit_test(kept),
                                       cmocka_unit_test(damaged), cmocka_unit_test(trouble)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
