#include "engine/exec/targets.h"
#include "base/cleanup.h"
#include <string.h>

static bool names(const char *target, const struct task *t)
{
    size_t stem = strcspn(t->name, "[");
    return strcmp(target, t->name) == 0 || (strlen(target) == stem && strncmp(target, t->name, stem) == 0);
}

/* The nearest name of a task or stage to what names none; NULL when nothing is near. */
static const char *near_target(const struct spec *s, struct arena *a, const char *target)
{
    size_t n = 0;
    const char **list = arena_alloc(a, (2 * (size_t)s->n + 1) * sizeof *list);
    for (int i = 0; i < s->n; i++) {
        const char *name = s->task[i]->name, *bracket = strchr(name, '[');
        list[n++] = name;
        if (bracket)
            list[n++] = arena_printf(a, "%.*s", (int)(bracket - name), name);
    }
    return nearest_name(list, n, target);
}

static bool no_target(const struct spec *s, const char *target, struct error *err)
{
    AUTO(arena) struct arena mem;
    arena_init(&mem);
    const char *near = near_target(s, &mem, target);
    return error_set(err, NULL, ERROR_INPUT, "there is no task or stage '%s' in '%s'%s%s%s", target, s->file,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

const struct task_ref *task_input_at(const struct task *t, int i)
{
    int ports = stage_port_count(t->stage->inputs);
    for (int p = 0; p < ports; i -= t->inputs[p++].n)
        if (i < t->inputs[p].n)
            return &t->inputs[p].ref[i];
    return NULL;
}

bool targets_find(const struct spec *s, const char *const *targets, int n, bool *named, struct error *err)
{
    memset(named, 0, (size_t)s->n * sizeof *named);
    for (int k = 0; k < n; k++) {
        bool found = false;
        for (int i = 0; i < s->n; i++)
            if (names(targets[k], s->task[i]))
                named[i] = found = true;
        if (!found)
            return no_target(s, targets[k], err);
    }
    return true;
}

bool targets_choose(const struct spec *s, const char *const *targets, int n, bool *wanted, struct error *err)
{
    if (!targets_find(s, targets, n, wanted, err))
        return false;
    for (int i = 0; n == 0 && i < s->n; i++)
        wanted[i] = true;
    for (int i = s->n - 1; i >= 0; i--) { /* tasks stand in topological order: one walk back is enough */
        const struct task_ref *ref;
        for (int k = 0; wanted[i] && (ref = task_input_at(s->task[i], k)); k++)
            wanted[ref->task->index] = true;
    }
    return true;
}
