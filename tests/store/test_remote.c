/* The remote tier with a server that does as it should. */
#include "cache/lock.h"
#include "tests/store/remote_pair.h"

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
    assert_int_equal(server_count(&server, ""), 0);
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
    assert_int_equal(server_count(&server, ""), 0);
    remote_close(r, 0);
    r = open_remote(a, (struct remote_options){.url = url, .mode = REMOTE_READ, FAST});
    remote_offer(r, &results[0].key);
    assert_int_equal(when_sent(r).uploads, 0);
    remote_close(r, 60);
    assert_int_equal(server_count(&server, ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(both_ways),     TEST(in_use),      TEST(not_there), TEST(parts),
                                       TEST(shared_object), TEST(not_offered), TEST(modes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
