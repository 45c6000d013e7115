/* The greedy DPP on features like those of real embeddings: a common mean, clusters, and a decaying spectrum.
 *   bench_dpp data FILE N D    write N rows of D features and their relevances as FILE (safetensors)
 *   bench_dpp FILE M           choose M of them; one JSON line: seconds, and the log det that the peer must
 * reach too */
#include "base/error.h"
#include "base/rng.h"
#include "stages/algo/dpp.h"
#include "stages/io/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLUSTERS 100

static int fail(const struct error *err)
{
    char text[4096];
    fprintf(stderr, "%s\n", error_string(err, text, sizeof text));
    return 1;
}
static void fill(float *x, float *r, int64_t n, int64_t d)
{
    struct rng_stream s = rng_stream(1, "bench.dpp");
    float *centre = malloc((size_t)(CLUSTERS * d) * sizeof *centre);
    struct rng mean = rng_at(s, 0, 2);
    for (int64_t c = 0; c < d; c++)
        centre[c] = rng_normal(&mean);
    for (int64_t k = CLUSTERS; k-- > 0;) {
        struct rng own = rng_at(s, (uint64_t)k, 1);
        for (int64_t c = 0; c < d; c++)
            centre[k * d + c] = centre[c] + 0.6f * rng_normal(&own);
    }
    for (int64_t i = 0; i < n; i++) {
        struct rng own = rng_at(s, (uint64_t)i, 0);
        const float *from = centre + (int64_t)rng_below(&own, CLUSTERS) * d;
        for (int64_t c = 0; c < d; c++)
            x[i * d + c] = from[c] + 2 * powf((float)(c + 1), -0.3f) * rng_normal(&own);
        r[i] = 0.42f + 0.54f * rng_uniform(&own);
    }
    free(centre);
}
static int write_data(const char *path, int64_t n, int64_t d)
{
    struct error err;
    float *x = malloc((size_t)(n * d) * sizeof *x), *r = malloc((size_t)n * sizeof *r);
    fill(x, r, n, d);
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_add(w, "features", DTYPE_F32, 2, (int64_t[]){n, d}, x);
    safetensors_writer_add(w, "relevance", DTYPE_F32, 1, &n, r);
    bool ok = safetensors_write(w, path, &err);
    free(x);
    free(r);
    return ok ? 0 : fail(&err);
}
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static int measure(const char *path, int64_t m)
{
    struct error err;
    struct safetensors *file = NULL;
    struct arena a;
    arena_init(&a);
    if (!safetensors_open(path, &file, &err))
        return fail(&err);
    const struct tensor *x = safetensors_want(file, "features", -1, NULL, &err);
    const struct tensor *r = x ? safetensors_want(file, "relevance", -1, NULL, &err) : NULL;
    if (!r)
        return fail(&err);
    /* As the peer has it: in memory before the clock starts. */
    float *copy = arena_floats(&a, x->n);
    memcpy(copy, tensor_floats(x, &a), (size_t)x->n * sizeof *copy);
    double start = now();
    struct dpp_result p;
    if (!dpp_greedy(copy, tensor_floats(r, &a), x->shape[0], x->shape[1], m, DPP_STOP, &a, &p, &err))
        return fail(&err);
    double seconds = now() - start;
    printf("{\"name\": \"dpp n=%lld d=%lld m=%lld\", \"value\": %.4f, \"unit\": \"s\", \"logdet\": %.3f}\n",
           (long long)x->shape[0], (long long)x->shape[1], (long long)m, seconds, p.logdet);
    safetensors_close(file);
    arena_done(&a);
    return 0;
}
int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "data"))
        return write_data(argv[2], strtoll(argv[3], NULL, 10), strtoll(argv[4], NULL, 10));
    if (argc == 3)
        return measure(argv[1], strtoll(argv[2], NULL, 10));
    fprintf(stderr, "usage: bench_dpp data FILE N D | bench_dpp FILE M\n");
    return 2;
}
