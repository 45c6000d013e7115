#include "engine/topo/topo.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/topo/topo_impl.h"
#include <errno.h>
#include <omp.h>
#include <string.h>

/* OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY let OpenMP bind the first thread before main() begins, to
 * one of the places that it found then: all of them are ours. */
static void add_places_of_openmp(hwloc_bitmap_t set)
{
    for (int place = 0; place < omp_get_num_places(); place++) {
        int n = omp_get_place_num_procs(place);
        AUTO(mem) int *cpu = xcalloc((size_t)n + 1, sizeof *cpu);
        omp_get_place_proc_ids(place, cpu);
        for (int i = 0; i < n; i++)
            hwloc_bitmap_set(set, (unsigned)cpu[i]);
    }
}

/* hwloc leaves out what our cgroup forbids; this leaves out what our affinity does (taskset, or another
 * weft). It is the calling thread's, which is what workers inherit. */
static bool restrict_to_affinity(hwloc_topology_t h, struct error *err)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    bool ok = set && hwloc_get_cpubind(h, set, HWLOC_CPUBIND_THREAD) == 0;
    if (ok)
        add_places_of_openmp(set);
    ok = ok && hwloc_topology_restrict(h, set, 0) == 0;
    if (!ok)
        error_errno(err, "cannot restrict the machine's topology to the CPUs that we may use");
    hwloc_bitmap_free(set);
    return ok;
}

static bool is_xml(const char *source)
{
    size_t n = strlen(source);
    return n > 4 && strcmp(source + n - 4, ".xml") == 0;
}

static bool no_topology(const char *source, struct error *err)
{
    if (*source == '<')
        return error_set(err, NULL, ERROR_INPUT, "what hwloc wrote of another machine cannot be read here");
    if (is_xml(source))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' is no topology that hwloc wrote, or damaged ('weft topo --xml' and lstopo "
                         "write one)",
                         source);
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s' is no topology: write type:count from the outermost level down to pu, such as "
                     "'pack:2 l3:4 core:8 pu:2', or the path of an hwloc file that ends in .xml",
                     source);
}

/* hwloc wants the level of the hardware threads; a description that leaves it out means one for each core. */
static bool set_synthetic(hwloc_topology_t h, const char *text)
{
    if (hwloc_topology_set_synthetic(h, text) == 0)
        return true;
    AUTO(mem) char *whole = xprintf("%s pu:1", text);
    return text[strspn(text, " ")] && hwloc_topology_set_synthetic(h, whole) == 0;
}

/* What hwloc is to load instead of this machine. */
static bool take_source(hwloc_topology_t h, const char *source, struct error *err)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    if (*source == '<')
        return hwloc_topology_set_xmlbuffer(h, source, (int)strlen(source) + 1) == 0 ||
               no_topology(source, err);
    if (!is_xml(source))
        return set_synthetic(h, source) || no_topology(source, err);
    if (!fs_read_file(source, &text, &n, err))
        return error_context(err, "topology");
    return (n < INT32_MAX && hwloc_topology_set_xmlbuffer(h, text, (int)n + 1) == 0) ||
           no_topology(source, err); /* the size counts the NUL */
}

static bool load(hwloc_topology_t h, const char *source, struct error *err)
{
    /* Without the first flag hwloc would hop over all CPUs to ask each about itself; the others skip what we
     * never ask. Inner caches are of interest where cores share them. */
    hwloc_topology_set_flags(h, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING | HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
                                    HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
    hwloc_topology_set_type_filter(h, HWLOC_OBJ_L1CACHE, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    hwloc_topology_set_type_filter(h, HWLOC_OBJ_L2CACHE, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    if (source && !take_source(h, source, err))
        return false;
    if (hwloc_topology_load(h))
        return source ? no_topology(source, err)
                      : error_errno(err, "hwloc cannot load the machine's topology");
    if (!source && !hwloc_topology_is_thissystem(h))
        return error_set(err, NULL, ERROR_INPUT,
                         "HWLOC_SYNTHETIC, HWLOC_XMLFILE or the like is set and describes another machine");
    return source || restrict_to_affinity(h, err);
}

/* Of a synthetic description that does not say it hwloc makes sizes up. */
static bool says(const char *source, const char *what)
{
    return !source || is_xml(source) || strstr(source, what);
}

static int64_t memory(hwloc_topology_t h, const char *source)
{
    int64_t nodes = (int64_t)hwloc_get_root_obj(h)->total_memory;
    if (source)
        return says(source, "memory=") ? nodes : 0;
    return memory_of_machine(nodes, hwloc_bitmap_isequal(hwloc_topology_get_topology_nodeset(h),
                                                         hwloc_topology_get_complete_nodeset(h)));
}

static bool read_topology(struct topo *t, const struct topo_options *o, struct error *err)
{
    const char *source = o ? o->source : NULL;
    if (!load(t->hwloc, source, err))
        return false;
    t->set = hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(t->hwloc));
    if (!t->set)
        mem_exhausted();
    t->memory = memory(t->hwloc, source);
    t->knows_memory = says(source, "memory=");
    t->knows_sizes = says(source, "size=");
    return tree_build(t, o && o->threads) ||
           error_set(err, NULL, ERROR_INPUT, "topology%s%s: no cores, or CPU numbers of %d and more",
                     source ? " " : "", source ? source : "", TOPO_CPUS);
}

bool topo_open(const struct topo_options *o, struct topo **ret, struct error *err)
{
    struct topo *t = xcalloc(1, sizeof *t);
    if (hwloc_topology_init(&t->hwloc)) {
        free(t);
        return error_errno(err, "hwloc does not start");
    }
    if (!read_topology(t, o, err)) {
        topo_close(t);
        return false;
    }
    *ret = t;
    return true;
}

void topo_close(struct topo *t)
{
    if (!t)
        return;
    while (t->places)
        topo_release(t, t->places);
    tree_done(t);
    hwloc_bitmap_free(t->set);
    hwloc_topology_destroy(t->hwloc);
    free(t);
}

int topo_cores(const struct topo *t)
{
    return t->n_cores;
}

int64_t topo_memory(const struct topo *t)
{
    return t->memory;
}

bool topo_xml(const struct topo *t, char **ret, struct error *err)
{
    char *text;
    int n; /* with the NUL */
    if (hwloc_topology_export_xmlbuffer(t->hwloc, &text, &n, 0))
        return error_errno(err, "hwloc cannot write the topology");
    *ret = xstrndup(text, (size_t)n - 1);
    hwloc_free_xmlbuffer(t->hwloc, text);
    return true;
}
