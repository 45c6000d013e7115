/* Tasks in topological order: depth first along the inputs, in the order of the file, so that a file that is
 * written from sources to results keeps its order. The stack is explicit: a chain may be long. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"

enum mark { NEW, OPEN, CLOSED };
struct walk { /* one open task and where it is in its inputs */
    struct task *task;
    int port, ref;
};

/* The next input of w, NULL at the end. */
static struct task *next_input(struct walk *w)
{
    const struct task *t = w->task;
    int ports = stage_port_count(t->stage->inputs);
    for (; t->inputs && w->port < ports; w->port++, w->ref = 0)
        if (w->ref < t->inputs[w->port].n)
            return t->inputs[w->port].ref[w->ref++].task;
    return NULL;
}

static bool report_cycle(struct experiment *e, const struct walk *stack, int n, const struct task *again)
{
    AUTO(buf) struct buf path = {0};
    int i = n - 1;
    buf_puts(&path, again->name);
    do /* along the data: an input comes before its user */
        buf_printf(&path, " -> %s", stack[i].task->name);
    while (stack[i--].task != again);
    return diag_add(e->diag, &again->pos, "tasks need each other in a cycle: %s", buf_str(&path));
}

/* Append root after everything it needs. While tasks are numbered, task->index is their mark. */
static bool visit(struct experiment *e, struct spec *s, struct task *root, enum mark *mark,
                  struct walk *stack)
{
    int n = 0;
    if (mark[root->index] != NEW)
        return true;
    mark[root->index] = OPEN;
    stack[n++] = (struct walk){.task = root};
    while (n > 0) {
        struct task *in = next_input(&stack[n - 1]);
        if (!in) {
            struct task *done = stack[--n].task;
            mark[done->index] = CLOSED;
            s->task[s->n++] = done;
        } else if (mark[in->index] == OPEN) {
            return report_cycle(e, stack, n, in);
        } else if (mark[in->index] == NEW) {
            mark[in->index] = OPEN;
            stack[n++] = (struct walk){.task = in};
        }
    }
    return true;
}

bool graph_order(struct experiment *e, struct spec *s)
{
    AUTO(mem) enum mark *mark = xcalloc((size_t)e->tasks + 1, sizeof *mark);
    AUTO(mem) struct walk *stack = xcalloc((size_t)e->tasks + 1, sizeof *stack);
    s->task = arena_alloc(e->arena, (size_t)(e->tasks + 1) * sizeof *s->task);
    int number = 0;
    for (int i = 0; i < e->n; i++)
        for (int k = 0; k < e->decl[i].n; k++)
            e->decl[i].instance[k].task->index = number++;
    for (int i = 0; i < e->n; i++)
        for (int k = 0; e->decl[i].stage && k < e->decl[i].n; k++)
            if (!visit(e, s, e->decl[i].instance[k].task, mark, stack))
                return false;
    for (int i = 0; i < s->n; i++)
        s->task[i]->index = i;
    return true;
}
