/* The nodes of a launcher, as the plan has them: who goes and comes, what is asked for, and what becomes of a
 * task whose node was lost under it. Nothing here happens where workers run on this machine alone. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/build_report.h"
#include "engine/exec/targets.h"
#include "stages/command.h"
#include <math.h>
#include <string.h>

#define USUAL_CORES 4   /* of a task that takes any number, when what is useful is counted */
#define WANT_EVERY  1.0 /* seconds */

static void say(void *arg, const char *text)
{
    report(arg, BUILD_NODE, NULL, text);
}

/* All work over the longest path: so many cores are busy on average when there are enough of them. */
static struct launcher_need need_of(const struct build *b)
{
    struct launcher_need n = {.cores = 1, .widest = 1, .most = b->opt.cores};
    AUTO(mem) double *path = xcalloc((size_t)b->spec->n + 1, sizeof *path); /* up to the task's end */
    double work = 0, longest = 0;
    for (int i = 0; i < b->spec->n; i++) {
        const struct task *t = b->spec->task[i];
        const struct task_ref *ref;
        if (!b->result[i].wanted)
            continue;
        int cores = USUAL_CORES < t->cores_min ? t->cores_min : USUAL_CORES;
        cores = t->cores_max > 0 && t->cores_max < cores ? t->cores_max : cores;
        const struct history_cost cost = history_predict(b->history, t);
        double seconds = work_seconds(&cost.work, cores);
        for (int k = 0; (ref = task_input_at(t, k)); k++)
            path[i] = fmax(path[i], path[ref->task->index]);
        path[i] += seconds;
        work += seconds * cores;
        longest = fmax(longest, path[i]);
        if (t->cores_min > n.widest)
            n.widest = t->cores_min, n.widest_task = t->name;
        if (t->memory > n.memory)
            n.memory = t->memory, n.memory_task = t->name;
    }
    if (longest > 0)
        n.cores = (int)fmin(ceil(work / longest), 1e6);
    n.cores = n.cores < USUAL_CORES ? USUAL_CORES : n.cores;
    return n;
}

static bool fits_somewhere(const struct build *b, struct error *err)
{
    const struct launcher *l = b->launcher;
    int widest = 0;
    for (int i = 1; i < l->n; i++)
        widest = l->node[i].cores > l->node[widest].cores ? i : widest;
    for (int i = 0; i < b->spec->n; i++) {
        const struct task *t = b->spec->task[i];
        if (b->result[i].wanted && t->cores_min > l->node[widest].cores)
            return error_set(err, &t->pos, ERROR_INPUT,
                             "task '%s' asks for %d cores; the largest node, %s, has %d", t->name,
                             t->cores_min, l->node[widest].name, l->node[widest].cores);
    }
    return true;
}

bool nodes_open(struct build *b, struct error *err)
{
    const struct launcher_need need = need_of(b);
    struct machine *m = &b->machine;
    if (!launcher_open(b->opt.launcher, &need, b->opt.self, say, b, &b->launcher, err) ||
        !fits_somewhere(b, err))
        return false;
    struct launcher *l = b->launcher;
    m->unit = xcalloc((size_t)b->opt.n_units + 1, sizeof *m->unit);
    for (; m->n_units < b->opt.n_units; m->n_units++)
        m->unit[m->n_units] = b->opt.units[m->n_units];
    m->node = xcalloc((size_t)l->n + 1, sizeof *m->node);
    for (; m->n < l->n; m->n++) {
        struct launcher_node *n = &l->node[m->n];
        int cores = b->opt.cores > 0 && b->opt.cores < n->cores ? b->opt.cores : n->cores;
        m->node[m->n] = (struct machine_node){xstrdup(n->name), n->topo, cores, n->memory};
        n->topo = NULL;
    }
    b->node_there = xcalloc((size_t)l->n + 1, sizeof *b->node_there);
    return true;
}

void nodes_plan(struct build *b)
{
    for (int i = 0; b->launcher && i < b->launcher->n; i++)
        b->node_there[i] = true; /* as a plan begins */
    nodes_look(b);
}

/* A node that is asked for gets its name when it comes. */
static void name_node(struct machine_node *n, const char *name)
{
    if (strcmp(n->name, name) == 0)
        return;
    free(n->name);
    n->name = xstrdup(name);
}

/* What the plan knows is what the launcher knows. */
static void tell_plan(struct build *b)
{
    for (int i = 0; i < b->launcher->n; i++)
        name_node(&b->machine.node[i], b->launcher->node[i].name);
    for (int i = 0; i < b->launcher->n; i++)
        if (b->node_there[i] != b->launcher->node[i].there) {
            b->node_there[i] = b->launcher->node[i].there;
            plan_node(b->plan, i, b->node_there[i]);
        }
}

/* So many nodes keep busy what is left: all of it over its longest path. */
static void want(struct build *b)
{
    struct launcher *l = b->launcher;
    double now = clock_seconds(), left = fmax(b->waiting, 0) + fmax(b->guessed, 0), longest = 0;
    bool guessed = b->guessed > 1e-6;
    if (!l->row->want || !b->predicted || (b->wanted_at > 0 && now - b->wanted_at < WANT_EVERY))
        return;
    b->wanted_at = now;
    for (int i = 0; i < b->spec->n; i++) {
        enum task_state s = plan_state(b->plan, i);
        if (s == TASK_WAIT || s == TASK_READY || s == TASK_RUN)
            longest = fmax(longest, plan_priority(b->plan, i));
    }
    for (int i = 0; i < b->n_running; i++)
        left += work_seconds(&b->running[i]->predicted, 1);
    bool over = b->stopping || plan_finished(b->plan);
    double cores = longest > 0 ? left / longest : 1;
    int nodes = over ? 0 : (int)fmin(fmax(ceil(cores / l->node[0].cores), 1), l->n);
    l->row->want(l, nodes, guessed ? 0 : fmax(longest, left / (nodes * l->node[0].cores + 1e-9)));
}

void nodes_look(struct build *b)
{
    if (!b->launcher)
        return;
    want(b);
    launcher_look(b->launcher);
    tell_plan(b);
}

int nodes_due(const struct build *b)
{
    if (!b->launcher)
        return -1;
    int due = launcher_due(b->launcher), again = (int)(1000 * WANT_EVERY);
    return b->launcher->row->want && (due < 0 || again < due) ? again : due;
}

bool nodes_awaited(const struct build *b)
{
    bool away = false;
    for (int i = 0; b->launcher && i < b->launcher->n; i++)
        away = away || !b->launcher->node[i].there;
    return away && b->launcher->hope && !plan_finished(b->plan);
}

bool nodes_left(const struct build *b, struct error *err)
{
    const struct launcher *l = b->launcher;
    if (!l || b->stopping || plan_finished(b->plan))
        return true;
    for (int i = 0; i < l->n; i++)
        if (!l->node[i].there && *l->node[i].trouble)
            return error_set(err, NULL, ERROR_TASK, "no node is left for what still has to run: %s",
                             l->node[i].trouble);
    return error_set(err, NULL, ERROR_TASK, "no node is left for what still has to run");
}

/* Names of variables of ours that a user's program is to have; NULL-ended. */
static const char *const *passed(const struct task *t, struct arena *mem)
{
    const struct command *c = t->stage->command;
    const struct command_list *env = c ? &c->part[COMMAND_ENV] : NULL;
    int n = env ? env->n : 0;
    const char **name = arena_alloc(mem, ((size_t)n + 1) * sizeof *name);
    for (int i = 0; i < n; i++)
        name[i] = env->item[i].name;
    return name;
}

void nodes_argv(const struct build *b, const struct attempt *a, struct arena *mem,
                const char *const **ret_argv, const char *const **ret_env)
{
    const struct task *t = a->task;
    const struct launcher_step step = {.task = t->name,
                                       .node = a->node,
                                       .cores = a->cores,
                                       .memory = ask_memory(t, &b->machine, b->result[t->index].attempts),
                                       .pass = passed(t, mem)};
    if (b->launcher)
        launcher_argv(b->launcher, &step, mem, ret_argv, ret_env);
}

char *nodes_where(const struct build *b, const struct attempt *a)
{
    if (!b->launcher)
        return xstrdup(a->cpuset);
    return xprintf("%s, %d core%s", b->launcher->node[a->node].name, a->cores, a->cores == 1 ? "" : "s");
}

void nodes_begin(struct build *b, struct attempt *a)
{
    a->counted = b->launcher != NULL;
    if (a->counted)
        b->launcher->node[a->node].busy++;
}

void nodes_free(struct build *b, const struct attempt *a)
{
    if (a->counted && b->launcher)
        b->launcher->node[a->node].busy--;
}

static void lose(struct build *b, const struct attempt *a, struct error *err)
{
    struct launcher *l = b->launcher;
    if (a->checkpoints.last > a->checkpoints.resumed) /* it got somewhere: allocations end again and again */
        b->result[a->task->index].losses = 0;
    AUTO(mem) char *name = xstrdup(l->node[a->node].name); /* it may be another one's afterwards */
    l->row->lost(l, a->node);
    tell_plan(b);
    error_set(err, NULL, ERROR_TASK, "node %s was lost under it: %s", name,
              *l->node[a->node].trouble ? l->node[a->node].trouble : "its worker ended without a word");
}

bool nodes_ended(struct build *b, struct attempt *a, int *status, struct error *err)
{
    if (!b->launcher)
        return true;
    if (a->ended) {
        b->launcher->node[a->node].done++;
        *status = a->status;
        return true;
    }
    if (a->timed_out || b->interrupts >= 2) /* it was killed */
        return true;
    a->lost = true;
    lose(b, a, err);
    return failure_is(b, a, FAILURE_NODE, err);
}
