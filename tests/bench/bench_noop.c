/* A big experiment with every result in the store: how long until weft, or ninja, sees that nothing is to do.
 *   bench_noop data DIR WIDTH   write DIR/experiment.yaml of 10 tasks for each of WIDTH items, DIR/store with
 *                               a record and objects for each, and DIR/build.ninja of the same shape
 *   bench_noop weft DIR WEFT    time `weft check` and `weft plan`; one JSON line, value: their sum,
 *                               though plan checks the whole experiment, too
 *   bench_noop ninja DIR        time ninja; it must have run there once
 *
 * Each program runs RUNS times after once unseen, and the median counts. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store.h"
#include "engine/spec/spec.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define RUNS 5
#define PER  10 /* tasks for one item */

static const char stages[] =
    "  data: { foreach: '${items}', uses: synthetic, with: { domain: public, seed: '${item}' } }\n"
    "  test: { foreach: '${items}', uses: synthetic, with: { domain: public, split: test, seed: '${item}' } "
    "}\n"
    "  seed: { foreach: '${items}', uses: pretrain, in: { public: 'data[${item}]' }, with: { seed: '${item}' "
    "} }\n"
    "  features: { foreach: '${items}', uses: embedding, in: { model: 'seed[${item}]', data: 'data[${item}]' "
    "} }\n"
    "  unseen: { foreach: '${items}', uses: embedding, in: { model: 'seed[${item}]', data: 'test[${item}]' } "
    "}\n"
    "  relevance:\n"
    "    foreach: ${items}\n"
    "    uses: classifier\n"
    "    in: { model: 'seed[${item}]', public: 'unseen[${item}]', private: 'data[${item}]' }\n"
    "  proxy:\n"
    "    foreach: ${items}\n"
    "    uses: dpp\n"
    "    in: { features: 'features[${item}]', relevance: 'relevance[${item}]' }\n"
    "    with: { size: '${proxies}' }\n"
    "  expert:\n"
    "    foreach: ${items}\n"
    "    uses: expert\n"
    "    in: { model: 'seed[${item}]', private: 'data[${item}]', public: 'test[${item}]', proxy: "
    "'proxy[${item}]' }\n"
    "    with: { rank: 8, lr: 0.01, seed: '${item}' }\n"
    "  score:\n"
    "    foreach: ${items}\n"
    "    uses: evaluate\n"
    "    in: { model: 'seed[${item}]', adapter: 'expert[${item}]', data: 'test[${item}]' }\n"
    "    with: { domain: 'd${item}' }\n"
    "  table: { foreach: '${items}', uses: table, in: { scores: 'score[${item}]' } }\n";

static int fail(const struct error *err)
{
    char text[4096];
    fprintf(stderr, "bench_noop: %s\n", error_string(err, text, sizeof text));
    return 1;
}

/* ---- the data ---- */

static int no_sync(int fd)
{
    return 0;
}

static bool write_experiment(const char *path, int width, struct error *err)
{
    AUTO(buf) struct buf b = {0};
    buf_puts(&b, "experiment: noop\nvars:\n  proxies: 100\n  items:\n");
    for (int i = 0; i < width; i++)
        buf_printf(&b, "    - %d\n", i);
    buf_printf(&b, "stages:\n%s", stages);
    return fs_write_file(path, b.data, b.len, err);
}

/* One edge a task, its inputs those of the task. */
static bool write_ninja(const char *path, const struct spec *s, struct error *err)
{
    AUTO(buf) struct buf b = {0};
    buf_puts(&b, "rule make\n  command = : >$out\n");
    for (int i = 0; i < s->n; i++) {
        const struct task *t = s->task[i];
        buf_printf(&b, "build out/%s: make", t->name);
        for (int p = 0; p < stage_port_count(t->stage->inputs); p++)
            for (int k = 0; k < t->inputs[p].n; k++)
                buf_printf(&b, " out/%s", t->inputs[p].ref[k].task->name);
        buf_putc(&b, '\n');
    }
    return fs_write_file(path, b.data, b.len, err);
}

struct made { /* digests of the outputs of all tasks, by task and port */
    struct record *task;
};

static bool output_of(void *arg, const struct task *t, int output, struct digest *ret)
{
    const struct made *m = arg;
    *ret = m->task[t->index].output[output].digest;
    return true;
}

/* As if t had run: each output holds one small file of its own. */
static bool make_result(struct store *store, const char *dir, const struct task *t, struct made *m,
                        struct error *err)
{
    const struct key_source source = {.output = output_of, .arg = m};
    struct record *r = &m->task[t->index];
    int ports = stage_port_count(t->stage->outputs);
    AUTO(mem) char *path = xprintf("%s/file", dir);
    AUTO(mem) struct record_file *file = xcalloc((size_t)ports, sizeof *file);
    *r = (struct record){.stage = (char *)(uintptr_t)t->stage->name,
                         .task = (char *)(uintptr_t)t->name,
                         .seconds = 1 + 0.125 * (t->index % 64),
                         .threads = 2,
                         .peak_rss = 1 << 26,
                         .when = (char *)(uintptr_t) "2026-01-01T00:00:00Z",
                         .host = (char *)(uintptr_t) "bench",
                         .output = xcalloc((size_t)ports, sizeof *r->output),
                         .n = (size_t)ports};
    for (int p = 0; p < ports; p++) {
        AUTO(mem) char *text = xprintf("%s of %s\n", t->stage->outputs[p].name, t->name);
        file[p].name = (char *)(uintptr_t) "result.json";
        r->output[p] = (struct record_output){
            .port = (char *)(uintptr_t)t->stage->outputs[p].name, .file = &file[p], .n = 1};
        if (!fs_write_file(path, text, strlen(text), err) ||
            !store_put_file(store, path, &file[p].digest, &file[p].size, err))
            return false;
        record_tree_digest(&r->output[p]);
    }
    bool ok = task_key(t, &source, &r->key, &r->text, err) && store_put_record(store, r, err);
    free(r->text);
    return ok;
}

static bool make_results(const char *dir, const struct spec *s, struct error *err)
{
    static struct fs_ops quick;
    quick = fs_real;
    quick.fsync = no_sync; /* this store need not outlive a power cut */
    fs = &quick;
    AUTO(mem) char *path = xprintf("%s/store", dir);
    AUTO(store) struct store *store = NULL;
    struct made m = {.task = xcalloc((size_t)s->n, sizeof *m.task)};
    bool ok = store_open(path, &store, err);
    for (int i = 0; ok && i < s->n; i++)
        ok = make_result(store, dir, s->task[i], &m, err);
    for (int i = 0; i < s->n; i++)
        free(m.task[i].output);
    free(m.task);
    return ok;
}

static int make_data(const char *dir, int width)
{
    struct error err = {0}, *errors;
    struct spec *s;
    int n;
    AUTO(mem) char *experiment = xprintf("%s/experiment.yaml", dir);
    AUTO(mem) char *ninja = xprintf("%s/build.ninja", dir);
    if (!fs_mkdirs(dir, &err) || !write_experiment(experiment, width, &err))
        return fail(&err);
    if (!spec_read(experiment, NULL, &s, &errors, &n))
        return fail(&errors[0]);
    bool ok = write_ninja(ninja, s, &err) && make_results(dir, s, &err);
    spec_free(s);
    return ok ? 0 : fail(&err);
}

/* ---- the clock ---- */

struct timing {
    double seconds;
    long rss; /* KiB at the peak */
};

/* Run argv with its output thrown away. This process must stay small: the child's peak begins with ours. */
static bool time_once(char **argv, struct timing *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status;
    struct rusage use;
    double start = clock_seconds();
    bool ok = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ) == 0 &&
              wait4(pid, &status, 0, &use) == pid && status == 0;
    *ret = (struct timing){clock_seconds() - start, use.ru_maxrss};
    posix_spawn_file_actions_destroy(&files);
    return ok;
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const struct timing *)a)->seconds, y = ((const struct timing *)b)->seconds;
    return x < y ? -1 : x > y;
}

static bool time_median(char **argv, struct timing *ret)
{
    struct timing t[RUNS];
    bool ok = time_once(argv, &t[0]);
    for (int i = 0; ok && i < RUNS; i++)
        ok = time_once(argv, &t[i]);
    if (!ok) {
        fprintf(stderr, "bench_noop: %s %s failed\n", argv[0], argv[1]);
        return false;
    }
    qsort(t, RUNS, sizeof *t, by_seconds);
    *ret = t[RUNS / 2];
    return true;
}

static int count_tasks(const char *dir)
{
    AUTO(mem) char *path = xprintf("%s/experiment.yaml", dir);
    AUTO(mem) char *text = NULL;
    int n = 0;
    if (fs_read_file(path, &text, NULL, NULL))
        for (const char *c = text; (c = strstr(c, "    - ")); c++)
            n += PER;
    return n;
}

static int time_weft(const char *dir, const char *weft)
{
    AUTO(mem) char *path = xprintf("%s/experiment.yaml", dir);
    AUTO(mem) char *store = xprintf("%s/store", dir);
    char *check[] = {(char *)(uintptr_t)weft, (char *)(uintptr_t) "check", path, NULL};
    char *plan[] = {check[0], (char *)(uintptr_t) "plan", path, (char *)(uintptr_t) "--store", store, NULL};
    struct timing c, p;
    int n = count_tasks(dir);
    if (n == 0 || !time_median(check, &c) || !time_median(plan, &p))
        return 1;
    printf(
        "{\"name\": \"no-op, %d tasks\", \"value\": %.4f, \"unit\": \"s\", \"check\": %.4f, \"plan\": %.4f, "
        "\"kib_per_task\": %.2f}\n",
        n, c.seconds + p.seconds, c.seconds, p.seconds, (double)(p.rss > c.rss ? p.rss : c.rss) / n);
    return 0;
}

static int time_ninja(const char *dir)
{
    char *ninja[] = {(char *)(uintptr_t) "ninja", (char *)(uintptr_t) "-C", (char *)(uintptr_t)dir, NULL};
    struct timing t;
    int n = count_tasks(dir);
    if (n == 0 || !time_median(ninja, &t))
        return 1;
    printf("{\"name\": \"no-op, %d tasks\", \"value\": %.4f, \"unit\": \"s\", \"kib_per_task\": %.2f}\n", n,
           t.seconds, (double)t.rss / n);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "data") == 0)
        return make_data(argv[2], (int)strtol(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "weft") == 0)
        return time_weft(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "ninja") == 0)
        return time_ninja(argv[2]);
    fprintf(stderr, "usage: bench_noop data DIR WIDTH | weft DIR WEFT | ninja DIR\n");
    return 2;
}
