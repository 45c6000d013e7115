/* The N-th file call of a fetch fails, or the process dies there, for every N: what is found afterwards is
 * right or absent, and the next fetch ends well without help. A hub's snapshot, one that was there and lost a
 * file, and a file whose digest nobody knew. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/fetch.h"
#include "tests/fault/campaign.h"
#include "tests/hub_server.h"
#include <sys/wait.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static const char *const names[] = {"config.json", "sub/model.safetensors", "twin"};
static struct hub hub;
static char large[70000], *store_dir, *file_url, *file_pinned;

/* What is done beside the fault: the disk is left alone, as by the faulty calls. */
static struct fs_ops calm;
static int no_fsync(int fd)
{
    return 0;
}

static size_t size_of(int i)
{
    return i ? sizeof large : 2;
}
static const char *content_of(int i)
{
    return i ? large : "{}";
}

static void right(const char *path, int i)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(path, &text, &n, NULL));
    assert_int_equal(n, size_of(i));
    assert_memory_equal(text, content_of(i), n);
}

/* What is found, if anything is. */
static bool found(struct store *s, const char *url)
{
    struct error err = {0};
    AUTO(mem) char *path = fetch_find(s, url, &err);
    assert_int_equal(err.code, ERROR_NONE);
    for (int i = 0; path && url[0] == 'h' && url[1] == 'f' && i < 3; i++) {
        AUTO(mem) char *file = xprintf("%s/%s", path, names[i]);
        right(file, i);
    }
    if (path && url[1] != 'f')
        right(path, 1);
    return path != NULL;
}

static bool fetch(struct store *s, const char *url)
{
    struct fetch_result r;
    struct error err = {0};
    bool ok = fetch_url(s, url, &(struct fetch_options){0}, &r, &err);
    fetch_result_done(&r);
    if (!ok && fs == &calm)
        fail_msg("%s", err.text);
    return ok;
}

/* Nothing is left but what is whole: no part, nothing temporary. */
static void tidy(void)
{
    char **list;
    size_t n;
    AUTO(mem) char *dir = xprintf("%s/fetched", store_dir);
    AUTO(mem) char *tmp = xprintf("%s/tmp", store_dir);
    assert_true(fs_list_tree(dir, &list, &n, NULL));
    for (size_t i = 0; i < n; i++)
        if (strstr(list[i], "/parts/") || strstr(list[i], "url/new-"))
            fail_msg("left: %s", list[i]);
    assert_int_equal(n, 3 + 1 + 1 + 2); /* the snapshot, its manifest, the ref; the file and its manifest */
    fs_list_free(list, n);
    assert_true(fs_list_tree(tmp, &list, &n, NULL));
    fs_list_free(list, n);
    assert_true(n <= 1); /* .lock */
}

/* The store before the fault: new, or with a snapshot that lost a file and has another one cut short. */
static void prepare(bool lost)
{
    struct store *s;
    assert_true(fs_remove_tree(store_dir, NULL));
    if (!lost)
        return;
    assert_true(store_open(store_dir, &s, NULL) && fetch(s, "hf://acme/tiny"));
    AUTO(mem) char *path = fetch_find(s, "hf://acme/tiny", NULL);
    AUTO(mem) char *twin = xprintf("%s/twin", path);
    AUTO(mem) char *model = xprintf("%s/sub/model.safetensors", path);
    assert_int_equal(unlink(twin), 0);
    assert_int_equal(truncate(model, 999), 0);
    store_close(s);
}

/* The N-th call; false: there was none. */
static bool one(int how, bool lost, int n)
{
    struct store *s = NULL;
    prepare(lost);
    pid_t pid = hub_fork(&hub);
    if (pid == 0) {
        countdown = n;
        fault_errno = how;
        struct fs_ops some = faulty;
        if (how == EINTR) { /* these are never interrupted */
            some.mkdir = fs_real.mkdir;
            some.rename = fs_real.rename;
            some.utimens = fs_real.utimens;
            some.clone = fs_real.clone;
        }
        fs = &some;
        bool ok = store_open(store_dir, &s, NULL) && fetch(s, "hf://acme/tiny") && fetch(s, file_url);
        store_close(s);
        _exit(countdown > 0 ? 99 : ok ? 0 : 1); /* 99: the fault was never reached */
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    int rc = WEXITSTATUS(status);
    assert_true(store_open(store_dir, &s, NULL));
    bool both = found(s, "hf://acme/tiny");
    both = found(s, file_pinned) && both;
    if (rc == 0 || rc == 99)
        assert_true(both); /* what was said to be there is */
    if (how == EINTR || how == -2)
        assert_true(rc == 0 || rc == 99);
    assert_true(fetch(s, "hf://acme/tiny") && fetch(s, file_url));
    assert_true(found(s, "hf://acme/tiny") && found(s, file_pinned));
    store_close(s);
    tidy();
    return rc != 99;
}

static void campaign(int how)
{
    for (int lost = 0; lost < 2; lost++) {
        int n = 1;
        while (one(how, lost, n))
            assert_true(++n < 1000);
        print_message("%d calls\n", n - 1);
        assert_true(n > 60);
    }
}

static int setup(void **state)
{
    static const char *const path[] = {"/acme/tiny/resolve/" A "/config.json",
                                       "/acme/tiny/resolve/" A "/sub/model.safetensors",
                                       "/acme/tiny/resolve/" A "/twin"};
    AUTO(buf) struct buf rows = {0}, b = {0};
    struct digest d;
    char hex[DIGEST_HEX];
    if (make_root(state) || !hub_start(&hub))
        return -1;
    calm = fs_real;
    calm.fsync = no_fsync;
    fs = &calm;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)(i * 2654435761u >> 9);
    for (int i = 0; i < 3; i++) {
        hub_row(&rows, names[i], content_of(i), size_of(i), i > 0);
        hub_put(&hub, path[i], content_of(i), size_of(i));
    }
    buf_printf(&b, "{\"sha\": \"%s\", \"siblings\": [%s]}", A, buf_str(&rows));
    hub_put(&hub, "/api/models/acme/tiny/revision/main", b.data, b.len);
    hub_put(&hub, "/api/models/acme/tiny/revision/" A, b.data, b.len);
    hub_put(&hub, "/data/f", large, sizeof large);
    hash_bytes(large, sizeof large, &d);
    store_dir = xprintf("%s/store", root);
    file_url = xprintf("%s/data/f", hub.url);
    file_pinned = xprintf("%s#sha256=%s", file_url, digest_hex(&d, hex));
    unsetenv("HF_TOKEN");
    return setenv("HF_ENDPOINT", hub.url, 1);
}

int main(void)
{
    int failed = run_campaigns(setup);
    hub_stop(&hub);
    free(store_dir);
    free(file_url);
    free(file_pinned);
    return failed;
}
