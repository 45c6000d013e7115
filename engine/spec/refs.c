/* in: references -> edges between tasks' ports. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

struct refs { /* of one port, while they are collected */
    struct task_ref *item;
    size_t n, cap;
};
struct parsed { /* "name[x,y].port" */
    const char *name, *port;
    char *coord; /* "x,y", NULL without brackets */
};

static bool parse(struct arena *a, const char *text, struct parsed *p)
{
    char *copy = arena_strdup(a, text), *s = copy + strcspn(copy, "[.");
    *p = (struct parsed){.name = copy};
    if (*s == '[') {
        *s++ = '\0';
        p->coord = s;
        s += strcspn(s, "]");
        if (*s != ']')
            return false;
        *s++ = '\0';
    }
    if (*s == '.') {
        *s++ = '\0';
        p->port = s;
        s += strlen(s);
        if (!*p->port)
            return false;
    }
    return *p->name && !*s;
}

/* The declaration that `from` means by a name: in a sweep the variant that belongs to its own. */
static const struct decl *find_decl(struct experiment *e, const struct decl *from, const char *name,
                                    const struct pos *pos)
{
    int at = lookup_get(&e->decls, name);
    if (at >= 0)
        return &e->decl[from->row ? from->row[at] : at];
    AUTO(mem) const char **names = xcalloc((size_t)e->bases, sizeof *names);
    for (int i = 0; i < e->bases; i++)
        names[i] = e->base[i];
    const char *near = diag_full(e->diag) ? NULL : nearest_name(names, (size_t)e->bases, name);
    diag_unknown(e->diag, pos, near, "there is no '%s' in stages:", name);
    return NULL;
}

/* The instance whose coordinates are spelled out; NULL: there is a * among them, or it does not exist. */
static const struct instance *exact(const struct experiment *e, const struct decl *d, const struct parsed *p,
                                    ptrdiff_t near)
{
    /* of two foreach over one list the n-th goes with the n-th */
    const struct instance *same = near < d->n ? &d->instance[near] : NULL;
    if (same && same->n_coord == 1 && strcmp(same->coord[0], p->coord) == 0)
        return same;
    char name[512];
    int n = snprintf(name, sizeof name, "%s[%s]%s", p->name, p->coord, d->suffix ? d->suffix : "");
    int at = n > 0 && n < (int)sizeof name ? lookup_get(&e->instances, name) : -1;
    return at < 0 ? NULL : &d->instance[at];
}

/* A program's input takes anything; an output of type ANY is one whose type was wrong, which was said. */
static bool fits(enum artifact wanted, enum artifact type)
{
    return wanted == type || wanted == ARTIFACT_ANY || type == ARTIFACT_ANY;
}

static int find_output(const struct stage *s, enum artifact type, const char *port, int *count)
{
    int found = -1;
    *count = 0;
    for (int i = 0; s->outputs && s->outputs[i].name; i++)
        if (fits(type, s->outputs[i].type) && (!port || strcmp(s->outputs[i].name, port) == 0)) {
            found = i;
            ++*count;
        }
    return found;
}

static bool no_output(struct experiment *e, const struct task *t, const struct port *in,
                      const struct task *from, const char *port, const struct pos *pos, enum artifact wanted)
{
    const struct stage *s = from->stage;
    if (port && wanted == in->type)
        return diag_add(
            e->diag, pos, "output '%s' of '%s' (stage %s) is %s, but input '%s' of stage %s takes %s", port,
            from->name, s->name, artifact_name(s->outputs[stage_port_index(s->outputs, port)].type), in->name,
            t->stage->name, artifact_name(wanted));
    if (stage_port_count(s->outputs) == 0)
        return diag_add(e->diag, pos, "'%s' has no outputs, and input '%s' of stage %s needs one", from->name,
                        in->name, t->stage->name);
    return diag_add(e->diag, pos, "'%s' (stage %s) makes no %s, which input '%s' of stage %s takes",
                    from->name, s->name, artifact_name(wanted), in->name, t->stage->name);
}

static bool unknown_output(struct experiment *e, const struct task *from, const char *port,
                           const struct pos *pos)
{
    int n = stage_port_count(from->stage->outputs);
    AUTO(mem) const char **names = xcalloc((size_t)n + 1, sizeof *names);
    for (int i = 0; i < n; i++)
        names[i] = from->stage->outputs[i].name;
    const char *near = n == 1 ? names[0] : nearest_name(names, (size_t)n, port);
    return diag_unknown(e->diag, pos, near, "'%s' (stage %s) has no output '%s'", from->name,
                        from->stage->name, port);
}

static bool several_outputs(struct experiment *e, const struct task *from, enum artifact wanted,
                            const struct pos *pos)
{
    AUTO(buf) struct buf type = {0};
    if (wanted != ARTIFACT_ANY)
        buf_printf(&type, " of type %s", artifact_name(wanted));
    return diag_add(e->diag, pos, "'%s' (stage %s) has several outputs%s: name one as %s.OUTPUT", from->name,
                    from->stage->name, buf_str(&type), from->name);
}

/* One edge: the producer's only output of the wanted type (or the one named), and the second artifact
 * likewise. */
static bool connect(struct experiment *e, const struct task *t, const struct port *in,
                    const struct task *from, const char *port, const struct pos *pos, struct refs *refs)
{
    int count, also = -1;
    if (port && stage_port_index(from->stage->outputs, port) < 0)
        return unknown_output(e, from, port, pos);
    int output = find_output(from->stage, in->type, port, &count);
    if (count == 1 && in->also)
        also = find_output(from->stage, in->also, NULL, &count);
    if (count == 0)
        return no_output(e, t, in, from, port, pos, output < 0 ? in->type : in->also);
    if (count > 1)
        return several_outputs(e, from, in->type, pos);
    refs->item = xgrow(refs->item, &refs->cap, refs->n + 1, sizeof *refs->item);
    refs->item[refs->n++] =
        (struct task_ref){.task = (struct task *)from, .output = output, .output_also = also};
    return true;
}

static void list_instances(const struct decl *d, struct buf *out)
{
    for (int i = 0; i < d->n && i < 6; i++)
        buf_printf(out, "%s%s", i ? ", " : "", d->instance[i].task->name);
    if (d->n > 6)
        buf_puts(out, ", ...");
}

/* All tasks that one reference names; false after a diagnostic, here or where the named stage is declared. */
static bool add_reference(struct experiment *e, const struct decl *from, ptrdiff_t near, const struct task *t,
                          const struct port *in, const struct yaml_node *node, struct refs *refs)
{
    struct parsed p = {0};
    bool ok = node->kind == YAML_SCALAR && parse(e->scratch, node->text, &p);
    if (!ok)
        return diag_add(e->diag, &node->pos,
                        "a reference looks like name, name[item], name[*] or name.output");
    const struct decl *d = find_decl(e, from, p.name, &node->pos);
    if (!d || !d->stage || !d->n)
        return false;
    bool group = d->instance[0].n_coord > 0;
    if (group && !p.coord)
        return diag_add(e->diag, &node->pos, "'%s' is a group of tasks: write %s[item] or %s[*]", p.name,
                        p.name, p.name);
    if (!group && p.coord)
        return diag_add(e->diag, &node->pos, "'%s' is one task, not a group: write %s", p.name, p.name);
    const struct instance *one = group ? exact(e, d, &p, near) : NULL;
    if (one)
        return connect(e, t, in, one->task, p.port, &node->pos, refs);
    struct selector chosen;
    if (group && !select_parse(e, d, p.coord, &node->pos, &chosen))
        return false;
    int found = 0;
    for (int i = 0; i < d->n; i++)
        if (!group || select_has(&chosen, &d->instance[i])) {
            found++;
            ok = connect(e, t, in, d->instance[i].task, p.port, &node->pos, refs) && ok;
        }
    if (found)
        return ok;
    AUTO(buf) struct buf there = {0};
    list_instances(d, &there);
    return diag_add(e->diag, &node->pos, "'%s' matches no task: there is %s", node->text, buf_str(&there));
}

static void resolve_port(struct experiment *e, const struct decl *d, struct instance *in, int index,
                         const struct yaml_node *key, const struct yaml_node *written)
{
    struct task *t = in->task;
    const struct port *port = &t->stage->inputs[index];
    struct yaml_node *value = vars_resolve(e->scratch, e->diag, &in->scope, written);
    if (!value)
        return;
    struct refs refs = {0};
    bool ok = true, list = value->kind == YAML_LIST;
    for (int i = 0; i < (list ? value->n : 1); i++)
        ok = add_reference(e, d, in - d->instance, t, port, list ? value->item[i] : value, &refs) && ok;
    if (!port->many && refs.n > 1)
        diag_add(e->diag, &written->pos, "input '%s' of stage %s takes one artifact, not %zu", port->name,
                 t->stage->name, refs.n);
    if (refs.n == 0 && ok)
        diag_add(e->diag, &key->pos, "input '%s' is connected to nothing", port->name);
    t->inputs[index].ref = arena_alloc(e->arena, (refs.n + 1) * sizeof *refs.item);
    if (refs.n)
        memcpy(t->inputs[index].ref, refs.item, refs.n * sizeof *refs.item);
    t->inputs[index].n = (int)refs.n;
    free(refs.item);
}

static void unknown_port(struct experiment *e, const struct task *t, const struct yaml_node *key)
{
    int n = stage_port_count(t->stage->inputs);
    if (n == 0) {
        diag_add(e->diag, &key->pos, "stage '%s' takes no inputs", t->stage->name);
        return;
    }
    AUTO(mem) const char **names = xcalloc((size_t)n + 1, sizeof *names);
    for (int i = 0; i < n; i++)
        names[i] = t->stage->inputs[i].name;
    const char *near = nearest_name(names, (size_t)n, key->text);
    if (!near && n == 1)
        near = names[0];
    diag_unknown(e->diag, &key->pos, near, "stage '%s' has no input '%s'", t->stage->name, key->text);
}

static void missing(struct experiment *e, const struct decl *d, const struct task *t, const struct port *port)
{
    const struct yaml_node *later = yaml_get(yaml_get(d->node, "in"), port->name);
    if (later)
        diag_add(
            e->diag, &later->pos,
            "stage '%s' needs the input '%s' in the first round, too, where there is no ${previous}: say "
            "in first: what it takes",
            t->stage->name, port->name);
    else
        diag_add(e->diag, &t->pos, "stage '%s' needs the input '%s'%s%s", t->stage->name, port->name,
                 port->doc ? ": " : "", port->doc ? port->doc : "");
}

void refs_resolve(struct experiment *e, const struct decl *d, struct instance *in)
{
    struct task *t = in->task;
    int n = stage_port_count(t->stage->inputs);
    t->inputs = arena_alloc(e->arena, (size_t)(n + 1) * sizeof *t->inputs);
    const struct yaml_node *node = rounds_inputs(e, d, in);
    if (node && node->kind != YAML_MAP) {
        diag_add(e->diag, &node->pos, "in: takes a map from inputs to references");
        return;
    }
    for (int i = 0; node && i < node->n; i++) {
        int index = stage_port_index(t->stage->inputs, node->key[i]->text);
        if (index < 0)
            unknown_port(e, t, node->key[i]);
        else
            resolve_port(e, d, in, index, node->key[i], node->item[i]);
    }
    for (int i = 0; i < n; i++)
        if (!t->stage->inputs[i].optional && !(node && yaml_get(node, t->stage->inputs[i].name)))
            missing(e, d, t, &t->stage->inputs[i]);
}
