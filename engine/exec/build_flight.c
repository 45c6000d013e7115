/* A key is computed once, whoever wants it: the claim on it is a kernel lock, which dies with its holder. And
 * a result whose content was let go is made again only for those who need more than its digests. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/exec/build_report.h"
#include "engine/exec/targets.h"

#define LOOK_EVERY 0.1 /* seconds */

/* It came into the store since the task was looked up: the plan has it as a task that waits. */
static bool came_in_between(struct build *b, const struct task *t)
{
    const struct index_entry *e;
    enum store_state state;
    const struct digest *key = &b->resolver.task[t->index].key;
    return store_look_up(b->store, key, &e, &state, NULL) && state == STORE_HIT;
}

static void look_again(struct build *b, const struct task *t)
{
    char hex[DIGEST_HEX];
    json_object_del(b->pending, digest_hex(&b->resolver.task[t->index].key, hex));
    build_look_up(b, t->index);
}

bool flight_claim(struct build *b, const struct task *t)
{
    const struct digest *key = &b->resolver.task[t->index].key;
    if (!store_claim(b->store, key, NULL))
        return false;
    bool ours = !came_in_between(b, t);
    if (!ours)
        store_unclaim(b->store, key);
    return ours;
}

bool flight_begin(struct build *b, const struct task *t, struct error *err)
{
    const struct digest *key = &b->resolver.task[t->index].key;
    struct error why = {0};
    if (store_claim(b->store, key, &why)) {
        if (!came_in_between(b, t))
            return true;
        store_unclaim(b->store, key);
        plan_postpone(b->plan, t->index);
        look_again(b, t);
        return false;
    }
    if (why.code != ERROR_NONE) {
        *err = why;
        return false;
    }
    plan_postpone(b->plan, t->index);
    b->elsewhere[b->n_elsewhere++] = t->index;
    report(b, BUILD_ELSEWHERE, t, NULL);
    return false;
}

int flight_due(const struct build *b)
{
    double left = b->looked + LOOK_EVERY - clock_seconds();
    return b->n_elsewhere == 0 ? -1 : left > 0 ? (int)(1000 * left) + 1 : 0;
}

void flight_look(struct build *b)
{
    int n = b->n_elsewhere;
    if (n == 0 || flight_due(b) > 0)
        return;
    b->looked = clock_seconds();
    b->n_elsewhere = 0;
    for (int i = 0; i < n; i++) {
        const struct task *t = b->spec->task[b->elsewhere[i]];
        const struct digest *key = &b->resolver.task[t->index].key;
        if (plan_state(b->plan, t->index) != TASK_READY)
            continue; /* skipped meanwhile */
        if (!store_claim(b->store, key, NULL)) {
            b->elsewhere[b->n_elsewhere++] = t->index;
            continue;
        }
        store_unclaim(b->store, key); /* taken again once there are cores for it */
        look_again(b, t);
    }
}

/* All tasks are looked at, as for a plan, by a resolver of its own: that of the build is at work. */
static void find_needed(struct build *b)
{
    struct resolver r;
    AUTO(mem) enum resolution *state = xcalloc((size_t)b->spec->n + 1, sizeof *state);
    AUTO(mem) bool *wanted = xcalloc((size_t)b->spec->n + 1, sizeof *wanted);
    AUTO(mem) bool *named = xcalloc((size_t)b->spec->n + 1, sizeof *named);
    b->needed = xcalloc((size_t)b->spec->n + 1, sizeof *b->needed);
    for (int i = 0; i < b->spec->n; i++)
        wanted[i] = b->result[i].wanted;
    resolver_init(&r, b->spec, b->store);
    bool ok = targets_find(b->spec, b->opt.targets, b->opt.n_targets, named, NULL) &&
              resolve_all(&r, b->spec, state, NULL);
    if (ok)
        resolve_needed(b->spec, wanted, named, state);
    for (int i = 0; i < b->spec->n; i++)
        b->needed[i] = !ok || state[i] != RESOLVE_HIT;
    resolver_done(&r, b->spec);
}

bool flight_needs(struct build *b, const struct task *t)
{
    if (!b->needed)
        find_needed(b);
    return b->needed[t->index];
}
