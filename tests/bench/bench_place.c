/* What it takes to find a place on 1,024 cores, of which tasks of many widths have about half, and to give it
 * back: microseconds of the processor, a median of ROUNDS.
 *   bench_place compact|spread WIDTH
 * One JSON line. */
#include "base/rng.h"
#include "engine/topo/topo.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5, CALLS = 2000, CORES = 1024 };

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
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

int main(int argc, char **argv)
{
    static const struct topo_options machine = {.source = "pack:2 numa:4 l3:16 core:8 pu:2"};
    double each[ROUNDS];
    struct topo *t;
    struct error err = {0};
    long n = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (n < 1 || n > CORES || !topo_open(&machine, &t, &err)) {
        fprintf(stderr, "bench_place compact|spread WIDTH: %s\n", err.text);
        return 2;
    }
    enum topo_policy policy = strcmp(argv[1], "spread") == 0 ? TOPO_SPREAD : TOPO_COMPACT;
    make_holes(t);
    for (int r = 0; r < ROUNDS; r++) {
        double start = processor_seconds();
        for (int i = 0; i < CALLS; i++)
            topo_release(t, topo_reserve(t, (int)n, policy, NULL));
        each[r] = (processor_seconds() - start) / CALLS * 1e6;
    }
    topo_close(t);
    qsort(each, ROUNDS, sizeof *each, by_value);
    printf("{\"name\": \"place of %ld %s\", \"value\": %.4f, \"unit\": \"us\"}\n", n, argv[1],
           each[ROUNDS / 2]);
    return 0;
}
