/* What is right and yet looks like a mistake. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

/* Has a ${...} taken n, or something in it? */
static bool touched(const struct yaml_node *n)
{
    bool yes = n->used;
    for (int i = 0; i < n->n && !yes; i++)
        yes = touched(n->item[i]);
    return yes;
}

/* Variables of the main file that nothing uses, each by its outermost name; those of an included file may
 * serve other experiments. `raw` is as written, `ready` the same with values in place of ${...}. */
static void unused(struct experiment *e, const struct yaml_node *raw, const struct yaml_node *ready,
                   const char *prefix)
{
    for (int i = 0; i < raw->n; i++) {
        const struct yaml_node *key = raw->key[i], *r = raw->item[i], *v = ready->item[i];
        if (r->used || v->used)
            continue;
        if (!touched(r) && !touched(v)) {
            if (strcmp(key->pos.file, e->file) == 0)
                diag_warn(e->warnings, &key->pos, "variable '%s%s' is not used", prefix, key->text);
        } else if (r->kind == YAML_MAP && v->kind == YAML_MAP) {
            unused(e, r, v, arena_printf(e->arena, "%s%s.", prefix, key->text));
        }
    }
}

/* The defaults of the main file for stages that nothing uses. */
static void unused_defaults(struct experiment *e, const struct yaml_node *root)
{
    const struct yaml_node *all = yaml_get(root, "defaults");
    for (int i = 0; all && i < all->n; i++) {
        int k = 0;
        while (k < e->n && strcmp(e->decl[k].stage->name, all->key[i]->text) != 0)
            k++;
        if (k == e->n)
            diag_warn(e->warnings, &all->key[i]->pos, "nothing uses stage '%s': its defaults have no effect",
                      all->key[i]->text);
    }
}

/* Does the stage make what people read? */
static bool makes_result(const struct stage *s)
{
    for (const struct port *p = s->outputs; p && p->name; p++)
        if (p->type == ARTIFACT_METRICS || p->type == ARTIFACT_TABLE || p->type == ARTIFACT_PICTURE)
            return true;
    return false;
}

static bool is_read(const struct decl *d, const bool *read)
{
    for (int i = 0; i < d->n; i++)
        if (read[d->instance[i].task->index])
            return true;
    return false;
}

/* Stages whose outputs no task reads, in an experiment that is after a result. */
static void unread(struct experiment *e, const struct spec *s)
{
    bool result = false;
    AUTO(mem) bool *read = xcalloc((size_t)s->n + 1, sizeof *read);
    for (int i = 0; i < s->n; i++) {
        const struct task *t = s->task[i];
        int ports = stage_port_count(t->stage->inputs);
        result = result || makes_result(t->stage);
        for (int p = 0; p < ports; p++)
            for (int k = 0; k < t->inputs[p].n; k++)
                read[t->inputs[p].ref[k].task->index] = true;
    }
    for (int i = 0; result && i < e->n; i++) {
        const struct decl *d = &e->decl[i];
        if (!makes_result(d->stage) && stage_port_count(d->stage->outputs) > 0 && !is_read(d, read))
            diag_warn(e->warnings, &d->pos, "no stage reads what '%s' makes", d->name);
    }
}

void warn_all(struct experiment *e, const struct spec *s, const struct yaml_node *root)
{
    unused(e, e->raw_vars, e->vars, "");
    unused_defaults(e, root);
    unread(e, s);
}

void warn_tags(struct experiment *e, const struct yaml_node *tags)
{
    for (int i = 0; i < tags->n; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(tags->item[i]->text, tags->item[k]->text) == 0) {
                diag_warn(e->warnings, &tags->item[i]->pos, "tag '%s' is there twice", tags->item[i]->text);
                break;
            }
}

void warn_default(struct experiment *e, const struct decl *d, const struct instance *in,
                  const struct param *row, const struct yaml_node *written)
{
    const struct task *t = in->task;
    if (!e->pedantic || (row->flags & (PARAM_IMPORT | PARAM_REQUIRED)) ||
        (written->kind == YAML_SCALAR && strstr(written->text, "${")))
        return;
    const struct yaml_node *below = yaml_get(yaml_get(d->defaults, "with"), row->name);
    AUTO(arena) struct arena a;
    arena_init(&a);
    void *params = arena_alloc(&a, t->stage->params_size);
    param_defaults(t->stage->params, params, &a);
    if (below && below != written) { /* what the file says is the default */
        struct yaml_node *value = vars_resolve(&a, e->diag, &in->scope, below);
        json_t *j = value ? yaml_json(value) : NULL;
        bool ok = j && param_set(row, params, j, &a, NULL);
        json_decref(j);
        if (!ok)
            return;
    }
    AUTO(buf) struct buf now = {0};
    AUTO(buf) struct buf def = {0};
    param_text(row, t->params, &now);
    param_text(row, params, &def);
    if (strcmp(buf_str(&now), buf_str(&def)) == 0)
        diag_warn(e->warnings, &written->pos, "'%s' is %s by default: no need to say it", row->name,
                  buf_str(&def));
}
