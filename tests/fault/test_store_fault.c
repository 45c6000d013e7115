/* The N-th file call fails, or the process dies there, for every N of a put and a record: the store then
 * opens without help, and what it serves is right or absent. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store.h"
#include "tests/fault/campaign.h"

#include <dirent.h>
#include <sys/wait.h>

static const char content[] =
    "content of the artifact, long enough to be worth compressing, compressing, compressing";

static bool work(const char *path, const char *input)
{
    struct store *s = NULL;
    struct digest d;
    int64_t size;
    static char text[] = "weft-key 1\nstage demo 1\n", stage[] = "demo", port[] = "out", name[] = "data";
    bool ok = store_open(path, &s, NULL) && store_put_file(s, input, &d, &size, NULL);
    if (ok) {
        struct record_file f = {.name = name, .digest = d, .size = size};
        struct record_output o = {.port = port, .file = &f, .n = 1};
        struct record r = {.text = text, .stage = stage, .task = stage, .output = &o, .n = 1};
        record_tree_digest(&o);
        hash_bytes(text, strlen(text), &r.key);
        ok = store_put_record(s, &r, NULL);
    }
    store_close(s);
    return ok;
}

/* After a fault: a hit has right bytes; nothing temporary is left. Returns whether it was a hit. */
static bool inspect(const char *path)
{
    struct store *s;
    struct error err = {0};
    struct digest key;
    struct record *r;
    static const char text[] = "weft-key 1\nstage demo 1\n";
    hash_bytes(text, strlen(text), &key);
    assert_true(store_open(path, &s, &err));
    assert_true(store_get_record(s, &key, &r, &err));
    bool hit = r != NULL;
    if (hit) {
        assert_true(store_record_complete(s, r));
        AUTO(mem) char *out = xprintf("%s/out", root);
        unlink(out);
        assert_true(store_get_file(s, &r->output[0].file[0].digest, r->output[0].file[0].size, out, &err));
        AUTO(mem) char *back = NULL;
        size_t n;
        assert_true(fs_read_file(out, &back, &n, &err));
        assert_int_equal(n, sizeof content);
        assert_memory_equal(back, content, n);
    }
    record_free(r);
    store_close(s);
    AUTO(mem) char *tmp = xprintf("%s/tmp", path);
    char **list;
    size_t n;
    assert_true(fs_list_tree(tmp, &list, &n, &err));
    assert_true(n <= 1); /* .lock */
    fs_list_free(list, n);
    return hit;
}

static void campaign(int how)
{
    AUTO(mem) char *path = xprintf("%s/store", root);
    AUTO(mem) char *input = xprintf("%s/in", root);
    assert_true(fs_write_file(input, content, sizeof content, NULL));
    int calls = 0;
    for (bool clean = false; !clean; calls++) {
        assert_true(fs_remove_tree(path, NULL));
        assert_true(calls < 1000);
        pid_t pid = fork();
        if (pid == 0) {
            countdown = calls + 1;
            fault_errno = how;
            fs = &faulty;
            bool ok = work(path, input);
            _exit(countdown > 0 ? 99 : ok ? 0 : 1); /* 99: the fault was never reached */
        }
        int status;
        waitpid(pid, &status, 0);
        assert_true(WIFEXITED(status));
        clean = WEXITSTATUS(status) == 99;
        bool hit = inspect(path);
        if (clean || WEXITSTATUS(status) == 0)
            assert_true(hit); /* what was acknowledged is there */
    }
    assert_true(calls > 15);
}

int main(void)
{
    return run_campaigns(make_root);
}
