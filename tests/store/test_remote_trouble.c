/* The remote tier with servers that are slow, full, closed or gone, or want a word; and stores without room.
 */
#include "cache/config.h"
#include "cache/gc.h"
#include "tests/store/remote_pair.h"
#include <errno.h>

/* ---- servers with trouble ---- */

/* Refused PUTs leave the reading alone, and the other way round; one warning; and then nothing is asked. */
static void one_way(void **state)
{
    static const char *const no_put[][2] = {{"PUT", "507 full"}, {"PUT", "413 large"}, {"PUT", "403 no"},
                                            {"PUT", "405 no"},   {"PUT", "401 no"},    {"HEAD", "403 no"}};
    offer_all();
    for (size_t i = 0; i < sizeof no_put / sizeof *no_put; i++) {
        struct digest key[6];
        struct remote *r = both(a);
        server_answers(&server, status_of, no_put[i]);
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
    server_answers(&server, status_of, no_get);
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
        server_answers(&server, status_of, failing);
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
            assert_int_equal(server_count(&server, ""), 3 * 2); /* tries */
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
    server_answers(&server, hang, NULL);
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
    assert_true(server_count(&server, "") <= 8);
    remote_close(r, 60);
    /* closing does not wait for what hangs */
    r = both(b);
    remote_offer(r, &results[0].key);
    remote_want(r, &results[1].key);
    remote_close(r, 0);
    /* a want that nobody heard of any more, and an upload in time */
    server_answers(&server, NULL, NULL);
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
    if (server_count(s, "") % 3 == 0)
        return false;
    server_say(fd, "503 x", "", "", 0, 0);
    return true;
}
static void now_and_then(void **state)
{
    server_answers(&server, every_third, NULL);
    struct remote *r =
        open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ, .tries = 1, .parallel = 1});
    for (int i = 0; i < 12; i++) {
        struct digest d;
        hash_bytes(&i, sizeof i, &d);
        assert_false(want(r, &d));
    }
    assert_int_equal(server_count(&server, ""), 12);
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
    server_answers(&server, cut_first, NULL);
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

/* ---- the store's limit ---- */

static int64_t lying(struct store *s)
{
    static const char *const folder[] = {"objects", "records"};
    int64_t sum = 0;
    for (int i = 0; i < 2; i++) {
        AUTO(mem) char *dir = xprintf("%s/%s", store_path(s), folder[i]);
        char **list;
        size_t n;
        assert_true(fs_list_tree(dir, &list, &n, NULL));
        for (size_t k = 0; k < n; k++) {
            AUTO(mem) char *file = xprintf("%s/%s", dir, list[k]);
            struct stat st;
            assert_int_equal(stat(file, &st), 0);
            sum += st.st_size;
        }
        fs_list_free(list, n);
    }
    return sum;
}
/* Nothing is reserved but what lies there: that much more has room, and no byte more. */
static void all_given_back(struct store *s)
{
    int64_t rest = store_config(s)->max_size - lying(s);
    assert_false(store_reserve(s, rest + 1, NULL));
    assert_true(store_reserve(s, rest, NULL));
    store_unreserve(s, rest);
}
static void limit_b(int64_t bytes)
{
    AUTO(mem) char *path = xprintf("%s/config", store_path(b));
    AUTO(mem) char *text = xprintf("{\"max_size\": %lld}", (long long)bytes);
    assert_true(fs_write_file(path, text, strlen(text), NULL));
    store_close(b);
    b = store_named("b");
}
static void limit(void **state)
{
    offer_all();
    limit_b(3200000);
    struct remote *r = both(b);
    for (size_t i = 0; i < N; i++)
        assert_true(want(r, &results[i].key));
    remote_close(r, 0);
    all_given_back(b);
    struct result more = {.name = "more floats", .n = 3000001, .kind = 1};
    r = both(a);
    put_result(a, &more);
    remote_offer(r, &more.key);
    assert_int_equal(when_sent(r).uploads, 1);
    remote_close(r, 0);
    /* what is here is in use: nothing can go */
    r = both(b);
    remote_want(r, &more.key);
    struct heard h = hear_answers(r, 1);
    assert_int_equal(h.misses, 1);
    assert_int_equal(h.warnings, 1);
    assert_non_null(strstr(h.warning, "full"));
    remote_close(r, 0);
    all_given_back(b);
    assert_int_equal(count_files(b, "objects"), N);
    /* not in use any more, it goes */
    store_close(b);
    b = store_named("b");
    r = both(b);
    assert_true(want(r, &more.key));
    assert_true(check_result(b, &more));
    remote_close(r, 0);
    free(more.content);
}
static bool hang_objects(struct http_server *s, const struct asked *q, int fd)
{
    if (strncmp(q->path, "/cache/cas", 10) == 0)
        server_hang(fd);
    return false;
}
static void limit_when_it_fails(void **state)
{
    static const char *const failing[] = {"GET", "404 x"};
    struct remote_answer none;
    offer_all();
    limit_b(4000000);
    for (int i = 0; i < 2; i++) {
        struct remote *r = both(b);
        server_forget(&server);
        server_answers(&server, i ? hang_objects : status_of, failing);
        remote_want(r, &results[1].key);
        while (i && !server_count(&server, "GET /cache/cas")) /* it has room, and its object hangs */
            assert_false(remote_next(r, &none));
        if (!i)
            assert_int_equal(hear_answers(r, 1).misses, 1);
        remote_close(r, 0);
        all_given_back(b);
    }
    /* closed before it heard that there is room */
    struct remote *r = both(b);
    server_answers(&server, NULL, NULL);
    server_forget(&server);
    remote_want(r, &results[1].key);
    while (!server_count(&server, "GET /cache/ac"))
        ;
    remote_close(r, 0);
    all_given_back(b);
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
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const char *const value[] = {row[i].user_env, row[i].password_env, row[i].token_env};
        for (int k = 0; k < 3; k++)
            value[k] ? setenv(name[k], value[k], 1) : unsetenv(name[k]);
        AUTO(mem) char *with = xprintf("http://%s127.0.0.1:%d/cache", row[i].user, server.port);
        server_answers(&server, wants_word, row[i].want);
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
        TEST(one_way),    TEST(left_alone), TEST(hanging), TEST(now_and_then),
        TEST(resumed),    TEST(full_here),  TEST(limit),   TEST(limit_when_it_fails),
        TEST(credentials)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
