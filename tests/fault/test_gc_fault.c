/* The N-th file call fails, or the process dies there, for every N of making room, and of putting a result
 * into a store that has to make room for it: what hits then is whole and right, what is pinned is there, and
 * the next gc comes down to what it should. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/gc.h"
#include "cache/pin.h"
#include "cache/verify.h"
#include "tests/fault/campaign.h"
#include <string.h>
#include <sys/wait.h>

#define LIMIT 20000

/* Results by their names; content by one letter each, of which nothing can be pressed. */
static const struct {
    const char *name, *content;
    double seconds;
} results[] = {{"a", "xy", 1}, {"b", "yz", 2}, {"c", "w", 3}, {"pinned", "v", 0}};
enum { RESULTS = sizeof results / sizeof *results, CONTENT = 3000 };

static int no_sync(int fd)
{
    return 0;
}
static struct fs_ops quick; /* but for the faults: the disk is left alone */

static void content_of(char letter, char *p)
{
    unsigned x = (unsigned char)letter * 2654435761u;
    for (int i = 0; i < CONTENT; i++)
        p[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
}

static struct digest key_of(const char *text)
{
    struct digest d;
    hash_bytes(text, strlen(text), &d);
    return d;
}

static bool put_result(struct store *s, const char *name, const char *content, double seconds)
{
    static char port[] = "out", names[][2] = {"0", "1", "2"};
    AUTO(mem) char *text = xstrdup(name);
    AUTO(mem) char *in = xprintf("%s/in", root);
    struct record_file f[3] = {0};
    struct record_output o = {.port = port, .file = f};
    for (; content[o.n]; o.n++) {
        char p[CONTENT];
        content_of(content[o.n], p);
        f[o.n].name = names[o.n];
        if (!fs_write_file(in, p, sizeof p, NULL) ||
            !store_put_file(s, in, &f[o.n].digest, &f[o.n].size, NULL))
            return false;
    }
    record_tree_digest(&o);
    struct record r = {.key = key_of(name),
                       .text = text,
                       .stage = text,
                       .task = text,
                       .seconds = seconds,
                       .output = &o,
                       .n = 1};
    return store_put_record(s, &r, NULL);
}

static struct store *open_store(void)
{
    AUTO(mem) char *path = xprintf("%s/store", root);
    struct store *s;
    struct error err = {0};
    if (!store_open(path, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

static void begin(void)
{
    AUTO(mem) char *path = xprintf("%s/store", root);
    AUTO(mem) char *config = xprintf("%s/config", path);
    AUTO(mem) char *limit = xprintf("{\"max_size\": %d}", LIMIT);
    static char name[] = "p";
    assert_true(fs_remove_tree(path, NULL) && fs_mkdirs(path, NULL));
    assert_true(fs_write_file(config, limit, strlen(limit), NULL));
    AUTO(store) struct store *s = open_store();
    for (int i = 0; i < RESULTS; i++)
        assert_true(put_result(s, results[i].name, results[i].content, results[i].seconds));
    struct digest key = key_of("pinned");
    assert_true(pin_put(s, &(struct pin){.name = name, .key = &key, .n = 1}, NULL));
}

/* In a process of its own: 0 done, 1 failed, 77 died, 99 the fault was never reached. */
static int with_fault(int how, int call, bool (*work)(struct store *s))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = open_store();
        countdown = call;
        fault_errno = how;
        fs = &faulty;
        bool ok = work(s);
        bool reached = countdown <= 0;
        fs = &quick;
        store_close(s);
        _exit(!reached ? 99 : !ok);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* A hit: all of it is there and right. */
static bool check(struct store *s, const char *name, const char *content)
{
    const struct index_entry *e;
    enum store_state found;
    struct digest key = key_of(name);
    struct error err = {0};
    assert_true(store_look_up(s, &key, &e, &found, &err));
    assert_int_not_equal(found, STORE_LOST);
    for (size_t i = 0; found == STORE_HIT && content[i]; i++) {
        AUTO(mem) char *out = xprintf("%s/out", root);
        AUTO(mem) char *back = NULL;
        char want[CONTENT];
        struct digest d;
        size_t n;
        content_of(content[i], want);
        hash_bytes(want, sizeof want, &d);
        unlink(out);
        assert_true(store_get_file(s, &d, CONTENT, out, &err) && fs_read_file(out, &back, &n, &err));
        assert_int_equal(n, CONTENT);
        assert_memory_equal(back, want, n);
    }
    return found == STORE_HIT;
}

static void check_all(void)
{
    AUTO(store) struct store *s = open_store();
    for (int i = 0; i < RESULTS; i++)
        if (!check(s, results[i].name, results[i].content))
            assert_string_not_equal(results[i].name, "pinned");
    struct verify_report v;
    struct error err = {0};
    if (!store_verify(s, &(struct verify_options){0}, &v, &err))
        fail_msg("%s", err.text);
    for (int k = 0; k <= VERIFY_FOREIGN; k++)
        assert_int_equal(v.findings[k], 0);
}

static bool make_room(struct store *s)
{
    struct gc_report r;
    return store_gc(s, &(struct gc_options){.max_size = 6000}, &r, NULL);
}
static bool put_more(struct store *s)
{
    return put_result(s, "more", "mn", 9);
}

/* No help but the next gc. */
static void make_room_again(void)
{
    AUTO(store) struct store *s = open_store();
    struct gc_report r;
    struct error err = {0};
    if (!store_gc(s, &(struct gc_options){.max_size = 6000}, &r, &err))
        fail_msg("%s", err.text);
    assert_true(r.after <= 6000 && !r.busy);
}

static int each_call(int how, bool (*work)(struct store *s))
{
    int calls = 0;
    for (int status = 0; status != 99; calls++) {
        begin();
        status = with_fault(how, calls + 1, work);
        check_all();
        if (work == put_more) {
            AUTO(store) struct store *s = open_store();
            bool hit = check(s, "more", "mn");
            assert_true(hit || (status != 0 && status != 99)); /* what was acknowledged is there */
        }
        make_room_again();
        check_all();
        assert_true(calls < 400);
    }
    return calls;
}

static void campaign(int how)
{
    assert_true(each_call(how, make_room) > 20);
    assert_true(each_call(how, put_more) > 40);
}

static int setup(void **state)
{
    quick = fs_real;
    quick.fsync = no_sync;
    fs = &quick;
    return make_root(state);
}

int main(void)
{
    return run_campaigns(setup);
}
