/* Allocations of Slurm: asked for, granted, ended, let go; and its nodes, which fail and come back. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/exec/slurm_impl.h"
#include <string.h>

#define IDLE_TIME      20.0 /* seconds that a node of no more use is kept, in case it is of use again */
#define LOOK_SOON      1.0  /* seconds between two looks at what waits, and at what is in doubt */
#define LOOK_LATER     5.0
#define LOOK_SHARE     20   /* of the time at most one part in so many goes into looking */
#define PAUSE_FIRST    30.0 /* seconds that a node in doubt is not used, doubled each time */
#define PAUSE_LONGEST  300.0
#define FRUITLESS_MOST 3
#define HOLD_LOOK      10.0 /* seconds */
#define HOLD_LOOKS     12

/* ---- asking ---- */

static const char **add(const char **at, struct arena *a, const char *option, const char *value)
{
    if (value)
        *at++ = arena_printf(a, "--%s=%s", option, value);
    return at;
}

static bool submit(struct launcher *l, int node, int minutes, struct error *err)
{
    struct slurm *s = l->own;
    struct slurm_slot *slot = &s->slot[node];
    const struct launcher_node *n = &l->node[node];
    AUTO(arena) struct arena a;
    arena_init(&a);
    if (!slurm_hold_start(l, err))
        return false;
    char *out;
    const char *argv[24] = {"sbatch",    "--parsable",      "--export=NONE",      "--no-requeue",
                            "--nodes=1", "--ntasks=1",      "--output=/dev/null", "--error=/dev/null",
                            "--chdir=/", "--job-name=weft", "--open-mode=append"};
    const char **at = argv + 11;
    at = add(at, &a, "cpus-per-task", arena_printf(&a, "%d", n->cores * s->threads));
    at = add(at, &a, "mem", n->memory ? arena_printf(&a, "%lldM", (long long)(n->memory / MIB)) : NULL);
    at = add(at, &a, "time", minutes ? arena_printf(&a, "%d", minutes) : NULL);
    at = add(at, &a, "partition", s->wish.partition);
    at = add(at, &a, "account", s->wish.account);
    at = add(at, &a, "qos", s->wish.qos);
    at = add(at, &a, "constraint", s->wish.constraint);
    add(at, &a, "reservation", s->wish.reservation);
    char *script = slurm_hold_script(s->jobs, l->self, HOLD_LOOK, HOLD_LOOKS, &a);
    if (!slurm_run(s, argv, script, &a, &out, err))
        return error_context(err, "Slurm takes no job");
    *slot = (struct slurm_slot){.state = SLURM_WAITS,
                                .pause = PAUSE_FIRST,
                                .fruitless = slot->fruitless,
                                .done = n->done,
                                .well = n->done};
    snprintf(slot->job, sizeof slot->job, "%.*s", (int)strspn(out, "0123456789"), out);
    if (!*slot->job) {
        slot->state = SLURM_NONE;
        return error_set(err, NULL, ERROR_SYSTEM, "sbatch printed no number of a job but '%s'", out);
    }
    return slurm_hold_note(l, err);
}

/* More than predicted, as predictions are; never more than what the user allows. */
static int minutes_for(const struct slurm *s, double seconds)
{
    double margin = 10 + ceil(seconds * 2 / 60);
    if (seconds <= 0)
        return s->wish.minutes;
    return s->wish.minutes && s->wish.minutes < margin ? s->wish.minutes : (int)fmin(margin, 1e6);
}

static void ask(struct launcher *l, int node, double seconds)
{
    struct slurm *s = l->own;
    struct error err = {0};
    int minutes = minutes_for(s, seconds);
    char limit[48] = "";
    if (!submit(l, node, minutes, &err)) {
        s->slot[node].state = SLURM_OVER;
        snprintf(l->node[node].trouble, sizeof l->node[node].trouble, "%.250s", err.text);
        launcher_say(l, "%s", err.text);
        return;
    }
    if (minutes)
        snprintf(limit, sizeof limit, ", %d min", minutes);
    launcher_say(l, "Slurm job %s asks for a node: %d core%s%s", s->slot[node].job, l->node[node].cores,
                 l->node[node].cores == 1 ? "" : "s", limit);
    s->asked = clock_seconds();
    l->due = 0;
}

static void let_go(struct launcher *l, int node)
{
    struct slurm *s = l->own;
    struct slurm_slot *slot = &s->slot[node];
    AUTO(arena) struct arena a;
    arena_init(&a);
    char *out;
    const char *const argv[] = {"scancel", "--quiet", slot->job, NULL};
    if (!slurm_run(s, argv, NULL, &a, &out, NULL))
        return; /* the next time, or by the holder at the end */
    launcher_say(l, "Slurm job %s is not needed any more", slot->job);
    l->node[node].there = false;
    *slot = (struct slurm_slot){.state = SLURM_NONE};
    (void)!slurm_hold_note(l, NULL);
}

static void settle(struct launcher *l)
{
    const struct slurm *s = l->own;
    l->hope = false;
    for (int i = 0; i < l->n; i++)
        l->hope = l->hope || s->slot[i].state != SLURM_OVER;
}

/* What waits goes first: nobody has anything of it yet. */
void slurm_want(struct launcher *l, int nodes, double seconds)
{
    struct slurm *s = l->own;
    double now = clock_seconds();
    int active = 0;
    if (s->inside)
        return;
    for (int i = 0; i < l->n; i++) {
        struct slurm_slot *slot = &s->slot[i];
        active += slot->state == SLURM_WAITS || slot->state == SLURM_GRANTED;
        slot->idle = l->node[i].busy ? 0 : slot->idle > 0 ? slot->idle : now;
    }
    for (int i = 0; i < l->n && active < nodes; i++)
        if (s->slot[i].state == SLURM_NONE) {
            ask(l, i, seconds);
            active += s->slot[i].state == SLURM_WAITS;
        }
    for (int i = l->n - 1; i >= 0 && active > nodes; i--)
        if (s->slot[i].state == SLURM_WAITS) {
            let_go(l, i);
            active--;
        }
    for (int i = l->n - 1; i >= 0 && active > nodes; i--)
        if (s->slot[i].state == SLURM_GRANTED && !l->node[i].busy && now - s->slot[i].idle > IDLE_TIME) {
            let_go(l, i);
            active--;
        }
    settle(l);
}

/* ---- looking ---- */

/* A failed script says what it did not find; nothing else does. */
static const char *why_failed(const struct slurm *s, const struct launcher *l, const char *job,
                              struct arena *a)
{
    const char *const argv[] = {"scontrol", "--oneliner", "show", "job", job, NULL};
    char *out;
    const char *code = slurm_run(s, argv, NULL, a, &out, NULL) ? slurm_field(out, "ExitCode", a) : NULL;
    if (code && strncmp(code, "3:", 2) == 0)
        return arena_printf(a, "has a node that does not see %s: the store has to lie where all nodes see it",
                            s->jobs);
    if (code && strncmp(code, "4:", 2) == 0)
        return arena_printf(a, "has a node without %s: weft has to lie where all nodes see it", l->self);
    return "has failed";
}

/* After some ends another allocation is asked for, unless they bear no fruit. */
static void job_ended(struct launcher *l, int node, const char *state, const char *why)
{
    struct slurm *s = l->own;
    struct slurm_slot *slot = &s->slot[node];
    struct launcher_node *n = &l->node[node];
    bool once_more = !s->inside && (strcmp(state, "TIMEOUT") == 0 || strcmp(state, "PREEMPTED") == 0 ||
                                    strcmp(state, "NODE_FAIL") == 0 || strcmp(state, "BOOT_FAIL") == 0);
    slot->fruitless = n->done > slot->done ? 0 : slot->fruitless + 1;
    n->there = false;
    snprintf(n->trouble, sizeof n->trouble, "Slurm job %s %s", slot->job, why);
    slot->state = once_more && slot->fruitless < FRUITLESS_MOST ? SLURM_NONE : SLURM_OVER;
    if (!s->inside)
        (void)!slurm_hold_note(l, NULL);
    if (!s->inside || node == 0)
        launcher_say(l, "%s", n->trouble);
}

static void granted(struct launcher *l, int node, const char *name)
{
    struct slurm *s = l->own;
    s->slot[node].state = SLURM_GRANTED;
    s->slot[node].idle = 0;
    l->node[node].name = arena_strdup(&l->arena, name);
    l->node[node].there = true;
    *l->node[node].trouble = '\0';
    launcher_say(l, "Slurm job %s has node %s", s->slot[node].job, name);
}

/* Silent states of the queue are no news; the reasons why it waits are, each once. */
static void waits(struct launcher *l, int node, const char *reason)
{
    struct slurm_slot *slot = &((struct slurm *)l->own)->slot[node];
    if (strcmp(reason, "None") == 0 || strcmp(reason, slot->reason) == 0)
        return;
    snprintf(slot->reason, sizeof slot->reason, "%s", reason);
    launcher_say(l, "Slurm job %s waits: %s", slot->job, reason);
}

static void see_job(struct launcher *l, int node, const char *state, const char *nodes, const char *reason,
                    struct arena *a)
{
    struct slurm *s = l->own;
    const char *why = slurm_job_end(state);
    s->slot[node].ending = strcmp(state, "COMPLETING") == 0;
    if (why && strcmp(state, "FAILED") == 0)
        why = why_failed(s, l, s->slot[node].job, a);
    if (why)
        job_ended(l, node, state, why);
    else if (s->slot[node].state == SLURM_WAITS && strcmp(state, "RUNNING") == 0)
        granted(l, node, nodes);
    else if (s->slot[node].state == SLURM_WAITS)
        waits(l, node, reason);
}

static bool in_doubt(const struct launcher *l, int node)
{
    const struct slurm_slot *slot = &((const struct slurm *)l->own)->slot[node];
    return slot->state == SLURM_WAITS || (slot->state == SLURM_GRANTED && !l->node[node].there);
}

/* "17|RUNNING|n1|None" a line; a job that Slurm knows no more has ended. */
static void look_at_jobs(struct launcher *l, struct arena *a)
{
    struct slurm *s = l->own;
    struct error err = {0};
    struct buf ids = {0};
    char *out = NULL;
    for (int i = 0; i < l->n; i++)
        if (in_doubt(l, i))
            buf_printf(&ids, "%s%s", ids.len ? "," : "", s->slot[i].job);
    const char *list = arena_strdup(a, buf_str(&ids));
    buf_done(&ids);
    const char *const argv[] = {"squeue", "--noheader", "--states=all", "--format=%A|%T|%N|%r", "--jobs",
                                list,     NULL};
    if (!*list || (!slurm_run(s, argv, NULL, a, &out, &err) && !strstr(err.text, "Invalid job id")))
        return;
    for (int i = 0; i < l->n; i++) {
        if (!in_doubt(l, i))
            continue;
        const char *line = NULL;
        size_t n = strlen(s->slot[i].job);
        for (const char *at = out; at && *at && !line; at += strcspn(at, "\n"), at += *at == '\n')
            if (strncmp(at, s->slot[i].job, n) == 0 && at[n] == '|')
                line = at + n + 1;
        if (!line) {
            job_ended(l, i, "COMPLETED", "is gone");
            continue;
        }
        char *field[3], *copy = arena_printf(a, "%.*s", (int)strcspn(line, "\n"), line);
        for (int k = 0; k < 3; k++) {
            field[k] = copy;
            copy += strcspn(copy, "|");
            if (*copy)
                *copy++ = '\0';
        }
        see_job(l, i, field[0], field[1], field[2], a);
    }
}

/* Nodes of allocations that we still have: those in doubt work again, or do not. */
static void look_at_nodes(struct launcher *l, struct arena *a)
{
    struct slurm *s = l->own;
    double now = clock_seconds();
    for (int i = 0; i < l->n; i++) {
        struct launcher_node *n = &l->node[i];
        if (s->slot[i].state != SLURM_GRANTED || s->slot[i].ending || n->there || now < s->slot[i].again)
            continue;
        const char *const argv[] = {"scontrol", "--oneliner", "show", "node", n->name, NULL};
        char *out;
        const char *state = slurm_run(s, argv, NULL, a, &out, NULL) ? slurm_field(out, "State", a) : NULL;
        if (state && slurm_node_works(state)) {
            n->there = true;
            *n->trouble = '\0';
            launcher_say(l, "node %s is used again", n->name);
        }
    }
}

void slurm_look(struct launcher *l)
{
    struct slurm *s = l->own;
    double start = clock_seconds();
    AUTO(arena) struct arena a;
    arena_init(&a);
    look_at_jobs(l, &a);
    look_at_nodes(l, &a);
    settle(l);
    bool doubt = false;
    for (int i = 0; i < l->n; i++)
        doubt = doubt || in_doubt(l, i);
    double now = clock_seconds(), pause = now - s->asked < 60 ? LOOK_SOON : LOOK_LATER;
    l->due = doubt ? now + fmax(pause, LOOK_SHARE * (now - start)) : HUGE_VAL;
}

void slurm_lost(struct launcher *l, int node)
{
    struct slurm *s = l->own;
    struct slurm_slot *slot = &s->slot[node];
    struct launcher_node *n = &l->node[node];
    if (slot->state != SLURM_GRANTED || !n->there)
        return; /* that is known */
    if (n->done > slot->well)
        slot->pause = PAUSE_FIRST;
    slot->well = n->done;
    slot->again = clock_seconds() + slot->pause;
    slot->pause = fmin(2 * slot->pause, PAUSE_LONGEST);
    n->there = false;
    snprintf(n->trouble, sizeof n->trouble, "the connection to node %s is lost", n->name);
    s->asked = clock_seconds();
    s->resized = s->inside;
    slurm_look(l); /* has the job ended? */
    if (slot->state == SLURM_GRANTED && !slot->ending)
        launcher_say(l, "node %s is lost; Slurm job %s goes on", n->name, slot->job);
}
