/* The vision tower of CLIP ViT-B/32 at full size with random weights, batch 32, 224 px:
 *   bench_vit forward [ITERATIONS]   embeddings of a batch
 *   bench_vit train [ITERATIONS]     one step: LoRA of rank 16 on fc1 and fc2 of every layer, cross-entropy
 * against 100 class embeddings, SGD with momentum One JSON line: images a second (median over the iterations
 * after a first one that does not count), and the GFLOP/s of the matrix products that are really made. */
#include "stages/model/peft.h"
#include "stages/tensor/optim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH   32
#define RANK    16
#define CLASSES 100

static const struct clip_config config = {
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
struct bench {
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
static bool setup(struct bench *b, bool train, struct error *err)
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
    if (!train)
        return true;
    b->optim = optim_new(&(struct optim_config){.kind = OPTIM_SGD, .lr = 0.01, .momentum = 0.9}, &b->keep);
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
    bool train = b->adapters;
    struct pass p = {.batch = BATCH, .arena = &b->step, .train = train, .last_row0 = true};
    struct clip_tape *tape = NULL;
    float *embeds = arena_floats(&b->step, BATCH * config.embed), loss;
    if (!clip_image_forward(b->model, &p, b->pixels, embeds, NULL, &tape, err))
        return false;
    if (train) {
        float *dimg = arena_floats(&b->step, BATCH * config.embed);
        float *logits = arena_floats(&b->step, BATCH * CLASSES);
        if (!clip_classify(embeds, b->text, 100, b->label, BATCH, CLASSES, config.embed, &b->step, logits,
                           dimg, &loss, err) ||
            !clip_image_backward(b->model, &p, tape, b->pixels, dimg, err))
            return false;
        optim_step(b->optim, 0.01);
    }
    arena_reset(&b->step);
    return true;
}

/* Multiply-adds of the tower's matrix products for one image, in units of 1e9 FLOP. The last layer computes
 * keys and values for all T tokens and the rest for one; the first layer's backward ends at its fc1. */
static double gflop(bool train)
{
    const double t = 50, c = 768, m = 3072, layers = 12, r = RANK;
    double kv = 2 * t * c * c, qo = 2 * t * c * c, mlp = 2 * t * c * m, attention = 2 * t * t * c;
    double lora = t * r * 2 * (c + m);
    double forward = (t - 1) * 3072 * c + (layers - 1) * (kv + qo + mlp + attention) + kv + (qo + mlp) / t;
    if (!train)
        return 2e-9 * forward;
    double back = (layers - 1) * (kv + qo + mlp + 2 * attention) - kv - qo - mlp / 2 - 2 * attention + kv +
                  (qo + mlp) / t;
    return 2e-9 * (forward + back + 3 * (layers - 1) * lora);
}
static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
int main(int argc, char **argv)
{
    bool train = argc > 1 && !strcmp(argv[1], "train");
    long n = argc > 2 ? strtol(argv[2], NULL, 10) : 5;
    if (argc < 2 || argc > 3 || n < 1 || n > 1000 || (!train && strcmp(argv[1], "forward"))) {
        fprintf(stderr, "usage: bench_vit forward|train [ITERATIONS]\n");
        return 2;
    }
    struct error err;
    struct bench b = {0};
    double seconds[1000];
    if (!setup(&b, train, &err) || !step(&b, &err))
        return fail(&err);
    for (long i = 0; i < n; i++) {
        double start = now();
        if (!step(&b, &err))
            return fail(&err);
        seconds[i] = now() - start;
    }
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    double rate = BATCH / seconds[n / 2];
    printf("{\"name\": \"vit-b32 %s\", \"value\": %.3f, \"unit\": \"img/s\", \"gflops\": %.1f}\n",
           train ? "LoRA training step" : "embedding", rate, rate * gflop(train));
    clip_free(b.model);
    arena_done(&b.keep);
    arena_done(&b.step);
    return 0;
}
