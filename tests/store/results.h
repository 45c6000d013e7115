/* Results in a store, for tests that damage it: what is put is known, so that what comes back can be judged.
 */
#ifndef TESTS_STORE_RESULTS_H
#define TESTS_STORE_RESULTS_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/checkpoint.h"
#include "cache/store_impl.h"
#include "tests/test.h"
#include <string.h>

static char root[] = "/tmp/weft-damage-XXXXXX";

static inline char *at(const char *name)
{
    return xprintf("%s/%s", root, name);
}
static inline int no_sync(int fd)
{
    return 0;
}
/* Tests of what is on the disk after power was lost are elsewhere: these need not wait for it. */
static inline struct fs_ops quick_fs(void)
{
    struct fs_ops ops = fs_real;
    ops.fsync = no_sync;
    return ops;
}
static inline struct store *open_store(void)
{
    AUTO(mem) char *path = at("store");
    struct store *s;
    struct error err = {0};
    if (!store_open(path, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

struct result { /* one task's: what a test knows of it */
    const char *name;
    size_t n; /* bytes of its content */
    int kind; /* 0 words; 1 floats */
    struct digest key, object, tree;
    char *content;
};

static inline char *make_content(const struct result *r)
{
    char *p = xmalloc(r->n + 1);
    uint32_t x = 12345;
    for (size_t i = 0; i < r->n; i++)
        p[i] = "results are content by digest"[(uint32_t)(i + strlen(r->name)) * 2654435761u / 4096 % 29];
    for (size_t i = 0; r->kind && i + 4 <= r->n; i += 4) {
        float f = (float)(x = x * 1664525 + 1013904223) / 4e9f;
        memcpy(p + i, &f, 4);
    }
    return p;
}

static inline void put_result(struct store *s, struct result *r)
{
    AUTO(mem) char *in = at("in");
    AUTO(mem) char *text = xprintf("weft-key 1\nstage demo 1\nname %s\n", r->name);
    AUTO(mem) char *task = xstrdup(r->name);
    static char stage[] = "demo", file[] = "data", port[] = "out", when[] = "2026-01-02T03:04:05Z";
    struct error err = {0};
    struct record_file f = {.name = file};
    if (!r->content)
        r->content = make_content(r);
    if (!fs_write_file(in, r->content, r->n, &err) || !store_put_file(s, in, &f.digest, &f.size, &err))
        fail_msg("%s", err.text);
    struct record_output o = {.port = port, .file = &f, .n = 1};
    record_tree_digest(&o);
    struct record rec = {.text = text,
                         .stage = stage,
                         .task = task,
                         .seconds = 0.1,
                         .threads = 2,
                         .peak_rss = 123456,
                         .when = when,
                         .output = &o,
                         .n = 1};
    hash_bytes(text, strlen(text), &rec.key);
    r->key = rec.key;
    r->object = f.digest;
    r->tree = o.digest;
    if (!store_put_record(s, &rec, &err))
        fail_msg("%s", err.text);
}

/* A hit says the truth, and its object has the right bytes or is damaged. True: all of it was right. */
static inline bool check_result(struct store *s, const struct result *r)
{
    const struct index_entry *e;
    enum store_state state;
    struct error err = {0};
    if (!store_look_up(s, &r->key, &e, &state, &err))
        fail_msg("%s", err.text);
    if (state != STORE_HIT)
        return false;
    struct record_summary m;
    record_summary_of(e, &m);
    assert_true(digest_equal(m.key, &r->key) && m.outputs == 1 && m.objects == 1 && !m.imports && !m.freed);
    assert_true(digest_equal(m.output, &r->tree) && digest_equal(m.object, &r->object));
    assert_string_equal(m.task, r->name);
    assert_string_equal(m.stage, "demo");
    assert_string_equal(m.ports, "out");
    assert_true(m.seconds == 0.1 && m.threads == 2 && m.peak_rss == 123456);
    AUTO(mem) char *out = at("out");
    AUTO(mem) char *back = NULL;
    size_t n;
    unlink(out);
    if (!store_get_file(s, &r->object, (int64_t)r->n, out, &err)) {
        assert_int_equal(err.code, ERROR_DAMAGE);
        assert_false(fs_exists(out));
        return false;
    }
    assert_true(fs_read_file(out, &back, &n, NULL));
    assert_int_equal(n, r->n);
    assert_memory_equal(back, r->content, n);
    return true;
}

static inline struct digest checkpoint_id(void)
{
    struct digest d;
    hash_bytes("state", 5, &d);
    return d;
}
static inline void put_checkpoint(struct store *s, int64_t step)
{
    AUTO(mem) char *in = at("in");
    struct result r = {.name = "state", .n = 500};
    AUTO(mem) char *content = make_content(&r);
    struct digest id = checkpoint_id();
    struct error err = {0};
    if (!fs_write_file(in, content, r.n, &err) ||
        !store_checkpoint_put(s, &id, &(struct checkpoint){.step = step, .seconds = 0.1}, in, &err))
        fail_msg("%s", err.text);
}
/* Whole and right: true; none: false. */
static inline bool check_checkpoint(struct store *s, int64_t step)
{
    AUTO(mem) char *out = at("out");
    AUTO(mem) char *back = NULL;
    struct result r = {.name = "state", .n = 500};
    AUTO(mem) char *content = make_content(&r);
    struct digest id = checkpoint_id();
    struct checkpoint c;
    struct error err = {0};
    size_t n;
    unlink(out);
    if (!store_checkpoint_find(s, &id, 1000, out, &c, &err))
        fail_msg("%s", err.text);
    if (!c.step)
        return false;
    assert_true(c.step == step && c.seconds == 0.1 && !c.keep);
    assert_true(fs_read_file(out, &back, &n, NULL) && n == r.n);
    assert_memory_equal(back, content, n);
    return true;
}
#endif
