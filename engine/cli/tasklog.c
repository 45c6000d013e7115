#include "engine/cli/tasklog.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/runlog.h"
#include <string.h>

bool tasklog_open(struct tasklog *t, const char *store, const char *run, const char *task, struct arena *a)
{
    AUTO(mem) char *log = runlog_path(store, run, task);
    AUTO(mem) char *events = xprintf("%s/runs/%s/events.jsonl", store, run);
    *t = (struct tasklog){.store = arena_strdup(a, store),
                          .run = arena_strdup(a, run),
                          .task = arena_strdup(a, task),
                          .path = arena_strdup(a, log),
                          .time = "",
                          .events = fopen(events, "re"),
                          .arena = a};
    if (t->events)
        tasklog_read(t);
    return t->events != NULL;
}

void tasklog_close(struct tasklog *t)
{
    if (t->events)
        fclose(t->events);
    t->events = NULL;
}

static void take(struct tasklog *t, const json_t *o)
{
    const char *event = json_string_or(o, "event", "");
    if (strcmp(json_string_or(o, "task", ""), t->task) != 0)
        return;
    if (strcmp(event, "start") == 0)
        t->state = "running";
    else if (strcmp(event, "ran") == 0 || strcmp(event, "failed") == 0 || strcmp(event, "hit") == 0)
        t->state = arena_strdup(t->arena, event);
    else
        return;
    t->time = arena_strdup(t->arena, json_string_or(o, "time", ""));
}

void tasklog_read(struct tasklog *t)
{
    AUTO(mem) char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    long at = ftell(t->events);
    clearerr(t->events);
    while ((n = getline(&line, &cap, t->events)) > 0 && line[n - 1] == '\n') {
        AUTO_JSON o = json_parse(line, (size_t)n, "event", NULL);
        if (json_is_object(o))
            take(t, o);
        at = ftell(t->events);
    }
    fseek(t->events, at, SEEK_SET); /* a line that is being written is read when it is whole */
}

bool tasklog_over(const struct tasklog *t)
{
    bool works = !t->state || strcmp(t->state, "running") == 0;
    return !works || !runlog_alive(t->store, t->run);
}
