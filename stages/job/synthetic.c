/* synthetic: a generated image data set. The images are PNG files packed into one `source`. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include "stages/job/synthetic_world.h"
#include "stages/stage.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct synthetic_params {
    const char *domain, *split;
    int64_t per_class, size, classes, seed;
};

enum { CHUNK = 256 }; /* images drawn before they are written */

struct picture {
    uint8_t *png;
    size_t n;
};

static bool draw_png(const struct world_class *world, int c, struct rng_stream stream, int64_t index,
                     int size, struct picture *ret, struct error *err)
{
    AUTO(mem) uint8_t *rgb = xmalloc((size_t)size * (size_t)size * 3);
    world_draw(world, c, stream, index, size, rgb);
    return image_encode_png(rgb, size, size, &ret->png, &ret->n, err);
}

/* Draw images [from, to) of class c in parallel, append them to fd in order and name them to the writer. */
static bool write_chunk(struct stage_context *ctx, const struct world_class *world, int c, int64_t from,
                        int64_t to, int fd, int64_t *offset, struct dataset_writer *w, struct error *err)
{
    const struct synthetic_params *p = ctx->params;
    struct picture pic[CHUNK] = {{0}};
    const char *name = world_name(world, c);
    /* The class's name, not its number: adding a class changes no other class's images. */
    AUTO(mem) char *stream_name = xprintf("synthetic.%s.%s.%s", p->domain, p->split, name);
    struct rng_stream stream = rng_stream((uint64_t)p->seed, stream_name);
    bool ok = true;
#pragma omp parallel for num_threads(ctx->threads) schedule(dynamic)
    for (int64_t i = from; i < to; i++)
        if (!draw_png(world, c, stream, i, (int)p->size, &pic[i - from], NULL))
            pic[i - from].png = NULL;
    int label = dataset_writer_class(w, name);
    for (int64_t i = from; i < to; i++) {
        struct picture *q = &pic[i - from];
        if (ok && !q->png)
            ok = error_set(err, NULL, ERROR_INPUT, "cannot draw images of side %lld", (long long)p->size);
        if (ok)
            ok = fs_write_all(fd, q->png, q->n, "source", err);
        AUTO(mem) char *id = xprintf("%s/%s/%06lld.png", p->split, name, (long long)i);
        dataset_writer_add(w, id, label, *offset, (int64_t)q->n);
        *offset += (int64_t)q->n;
        free(q->png);
    }
    return ok;
}

static bool write_all(struct stage_context *ctx, int fd, struct dataset_writer *w, struct error *err)
{
    const struct synthetic_params *p = ctx->params;
    int n;
    const struct world_class *world = world_domain(p->domain, &n);
    int64_t offset = 0;
    if (!world)
        return error_set(err, NULL, ERROR_INPUT, "there is no domain '%s'", p->domain);
    if (p->classes > n)
        return error_set(err, NULL, ERROR_INPUT, "domain '%s' has %d classes, not %lld", p->domain, n,
                         (long long)p->classes);
    n = p->classes ? (int)p->classes : n;
    for (int c = 0; c < n; c++)
        for (int64_t at = 0; at < p->per_class; at += CHUNK) {
            int64_t to = p->per_class - at > CHUNK ? at + CHUNK : p->per_class;
            if (!write_chunk(ctx, world, c, at, to, fd, &offset, w, err))
                return false;
            stage_progress(ctx, (double)(c * p->per_class + to), (double)(n * p->per_class), "images");
        }
    return true;
}

static bool synthetic_run(struct stage_context *ctx, struct error *err)
{
    const struct synthetic_params *p = ctx->params;
    const char *source = stage_out_file(ctx, "images", "source");
    int fd = fs_open(source, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return error_errno(err, "cannot create '%s'", source);
    struct dataset_writer *w = dataset_writer_new(ctx->outputs[0]);
    bool ok = write_all(ctx, fd, w, err);
    if (fs_close(fd) != 0 && ok)
        ok = error_errno(err, "cannot write '%s'", source);
    if (!ok) {
        dataset_writer_free(w);
        return false;
    }
    return dataset_writer_finish(w, p->split, 0, false, err);
}

static bool synthetic_check(const void *params, struct error *err)
{
    const struct synthetic_params *p = params;
    int n;
    if (world_domain(p->domain, &n) && p->classes > n)
        return error_set(err, NULL, ERROR_INPUT, "domain '%s' has %d classes, not %lld", p->domain, n,
                         (long long)p->classes);
    return true;
}

/* Some patterns draw dozens of shapes over the whole canvas: about 500 operations a pixel, one at a time. */
static void synthetic_cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    const struct synthetic_params *p = params;
    int n = 0;
    world_domain(p->domain, &n);
    double images = (double)(p->classes ? p->classes : n) * (double)p->per_class;
    double pixels = (double)(p->size * p->size), written = images * (pixels * 3 + 200);
    ret->flops = COST_SCALAR * 500 * images * pixels;
    ret->bytes = cost_count(written);
    ret->peak = cost_count(COST_WORKER + CHUNK * pixels * 3 + 64 * pixels * 24 + images * 256);
    ret->makes = (struct cost_output){.samples = cost_count(images), .bytes = ret->bytes};
}

static const struct param params[] = {
    PARAM(struct synthetic_params, domain, .choices = "public|stripes|blobs|rings", .flags = PARAM_REQUIRED,
          .doc = "the broad public set, or one of three clients' worlds"),
    PARAM(struct synthetic_params, split, .def = "train", .choices = "train|test",
          .doc = "train and test share no image"),
    PARAM(struct synthetic_params, per_class, .def = "100", .min = 1, .max = 999999, .unit = "images",
          .doc = "images of each class"),
    PARAM(struct synthetic_params, size, .def = "32", .min = 8, .max = 1024, .unit = "pixels",
          .doc = "side of the square images"),
    PARAM(struct synthetic_params, classes, .def = "0", .min = 0, .max = 1000,
          .doc = "only the first so many classes; 0: all"),
    PARAM(struct synthetic_params, seed, .def = "0", .min = 0, .max = 9007199254740992.0,
          .doc = "of the random streams"),
    {0},
};
static const struct port inputs[] = {{0}};
static const struct port outputs[] = {
    {.name = "images", .type = ARTIFACT_IMAGES, .doc = "the data set, PNG images packed into one file"},
    {0},
};

const struct stage stage_synthetic = {
    .name = "synthetic",
    .version = 1,
    .doc = "Generate labelled images: one public domain and three clients' domains in styles of their own.",
    .params = params,
    .params_size = sizeof(struct synthetic_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = synthetic_check,
    .cost = synthetic_cost,
    .run = synthetic_run,
};
