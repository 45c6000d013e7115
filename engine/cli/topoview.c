#include "engine/cli/topoview.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "engine/cli/units.h"
#include <stdio.h>
#include <string.h>

struct view {
    const struct topo *topo;
    const json_t *tasks;
};

static const struct topo_object *object_of(const struct view *v, const json_t *task)
{
    return topo_find(v->topo, json_string_or(task, "cpuset", ""));
}

/* Does a task run in o and nowhere else? */
static bool at_work(const struct view *v, const struct topo_object *o)
{
    size_t i;
    json_t *task;
    json_array_foreach(v->tasks, i, task)
    {
        const struct topo_object *at = object_of(v, task);
        if (at && at->first >= o->first && at->first + at->n <= o->first + o->n)
            return true;
    }
    return false;
}

static bool same(const struct topo_object *a, const struct topo_object *b)
{
    if (strcmp(a->type, b->type) != 0 || a->threads != b->threads || a->size != b->size ||
        a->memory != b->memory || (a->memory_node < 0) != (b->memory_node < 0))
        return false;
    const struct topo_object *c = a->child, *d = b->child;
    while (c && d && same(c, d))
        c = c->next, d = d->next;
    return !c && !d;
}

/* How many siblings from o on are one line. */
static int alike(const struct view *v, const struct topo_object *o)
{
    int n = 1;
    bool leaf = !o->child;
    if (!leaf && at_work(v, o))
        return 1;
    for (const struct topo_object *c = o->next; c && same(o, c) && (leaf || !at_work(v, c)); c = c->next)
        n++;
    return n;
}

/* "package 0 (64 GiB)"; by its type alone when it stands for several. */
static void add_name(struct buf *line, const struct topo_object *o, bool alone)
{
    char size[UNITS_MAX], memory[UNITS_MAX];
    bool node = o->memory_node >= 0 && strcmp(o->type, "NUMA node") != 0 && o->parent;
    buf_puts(line, alone ? o->name : o->type);
    if (o->size)
        buf_printf(line, " (%s)", bytes_text(o->size, size));
    if (node && alone)
        buf_printf(line, ", NUMA node %d", o->memory_node);
    else if (node)
        buf_puts(line, ", NUMA node");
    if (o->memory && o->parent)
        buf_printf(line, " (%s)", bytes_text(o->memory, memory));
}

/* ": 4 x core (2 threads), 8 x core" */
static void add_cores(struct buf *line, const struct view *v, const struct topo_object *o)
{
    const char *separator = ": ";
    for (const struct topo_object *c = o->child; c;) {
        int n = alike(v, c);
        if (!c->child) {
            buf_printf(line, "%s%d x %s", separator, n, c->type);
            if (c->threads > 1)
                buf_printf(line, " (%d threads)", c->threads);
            separator = ", ";
        }
        for (; n > 0; n--)
            c = c->next;
    }
}

static void print_tasks(const struct view *v, const struct topo_object *o, int indent)
{
    size_t i;
    json_t *task;
    json_array_foreach(v->tasks, i, task)
    {
        char spent[UNITS_MAX];
        if (object_of(v, task) == o)
            printf("%*s> %s on %s for %s (run %s)\n", indent, "", json_string_or(task, "task", ""),
                   json_string_or(task, "cpuset", ""), seconds_text(json_real_or(task, "seconds", 0), spent),
                   json_string_or(task, "run", ""));
    }
}

/* An object alone in the one above it stands on its line. */
static void print_object(const struct view *v, const struct topo_object *o, int n, int indent)
{
    AUTO(buf) struct buf line = {0};
    if (n > 1)
        buf_printf(&line, "%d x ", n);
    add_name(&line, o, n == 1);
    while (o->parent && o->child && !o->child->next && o->child->child) {
        buf_puts(&line, ", ");
        add_name(&line, o = o->child, n == 1);
    }
    add_cores(&line, v, o);
    printf("%*s%s\n", indent, "", buf_str(&line));
    print_tasks(v, o, indent + 2);
    for (const struct topo_object *c = o->child; c;) {
        int many = c->child ? alike(v, c) : 1;
        if (c->child)
            print_object(v, c, many, indent + 2);
        else
            print_tasks(v, c, indent + 2); /* on one core */
        for (; many > 0; many--)
            c = c->next;
    }
}

/* "2 cores, 23.5 GiB of memory; 1 at work", then the tree. */
void topoview_print(const struct topo *t, const json_t *tasks)
{
    const struct view v = {t, tasks};
    char memory[UNITS_MAX];
    int busy = 0;
    size_t i;
    json_t *task;
    json_array_foreach(tasks, i, task) busy += object_of(&v, task) ? (int)json_int_or(task, "cores", 0) : 0;
    printf("%d core%s", topo_cores(t), topo_cores(t) == 1 ? "" : "s");
    if (topo_memory(t))
        printf(", %s of memory", bytes_text(topo_memory(t), memory));
    if (json_array_size(tasks))
        printf("; %d at work", busy);
    printf("\n");
    print_object(&v, topo_root(t), 1, 0);
    json_array_foreach(tasks, i, task) if (*json_string_or(task, "cpuset", "") && !object_of(&v, task))
        printf("> %s on %s, which this process may not use (run %s)\n", json_string_or(task, "task", ""),
               json_string_or(task, "cpuset", ""), json_string_or(task, "run", ""));
}

json_t *topoview_json(const struct topo *t, const struct topo_object *o)
{
    AUTO(mem) char *cpuset = topo_cpuset(t, o);
    json_t *ret =
        json_pack("{s:s, s:s, s:i, s:s}", "type", o->type, "name", o->name, "cores", o->n, "cpuset", cpuset);
    json_t *children = json_array();
    if (o->size)
        json_object_set_new(ret, "size", json_integer((json_int_t)o->size));
    if (o->memory_node >= 0)
        json_object_update_new(
            ret, json_pack("{s:i, s:I}", "node", o->memory_node, "memory", (json_int_t)o->memory));
    for (const struct topo_object *c = o->child; c; c = c->next)
        if (c->child)
            json_array_append_new(children, topoview_json(t, c));
        else if (c->threads > 1)
            json_object_set_new(ret, "threads", json_integer(c->threads));
    if (json_array_size(children))
        json_object_set(ret, "children", children);
    json_decref(children);
    return ret;
}
