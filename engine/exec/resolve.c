#include "engine/exec/resolve.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

void resolver_init(struct resolver *r, const struct spec *spec, struct store *store)
{
    *r = (struct resolver){.store = store, .task = xcalloc((size_t)spec->n + 1, sizeof *r->task)};
}

static void forget(struct resolved *t)
{
    free(t->text);
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
    const struct record_output *o =
        record_find_output(r->task[t->index].record, t->stage->outputs[output].name);
    if (o)
        *ret = o->digest;
    return o != NULL;
}

static bool import_digest(void *arg, const char *path, struct digest *ret, struct error *err)
{
    const struct resolver *r = arg;
    return store_import(r->store, path, ret, NULL, err);
}

/* The key from what is known now. False with no code in err: an input is not known. */
static bool make_key(const struct resolver *r, const struct task *t, struct digest *ret, char **ret_text,
                     struct error *err)
{
    const struct key_source source = {output_digest, import_digest, (void *)(uintptr_t)r};
    return task_key(t, &source, ret, ret_text, err) || error_at(err, &t->pos);
}

bool resolve_unchanged(const struct resolver *r, const struct task *t, struct error *err)
{
    struct digest now;
    AUTO(mem) char *text = NULL;
    return make_key(r, t, &now, &text, err) &&
           (digest_equal(&now, &r->task[t->index].key) ||
            error_set(err, NULL, ERROR_TASK, "outside data that it reads changed while it ran"));
}

enum resolution resolve(struct resolver *r, const struct task *t, struct error *err)
{
    struct resolved *x = &r->task[t->index];
    struct error why = {0};
    forget(x);
    if (!make_key(r, t, &x->key, &x->text, &why)) {
        if (why.code == ERROR_NONE)
            return RESOLVE_WAIT;
        *err = why;
        return RESOLVE_ERROR;
    }
    x->has_key = true;
    if (!store_get_record(r->store, &x->key, &x->record, err)) {
        error_context(err, "task '%s'", t->name);
        return RESOLVE_ERROR;
    }
    if (x->record && store_record_complete(r->store, x->record))
        return RESOLVE_HIT;
    x->lost = x->record != NULL;
    record_free(x->record);
    x->record = NULL;
    return RESOLVE_MISS;
}

bool resolve_all(struct resolver *r, const struct spec *spec, enum resolution *state, struct error *err)
{
    for (int i = 0; i < spec->n; i++) /* inputs come first in a spec */
        if ((state[i] = resolve(r, spec->task[i], err)) == RESOLVE_ERROR)
            return false;
    return true;
}
