/* Stage contact: a contact sheet, the chosen public images in pick order on one sheet. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "stages/io/dataset.h"
#include "stages/stage.h"
#include <string.h>

enum { GAP = 2 };

struct contact_params {
    int64_t columns, cell, limit;
};
static const struct param params[] = {
    PARAM(struct contact_params, columns, .def = "10", .min = 1, .max = 100, .doc = "images in a row"),
    PARAM(struct contact_params, cell, .def = "96", .min = 8, .max = 1024, .unit = "pixels",
          .doc = "side of an image: resized by its shorter side, its middle cut out"),
    PARAM(struct contact_params, limit, .def = "100", .min = 1, .max = 10000,
          .doc = "how many of the chosen to show, in pick order"),
    {0}};

struct sheet {
    uint8_t *rgb; /* (height, width, 3) */
    int width, height;
};
static void sheet_auto(struct sheet *s)
{
    free(s->rgb);
}

/* The middle of an image whose shorter side is `side`, into the sheet at (x, y). */
static void paste(struct sheet *s, const struct image *im, int side, int x, int y)
{
    int left = (im->width - side) / 2, top = (im->height - side) / 2;
    for (int row = 0; row < side; row++)
        memcpy(s->rgb + ((size_t)(y + row) * (size_t)s->width + (size_t)x) * 3,
               im->rgb + ((size_t)(top + row) * (size_t)im->width + (size_t)left) * 3, (size_t)side * 3);
}
static bool draw(struct stage_context *ctx, const struct dataset *d, const char *id, int at, struct sheet *s,
                 json_t *cells, struct error *err)
{
    const struct contact_params *p = ctx->params;
    int side = (int)p->cell, row = at / (int)p->columns, column = at % (int)p->columns;
    AUTO(image) struct image full = {0};
    AUTO(image) struct image small = {0};
    int64_t i = id ? dataset_find(d, id) : -1;
    if (i < 0)
        return error_set(err, NULL, ERROR_INPUT, "the chosen sample '%s' is not in the data set",
                         id ? id : "");
    if (!dataset_decode(d, i, &full, err) || !image_resize_short(&full, side, IMAGE_BICUBIC, &small, err))
        return false;
    paste(s, &small, side, GAP + column * (side + GAP), GAP + row * (side + GAP));
    json_array_append_new(cells, json_pack("{s:i, s:i, s:s, s:s}", "row", row, "column", column, "id", id,
                                           "class", dataset_class(d, dataset_label(d, i))));
    return true;
}
static bool write_png(struct stage_context *ctx, const struct sheet *s, struct error *err)
{
    AUTO(mem) uint8_t *png = NULL;
    size_t n;
    return image_encode_png(s->rgb, s->width, s->height, &png, &n, err) &&
           fs_write_file(stage_out_file(ctx, "picture", "picture.png"), png, n, err);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    const struct contact_params *p = ctx->params;
    AUTO(dataset) struct dataset *data = NULL;
    AUTO(sheet) struct sheet s = {0};
    AUTO_JSON selection = json_read(stage_in_file(ctx, "selection", 0, "selection.json"), err);
    if (!selection || !dataset_open(stage_in(ctx, "data", 0), &data, err))
        return false;
    const json_t *ids = json_object_get(selection, "ids");
    int n = (int)json_array_size(ids);
    n = n < p->limit ? n : (int)p->limit;
    if (n == 0)
        return error_set(err, NULL, ERROR_INPUT, "nothing is selected");
    int columns = n < p->columns ? n : (int)p->columns, rows = (n - 1) / (int)p->columns + 1;
    s.width = GAP + columns * (int)(p->cell + GAP);
    s.height = GAP + rows * (int)(p->cell + GAP);
    size_t bytes = (size_t)s.width * (size_t)s.height * 3;
    if (bytes > (size_t)1 << 30 || !(s.rgb = malloc(bytes)))
        return error_set(err, NULL, ERROR_INPUT, "a sheet of %d x %d pixels is too large", s.width, s.height);
    memset(s.rgb, 255, bytes);
    AUTO_JSON cells = json_array();
    for (int i = 0; i < n; i++) {
        if (!draw(ctx, data, json_string_value(json_array_get(ids, (size_t)i)), i, &s, cells, err))
            return false;
        stage_progress(ctx, i + 1, n, "images");
    }
    AUTO_JSON o = json_pack("{s:I, s:i, s:O}", "cell", (json_int_t)p->cell, "gap", GAP, "cells", cells);
    return json_write(stage_out_file(ctx, "picture", "picture.json"), o, err) && write_png(ctx, &s, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct contact_params *p = params_;
    double n = in->chosen < p->limit ? (double)in->chosen : (double)p->limit;
    double pixels = n * (double)(p->cell * p->cell);
    ret->flops = (n * 3e5 + 30 * pixels) * COST_SCALAR;
    ret->bytes = cost_count(n * 1e5);
    ret->peak = cost_count(COST_WORKER + 12 * pixels);
    ret->makes = (struct cost_output){.bytes = cost_count(2 * pixels)};
}
const struct stage stage_contact = {
    .name = "contact",
    .version = 1,
    .doc = "A contact sheet of the chosen public images, in pick order.",
    .params = params,
    .params_size = sizeof(struct contact_params),
    .inputs =
        (const struct port[]){{.name = "selection", .type = ARTIFACT_SELECTION, .doc = "chosen samples"},
                              {.name = "data", .type = ARTIFACT_IMAGES, .doc = "the public set"},
                              {0}},
    .outputs = (const struct port[]){{.name = "picture",
                                      .type = ARTIFACT_PICTURE,
                                      .doc = "picture.png, and which cell is which sample in picture.json"},
                                     {0}},
    .cost = cost,
    .run = run,
};
