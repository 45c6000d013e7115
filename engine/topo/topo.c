#include "engine/topo/topo.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

/* The free cores are counted in the topology itself: each object's userdata is the number of free cores below
 * it (of a core: 1 when free). Memory nodes need no case of their own, as hwloc hangs each under an object of
 * the same CPUs. */
struct topo {
    hwloc_topology_t hwloc;
    int depth;          /* the level of the cores, or of the PUs when there are no cores */
    hwloc_bitmap_t set; /* scratch, with room for every CPU: filling it cannot fail */
    struct place *places;
};

struct place {
    struct place *next;
    hwloc_obj_t *core; /* (n) */
    int n;
    char *cpuset;
};

static int free_below(hwloc_obj_t o)
{
    return (int)(intptr_t)o->userdata;
}

static void count(hwloc_obj_t core, int by)
{
    for (hwloc_obj_t o = core; o; o = o->parent)
        o->userdata = (void *)((intptr_t)o->userdata + by);
}

/* The core after `prev` (NULL: the first) below an object. */
static hwloc_obj_t next_core(const struct topo *t, hwloc_obj_t below, hwloc_obj_t prev)
{
    return hwloc_get_next_obj_inside_cpuset_by_depth(t->hwloc, below->cpuset, t->depth, prev);
}

/* hwloc leaves out what our cgroup forbids; this leaves out what our affinity does (taskset, or another
 * weft). It is the calling thread's, which is what workers inherit. */
static bool restrict_to_affinity(hwloc_topology_t h, struct error *err)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    bool ok = set && hwloc_get_cpubind(h, set, HWLOC_CPUBIND_THREAD) == 0 &&
              hwloc_topology_restrict(h, set, 0) == 0;
    if (!ok)
        error_errno(err, "cannot restrict the machine's topology to the CPUs that we may use");
    hwloc_bitmap_free(set);
    return ok;
}

/* hwloc wants the level of the hardware threads; a description that leaves it out means one for each core. */
static bool set_synthetic(hwloc_topology_t h, const char *text)
{
    if (hwloc_topology_set_synthetic(h, text) == 0)
        return true;
    AUTO(mem) char *whole = xprintf("%s pu:1", text);
    return text[strspn(text, " ")] && hwloc_topology_set_synthetic(h, whole) == 0;
}

static bool load(struct topo *t, const char *synthetic, struct error *err)
{
    hwloc_topology_t h = t->hwloc;
    /* Without the first flag hwloc would hop over all CPUs to ask each about itself; the others skip what we
     * never ask. */
    hwloc_topology_set_flags(h, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING | HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
                                    HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
    if (synthetic && !set_synthetic(h, synthetic))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' is no topology: write type:count from the outermost level down to pu, such as "
                         "'pack:2 l3:4 core:8 pu:2'",
                         synthetic);
    if (hwloc_topology_load(h))
        return error_errno(err, "hwloc cannot load the %s topology", synthetic ? "described" : "machine's");
    if (!synthetic && !hwloc_topology_is_thissystem(h))
        return error_set(err, NULL, ERROR_INPUT,
                         "HWLOC_SYNTHETIC, HWLOC_XMLFILE or the like is set and describes another machine");
    if (!synthetic && !restrict_to_affinity(h, err))
        return false;
    t->set = hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(h));
    return t->set || error_errno(err, "no memory for a set of CPUs");
}

bool topo_open(const struct topo_options *o, struct topo **ret, struct error *err)
{
    const char *synthetic = o ? o->source : NULL;
    struct topo *t = xcalloc(1, sizeof *t);
    if (hwloc_topology_init(&t->hwloc)) {
        free(t);
        return error_errno(err, "hwloc does not start");
    }
    if (!load(t, synthetic, err)) {
        topo_close(t);
        return false;
    }
    t->depth = hwloc_get_type_or_below_depth(t->hwloc, HWLOC_OBJ_CORE);
    for (hwloc_obj_t c = NULL; (c = hwloc_get_next_obj_by_depth(t->hwloc, t->depth, c));)
        count(c, 1);
    *ret = t;
    return true;
}

void topo_close(struct topo *t)
{
    if (!t)
        return;
    while (t->places)
        topo_release(t, t->places);
    hwloc_bitmap_free(t->set);
    hwloc_topology_destroy(t->hwloc);
    free(t);
}

int topo_cores(const struct topo *t)
{
    return (int)hwloc_get_nbobjs_by_depth(t->hwloc, t->depth);
}

/* Of two objects of one level, is a the better fit? The fewer free cores the better; when equal the objects
 * around them decide, so that a single core comes out of the fullest cache, not out of an empty one. */
static bool tighter(hwloc_obj_t a, hwloc_obj_t b)
{
    for (; a && b && a != b; a = a->parent, b = b->parent)
        if (free_below(a) != free_below(b))
            return free_below(a) < free_below(b);
    return false;
}

/* The best fit for n cores inside `root`: the deepest level with an object that has them, then the tightest
 * object, then the first. NULL when root has fewer. */
static hwloc_obj_t best_fit(const struct topo *t, hwloc_obj_t root, int n)
{
    for (int depth = t->depth; depth >= 0; depth--) {
        hwloc_obj_t best = NULL, o = NULL;
        while ((o = hwloc_get_next_obj_inside_cpuset_by_depth(t->hwloc, root->cpuset, depth, o)))
            if (free_below(o) >= n && (!best || tighter(o, best)))
                best = o;
        if (best)
            return best;
    }
    return NULL;
}

static hwloc_obj_t freest_child(hwloc_obj_t o)
{
    hwloc_obj_t best = o->first_child;
    for (hwloc_obj_t c = best; c; c = c->next_sibling)
        if (free_below(c) > free_below(best))
            best = c;
    return best;
}

static void take_all(const struct topo *t, hwloc_obj_t below, struct place *p)
{
    for (hwloc_obj_t o = NULL; (o = next_core(t, below, o));)
        if (free_below(o)) {
            count(o, -1);
            p->core[p->n++] = o;
        }
}

/* Fill p up to n cores. An object with more free cores than are missing has no child that holds them, so it
 * gives its freest child whole (the fewest children take part) and the rest is again the best fit inside it.
 */
static void take(const struct topo *t, hwloc_obj_t root, int n, struct place *p)
{
    while (p->n < n) {
        root = best_fit(t, root, n - p->n);
        take_all(t, free_below(root) == n - p->n ? root : freest_child(root), p);
    }
}

static char *cpuset_text(const struct topo *t, const struct place *p)
{
    hwloc_bitmap_zero(t->set);
    for (int i = 0; i < p->n; i++)
        hwloc_bitmap_set(t->set, (unsigned)hwloc_bitmap_first(p->core[i]->cpuset));
    size_t size = (size_t)hwloc_bitmap_list_snprintf(NULL, 0, t->set) + 1;
    char *text = xmalloc(size);
    hwloc_bitmap_list_snprintf(text, size, t->set);
    return text;
}

struct place *topo_reserve(struct topo *t, int n, enum topo_policy policy, const char *near)
{
    assert(n >= 1);
    hwloc_obj_t machine = hwloc_get_root_obj(t->hwloc);
    if (n > free_below(machine))
        return NULL;
    struct place *p = xcalloc(1, sizeof *p);
    p->core = xcalloc((size_t)n, sizeof(hwloc_obj_t));
    take(t, machine, n, p);
    p->cpuset = cpuset_text(t, p);
    p->next = t->places;
    t->places = p;
    return p;
}

void topo_release(struct topo *t, struct place *p)
{
    if (!p)
        return;
    struct place **at = &t->places;
    while (*at && *at != p)
        at = &(*at)->next;
    assert(*at == p);
    *at = p->next;
    for (int i = 0; i < p->n; i++)
        count(p->core[i], 1);
    free(p->cpuset);
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

/* Binding is by system calls: hwloc's would have every worker load the topology first (0.7 ms for two CPUs,
 * more for more), and its list parser takes "1x2" for a list. The sets are larger than the kernel's own,
 * which it allows, so that no CPU number is too large for them. */
enum { CPUS = 1 << 16, SET_SIZE = CPUS / 8 };

/* The digits at *at, which moves past them; -1 when there are none; at most CPUS. */
static int read_cpu(const char **at)
{
    int cpu = -1;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        cpu = (cpu < 0 ? 0 : cpu) * 10 + (**at - '0');
        if (cpu > CPUS)
            cpu = CPUS;
    }
    return cpu;
}

static bool parse_cpuset(const char *text, cpu_set_t *set, struct error *err)
{
    const char *at = text;
    do {
        int first = read_cpu(&at), last = first;
        if (*at == '-') {
            at++;
            last = read_cpu(&at);
        }
        if (first < 0 || last < first || (*at && *at != ','))
            return error_set(err, NULL, ERROR_INPUT, "'%s' is no list of CPUs such as '0-3,8'", text);
        if (last >= CPUS)
            return error_set(err, NULL, ERROR_INPUT, "'%s' has CPU numbers of %d and more", text, CPUS);
        for (; first <= last; first++)
            CPU_SET_S(first, SET_SIZE, set);
    } while (*at++ == ',');
    return true;
}

bool topo_bind_self(const char *cpuset, struct error *err)
{
    AUTO(mem) cpu_set_t *want = xcalloc(1, SET_SIZE);
    AUTO(mem) cpu_set_t *old = xcalloc(1, SET_SIZE);
    AUTO(mem) cpu_set_t *now = xcalloc(1, SET_SIZE);
    if (!parse_cpuset(cpuset, want, err))
        return false;
    if (sched_getaffinity(0, SET_SIZE, old))
        return error_errno(err, "cannot read the CPU affinity");
    /* The kernel drops CPUs that it does not have, or that our cgroup forbids; EINVAL says that none is left.
     */
    bool bound = sched_setaffinity(0, SET_SIZE, want) == 0;
    if (!bound && errno != EINVAL)
        return error_errno(err, "cannot bind to CPUs %s", cpuset);
    if (bound && sched_getaffinity(0, SET_SIZE, now))
        return error_errno(err, "cannot read the CPU affinity");
    CPU_AND_S(SET_SIZE, now, now, want);
    if (CPU_EQUAL_S(SET_SIZE, now, want))
        return true;
    if (bound)
        sched_setaffinity(0, SET_SIZE, old);
    int missing = 0;
    while (!CPU_ISSET_S(missing, SET_SIZE, want) || CPU_ISSET_S(missing, SET_SIZE, now))
        missing++;
    return error_set(err, NULL, ERROR_SYSTEM, "cannot bind to CPUs %s: no CPU %d, or we may not use it",
                     cpuset, missing);
}
