/* The N-th file call fails, or the process dies there, for every N of taking a checkpoint in, dropping the
 * one before and finding one: the store serves one of the two, right to the last bit, and no other. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/checkpoint.h"
#include "tests/fault/campaign.h"

#include <sys/wait.h>

static const char content[2][64] = {"state after the first pass", "state after the second pass"};

static struct digest id_of(void)
{
    struct digest d;
    hash_bytes("id", 2, &d);
    return d;
}

static struct store *open_store(void)
{
    AUTO(mem) char *path = xprintf("%s/store", root);
    struct store *s;
    return store_open(path, &s, NULL) ? s : NULL;
}

static char *input(int64_t step)
{
    return xprintf("%s/in.%lld", root, (long long)step);
}

static bool put(struct store *s, int64_t step)
{
    struct digest id = id_of();
    struct checkpoint c = {.step = step, .seconds = 1};
    AUTO(mem) char *path = input(step);
    return store_checkpoint_put(s, &id, &c, path, NULL);
}

/* The next checkpoint in place of the one before, as a run does it. */
static bool advance(struct store *s)
{
    struct digest id = id_of();
    if (!put(s, 2))
        return false;
    store_checkpoint_drop(s, &id, 1);
    return true;
}

/* The step found; 0: none, -1: trouble. */
static int64_t find(struct store *s, const char *to)
{
    struct digest id = id_of();
    struct checkpoint c;
    unlink(to);
    bool ok = store_checkpoint_find(s, &id, 9, to, &c, NULL);
    fs = &fs_real; /* the rest is the test's */
    if (!ok)
        return -1;
    if (c.step) {
        AUTO(mem) char *text = NULL;
        size_t n;
        assert_true(fs_read_file(to, &text, &n, NULL));
        assert_int_equal(n, sizeof content[0]);
        assert_memory_equal(text, content[c.step - 1], n);
    }
    return c.step;
}

/* In a process of its own: what `work` says, or 99 when the fault was never reached. */
static int with_fault(int how, int call, int (*work)(struct store *s))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct store *s = open_store();
        countdown = call;
        fault_errno = how;
        fs = &faulty;
        int ret = work(s);
        bool reached = countdown <= 0;
        fs = &fs_real;
        store_close(s);
        _exit(reached ? ret : 99);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
static int work_advance(struct store *s)
{
    return advance(s) ? 0 : 1;
}
static int work_find(struct store *s)
{
    AUTO(mem) char *out = xprintf("%s/out", root);
    int64_t step = find(s, out);
    return step < 0 ? 1 : (int)step + 10;
}

static void begin(void)
{
    AUTO(mem) char *path = xprintf("%s/store", root);
    assert_true(fs_remove_tree(path, NULL));
    struct store *s = open_store();
    assert_true(s && put(s, 1));
    store_close(s);
}

static void campaign(int how)
{
    AUTO(mem) char *out = xprintf("%s/out", root);
    int calls = 0;
    for (int status = 0; status != 99; calls++) {
        begin();
        status = with_fault(how, calls + 1, work_advance);
        struct store *s = open_store();
        assert_non_null(s);
        int64_t step = find(s, out);
        assert_true(step == 2 || (step == 1 && status != 0 && status != 99)); /* what was taken is there */
        store_close(s);
        assert_true(calls < 200);
    }
    assert_true(calls > 8);
    calls = 0;
    for (int status = 0; status != 99; calls++) {
        begin();
        status = with_fault(how, calls + 1, work_find);
        assert_true(status != 0 && status != 12);
        struct store *s = open_store();
        /* a reader's trouble is none of the checkpoint's, but for a call that looks like its end */
        assert_true(s && find(s, out) == (status == 10 ? 0 : 1));
        store_close(s);
        assert_true(calls < 200);
    }
    assert_true(calls > 5);
}

static int setup(void **state)
{
    if (make_root(state))
        return -1;
    for (int64_t step = 1; step <= 2; step++) {
        AUTO(mem) char *path = input(step);
        if (!fs_write_file(path, content[step - 1], sizeof content[0], NULL))
            return -1;
    }
    return 0;
}

int main(void)
{
    return run_campaigns(setup);
}
