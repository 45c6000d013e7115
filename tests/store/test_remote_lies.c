/* What a server may say that is not so: a miss, at most one warning, nothing published, nothing left behind;
 * and once it says what is so, a hit. */
#include "base/json.h"
#include "cache/pack_format.h"
#include "cache/remote_impl.h"
#include "tests/store/http_server.h"
#include "tests/store/remotes.h"
#include <fcntl.h>

static struct http_server server;
static struct store *a, *b;
static char *url;
static struct result big = {.name = "big", .n = 300000, .kind = 1}, small = {.name = "small", .n = 50};
static char *big_object, *small_object, *big_record, *small_record; /* where they lie */

/* ---- objects and records as the server has them, but not quite ---- */

static char *real(const char *path, size_t *n)
{
    char *p = server_get(&server, path, n);
    assert_non_null(p);
    return p;
}
static void say(int fd, const void *p, size_t n)
{
    server_say(fd, "200 OK", "", p, n, n);
}
static bool is_object(const struct asked *q)
{
    return strcmp(q->path, big_object) == 0;
}
static bool is_record(const struct asked *q)
{
    return strcmp(q->path, big_record) == 0;
}

static bool other_object(struct http_server *s, const struct asked *q, int fd)
{
    size_t n;
    AUTO(mem) char *p = real(small_object, &n);
    if (is_object(q))
        say(fd, p, n);
    return is_object(q);
}
static bool shorter(struct http_server *s, const struct asked *q, int fd)
{
    size_t n;
    AUTO(mem) char *p = real(q->path, &n);
    if (is_object(q))
        say(fd, p, n - 1);
    return is_object(q);
}
static bool empty(struct http_server *s, const struct asked *q, int fd)
{
    if (is_object(q))
        say(fd, "", 0);
    return is_object(q);
}
static bool longer(struct http_server *s, const struct asked *q, int fd)
{
    size_t n;
    AUTO(mem) char *p = real(q->path, &n); /* ends with a NUL */
    if (is_object(q))
        say(fd, p, n + 1);
    return is_object(q);
}
static bool flipped(struct http_server *s, const struct asked *q, int fd)
{
    size_t n;
    AUTO(mem) char *p = is_object(q) ? real(q->path, &n) : NULL;
    if (p)
        p[n / 2] ^= 4;
    if (p)
        say(fd, p, n);
    return is_object(q);
}
/* A whole object of its own, with the right name in its header: only the content's digest tells. */
static bool forged(struct http_server *s, const struct asked *q, int fd)
{
    size_t n, m;
    AUTO(mem) char *p = real(q->path, &n);
    AUTO(mem) char *path = at("forged");
    AUTO(mem) char *content = make_content(&(struct result){.name = "forgery", .n = big.n, .kind = 0});
    AUTO(mem) char *back = NULL;
    struct digest d, check;
    if (!is_object(q))
        return false;
    assert_true(fs_write_file(path, content, big.n, NULL));
    int from = open(path, O_RDONLY), to = open(path, O_RDWR);
    unlink(path);
    AUTO(mem) char *packed = at("packed");
    close(to);
    to = open(packed, O_RDWR | O_CREAT | O_TRUNC, 0666);
    assert_true(pack_write(&(struct frame_file){from, path}, (int64_t)big.n, &(struct frame_file){to, packed},
                           &(struct pack_options){.level = 1, .threads = 1, .block = 65536}, &d, NULL));
    close(from);
    close(to);
    assert_true(fs_read_file(packed, &back, &m, NULL));
    unlink(packed);
    memcpy(back + 32, big.object.byte, 32); /* docs/store-format.md */
    hash_bytes(back, PACK_HEADER - 8, &check);
    memcpy(back + PACK_HEADER - 8, check.byte, 8);
    struct pack_info i;
    assert_true(pack_header_read((const uint8_t *)back, &i) && digest_equal(&i.digest, &big.object));
    say(fd, back, m);
    return true;
}
static bool huge(struct http_server *s, const struct asked *q, int fd)
{
    if (is_object(q))
        server_say(fd, "200 OK", "", "x", 1, (size_t)1 << 50);
    return is_object(q);
}
static void pour(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", piece[65536];
    if (server_write(fd, head, sizeof head - 1))
        while (server_write(fd, piece, sizeof piece))
            ;
}
static bool endless(struct http_server *s, const struct asked *q, int fd)
{
    if (is_object(q))
        pour(fd);
    return is_object(q);
}
static bool cut(struct http_server *s, const struct asked *q, int fd)
{
    if (is_object(q))
        server_say(fd, "200 OK", "", "abc", 3, 5000);
    return is_object(q);
}
static bool wrong_range(struct http_server *s, const struct asked *q, int fd)
{
    if (is_object(q))
        server_say(fd, "206 Partial", "Content-Range: bytes 7-9/5000\r\n", "abc", 3, 3);
    return is_object(q);
}
static bool absent(struct http_server *s, const struct asked *q, int fd)
{
    if (is_object(q))
        server_say(fd, "404 x", "", "", 0, 0);
    return is_object(q);
}
static bool bad_gateway(struct http_server *s, const struct asked *q, int fd)
{
    if (is_object(q))
        server_say(fd, "502 x", "", "", 0, 0);
    return is_object(q);
}

static bool record_absent(struct http_server *s, const struct asked *q, int fd)
{
    if (is_record(q))
        server_say(fd, "404 x", "", "", 0, 0);
    return is_record(q);
}
static bool other_record(struct http_server *s, const struct asked *q, int fd)
{
    size_t n;
    AUTO(mem) char *p = real(small_record, &n);
    if (is_record(q))
        say(fd, p, n);
    return is_record(q);
}
static bool page(struct http_server *s, const struct asked *q, int fd)
{
    if (is_record(q))
        say(fd, "<html>log in first</html>", 25);
    return is_record(q);
}
static bool endless_record(struct http_server *s, const struct asked *q, int fd)
{
    if (is_record(q))
        pour(fd);
    return is_record(q);
}
static bool no_http(struct http_server *s, const struct asked *q, int fd)
{
    if (is_record(q))
        (void)server_write(fd, "weft 200 all is well\r\n\r\n", 24);
    return is_record(q);
}
static bool closed(struct http_server *s, const struct asked *q, int fd)
{
    return is_record(q);
}
static bool in_circles(struct http_server *s, const struct asked *q, int fd)
{
    AUTO(mem) char *line = xprintf("Location: %s\r\n", q->path);
    if (is_record(q))
        server_say(fd, "302 x", line, "", 0, 0);
    return is_record(q);
}
static bool no_content(struct http_server *s, const struct asked *q, int fd)
{
    if (is_record(q))
        server_say(fd, "204 x", "", "", 0, 0);
    return is_record(q);
}

/* A record whose seal is right. */
static void say_changed(int fd, void (*change)(json_t *file, json_t *record), bool seal, bool indent)
{
    size_t n;
    AUTO(mem) char *p = real(big_record, &n);
    AUTO_JSON j = json_parse(p, n, "record", NULL);
    assert_true(store_unseal(j));
    json_t *output = json_array_get(json_object_get(j, "outputs"), 0);
    if (change)
        change(json_array_get(json_object_get(output, "files"), 0), j);
    seal ? store_seal(j) : (void)json_object_set_new(j, "sha256", json_string("0"));
    AUTO(mem) char *text = json_text(j, indent);
    say(fd, text, strlen(text));
}
#define CHANGED(name, seal, indent, ...)                                                                     \
    static void change_##name(json_t *f, json_t *r)                                                          \
    {                                                                                                        \
        __VA_ARGS__;                                                                                         \
    }                                                                                                        \
    static bool name(struct http_server *s, const struct asked *q, int fd)                                   \
    {                                                                                                        \
        if (is_record(q))                                                                                    \
            say_changed(fd, change_##name, seal, indent);                                                    \
        return is_record(q);                                                                                 \
    }
CHANGED(no_seal, false, true, (void)f)
CHANGED(written_otherwise, true, false, (void)f)
CHANGED(freed, true, true, json_object_set_new(r, "freed", json_true()))
CHANGED(source, true, true, json_object_set_new(f, "source", json_string("/etc/passwd")))
CHANGED(above, true, true, json_object_set_new(f, "name", json_string("../../../etc/cron.d/x")))
CHANGED(absolute, true, true, json_object_set_new(f, "name", json_string("/etc/cron.d/x")))
CHANGED(no_name, true, true, json_object_set_new(f, "name", json_string("")))
CHANGED(too_large, true, true, json_object_set_new(f, "size", json_integer(1LL << 60)))
CHANGED(one_more, true, true, json_object_set_new(f, "size", json_integer((json_int_t)big.n + 1)))
CHANGED(one_less, true, true, json_object_set_new(f, "size", json_integer((json_int_t)big.n - 1)))
CHANGED(version, true, true, json_object_set_new(r, "version", json_integer(2)))
CHANGED(key_text, true, true, json_object_set_new(r, "text", json_string("weft-key 1\nother\n")))
static void twice_(json_t *r, const char *first, const char *second)
{
    json_t *files = json_object_get(json_array_get(json_object_get(r, "outputs"), 0), "files");
    json_t *copy = json_deep_copy(json_array_get(files, 0));
    json_object_set_new(copy, "name", json_string(second));
    json_object_set_new(json_array_get(files, 0), "name", json_string(first));
    json_array_append_new(files, copy);
}
static void port_(json_t *r, const char *name)
{
    json_t *o = json_array_get(json_object_get(r, "outputs"), 0), *copy = json_deep_copy(o);
    json_object_set_new(copy, "port", json_string(name));
    json_array_append_new(json_object_get(r, "outputs"), copy);
}
CHANGED(port_above, true, true, port_(r, ".."))
CHANGED(port_below, true, true, port_(r, "x/y"))
CHANGED(port_twice, true, true,
        port_(r,
              json_string_value(json_object_get(json_array_get(json_object_get(r, "outputs"), 0), "port"))))
CHANGED(twice, true, true, twice_(r, "x", "x"))
CHANGED(file_and_folder, true, true, twice_(r, "x/y", "x"))

/* ---- each of them ---- */

static const struct lie {
    const char *name;
    bool (*answer)(struct http_server *s, const struct asked *a, int fd);
    bool warns;
    size_t most; /* requests */
} lies[] = {{"another object", other_object, true, 2},
            {"a shorter one", shorter, true, 2},
            {"an empty one", empty, true, 2},
            {"a longer one", longer, true, 2},
            {"a flipped bit", flipped, true, 2},
            {"a forgery", forged, true, 2},
            {"a huge one", huge, true, 2},
            {"one without end", endless, true, 2},
            {"cut each time", cut, true, 3},
            {"ranges of nowhere", wrong_range, true, 3},
            {"objects that are gone", absent, false, 2},
            {"objects behind a broken gateway", bad_gateway, true, 3},
            {"no record", record_absent, false, 1},
            {"another record", other_record, true, 1},
            {"a page of words", page, true, 1},
            {"a record without end", endless_record, true, 1},
            {"no HTTP", no_http, true, 1},
            {"a closed connection", closed, true, 2},
            {"redirects in circles", in_circles, true, 11},
            {"no content", no_content, true, 1},
            {"no seal", no_seal, true, 1},
            {"other blanks", written_otherwise, true, 1},
            {"freed", freed, true, 1},
            {"by reference", source, true, 1},
            {"a name that leads out", above, true, 1},
            {"an absolute name", absolute, true, 1},
            {"no name", no_name, true, 1},
            {"too large", too_large, true, 1},
            {"one byte more", one_more, true, 2},
            {"one byte less", one_less, true, 2},
            {"another version", version, true, 1},
            {"another key text", key_text, true, 1},
            {"a port that leads out", port_above, true, 1},
            {"a port with a slash", port_below, true, 1},
            {"a port twice", port_twice, true, 1},
            {"a name twice", twice, true, 1},
            {"a file that is a folder", file_and_folder, true, 1}};
#define LIES (sizeof lies / sizeof *lies)

static size_t all_files(struct store *s)
{
    return count_files(s, "tmp") + count_files(s, "objects") + count_files(s, "records") +
           count_files(s, "quarantine");
}

static void each_lie(void **state)
{
    for (size_t i = 0; i < LIES; i++) {
        const struct lie *l = &lies[i];
        print_message("%s\n", l->name);
        b = store_named("b");
        struct remote *r = open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ, FAST});
        server_answers(&server, l->answer, NULL);
        server_forget(&server);
        remote_want(r, &big.key);
        struct heard h = hear_answers(r, 1);
        assert_int_equal(h.misses, 1);
        assert_int_equal(h.warnings, l->warns);
        assert_int_equal(server_count(&server, ""), l->most);
        assert_int_equal(all_files(b), 0);
        assert_false(is_hit(b, &big.key));
        struct remote_stats st;
        remote_stats_of(r, &st);
        assert_int_equal(st.failures, l->warns);
        server_answers(&server, NULL, NULL);
        assert_true(want(r, &big.key));
        assert_true(check_result(b, &big));
        remote_close(r, 0);
        assert_int_equal(count_files(b, "tmp"), 0);
        store_close(b);
        AUTO(mem) char *path = at("b");
        assert_true(fs_remove_tree(path, NULL));
    }
}

/* Lies in a row count as failures do: in records, and in objects of records that are right. */
static void liar_is_left_alone(void **state)
{
    for (int objects = 0; objects < 2; objects++) {
        b = store_named("b");
        struct remote *r = open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ, FAST});
        server_answers(&server, objects ? flipped : page, NULL);
        server_forget(&server);
        size_t warnings = 0;
        for (int i = 0; i < 6; i++) {
            remote_want(r, &big.key);
            struct heard h = hear_answers(r, 1);
            assert_int_equal(h.misses, 1);
            warnings += h.warnings;
        }
        assert_int_equal(warnings, 1);
        assert_int_equal(server_count(&server, "GET /ac/"), REMOTE_FAILURES);
        server_answers(&server, NULL, NULL);
        assert_false(want(r, &big.key));
        remote_close(r, 0);
        store_close(b);
    }
}

/* Now and then they do not. */
static void hits_between(void **state)
{
    AUTO(mem) char *dir = at("b");
    assert_true(fs_remove_tree(dir, NULL));
    struct result other[3] = {{.name = "1", .n = 10}, {.name = "2", .n = 20}, {.name = "3", .n = 30}};
    struct remote *r = open_remote(a, (struct remote_options){.url = url, .mode = REMOTE_WRITE});
    for (int i = 0; i < 3; i++) {
        put_result(a, &other[i]);
        remote_offer(r, &other[i].key);
    }
    remote_close(r, 60);
    b = store_named("b");
    r = open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ, FAST});
    server_answers(&server, flipped, NULL);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < REMOTE_FAILURES - 1; k++)
            assert_false(want(r, &big.key));
        assert_true(want(r, &other[i].key));
        free(other[i].content);
    }
    server_answers(&server, NULL, NULL);
    remote_close(r, 0);
    store_close(b);
}

/* A lie about the size of an object that is here does not hurt it. */
static void object_of_ours(void **state)
{
    b = store_named("b");
    put_result(b, &big);
    struct digest key = big.key, object = big.object;
    AUTO(mem) char *record = store_file(b, "records", &key);
    assert_int_equal(unlink(record), 0);
    struct remote *r = open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ, FAST});
    server_answers(&server, one_more, NULL);
    assert_false(want(r, &key));
    assert_true(store_has(b, &object));
    server_answers(&server, NULL, NULL);
    server_forget(&server);
    assert_true(want(r, &key));
    assert_int_equal(server_count(&server, "GET /cas/"), 0);
    assert_true(check_result(b, &big));
    remote_close(r, 0);
    store_close(b);
}

/* What the server has wrong, and what we then made anew, takes its place there. */
static void mended(void **state)
{
    const char *const path[] = {big_object, big_record};
    for (int i = 0; i < 2; i++) {
        AUTO(mem) char *dir = at("b");
        assert_true(fs_remove_tree(dir, NULL));
        b = store_named("b");
        size_t n, m;
        AUTO(mem) char *right = real(path[i], &n);
        AUTO(mem) char *wrong = real(path[i], &n);
        wrong[n / 2] ^= 1;
        server_put(&server, path[i], wrong, n);
        struct remote *r =
            open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ | REMOTE_WRITE, FAST});
        assert_false(want(r, &big.key));
        put_result(b, &big);
        remote_offer(r, &big.key);
        assert_int_equal(when_sent(r).uploads, 1);
        AUTO(mem) char *now = server_get(&server, path[i], &m);
        AUTO(mem) char *file = store_file(b, i ? "records" : "objects", i ? &big.key : &big.object);
        AUTO(mem) char *ours = NULL;
        assert_true(fs_read_file(file, &ours, &n, NULL));
        assert_int_equal(n, m);
        assert_memory_equal(now, ours, n);
        remote_close(r, 0);
        store_close(b);
    }
}

/* ---- the check itself ---- */

/* Blocks that no store is set to would be unpacked in memory. */
static void large_blocks(void **state)
{
    AUTO(mem) char *in = at("plain");
    AUTO(mem) char *out = at("large");
    struct digest d;
    struct error err = {0};
    const char *why;
    assert_true(fs_write_file(in, "content", 7, NULL));
    static const int64_t block[] = {64 << 20, (64 << 20) + 8};
    for (int i = 0; i < 2; i++) {
        int from = open(in, O_RDONLY), to = open(out, O_RDWR | O_CREAT | O_TRUNC, 0666);
        assert_true(pack_write(&(struct frame_file){from, in}, 7, &(struct frame_file){to, out},
                               &(struct pack_options){.level = 1, .threads = 1, .block = block[i]}, &d,
                               NULL));
        close(from);
        close(to);
        assert_int_equal(remote_object_check(a, out, &d, 7, &why, &err), i == 0);
        assert_int_equal(why != NULL, i == 1);
    }
    assert_false(remote_object_check(a, "/nowhere", &d, 7, &why, &err));
    assert_null(why);
}

static void names(void **state)
{
    static const struct {
        const char *name;
        bool ok;
    } row[] = {{"a", true},     {"a/b.c", true},   {"...", true},   {"a/..b", true}, {".a", true},
               {"", false},     {".", false},      {"..", false},   {"/a", false},   {"a/", false},
               {"a//b", false}, {"a/../b", false}, {"a/..", false}, {"./a", false},  {"a/.", false}};
    size_t n;
    AUTO(mem) char *p = real(small_record, &n);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const char *why;
        AUTO_JSON j = json_parse(p, n, "record", NULL);
        assert_true(store_unseal(j));
        json_t *files = json_object_get(json_array_get(json_object_get(j, "outputs"), 0), "files");
        json_object_set_new(json_array_get(files, 0), "name", json_string(row[i].name));
        store_seal(j);
        AUTO(mem) char *text = json_text(j, true);
        struct record *r = remote_record(text, strlen(text), &small.key, &why);
        assert_int_equal(r != NULL, row[i].ok);
        assert_int_equal(why == NULL, row[i].ok);
        record_free(r);
    }
}

/* ---- */

static int setup(void **state)
{
    static struct fs_ops quick;
    quick = quick_fs();
    fs = &quick;
    setenv("no_proxy", "*", 1);
    if (!mkdtemp(root))
        return -1;
    server_start(&server);
    url = xprintf("http://127.0.0.1:%d", server.port);
    a = store_named("a");
    put_result(a, &big);
    put_result(a, &small);
    struct remote *r = open_remote(a, (struct remote_options){.url = url, .mode = REMOTE_WRITE});
    remote_offer(r, &big.key);
    remote_offer(r, &small.key);
    remote_close(r, 60);
    big_object = remote_path("cas", &big.object);
    big_record = remote_path("ac", &big.key);
    small_object = remote_path("cas", &small.object);
    small_record = remote_path("ac", &small.key);
    return 0;
}
static int teardown(void **state)
{
    server_stop(&server);
    store_close(a);
    free(url);
    free(big_object);
    free(big_record);
    free(small_object);
    free(small_record);
    free(big.content);
    free(small.content);
    fs = &fs_real;
    return fs_remove_tree(root, NULL) ? 0 : -1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_lie),     cmocka_unit_test(liar_is_left_alone),
                                       cmocka_unit_test(hits_between), cmocka_unit_test(object_of_ours),
                                       cmocka_unit_test(mended),       cmocka_unit_test(large_blocks),
                                       cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
