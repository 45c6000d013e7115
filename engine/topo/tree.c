/* Our tree of hwloc's: what divides the machine, with cores as leaves. Memory nodes need no place of their
 * own in it, as hwloc hangs each under an object of the same CPUs. */
#include "base/mem.h"
#include "engine/topo/topo_impl.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const names[HWLOC_OBJ_TYPE_MAX] = {
    [HWLOC_OBJ_MACHINE] = "machine", [HWLOC_OBJ_PACKAGE] = "package", [HWLOC_OBJ_DIE] = "die",
    [HWLOC_OBJ_CORE] = "core",       [HWLOC_OBJ_PU] = "CPU",          [HWLOC_OBJ_L1CACHE] = "L1",
    [HWLOC_OBJ_L2CACHE] = "L2",      [HWLOC_OBJ_L3CACHE] = "L3",      [HWLOC_OBJ_L4CACHE] = "L4",
    [HWLOC_OBJ_L5CACHE] = "L5",      [HWLOC_OBJ_GROUP] = "group"};

static void name(const struct topo *t, struct topo_object *o, hwloc_obj_t h)
{
    bool cache = hwloc_obj_type_is_cache(h->type), node = h->type == HWLOC_OBJ_GROUP && o->memory_node >= 0;
    o->type = node ? "NUMA node" : names[h->type] ? names[h->type] : hwloc_obj_type_string(h->type);
    o->size = cache && t->knows_sizes ? (int64_t)h->attr->cache.size : 0;
    if (!h->parent)
        snprintf(o->name, sizeof o->name, "%s", o->type);
    else
        snprintf(o->name, sizeof o->name, "%s %s%u", o->type, cache ? "#" : "",
                 node ? (unsigned)o->memory_node : h->logical_index);
}

static void add_memory(const struct topo *t, struct topo_object *o, hwloc_obj_t h)
{
    for (hwloc_obj_t m = h->memory_first_child; m; m = m->next_sibling) {
        add_memory(t, o, m); /* below a cache of the memory's own */
        if (m->type != HWLOC_OBJ_NUMANODE)
            continue;
        o->memory += t->knows_memory ? (int64_t)m->attr->numanode.local_memory : 0;
        if (o->memory_node < 0)
            o->memory_node = (int)m->os_index;
    }
}

static struct node *add(struct topo *t, hwloc_obj_t h, struct node *parent, bool threads)
{
    struct node *n = &t->node[t->n_nodes++];
    *n = (struct node){.o = {.parent = parent ? &parent->o : NULL, .first = t->n_cores, .memory_node = -1},
                       .level = h->depth,
                       .nodes = h->nodeset};
    add_memory(t, &n->o, h);
    name(t, &n->o, h);
    if (h->type == HWLOC_OBJ_PU || (h->type == HWLOC_OBJ_CORE && !threads)) {
        n->o.cpu = hwloc_bitmap_first(h->cpuset);
        n->o.threads = hwloc_bitmap_weight(h->cpuset);
        for (int cpu = n->o.cpu; cpu >= 0; cpu = hwloc_bitmap_next(h->cpuset, cpu))
            t->core_of[cpu] = t->n_cores;
        t->core[t->n_cores++] = n;
    } else {
        const struct topo_object **link = &n->o.child;
        n->flat = true;
        for (hwloc_obj_t c = h->first_child; c; c = c->next_sibling) {
            const struct node *child = add(t, c, n, threads);
            *link = &child->o;
            link = &((struct node *)(uintptr_t)child)->o.next;
            n->flat = n->flat && !child->o.child;
        }
    }
    n->o.n = n->free = t->n_cores - n->o.first;
    return n;
}

static bool has_memory(const struct node *o)
{
    bool has = o->o.memory_node >= 0;
    for (const struct node *c = node_child(o); c && !has; c = node_next(c))
        has = has_memory(c);
    return has;
}

/* The deepest objects with memory, and what lies beside them: together all cores. */
static void add_domains(struct topo *t, struct node *o)
{
    bool deeper = false;
    for (const struct node *c = node_child(o); c && !deeper; c = node_next(c))
        deeper = has_memory(c);
    if (!deeper)
        t->domain[t->n_domains++] = o;
    else
        for (struct node *c = node_child(o); c; c = node_next(c))
            add_domains(t, c);
}

bool tree_build(struct topo *t, bool threads)
{
    int objects = 0, last = hwloc_bitmap_last(hwloc_topology_get_topology_cpuset(t->hwloc));
    for (int depth = 0; depth < hwloc_topology_get_depth(t->hwloc); depth++)
        objects += (int)hwloc_get_nbobjs_by_depth(t->hwloc, depth);
    if (last < 0 || last >= TOPO_CPUS)
        return false;
    t->n_cpus = last + 1;
    t->node = xcalloc((size_t)objects, sizeof *t->node);
    t->core = xcalloc((size_t)objects, sizeof(struct node *));
    t->domain = xcalloc((size_t)objects, sizeof(struct node *));
    t->list = xcalloc((size_t)objects, sizeof(struct node *));
    t->core_of = xcalloc((size_t)t->n_cpus, sizeof *t->core_of);
    for (int cpu = 0; cpu < t->n_cpus; cpu++)
        t->core_of[cpu] = -1;
    add(t, hwloc_get_root_obj(t->hwloc), NULL, threads);
    add_domains(t, t->node);
    return t->n_cores > 0;
}

void tree_done(struct topo *t)
{
    free(t->node);
    free(t->core);
    free(t->domain);
    free(t->list);
    free(t->core_of);
}

const struct node *tree_around(const struct node *o, int core)
{
    while (core < o->o.first || core >= o->o.first + o->o.n)
        o = node_parent(o);
    return o;
}

const struct topo_object *topo_root(const struct topo *t)
{
    return &t->node->o;
}

struct found {
    const struct topo *topo;
    const struct node *object; /* NULL at first */
};

static void find_range(void *arg, int first, int last)
{
    struct found *f = arg;
    for (int cpu = first; cpu <= last && cpu < f->topo->n_cpus; cpu++) {
        int core = f->topo->core_of[cpu];
        if (core >= 0)
            f->object = tree_around(f->object ? f->object : f->topo->core[core], core);
    }
}

const struct topo_object *topo_find(const struct topo *t, const char *cpuset)
{
    struct found f = {.topo = t};
    return list_read(cpuset, "CPU", TOPO_CPUS, find_range, &f, NULL) && f.object ? &f.object->o : NULL;
}

char *topo_cpuset(const struct topo *t, const struct topo_object *o)
{
    hwloc_bitmap_zero(t->set);
    for (int i = o->first; i < o->first + o->n; i++)
        hwloc_bitmap_set(t->set, (unsigned)t->core[i]->o.cpu);
    return list_text(t->set);
}
