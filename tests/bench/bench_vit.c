/* The vision tower of CLIP ViT-B/32 or B/16 at full size with random weights, 1600 or 1576 tokens, 224 px:
 *   bench_vit forward [ITERATIONS [PATCH]]   embeddings of a batch
 *   bench_vit train ...                      one step: LoRA of rank 16 on fc1 and fc2 of every layer,
 * cross-entropy against 100 class embeddings, SGD with momentum
 *   bench_vit moe ...                        embeddings by a mixture: 3 experts, top-1, context
 *   bench_vit router ...                     one step of that mixture's fine-tuning. One JSON line: images a
 * second (median over the iterations after a first one that does not count), and the GFLOP/s of the matrix
 * products that are really made; with PEAK=1 the process's peak memory instead. */
#include "stages/model/unified.h"
#include "stages/tensor/optim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BATCH   32 /* at most */
#define EXPERTS 3
#define RANK    16
#define CLASSES 100

static struct clip_config config = {
    .vision = {.width = 768, .layers = 12, .heads = 12, .mlp = 3072, .eps = 1e-5, .act = ACT_QUICK_GELU},
    .text = {.width = 64, .layers = 1, .heads = 1, .mlp = 64, .eps = 1e-5, .act = ACT_QUICK_GELU},
    .image_size = 224,
    .patch = 32,
    .channels = 3,
    .vocab = 300,
    .context = 8,
    .eos = 299,
    .bos = 298,
    .embed = 512,
};
enum kind { FORWARD, TRAIN, MOE, ROUTER };
static const char *const kinds[] = {"forward", "train", "moe", "router"};
struct bench {
    enum kind kind;
    int64_t batch;
    struct clip *model;
    struct adapter_set *adapters;
    struct optim *optim;
    struct arena keep, step;
    float *pixels, *text;
    int64_t label[BATCH];
};

static int fail(const struct error *err)
{
    char text[4096];
    fprintf(stderr, "%s\n", error_string(err, text, sizeof text));
    return 1;
}
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static float *random_rows(struct arena *a, const char *name, int64_t rows, int64_t n)
{
    float *x = arena_floats(a, rows * n);
    for (int64_t r = 0; r < rows; r++) {
        struct rng g = rng_at(rng_stream(1, name), (uint64_t)r, 0);
        for (int64_t i = 0; i < n; i++)
            x[r * n + i] = rng_normal(&g);
    }
    return x;
}
static bool optimise(void *arg, struct mat *m, struct error *err)
{
    return optim_add(arg, m, 1, err);
}
static void randomise(void *arg, const char *name, struct mat *w)
{
    struct rng *r = arg;
    for (int64_t i = 0; i < mat_size(w); i++)
        w->w[i] = 0.02f * rng_normal(r);
}
static void add_weight(void *arg, char kind, const char *name, struct mat *w)
{
    struct bench *b = arg;
    if (!optimise(b->optim, w, NULL))
        b->optim = NULL;
}
static bool mixture(struct bench *b, struct error *err)
{
    enum { LAYERS = 12 };
    struct adapter_set *experts[EXPERTS];
    const float *router[LAYERS], *lambda[LAYERS];
    static const float share = 0.3f;
    struct unified_values values = {{[UNIFIED_ROUTER] = router, [UNIFIED_LAMBDA] = lambda}};
    struct unified_options o = {.top_k = 1, .temperature = 1};
    struct rng r = rng_at(rng_stream(1, "bench.experts"), 0, 0);
    for (int k = 0; k < EXPERTS; k++) {
        if (!adapter_new(b->model, RANK, 2 * RANK, (uint64_t)k, false, &b->keep, &experts[k], err))
            return false;
        adapter_each(experts[k], randomise, &r);
    }
    for (int l = 0; l < LAYERS; l++) {
        float *rows = random_rows(&b->keep, "bench.router", EXPERTS, config.vision.width);
        scale_into(rows, 0.05f, EXPERTS * config.vision.width);
        router[l] = rows;
        lambda[l] = &share;
    }
    if (!unified_build(b->model, experts, EXPERTS, &values, &o, b->kind == ROUTER, err))
        return false;
    if (b->kind == ROUTER)
        unified_each(b->model, add_weight, b);
    return b->optim || error_set(err, NULL, ERROR_SYSTEM, "out of memory");
}
static bool setup(struct bench *b, struct error *err)
{
    arena_init(&b->keep);
    arena_init(&b->step);
    if (!clip_new(&config, 1, &b->model, err))
        return false;
    b->pixels = random_rows(&b->keep, "bench.pixels", BATCH, 3 * 224 * 224);
    b->text = random_rows(&b->keep, "bench.text", CLASSES, config.embed);
    unit_forward(b->text, CLASSES, config.embed, b->text, NULL);
    for (int i = 0; i < BATCH; i++)
        b->label[i] = i % CLASSES;
    b->optim = optim_new(&(struct optim_config){.kind = OPTIM_SGD, .lr = 0.01, .momentum = 0.9}, &b->keep);
    if (b->kind == MOE || b->kind == ROUTER)
        return mixture(b, err);
    if (b->kind == FORWARD)
        return true;
    if (!adapter_new(b->model, RANK, 2 * RANK, 1, true, &b->keep, &b->adapters, err))
        return false;
    clip_attach(b->model, b->adapters);
    for (int l = 0; l < b->adapters->layers; l++) {
        struct adapter *a = &b->adapters->layer[l];
        struct mat *all[] = {&a->fc1.a, &a->fc1.b, &a->fc2.a, &a->fc2.b};
        for (int i = 0; i < 4; i++)
            if (!optimise(b->optim, all[i], err))
                return false;
    }
    return true;
}
static bool step(struct bench *b, struct error *err)
{
    bool train = b->kind == TRAIN || b->kind == ROUTER;
    struct pass p = {.batch = b->batch, .arena = &b->step, .train = train, .last_row0 = true};
    struct clip_tape *tape = NULL;
    float *embeds = arena_floats(&b->step, b->batch * config.embed), loss;
    if (!clip_image_forward(b->model, &p, b->pixels, embeds, NULL, &tape, err))
        return false;
    if (train) {
        float *dimg = arena_floats(&b->step, b->batch * config.embed);
        float *logits = arena_floats(&b->step, b->batch * CLASSES);
        if (!clip_classify(embeds, b->text, 100, b->label, b->batch, CLASSES, config.embed, &b->step, logits,
                           dimg, &loss, err) ||
            !clip_image_backward(b->model, &p, tape, b->pixels, dimg, err))
            return false;
        optim_step(b->optim, 0.01);
    }
    arena_reset(&b->step);
    return true;
}

/* Multiply-adds of the tower's matrix products for one image, in units of 1e9 FLOP. The last layer computes
 * keys and values for all T tokens and the rest for one, a mixture's attention for all, whose mean it is; the
 * first layer's backward ends at its fc1. */
static double gflop(enum kind kind)
{
    double side = (double)(config.image_size / config.patch), t = side * side + 1;
    const double c = 768, m = 3072, layers = 12, r = RANK;
    bool train = kind == TRAIN || kind == ROUTER, moe = kind == MOE || kind == ROUTER;
    double kv = 2 * t * c * c, qo = 2 * t * c * c, mlp = 2 * t * c * m, attention = 2 * t * t * c;
    double lora = t * r * 2 * (c + m);
    double patches = (t - 1) * 3 * (double)(config.patch * config.patch) * c;
    double forward = patches + (layers - 1) * (kv + qo + mlp + attention) + kv + (qo + mlp) / t;
    if (moe)
        forward += qo + attention - qo / t;
    if (!train)
        return 2e-9 * (forward + (moe ? (layers - 1) * lora : 0));
    double back = (layers - 1) * (kv + qo + mlp + 2 * attention) - kv - qo - mlp / 2 - 2 * attention + kv +
                  (qo + mlp) / t + (moe ? qo + 2 * attention - qo / t : 0);
    return 2e-9 * (forward + back + 3 * (layers - 1) * lora);
}
static double peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}
static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
int main(int argc, char **argv)
{
    static const char *const said[] = {"embedding", "LoRA training step", "mixture", "router step"};
    int kind = 0;
    while (argc > 1 && kind <= ROUTER && strcmp(argv[1], kinds[kind]) != 0)
        kind++;
    long n = argc > 2 ? strtol(argv[2], NULL, 10) : 5, patch = argc > 3 ? strtol(argv[3], NULL, 10) : 32;
    if (argc < 2 || argc > 4 || n < 1 || n > 1000 || kind > ROUTER || (patch != 32 && patch != 16)) {
        fprintf(stderr, "usage: bench_vit forward|train|moe|router [ITERATIONS [32|16]]\n");
        return 2;
    }
    struct error err;
    struct bench b = {.kind = (enum kind)kind, .batch = patch == 32 ? BATCH : BATCH / 4};
    double seconds[1000];
    config.patch = patch;
    if (!setup(&b, &err) || !step(&b, &err))
        return fail(&err);
    for (long i = 0; i < n; i++) {
        double start = now();
        if (!step(&b, &err))
            return fail(&err);
        seconds[i] = now() - start;
    }
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    double rate = (double)b.batch / seconds[n / 2];
    if (getenv("PEAK"))
        printf("{\"name\": \"vit-b%ld %s, peak\", \"value\": %.1f, \"unit\": \"MiB\"}\n", patch, said[kind],
               peak_mib());
    else
        printf("{\"name\": \"vit-b%ld %s\", \"value\": %.3f, \"unit\": \"img/s\", \"gflops\": %.1f}\n", patch,
               said[kind], rate, rate * gflop(b.kind));
    clip_free(b.model);
    arena_done(&b.keep);
    arena_done(&b.step);
    return 0;
}
