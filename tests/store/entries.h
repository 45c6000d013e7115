/* A store of results whose sizes, ages and costs are known, for tests of what goes when room is short. */
#ifndef TESTS_STORE_ENTRIES_H
#define TESTS_STORE_ENTRIES_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include "tests/test.h"
#include <string.h>

#define SIZE ((size_t)20000) /* of each content, which nothing can press */
#define DAY  86400

static char root[] = "/tmp/weft-gc-XXXXXX";

static inline int no_sync(int fd)
{
    return 0;
}
/* Tests of what is on the disk after power was lost are elsewhere: these need not wait for it. */
static inline int entries_setup(void **state)
{
    static struct fs_ops quick;
    quick = fs_real;
    quick.fsync = no_sync;
    fs = &quick;
    return mkdtemp(root) ? 0 : -1;
}
static inline int entries_teardown(void **state)
{
    return fs_remove_tree(root, NULL) ? 0 : -1;
}
static inline char *at(const char *name)
{
    return xprintf("%s/%s", root, name);
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
/* An empty store with this config; NULL: none. */
static inline void new_store(const char *config)
{
    AUTO(mem) char *path = at("store");
    AUTO(mem) char *file = at("store/config");
    assert_true(fs_remove_tree(path, NULL));
    assert_true(fs_mkdirs(path, NULL));
    if (config)
        assert_true(fs_write_file(file, config, strlen(config), NULL));
}

static inline char *content_of(const char *label, size_t n)
{
    char *p = xmalloc(n + 1);
    uint64_t x = 88172645463325252u;
    for (const char *c = label; *c; c++)
        x = x * 31 + (unsigned char)*c;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (char)(x >> 24);
    }
    return p;
}
/* Each process writes its own file. */
static inline bool put_content(struct store *s, const char *label, size_t n, struct digest *ret,
                               struct error *err)
{
    AUTO(mem) char *in = xprintf("%s/in.%ld", root, (long)getpid());
    AUTO(mem) char *p = content_of(label, n);
    return fs_write_file(in, p, n, err) && store_put_file(s, in, ret, NULL, err);
}

static inline char *text_of(const char *name)
{
    return xprintf("weft-key 1\nstage demo 1\nname %s\n", name);
}
static inline struct digest key_of(const char *name)
{
    AUTO(mem) char *text = text_of(name);
    struct digest d;
    hash_bytes(text, strlen(text), &d);
    return d;
}
/* A result that took so many seconds; its objects by their labels, one letter each. */
static inline bool put_entry_or(struct store *s, const char *name, double seconds, const char *labels,
                                struct error *err)
{
    static char stage[] = "demo", port[] = "out";
    AUTO(mem) char *text = text_of(name);
    AUTO(mem) char *task = xstrdup(name);
    struct record_file f[8] = {0};
    char file[8][4];
    struct record_output o = {.port = port, .file = f};
    for (; labels[o.n]; o.n++) {
        snprintf(file[o.n], sizeof file[0], "%zu", o.n);
        f[o.n].name = file[o.n];
        f[o.n].size = (int64_t)SIZE;
        AUTO(mem) char *label = xprintf("%c", labels[o.n]);
        if (!put_content(s, label, SIZE, &f[o.n].digest, err))
            return false;
    }
    record_tree_digest(&o);
    struct record r = {.key = key_of(name),
                       .text = text,
                       .stage = stage,
                       .task = task,
                       .seconds = seconds,
                       .threads = 1,
                       .output = &o,
                       .n = 1};
    return store_put_record(s, &r, err);
}
static inline void put_entry(const char *name, double seconds, const char *labels)
{
    struct error err = {0};
    AUTO(store) struct store *s = open_store();
    if (!put_entry_or(s, name, seconds, labels, &err))
        fail_msg("%s", err.text);
}
static inline struct digest object_of(const char *label)
{
    AUTO(mem) char *p = content_of(label, SIZE);
    struct digest d;
    hash_bytes(p, SIZE, &d);
    return d;
}
static inline bool has_object(const char *label)
{
    AUTO(store) struct store *s = open_store();
    struct digest d = object_of(label);
    return store_has(s, &d);
}
/* Every look is by a store opened anew. */
static inline enum store_state state_of(const char *name)
{
    AUTO(store) struct store *s = open_store();
    struct digest key = key_of(name);
    const struct index_entry *e;
    enum store_state state;
    assert_true(store_look_up(s, &key, &e, &state, NULL));
    return state;
}
#define expect(name, state) assert_int_equal(state_of(name), STORE_##state)
#endif
