/* Private labels along the edges: an output carries its task's labels unless its port releases them; a task
 * carries its own label and those of its inputs. Two labels in one task, or a label at a port that is not
 * meant for private data, are errors unless privacy.allow names the stage. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

static bool has_label(const struct task *t, const char *label)
{
    for (int i = 0; i < t->n_labels; i++)
        if (strcmp(t->labels[i], label) == 0)
            return true;
    return false;
}

static void add_label(struct experiment *e, struct task *t, const char *label)
{
    if (has_label(t, label))
        return;
    const char **more = arena_alloc(e->arena, (size_t)(t->n_labels + 1) * sizeof *more);
    int at = 0;
    while (at < t->n_labels && strcmp(t->labels[at], label) < 0)
        at++;
    for (int i = 0; i < t->n_labels; i++)
        more[i < at ? i : i + 1] = t->labels[i];
    more[at] = label;
    t->labels = more;
    t->n_labels++;
}

int task_output_labels(const struct task *t, int output, const char *const **ret)
{
    *ret = t->labels;
    return t->stage->outputs[output].releases ? 0 : t->n_labels;
}

bool spec_allows(const struct spec *s, const struct task *t)
{
    size_t n = strcspn(t->name, "[@");
    for (int i = 0; i < s->n_allow; i++)
        if (strlen(s->allow[i]) == n && strncmp(s->allow[i], t->name, n) == 0)
            return true;
    return false;
}

/* Does this edge carry its producer's labels? */
static bool carries(const struct task_ref *r)
{
    const struct port *out = r->task->stage->outputs;
    return !out[r->output].releases || (r->output_also >= 0 && !out[r->output_also].releases);
}

/* An input of t that brings `label` in; NULL when it is t's own. */
static const struct task *bringer(const struct task *t, const char *label)
{
    int ports = stage_port_count(t->stage->inputs);
    for (int p = 0; p < ports; p++)
        for (int i = 0; i < t->inputs[p].n; i++)
            if (carries(&t->inputs[p].ref[i]) && has_label(t->inputs[p].ref[i].task, label))
                return t->inputs[p].ref[i].task;
    return NULL;
}

/* "client[a] -> features -> t": how the label got there. */
static void path_of(const struct task *t, const char *label, struct buf *out)
{
    const struct task *from = t->label && strcmp(t->label, label) == 0 ? NULL : bringer(t, label);
    if (from)
        path_of(from, label, out);
    buf_printf(out, "%s%s", from ? " -> " : "", t->name);
}

bool privacy_allows(const struct experiment *e, const struct decl *d)
{
    for (int i = 0; i < e->n_allow; i++)
        if (strcmp(e->allow[i], d->name) == 0)
            return true;
    return false;
}

static void check_ports(struct experiment *e, const struct task *t)
{
    int ports = stage_port_count(t->stage->inputs);
    for (int p = 0; p < ports; p++)
        for (int i = 0; !t->stage->inputs[p].private_ok && i < t->inputs[p].n; i++) {
            const struct task_ref *r = &t->inputs[p].ref[i];
            if (!carries(r) || r->task->n_labels == 0)
                continue;
            AUTO(buf) struct buf path = {0};
            path_of(r->task, r->task->labels[0], &path);
            diag_add(
                e->diag, &t->pos,
                "private data of '%s' must not reach input '%s' of '%s': %s -> %s (an exception is named in "
                "privacy: {allow: [...]})",
                r->task->labels[0], t->stage->inputs[p].name, t->name, buf_str(&path), t->name);
            return;
        }
}

static void check_labels(struct experiment *e, const struct task *t)
{
    if (t->n_labels < 2)
        return;
    AUTO(buf) struct buf one = {0};
    AUTO(buf) struct buf two = {0};
    path_of(t, t->labels[0], &one);
    path_of(t, t->labels[1], &two);
    diag_add(e->diag, &t->pos,
             "'%s' would see private data of '%s' and of '%s': %s; %s (an exception is named in privacy: "
             "{allow: [...]})",
             t->name, t->labels[0], t->labels[1], buf_str(&one), buf_str(&two));
}

static void inherit(struct experiment *e, struct task *t)
{
    int ports = stage_port_count(t->stage->inputs);
    for (int p = 0; p < ports; p++)
        for (int i = 0; i < t->inputs[p].n; i++) {
            const struct task_ref *r = &t->inputs[p].ref[i];
            for (int k = 0; carries(r) && k < r->task->n_labels; k++)
                add_label(e, t, r->task->labels[k]);
        }
    if (t->label)
        add_label(e, t, t->label);
}

void labels_flow(struct experiment *e, struct spec *s)
{
    for (int i = 0; i < s->n; i++)
        inherit(e, s->task[i]);
    for (int i = 0; i < e->n; i++)
        for (int k = 0; e->decl[i].stage && k < e->decl[i].n && !privacy_allows(e, &e->decl[i]); k++) {
            check_labels(e, e->decl[i].instance[k].task);
            check_ports(e, e->decl[i].instance[k].task);
        }
}
