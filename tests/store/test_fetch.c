/* Outside data by URL: what becomes there, what is asked for, and who is told the token. */
#include "tests/store/fetching.h"
#include <sys/wait.h>

static void snapshot(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    assert_null(fetch_find(s, "hf://acme/tiny", NULL));
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    assert_string_equal(r.pinned, "hf://acme/tiny@" A);
    assert_int_equal(r.files, 5);
    assert_int_equal(r.bytes, 2 * LARGE + 6);
    assert_int_equal(r.fetched_bytes, 2 * LARGE + 6);
    assert_int_equal(*r.path, '/');
    tree_is_a(r.path);
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_int_equal(times(asked, "\n"), 5); /* the list and four files: nobody asks for an empty one */
    assert_non_null(strstr(asked, API("main") "?blobs=true - -\n"));
    /* a copy elsewhere is the same import */
    AUTO(mem) char *copy = xprintf("%s/copy", root);
    AUTO(mem) char *command = xprintf("rm -rf %s && cp -r %s %s", copy, r.path, copy);
    struct digest d, e;
    assert_int_equal(system(command), 0);
    assert_true(store_import(s, r.path, &d, NULL, NULL) && store_import(s, copy, &e, NULL, NULL));
    assert_true(digest_equal(&d, &e));
    fetch_result_done(&r);
    /* again: nobody is asked */
    fetch_with(s, "hf://acme/tiny@main", (struct fetch_options){0}, &r);
    assert_int_equal(r.fetched, 0);
    fetch_result_done(&r);
    AUTO(mem) char *none = hub_asked(&hub);
    assert_string_equal(none, "");
}

/* A branch is where it was when it was fetched, until somebody asks. */
static void update(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    fetch_result_done(&r);
    struct hub_path *list = hub_find(&hub, API(B));
    hub_put(&hub, API("main"), list->content, list->n);
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    assert_string_equal(r.pinned, "hf://acme/tiny@" A);
    fetch_result_done(&r);
    /* an update that ends in the middle is none */
    hub_trouble(&hub, "/acme/tiny/resolve/" B "/config.json", HUB_STATUS + 503, 1);
    assert_false(fetch_url(s, "hf://acme/tiny", &(struct fetch_options){.update = true}, &r, NULL));
    AUTO(mem) char *before = fetch_find(s, "hf://acme/tiny", NULL);
    content_is(before, "config.json", "{}", 2);
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){.update = true}, &r);
    assert_string_equal(r.pinned, "hf://acme/tiny@" B);
    content_is(r.path, "config.json", "{ }", 3);
    fetch_result_done(&r);
    /* what was fetched by its commit is still there; a file of the branch is the new commit's */
    AUTO(mem) char *old = fetch_find(s, "hf://acme/tiny@" A, NULL);
    content_is(old, "config.json", "{}", 2);
    assert_null(fetch_find(s, "hf://acme/tiny/config.json", NULL));
    fetch_with(s, "hf://acme/tiny/config.json", (struct fetch_options){0}, &r);
    assert_string_equal(r.pinned, "hf://acme/tiny@" B "/config.json");
    fetch_result_done(&r);
    /* nor is one that does not begin */
    hub_trouble(&hub, API("main"), HUB_STATUS + 500, 1);
    assert_false(fetch_url(s, "hf://acme/tiny", &(struct fetch_options){.update = true}, &r, NULL));
    AUTO(mem) char *still = fetch_find(s, "hf://acme/tiny", NULL);
    content_is(still, "config.json", "{ }", 3);
}

static void one_file(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    fetch_with(s, "hf://acme/tiny/model.safetensors", (struct fetch_options){0}, &r);
    assert_int_equal(r.files, 1);
    assert_non_null(strstr(r.path, "/model.safetensors"));
    assert_null(fetch_find(s, "hf://acme/tiny", NULL)); /* one file is not all */
    fetch_result_done(&r);
    free(hub_asked(&hub));
    fetch_with(s, "hf://acme/tiny@" A, (struct fetch_options){0}, &r);
    tree_is_a(r.path);
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_null(strstr(asked, "model.safetensors"));
    fetch_result_done(&r);
    fails(s, "hf://acme/tiny/model.safetensor", "did you mean 'model.safetensors'?");
    fails(s, "hf://acme/tiny/sub", "has no file 'sub'");
}

static void url(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    struct digest d;
    char hex[DIGEST_HEX];
    hash_bytes(large, sizeof large, &d);
    AUTO(mem) char *plain = xprintf("%s/data/flowers.tar", hub.url);
    AUTO(mem) char *right = xprintf("%s#sha256=%s", plain, digest_hex(&d, hex));
    d.byte[7] ^= 1;
    AUTO(mem) char *wrong = xprintf("%s#sha256=%s", plain, digest_hex(&d, hex));
    fails(s, wrong, "is not the content with SHA-256");
    fails(s, wrong, "is not the content with SHA-256");
    assert_null(fetch_find(s, right, NULL));
    fetch_with(s, right, (struct fetch_options){0}, &r);
    assert_string_equal(r.pinned, right);
    assert_string_equal(strrchr(r.path, '/'), "/flowers.tar");
    file_is_large(r.path);
    fetch_result_done(&r);
    /* one that nobody knows the digest of is fetched each time, and comes to the same place */
    fetch_with(s, plain, (struct fetch_options){0}, &r);
    assert_string_equal(r.pinned, right);
    assert_int_equal(r.fetched, 1);
    fetch_result_done(&r);
    hub_put(&hub, "/data/flowers.tar", "other", 5);
    fetch_with(s, plain, (struct fetch_options){0}, &r);
    assert_string_not_equal(r.pinned, right);
    assert_int_equal(r.bytes, 5);
    fetch_result_done(&r);
    AUTO(mem) char *still = fetch_find(s, right, NULL);
    file_is_large(still);
    fails(s, "http://127.0.0.1:1/x", "connect");
}

/* The token goes to the hub, not to where the hub sends us, and not to other servers. */
static void token(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    setenv("HF_TOKEN", " sesame\n", 1);
    hub_trouble(&hub, FILE_("model.safetensors"), HUB_MOVED, 2);
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    fetch_result_done(&r);
    AUTO(mem) char *plain = xprintf("%s/data/flowers.tar", hub.url);
    fetch_with(s, plain, (struct fetch_options){0}, &r);
    fetch_result_done(&r);
    unsetenv("HF_TOKEN");
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_int_equal(times(asked, " sesame\n"), 5);
    assert_non_null(strstr(asked, "\nlocalhost" FILE_("model.safetensors") " - -\n"));
    assert_non_null(strstr(asked, "/data/flowers.tar - -\n"));
}

/* ---- at once ---- */

static void waits(void *arg, const struct fetch_progress *p)
{
    if (!p->file)
        *(bool *)arg = true;
}

/* Processes that want the same: one fetches it. */
static void at_once(void **state)
{
    AUTO(store) struct store *s = open_new();
    pid_t child[4];
    int waited = 0;
    for (int i = 0; i < 4; i++)
        if ((child[i] = fork()) == 0) {
            struct store *own;
            struct fetch_result r;
            bool had_to = false;
            const struct fetch_options o = {.progress = waits, .arg = &had_to};
            bool ok = store_open(store_dir, &own, NULL) && fetch_url(own, "hf://acme/tiny", &o, &r, NULL);
            _exit(!ok ? 9 : had_to ? 2 : r.fetched == 5 ? 1 : 0);
        }
    int fetched = 0;
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 2);
        fetched += WEXITSTATUS(status) == 1;
        waited += WEXITSTATUS(status) == 2;
    }
    AUTO(mem) char *found = fetch_find(s, "hf://acme/tiny", NULL);
    tree_is_a(found);
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_int_equal(times(asked, "\n"), 5);
    assert_true(fetched <= 1 && fetched + waited >= 1);
}

/* ---- progress ---- */

struct seen {
    int complete;
    int64_t done, total;
};
static void count(void *arg, const struct fetch_progress *p)
{
    struct seen *n = arg;
    assert_non_null(p->file);
    assert_true(p->done >= n->done && p->done <= p->total);
    n->complete += p->complete;
    n->done = p->done;
    n->total = p->total;
}
static void progress(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct seen n = {0};
    struct fetch_result r;
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){.progress = count, .arg = &n}, &r);
    assert_int_equal(n.complete, 4);
    assert_int_equal(n.total, 2 * LARGE + 6);
    assert_int_equal(n.done, n.total);
    fetch_result_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(snapshot), cmocka_unit_test(update),
                                       cmocka_unit_test(one_file), cmocka_unit_test(url),
                                       cmocka_unit_test(token),    cmocka_unit_test(at_once),
                                       cmocka_unit_test(progress)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
