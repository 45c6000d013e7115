/* Two stores that share a server, for tests of the remote tier: "a" makes results and offers them, "b" wants
 * them. */
#ifndef TESTS_STORE_REMOTES_H
#define TESTS_STORE_REMOTES_H
#include "cache/remote.h"
#include "tests/store/results.h"
#include <poll.h>
#include <time.h>

#define FAST .tries = 2, .pause = 0.001, .connect_timeout = 20, .silence_timeout = 20

static inline struct store *store_named(const char *name)
{
    AUTO(mem) char *path = at(name);
    struct store *s;
    struct error err = {0};
    if (!store_open(path, &s, &err))
        fail_msg("%s", err.text);
    return s;
}
static inline struct remote *open_remote(struct store *s, struct remote_options o)
{
    struct remote *r;
    struct error err = {0};
    if (!remote_open(s, &o, &r, &err))
        fail_msg("%s", err.text);
    return r;
}

/* A task's result with a file for each content, "f0", "f1"...; its key. */
static inline struct digest put_files(struct store *s, const char *name, const char *const *content, size_t n)
{
    AUTO(mem) char *in = at("in");
    AUTO(mem) char *text = xprintf("weft-key 1\nstage demo 1\nname %s\n", name);
    AUTO(mem) char *task = xstrdup(name);
    static char stage[] = "demo", port[] = "out", when[] = "2026-01-02T03:04:05Z";
    struct error err = {0};
    struct record_file f[8] = {{0}};
    for (size_t i = 0; i < n; i++) {
        f[i].name = xprintf("f%zu", i);
        if (!fs_write_file(in, content[i], strlen(content[i]), &err) ||
            !store_put_file(s, in, &f[i].digest, &f[i].size, &err))
            fail_msg("%s", err.text);
    }
    struct record_output o = {.port = port, .file = f, .n = n};
    struct record rec = {
        .text = text, .stage = stage, .task = task, .seconds = 1, .when = when, .output = &o, .n = 1};
    hash_bytes(text, strlen(text), &rec.key);
    record_tree_digest(&o);
    if (!store_put_record(s, &rec, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < n; i++)
        free(f[i].name);
    return rec.key;
}

struct heard { /* what came until there were as many answers as were wanted */
    size_t hits, misses, warnings;
    char warning[512];
};
static inline struct heard hear_answers(struct remote *r, size_t n)
{
    struct heard h = {0};
    struct remote_answer a;
    while (h.hits + h.misses < n) {
        struct pollfd p = {.fd = remote_fd(r), .events = POLLIN};
        assert_true(poll(&p, 1, 120000) > 0);
        while (remote_next(r, &a)) {
            if (a.warning[0]) {
                h.warnings++;
                memcpy(h.warning, a.warning, sizeof h.warning);
                print_message("%s\n", a.warning);
            } else if (a.hit)
                h.hits++;
            else
                h.misses++;
        }
    }
    return h;
}
/* Want one key. */
static inline bool want(struct remote *r, const struct digest *key)
{
    remote_want(r, key);
    return hear_answers(r, 1).hits;
}
static inline struct remote_stats when_sent(struct remote *r)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct remote_stats s;
    for (remote_stats_of(r, &s); s.waiting; remote_stats_of(r, &s))
        nanosleep(&moment, NULL);
    return s;
}

/* Files below a folder of the store. */
static inline size_t count_files(struct store *s, const char *folder)
{
    AUTO(mem) char *path = xprintf("%s/%s", store_path(s), folder);
    char **list;
    size_t n, files = 0;
    assert_true(fs_list_tree(path, &list, &n, NULL));
    for (size_t i = 0; i < n; i++)
        files += list[i][0] != '.'; /* tmp/.lock */
    fs_list_free(list, n);
    return files;
}
static inline char *remote_path(const char *kind, const struct digest *d)
{
    char hex[DIGEST_HEX];
    return xprintf("/%s/%s", kind, digest_hex(d, hex));
}
static inline bool is_hit(struct store *s, const struct digest *key)
{
    const struct index_entry *e;
    enum store_state state;
    assert_true(store_look_up(s, key, &e, &state, NULL));
    return state == STORE_HIT;
}
#endif
