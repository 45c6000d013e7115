/* What it takes to find a place on 1,024 cores: microseconds of topo_reserve with topo_release, a median of
 * ROUNDS, on a machine that is empty and on one that tasks of many widths have holes in. One JSON line each.
 */
#include "base/clock.h"
#include "base/rng.h"
#include "engine/topo/topo.h"
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 5, CALLS = 2000, CORES = 1024 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct topo *t, const char *machine, int n, enum topo_policy policy, const char *near)
{
    double each[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double start = clock_seconds();
        for (int i = 0; i < CALLS; i++)
            topo_release(t, topo_reserve(t, n, policy, near));
        each[r] = (clock_seconds() - start) / CALLS * 1e6;
    }
    qsort(each, ROUNDS, sizeof *each, by_value);
    printf("{\"name\": \"place of %d %s, %s%s, 1024 cores\", \"value\": %.2f, \"unit\": \"us\"}\n", n,
           policy == TOPO_SPREAD ? "spread" : "compact", machine, near ? ", near" : "", each[ROUNDS / 2]);
}

/* Half of the places that fill the machine are taken back. */
static void make_holes(struct topo *t)
{
    static struct place *place[CORES];
    struct rng r = rng_at(rng_stream(1, "bench.place"), 0, 0);
    int n = 0;
    while ((place[n] = topo_reserve(t, 1 + (int)rng_below(&r, 6), TOPO_COMPACT, NULL)))
        n++;
    for (int i = 0; i < n; i++)
        if (rng_below(&r, 2))
            topo_release(t, place[i]);
}

int main(void)
{
    static const char *const machine[] = {"pack:2 numa:4 l3:16 core:8 pu:2", "core:1024 pu:1"};
    static const int width[] = {1, 4, 12, 64, 400};
    for (size_t m = 0; m < 2; m++)
        for (int holes = 0; holes < 2; holes++) {
            struct topo *t;
            struct error err = {0};
            if (!topo_open(&(struct topo_options){.source = machine[m]}, &t, &err)) {
                fprintf(stderr, "bench_place: %s\n", err.text);
                return 1;
            }
            if (holes)
                make_holes(t);
            for (size_t i = 0; i < sizeof width / sizeof *width; i++)
                for (int spread = 0; spread < 2; spread++)
                    measure(t,
                            m       ? holes ? "flat with holes" : "flat"
                            : holes ? "with holes"
                                    : "empty",
                            width[i], spread ? TOPO_SPREAD : TOPO_COMPACT, NULL);
            measure(t, m ? "flat" : holes ? "with holes" : "empty", 4, TOPO_COMPACT, "1024-1055");
            topo_close(t);
        }
    return 0;
}
