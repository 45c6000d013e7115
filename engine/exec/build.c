#include "engine/exec/build.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/exec/asks.h"
#include "engine/exec/build_ahead.h"
#include "engine/exec/build_report.h"
#include "engine/exec/fetched.h"
#include "engine/exec/targets.h"
#include "engine/exec/workdirs.h"
#include "engine/exec/workers.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#define LOSSES_MOST 3 /* nodes that may be lost under a task; the next one is its failure */

/* ---- the plan ---- */

/* Targets and everything they need. */
static bool choose_wanted(struct build *b, struct error *err)
{
    AUTO(mem) bool *wanted = xcalloc((size_t)b->spec->n + 1, sizeof *wanted);
    if (!targets_choose(b->spec, b->opt.targets, b->opt.n_targets, wanted, err))
        return false;
    for (int i = 0; i < b->spec->n; i++) {
        b->result[i].wanted = wanted[i];
        b->count += wanted[i];
    }
    return true;
}

static void make_plan(struct build *b)
{
    plan_free(b->plan);
    b->plan = plan_new(b->spec->n, &b->machine);
    b->finished = 0;
    memset(b->read, 0, (size_t)b->spec->n * sizeof *b->read);
    for (int i = 0; i < b->spec->n; i++) {
        const struct task *t = b->spec->task[i];
        const struct task_ref *ref;
        b->result[i].record = NULL;
        plan_task(b->plan, i, &b->ask[i]);
        for (int k = 0; (ref = task_input_at(t, k)); k++) {
            plan_edge(b->plan, ref->task->index, i);
            b->read[ref->task->index] |= b->result[i].wanted;
        }
        if (!b->result[i].wanted)
            plan_exclude(b->plan, i);
        else if (b->held && b->held[i])
            plan_hold(b->plan, i);
    }
    temp_plan(b);
    tier_plan(b);
    plan_start(b->plan);
    b->predicted = false;
    b->n_elsewhere = 0;
    free(b->needed);
    b->needed = NULL;
}

/* ---- what becomes of a task ---- */

/* A task came to an end: are others to start because of it? */
static void release_held(struct build *b)
{
    for (int task; b->held && (task = b->opt.release(b->opt.arg)) >= 0;)
        if (b->held[task]) {
            b->held[task] = false;
            if (b->result[task].wanted) {
                left_add(b, task);
                plan_release(b->plan, task);
            }
        }
}

/* when: its worker had ended, of the monotonic clock; a hit has none. */
static void finish(struct build *b, const struct task *t, enum task_state state, double when)
{
    struct build_result *r = &b->result[t->index];
    bool known = r->state == TASK_DONE && state == TASK_HIT; /* it ran before this pass */
    const struct resolved *x = &b->resolver.task[t->index];
    r->has_key = x->has_key;
    r->key = x->key;
    r->record = resolve_record(&b->resolver, t);
    r->seconds = r->record ? r->record->seconds : 0;
    b->finished++;
    left_finish(b, t->index);
    temp_finished(b, t);
    if (known || (r->state == TASK_HIT && state == TASK_HIT))
        return; /* seen in an earlier pass */
    r->state = state;
    r->resumed = state == TASK_DONE ? x->record->resumed : 0;
    if (state == TASK_HIT)
        report(b, BUILD_HIT, t, NULL);
    else
        report_done(b, t, when);
    release_held(b);
}

static void fail_task(struct build *b, const struct task *t, const struct error *why)
{
    struct build_result *r = &b->result[t->index];
    AUTO(mem) char *log = runlog_task_log(b->log, t->name);
    const struct resolved *x = &b->resolver.task[t->index];
    r->state = TASK_FAILED;
    r->has_key = x->has_key;
    r->key = x->key;
    free(r->error);
    r->error = xstrdup(why->text);
    r->cause = r->cause ? r->cause : failure_of(why->code);
    if (!b->failure.text[0]) {
        b->failure = *why;
        error_context(&b->failure, "task '%s'", t->name);
    }
    b->finished++;
    left_finish(b, t->index);
    plan_failed(b->plan, t->index, b->opt.keep_going);
    report(b, BUILD_FAILED, t, log);
    release_held(b);
}

/* After an attempt that failed by no fault of its input: once more, if the task may and the run goes on. */
static bool try_again(struct build *b, const struct task *t, const struct error *why)
{
    struct build_result *r = &b->result[t->index];
    if (r->attempts >= t->retries || why->code == ERROR_INPUT || b->interrupts ||
        (b->failure.text[0] && !b->opt.keep_going))
        return false;
    char hex[DIGEST_HEX];
    r->attempts++;
    AUTO(mem)
    char *text = xprintf("attempt %d of %d failed: %s; trying again", r->attempts, t->retries + 1, why->text);
    report(b, BUILD_RETRY, t, text);
    json_object_set_new(b->pending, digest_hex(&b->resolver.task[t->index].key, hex), json_true());
    plan_retry(b->plan, t->index, clock_seconds() + ask_backoff(t, r->attempts));
    if (t->memory_growth > 0)
        plan_remember(b->plan, t->index, ask_memory(t, &b->machine, r->attempts));
    return true;
}

/* Its node was lost under it: again on another, which is no attempt of the task's own. */
static bool move_on(struct build *b, const struct task *t, const struct error *why)
{
    struct build_result *r = &b->result[t->index];
    char hex[DIGEST_HEX];
    if (r->losses++ == LOSSES_MOST || b->interrupts || (b->failure.text[0] && !b->opt.keep_going))
        return false;
    AUTO(mem) char *text = xprintf("%s; it runs again", why->text);
    report(b, BUILD_RETRY, t, text);
    json_object_set_new(b->pending, digest_hex(&b->resolver.task[t->index].key, hex), json_true());
    plan_retry(b->plan, t->index, clock_seconds());
    return true;
}

/* Look one ready task up: hit, miss, or another task is to compute the same key. */
void build_look_up(struct build *b, int task)
{
    struct error err = {0};
    const struct task *t = b->spec->task[task];
    if (b->result[task].state == TASK_FAILED) { /* in an earlier pass */
        b->finished++;
        plan_failed(b->plan, task, b->opt.keep_going);
        return;
    }
    enum resolution found = resolve_whole(&b->resolver, t, &err);
    char hex[DIGEST_HEX];
    if (found == RESOLVE_WAIT) { /* its inputs are known */
        fetched_gone(b->store, t, &err);
        found = RESOLVE_ERROR;
    }
    if (found == RESOLVE_ERROR) {
        fail_task(b, t, &err);
    } else if (found == RESOLVE_HIT || (found == RESOLVE_FREED && !flight_needs(b, t))) {
        plan_hit(b->plan, task);
        finish(b, t, TASK_HIT, 0);
    } else if (json_object_get(b->pending, digest_hex(&b->resolver.task[task].key, hex))) {
        b->parked[b->n_parked++] = task;
    } else {
        json_object_set_new(b->pending, hex, json_true());
        if (tier_ask(b, t))
            return;
        left_predict(b);
        plan_miss(b->plan, task);
        enum task_state before =
            b->result[task].state; /* a hit of an earlier pass: that it is lost was said */
        if (b->resolver.task[task].lost && before != TASK_HIT && before != TASK_DONE) {
            AUTO(mem)
            char *text = xprintf("the result of task '%s' is no longer whole in the store", t->name);
            report(b, BUILD_HEAL, NULL, text);
        }
    }
}

static void look_up_ready(struct build *b)
{
    int task, parked = b->n_parked;
    b->n_parked = 0;
    for (int i = 0; i < parked; i++) /* look_up parks at or before the place it read */
        if (plan_state(b->plan, b->parked[i]) == TASK_READY)
            build_look_up(b, b->parked[i]);
    while ((task = plan_next_ready(b->plan)) >= 0)
        build_look_up(b, task);
}

/* An input that the store lost is a miss now: everything is planned anew once the workers at work are done.
 */
static void heal(struct build *b, const struct error *why)
{
    b->again = b->stopping = true;
    report(b, BUILD_HEAL, NULL, why->text);
}

static void start(struct build *b, const struct plan_choice *c)
{
    int task = c->task;
    struct error err = {0};
    const struct task *t = b->spec->task[task];
    bool ours = flight_begin(b, t, &err);
    if (!ours && err.code == ERROR_NONE)
        return;
    if (!ours || !attempt_start(b, c, &err)) {
        char hex[DIGEST_HEX];
        store_unclaim(b->store, &b->resolver.task[task].key);
        json_object_del(b->pending, digest_hex(&b->resolver.task[task].key, hex));
        if (err.code == ERROR_DAMAGE)
            heal(b, &err);
        else if (!try_again(b, t, &err))
            fail_task(b, t, &err);
        return;
    }
    if (c->cores < t->cores_min) {
        AUTO(mem) char *text = xprintf("asks for %d cores; this run has %d", t->cores_min, b->cores);
        report(b, BUILD_WARN, t, text);
    }
}

static bool start_picked(struct build *b)
{
    struct plan_choice c;
    bool picked = false;
    for (; !b->stopping && plan_pick(b->plan, clock_seconds(), &c); picked = true)
        start(b, &c);
    ahead_give(b);
    return picked;
}

/* What started is told of behind what ended before it. */
static void tell_starts(struct build *b)
{
    for (int i = 0; i < b->n_running; i++) {
        struct attempt *a = b->running[i];
        if (a->told)
            continue;
        AUTO(mem) char *where = nodes_where(b, a);
        a->told = true;
        report_start(b, a, where);
    }
}

/* The next starts before the record of this one is written, where that one would be picked later as well. */
static bool keep(struct build *b, struct attempt *a, struct error *err)
{
    if (b->n_parked == 0 && !b->held && !plan_opens(b->plan, a->task->index)) {
        plan_leave(b->plan, a->task->index);
        (void)start_picked(b);
    }
    return attempt_keep(b, a, err);
}

static void end(struct build *b, int slot)
{
    struct attempt *a = b->running[slot];
    struct error err = {0};
    const struct task *t = a->task;
    char hex[DIGEST_HEX];
    double over = clock_seconds();
    b->running[slot] = b->running[--b->n_running];
    ahead_over(b, a);
    bool ok = attempt_over(b, a, &err) && keep(b, a, &err), spoilt = a->spoilt, lost = a->lost,
         stopped = b->interrupts > 0 && a->checkpoints.stopped > 0;
    json_object_del(b->pending, digest_hex(&b->resolver.task[t->index].key, hex));
    if (ok)
        left_learn(b, a);
    else
        store_unclaim(b->store,
                      &b->resolver.task[t->index].key); /* else it ends when the record is published */
    attempt_free(b, a);
    if (ok) {
        plan_done(b->plan, t->index);
        finish(b, t, TASK_DONE, over);
        tier_offer(b, t);
    } else if (spoilt) {
        heal(b, &err);
    } else if (b->interrupts < 2 && !stopped && /* else it ended because of us */
               !(lost ? move_on(b, t, &err) : try_again(b, t, &err))) {
        fail_task(b, t, &err);
    }
}

/* ---- the loop ---- */

static void see_event(void *arg, const json_t *event)
{
    struct attempt *a = arg;
    report_worker_event(a->build, a, event);
}

void build_interrupt(struct build *b)
{
    struct signalfd_siginfo s;
    while (read(b->opt.interrupts, &s, sizeof s) == sizeof s) {
        b->stopping = true;
        b->interrupts++;
        report(b, BUILD_INTERRUPT, NULL, b->interrupts < 2 ? "finishing" : "stopping");
        if (b->interrupts == 1)
            checkpoint_stop_all(b);
    }
    for (int i = 0; b->interrupts >= 2 && i < b->n_running; i++)
        process_kill(&b->running[i]->process);
}

/* Kill what is past its time; milliseconds until the next is, -1: never. */
static int enforce_timeouts(struct build *b)
{
    double now = clock_seconds(), next = HUGE_VAL;
    for (int i = 0; i < b->n_running; i++) {
        struct attempt *a = b->running[i];
        if (a->deadline <= 0 || a->timed_out)
            continue;
        if (a->deadline <= now) {
            a->timed_out = true;
            process_kill(&a->process);
        } else {
            next = fmin(next, a->deadline - now);
        }
    }
    return isinf(next) ? -1 : (int)fmin(ceil(1000 * next), INT_MAX);
}

/* Milliseconds until a task that failed starts again; -1: none waits for that, or none starts any more. */
static int retry_due(const struct build *b)
{
    double left = plan_due(b->plan) - clock_seconds();
    return b->stopping || isinf(left) ? -1 : left > 0 ? (int)fmin(ceil(1000 * left), INT_MAX) : 0;
}

/* The lesser of two waits in milliseconds, -1 for ever. */
static int sooner(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* One whose end was told while an order was sent or came with the end of the one before, or whose keeper is
 * gone: nothing more will wake us for it. */
static bool any_has_ended(const struct build *b)
{
    for (int i = 0; i < b->n_running; i++) {
        const struct process *p = &b->running[i]->process;
        if (p->workers && (process_has_ended(p) || process_has_more(p)))
            return true;
    }
    return false;
}

/* Wait for events, ends, timeouts and interrupts; the arrays are sized for one worker a core. */
static bool wait_for_workers(struct build *b, struct pollfd *fds, struct error *err)
{
    int n = 0;
    for (int i = 0; i < b->n_running; i++) {
        fds[n++] = (struct pollfd){.fd = b->running[i]->process.ended, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = b->running[i]->process.events, .events = POLLIN};
    }
    int own = n;
    fds[n++] = (struct pollfd){.fd = b->opt.interrupts, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = tier_fd(b), .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = workers_fd(b->workers), .events = POLLIN};
    int log = runlog_due(b->log);
    if (log == 0)
        runlog_flush(b->log);
    int wait = sooner(sooner(enforce_timeouts(b), status_due(b)), sooner(flight_due(b), retry_due(b)));
    wait = sooner(sooner(wait, nodes_due(b)), sooner(ahead_due(b), log > 0 ? log : -1));
    bool tick = b->opt.tick > 0 && (wait < 0 || b->opt.tick < wait);
    int ready = poll(fds, (nfds_t)n, any_has_ended(b) ? 0 : tick ? b->opt.tick : wait);
    if (ready < 0)
        return errno == EINTR || error_errno(err, "cannot wait for workers");
    if (ready == 0 && tick)
        report(b, BUILD_TICK, NULL, NULL);
    if (fds[own].revents)
        build_interrupt(b);
    if (fds[own + 1].revents)
        tier_take(b);
    if (fds[own + 2].revents)
        workers_hear(b->workers);
    for (int i = b->n_running - 1; i >= 0; i--) { /* from the end: `end` moves the last one into the gap */
        struct process *p = &b->running[i]->process;
        bool ended = p->workers ? process_has_ended(p) : fds[2 * i].revents != 0;
        if (ended || fds[2 * i + 1].revents || process_has_more(p))
            process_events(p, see_event, b->running[i]);
        if (ended || p->waits)
            end(b, i);
    }
    temp_free(b, false);
    status_write(b);
    return true;
}

static bool pass(struct build *b, struct pollfd *fds, struct error *err)
{
    b->again = false;
    b->stopping = b->interrupts > 0;
    b->n_parked = 0;
    json_object_clear(b->pending);
    make_plan(b);
    nodes_plan(b);
    for (;;) {
        if (!b->stopping)
            look_up_ready(b);
        nodes_look(b);
        bool picked = start_picked(b);
        tell_starts(b);
        bool waits =
            (b->n_elsewhere > 0 || b->n_asked > 0 || isfinite(plan_due(b->plan)) || nodes_awaited(b)) &&
            !b->stopping && !picked && !plan_finished(b->plan); /* what is waited for may have been skipped */
        if (b->n_running > 0 || waits) {
            if (!wait_for_workers(b, fds, err))
                return false;
            flight_look(b);
        } else if (b->stopping || !picked) { /* what was picked and could not start may have freed others */
            struct error why = {0};
            if (!b->stopping && !b->failure.text[0] && !nodes_left(b, &why))
                b->failure = why;
            return true;
        }
    }
}

static bool run_passes(struct build *b, struct error *err)
{
    AUTO(mem) struct pollfd *fds = xcalloc(2 * (size_t)b->cores + 3, sizeof *fds);
    for (int i = 0;; i++) {
        if (!pass(b, fds, err))
            return false;
        if (!b->again || b->interrupts || (b->failure.text[0] && !b->opt.keep_going))
            break;
        if (i == b->spec->n)
            return error_set(err, NULL, ERROR_DAMAGE, "the store keeps losing results: is its disk failing?");
    }
    for (int i = 0; i < b->spec->n; i++)
        if (b->result[i].wanted && b->result[i].state != TASK_FAILED && !b->result[i].record &&
            !(b->held && b->held[i])) {
            b->result[i].state = TASK_SKIPPED;
            report(b, BUILD_SKIPPED, b->spec->task[i], NULL);
        }
    if (b->interrupts)
        return error_set(err, NULL, ERROR_INTERRUPT,
                         "interrupted; what is done is kept, the next run goes on from there");
    if (b->failure.text[0])
        *err = b->failure;
    return !b->failure.text[0];
}

static bool open_machine(struct build *b, struct error *err)
{
    const struct machine_options o = {.topo.threads = b->opt.threads,
                                      .cores = b->opt.cores,
                                      .units = b->opt.units,
                                      .n_units = b->opt.n_units};
    if (!(b->opt.launcher ? nodes_open(b, err) : machine_open(&o, &b->machine, err)))
        return false;
    struct machine_node *here = &b->machine.node[0];
    if (!b->launcher && here->memory > topo_memory_free())
        here->memory = topo_memory_free();
    b->cores = machine_cores(&b->machine);
    for (int i = 0; i < b->spec->n; i++) {
        const struct history_cost c = history_estimate(b->spec->task[i]);
        if (b->result[i].wanted && !ask_make(b->spec->task[i], &b->machine, &c, &b->mem, &b->ask[i], err))
            return false;
    }
    return true;
}

bool build_run(const struct spec *spec, struct store *store, const struct build_options *opt,
               struct build **ret, struct error *err)
{
    struct build *b = xcalloc(1, sizeof *b);
    *b = (struct build){.spec = spec, .store = store, .opt = *opt};
    b->result = xcalloc((size_t)spec->n + 1, sizeof *b->result);
    b->parked = xcalloc((size_t)spec->n + 1, sizeof *b->parked);
    b->elsewhere = xcalloc((size_t)spec->n + 1, sizeof *b->elsewhere);
    b->pending = json_object();
    b->cost = xcalloc((size_t)spec->n + 1, sizeof *b->cost);
    b->ask = xcalloc((size_t)spec->n + 1, sizeof *b->ask);
    b->read = xcalloc((size_t)spec->n + 1, sizeof *b->read);
    arena_init(&b->mem);
    resolver_init(&b->resolver, spec, store);
    b->resolver.use = true;
    history_open(store, &b->history);
    history_look(b->history, &b->resolver);
    *ret = NULL;
    if (!choose_wanted(b, err) || !temp_begin(b, err) || !open_machine(b, err) ||
        !store_temp_dir(store, &b->dir, err) || !runlog_open(store_path(store), &b->log, err)) {
        build_free(b);
        return false;
    }
    *ret = b;
    b->running = xcalloc((size_t)b->cores + 1, sizeof *b->running);
    b->artifacts = artifacts_new(store, b->dir);
    b->workdirs = workdirs_new(b->dir);
    b->workers = workers_new(opt->self);
    if (opt->held) {
        b->held = xcalloc((size_t)spec->n + 1, sizeof *b->held);
        memcpy(b->held, opt->held, (size_t)spec->n * sizeof *b->held);
    }
    if (b->launcher)
        b->launcher->dir = b->run_dir = runlog_dir(b->log);
    tier_begin(b);
    report_begin(b);
    bool ok = run_passes(b, err);
    runlog_flush(b->log);
    if (!store_flush(store, ok ? err : NULL) && ok)
        ok = error_context(err, "cannot keep all results");
    launcher_close(b->launcher); /* nobody is to pay for nodes that nothing runs on */
    b->launcher = NULL;
    tier_finish(b);
    temp_free(b, true);
    report_end(b, ok);
    return ok;
}

const struct build_result *build_result_of(const struct build *b, int task)
{
    return &b->result[task];
}

const char *build_run_id(const struct build *b)
{
    return runlog_id(b->log);
}

char *build_task_log(const struct build *b, int task)
{
    return runlog_task_log(b->log, b->spec->task[task]->name);
}

void build_free(struct build *b)
{
    if (!b)
        return;
    for (int i = 0; i < b->n_running; i++)
        attempt_free(b, b->running[i]);
    launcher_close(b->launcher);
    free(b->run_dir);
    free(b->node_there);
    workers_free(b->workers);
    plan_free(b->plan);
    machine_done(&b->machine);
    arena_done(&b->mem);
    free(b->ask);
    artifacts_free(b->artifacts);
    workdirs_free(b->workdirs);
    runlog_close(b->log);
    resolver_done(&b->resolver, b->spec);
    json_decref(b->pending);
    history_close(b->history);
    trace_done(&b->facts.trace);
    free(b->cost);
    free(b->kin);
    free(b->running);
    free(b->parked);
    free(b->elsewhere);
    free(b->needed);
    free(b->read);
    free(b->held);
    free(b->temp);
    free(b->asked);
    free(b->answered);
    free(b->labelled);
    for (int i = 0; i < b->spec->n; i++)
        free(b->result[i].error);
    free(b->result);
    free(b->dir);
    free(b);
}
