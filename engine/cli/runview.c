#include "engine/cli/runview.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/runlog.h"
#include <string.h>
#include <time.h>

struct reader {
    struct runview *ret;
    struct arena *arena;
    struct run_task *task; /* malloc'd while it grows */
    size_t cap;
    json_t *index;    /* of tasks, by name */
    const char *last; /* time of the last event */
    bool interrupted;
    double seconds; /* as the end says; below 0: unknown */
};

static bool ends_task(const char *event)
{
    return strcmp(event, "hit") == 0 || strcmp(event, "ran") == 0 || strcmp(event, "failed") == 0 ||
           strcmp(event, "skipped") == 0;
}

/* The entry of a task; healed tasks come to an end twice: the last counts. */
static struct run_task *entry(struct reader *r, const char *name)
{
    const json_t *known = json_object_get(r->index, name);
    if (known)
        return &r->task[json_integer_value(known)];
    r->task = xgrow(r->task, &r->cap, (size_t)r->ret->n + 1, sizeof *r->task);
    json_object_set_new(r->index, name, json_integer(r->ret->n));
    struct run_task *t = &r->task[r->ret->n++];
    *t = (struct run_task){.name = arena_strdup(r->arena, name)};
    return t;
}

static bool see(void *arg, const json_t *o)
{
    struct reader *r = arg;
    const char *event = json_string_or(o, "event", ""), *task = json_string_or(o, "task", NULL);
    r->last = arena_strdup(r->arena, json_string_or(o, "time", ""));
    if (!*r->ret->begin)
        r->ret->begin = r->last;
    if (strcmp(event, "begin") == 0) {
        r->ret->experiment = arena_strdup(r->arena, json_string_or(o, "experiment", ""));
        r->ret->file = arena_strdup(r->arena, json_string_or(o, "file", ""));
    } else if (strcmp(event, "interrupt") == 0) {
        r->interrupted = true;
    } else if (strcmp(event, "end") == 0) {
        r->ret->state = json_bool_or(o, "ok", false) ? "ok" : r->interrupted ? "interrupted" : "failed";
        r->seconds = json_real_or(o, "seconds", -1);
    } else if (task && ends_task(event)) {
        struct run_task *t = entry(r, task);
        t->stage = arena_strdup(r->arena, json_string_or(o, "stage", ""));
        t->state = arena_strdup(r->arena, event);
        t->has_key = digest_parse(json_string_or(o, "key", ""), &t->key);
    }
    return true;
}

static double seconds_between(const char *from, const char *to)
{
    struct tm a = {0}, b = {0};
    if (!strptime(from, "%Y-%m-%dT%H:%M:%SZ", &a) || !strptime(to, "%Y-%m-%dT%H:%M:%SZ", &b))
        return 0;
    double s = difftime(timegm(&b), timegm(&a));
    return s > 0 ? s : 0; /* a clock may be set back */
}

bool runview_read(const char *store, const char *id, struct arena *a, struct runview *ret, struct error *err)
{
    struct reader r = {.ret = ret, .arena = a, .index = json_object(), .last = "", .seconds = -1};
    *ret = (struct runview){
        .id = arena_strdup(a, id), .experiment = "", .file = "", .begin = "", .state = "unfinished"};
    bool ok = !strchr(id, '/') && *id && id[0] != '.'
                  ? runlog_read(store, id, see, &r, err)
                  : error_set(err, NULL, ERROR_INPUT, "'%s' is no run", id);
    ret->task = arena_alloc(a, ((size_t)ret->n + 1) * sizeof *ret->task);
    if (ret->n)
        memcpy(ret->task, r.task, (size_t)ret->n * sizeof *ret->task);
    ret->seconds = r.seconds >= 0 ? r.seconds : seconds_between(ret->begin, r.last);
    free(r.task);
    json_decref(r.index);
    return ok;
}

int runview_count(const struct runview *r, const char *state)
{
    int n = 0;
    for (int i = 0; i < r->n; i++)
        n += strcmp(r->task[i].state, state) == 0;
    return n;
}
