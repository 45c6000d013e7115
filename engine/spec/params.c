/* with:, resources: and private: of one task. */
#include "base/cleanup.h"
#include "base/fs.h"
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

/* The absolute path of an import, which must exist. */
static bool find_import(struct experiment *e, const struct param *row, struct task *t, struct pos pos)
{
    const char **field = (const char **)((char *)t->params + row->offset);
    char *absolute = **field ? realpath(*field, NULL) : NULL;
    if (!absolute)
        return diag_add(e->diag, &pos,
                        "'%s': cannot find '%s' (%s; paths are relative to the current folder)", row->name,
                        *field, **field ? strerror(errno) : "empty");
    *field = arena_strdup(e->arena, absolute);
    free(absolute);
    return true;
}

static bool set_param(struct experiment *e, struct instance *in, const struct yaml_node *key,
                      const struct yaml_node *written, struct pos *pos)
{
    struct task *t = in->task;
    const struct param *row = param_find(t->stage->params, key->text);
    if (!row) {
        const char *near = param_nearest(t->stage->params, key->text);
        return diag_unknown(e->diag, &key->pos, near, "stage '%s' has no parameter '%s'", t->stage->name,
                            key->text);
    }
    struct yaml_node *value = vars_resolve(e->arena, e->diag, &in->scope, written);
    if (!value)
        return false;
    pos[row - t->stage->params] = written->pos;
    json_t *j = typed(row, written, value);
    struct error err = {0};
    bool ok = param_set(row, t->params, j, e->arena, &err);
    json_decref(j);
    if (!ok) {
        error_context(&err, "stage '%s'", t->stage->name);
        return diag_take(e->diag, &err, &written->pos);
    }
    return !(row->flags & PARAM_IMPORT) || find_import(e, row, t, written->pos);
}

static int param_count(const struct param *table)
{
    int n = 0;
    while (table && table[n].name)
        n++;
    return n;
}

static bool set_all(struct experiment *e, struct instance *in, const struct yaml_node *with, struct pos *pos)
{
    if (with && with->kind != YAML_MAP)
        return diag_add(e->diag, &with->pos, "with: takes a map of parameters");
    bool ok = true;
    for (int i = 0; with && i < with->n; i++)
        ok = set_param(e, in, with->key[i], with->item[i], pos) && ok;
    const struct task *t = in->task;
    for (const struct param *row = t->stage->params; row && row->name; row++)
        if ((row->flags & PARAM_REQUIRED) && !(with && yaml_get(with, row->name)))
            ok = diag_add(e->diag, &t->pos, "stage '%s' needs the parameter '%s'%s%s", t->stage->name,
                          row->name, row->doc ? ": " : "", row->doc ? row->doc : "");
    return ok;
}

static bool set_cores(struct experiment *e, struct task *t, const struct yaml_node *n)
{
    char *end = NULL;
    const char *s = n->kind == YAML_SCALAR ? n->text : "";
    long lo = strtol(s, &end, 10), hi = lo;
    if (end != s && strcmp(end, "..") == 0)
        hi = 0;
    else if (end != s && strncmp(end, "..", 2) == 0) {
        const char *second = end + 2;
        hi = strtol(second, &end, 10);
        if (end == second || *end || hi < lo)
            lo = 0;
    } else if (*end) {
        lo = 0;
    }
    if (end == s || lo < 1 || lo > 100000 || hi > 100000)
        return diag_add(e->diag, &n->pos, "cores must be a number, \"2..8\" or \"4..\", not '%s'", s);
    t->cores_min = (int)lo;
    t->cores_max = (int)hi;
    return true;
}

static bool set_memory(struct experiment *e, struct task *t, const struct yaml_node *n)
{
    static const struct {
        const char *name;
        double bytes;
    } unit[] = {{"", 1},     {"B", 1},    {"KiB", 1024.0}, {"MiB", 1048576.0},      {"GiB", 1073741824.0},
                {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},     {"TiB", 1099511627776.0}};
    char *end = NULL;
    const char *s = n->kind == YAML_SCALAR ? n->text : "";
    double x = strtod(s, &end);
    for (size_t i = 0; end != s && x > 0 && i < sizeof unit / sizeof *unit; i++)
        if (strcmp(end, unit[i].name) == 0 && x * unit[i].bytes < 1e18) {
            t->memory = (int64_t)(x * unit[i].bytes);
            return true;
        }
    return diag_add(e->diag, &n->pos, "memory must be a size such as 6GiB, not '%s'", s);
}

static void set_resources(struct experiment *e, struct instance *in, const struct yaml_node *node)
{
    struct yaml_node *r = vars_resolve(e->arena, e->diag, &in->scope, node);
    if (!r)
        return;
    if (r->kind != YAML_MAP)
        diag_add(e->diag, &r->pos, "resources: takes a map of cores and memory");
    for (int i = 0; r->kind == YAML_MAP && i < r->n; i++) {
        const char *key = r->key[i]->text;
        if (strcmp(key, "cores") == 0)
            set_cores(e, in->task, r->item[i]);
        else if (strcmp(key, "memory") == 0)
            set_memory(e, in->task, r->item[i]);
        else
            diag_add(e->diag, &r->key[i]->pos, "unknown resource '%s': there are cores and memory", key);
    }
}

static void set_label(struct experiment *e, struct instance *in, const struct yaml_node *node)
{
    struct yaml_node *label = vars_resolve(e->arena, e->diag, &in->scope, node);
    if (!label)
        return;
    if (label->kind != YAML_SCALAR || !*label->text)
        diag_add(e->diag, &node->pos, "private: takes the name of a client");
    else
        in->task->label = label->text;
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
    const struct yaml_node *with = yaml_get(d->node, "with");
    struct error err = {0};
    if (set_all(e, in, with, pos) && s->check && !s->check(t->params, &err)) {
        error_context(&err, "stage '%s'", s->name);
        diag_take(e->diag, &err, with ? &with->pos : &t->pos);
    }
}

void params_set(struct experiment *e, const struct decl *d, struct instance *in)
{
    const struct yaml_node *r = yaml_get(d->node, "resources"), *label = yaml_get(d->node, "private");
    if (!in->task->stage->command)
        set_with(e, d, in);
    if (r)
        set_resources(e, in, r);
    if (label)
        set_label(e, in, label);
}
