/* Fetching when servers, lists and disks are not as they should be: what never is used, and what is kept. */
#include "tests/store/fetching.h"
#include <fcntl.h>

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

/* One file that cannot be had ends it: nobody waits for all the others, which say nothing. */
static void first_failure(void **state)
{
    static char path[40][128];
    AUTO(store) struct store *s = open_new();
    AUTO(buf) struct buf rows = {0}, b = {0};
    hub_row(&rows, "a", "{}", 2, false); /* there is none */
    for (int i = 0; i < 40; i++) {
        AUTO(mem) char *name = xprintf("z%d", i);
        hub_row(&rows, name, "text", 4, false);
        snprintf(path[i], sizeof path[i], FILE_("%s"), name);
        hub_put(&hub, path[i], "text", 4);
        hub_trouble(&hub, path[i], HUB_HANG, 1);
    }
    buf_printf(&b, "{\"sha\": \"" A "\", \"siblings\": [%s]}", buf_str(&rows));
    hub_put(&hub, API("main"), b.data, b.len);
    fails(s, "hf://acme/tiny", "'a': the hub has no repository");
    AUTO(mem) char *asked = hub_asked(&hub);
    assert_true(times(asked, "\n") < 20);
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
    fails(s, "hf://acme/tiny@v1", "no revision 'v1'");
    setenv("HF_ENDPOINT", "huggingface.co", 1);
    fails(s, "hf://acme/tiny", "HF_ENDPOINT: 'huggingface.co'");
    setenv("HF_ENDPOINT", "hf://a/b", 1);
    fails(s, "hf://acme/tiny", "HF_ENDPOINT: 'hf://a/b'");
    setenv("HF_ENDPOINT", hub.url, 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut),     cmocka_unit_test(spoilt_part),   cmocka_unit_test(wrong_content),
        cmocka_unit_test(silence), cmocka_unit_test(first_failure), cmocka_unit_test(refused),
        cmocka_unit_test(lists),   cmocka_unit_test(damage),        cmocka_unit_test(flipped)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
