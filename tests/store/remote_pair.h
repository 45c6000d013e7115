/* Two stores and a server between them, for each test anew. */
#ifndef TESTS_STORE_REMOTE_PAIR_H
#define TESTS_STORE_REMOTE_PAIR_H
#include "tests/store/http_server.h"
#include "tests/store/remotes.h"

static struct http_server server;
static struct store *a, *b;
static char *url;

static inline int setup(void **state)
{
    static struct fs_ops quick;
    quick = quick_fs();
    fs = &quick;
    setenv("no_proxy", "*", 1);
    return mkdtemp(root) ? 0 : -1;
}
static inline int teardown(void **state)
{
    fs = &fs_real;
    return fs_remove_tree(root, NULL) ? 0 : -1;
}
static inline int begin(void **state)
{
    a = store_named("a");
    b = store_named("b");
    server_start(&server);
    url = xprintf("http://127.0.0.1:%d/cache", server.port);
    return 0;
}
static inline int end(void **state)
{
    server_stop(&server);
    free(url);
    store_close(a);
    store_close(b);
    AUTO(mem) char *pa = at("a");
    AUTO(mem) char *pb = at("b");
    return fs_remove_tree(pa, NULL) && fs_remove_tree(pb, NULL) ? 0 : -1;
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

static inline struct remote *both(struct store *s)
{
    return open_remote(s, (struct remote_options){.url = url, .mode = REMOTE_READ | REMOTE_WRITE, FAST});
}

static struct result results[] = {
    {.name = "words", .n = 5000}, {.name = "floats", .n = 3000001, .kind = 1}, {.name = "nothing", .n = 0}};
#define N (sizeof results / sizeof *results)

static inline void offer_all(void)
{
    struct remote *r = both(a);
    for (size_t i = 0; i < N; i++) {
        put_result(a, &results[i]);
        remote_offer(r, &results[i].key);
    }
    struct remote_stats st = when_sent(r);
    assert_int_equal(st.uploads, N);
    assert_int_equal(st.failures, 0);
    assert_true(st.sent > 0);
    remote_close(r, 60);
}

/* row: a method, or "" for all; the status that it has. */
static inline bool status_of(struct http_server *s, const struct asked *q, int fd)
{
    const char *const *row = s->arg; /* method, or ""; status */
    if (*row[0] && strcmp(row[0], q->method) != 0)
        return false;
    server_say(fd, row[1], "", "page", strcmp(q->method, "HEAD") == 0 ? 0 : 4, 4);
    return true;
}
#endif
