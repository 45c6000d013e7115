/* The remote tier while something else happens: a gate holds back what the server has for one path. */
#include "cache/config.h"
#include "cache/gc.h"
#include "tests/store/remote_pair.h"

static int gate[2];
static char *held; /* the path */

static void close_gate(char *path)
{
    held = xprintf("/cache%s", path);
    free(path);
    assert_int_equal(pipe(gate), 0);
}
static void open_gate(void)
{
    close(gate[1]);
}
static bool at_gate(struct http_server *s, const struct asked *q, int fd)
{
    char c;
    if (strcmp(q->path, held) == 0)
        (void)!read(gate[0], &c, 1);
    return false;
}
static void done_with_gate(void)
{
    close(gate[0]);
    free(held);
}
/* As at the gate; all others fail. */
static bool only_gate(struct http_server *s, const struct asked *q, int fd)
{
    if (strcmp(q->path, held) == 0)
        return at_gate(s, q, fd);
    server_say(fd, "503 x", "", "", 0, 0);
    return true;
}

static void until(struct remote *r, size_t misses, int64_t received)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct remote_stats st;
    for (remote_stats_of(r, &st); st.misses < misses || st.received < received; remote_stats_of(r, &st))
        nanosleep(&moment, NULL);
}
static struct digest no_key(int i)
{
    struct digest d;
    hash_bytes(&i, sizeof i, &d);
    return d;
}

/* One that joins in when another has an object already, and waits for its others. */
static void joined_late(void **state)
{
    static const char *const content[] = {"the same", "slow"};
    struct digest first = put_files(a, "first", content, 2), second = put_files(a, "second", content, 1),
                  slow;
    struct remote *r = both(a);
    struct stat object, record;
    remote_offer(r, &first);
    remote_offer(r, &second);
    assert_int_equal(when_sent(r).uploads, 2);
    remote_close(r, 0);
    hash_bytes("slow", 4, &slow);
    struct digest same;
    hash_bytes("the same", 8, &same);
    AUTO(mem) char *object_file = store_file(a, "objects", &same);
    AUTO(mem) char *record_file = store_file(a, "records", &first);
    assert_true(stat(object_file, &object) == 0 && stat(record_file, &record) == 0);
    close_gate(remote_path("cas", &slow));
    server_answers(&server, at_gate, NULL);
    r = both(b);
    remote_want(r, &first);
    until(r, 0, object.st_size + record.st_size);
    assert_true(want(r, &second));
    assert_true(is_hit(b, &second));
    assert_false(is_hit(b, &first));
    open_gate();
    assert_int_equal(hear_answers(r, 1).hits, 1);
    assert_true(is_hit(b, &first));
    remote_close(r, 0);
    done_with_gate();
}

/* One that joins in when an object has failed already. */
static char *absent;
static bool absent_or_at_gate(struct http_server *s, const struct asked *q, int fd)
{
    if (strstr(q->path, absent))
        server_say(fd, "404 x", "", "", 0, 0);
    return strstr(q->path, absent) || at_gate(s, q, fd);
}
static void joined_too_late(void **state)
{
    static const char *const content[] = {"absent", "slow"};
    const struct timespec moment = {.tv_nsec = 1000000};
    struct digest first = put_files(a, "first", content, 2), second = put_files(a, "second", content, 1),
                  slow, d;
    struct remote *r = both(a);
    remote_offer(r, &first);
    remote_offer(r, &second);
    assert_int_equal(when_sent(r).uploads, 2);
    remote_close(r, 0);
    hash_bytes("slow", 4, &slow);
    hash_bytes("absent", 6, &d);
    absent = remote_path("cas", &d);
    close_gate(remote_path("cas", &slow));
    server_answers(&server, absent_or_at_gate, NULL);
    server_forget(&server);
    r = both(b);
    remote_want(r, &first);
    while (server_count(&server, "GET /cache/cas") < 2)
        nanosleep(&moment, NULL);
    for (int i = 0; i < 3; i++) { /* by then it has heard the 404 */
        d = no_key(i);
        assert_false(want(r, &d));
    }
    remote_want(r, &second);
    assert_int_equal(hear_answers(r, 1).misses, 1);
    open_gate();
    assert_int_equal(hear_answers(r, 1).misses, 1);
    assert_int_equal(count_files(b, "objects") + count_files(b, "records") + count_files(b, "tmp"), 0);
    struct error err = {0};
    assert_true(store_flush(b, &err)); /* it can still be written to */
    remote_close(r, 0);
    done_with_gate();
    free(absent);
}

/* The result is made here before its object comes: ours stays. */
static void made_here(void **state)
{
    offer_all();
    struct result *x = &results[0];
    close_gate(remote_path("cas", &x->object));
    server_answers(&server, at_gate, NULL);
    struct remote *r = both(b);
    remote_want(r, &x->key);
    while (!server_count(&server, "GET /cache/cas"))
        ;
    struct stat before, after;
    put_result(b, x);
    AUTO(mem) char *file = store_file(b, "records", &x->key);
    assert_int_equal(stat(file, &before), 0);
    open_gate();
    assert_int_equal(hear_answers(r, 1).hits, 1);
    assert_int_equal(stat(file, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(count_files(b, "tmp"), 0);
    remote_close(r, 0);
    done_with_gate();
}

/* When it is left alone, what hangs is not waited for. */
static void hangs_while_others_fail(void **state)
{
    offer_all();
    close_gate(remote_path("ac", &results[0].key));
    server_answers(&server, only_gate, NULL);
    struct remote *r = open_remote(
        b, (struct remote_options){.url = url, .mode = REMOTE_READ, .tries = 1, .silence_timeout = 3600});
    remote_want(r, &results[0].key);
    for (int i = 0; i < 3; i++)
        remote_want(r, &(struct digest){{(uint8_t)i}});
    struct heard h = hear_answers(r, 4);
    assert_int_equal(h.misses, 4);
    assert_int_equal(h.warnings, 1);
    open_gate();
    remote_close(r, 0);
    done_with_gate();
}

/* Room is made for one that has been given up meanwhile: it is given back. */
static void room_for_nobody(void **state)
{
    static const char *const failing[] = {"", "503 x"};
    struct remote_answer x;
    offer_all();
    AUTO(mem) char *config = xprintf("%s/config", store_path(b));
    assert_true(fs_write_file(config, "{\"max_size\": 4000000}", 21, NULL));
    store_close(b);
    b = store_named("b");
    for (int later = 0; later < 2; later++) {
        struct remote *r =
            open_remote(b, (struct remote_options){.url = url, .mode = REMOTE_READ, .tries = 1});
        server_answers(&server, NULL, NULL);
        remote_want(r, &results[1].key);
        until(r, 0, 1); /* its record is here, and asks for room */
        server_answers(&server, status_of, failing);
        for (int i = 0; i < 3; i++) {
            struct digest d = no_key(i);
            remote_want(r, &d);
        }
        until(r, 4, 0);
        while (remote_next(r, &x))
            ;
        for (int i = 0; later && i < 2; i++) { /* until the thread has heard of it */
            struct digest d = no_key(i);
            assert_false(want(r, &d));
        }
        remote_close(r, 0);
        assert_false(store_reserve(b, 4000001, NULL));
        assert_true(store_reserve(b, 4000000, NULL));
        store_unreserve(b, 4000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(joined_late), TEST(joined_too_late), TEST(made_here),
                                       TEST(hangs_while_others_fail), TEST(room_for_nobody)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
