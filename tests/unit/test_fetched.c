/* URLs among the imports of an experiment: before they are fetched, after, and when what was fetched changed.
 */
#include "base/cleanup.h"
#include "cache/fetch.h"
#include "engine/exec/fetched.h"
#include "engine/exec/resolve.h"
#include "tests/hub_server.h"
#include "tests/unit/spec_folder.h"

static struct hub hub;
static struct store *store;
static char *one, *two; /* URLs with digests */

static struct spec *read_main(void)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text,
               "experiment: e\nstages:\n  b: { uses: source, with: { path: \"%s\" } }\n"
               "  a: { uses: source, with: { path: local } }\n  c: { uses: source, with: { path: \"%s\" } }\n"
               "  d: { uses: step, in: { data: a }, with: { path: \"%s\", size: 7 } }\n",
               one, two, one);
    folder_write("main.yaml", buf_str(&text));
    return folder_read(&(struct spec_options){0}, "");
}

static enum resolution state_of(struct resolver *r, const struct spec *s, const char *task)
{
    struct error err = {0};
    enum resolution x = resolve(r, spec_find(s, task), &err);
    if (x == RESOLVE_ERROR)
        fail_msg("%s", err.text);
    return x;
}

static void fetch(const char *url)
{
    struct fetch_result r;
    struct error err = {0};
    if (!fetch_url(store, url, &(struct fetch_options){0}, &r, &err))
        fail_msg("%s", err.text);
    fetch_result_done(&r);
}

static void urls(void **state)
{
    struct spec *s = read_main();
    AUTO(mem) struct fetched_url *all = NULL;
    assert_int_equal(fetched_urls(s, NULL, &all), 2);
    assert_string_equal(all[0].url, one);
    assert_string_equal(all[0].task->name, "b");
    assert_int_equal(all[0].pos.line, 3);
    assert_string_equal(all[1].url, two);
    bool wanted[4] = {false};
    AUTO(mem) struct fetched_url *none = NULL, *some = NULL;
    wanted[spec_find(s, "a")->index] = true;
    assert_int_equal(fetched_urls(s, wanted, &none), 0);
    wanted[spec_find(s, "d")->index] = true;
    assert_int_equal(fetched_urls(s, wanted, &some), 1);
    assert_string_equal(some[0].task->name, "d");
    spec_free(s);
}

static void keys(void **state)
{
    struct spec *s = read_main();
    struct resolver r;
    struct error err = {0};
    const void *params;
    AUTO(arena) struct arena mem;
    arena_init(&mem);
    resolver_init(&r, s, store);
    const struct task *b = spec_find(s, "b");
    enum resolution all[4];
    AUTO(mem) char *asked_before = hub_asked(&hub);
    assert_true(resolve_all(&r, s, all, &err));
    assert_int_equal(all[b->index], RESOLVE_WAIT);
    assert_int_equal(all[spec_find(s, "a")->index], RESOLVE_MISS);
    assert_string_equal(fetched_missing(store, b), one);
    assert_null(fetched_missing(store, spec_find(s, "a")));
    assert_null(resolve_text(&r, b, &err));
    assert_non_null(strstr(err.text, one));
    assert_false(fetched_params(store, b, &mem, &params, &err));
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_string_equal(asked, "");
    fetch(one);
    /* the key is that of the local file */
    assert_int_equal(state_of(&r, s, "b"), RESOLVE_MISS);
    assert_int_equal(state_of(&r, s, "a"), RESOLVE_MISS);
    assert_true(digest_equal(&r.task[b->index].key, &r.task[spec_find(s, "a")->index].key));
    assert_int_equal(state_of(&r, s, "c"), RESOLVE_WAIT);
    assert_null(fetched_missing(store, b));
    /* and the task is given a local path, all else as it was */
    assert_true(fetched_params(store, b, &mem, &params, &err));
    const struct fake_params *p = params;
    AUTO(mem) char *local = fetch_find(store, one, NULL);
    assert_string_equal(p->path, local);
    assert_int_equal(p->size, 5);
    assert_string_equal(((const struct fake_params *)b->params)->path, one);
    assert_true(fetched_params(store, spec_find(s, "a"), &mem, &params, &err));
    assert_ptr_equal(params, spec_find(s, "a")->params);
    resolver_done(&r, s);
    spec_free(s);
}

/* What was fetched is changed while it is used: not the same key, and not another one either. */
static void changed(void **state)
{
    struct spec *s = read_main();
    struct resolver r;
    struct error err = {0};
    resolver_init(&r, s, store);
    fetch(two);
    const struct task *c = spec_find(s, "c");
    assert_int_equal(state_of(&r, s, "c"), RESOLVE_MISS);
    assert_true(resolve_unchanged(&r, c, NULL, &err));
    AUTO(mem) char *local = fetch_find(store, two, NULL);
    assert_true(fs_write_file(local, "three", 5, NULL));
    assert_false(resolve_unchanged(&r, c, NULL, &err));
    assert_non_null(strstr(err.text, "no longer as it was fetched"));
    assert_int_equal(state_of(&r, s, "c"), RESOLVE_WAIT);
    fetch(two);
    assert_int_equal(state_of(&r, s, "c"), RESOLVE_MISS);
    assert_true(resolve_unchanged(&r, c, NULL, &err));
    resolver_done(&r, s);
    spec_free(s);
}

static char *put(const char *path, const char *text)
{
    struct digest d;
    char hex[DIGEST_HEX];
    hub_put(&hub, path, text, strlen(text));
    hash_bytes(text, strlen(text), &d);
    return xprintf("%s%s#sha256=%s", hub.url, path, digest_hex(&d, hex));
}
static int setup(void **state)
{
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    if (folder_enter(state) || !hub_start(&hub) || !store_open("store", &store, NULL))
        return -1;
    one = put("/one", "one");
    two = put("/two", "two");
    folder_write("local", "one");
    return 0;
}
static int teardown(void **state)
{
    store_close(store);
    hub_stop(&hub);
    free(one);
    free(two);
    return folder_leave(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls), cmocka_unit_test(keys),
                                       cmocka_unit_test(changed)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
