/* weft why: what a task's key has that the nearest earlier record, or that of a run, has not, and where in
 * the file that was said. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/importdiff.h"
#include "engine/cli/keydiff.h"
#include "engine/cli/lastrun.h"
#include "engine/cli/reason.h"
#include "engine/cli/runname.h"
#include "engine/cli/runview.h"
#include "engine/cli/units.h"
#include "engine/exec/fetched.h"
#include "engine/exec/resolve.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    {"against", 0, OPT_STRING, "RUN", "compare with that run: its id, the beginning of it, or last"},
    OPT_ROW_JSON,
    {0}};

struct answer { /* about one task */
    const struct task *task;
    enum resolution state;
    const struct resolved *known;
    const struct record *record; /* of a hit */
    struct key_near near;
    bool lost; /* --against: the run had the task, but what its key was is not known any more */
    const struct task *missing[8]; /* WAIT: tasks that would run first, nearest causes */
    int n_missing;
    const char *fetch; /* WAIT: a URL of the task itself that is not fetched yet */
};
struct question {
    struct store *store;
    const struct spec *spec;
    const char *against; /* text of --against; then the run's id; NULL: the nearest record */
    struct runview run;  /* with against */
    struct resolver resolver;
    enum resolution *state;
    struct arena arena;
};

/* The first tasks up the graph that miss: nothing else keeps t waiting. */
static void find_missing(const struct question *q, const struct task *t, bool *seen, struct answer *ret)
{
    int ports = stage_port_count(t->stage->inputs);
    for (int p = 0; p < ports; p++)
        for (int i = 0; i < t->inputs[p].n; i++) {
            const struct task *in = t->inputs[p].ref[i].task;
            if (seen[in->index])
                continue;
            seen[in->index] = true;
            if (q->state[in->index] == RESOLVE_WAIT && fetched_missing(q->store, in) && ret->n_missing < 8)
                ret->missing[ret->n_missing++] = in;
            else if (q->state[in->index] == RESOLVE_WAIT)
                find_missing(q, in, seen, ret);
            else if (q->state[in->index] == RESOLVE_MISS && ret->n_missing < 8)
                ret->missing[ret->n_missing++] = in;
        }
}

/* What the run --against had for the task: its record's key text. Only tasks that have one compare. */
static bool compare_with_run(struct question *q, const struct task *t, const char *text, struct answer *ret,
                             struct error *err)
{
    const struct run_task *then = NULL;
    for (int i = 0; i < q->run.n; i++)
        if (strcmp(q->run.task[i].name, t->name) == 0)
            then = &q->run.task[i];
    if (!then)
        return true;
    struct record *r = NULL;
    if (then->has_key && !store_get_record(q->store, &then->key, &r, err))
        return false;
    ret->lost = !r;
    if (!r)
        return true;
    ret->near = (struct key_near){.text = arena_strdup(&q->arena, r->text),
                                  .task = t->name,
                                  .when = arena_strdup(&q->arena, r->when),
                                  .host = arena_strdup(&q->arena, r->host),
                                  .seconds = r->seconds};
    record_free(r);
    keydiff(ret->near.text, text, &q->arena, &ret->near.diff);
    return true;
}

static bool answer(struct question *q, const struct task *t, struct answer *ret, struct error *err)
{
    *ret = (struct answer){.task = t, .state = q->state[t->index], .known = &q->resolver.task[t->index]};
    if (ret->state == RESOLVE_WAIT) {
        if ((ret->fetch = fetched_missing(q->store, t)))
            return true;
        AUTO(mem) bool *seen = xcalloc((size_t)q->spec->n, sizeof *seen);
        find_missing(q, t, seen, ret);
        return true;
    }
    const struct record *r = ret->record = resolve_record(&q->resolver, t);
    if (ret->state == RESOLVE_HIT && !r)
        ret->state = RESOLVE_MISS; /* it was damaged */
    AUTO(mem) char *text = resolve_text(&q->resolver, t, err);
    if (!text)
        return false;
    if (q->against)
        return compare_with_run(q, t, text, ret, err);
    return keydiff_nearest(q->store, t->stage->name, t->name, text, r ? r->when : NULL, &q->arena, &ret->near,
                           err);
}

/* ---- for people ---- */

static void print_change(const struct question *q, const struct answer *a, const struct key_change *c)
{
    AUTO(buf) struct buf text = {0};
    AUTO_JSON files = importdiff_files(q->store, a->task, c, a->near.text);
    reason_text(a->task, c, &text);
    importdiff_text(files, &text);
    printf("    %s\n", buf_str(&text));
}

static void print_near(const struct question *q, const struct answer *a)
{
    const struct key_near *n = &a->near;
    const char *earlier = a->record ? "earlier " : "";
    if (a->lost)
        printf("  in run %s it had another key or failed, and left no record to compare with\n", q->run.id);
    else if (!n->text && q->against)
        printf("  run %s had no task '%s'\n", q->run.id, a->task->name);
    else if (!n->text)
        printf("  no %srecord of stage '%s' to compare with\n", earlier, a->task->stage->name);
    else if (q->against && n->diff.n == 0)
        printf("  the same key as in run %s\n", q->run.id);
    else if (q->against)
        printf("  compared with run %s, whose result was made %s:\n", q->run.id, n->when);
    else
        printf("  compared with the nearest %srecord, of task '%s' made %s:\n", earlier, n->task, n->when);
    for (int i = 0; i < n->diff.n; i++)
        print_change(q, a, &n->diff.change[i]);
}

static void print_answer(struct question *q, const struct answer *a)
{
    char text[UNITS_MAX], size[UNITS_MAX], hex[DIGEST_HEX];
    const struct record *r = a->record;
    if (a->state == RESOLVE_HIT)
        printf("%s is a hit: made %s on %s as task '%s' in %s on %d core%s, %s of memory (key %.12s)\n",
               a->task->name, r->when, r->host, r->task, seconds_text(r->seconds, text), r->threads,
               r->threads == 1 ? "" : "s", bytes_text(r->peak_rss, size), digest_hex(&a->known->key, hex));
    else if (a->state == RESOLVE_MISS)
        printf("%s would run: the store has %s of its key %.12s\n", a->task->name,
               a->known->lost ? "lost a part of the result" : "no result", digest_hex(&a->known->key, hex));
    else if (a->fetch)
        printf("%s would wait: %s is not fetched yet (weft fetch, or weft run, gets it)\n", a->task->name,
               a->fetch);
    else
        printf("%s would wait: what it needs is not known before these ran:\n", a->task->name);
    if (a->state != RESOLVE_WAIT)
        print_near(q, a);
    for (int i = 0; i < a->n_missing; i++) {
        struct answer cause;
        struct error err = {0};
        if (answer(q, a->missing[i], &cause, &err))
            print_answer(q, &cause);
    }
}

/* ---- for programs ---- */

/* The changes, those of imports with the files that differ. */
static json_t *changes_json(const struct question *q, const struct answer *a)
{
    json_t *list = reasons_json(a->task, &a->near.diff);
    for (int i = 0; i < a->near.diff.n; i++) {
        AUTO_JSON files = importdiff_files(q->store, a->task, &a->near.diff.change[i], a->near.text);
        if (json_array_size(files))
            json_object_set(json_array_get(list, (size_t)i), "files", files);
    }
    return list;
}

static json_t *answer_json(const struct question *q, const struct answer *a)
{
    static const char *const state[] = {
        [RESOLVE_WAIT] = "wait", [RESOLVE_MISS] = "run", [RESOLVE_HIT] = "hit"};
    const struct record *r = a->record;
    char hex[DIGEST_HEX];
    json_t *o = json_pack("{s:s, s:s}", "task", a->task->name, "state", state[a->state]),
           *missing = json_array();
    json_object_set_new(o, "key",
                        a->known->has_key ? json_string(digest_hex(&a->known->key, hex)) : json_null());
    if (r)
        json_object_set_new(o, "made",
                            json_pack("{s:s, s:s, s:s, s:f, s:i, s:I}", "task", r->task, "when", r->when,
                                      "host", r->host, "seconds", r->seconds, "threads", r->threads,
                                      "peak_rss", (json_int_t)r->peak_rss));
    if (a->near.text)
        json_object_set_new(o, "nearest",
                            json_pack("{s:s, s:s, s:o}", "task", a->near.task, "when", a->near.when,
                                      "changes", changes_json(q, a)));
    if (q->against)
        json_object_set_new(o, "against", json_string(q->run.id));
    for (int i = 0; i < a->n_missing; i++)
        json_array_append_new(missing, json_string(a->missing[i]->name));
    json_object_set_new(o, "waits_for", missing);
    if (a->fetch)
        json_object_set_new(o, "fetch", json_string(a->fetch));
    return o;
}

/* ---- the command ---- */

static int unknown_task(const struct spec *s, const char *name)
{
    AUTO(mem) const char **names = xcalloc((size_t)s->n + 1, sizeof *names);
    struct error err = {0};
    for (int i = 0; i < s->n; i++)
        names[i] = s->task[i]->name;
    const char *near = cmd_near_task(names, (size_t)s->n, name);
    error_set(&err, NULL, ERROR_INPUT, "there is no task '%s' in '%s'%s%s%s", name, s->file,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return cmd_fail(&err);
}

static bool open_run(struct question *q, struct error *err)
{
    return runname_find(store_path(q->store), q->against, &q->arena, &q->against, err) &&
           runview_read(store_path(q->store), q->against, &q->arena, &q->run, err);
}

static int explain(const struct cmd_args *args, struct question *q, const char *name)
{
    const struct task *t = spec_find(q->spec, name);
    struct answer a;
    struct error err = {0};
    if (!t)
        return unknown_task(q->spec, name);
    if (q->against && !open_run(q, &err))
        return cmd_fail(&err);
    if (!resolve_all(&q->resolver, q->spec, q->state, &err))
        return cmd_fail(&err);
    resolve_needed(q->spec, NULL, NULL, q->state);
    if (!answer(q, t, &a, &err))
        return cmd_fail(&err);
    if (cmd_opt(args, "json")->set)
        return cmd_print_json(answer_json(q, &a));
    print_answer(q, &a);
    return 0;
}

static int ask(const struct cmd_args *args, struct store *store, const struct spec *s, const char *name)
{
    struct question q = {.store = store, .spec = s, .state = xcalloc((size_t)s->n + 1, sizeof *q.state)};
    q.against = cmd_opt(args, "against")->string;
    arena_init(&q.arena);
    resolver_init(&q.resolver, s, store);
    int status = explain(args, &q, name);
    resolver_done(&q.resolver, s);
    arena_done(&q.arena);
    free(q.state);
    return status;
}

/* The last run's texts, then ours: of two for one variable the later counts. */
static const char **both(const char *const *last, int n_last, const struct opt_value *own, struct arena *mem)
{
    const char **all = arena_alloc(mem, (size_t)(n_last + own->n + 1) * sizeof *all);
    for (int i = 0; i < n_last; i++)
        all[i] = last[i];
    for (int i = 0; i < own->n; i++)
        all[n_last + i] = own->list[i];
    return all;
}

/* Our --vars are files of the folder we were started in, not of the last run's. */
static void keep_paths(const struct opt_value *own, struct arena *mem)
{
    AUTO(mem) char *here = getcwd(NULL, 0);
    for (int i = 0; here && i < own->n; i++)
        if (own->list[i][0] != '/')
            own->list[i] = arena_printf(mem, "%s/%s", here, own->list[i]);
}

/* "why TASK": the experiment is that of the last run with the task, read where and as it was then. */
static int ask_last(const struct cmd_args *args, struct store *store, const char *name)
{
    AUTO(arena) struct arena mem;
    struct lastrun last;
    struct error err = {0};
    struct spec *s;
    arena_init(&mem);
    if (!lastrun_find(store, NULL, name, false, &mem, &last, &err))
        return cmd_fail(&err);
    const struct opt_value *set = cmd_opt(args, "set"), *vars = cmd_opt(args, "vars");
    keep_paths(vars, &mem);
    if (chdir(last.cwd) != 0) {
        error_errno(&err, "cannot go to '%s', where run %s was started", last.cwd, last.run);
        return cmd_fail(&err);
    }
    if (!cmd_opt(args, "json")->set)
        printf("%s %s in run %s of %s, %s\n", name, strcmp(last.state, "hit") == 0 ? "was a hit" : last.state,
               last.run, last.file, last.time);
    const struct spec_options options = {.set = both(last.set, last.n_set, set, &mem),
                                         .n_set = last.n_set + set->n,
                                         .vars = both(last.vars, last.n_vars, vars, &mem),
                                         .n_vars = last.n_vars + vars->n,
                                         .sweep = last.sweep};
    int status = cmd_read_spec_with(last.file, &options, &s);
    if (status)
        return status;
    status = ask(args, store, s, name);
    spec_free(s);
    return status;
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *store = NULL;
    struct error err = {0};
    struct spec *s;
    if (!cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    if (a->n == 1)
        return ask_last(a, store, a->arg[0]);
    struct spec_options opt = cmd_spec_options(a);
    opt.sweep = strchr(a->arg[1], '@'); /* a task of a point */
    int status = cmd_read_spec_with(a->arg[0], &opt, &s);
    if (status)
        return status;
    status = ask(a, store, s, a->arg[1]);
    spec_free(s);
    return status;
}

const struct cmd cmd_why = {
    .name = "why",
    .group = "Run experiments",
    .doc = "Say why a task would run or who made its result; without a file, in the last run.",
    .details = "For a task that would run: what its key has that the nearest earlier result's had "
               "not, and the line of the experiment that says so. For a hit: who made it, when, at "
               "what cost. For a task that waits: the same of the tasks it waits for. Of an imported folder "
               "it names the files that changed, as far as that is known.",
    .args = (const struct arg[]){{.name = "EXPERIMENT",
                                  .doc = "the file; without it that of the newest run which has the task",
                                  .optional = true},
                                 {.name = "TASK", .doc = "a task's name"},
                                 {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft why exp.yaml 'expert[rings]'", "would it run, and why?"},
                                         {"weft why table --against last",
                                          "compared with what it was in the newest run"},
                                         {"weft why table", "of the newest run that has the task"},
                                         {0}},
    .run = run};
