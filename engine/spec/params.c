/* with: and private: of one task. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/origin.h"
#include "engine/spec/spec_impl.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A string parameter takes the text of an interpolated number: `replicate: "${item.seed}"`. */
static json_t *typed(const struct param *row, const struct yaml_node *written, const struct yaml_node *value)
{
    bool interpolated = written->kind == YAML_SCALAR && strstr(written->text, "${");
    if (row->type == PARAM_STRING && interpolated && value->kind == YAML_SCALAR)
        return json_string(value->text);
    return yaml_json(value);
}

/* The absolute path of an import, which must exist; a URL, which only has to be right. One that need not be
 * given may be empty, as where a foreach has a file for some of its items only. */
static bool find_import(struct experiment *e, const struct param *row, struct task *t, struct pos pos)
{
    const char **field = (const char **)((char *)t->params + row->offset);
    struct error err = {0};
    if (!**field && !(row->flags & PARAM_REQUIRED))
        return true;
    if (origin_is_url(*field) && origin_check(*field, &err))
        return true;
    if (err.code) {
        error_context(&err, "'%s'", row->name);
        return diag_take(e->diag, &err, &pos);
    }
    char *absolute = **field ? realpath(*field, NULL) : NULL;
    if (!absolute)
        return diag_add(e->diag, &pos,
                        "'%s': cannot find '%s' (%s; paths are relative to the current folder)", row->name,
                        *field, **field ? strerror(errno) : "empty");
    *field = arena_strdup(e->arena, absolute);
    free(absolute);
    return true;
}

static bool set_param(struct experiment *e, const struct decl *d, struct instance *in,
                      const struct yaml_node *key, const struct yaml_node *written, struct pos *pos)
{
    struct task *t = in->task;
    const struct param *row = param_find(t->stage->params, key->text);
    if (!row) {
        const char *near = param_nearest(t->stage->params, key->text);
        return diag_unknown(e->diag, &key->pos, near, "stage '%s' has no parameter '%s'%s", t->stage->name,
                            key->text, near ? "" : " ('weft help STAGE' lists them)");
    }
    struct yaml_node *value = vars_resolve(e->scratch, e->diag, &in->scope, written);
    if (!value)
        return false;
    pos[row - t->stage->params] = written->pos;
    json_t *j = typed(row, written, value);
    struct error err = {0};
    bool ok = number_kept(row, value, &err);
    if (ok && !(ok = param_set(row, t->params, j, e->arena, &err)))
        number_explain(&err, row, written, value);
    json_decref(j);
    if (!ok) {
        error_context(&err, "stage '%s'", t->stage->name);
        return diag_take(e->diag, &err, &written->pos);
    }
    warn_default(e, d, in, row, written);
    return !(row->flags & PARAM_IMPORT) || find_import(e, row, t, written->pos);
}

static int param_count(const struct param *table)
{
    int n = 0;
    while (table && table[n].name)
        n++;
    return n;
}

static bool set_all(struct experiment *e, const struct decl *d, struct instance *in, struct pos *pos)
{
    const struct yaml_node *with = d->with;
    if (with && with->kind != YAML_MAP)
        return diag_add(e->diag, &with->pos, "with: takes a map of parameters");
    bool ok = true;
    for (int i = 0; with && i < with->n; i++)
        ok = set_param(e, d, in, with->key[i], with->item[i], pos) && ok;
    const struct task *t = in->task;
    for (const struct param *row = t->stage->params; row && row->name; row++)
        if ((row->flags & PARAM_REQUIRED) && !(with && yaml_get(with, row->name)))
            ok = diag_add(e->diag, &t->pos, "stage '%s' needs the parameter '%s'%s%s", t->stage->name,
                          row->name, row->doc ? ": " : "", row->doc ? row->doc : "");
    return ok;
}

static void set_label(struct experiment *e, struct instance *in, const struct yaml_node *node)
{
    struct yaml_node *label = vars_resolve(e->scratch, e->diag, &in->scope, node);
    if (!label)
        return;
    if (label->kind != YAML_SCALAR || !*label->text)
        diag_add(e->diag, &node->pos, "private: takes the name of a client");
    else
        in->task->label = arena_strdup(e->arena, label->text);
}

/* with: of a stage of ours; a command's is read when it is declared. */
static void set_with(struct experiment *e, const struct decl *d, struct instance *in)
{
    struct task *t = in->task;
    const struct stage *s = t->stage;
    t->params = arena_alloc(e->arena, s->params_size ? s->params_size : 1);
    param_defaults(s->params, t->params, e->arena);
    struct pos *pos = arena_alloc(e->arena, (size_t)(param_count(s->params) + 1) * sizeof *pos);
    t->param_pos = pos;
    const struct yaml_node *with = d->with;
    struct error err = {0};
    if (set_all(e, d, in, pos) && s->check && !s->check(t->params, &err)) {
        error_context(&err, "stage '%s'", s->name);
        diag_take(e->diag, &err, with ? &with->pos : &t->pos);
    }
}

static void set_temp(struct experiment *e, struct instance *in, const struct yaml_node *node)
{
    const struct yaml_node *n = vars_resolve(e->scratch, e->diag, &in->scope, node);
    if (!n)
        return;
    AUTO_JSON j = yaml_json(n);
    if (json_is_boolean(j))
        in->task->temp = json_is_true(j);
    else
        diag_add(e->diag, &node->pos, "temp: takes true or false");
}

void params_set(struct experiment *e, const struct decl *d, struct instance *in)
{
    const struct yaml_node *label = yaml_get(d->node, "private"), *temp = yaml_get(d->node, "temp");
    if (!in->task->stage->command)
        set_with(e, d, in);
    resources_set(e, in, yaml_get(d->node, "resources"), yaml_get(d->defaults, "resources"));
    if (label)
        set_label(e, in, label);
    if (temp)
        set_temp(e, in, temp);
}
