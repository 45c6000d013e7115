/* What predictions cost: bench_history read|predict DIR. 10,000 records of 5,000 tasks of ten stages, in a
 * store below DIR; `read` is the first question, which reads the index and makes a stage's fits, `predict`
 * 10,000 more. Prints one JSON line, in ms. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/history.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N = 10000, STAGES = 10 };

static int no_sync(int fd)
{
    return 0;
}

static void cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    ret->flops = 1e9 * (double)in->samples;
    ret->peak = 1000 * in->samples;
}

static bool put(struct store *s, const char *stage, int i, char *host, struct error *err)
{
    AUTO(mem) char *text = xprintf("record %d", i);
    AUTO(mem) char *task = xprintf("task%d", i / 2);
    struct record r = {
        .text = text,
        .stage = (char *)(uintptr_t)stage,
        .task = task,
        .seconds = 1 + i % 7,
        .threads = 1 + i % 2,
        .samples = 100 + i % 50,
        .peak_rss = 1 << 20,
        .cost = {.flops = 1e9 * (100 + i % 50), .peak = 1000 * (100 + i % 50), .rule = COST_RULE},
        .node = host,
        .when = (char *)(uintptr_t) "2026-01-01T00:00:00Z"};
    hash_bytes(text, strlen(text), &r.key);
    return store_put_record_soon(s, &r, err);
}

static bool fill(const char *path, const struct stage *stage, struct error *err)
{
    AUTO(store) struct store *s = NULL;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    if (!store_open(path, &s, err))
        return false;
    for (int i = 0; i < N; i++)
        if (!put(s, stage[i / 2 % STAGES].name, i, host, err))
            return false;
    return store_flush(s, err);
}

static double measure(struct history *h, const struct stage *stage, bool predict)
{
    double begin = clock_seconds();
    history_predict(h, &(struct task){.name = "new", .stage = &stage[0]});
    double read = clock_seconds() - begin;
    begin = clock_seconds();
    for (int i = 0; i < N && predict; i++) { /* every other one has a history of its own */
        AUTO(mem) char *name = xprintf(i % 2 ? "task%d" : "other%d", i / 2);
        history_predict(h, &(struct task){.name = name, .stage = &stage[i / 2 % STAGES]});
    }
    return 1e3 * (predict ? clock_seconds() - begin : read);
}

int main(int argc, char **argv)
{
    static struct fs_ops quick;
    struct stage stage[STAGES];
    struct error err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: bench_history read|predict DIR\n");
        return 2;
    }
    quick = fs_real;
    quick.fsync = no_sync; /* this store need not outlive a power cut */
    fs = &quick;
    AUTO(mem) char *dir = xprintf("%s/history-XXXXXX", argv[2]);
    for (int i = 0; i < STAGES; i++)
        stage[i] = (struct stage){.name = xprintf("stage%d", i), .cost = cost};
    AUTO(store) struct store *s = NULL;
    if (!mkdtemp(dir) || !fill(dir, stage, &err) || !store_open(dir, &s, &err)) {
        fprintf(stderr, "bench_history: %s\n", err.text);
        return 1;
    }
    struct history *h;
    history_open(s, &h);
    bool predict = strcmp(argv[1], "predict") == 0;
    printf("{\"name\": \"%s of %d records\", \"value\": %.2f, \"unit\": \"ms\"}\n",
           predict ? "10,000 predictions" : "first prediction", N, measure(h, stage, predict));
    history_close(h);
    store_close(s);
    s = NULL;
    for (int i = 0; i < STAGES; i++)
        free((void *)(uintptr_t)stage[i].name);
    return fs_remove_tree(dir, NULL) ? 0 : 1;
}
