#include "engine/exec/resolve.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/exec/fetched.h"
#include "engine/exec/targets.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

void resolver_init(struct resolver *r, const struct spec *spec, struct store *store)
{
    *r = (struct resolver){.store = store, .task = xcalloc((size_t)spec->n + 1, sizeof *r->task)};
}

static void forget(struct resolved *t)
{
    record_free(t->record);
    *t = (struct resolved){0};
}

void resolver_done(struct resolver *r, const struct spec *spec)
{
    for (int i = 0; r->task && i < spec->n; i++)
        forget(&r->task[i]);
    free(r->task);
    r->task = NULL;
}

const struct record_output *record_find_output(const struct record *r, const char *port)
{
    for (size_t i = 0; r && i < r->n; i++)
        if (strcmp(r->output[i].port, port) == 0)
            return &r->output[i];
    return NULL;
}

static bool output_digest(void *arg, const struct task *t, int output, struct digest *ret)
{
    const struct resolver *r = arg;
    const struct resolved *x = &r->task[t->index];
    const char *port = t->stage->outputs[output].name;
    const struct record_output *o = record_find_output(x->record, port);
    const struct digest *d = o ? &o->digest : x->entry ? index_output(x->entry, port) : NULL;
    if (d)
        *ret = *d;
    return d != NULL;
}

struct key_maker {
    const struct resolver *r;
    int64_t outside; /* bytes of the imports so far */
};

static bool input_digest(void *arg, const struct task *t, int output, struct digest *ret)
{
    const struct key_maker *m = arg;
    return output_digest((void *)(uintptr_t)m->r, t, output, ret);
}

static bool import_digest(void *arg, const char *path, struct digest *ret, struct error *err)
{
    struct key_maker *m = arg;
    int64_t size = 0;
    AUTO(mem) char *local = fetched_path(m->r->store, path, err);
    if (!local || !store_import(m->r->store, local, ret, &size, err))
        return false;
    m->outside += size;
    return true;
}

/* The key from what is known now. False with no code in err: an input is not known. */
static bool make_key(const struct resolver *r, const struct task *t, struct digest *ret, char **ret_text,
                     struct error *err)
{
    struct key_maker m = {.r = r};
    const struct key_source source = {input_digest, import_digest, &m};
    bool ok = task_key(t, &source, ret, ret_text, err) || (err && err->code && error_at(err, &t->pos));
    r->task[t->index].outside = m.outside;
    return ok;
}

bool resolve_unchanged(const struct resolver *r, const struct task *t, char **ret_text, struct error *err)
{
    struct digest now;
    AUTO(mem) char *text = NULL;
    if (!make_key(r, t, &now, &text, err))
        return err && !err->code ? fetched_gone(r->store, t, err) : false;
    if (!digest_equal(&now, &r->task[t->index].key))
        return error_set(err, NULL, ERROR_TASK, "outside data that it reads changed while it ran");
    if (ret_text) {
        *ret_text = text;
        text = NULL;
    }
    return true;
}

char *resolve_text(const struct resolver *r, const struct task *t, struct error *err)
{
    struct digest now;
    char *text;
    if (make_key(r, t, &now, &text, err))
        return text;
    if (err && !err->code)
        fetched_gone(r->store, t, err);
    return NULL;
}

const struct record *resolve_record(struct resolver *r, const struct task *t)
{
    struct resolved *x = &r->task[t->index];
    if (!x->record && x->entry && !store_get_found(r->store, x->entry, &x->record, NULL))
        x->record = NULL;
    return x->record;
}

enum resolution resolve(struct resolver *r, const struct task *t, struct error *err)
{
    struct resolved *x = &r->task[t->index];
    struct error why = {0};
    AUTO(mem) char *text = NULL;
    forget(x);
    if (!make_key(r, t, &x->key, &text, &why)) {
        if (why.code == ERROR_NONE)
            return RESOLVE_WAIT;
        *err = why;
        return RESOLVE_ERROR;
    }
    x->has_key = true;
    if (r->use)
        store_use(r->store, &x->key);
    enum store_state found;
    if (!store_look_up(r->store, &x->key, &x->entry, &found, err)) {
        error_context(err, "task '%s'", t->name);
        return RESOLVE_ERROR;
    }
    x->lost = found == STORE_LOST;
    x->freed = found == STORE_FREED;
    if (r->use && x->entry)
        store_touch(r->store, &x->key);
    return x->freed ? RESOLVE_FREED : x->entry ? RESOLVE_HIT : RESOLVE_MISS;
}

/* One that came from elsewhere may be well-formed, and not what such a stage makes. */
static bool has_outputs(const struct record *r, const struct task *t)
{
    bool all = true;
    for (int i = 0; i < stage_port_count(t->stage->outputs); i++)
        all = all && record_find_output(r, t->stage->outputs[i].name);
    return all;
}

enum resolution resolve_whole(struct resolver *r, const struct task *t, struct error *err)
{
    struct resolved *x = &r->task[t->index];
    enum resolution found = RESOLVE_MISS;
    for (int i = 0; i < 2; i++) { /* a damaged record is moved away when it is read: then there is none */
        found = resolve(r, t, err);
        if (found != RESOLVE_HIT && found != RESOLVE_FREED)
            return found;
        if (!store_get_found(r->store, x->entry, &x->record, err)) {
            error_context(err, "task '%s'", t->name);
            return RESOLVE_ERROR;
        }
        if (x->record && has_outputs(x->record, t))
            return found;
        if (x->record)
            store_reject(r->store, &x->key);
        record_free(x->record);
        x->record = NULL;
    }
    x->entry = NULL;
    x->lost = true;
    return RESOLVE_MISS;
}

#define MANY 256 /* tasks that are worth several threads */

static bool no_import(void *arg, const char *path, struct digest *ret, struct error *err)
{
    return false;
}

/* A hit that the index is enough for, where the tasks it needs are known; else nothing happens. */
static bool recall(struct resolver *r, const struct task *t)
{
    const struct key_source source = {output_digest, no_import, r};
    struct resolved *x = &r->task[t->index];
    AUTO(mem) char *text = NULL;
    if (!task_key(t, &source, &x->key, &text, NULL) || !(x->entry = store_recall(r->store, &x->key)))
        return false;
    return x->has_key = true;
}

/* How far each task is from a source, at most; how many such layers there are. */
static int find_layers(const struct spec *spec, int *layer)
{
    int layers = 0;
    for (int i = 0; i < spec->n; i++) {
        const struct task *t = spec->task[i];
        for (int p = 0; p < stage_port_count(t->stage->inputs); p++)
            for (int k = 0; k < t->inputs[p].n; k++)
                if (layer[t->inputs[p].ref[k].task->index] >= layer[i])
                    layer[i] = layer[t->inputs[p].ref[k].task->index] + 1;
        if (layer[i] >= layers)
            layers = layer[i] + 1;
    }
    return layers;
}

/* Are there cores for more threads? Threads that wait for each other only lose where others keep the cores
 * busy. */
static bool is_idle(void)
{
    double load;
    return getloadavg(&load, 1) == 1 && load < omp_get_num_procs();
}

/* Layer by layer, what the index is enough for: tasks of one layer do not need each other. */
static void recall_all(struct resolver *r, const struct spec *spec, enum resolution *state)
{
    AUTO(mem) int *layer = xcalloc((size_t)spec->n + 1, sizeof *layer);
    AUTO(mem) int *order = xcalloc((size_t)spec->n + 1, sizeof *order);
    int layers = find_layers(spec, layer);
    AUTO(mem) int *end = xcalloc((size_t)layers + 1, sizeof *end);
    for (int i = 0; i < spec->n; i++)
        end[layer[i] + 1]++; /* how many are before the next layer, when summed */
    for (int i = 0; i < layers; i++)
        end[i + 1] += end[i];
    for (int i = 0; i < spec->n; i++)
        order[end[layer[i]]++] = i;
    store_recall_begin(r->store, (size_t)spec->n);
    bool idle = is_idle();
    for (int l = 0, from = 0; l < layers; from = end[l++]) {
#pragma omp parallel for schedule(dynamic, 64) if (idle && end[l] - from >= MANY)
        for (int k = from; k < end[l]; k++)
            state[order[k]] = recall(r, spec->task[order[k]]) ? RESOLVE_HIT : RESOLVE_WAIT;
    }
    store_recall_end(r->store);
}

bool resolve_all(struct resolver *r, const struct spec *spec, enum resolution *state, struct error *err)
{
    for (int i = 0; i < spec->n; i++)
        forget(&r->task[i]);
    recall_all(r, spec, state);
    for (int i = 0; i < spec->n; i++) /* inputs come first in a spec */
        if (state[i] != RESOLVE_HIT && (state[i] = resolve(r, spec->task[i], err)) == RESOLVE_ERROR)
            return false;
    return true;
}

void resolve_needed(const struct spec *spec, const bool *wanted, const bool *named, enum resolution *state)
{
    AUTO(mem) bool *needed = xcalloc((size_t)spec->n + 1, sizeof *needed);
    AUTO(mem) bool *inner = xcalloc((size_t)spec->n + 1, sizeof *inner);
    for (int i = spec->n - 1; i >= 0; i--) { /* consumers come later in a spec */
        const struct task_ref *ref;
        if (wanted && !wanted[i])
            continue;
        if (state[i] == RESOLVE_FREED && !needed[i] && inner[i] && !(named && named[i]))
            state[i] = RESOLVE_HIT;
        else if (state[i] == RESOLVE_FREED)
            state[i] = RESOLVE_MISS;
        for (int k = 0; (ref = task_input_at(spec->task[i], k)); k++) {
            inner[ref->task->index] = true;
            needed[ref->task->index] |= state[i] != RESOLVE_HIT;
        }
    }
}
