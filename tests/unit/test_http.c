/* Transfers, against answers on a Unix socket. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "tests/http_wire.h"
#include "tests/test.h"
#include <errno.h>

static char root[] = "/tmp/weft-http-XXXXXX";

struct got {
    int times, status;
    bool ok;
    char *body, *etag, *url;
    int64_t size;
    struct error err;
};
static void forget_got(struct got *g)
{
    free(g->body);
    free(g->etag);
    free(g->url);
    memset(g, 0, sizeof *g);
}

static void on_done(void *arg, struct http_reply *r)
{
    struct got *g = arg;
    const char *etag = http_header(r, "etag");
    g->times++;
    g->status = r->status;
    g->ok = r->ok;
    g->size = r->size;
    g->err = r->err;
    g->body = r->body;
    r->body = NULL;
    g->etag = etag ? xstrdup(etag) : NULL;
    g->url = xstrdup(r->url);
    if (!r->ok)
        print_message("%s\n", r->err.text);
    assert_true(r->ok || r->err.code);
    assert_null(strchr(r->err.text, '\n'));
}

/* Each answer in turn is a connection's. */
#define ANSWERS(...)                                                                                         \
    do {                                                                                                     \
        const char *const answers_[] = {__VA_ARGS__};                                                        \
        wire_forget();                                                                                       \
        for (size_t k = 0; k < sizeof answers_ / sizeof *answers_; k++)                                      \
            wire_answer(answers_[k], strlen(answers_[k]));                                                   \
    } while (0)

static void transfer(struct http_options o, struct http_request q, struct got *g)
{
    struct error err = {0};
    o.unix_socket = wire_socket;
    o.pause = o.pause > 0 ? o.pause : 0.001;
    struct http *h = http_new(&o, &err);
    assert_non_null(h);
    q.done = on_done;
    q.arg = g;
    q.method = q.method ? q.method : "GET";
    q.url = q.url ? q.url : "http://host.test/a";
    memset(g, 0, sizeof *g);
    http_add(h, &q);
    wire_serve(h);
    assert_int_equal(g->times, 1);
    http_free(h);
    wire_hear();
}

static char *at(const char *name)
{
    return xprintf("%s/%s", root, name);
}

static void file_is(const char *path, const char *want)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(path, &text, &n, NULL));
    assert_string_equal(text, want);
}

#define OK(n, more, body) "HTTP/1.1 200 OK\r\nContent-Length: " n "\r\n" more "Connection: close\r\n\r\n" body
#define PART(range, n, more, body)                                                                           \
    "HTTP/1.1 206 Partial\r\nContent-Range: bytes " range "\r\nContent-Length: " n "\r\n" more               \
    "Connection: close\r\n\r\n" body
#define STATUS(s) "HTTP/1.1 " s "\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage"

static void memory(void **state)
{
    struct got g;
    ANSWERS(OK("5", "ETag: \"e\"\r\n", "hello"));
    transfer((struct http_options){0}, (struct http_request){0}, &g);
    assert_true(g.ok);
    assert_int_equal(g.status, 200);
    assert_string_equal(g.body, "hello");
    assert_string_equal(g.etag, "\"e\"");
    assert_int_equal(g.size, 5);
    assert_ptr_equal(strstr(wire.asked[0], "GET /a HTTP/1.1\r\n"), wire.asked[0]);
    forget_got(&g);
    ANSWERS(OK("0", "", ""));
    transfer((struct http_options){0}, (struct http_request){0}, &g);
    assert_true(g.ok);
    assert_string_equal(g.body, "");
    forget_got(&g);
    ANSWERS(OK("77", "", ""));
    transfer((struct http_options){0}, (struct http_request){.method = "HEAD"}, &g);
    assert_true(g.ok);
    assert_int_equal(g.size, 77);
    forget_got(&g);
}

/* What may pass is tried again, and no more often than said; what will not, once. */
static void tries(void **state)
{
    static const struct {
        const char *answer;
        int tries;
    } row[] = {{STATUS("500 x"), 3},
               {STATUS("503 x"), 3},
               {STATUS("429 x"), 3},
               {STATUS("408 x"), 3},
               {"", 3},
               {"HTTP/1.1 2", 3},
               {STATUS("404 x"), 1},
               {STATUS("401 x"), 1},
               {STATUS("507 x"), 1},
               {STATUS("501 x"), 1},
               {STATUS("413 x"), 1},
               {OK("9", "", "short"), 3}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct got g;
        const char *a = row[i].answer;
        ANSWERS(a, a, a, a);
        transfer((struct http_options){.tries = 3}, (struct http_request){0}, &g);
        assert_false(g.ok);
        assert_int_equal(wire.used, row[i].tries);
        forget_got(&g);
    }
    struct got g;
    ANSWERS(STATUS("503 x"), "", OK("9", "", "short"), OK("2", "", "ok"));
    transfer((struct http_options){0}, (struct http_request){0}, &g);
    assert_true(g.ok);
    assert_int_equal(g.err.code, 0);
    assert_string_equal(g.body, "ok");
    forget_got(&g);
    /* Retry-After: longer than all the time there is, so that nobody waits for it */
    ANSWERS("HTTP/1.1 503 x\r\nRetry-After: 500\r\nContent-Length: 0\r\n\r\n", OK("2", "", "ok"));
    transfer((struct http_options){.total_timeout = 60}, (struct http_request){0}, &g);
    assert_false(g.ok);
    assert_int_equal(wire.used, 1);
    forget_got(&g);
}

static void resume(void **state)
{
    AUTO(mem) char *file = at("resumed");
    struct http_request q = {.to_file = file};
    struct got g;
    ANSWERS(OK("10", "ETag: \"1\"\r\n", "0123"), PART("4-9/10", "6", "ETag: \"1\"\r\n", "45"),
            PART("6-9/10", "4", "ETag: \"1\"\r\n", "6789"));
    transfer((struct http_options){0}, q, &g);
    assert_true(g.ok);
    assert_int_equal(g.size, 10);
    file_is(file, "0123456789");
    assert_non_null(strstr(wire.asked[1], "Range: bytes=4-\r\n"));
    assert_non_null(strstr(wire.asked[1], "If-Range: \"1\"\r\n"));
    assert_non_null(strstr(wire.asked[2], "Range: bytes=6-\r\n"));
    forget_got(&g);
    /* it is all there */
    ANSWERS("HTTP/1.1 416 x\r\nContent-Range: bytes */10\r\nContent-Length: 0\r\n\r\n");
    transfer((struct http_options){0}, q, &g);
    assert_true(g.ok);
    assert_int_equal(g.size, 10);
    file_is(file, "0123456789");
    forget_got(&g);
    /* it has more than there is */
    ANSWERS("HTTP/1.1 416 x\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n", OK("3", "", "abc"));
    transfer((struct http_options){0}, q, &g);
    assert_true(g.ok);
    file_is(file, "abc");
    assert_null(strstr(wire.asked[1], "Range"));
    forget_got(&g);
    /* a server without ranges */
    ANSWERS(OK("2", "", "xy"));
    transfer((struct http_options){0}, q, &g);
    assert_true(g.ok);
    file_is(file, "xy");
    forget_got(&g);
}

/* Ranges of something else, and of nowhere. */
static void wrong_ranges(void **state)
{
    AUTO(mem) char *file = at("ranges");
    struct http_request q = {.to_file = file};
    struct got g;
    ANSWERS(OK("4", "ETag: \"1\"\r\n", "ab"), PART("2-3/4", "2", "ETag: \"2\"\r\n", "XY"),
            OK("4", "ETag: \"2\"\r\n", "WXYZ"));
    transfer((struct http_options){0}, q, &g);
    assert_true(g.ok);
    file_is(file, "WXYZ");
    forget_got(&g);
    ANSWERS(PART("1-3/5", "3", "", "bad"), PART("3-4/5", "2", "", "no"), OK("5", "", "right"));
    transfer((struct http_options){0}, q, &g);
    assert_true(g.ok);
    file_is(file, "right");
    forget_got(&g);
    unlink(file);
    ANSWERS(PART("2-3/4", "2", "", "XY"), PART("2-3/4", "2", "", "XY"));
    transfer((struct http_options){.tries = 2}, q, &g);
    assert_false(g.ok);
    file_is(file, "");
    forget_got(&g);
    /* a full answer's file that is kept when the server fails for good, for a later run */
    ANSWERS(OK("4", "", "ab"), STATUS("404 x"));
    transfer((struct http_options){0}, q, &g);
    assert_false(g.ok);
    file_is(file, "ab");
    forget_got(&g);
}

static void too_long(void **state)
{
    AUTO(mem) char *file = at("long");
    struct got g;
    ANSWERS(OK("6", "", "123456"), OK("6", "", "123456"));
    transfer((struct http_options){0}, (struct http_request){.max = 5}, &g);
    assert_false(g.ok);
    assert_int_equal(wire.used, 1);
    assert_non_null(strstr(g.err.text, "5 bytes"));
    forget_got(&g);
    ANSWERS("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n123456");
    transfer((struct http_options){0}, (struct http_request){.max = 5, .to_file = file}, &g);
    assert_false(g.ok);
    file_is(file, "");
    forget_got(&g);
    ANSWERS("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345");
    transfer((struct http_options){0}, (struct http_request){.max = 5, .to_file = file}, &g);
    assert_true(g.ok);
    file_is(file, "12345");
    forget_got(&g);
}

static void put(void **state)
{
    AUTO(mem) char *file = at("sent");
    assert_true(fs_write_file(file, "content", 7, NULL));
    const char *const header[] = {"X-Own: 1", NULL};
    struct got g;
    ANSWERS(STATUS("503 x"), STATUS("201 x"));
    wire.first = "\r\n\r\ncontent";
    transfer((struct http_options){0},
             (struct http_request){.method = "PUT", .body_file = file, .header = header}, &g);
    assert_true(g.ok);
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(wire.asked[i], "PUT /a HTTP/1.1\r\n"));
        assert_non_null(strstr(wire.asked[i], "X-Own: 1\r\n"));
        assert_non_null(strstr(wire.asked[i], "Content-Length: 7\r\n"));
        assert_non_null(strstr(wire.asked[i], "\r\n\r\ncontent"));
    }
    forget_got(&g);
    ANSWERS(STATUS("204 x"));
    wire.first = "\r\n\r\nabc";
    transfer((struct http_options){0}, (struct http_request){.method = "PUT", .body = "abc", .body_n = 3},
             &g);
    assert_non_null(strstr(wire.asked[0], "\r\n\r\nabc"));
    forget_got(&g);
}

#define MOVED(to) "HTTP/1.1 302 x\r\nLocation: " to "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* Redirects take no credentials along, and lead to nothing but HTTP. */
static void redirects(void **state)
{
    static const struct http_options all[] = {{.bearer = "sesame"}, {.user = "u", .password = "sesame"}};
    for (int i = 0; i < 2; i++) {
        struct got g;
        ANSWERS(MOVED("/b"), MOVED("http://other.test/c"), OK("1", "", "x"));
        transfer(all[i], (struct http_request){0}, &g);
        assert_true(g.ok);
        assert_string_equal(g.url, "http://other.test/c");
        assert_non_null(strstr(wire.asked[0], "Authorization: "));
        assert_non_null(strstr(wire.asked[1], "Authorization: "));
        assert_non_null(strstr(wire.asked[2], "GET /c"));
        assert_null(strstr(wire.asked[2], "Authorization"));
        forget_got(&g);
    }
    struct got g;
    ANSWERS(MOVED("file:///etc/passwd"), OK("1", "", "x"));
    transfer((struct http_options){0}, (struct http_request){0}, &g);
    assert_false(g.ok);
    assert_int_equal(wire.used, 1);
    forget_got(&g);
    ANSWERS(OK("1", "", "x"));
    transfer((struct http_options){0}, (struct http_request){.url = "file:///etc/passwd"}, &g);
    assert_false(g.ok);
    forget_got(&g);
}

/* No text and no URL that comes back has a secret in it. */
static void secrets(void **state)
{
    struct got g;
    ANSWERS(STATUS("401 x"));
    transfer((struct http_options){0},
             (struct http_request){.url = "http://me:sesame@host.test/a?key=sesame"}, &g);
    assert_false(g.ok);
    assert_null(strstr(g.err.text, "sesame"));
    assert_non_null(strstr(g.err.text, "http://host.test/a"));
    assert_null(strstr(g.url, "me:"));
    forget_got(&g);
    static const char *const url[] = {"http://me:sesame@", "me:sesame@host", "http://me:sesame@[::1",
                                      "sesame://me@x", "http://a b@sesame/"};
    for (size_t i = 0; i < 3; i++) {
        ANSWERS(STATUS("500 x"));
        transfer((struct http_options){.tries = 1, .password = "sesame", .user = "me"},
                 (struct http_request){.url = url[i]}, &g);
        assert_false(g.ok);
        assert_null(strstr(g.err.text, "sesame"));
        forget_got(&g);
    }
    struct error err = {0};
    assert_null(http_new(&(struct http_options){.bearer = "a\r\nX: sesame"}, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_null(strstr(err.text, "sesame"));
}

static void signed_requests(void **state)
{
    struct got g;
    struct http_options o = {
        .region = "eu-west-1", .access_key = "AKID", .secret_key = "sesame", .session_token = "session"};
    ANSWERS(STATUS("200 x"));
    transfer(o, (struct http_request){.method = "PUT", .body = "abc", .body_n = 3}, &g);
    assert_true(g.ok);
    assert_non_null(strstr(wire.asked[0], "AWS4-HMAC-SHA256 Credential=AKID/"));
    assert_non_null(strstr(wire.asked[0], "/eu-west-1/s3/aws4_request"));
    assert_non_null(strstr(wire.asked[0], "x-amz-security-token"));
    /* SHA-256 of abc */
    assert_non_null(
        strstr(wire.asked[0], "x-amz-content-sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9c"));
    assert_null(strstr(wire.asked[0], "sesame"));
    forget_got(&g);
    ANSWERS(MOVED("http://other.test/c"), STATUS("200 x"));
    transfer(o, (struct http_request){0}, &g);
    assert_false(g.ok);
    assert_int_equal(wire.used, 1);
    forget_got(&g);
}

/* A server that takes the connection and then says nothing. */
static void silence(void **state)
{
    struct got g = {0};
    struct http_options o = {.tries = 1, .silence_timeout = 0.05, .unix_socket = wire_socket};
    struct http *h = http_new(&o, NULL);
    http_add(
        h, &(struct http_request){.method = "GET", .url = "http://host.test/a", .done = on_done, .arg = &g});
    assert_int_equal(http_run(h, 60, -1), 0);
    assert_false(g.ok);
    assert_non_null(strstr(g.err.text, "nothing came"));
    forget_got(&g);
    /* one that is under way ends with http_free; a wake-up returns at once */
    int wake[2], fd;
    assert_true((fd = accept(wire_listener, NULL, NULL)) >= 0);
    close(fd);
    assert_int_equal(pipe(wake), 0);
    assert_int_equal(write(wake[1], "", 1), 1);
    http_add(
        h, &(struct http_request){.method = "GET", .url = "http://host.test/a", .done = on_done, .arg = &g});
    assert_int_equal(http_run(h, -1, wake[0]), 1);
    http_free(h);
    assert_int_equal(g.times, 0);
    assert_true((fd = accept(wire_listener, NULL, NULL)) >= 0);
    close(fd);
    close(wake[0]);
    close(wake[1]);
}

static ssize_t full(int fd, const void *p, size_t n, off_t where)
{
    errno = ENOSPC;
    return -1;
}
static void full_disk(void **state)
{
    AUTO(mem) char *file = at("full");
    struct fs_ops failing = fs_real;
    failing.pwrite = full;
    struct got g;
    ANSWERS(OK("2", "", "ab"), OK("2", "", "ab"));
    fs = &failing;
    transfer((struct http_options){0}, (struct http_request){.to_file = file}, &g);
    fs = &fs_real;
    assert_false(g.ok);
    assert_int_equal(wire.used, 1);
    assert_non_null(strstr(g.err.text, "No space left"));
    forget_got(&g);
}

static void chain(void *arg, struct http_reply *r)
{
    struct http *h = *(struct http **)arg;
    static int times;
    assert_true(r->ok);
    if (times++ < 5)
        http_add(h, &(struct http_request){.method = "GET", .url = r->url, .done = chain, .arg = arg});
}
static void added_while_it_runs(void **state)
{
    const char *a = OK("1", "", "x");
    ANSWERS(a, a, a, a, a, a, a);
    struct http *h = http_new(&(struct http_options){.unix_socket = wire_socket, .parallel = 1}, NULL);
    http_add(h,
             &(struct http_request){.method = "GET", .url = "http://host.test/", .done = chain, .arg = &h});
    wire_serve(h);
    assert_int_equal(wire.used, 6);
    http_free(h);
    wire_hear();
}

static int setup(void **state)
{
    if (!mkdtemp(root))
        return -1;
    wire_open(root);
    return 0;
}
static int teardown(void **state)
{
    wire_close();
    return fs_remove_tree(root, NULL) ? 0 : -1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),       cmocka_unit_test(tries),     cmocka_unit_test(resume),
        cmocka_unit_test(wrong_ranges), cmocka_unit_test(too_long),  cmocka_unit_test(put),
        cmocka_unit_test(redirects),    cmocka_unit_test(secrets),   cmocka_unit_test(signed_requests),
        cmocka_unit_test(silence),      cmocka_unit_test(full_disk), cmocka_unit_test(added_while_it_runs)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
