/* Places on described machines, judged by a model that knows nothing but the tree and which cores are taken:
 * random calls of all kinds, and cases where the right answer is known. */
#include "base/fs.h"
#include "base/rng.h"
#include "engine/topo/topo.h"
#include "tests/test.h"
#include <hwloc.h>
#include <string.h>

static struct topo *open_topo(const char *source, bool threads)
{
    struct topo *t = NULL;
    struct error err = {0};
    if (!topo_open(&(struct topo_options){.source = source, .threads = threads}, &t, &err))
        fail_msg("%s", err.text);
    return t;
}

/* ---- the model ---- */

enum { CORES = 1024, CPUS = 4096, OBJECTS = 4096 };
struct model {
    struct topo *topo;
    const struct topo_object *object[OBJECTS]; /* without cores */
    int n_objects, core_of[CPUS];
    bool taken[CORES], took[CORES], near[CORES]; /* took: by the last place */
    struct place *place[CORES];
    int n, free;
};

/* Deeper is more; cores come last. */
static int rank_of(const struct topo_object *o)
{
    static const char *const order[] = {"machine", "group", "package", "NUMA node", "L3", "L2", "core"};
    for (int i = 0; i < (int)(sizeof order / sizeof *order); i++)
        if (strcmp(o->type, order[i]) == 0)
            return i;
    if (strcmp(o->type, "CPU") == 0)
        return 100;
    fail_msg("what is a %s?", o->type);
    return -1;
}

static void add_objects(struct model *m, const struct topo_object *o)
{
    if (!o->child) {
        m->core_of[o->cpu] = o->first;
        return;
    }
    assert_in_range(m->n_objects, 0, OBJECTS - 1);
    m->object[m->n_objects++] = o;
    for (const struct topo_object *c = o->child; c; c = c->next)
        add_objects(m, c);
}

static int count(const struct topo_object *o, const bool *which)
{
    int n = 0;
    for (int i = o->first; i < o->first + o->n; i++)
        n += which[i];
    return n;
}

/* Free before the last place was taken. */
static int had(const struct model *m, const struct topo_object *o)
{
    return o->n - count(o, m->taken) + count(o, m->took);
}

/* Marks which[] for a list. */
static int mark(const struct model *m, const char *list, bool *which)
{
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    assert_int_equal(hwloc_bitmap_list_sscanf(set, list), 0);
    for (int cpu = hwloc_bitmap_first(set); cpu >= 0; cpu = hwloc_bitmap_next(set, cpu)) {
        assert_in_range(m->core_of[cpu], 0, topo_cores(m->topo) - 1);
        which[m->core_of[cpu]] = true;
    }
    int n = hwloc_bitmap_weight(set);
    hwloc_bitmap_free(set);
    return n;
}

/* It is the smallest that contains the place. */
static void check_object(const struct model *m, const struct place *p)
{
    const struct topo_object *smallest = NULL;
    for (int i = 0; i < m->n_objects; i++)
        if (count(m->object[i], m->took) == place_cores(p) &&
            (!smallest || rank_of(m->object[i]) > rank_of(smallest)))
            smallest = m->object[i];
    assert_non_null(smallest);
    if (place_cores(p) > 1)
        assert_string_equal(place_object(p), smallest->name);
}

/* In the smallest object that had room; of several in one with the fewest free; of these in one that shares
 * most. Of single cores the objects around them are judged. */
static void check_compact(const struct model *m, int n)
{
    int deepest = -1, fewest = INT32_MAX, nearest = -1;
    bool right = false;
    for (int pass = 0; pass < 4; pass++)
        for (int i = 0; i < m->n_objects; i++) {
            const struct topo_object *o = m->object[i];
            int free = had(m, o), rank = rank_of(o), near = count(o, m->near);
            bool of_cores = n > 1;
            for (const struct topo_object *c = o->child; c && !of_cores; c = c->next)
                of_cores = !c->child && !(m->taken[c->first] && !m->took[c->first]);
            if (free < n || !of_cores || (pass > 0 && rank != deepest) || (pass > 1 && free != fewest))
                continue;
            deepest = rank > deepest ? rank : deepest;
            if (pass == 1)
                fewest = free < fewest ? free : fewest;
            if (pass == 2)
                nearest = near > nearest ? near : nearest;
            right = right || (pass == 3 && near == nearest && count(o, m->took) == n);
        }
    assert_true(right);
}

/* What lies side by side has the same share, as far as it had room. */
static void check_even(const struct model *m, const struct topo_object *const *item, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            assert_true(count(item[i], m->took) <= count(item[k], m->took) + 1 ||
                        count(item[k], m->took) == had(m, item[k]));
}

static bool has_memory(const struct topo_object *o)
{
    bool has = o->memory_node >= 0;
    for (const struct topo_object *c = o->child; c && !has; c = c->next)
        has = has_memory(c);
    return has;
}

static void check_spread(const struct model *m, int n)
{
    const struct topo_object *node[OBJECTS], *child[CORES];
    int nodes = 0, able = 0, touched = 0;
    for (int i = 0; i < m->n_objects; i++) {
        bool deeper = false;
        for (const struct topo_object *c = m->object[i]->child; c; c = c->next)
            deeper = deeper || has_memory(c);
        if (!deeper && m->object[i]->memory_node >= 0)
            node[nodes++] = m->object[i];
    }
    for (int i = 0; i < nodes; i++) {
        able += had(m, node[i]) > 0;
        touched += count(node[i], m->took) > 0;
    }
    assert_int_equal(touched, n < able ? n : able);
    check_even(m, node, nodes);
    for (int i = 0; i < m->n_objects; i++) { /* and in each */
        int children = 0;
        if (has_memory(m->object[i]) && m->object[i]->memory_node < 0)
            continue;
        for (const struct topo_object *c = m->object[i]->child; c; c = c->next)
            child[children++] = c;
        check_even(m, child, children);
    }
}

static void reserve(struct model *m, int n, enum topo_policy policy, const char *near)
{
    struct place *p = topo_reserve(m->topo, n, policy, near);
    assert_int_equal(p != NULL, n <= m->free);
    if (!p)
        return;
    memset(m->took, 0, sizeof m->took);
    memset(m->near, 0, sizeof m->near);
    assert_int_equal(place_cores(p), n);
    assert_int_equal(mark(m, place_cpuset(p), m->took), n);
    for (int i = 0; i < topo_cores(m->topo); i++) {
        assert_false(m->taken[i] && m->took[i]);
        m->taken[i] = m->taken[i] || m->took[i];
    }
    if (near)
        mark(m, near, m->near);
    if (policy == TOPO_SPREAD)
        check_spread(m, n);
    else
        check_compact(m, n);
    check_object(m, p);
    m->free -= n;
    m->place[m->n++] = p;
}

static void release(struct model *m, int i)
{
    memset(m->took, 0, sizeof m->took);
    m->free += mark(m, place_cpuset(m->place[i]), m->took);
    for (int k = 0; k < topo_cores(m->topo); k++) {
        assert_true(m->taken[k] || !m->took[k]);
        m->taken[k] = m->taken[k] && !m->took[k];
    }
    topo_release(m->topo, m->place[i]);
    m->place[i] = m->place[--m->n];
}

/* After all of it the machine is as it was: the same calls give what they give on a fresh one. */
static void check_restored(struct model *m, const char *source, bool threads)
{
    struct topo *fresh = open_topo(source, threads);
    while (m->n)
        release(m, m->n - 1);
    for (int n = 1, free = m->free; n <= free; free -= n, n = n % 7 + 1)
        for (int i = 0; i < 2; i++) {
            enum topo_policy policy = n % 2 ? TOPO_COMPACT : TOPO_SPREAD;
            struct place *p = topo_reserve(i ? m->topo : fresh, n, policy, NULL), *other;
            if (!i)
                other = p;
            else
                assert_string_equal(place_cpuset(p), place_cpuset(other));
        }
    topo_close(fresh);
}

static void random_calls(const char *source, bool threads, int steps)
{
    static struct model m;
    m = (struct model){.topo = open_topo(source, threads)};
    m.free = topo_cores(m.topo);
    add_objects(&m, topo_root(m.topo));
    struct rng r = rng_at(rng_stream(1, "test.place"), 0, (uint64_t)threads);
    for (int step = 0; step < steps; step++) {
        if (m.n && rng_below(&r, 2)) {
            release(&m, (int)rng_below(&r, (uint64_t)m.n));
            continue;
        }
        const char *near =
            m.n && rng_below(&r, 2) ? place_cpuset(m.place[rng_below(&r, (uint64_t)m.n)]) : NULL;
        int most = rng_below(&r, 8) ? 6 : topo_cores(m.topo);
        reserve(&m, 1 + (int)rng_below(&r, (uint64_t)most), rng_below(&r, 3) ? TOPO_COMPACT : TOPO_SPREAD,
                near);
    }
    check_restored(&m, source, threads);
    topo_close(m.topo);
}

/* ---- machines ---- */

/* A machine as a cgroup leaves it: packages, nodes and caches of different sizes, and cores with one hardware
 * thread of two. */
static char uneven[] = "/tmp/weft-place-XXXXXX.xml";

static int write_uneven(void **state)
{
    hwloc_topology_t h;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    char *text;
    int n, fd = mkstemps(uneven, 4);
    if (fd < 0 || hwloc_topology_init(&h) ||
        hwloc_topology_set_synthetic(h, "pack:2 numa:3 l3:2 core:8 pu:2") || hwloc_topology_load(h))
        return -1;
    /* of 192: no node 2, one core of node 1, package 1 with half caches, one thread of many */
    hwloc_bitmap_list_sscanf(set, "0-9,11,13,15-31,40-41,96-103,112-119,128-133,160,162,164-191");
    if (hwloc_topology_restrict(h, set, HWLOC_RESTRICT_FLAG_REMOVE_CPULESS) ||
        hwloc_topology_export_xmlbuffer(h, &text, &n, 0))
        return -1;
    bool ok = fs_write_all(fd, text, (size_t)n - 1, uneven, NULL);
    hwloc_free_xmlbuffer(h, text);
    hwloc_topology_destroy(h);
    hwloc_bitmap_free(set);
    close(fd);
    return ok ? 0 : -1;
}

static int remove_uneven(void **state)
{
    return fs->unlink(uneven);
}

static void properties(void **state)
{
    for (int threads = 0; threads < 2; threads++) {
        random_calls("pack:2 numa:4 l3:2 core:8 pu:2", threads, 3000);
        random_calls("pack:2 [numa] core:6 pu:1", threads, 3000);
        random_calls("numa:3 l3:2 l2:3 core:5 pu:1", threads, 3000);
        random_calls("core:7 pu:2", threads, 1000);
        random_calls("core:1 pu:1", threads, 50);
        random_calls(uneven, threads, 3000);
    }
    random_calls("pack:4 numa:4 l3:8 core:8 pu:2", false, 600);
    random_calls("core:1024 pu:1", false, 200);
}

/* ---- cases ---- */

struct want {
    int n;
    enum topo_policy policy;
    const char *near, *cpuset, *nodes, *object;
};

static void sequence(const char *source, bool threads, const struct want *w)
{
    struct topo *t = open_topo(source, threads);
    for (; w->n; w++) {
        struct place *p = topo_reserve(t, w->n, w->policy, w->near);
        assert_non_null(p);
        assert_string_equal(place_cpuset(p), w->cpuset);
        assert_string_equal(place_nodes(p), w->nodes);
        assert_string_equal(place_object(p), w->object);
    }
    topo_close(t);
}

static void spread(void **state)
{
    /* four nodes of two caches: 0-3,4-7 | 8-11,12-15 || 16-19,20-23 | 24-27,28-31 */
    sequence("pack:2 numa:2 l3:2 core:4 pu:1", false,
             (struct want[]){{2, TOPO_SPREAD, NULL, "0,16", "0,2", "machine"},
                             {3, TOPO_SPREAD, NULL, "4,8,24", "0-1,3", "machine"}, /* empty ones first */
                             {8, TOPO_SPREAD, NULL, "1,5,9,12,17,20,25,28", "0-3", "machine"},
                             {4, TOPO_COMPACT, NULL, "2-3,6-7", "0", "NUMA node 0"},
                             {0}});
    /* one memory node: what lies in it */
    sequence("pack:2 core:4 pu:1", false,
             (struct want[]){{1, TOPO_SPREAD, NULL, "0", "0", "core 0"},
                             {1, TOPO_SPREAD, NULL, "4", "0", "core 4"},
                             {1, TOPO_SPREAD, "4-7", "5", "0", "core 5"}, /* as good, and near */
                             {5, TOPO_SPREAD, NULL, "1-3,6-7", "0", "machine"},
                             {0}});
}

static void near(void **state)
{
    const char *machine = "pack:2 numa:2 l3:2 core:4 pu:1";
    sequence(machine, false,
             (struct want[]){{4, TOPO_COMPACT, "24-27", "24-27", "3", "L3 #6"}, /* the very same */
                             {4, TOPO_COMPACT, "24-27", "28-31", "3", "L3 #7"}, /* of the same node */
                             {3, TOPO_COMPACT, "24-27", "16-18", "2", "L3 #4"}, /* of the same package */
                             {1, TOPO_COMPACT, "0", "19", "2", "core 19"},      /* but a hole is worth more */
                             {2, TOPO_COMPACT, "21-22", "21-22", "2", "L3 #5"}, /* the very cores */
                             {1, TOPO_COMPACT, "12", "20", "2", "core 20"},
                             {1, TOPO_COMPACT, "12", "23", "2", "core 23"},
                             {8, TOPO_COMPACT, "12", "8-15", "1", "NUMA node 1"},
                             {1, TOPO_COMPACT, "no list", "0", "0", "core 0"},
                             {1, TOPO_COMPACT, "4000,9999", "1", "0", "core 1"},
                             {0}});
}

/* What decides when all else is equal. */
static void ties(void **state)
{
    sequence("pack:2 l3:2 core:4 pu:1", false,
             (struct want[]){{4, TOPO_COMPACT, "12", "12-15", "0", "L3 #3"},
                             {4, TOPO_COMPACT, NULL, "8-11", "0", "L3 #2"}, /* the package that is begun */
                             {0}});
    sequence("pack:2 l3:3 core:4 pu:1", false,
             (struct want[]){{6, TOPO_COMPACT, "8-9", "0-1,8-11", "0", "package 0"}, {0}});
    sequence("core:4 [numa] pu:1", false,
             (struct want[]){{2, TOPO_COMPACT, NULL, "0-1", "0-1", "machine"}, {0}});
}

static void threads(void **state)
{
    const char *machine = "pack:2 l3:2 core:2 pu:2"; /* 16 threads on 8 cores */
    sequence(machine, false,
             (struct want[]){{2, TOPO_COMPACT, NULL, "0,2", "0", "L3 #0"},
                             {1, TOPO_COMPACT, "7", "6", "0", "core 3"}, /* near by its second thread */
                             {0}});
    sequence(machine, true,
             (struct want[]){{2, TOPO_COMPACT, NULL, "0-1", "0", "core 0"},
                             {1, TOPO_COMPACT, NULL, "2", "0", "CPU 2"},
                             {2, TOPO_SPREAD, NULL, "4,8", "0", "machine"},
                             {0}});
}

static void uneven_machine(void **state)
{
    struct topo *t = open_topo(uneven, false);
    assert_int_equal(topo_cores(t), 44);
    topo_close(t);
    sequence(uneven, false,
             (struct want[]){{1, TOPO_COMPACT, NULL, "40", "1", "core 16"}, /* the least hole */
                             {8, TOPO_COMPACT, NULL, "0,2,4,6,8,11,13,15", "0", "L3 #0"},
                             {5, TOPO_SPREAD, NULL, "16,18,96,128,160", "0,3-5", "machine"},
                             {0}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(properties), cmocka_unit_test(spread),
                                       cmocka_unit_test(near),       cmocka_unit_test(ties),
                                       cmocka_unit_test(threads),    cmocka_unit_test(uneven_machine)};
    return cmocka_run_group_tests(tests, write_uneven, remove_uneven);
}
