/* Outside data by URL, from a hub in a thread: what becomes there, what is asked for, and what never is used.
 */
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
static void publish(void)
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
static struct store *open_new(void)
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

static void fetch_with(struct store *s, const char *url, struct fetch_options o, struct fetch_result *ret)
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
static void fails(struct store *s, const char *url, const char *says)
{
    struct error err = {0};
    struct fetch_result r;
    if (fetch_url(s, url, &(struct fetch_options){0}, &r, &err) || !strstr(err.text, says))
        fail_msg("%s: wanted '%s', got '%s'", url, says, err.text);
    assert_null(r.path);
    assert_null(strstr(err.text, "sesame"));
    assert_null(fetch_find(s, url, &err));
}

static void content_is(const char *dir, const char *name, const void *want, size_t n)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    AUTO(mem) char *text = NULL;
    size_t got;
    assert_true(fs_read_file(path, &text, &got, NULL));
    assert_int_equal(got, n);
    assert_memory_equal(text, want, n);
}

static void tree_is_a(const char *dir)
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

static void file_is_large(const char *path)
{
    AUTO(mem) char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    content_is(dir, strrchr(path, '/') + 1, large, sizeof large);
}

static int times(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

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
    /* an update that fails leaves what there is */
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

/* ---- trouble ---- */

/* Cut short, then on from there: in a later call, too. */
static void cut(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    hub_trouble(&hub, FILE_("model.safetensors"), HUB_CUT, 1);
    fails(s, "hf://acme/tiny", "150000 bytes remaining");
    free(hub_asked(&hub));
    hub_trouble(&hub, FILE_("model.safetensors"), HUB_CUT, 1);
    fails(s, "hf://acme/tiny", "75000 bytes remaining");
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    tree_is_a(r.path);
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_int_equal(times(asked, "/model.safetensors bytes=150000- "), 1);
    assert_int_equal(times(asked, "/model.safetensors bytes=225000- "), 1);
    assert_int_equal(times(asked, "/model.safetensors"), 2);
    assert_int_equal(times(asked, "/twin"), 0); /* it came in the first call */
    fetch_result_done(&r);
    AUTO(mem) char *parts = xprintf("%s/fetched/hub/models/acme/tiny/" A "/parts", store_dir);
    assert_false(fs_exists(parts));
}

/* What an earlier try left was of something else: from the start. */
static void spoilt_part(void **state)
{
    struct digest d;
    char hex[DIGEST_HEX];
    static const size_t size[] = {1000, LARGE, LARGE + 1};
    hash_bytes("model.safetensors", 17, &d);
    AUTO(mem)
    char *part = xprintf("%s/fetched/hub/models/acme/tiny/" A "/parts/%s", store_dir, digest_hex(&d, hex));
    AUTO(mem) char *garbage = xcalloc(1, LARGE + 1);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        AUTO(store) struct store *s = open_new();
        struct fetch_result r;
        AUTO(mem) char *dir = xstrndup(part, (size_t)(strrchr(part, '/') - part));
        assert_true(fs_mkdirs(dir, NULL) && fs_write_file(part, garbage, size[i], NULL));
        fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
        tree_is_a(r.path);
        fetch_result_done(&r);
    }
}

static void wrong_content(void **state)
{
    static const char *const path[] = {FILE_("model.safetensors"), FILE_("config.json")};
    for (int i = 0; i < 2; i++) {
        AUTO(store) struct store *s = open_new();
        hub_trouble(&hub, path[i], HUB_WRONG, 1);
        fails(s, "hf://acme/tiny", i ? "not the content with git's SHA-1" : "not the content with SHA-256");
    }
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    hub_put(&hub, path[1], "longer than it was", 18);
    fails(s, "hf://acme/tiny", "more than the 2 bytes");
    hub_put(&hub, path[1], "x", 1);
    fails(s, "hf://acme/tiny", "not the content");
    hub_put(&hub, path[1], "{}", 2);
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    tree_is_a(r.path);
    fetch_result_done(&r);
}

static void silence(void **state)
{
    AUTO(store) struct store *s = open_new();
    hub_trouble(&hub, API("main"), HUB_HANG, 1);
    fails(s, "hf://acme/tiny", "nothing came for 1 seconds");
    hub_trouble(&hub, FILE_("twin"), HUB_HANG, 1);
    fails(s, "hf://acme/tiny", "nothing came for 1 seconds");
    struct fetch_result r;
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    fetch_result_done(&r);
}

static void refused(void **state)
{
    AUTO(store) struct store *s = open_new();
    static const struct {
        int status;
        const char *token, *says;
    } row[] = {{401, NULL, "set HF_TOKEN"},
               {401, "sesame", "does not take the token"},
               {403, "sesame", "is gated: accept its conditions"},
               {404, NULL, "no repository 'acme/tiny'"},
               {429, NULL, "those who set HF_TOKEN"},
               {429, "sesame", "too many requests"},
               {503, NULL, "not available now"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        row[i].token ? setenv("HF_TOKEN", row[i].token, 1) : unsetenv("HF_TOKEN");
        hub_trouble(&hub, API("main"), HUB_STATUS + row[i].status, 1);
        fails(s, "hf://acme/tiny", row[i].says);
        hub_trouble(&hub, FILE_("twin"), HUB_STATUS + row[i].status, 1);
        fails(s, "hf://acme/tiny", row[i].says);
    }
    unsetenv("HF_TOKEN");
    setenv("HF_ENDPOINT", "huggingface.co", 1);
    fails(s, "hf://acme/tiny", "HF_ENDPOINT: 'huggingface.co'");
    setenv("HF_ENDPOINT", "hf://a/b", 1);
    fails(s, "hf://acme/tiny", "HF_ENDPOINT: 'hf://a/b'");
    setenv("HF_ENDPOINT", hub.url, 1);
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

/* ---- what a hub may not say ---- */

#define GIT        "\"blobId\": \"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\""
#define LIST(rows) "{\"sha\": \"" A "\", \"siblings\": [" rows "]}"
#define ROW(name)  "{\"rfilename\": \"" name "\", \"size\": 0, " GIT "}"
static void lists(void **state)
{
    AUTO(store) struct store *s = open_new();
    static const struct {
        const char *list, *says;
    } row[] = {
        {LIST(ROW("../../evil")), "no file name"},
        {LIST(ROW("/etc/evil")), "no file name"},
        {LIST(ROW("a//b")), "no file name"},
        {LIST(ROW("a\\\\b")), "no file name"},
        {LIST(ROW("a\\nb")), "no file name"},
        {LIST(ROW("")), "no file name"},
        {LIST("{\"size\": 0, " GIT "}"), "no file name"},
        {LIST("7"), "no file name"},
        {LIST(ROW("a") ", " ROW("b") ", " ROW("a")), "names 'a' twice"},
        {LIST("{\"rfilename\": \"a\", \"size\": 0}"), "no digest of 'a'"},
        {LIST("{\"rfilename\": \"a\", \"size\": 0, \"blobId\": \"e6\"}"), "no digest of 'a'"},
        {LIST("{\"rfilename\": \"a\", \"size\": 0, " GIT ", \"lfs\": {\"sha256\": \"x\"}}"),
         "no digest of 'a'"},
        {LIST("{\"rfilename\": \"a\", " GIT "}"), "how large 'a' is"},
        {LIST("{\"rfilename\": \"a\", \"size\": -1, " GIT "}"), "how large 'a' is"},
        {LIST("{\"rfilename\": \"a\", \"size\": 9000000000000000000, " GIT "}"), "how large 'a' is"},
        {LIST(""), "is empty"},
        {"{\"sha\": \"main\", \"siblings\": []}", "does not name a commit"},
        {"{\"sha\": \"../../aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"siblings\": []}", "not name a commit"},
        {"{\"sha\": \"" A "\"}", "does not name a commit"},
        {"[]", "does not name a commit"},
        {"<html>", "the hub's answer"},
        {"", "the hub's answer"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        hub_put(&hub, API("main"), row[i].list, strlen(row[i].list));
        fails(s, "hf://acme/tiny", row[i].says);
    }
    AUTO(mem) char *dir = xprintf("%s/fetched", store_dir);
    assert_false(fs_exists(dir));
    hub_put(&hub, API(B), LIST(ROW("a")), strlen(LIST(ROW("a"))));
    fails(s, "hf://acme/tiny@" B, "answers for commit " A);
    /* a file whose name is a folder's */
    hub_put(&hub, API("main"), LIST(ROW("a") ", " ROW("a/b")), strlen(LIST(ROW("a") ", " ROW("a/b"))));
    fails(s, "hf://acme/tiny", "a/b");
}

/* ---- damage ---- */

static void damage(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    AUTO(mem) char *file = xprintf("%s/twin", r.path);
    AUTO(mem) char *manifest = xprintf("%.*s/manifest", (int)(strrchr(r.path, '/') - r.path), r.path);
    struct stat st;
    struct digest before, after;
    assert_true(store_import(s, r.path, &before, NULL, NULL));
    fetch_result_done(&r);
    /* touched only: still right */
    assert_int_equal(utimensat(AT_FDCWD, file, NULL, 0), 0);
    AUTO(mem) char *touched = fetch_find(s, "hf://acme/tiny", NULL);
    assert_non_null(touched);
    /* written to: not there, until it is fetched again */
    large[5] ^= 1;
    assert_true(fs_write_file(file, large, sizeof large, NULL));
    large[5] ^= 1;
    assert_null(fetch_find(s, "hf://acme/tiny", NULL));
    free(hub_asked(&hub));
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    tree_is_a(r.path);
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_int_equal(times(asked, "\n"), 1); /* that file; the manifest is enough of a list */
    fetch_result_done(&r);
    /* a bit that flipped on the disk: nobody sees that but who reads it all */
    assert_int_equal(stat(file, &st), 0);
    int fd = open(file, O_WRONLY);
    const struct timespec t[2] = {st.st_atim, st.st_mtim};
    assert_int_equal(pwrite(fd, "\377", 1, 7777), 1);
    assert_int_equal(futimens(fd, t), 0);
    close(fd);
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    assert_int_equal(r.fetched, 0);
    fetch_result_done(&r);
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){.verify = true}, &r);
    assert_int_equal(r.fetched, 1);
    tree_is_a(r.path);
    assert_true(store_import(s, r.path, &after, NULL, NULL) && digest_equal(&before, &after));
    fetch_result_done(&r);
    /* one that is gone, and a manifest that says nothing */
    assert_int_equal(unlink(file), 0);
    assert_null(fetch_find(s, "hf://acme/tiny", NULL));
    assert_true(fs_write_file(manifest, "{\"version\": 1}", 14, NULL));
    fetch_with(s, "hf://acme/tiny", (struct fetch_options){0}, &r);
    tree_is_a(r.path);
    fetch_result_done(&r);
}

/* Each byte of manifest and ref in turn: what is found is right, or nothing is. */
static void flipped(void **state)
{
    AUTO(store) struct store *s = open_new();
    struct fetch_result r;
    fetch_with(s, "hf://acme/tiny/config.json", (struct fetch_options){0}, &r);
    AUTO(mem) char *dir = xprintf("%s/fetched/hub/models/acme/tiny", store_dir);
    char **list;
    size_t n, seen = 0;
    assert_true(fs_list_tree(dir, &list, &n, NULL));
    for (size_t i = 0; i < n; i++) {
        if (strstr(list[i], "/files/"))
            continue;
        AUTO(mem) char *path = xprintf("%s/%s", dir, list[i]);
        AUTO(mem) char *text = NULL;
        size_t len;
        assert_true(fs_read_file(path, &text, &len, NULL));
        for (size_t k = 0; k < len; k++, seen++) {
            text[k] ^= 4;
            assert_true(fs_write_file(path, text, len, NULL));
            struct error err = {0};
            AUTO(mem) char *found = fetch_find(s, "hf://acme/tiny/config.json", &err);
            assert_true(!err.code && (!found || strcmp(found, r.path) == 0));
            assert_null(found);
            text[k] ^= 4;
        }
        assert_true(fs_write_file(path, text, len, NULL));
    }
    assert_true(seen > 300);
    fs_list_free(list, n);
    AUTO(mem) char *found = fetch_find(s, "hf://acme/tiny/config.json", NULL);
    assert_string_equal(found, r.path);
    fetch_result_done(&r);
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

static int setup(void **state)
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
static int teardown(void **state)
{
    hub_stop(&hub);
    free(store_dir);
    return fs_remove_tree(root, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot),      cmocka_unit_test(update),  cmocka_unit_test(one_file),
        cmocka_unit_test(url),           cmocka_unit_test(cut),     cmocka_unit_test(spoilt_part),
        cmocka_unit_test(wrong_content), cmocka_unit_test(silence), cmocka_unit_test(refused),
        cmocka_unit_test(token),         cmocka_unit_test(lists),   cmocka_unit_test(damage),
        cmocka_unit_test(flipped),       cmocka_unit_test(at_once), cmocka_unit_test(progress)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
