/* STORE/runs/ID/status.json: what is at work now, for `weft status`. Written at most once a second from the
 * first worker on, replaced as a whole, removed at the end; it is only ever a convenience, so a failure is
 * nobody's. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "engine/exec/asks.h"
#include "engine/exec/build_impl.h"
#include <string.h>
#include <time.h>

#define EVERY 1.0 /* seconds */

static double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Times as seconds before "updated", so that one clock is enough to read them. */
static json_t *task_json(const struct attempt *a, double now)
{
    const struct build *b = a->build;
    int64_t memory = ask_memory(a->task, &b->machine, b->result[a->task->index].attempts);
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:f}", "task", a->task->name, "stage", a->task->stage->name,
                          "cpuset", a->cpuset, "cores", a->cores, "seconds", now - a->began);
    json_object_set_new(o, "node", json_string(b->machine.node[a->node].name));
    if (memory > 0)
        json_object_set_new(o, "memory", json_integer((json_int_t)memory));
    if (a->progressed > 0)
        json_object_update_new(o, json_pack("{s:f, s:f, s:s, s:f}", "done", a->progress, "total", a->total,
                                            "unit", a->unit, "silent", now - a->progressed));
    return o;
}

static json_t *status_json(const struct build *b)
{
    int count[TASK_SKIPPED + 1] = {0};
    double now = clock_seconds(), left = left_seconds(b);
    json_t *tasks = json_array();
    for (int i = 0; i < b->n_running; i++)
        json_array_append_new(tasks, task_json(b->running[i], now));
    for (int i = 0; i < b->spec->n; i++)
        if (b->result[i].wanted)
            count[b->result[i].state]++;
    json_t *o =
        json_pack("{s:f, s:f, s:i, s:i, s:i, s:i, s:i, s:i, s:o}", "updated", wall_seconds(), "seconds",
                  now - b->began, "cores", b->cores, "finished", b->finished, "count", b->count, "hit",
                  count[TASK_HIT], "ran", count[TASK_DONE], "failed", count[TASK_FAILED], "tasks", tasks);
    if (left >= 0)
        json_object_set_new(o, "left", json_real(left));
    return o;
}

void status_note(struct build *b)
{
    b->untold = b->untold || b->told || b->n_running > 0;
}

int status_due(const struct build *b)
{
    double left = b->told_at + EVERY - clock_seconds();
    return !b->untold ? -1 : b->told && left > 0 ? (int)(left * 1000) + 1 : 0;
}

void status_write(struct build *b)
{
    if (status_due(b) != 0)
        return;
    runlog_flush(b->log); /* whoever reads of a task there finds its begin in the log */
    AUTO_JSON o = status_json(b);
    AUTO(mem) char *text = json_text(o, false);
    AUTO(mem) char *path = runlog_status_path(store_path(b->store), runlog_id(b->log));
    (void)!fs_publish(path, text, strlen(text), false, NULL);
    b->told = true;
    b->untold = false;
    b->told_at = clock_seconds();
}

void status_end(struct build *b)
{
    AUTO(mem) char *path = runlog_status_path(store_path(b->store), runlog_id(b->log));
    if (b->told)
        fs->unlink(path);
}
