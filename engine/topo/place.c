/* Where tasks go: taking cores out of the tree, and giving them back. The free cores are counted at every
 * object, so that a search leaves out at once what has too few. */
#include "base/mem.h"
#include "engine/topo/topo_impl.h"
#include <assert.h>

struct place {
    struct place *next, *previous;
    const struct node *object;
    int *core; /* (n) */
    int n;
    char *cpuset, *nodes;
};

/* Cores have become free, or are no longer; siblings are counted at once in what lies around them. */
static void set_free(struct topo *t, const int *core, int n, bool is_free)
{
    for (int i = 0, begin = 0; i < n; begin = i) {
        struct node *around = node_parent(t->core[core[i]]);
        for (; i < n && node_parent(t->core[core[i]]) == around; i++)
            t->core[core[i]]->free = is_free;
        for (; around; around = node_parent(around))
            around->free += is_free ? i - begin : begin - i;
    }
}

/* Up to n free cores of an object, those near first. */
static void take_cores(struct topo *t, const struct node *o, int n, struct place *p)
{
    for (int near = o->near > 0; near >= 0 && n > 0; near--) {
        const int *taken = p->core + p->n;
        int left = n;
        for (int i = o->o.first; i < o->o.first + o->o.n && left > 0; i++)
            if (t->core[i]->free && (!near || t->core[i]->near)) {
                p->core[p->n++] = i;
                left--;
            }
        set_free(t, taken, n - left, false);
        n = left;
    }
}

/* ---- near ---- */

static void mark_range(void *arg, int first, int last)
{
    struct topo *t = arg;
    for (int cpu = first; cpu <= last && cpu < t->n_cpus; cpu++) {
        struct node *core = t->core_of[cpu] < 0 ? NULL : t->core[t->core_of[cpu]];
        for (struct node *o = core && !core->near ? core : NULL; o; o = node_parent(o))
            o->near++;
    }
}

static void unmark_range(void *arg, int first, int last)
{
    struct topo *t = arg;
    for (int cpu = first; cpu <= last && cpu < t->n_cpus; cpu++)
        for (struct node *o = t->core_of[cpu] < 0 ? NULL : t->core[t->core_of[cpu]]; o && o->near;
             o = node_parent(o))
            o->near = 0;
}

/* A text that is no list marks what stands before its fault: it is a wish only. */
static void near_cores(struct topo *t, const char *near, void (*see)(void *arg, int first, int last))
{
    if (near && *near)
        (void)!list_read(near, "CPU", TOPO_CPUS, see, t, NULL);
}

/* 1 when a is nearer than b, -1 when b is, by the smallest objects around each that differ in it. */
static int nearer(const struct node *a, const struct node *b)
{
    for (; a && b && a != b; a = node_parent(a), b = node_parent(b))
        if (a->near != b->near)
            return a->near > b->near ? 1 : -1;
    return 0;
}

/* ---- compact ---- */

/* What a hole is judged by. Of a core it is the hole around it: one core comes out of the fullest cache. */
static int hole(const struct node *o)
{
    return o->o.child || !o->o.parent ? o->free : node_parent(o)->free;
}

/* Is a better than b for cores that both have? The smaller object, then the smaller hole, then what is near,
 * then the smaller holes around it. */
static bool fits_better(const struct node *a, const struct node *b)
{
    if (a->level != b->level)
        return a->level > b->level;
    if (hole(a) != hole(b))
        return hole(a) < hole(b);
    int near = nearer(a, b);
    if (near)
        return near > 0;
    for (; a && b && a != b; a = node_parent(a), b = node_parent(b))
        if (a->free != b->free)
            return a->free < b->free;
    return false;
}

/* A free core below an object that has only cores below it, one that is near if there is one. */
static struct node *free_core(struct node *o)
{
    struct node *best = NULL;
    for (struct node *c = node_child(o); c && (!best || (o->near && !best->near)); c = node_next(c))
        if (c->free && (!best || c->near))
            best = c;
    return best;
}

/* The best of `best` (NULL: none) and what has n free cores at or below o. */
static struct node *best_fit(struct node *o, int n, struct node *best)
{
    if (o->free < n)
        return best;
    if (!best || fits_better(o, best))
        best = o;
    if (o->flat) {
        struct node *core = n == 1 ? free_core(o) : NULL;
        return core && fits_better(core, best) ? core : best;
    }
    for (struct node *c = node_child(o); c; c = node_next(c))
        best = best_fit(c, n, best);
    return best;
}

static struct node *freest_child(struct node *o)
{
    struct node *best = node_child(o);
    for (struct node *c = best; c; c = node_next(c))
        if (c->free > best->free || (c->free == best->free && nearer(c, best) > 0))
            best = c;
    return best;
}

/* An object with more free cores than are missing has no child that holds them, so it gives its freest child
 * whole (the fewest children take part) and the rest is again the best fit inside it. */
static void take_compact(struct topo *t, int n, struct place *p)
{
    struct node *o = t->node;
    while (p->n < n) {
        int missing = n - p->n;
        o = best_fit(o, missing, NULL);
        bool last = o->free == missing || o->flat || !o->o.child;
        take_cores(t, last ? o : freest_child(o), missing, p);
    }
}

/* ---- spread ---- */

/* Of two objects with as many taken: does a come first? What lies in an object of which less is taken, then
 * what has more free, then what is near. */
static bool first_of(const struct node *a, const struct node *b)
{
    const struct node *x = node_parent(a), *y = node_parent(b);
    for (; x && y && x != y; x = node_parent(x), y = node_parent(y))
        if (x->quota != y->quota)
            return x->quota < y->quota;
    return a->free != b->free ? a->free > b->free : nearer(a, b) > 0;
}

/* around: of what lies around the item, too. */
static void give(struct node *item, bool around)
{
    for (struct node *o = item; o; o = around ? node_parent(o) : NULL)
        o->quota++;
}

/* Deal n cores out to m objects, which have them: whole rounds first, then one at a time to the best. */
static void deal(struct node *const *item, int m, int n, bool around)
{
    int round = 0;
    for (int able;; round++, n -= able) {
        able = 0;
        for (int i = 0; i < m; i++)
            able += item[i]->free > round;
        if (n < able || n == 0)
            break;
        for (int i = 0; i < m; i++)
            if (item[i]->free > round)
                give(item[i], around);
    }
    for (; n > 0; n--) {
        struct node *best = NULL;
        for (int i = 0; i < m; i++)
            if (item[i]->free > round && item[i]->quota == round && (!best || first_of(item[i], best)))
                best = item[i];
        give(best, around);
    }
}

/* Take its quota from an object, whose children lie in the list from `used` on meanwhile. */
static void take_quota(struct topo *t, struct node *o, int used, struct place *p)
{
    int n = o->quota, m = 0;
    struct node **child = t->list + used;
    o->quota = 0;
    if (n == 0)
        return;
    if (o->flat || !o->o.child) {
        take_cores(t, o, n, p);
        return;
    }
    for (struct node *c = node_child(o); c; c = node_next(c))
        child[m++] = c;
    deal(child, m, n, false);
    for (int i = 0; i < m; i++)
        take_quota(t, child[i], used + m, p);
}

static void take_spread(struct topo *t, int n, struct place *p)
{
    deal(t->domain, t->n_domains, n, true);
    for (int i = 0; i < t->n_domains; i++)
        for (struct node *o = node_parent(t->domain[i]); o && o->quota; o = node_parent(o))
            o->quota = 0;
    for (int i = 0; i < t->n_domains; i++)
        take_quota(t, t->domain[i], 0, p);
}

/* ---- places ---- */

static void describe(struct topo *t, struct place *p)
{
    const struct node *o = t->core[p->core[0]], *before = NULL;
    hwloc_bitmap_zero(t->set);
    for (int i = 0; i < p->n; i++) {
        hwloc_bitmap_set(t->set, (unsigned)t->core[p->core[i]]->o.cpu);
        o = tree_around(o, p->core[i]);
    }
    p->object = o;
    p->cpuset = list_text(t->set);
    hwloc_bitmap_zero(t->set);
    for (int i = 0; i < p->n; i++) {
        const struct node *core = t->core[p->core[i]];
        if (node_parent(core) != before || core->o.memory_node >= 0) /* siblings share what is around them */
            hwloc_bitmap_or(t->set, t->set, core->nodes);
        before = node_parent(core);
    }
    p->nodes = list_text(t->set);
}

struct place *topo_reserve(struct topo *t, int n, enum topo_policy policy, const char *near)
{
    assert(n >= 1);
    if (n > t->node->free)
        return NULL;
    struct place *p = xcalloc(1, sizeof *p);
    p->core = xcalloc((size_t)n, sizeof *p->core);
    near_cores(t, near, mark_range);
    if (policy == TOPO_SPREAD)
        take_spread(t, n, p);
    else
        take_compact(t, n, p);
    near_cores(t, near, unmark_range);
    describe(t, p);
    p->next = t->places;
    if (p->next)
        p->next->previous = p;
    t->places = p;
    return p;
}

void topo_release(struct topo *t, struct place *p)
{
    if (!p)
        return;
    if (p->next)
        p->next->previous = p->previous;
    *(p->previous ? &p->previous->next : &t->places) = p->next;
    set_free(t, p->core, p->n, true);
    free(p->cpuset);
    free(p->nodes);
    free(p->core);
    free(p);
}

int place_cores(const struct place *p)
{
    return p->n;
}

const char *place_cpuset(const struct place *p)
{
    return p->cpuset;
}

const char *place_nodes(const struct place *p)
{
    return p->nodes;
}

const char *place_object(const struct place *p)
{
    return p->object->o.name;
}
