/* What the tests of fetching stand on: a hub in a thread with a repository of two commits, and a store. */
#ifndef TESTS_STORE_FETCHING_H
#define TESTS_STORE_FETCHING_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/fetch.h"
#include "tests/hub_server.h"
#include "tests/test.h"
#include <fcntl.h>
#include <sys/wait.h>

#define A           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B           "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define API(rev)    "/api/models/acme/tiny/revision/" rev
#define FILE_(name) "/acme/tiny/resolve/" A "/" name
#define LARGE       300000

static char root[] = "/tmp/weft-fetch-XXXXXX";
static struct hub hub;
static char large[LARGE];
static char *store_dir;

/* The repository at commit A, main's; at B config.json is another. */
static inline void publish(void)
{
    static const char *const api[] = {API("main"), API(A), API(B)};
    static const char *const config[] = {"/acme/tiny/resolve/" A "/config.json",
                                         "/acme/tiny/resolve/" B "/config.json"};
    static const char *const weights[] = {FILE_("model.safetensors"),
                                          "/acme/tiny/resolve/" B "/model.safetensors"};
    static const char *const below[] = {FILE_("sub/a%20b"), "/acme/tiny/resolve/" B "/sub/a%20b"};
    static const char *const twin[] = {FILE_("twin"), "/acme/tiny/resolve/" B "/twin"};
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * 2654435761u >> 11);
    for (int i = 0; i < 3; i++) {
        AUTO(buf) struct buf rows = {0}, b = {0};
        hub_row(&rows, "config.json", i < 2 ? "{}" : "{ }", i < 2 ? 2 : 3, false);
        hub_row(&rows, "model.safetensors", large, sizeof large, true);
        hub_row(&rows, "sub/a b", "text", 4, false);
        hub_row(&rows, "twin", large, sizeof large, true);
        hub_row(&rows, "empty", "", 0, false);
        buf_printf(&b, "{\"id\": \"x\", \"sha\": \"%s\", \"siblings\": [%s]}", i < 2 ? A : B, buf_str(&rows));
        hub_put(&hub, api[i], b.data, b.len);
    }
    for (int i = 0; i < 2; i++) {
        hub_put(&hub, config[i], i ? "{ }" : "{}", i ? 3 : 2);
        hub_put(&hub, weights[i], large, sizeof large);
        hub_put(&hub, twin[i], large, sizeof large);
        hub_put(&hub, below[i], "text", 4);
    }
    hub_put(&hub, "/data/flowers.tar", large, sizeof large);
    hub.token = NULL;
    free(hub_asked(&hub));
}

/* A new store, with limits that a test can wait for. */
static inline struct store *open_new(void)
{
    struct store *s;
    static const char config[] = "{\"fetch_tries\": 1, \"fetch_silence\": 1}";
    AUTO(mem) char *file = xprintf("%s/config", store_dir);
    assert_true(fs_remove_tree(store_dir, NULL) && fs_mkdirs(store_dir, NULL));
    assert_true(fs_write_file(file, config, strlen(config), NULL));
    assert_true(store_open(store_dir, &s, NULL));
    publish();
    return s;
}

static inline void fetch_with(struct store *s, const char *url, struct fetch_options o,
                              struct fetch_result *ret)
{
    struct error err = {0};
    if (!fetch_url(s, url, &o, ret, &err))
        fail_msg("%s", err.text);
    AUTO(mem) char *found = fetch_find(s, url, NULL);
    if (strncmp(url, "http", 4) != 0 || strchr(url, '#'))
        assert_string_equal(found, ret->path);
    AUTO(mem) char *pinned = fetch_find(s, ret->pinned, NULL);
    assert_string_equal(pinned, ret->path);
}

/* It fails and says this, and nothing is to be found. */
static inline void fails(struct store *s, const char *url, const char *says)
{
    struct error err = {0};
    struct fetch_result r;
    if (fetch_url(s, url, &(struct fetch_options){0}, &r, &err) || !strstr(err.text, says))
        fail_msg("%s: wanted '%s', got '%s'", url, says, err.text);
    assert_null(r.path);
    assert_null(strstr(err.text, "sesame"));
    assert_null(fetch_find(s, url, &err));
}

static inline void content_is(const char *dir, const char *name, const void *want, size_t n)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    AUTO(mem) char *text = NULL;
    size_t got;
    assert_true(fs_read_file(path, &text, &got, NULL));
    assert_int_equal(got, n);
    assert_memory_equal(text, want, n);
}

static inline void tree_is_a(const char *dir)
{
    char **list;
    size_t n;
    assert_true(fs_list_tree(dir, &list, &n, NULL));
    assert_int_equal(n, 5);
    fs_list_free(list, n);
    content_is(dir, "config.json", "{}", 2);
    content_is(dir, "model.safetensors", large, sizeof large);
    content_is(dir, "sub/a b", "text", 4);
    content_is(dir, "twin", large, sizeof large);
    content_is(dir, "empty", "", 0);
}

static inline void file_is_large(const char *path)
{
    AUTO(mem) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    content_is(dir, strrchr(path, '/') + 1, large, sizeof large);
}

static inline int times(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static inline int setup(void **state)
{
    if (!mkdtemp(root) || !hub_start(&hub))
        return -1;
    store_dir = xprintf("%s/store", root);
    unsetenv("HF_TOKEN");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    return setenv("HF_ENDPOINT", hub.url, 1);
}
static inline int teardown(void **state)
{
    hub_stop(&hub);
    free(store_dir);
    return fs_remove_tree(root, NULL) ? 0 : -1;
}
#endif
