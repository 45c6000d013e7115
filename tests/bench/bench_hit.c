/* What the store costs where nothing is computed: bench_noop's experiment, whose results are all there, and
 * results that are put.
 *   bench_hit look DIR        microseconds of one hit, its record read and nothing unpacked, as a run does it
 *   bench_hit run DIR WEFT    seconds of `weft run`, all hits: a median of RUNS after one unseen
 *   bench_hit put DIR         milliseconds of one finished task: an output of 1 KiB and its record, without
 *                             the disk's syncs, which are shared by all that ends meanwhile
 * One JSON line each. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define RUNS 5
#define PUTS 5000

static int fail(const struct error *err)
{
    char text[4096];
    fprintf(stderr, "bench_hit: %s\n", error_string(err, text, sizeof text));
    return 1;
}

static void say(const char *name, double value, const char *unit)
{
    printf("{\"name\": \"%s\", \"value\": %.4f, \"unit\": \"%s\"}\n", name, value, unit);
}

static int no_sync(int fd)
{
    return 0;
}

/* ---- hits ---- */

struct keys {
    struct digest *key;
    size_t n, cap;
};

static bool see(void *arg, const struct record_summary *m)
{
    struct keys *k = arg;
    k->key = xgrow(k->key, &k->cap, k->n + 1, sizeof *k->key);
    k->key[k->n++] = *m->key;
    return true;
}

static bool hit(struct store *s, const struct digest *key, struct error *err)
{
    const struct index_entry *e;
    enum store_state state;
    struct record *r;
    store_use(s, key);
    if (!store_look_up(s, key, &e, &state, err))
        return false;
    if (state != STORE_HIT)
        return error_set(err, NULL, ERROR_DAMAGE, "no hit");
    store_touch(s, key);
    if (!store_get_found(s, e, &r, err))
        return false;
    record_free(r);
    return true;
}

static int look(const char *dir)
{
    AUTO(mem) char *path = xprintf("%s/store", dir);
    struct error err = {0};
    struct keys k = {0};
    struct store *s;
    if (!store_open(path, &s, &err))
        return fail(&err);
    bool ok = store_each_summary(s, see, &k, &err);
    double start = clock_seconds();
    for (size_t i = 0; ok && i < k.n; i++)
        ok = hit(s, &k.key[i], &err);
    double seconds = clock_seconds() - start;
    store_close(s);
    free(k.key);
    if (ok)
        say("a hit", 1e6 * seconds / (double)k.n, "us");
    return ok ? 0 : fail(&err);
}

/* ---- runs ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool time_once(char **argv, double *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status;
    double start = clock_seconds();
    bool ok = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ) == 0 &&
              waitpid(pid, &status, 0) == pid && status == 0;
    *ret = clock_seconds() - start;
    posix_spawn_file_actions_destroy(&files);
    return ok;
}

static int run(const char *dir, const char *weft)
{
    AUTO(mem) char *path = xprintf("%s/experiment.yaml", dir);
    AUTO(mem) char *store = xprintf("%s/store", dir);
    char *argv[] = {(char *)(uintptr_t)weft,
                    (char *)(uintptr_t) "run",
                    path,
                    (char *)(uintptr_t) "--store",
                    store,
                    (char *)(uintptr_t) "--quiet",
                    NULL};
    double t[RUNS];
    bool ok = time_once(argv, &t[0]);
    for (int i = 0; ok && i < RUNS; i++)
        ok = time_once(argv, &t[i]);
    if (!ok) {
        fprintf(stderr, "bench_hit: %s run failed\n", weft);
        return 1;
    }
    qsort(t, RUNS, sizeof *t, by_value);
    say("a run of hits", t[RUNS / 2], "s");
    return 0;
}

/* ---- finished tasks ---- */

static bool put_one(struct store *s, const char *file, int i, struct error *err)
{
    static char name[] = "data", port[] = "out", stage[] = "bench", when[] = "2026-01-01T00:00:00Z",
                host[] = "bench";
    char content[1024];
    AUTO(mem) char *task = xprintf("task[%d]", i);
    AUTO(mem) char *text = xprintf("weft-key 1\nstage bench 1\nparam number = %d\n", i);
    struct record_file f = {.name = name};
    struct record_output o = {.port = port, .file = &f, .n = 1};
    struct record r = {.text = text,
                       .stage = stage,
                       .task = task,
                       .seconds = 1,
                       .threads = 1,
                       .when = when,
                       .host = host,
                       .output = &o,
                       .n = 1};
    for (size_t k = 0; k < sizeof content; k++)
        content[k] = (char)(((size_t)i + k) * 2654435761u >> 13);
    if (!fs_write_file(file, content, sizeof content, err))
        return false;
    hash_bytes(text, strlen(text), &r.key);
    if (!store_put_file(s, file, &f.digest, &f.size, err))
        return false;
    record_tree_digest(&o);
    return store_put_record_soon(s, &r, err);
}

static int put(const char *dir)
{
    struct fs_ops ops = fs_real;
    struct error err = {0};
    struct store *s;
    ops.fsync = no_sync;
    fs = &ops;
    AUTO(mem) char *path = xprintf("%s/fresh", dir);
    AUTO(mem) char *file = xprintf("%s/output", dir);
    fs_remove_tree(path, NULL);
    if (!store_open(path, &s, &err))
        return fail(&err);
    bool ok = true;
    double start = clock_seconds();
    for (int i = 0; ok && i < PUTS; i++)
        ok = put_one(s, file, i, &err);
    ok = ok && store_flush(s, &err);
    double seconds = clock_seconds() - start;
    store_close(s);
    fs_remove_tree(path, NULL);
    if (ok)
        say("a finished task", 1e3 * seconds / PUTS, "ms");
    return ok ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "look") == 0)
        return look(argv[2]);
    if (argc == 4 && strcmp(argv[1], "run") == 0)
        return run(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "put") == 0)
        return put(argv[2]);
    fprintf(stderr, "usage: bench_hit look DIR | run DIR WEFT | put DIR\n");
    return 2;
}
