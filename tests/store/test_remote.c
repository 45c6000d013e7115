/* The remote tier with a server that does as it should, and one that is slow, full, closed or wants a word.
 */
#include "cache/lock.h"
#include "cache/remote.h"
#include "tests/store/http_server.h"
#include "tests/store/remotes.h"
#include <errno.h>

static struct http_server server;
static struct store *a, *b;
static char *url;

static int setup(void **state)
{
    static struct fs_ops quick;
    quick = quick_fs();
    fs = &quick;
    setenv("no_proxy", "*", 1);
    return mkdtemp(root) ? 0 : -1;
}
static int teardown(void **state)
{
    fs = &fs_real;
    return fs_remove_tree(root, NULL) ? 0 : -1;
}
static int begin(void **state)
{
    a = store_named("a");
    b = store_named("b");
    server_start(&server);
    url = xprintf("http://127.0.0.1:%d/cache", server.port);
    return 0;
}
static int end(void **state)
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

static struct remote *both(struct store *s)
{
    return open_remote(s, (struct remote_options){.url = url, .mode = REMOTE_READ | REMOTE_WRITE, FAST});
}

/* ---- as it should be ---- */

static struct result results[] = {
    {.name = "words", .n = 5000}, {.name = "floats", .n = 3000001, .kind = 1}, {.name = "nothing", .n = 0}};
#define N (sizeof results / sizeof *results)

static void offer_all(void)
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

/* Byte for byte as in the store, objects before their record. */
static void same_bytes(const struct result *x)
{
    const char *const kind[][2] = {{"objects", "cas"}, {"records", "ac"}};
    int when[2];
    for (int i = 0; i < 2; i++) {
        const struct digest *d = i ? &x->key : &x->object;
        AUTO(mem) char *file = store_file(a, kind[i][0], d);
        AUTO(mem) char *there = remote_path(kind[i][1], d);
        AUTO(mem) char *path = xprintf("/cache%s", there);
        AUTO(mem) char *asked = xprintf("PUT %s", path);
        AUTO(mem) char *ours = NULL;
        size_t n, m;
        AUTO(mem) char *theirs = server_get(&server, path, &m);
        assert_true(fs_read_file(file, &ours, &n, NULL));
        assert_non_null(theirs);
        assert_int_equal(n, m);
        assert_memory_equal(ours, theirs, n);
        when[i] = server_when(&server, asked);
    }
    assert_true(when[0] >= 0 && when[0] < when[1]);
}

static void both_ways(void **state)
{
    struct remote_stats st;
    offer_all();
    for (size_t i = 0; i < N; i++)
        same_bytes(&results[i]);
    struct remote *r = both(b);
    assert_string_equal(remote_url(r), url);
    for (size_t i = 0; i < N; i++)
        remote_want(r, &results[i].key);
    struct heard h = hear_answers(r, N);
    assert_int_equal(h.hits, N);
    assert_int_equal(h.warnings, 0);
    remote_stats_of(r, &st);
    assert_int_equal(st.hits, N);
    assert_int_equal(st.misses + st.failures, 0);
    assert_true(st.received > 3000000 / 2);
    assert_int_equal(count_files(b, "tmp"), 0);
    for (size_t i = 0; i < N; i++)
        assert_true(check_result(b, &results[i]));
    /* what is here is not asked for */
    server_forget(&server);
    assert_true(want(r, &results[0].key));
    assert_int_equal(server.asked, 0);
    remote_close(r, 0);
}

/* Nobody may remove what was wanted, as long as the store is open. */
static void in_use(void **state)
{
    offer_all();
    struct remote *r = both(b);
    assert_true(want(r, &results[0].key));
    AUTO(mem) char *dir = xprintf("%s/locks", store_path(b));
    struct locks *other = locks_open(dir, true);
    assert_int_equal(lock_take(other, LOCK_USE, &results[0].key, true, NULL), LOCK_BUSY);
    assert_int_equal(lock_take(other, LOCK_USE, &results[0].object, true, NULL), LOCK_BUSY);
    assert_int_equal(lock_take(other, LOCK_USE, &results[1].object, true, NULL), LOCK_MINE);
    locks_close(other);
    remote_close(r, 0);
}

static void not_there(void **state)
{
    struct digest d;
    struct remote *r = both(b);
    for (int i = 0; i < 10; i++) { /* no failure, however often */
        hash_bytes(&i, sizeof i, &d);
        remote_want(r, &d);
    }
    struct heard h = hear_answers(r, 10);
    assert_int_equal(h.misses, 10);
    assert_int_equal(h.warnings, 0);
    assert_int_equal(server_count(&server, "GET /cache/ac/"), 10);
    remote_close(r, 0);
}

/* Only what is missing is fetched, and a record that was freed here comes back with its objects. */
static void parts(void **state)
{
    static const char *const content[] = {"one", "two", "three", "one"};
    struct digest key = put_files(a, "parts", content, 4);
    struct remote *r = both(a);
    remote_offer(r, &key);
    assert_int_equal(when_sent(r).uploads, 1);
    assert_int_equal(server_count(&server, "PUT /cache/cas/"), 3); /* one of them twice in the record */
    remote_close(r, 0);
    struct digest other = put_files(b, "others", content + 1, 1);
    server_forget(&server);
    r = both(b);
    assert_true(want(r, &key));
    assert_int_equal(server_count(&server, "GET /cache/cas/"), 2);
    assert_true(is_hit(b, &key) && is_hit(b, &other));
    assert_true(store_free(b, &key, 1, NULL));
    assert_false(is_hit(b, &key));
    remote_close(r, 0);
    store_close(b); /* a use lasts as long */
    b = store_named("b");
    r = both(b);
    server_forget(&server);
    assert_true(want(r, &key));
    assert_true(is_hit(b, &key));
    remote_close(r, 0);
}

/* Two at once that need the same object: it moves once, both ways. */
static void shared_object(void **state)
{
    static const char *const content[] = {"the same", "one", "two"};
    struct digest key[2] = {put_files(a, "x", content, 2), {{0}}};
    const char *const second[] = {content[0], content[2]};
    key[1] = put_files(a, "y", second, 2);
    struct remote *r = both(a);
    for (int i = 0; i < 2; i++)
        remote_offer(r, &key[i]);
    assert_int_equal(when_sent(r).uploads, 2);
    assert_int_equal(server_count(&server, "PUT /cache/cas/"), 3);
    assert_int_equal(server_count(&server, "PUT /cache/ac/"), 2);
    /* again: asked for, not sent */
    server_forget(&server);
    for (int i = 0; i < 2; i++)
        remote_offer(r, &key[i]);
    assert_int_equal(when_sent(r).uploads, 4);
    assert_int_equal(server_count(&server, "PUT"), 0);
    assert_true(server_count(&server, "HEAD /cache/cas/") >= 3);
    assert_int_equal(server_count(&server, "HEAD /cache/ac/"), 2);
    remote_close(r, 60);
    server_forget(&server);
    r = both(b);
    for (int i = 0; i < 2; i++)
        remote_want(r, &key[i]);
    assert_int_equal(hear_answers(r, 2).hits, 2);
    assert_int_equal(server_count(&server, "GET /cache/cas/"), 3);
    assert_true(is_hit(b, &key[0]) && is_hit(b, &key[1]));
    remote_close(r, 0);
}

/* ---- what is never offered ---- */

static void not_offered(void **state)
{
    static const char *const content[] = {"one", "two"};
    struct digest freed = put_files(a, "freed", content, 2), lost = put_files(a, "lost", content + 1, 1),
                  none;
    struct error err = {0};
    struct record *rec;
    assert_true(store_free(a, &freed, 1, NULL));
    assert_true(store_get_record(a, &lost, &rec, NULL));
    AUTO(mem) char *object = store_file(a, "objects", &rec->output[0].file[0].digest);
    /* by reference */
    AUTO(mem) char *text = xstrdup("weft-key 1\nstage demo 1\nname import\n");
    struct record import = *rec;
    import.text = text;
    hash_bytes(text, strlen(text), &import.key);
    rec->output[0].file[0].source = xstrdup("/tmp/elsewhere");
    assert_true(store_put_record(a, &import, &err));
    struct digest imported = import.key;
    record_free(rec);
    unlink(object);
    hash_bytes("none", 4, &none);
    struct remote *r = both(a);
    remote_offer(r, &freed);
    remote_offer(r, &imported);
    remote_offer(r, &lost);
    remote_offer(r, &none);
    struct remote_stats st = when_sent(r);
    assert_int_equal(st.uploads + st.failures, 0);
    assert_int_equal(server_count(&server, "PUT"), 0);
    remote_close(r, 0);
}

static void modes(void **state)
{
    assert_int_equal(remote_mode_parse("read"), REMOTE_READ);
    assert_int_equal(remote_mode_parse("write"), REMOTE_WRITE);
    assert_int_equal(remote_mode_parse("read-write"), REMOTE_READ | REMOTE_WRITE);
    assert_int_equal(remote_mode_parse("readwrite"), 0);
    offer_all();
    server_forget(&server);
    struct remote *r = open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_WRITE, FAST});
    assert_false(want(r, &results[0].key));
    assert_int_equal(server.asked, 0);
    remote_close(r, 0);
    r = open_remote(a, (struct remote_options){.url = url, .mode = REMOTE_READ, FAST});
    remote_offer(r, &results[0].key);
    assert_int_equal(when_sent(r).uploads, 0);
    remote_close(r, 60);
    assert_int_equal(server.asked, 0);
}

/* ---- servers with trouble ---- */

static bool status(struct http_server *s, const struct asked *q, int fd)
{
    const char *const *row = s->arg; /* method, or ""; status */
    if (*row[0] && strcmp(row[0], q->method) != 0)
        return false;
    server_say(fd, row[1], "", "page", strcmp(q->method, "HEAD") == 0 ? 0 : 4, 4);
    return true;
}

/* Refused PUTs leave the reading alone, and the other way round; one warning; and then nothing is asked. */
static void one_way(void **state)
{
    static const char *const no_put[][2] = {{"PUT", "507 full"}, {"PUT", "413 large"}, {"PUT", "403 no"},
                                            {"PUT", "405 no"},   {"PUT", "401 no"},    {"HEAD", "403 no"}};
    offer_all();
    for (size_t i = 0; i < sizeof no_put / sizeof *no_put; i++) {
        struct digest key[6];
        struct remote *r = both(a);
        server.answer = status;
        server.arg = no_put[i];
        server_forget(&server);
        for (size_t k = 0; k < 6; k++) {
            AUTO(mem) char *name = xprintf("%zu %zu", i, k);
            const char *content = name;
            key[k] = put_files(a, name, &content, 1);
            remote_offer(r, &key[k]);
            assert_int_equal(when_sent(r).uploads, 0);
        }
        assert_int_equal(server_count(&server, no_put[i][0]), 3);
        assert_int_equal(server_count(&server, "PUT /cache/ac"), 0);
        struct digest absent;
        hash_bytes(&i, sizeof i, &absent);
        remote_want(r, &absent);
        struct heard h = hear_answers(r, 1);
        assert_int_equal(h.warnings, 1);
        assert_int_equal(server_count(&server, "GET"), 1);
        remote_close(r, 0);
    }
    static const char *const no_get[] = {"GET", "403 no"};
    server.arg = no_get;
    server_forget(&server);
    struct remote *r = both(b);
    for (int k = 0; k < 6; k++)
        assert_false(want(r, &results[0].key));
    assert_int_equal(server_count(&server, "GET"), 3);
    const char *content = "more";
    struct digest key = put_files(b, "more", &content, 1);
    remote_offer(r, &key);
    assert_int_equal(when_sent(r).uploads, 1);
    remote_close(r, 0);
}

/* A server that fails, or is not there: after three in a row it is asked nothing more, either way. */
static void left_alone(void **state)
{
    static const char *const failing[] = {"", "503 x"};
    put_result(b, &results[1]);
    for (int gone = 0; gone < 2; gone++) {
        server.answer = status;
        server.arg = failing;
        server_forget(&server);
        struct remote *r = both(b);
        AUTO(mem) char *first = xstrdup(url);
        if (gone) {
            server_stop(&server);
            remote_close(r, 0);
            r = open_remote(b,
                            (struct remote_options){.url = first, .mode = REMOTE_READ | REMOTE_WRITE, FAST});
        }
        size_t warnings = 0;
        for (int i = 0; i < 6; i++) {
            remote_want(r, &results[0].key);
            struct heard h = hear_answers(r, 1);
            assert_int_equal(h.misses, 1);
            warnings += h.warnings;
        }
        remote_offer(r, &results[1].key);
        struct remote_stats st = when_sent(r);
        assert_int_equal(warnings, 1);
        assert_int_equal(st.failures, 3);
        assert_int_equal(st.misses, 6);
        if (!gone)
            assert_int_equal(server.asked, 3 * 2); /* tries */
        remote_close(r, 60);
    }
    server_start(&server); /* for the teardown */
}

/* Wants and offers that are under way when it is given up end at once. */
static bool hang(struct http_server *s, const struct asked *q, int fd)
{
    server_hang(fd);
    return true;
}
static void hanging(void **state)
{
    server.answer = hang;
    struct remote *r = open_remote(b, (struct remote_options){.url = url,
                                                              .mode = REMOTE_READ | REMOTE_WRITE,
                                                              .tries = 1,
                                                              .parallel = 3,
                                                              .silence_timeout = 0.05});
    put_result(b, &results[0]);
    remote_offer(r, &results[0].key);
    for (int i = 0; i < 40; i++) {
        struct digest d;
        hash_bytes(&i, sizeof i, &d);
        remote_want(r, &d);
    }
    struct heard h = hear_answers(r, 40);
    assert_int_equal(h.misses, 40);
    assert_int_equal(h.warnings, 1);
    assert_int_equal(when_sent(r).uploads, 0);
    assert_true(server.asked <= 8);
    remote_close(r, 60);
    /* closing does not wait for what hangs */
    r = both(b);
    remote_offer(r, &results[0].key);
    remote_want(r, &results[1].key);
    remote_close(r, 0);
    /* a want that nobody heard of any more, and an upload in time */
    server.answer = NULL;
    r = both(b);
    remote_offer(r, &results[0].key);
    remote_want(r, &results[1].key);
    remote_close(r, 60);
    AUTO(mem) char *there = remote_path("ac", &results[0].key);
    AUTO(mem) char *asked = xprintf("PUT /cache%s", there);
    assert_int_equal(server_count(&server, asked), 1);
    assert_int_equal(count_files(b, "tmp"), 0);
}

/* A failure now and then is none in a row. */
static bool every_third(struct http_server *s, const struct asked *q, int fd)
{
    if (s->asked % 3 == 0)
        return false;
    server_say(fd, "503 x", "", "", 0, 0);
    return true;
}
static void now_and_then(void **state)
{
    server.answer = every_third;
    struct remote *r =
        open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ, .tries = 1, .parallel = 1});
    for (int i = 0; i < 12; i++) {
        struct digest d;
        hash_bytes(&i, sizeof i, &d);
        assert_false(want(r, &d));
    }
    assert_int_equal(server.asked, 12);
    remote_close(r, 0);
}

/* A download that is cut goes on where it stopped. */
static bool cut_first(struct http_server *s, const struct asked *q, int fd)
{
    size_t n = 0;
    if (strncmp(q->path, "/cache/cas", 10) != 0 || strcasestr(q->head, "\r\nRange:"))
        return false;
    AUTO(mem) char *p = server_get(s, q->path, &n);
    server_say(fd, "200 OK", "", p, n / 2, n);
    return true;
}
static void resumed(void **state)
{
    offer_all();
    server.answer = cut_first;
    struct remote *r = both(b);
    server_forget(&server);
    assert_true(want(r, &results[1].key));
    assert_int_equal(server_count(&server, "GET /cache/cas/"), 2);
    assert_true(check_result(b, &results[1]));
    remote_close(r, 0);
}

/* The disk of this machine is full. */
static ssize_t full(int fd, const void *p, size_t n, off_t where)
{
    errno = ENOSPC;
    return -1;
}
static void full_here(void **state)
{
    struct fs_ops failing = *fs;
    const struct fs_ops *before = fs;
    failing.pwrite = full;
    offer_all();
    struct remote *r = both(b);
    fs = &failing;
    remote_want(r, &results[0].key);
    struct heard h = hear_answers(r, 1);
    assert_int_equal(h.misses, 1);
    assert_int_equal(h.warnings, 1);
    remote_close(r, 0);
    fs = before;
    assert_int_equal(count_files(b, "tmp") + count_files(b, "objects") + count_files(b, "records"), 0);
}

/* ---- credentials ---- */

static bool wants_word(struct http_server *s, const struct asked *q, int fd)
{
    AUTO(mem) char *line = xprintf("\r\nAuthorization: %s\r\n", (const char *)s->arg);
    if (strstr(q->head, line))
        return false;
    server_say(fd, "401 no", "WWW-Authenticate: Basic realm=\"x\"\r\n", "", 0, 0);
    return true;
}
static void credentials(void **state)
{
    static const struct {
        const char *user, *user_env, *password_env, *token_env, *want;
    } row[] = {{"me:open%20sesame@", NULL, NULL, NULL, "Basic bWU6b3BlbiBzZXNhbWU="},
               {"me:open%20sesame@", "other", "sesame", "sesame", "Basic bWU6b3BlbiBzZXNhbWU="},
               {"me@", NULL, "open sesame", NULL, "Basic bWU6b3BlbiBzZXNhbWU="},
               {"", "me", "open sesame", NULL, "Basic bWU6b3BlbiBzZXNhbWU="},
               {"", NULL, NULL, "sesame", "Bearer sesame"},
               {"me:sesame@", NULL, NULL, NULL, "another"}};
    const char *const name[] = {"WEFT_REMOTE_USER", "WEFT_REMOTE_PASSWORD", "WEFT_REMOTE_TOKEN"};
    put_result(a, &results[0]);
    server.answer = wants_word;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const char *const value[] = {row[i].user_env, row[i].password_env, row[i].token_env};
        for (int k = 0; k < 3; k++)
            value[k] ? setenv(name[k], value[k], 1) : unsetenv(name[k]);
        AUTO(mem) char *with = xprintf("http://%s127.0.0.1:%d/cache", row[i].user, server.port);
        server.arg = row[i].want;
        struct remote *r =
            open_remote(a, (struct remote_options){.url = with, .mode = REMOTE_READ | REMOTE_WRITE, FAST});
        assert_string_equal(remote_url(r), url);
        remote_offer(r, &results[0].key);
        bool last = i + 1 == sizeof row / sizeof *row;
        assert_int_equal(when_sent(r).uploads, !last);
        struct digest d;
        hash_bytes(&i, sizeof i, &d);
        remote_want(r, &d);
        struct heard h = hear_answers(r, 1);
        assert_int_equal(h.warnings, last);
        assert_null(strstr(h.warning, "sesame"));
        if (last)
            assert_non_null(strstr(h.warning, "127.0.0.1"));
        remote_close(r, 0);
    }
    for (int k = 0; k < 3; k++)
        unsetenv(name[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ways),    TEST(in_use),  TEST(not_there), TEST(parts),      TEST(shared_object),
        TEST(not_offered),  TEST(modes),   TEST(one_way),   TEST(left_alone), TEST(hanging),
        TEST(now_and_then), TEST(resumed), TEST(full_here), TEST(credentials)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
