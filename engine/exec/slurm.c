/* The launcher for Slurm. Inside an allocation its nodes are ours, each worker a step of that job. Outside,
 * one allocation is asked for a node: they are granted one by one, they end one by one, and the loss of a
 * node is the loss of one allocation. Either way many workers run in one allocation, never one job for one
 * task. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/slurm_impl.h"
#include "engine/exec/words.h"
#include <limits.h>
#include <string.h>

static int add_variables(const char **env, int n, const char *const *name, struct arena *a)
{
    for (; name && *name; name++) {
        const char *value = getenv(*name);
        if (value)
            env[n++] = arena_printf(a, "%s=%s", *name, value);
    }
    return n;
}

#define STEP_WAIT "60" /* seconds for a step whose cores should be free */

const char *const *slurm_env(const char *const *more, struct arena *a)
{
    static const char *const kept[] = {"PATH",   "HOME",     "USER", "LOGNAME",         "SHELL",      "LANG",
                                       "LC_ALL", "LC_CTYPE", "TZ",   "LD_LIBRARY_PATH", "SLURM_CONF", NULL};
    size_t n = sizeof kept / sizeof *kept;
    for (const char *const *name = more; name && *name; name++)
        n++;
    const char **env = arena_alloc(a, (n + 1) * sizeof *env);
    add_variables(env, add_variables(env, 0, kept, a), more, a);
    return env;
}

bool slurm_run(const struct slurm *s, const char *const *argv, const char *input, struct arena *a, char **ret,
               struct error *err)
{
    struct capture c = CAPTURE_NONE;
    if (!capture_run(&c, argv, s->env, input, SLURM_PATIENCE, err))
        return false;
    *ret = arena_strdup(a, c.out);
    capture_done(&c);
    return true;
}

static void add_nodes(struct launcher *l, int n)
{
    struct slurm *s = l->own;
    l->n = n;
    l->node = arena_alloc(&l->arena, ((size_t)n + 1) * sizeof *l->node);
    s->slot = arena_alloc(&l->arena, ((size_t)n + 1) * sizeof *s->slot);
}

/* ---- inside an allocation ---- */

static int count_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Of the job if it says so, else of the node. */
static int64_t memory_of(int cpus, const char *about)
{
    const char *node = getenv("SLURM_MEM_PER_NODE"), *cpu = getenv("SLURM_MEM_PER_CPU");
    if (node && strtoll(node, NULL, 10) > 0)
        return strtoll(node, NULL, 10) * MIB;
    if (cpu && strtoll(cpu, NULL, 10) > 0)
        return strtoll(cpu, NULL, 10) * cpus * MIB;
    int64_t real = slurm_number(about, "RealMemory", 0);
    return real > 1 ? real * MIB : 0; /* 1 is what is said of nodes whose memory Slurm does not count */
}

static bool describe_node(struct launcher *l, int i, int cpus, struct error *err)
{
    struct slurm *s = l->own;
    struct launcher_node *n = &l->node[i];
    const char *const argv[] = {"scontrol", "--oneliner", "show", "node", n->name, NULL};
    char *about;
    if (!slurm_run(s, argv, NULL, &l->arena, &about, err))
        return false;
    int64_t cores = slurm_number(about, "Sockets", 0) * slurm_number(about, "CoresPerSocket", 0),
            all = slurm_number(about, "CPUTot", 0);
    int threads = cores > 0 && all > cores ? (int)(all / cores) : 1;
    s->threads = i == 0 || threads > s->threads ? threads : s->threads;
    n->cores = cpus / threads > 0 ? cpus / threads : 1;
    n->memory = memory_of(cpus, about);
    n->there = true;
    return true;
}

static bool open_inside(struct launcher *l, const char *job, struct error *err)
{
    struct slurm *s = l->own;
    const char *list = getenv("SLURM_JOB_NODELIST"), *counts = getenv("SLURM_JOB_CPUS_PER_NODE");
    char *names;
    s->inside = true;
    if (!list || !counts)
        return error_set(err, NULL, ERROR_INPUT,
                         "SLURM_JOB_ID is set, but SLURM_JOB_NODELIST or SLURM_JOB_CPUS_PER_NODE is not");
    const char *const argv[] = {"scontrol", "show", "hostnames", list, NULL};
    if (!slurm_run(s, argv, NULL, &l->arena, &names, err))
        return false;
    add_nodes(l, count_lines(names));
    AUTO(mem) int *cpus = xcalloc((size_t)l->n + 1, sizeof *cpus);
    if (!slurm_counts(counts, cpus, l->n))
        return error_set(err, NULL, ERROR_INPUT,
                         "SLURM_JOB_CPUS_PER_NODE is '%s', which says nothing of %d nodes", counts, l->n);
    for (int i = 0; i < l->n; i++) {
        l->node[i].name = arena_printf(&l->arena, "%.*s", (int)strcspn(names, "\n"), names);
        names += strcspn(names, "\n") + 1;
        s->slot[i] = (struct slurm_slot){.state = SLURM_GRANTED, .pause = 5};
        snprintf(s->slot[i].job, sizeof s->slot[i].job, "%s", job);
        if (!describe_node(l, i, cpus[i], err))
            return false;
    }
    return true;
}

/* ---- outside ---- */

static bool fits(const struct slurm_node *n, const struct launcher_need *need)
{
    return n->cores >= need->widest && (n->memory <= MIB || n->memory >= need->memory);
}

/* No node holds a task: say which, and what there is. */
static bool too_large(const struct slurm_node *node, int n, const struct launcher_need *need,
                      struct error *err)
{
    const struct slurm_node *widest = node, *largest = node;
    for (int i = 1; i < n; i++) {
        widest = node[i].cores > widest->cores ? &node[i] : widest;
        largest = node[i].memory > largest->memory ? &node[i] : largest;
    }
    if (widest->cores < need->widest)
        return error_set(err, NULL, ERROR_INPUT,
                         "task '%s' asks for %d cores, and the largest node, %s, has %d", need->widest_task,
                         need->widest, widest->name, widest->cores);
    if (largest->memory < need->memory)
        return error_set(err, NULL, ERROR_INPUT,
                         "task '%s' asks for %lld MiB of memory, and the largest node, %s, has %lld",
                         need->memory_task, (long long)((need->memory + MIB - 1) / MIB), largest->name,
                         (long long)(largest->memory / MIB));
    return error_set(err, NULL, ERROR_INPUT,
                     "no node has both the %d cores of task '%s' and the %lld MiB of task '%s'", need->widest,
                     need->widest_task, (long long)((need->memory + MIB - 1) / MIB), need->memory_task);
}

/* The size of node of which there is most, counted in cores: large ones serve as small ones. */
static const struct slurm_node *choose(const struct slurm_node *node, int n, const struct launcher_need *need)
{
    const struct slurm_node *best = NULL;
    int64_t most = 0;
    for (int i = 0; i < n; i++) {
        int64_t cores = 0;
        for (int k = 0; k < n; k++)
            if (fits(&node[k], need) && slurm_node_works(node[k].state) && node[k].cores >= node[i].cores &&
                node[k].memory >= node[i].memory)
                cores += node[i].cores;
        if (fits(&node[i], need) && cores > most) {
            most = cores;
            best = &node[i];
        }
    }
    return best;
}

static int at_most(int64_t a, int64_t b)
{
    int64_t x = a < b ? a : b;
    return (int)(x > 0 ? x : 1);
}

static bool open_outside(struct launcher *l, const struct launcher_need *need, struct error *err)
{
    struct slurm *s = l->own;
    const char *const argv[] = {"sinfo", "--noheader", "--Node", "--format=" SLURM_NODE_FORMAT, NULL};
    char *out;
    struct slurm_node *node;
    if (!slurm_run(s, argv, NULL, &l->arena, &out, err))
        return false;
    int n = slurm_nodes(out, s->wish.partition, &l->arena, &node);
    if (n == 0)
        return error_set(err, NULL, ERROR_INPUT, "Slurm has no %s%s",
                         s->wish.partition ? "partition "
                                           : "default partition: name one, --slurm partition=...",
                         s->wish.partition ? s->wish.partition : "");
    bool any = false;
    for (int i = 0; i < n; i++)
        any = any || fits(&node[i], need);
    if (!any)
        return too_large(node, n, need, err);
    const struct slurm_node *kind = choose(node, n, need);
    if (!kind)
        return error_set(err, NULL, ERROR_SYSTEM, "of Slurm's nodes that are large enough none is up");
    int useful = need->cores > need->widest ? need->cores : need->widest;
    int cores = s->wish.cores ? s->wish.cores : at_most(useful, kind->cores);
    cores = need->most > 0 && need->most < cores ? need->most : cores;
    s->threads = kind->cpus / kind->cores;
    add_nodes(l, at_most((useful + cores - 1) / cores, s->wish.nodes));
    for (int i = 0; i < l->n; i++) {
        int64_t share = kind->memory / kind->cores * cores / MIB * MIB;
        l->node[i].name = "";
        l->node[i].cores = cores;
        l->node[i].memory = s->wish.memory ? s->wish.memory : share > need->memory ? share : need->memory;
        if (kind->memory <= MIB)
            l->node[i].memory = 0;
    }
    if (cores < need->widest)
        return error_set(err, NULL, ERROR_INPUT,
                         "task '%s' asks for %d cores, and no more than %d of a node are to be used",
                         need->widest_task, need->widest, cores);
    return true;
}

/* ---- the row ---- */

static bool open_slurm(struct launcher *l, const struct launcher_options *o, const struct launcher_need *need,
                       struct error *err)
{
    struct slurm *s = xcalloc(1, sizeof *s);
    const char *job = getenv("SLURM_JOB_ID");
    l->own = s;
    s->holder = (struct capture)CAPTURE_NONE;
    s->threads = 1;
    s->env = slurm_env(NULL, &l->arena);
    if (o->nodes)
        return error_set(err, NULL, ERROR_INPUT,
                         "--nodes is for a command; Slurm says which nodes there are");
    if (!slurm_wish_read(o->wish ? o->wish : "", &l->arena, &s->wish, err))
        return false;
    if (job && *job && o->wish)
        return error_set(err, NULL, ERROR_INPUT,
                         "--slurm asks for allocations, but this is one already, Slurm job %s", job);
    if (!(job && *job ? open_inside(l, job, err) : open_outside(l, need, err)))
        return false;
    l->hope = true;
    return true;
}

/* A step: no other task of the allocation gets its cores, and where Slurm binds, it is bound to them. Memory
 * is the plan's to share, but for what a task declares. Once the allocation has lost a node, Slurm never
 * gives back the cores of steps that ran then ("unable to update job's core use information due to job
 * resizing"), so that exact steps would wait for ever: from then on the plan alone shares the cores, too. A
 * step that meets that before we do ends after a minute, and runs again. */
static void command(struct launcher *l, const struct launcher_step *step, struct arena *a,
                    const char *const **ret_argv, const char *const **ret_env)
{
    const struct slurm *s = l->own;
    const char *const argv[] = {"srun",
                                arena_printf(a, "--jobid=%s", s->slot[step->node].job),
                                arena_printf(a, "--nodelist=%s", l->node[step->node].name),
                                "--nodes=1",
                                "--ntasks=1",
                                s->resized ? "--overlap" : "--exact",
                                s->resized ? "--cpu-bind=none" : "--immediate=" STEP_WAIT,
                                arena_printf(a, "--cpus-per-task=%d", step->cores * s->threads),
                                arena_printf(a, "--mem=%lld", (long long)((step->memory + MIB - 1) / MIB)),
                                arena_printf(a, "--job-name=%.64s", step->task),
                                "--export=ALL", /* of what ret_env has */
                                "--mpi=none",
                                "--quiet",
                                l->self,
                                "worker",
                                "--far",
                                NULL};
    const char **copy = arena_alloc(a, sizeof argv);
    memcpy(copy, argv, sizeof argv);
    *ret_argv = copy;
    *ret_env = slurm_env(step->pass, a);
}

static void close_slurm(struct launcher *l)
{
    struct slurm *s = l->own;
    slurm_hold_end(l);
    free(s);
}

const struct launcher_row launcher_slurm = {
    .name = "slurm",
    .doc = "steps in the allocation that weft runs in; outside of one it asks for allocations",
    .open = open_slurm,
    .command = command,
    .look = slurm_look,
    .lost = slurm_lost,
    .want = slurm_want,
    .close = close_slurm};
