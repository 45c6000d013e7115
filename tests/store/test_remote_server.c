/* The remote tier with a real server: WEFT_TEST_REMOTE is its URL, credentials are in the environment; with
 * WEFT_TEST_REFUSED it lets nobody in, or is not who it should be, and says so with that word.
 * WEFT_TEST_FULL: there is no room. tests/cli/test_remote_servers.sh starts servers and runs this. */
#include "base/clock.h"
#include "tests/store/remotes.h"

#define N 5
static struct result results[N] = {
    {.n = 700}, {.n = 5000001, .kind = 1}, {.n = 0}, {.n = 40000}, {.n = 9000000}};
static struct store *a, *b;

static struct remote *open_url(struct store *s)
{
    return open_remote(s, (struct remote_options){.url = getenv("WEFT_TEST_REMOTE"),
                                                  .mode = REMOTE_READ | REMOTE_WRITE,
                                                  .tries = 2,
                                                  .pause = 0.05});
}

static void no_secrets(const char *text)
{
    static const char *const name[] = {"WEFT_REMOTE_PASSWORD", "WEFT_REMOTE_TOKEN", "AWS_SECRET_ACCESS_KEY",
                                       "AWS_SESSION_TOKEN"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        const char *secret = getenv(name[i]);
        if (secret && *secret)
            assert_null(strstr(text, secret));
    }
    assert_null(strchr(text, '@'));
}

static void refused(void)
{
    struct remote *r = open_url(a);
    struct remote_stats st;
    no_secrets(remote_url(r));
    for (int i = 0; i < N; i++) {
        put_result(a, &results[i]);
        remote_offer(r, &results[i].key);
        remote_want(r, &(struct digest){{(uint8_t)i}});
    }
    struct heard h = hear_answers(r, N);
    st = when_sent(r);
    assert_int_equal(h.misses, N);
    assert_int_equal(h.warnings, 1);
    assert_int_equal(st.uploads, 0);
    assert_non_null(strstr(h.warning, getenv("WEFT_TEST_REFUSED")));
    no_secrets(h.warning);
    remote_close(r, 0);
}

static void full(void)
{
    struct remote *r = open_url(a);
    struct digest absent = {{0}};
    put_result(a, &results[0]);
    remote_offer(r, &results[0].key);
    assert_int_equal(when_sent(r).uploads, 0);
    remote_want(r, &absent);
    struct heard h = hear_answers(r, 1);
    assert_int_equal(h.misses, 1);
    assert_int_equal(h.warnings, 1);
    assert_non_null(strstr(h.warning, "507"));
    remote_close(r, 60);
}

static void both_ways(void)
{
    struct remote *r = open_url(a);
    no_secrets(remote_url(r));
    for (int i = 0; i < N; i++) {
        put_result(a, &results[i]);
        remote_offer(r, &results[i].key);
    }
    struct remote_stats st = when_sent(r), again;
    assert_int_equal(st.uploads, N);
    assert_int_equal(st.failures, 0);
    /* what is there is not sent again */
    for (int i = 0; i < N; i++)
        remote_offer(r, &results[i].key);
    again = when_sent(r);
    assert_int_equal(again.uploads, 2 * N);
    assert_int_equal(again.sent, st.sent);
    remote_close(r, 60);
    r = open_url(b);
    for (int i = 0; i < N; i++)
        remote_want(r, &results[i].key);
    struct digest absent;
    hash_bytes(results[0].name, strlen(results[0].name), &absent);
    remote_want(r, &absent);
    struct heard h = hear_answers(r, N + 1);
    assert_int_equal(h.hits, N);
    assert_int_equal(h.misses, 1);
    assert_int_equal(h.warnings, 0);
    for (int i = 0; i < N; i++)
        assert_true(check_result(b, &results[i]));
    remote_stats_of(r, &st);
    assert_int_equal(st.received, again.sent);
    assert_int_equal(count_files(b, "tmp"), 0);
    remote_close(r, 0);
}

static void server(void **state)
{
    if (getenv("WEFT_TEST_REFUSED"))
        refused();
    else if (getenv("WEFT_TEST_FULL"))
        full();
    else
        both_ways();
}

static int setup(void **state)
{
    if (!mkdtemp(root))
        return -1;
    a = store_named("a");
    b = store_named("b");
    for (int i = 0; i < N; i++) /* names of this run: the server may have those of another */
        results[i].name = xprintf("%d %ld %.9f", i, (long)getpid(), clock_seconds());
    return 0;
}
static int teardown(void **state)
{
    store_close(a);
    store_close(b);
    for (int i = 0; i < N; i++) {
        free((char *)(uintptr_t)results[i].name);
        free(results[i].content);
    }
    return fs_remove_tree(root, NULL) ? 0 : -1;
}
int main(void)
{
    if (!getenv("WEFT_TEST_REMOTE")) {
        printf("WEFT_TEST_REMOTE names no server; tests/cli/test_remote_servers.sh does\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(server)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
