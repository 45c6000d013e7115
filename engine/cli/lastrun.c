#include "engine/cli/lastrun.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/param.h"
#include "engine/cli/cmd.h"
#include "engine/exec/runlog.h"
#include <string.h>

struct search {
    const char *task;
    bool has_log, found;
    bool met; /* the task, though not in the state asked for */
    struct arena *arena;
    struct lastrun *ret;
    const char **names; /* of tasks met, for a suggestion */
    size_t n_names, cap;
};

/* The texts of member `name`; none in the logs of runs that did not keep it. */
static const char **texts(struct arena *a, const json_t *o, const char *name, int *ret_n)
{
    const json_t *list = json_object_get(o, name);
    *ret_n = (int)json_array_size(list);
    const char **ret = arena_alloc(a, ((size_t)*ret_n + 1) * sizeof *ret);
    for (int i = 0; i < *ret_n; i++) {
        const char *text = json_string_value(json_array_get(list, (size_t)i));
        ret[i] = arena_strdup(a, text ? text : "");
    }
    return ret;
}

static void begin(struct search *s, const json_t *o)
{
    struct lastrun *r = s->ret;
    r->file = arena_strdup(s->arena, json_string_or(o, "file", ""));
    r->cwd = arena_strdup(s->arena, json_string_or(o, "cwd", ""));
    r->set = texts(s->arena, o, "set", &r->n_set);
    r->vars = texts(s->arena, o, "vars", &r->n_vars);
    AUTO(mem) char *reference = json_text(json_object_get(o, "reference"), false);
    r->reference = arena_strdup(s->arena, reference); /* "null" in logs of runs that did not keep it */
    r->sweep = json_bool_or(o, "sweep", false);
}

/* {"PORT": [labels]}: outputs that carry private data. */
static void keep_private(struct search *s, const json_t *o)
{
    const char *port;
    json_t *list, *all = json_object_get(o, "private");
    s->ret->private = arena_alloc(s->arena, (json_object_size(all) + 1) * sizeof *s->ret->private);
    s->ret->n_private = 0;
    json_object_foreach(all, port, list)
    {
        int n;
        const char **label = texts(s->arena, all, port, &n), *joined = "";
        for (int i = 0; i < n; i++)
            joined = arena_printf(s->arena, "%s%s%s", joined, i ? ", " : "", label[i]);
        s->ret->private[s->ret->n_private++] = (struct lastrun_private){arena_strdup(s->arena, port), joined};
    }
}

static bool see(void *arg, const json_t *o)
{
    struct search *s = arg;
    const char *event = json_string_or(o, "event", ""), *task = json_string_or(o, "task", NULL);
    if (strcmp(event, "begin") == 0)
        begin(s, o);
    bool ended = strcmp(event, "hit") == 0 || strcmp(event, "ran") == 0 || strcmp(event, "failed") == 0 ||
                 (s->has_log && strcmp(event, "stopped") == 0);
    if (!task || !ended)
        return true;
    if (strcmp(task, s->task) != 0) {
        s->names = xgrow(s->names, &s->cap, s->n_names + 1, sizeof *s->names);
        s->names[s->n_names++] = arena_strdup(s->arena, task);
        return true;
    }
    s->met = true;
    if (s->has_log && strcmp(event, "hit") == 0)
        return true;
    s->found = true;
    s->ret->task = s->task;
    s->ret->state = arena_strdup(s->arena, event);
    s->ret->time = arena_strdup(s->arena, json_string_or(o, "time", ""));
    s->ret->has_key = digest_parse(json_string_or(o, "key", ""), &s->ret->key);
    keep_private(s, o);
    return true; /* healed tasks come to an end twice: the last counts */
}

static bool not_found(const struct search *s, const char *run, const char *store, struct error *err)
{
    if (s->met && run)
        return error_set(err, NULL, ERROR_INPUT, "task '%s' was a hit in run '%s': no worker, no log",
                         s->task, run);
    if (s->met)
        return error_set(err, NULL, ERROR_INPUT, "no run in the store '%s' has a log of task '%s'", store,
                         s->task);
    const char *near = cmd_near_task(s->names, s->n_names, s->task);
    return error_set(err, NULL, ERROR_INPUT, "no task '%s' %s '%s'%s%s%s", s->task,
                     run ? "in run" : "has come to an end in any run of the store", run ? run : store,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool lastrun_find(struct store *store, const char *run, const char *task, bool has_log, struct arena *a,
                  struct lastrun *ret, struct error *err)
{
    struct search s = {.task = arena_strdup(a, task), .has_log = has_log, .arena = a, .ret = ret};
    char **list;
    size_t n;
    *ret = (struct lastrun){0};
    if (!runlog_list(store_path(store), &list, &n, err))
        return false;
    bool known = !run;
    for (size_t i = 0; i < n && !s.found; i++) {
        if (run && strcmp(run, list[i]) != 0)
            continue;
        known = true;
        ret->run = arena_strdup(a, list[i]);
        if (!runlog_read(store_path(store), list[i], see, &s, NULL))
            continue; /* a run that has not written anything yet */
    }
    fs_list_free(list, n);
    bool ok = s.found || (known ? not_found(&s, run, store_path(store), err)
                                : error_set(err, NULL, ERROR_INPUT, "the store '%s' has no run '%s'",
                                            store_path(store), run));
    free(s.names);
    return ok;
}

/* "expert[pets].adapter": what is behind the last dot outside brackets. */
static const char *split_port(struct arena *a, const char *text, char **ret_task)
{
    *ret_task = arena_strdup(a, text);
    char *dot = strrchr(*ret_task, '.');
    if (!dot || strchr(dot, ']'))
        return NULL;
    *dot = '\0';
    return dot + 1;
}

/* A point's values may hold a dot themselves, "score@lambda=0.3": the whole text comes first. */
static bool find_with_port(struct store *store, const char *run, const char *text, struct arena *a,
                           struct lastrun *ret, char **ret_task, const char **ret_port, struct error *err)
{
    *ret_task = arena_strdup(a, text);
    *ret_port = NULL;
    if (strchr(text, '@') && lastrun_find(store, run, text, false, a, ret, NULL))
        return true;
    *ret_port = split_port(a, text, ret_task);
    return lastrun_find(store, run, *ret_task, false, a, ret, err);
}

static bool check_port(const struct record *r, const char *port, struct error *err)
{
    AUTO(mem) const char **names = xcalloc(r->n + 1, sizeof *names);
    for (size_t i = 0; i < r->n; i++) {
        names[i] = r->output[i].port;
        if (strcmp(names[i], port) == 0)
            return true;
    }
    const char *near = nearest_name(names, r->n, port);
    return error_set(err, NULL, ERROR_INPUT, "task '%s' has no output '%s'; did you mean '%s'?", r->task,
                     port, near ? near : names[0]);
}

bool lastrun_record(struct store *store, const char *run, const char *task, struct arena *a,
                    struct record **ret, const char **ret_port, struct lastrun *ret_run, struct error *err)
{
    struct lastrun own, *found = ret_run ? ret_run : &own;
    char *name;
    *ret = NULL;
    if (!find_with_port(store, run, task, a, found, &name, ret_port, err))
        return false;
    if (strcmp(found->state, "failed") == 0 || !found->has_key)
        return error_set(err, NULL, ERROR_TASK, "task '%s' failed in run %s ('weft log' has its last words)",
                         name, found->run);
    store_use(store, &found->key); /* what it has is read next */
    if (!store_get_record(store, &found->key, ret, err))
        return false;
    if (!*ret)
        return error_set(err, NULL, ERROR_TASK, "the result of '%s' is no longer in the store: run it again",
                         name);
    free((*ret)->task); /* another may have made it */
    (*ret)->task = xstrdup(name);
    if (!*ret_port || check_port(*ret, *ret_port, err))
        return true;
    record_free(*ret);
    *ret = NULL;
    return false;
}
