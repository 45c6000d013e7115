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

bool resolve_unchanged(const struct resolver *r, const struct task *t, char **ret_text, struct error *err)
{
    struct digest now;
    AUTO(mem) char *text = NULL;
    if (!make_key(r, t, &now, &text, err))
        return false;
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
    return make_key(r, t, &now, &text, err) ? text : NULL;
}

const struct record *resolve_record(struct resolver *r, const struct task *t)
{
    struct resolved *x = &r->task[t->index];
    if (!x->record && x->entry && !store_get_record(r->store, &x->key, &x->record, NULL))
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
    if (!store_look_up(r->store, &x->key, &x->entry, &x->lost, err)) {
        error_context(err, "task '%s'", t->name);
        return RESOLVE_ERROR;
    }
    return x->entry ? RESOLVE_HIT : RESOLVE_MISS;
}

enum resolution resolve_whole(struct resolver *r, const struct task *t, struct error *err)
{
    struct resolved *x = &r->task[t->index];
    enum resolution found = RESOLVE_MISS;
    for (int i = 0; i < 2; i++) { /* a damaged record is moved away when it is read: then there is none */
        found = resolve(r, t, err);
        if (found != RESOLVE_HIT)
            return found;
        if (!store_get_record(r->store, &x->key, &x->record, err)) {
            error_context(err, "task '%s'", t->name);
            return RESOLVE_ERROR;
        }
        if (x->record)
            return found;
    }
    x->entry = NULL;
    x->lost = true;
    return RESOLVE_MISS;
}

bool resolve_all(struct resolver *r, const struct spec *spec, enum resolution *state, struct error *err)
{
    for (int i = 0; i < spec->n; i++) /* inputs come first in a spec */
        if ((state[i] = resolve(r, spec->task[i], err)) == RESOLVE_ERROR)
            return false;
    return true;
}
