/* Stages that do nothing, for the tests of the experiment file: what they take and make is all that counts.
 */
#ifndef TESTS_UNIT_SPEC_FAKE_H
#define TESTS_UNIT_SPEC_FAKE_H
#include "base/buf.h"
#include "engine/spec/spec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fake_params {
    int64_t size;
    double rate;
    bool flag;
    const char *kind, *text, *path;
    int64_t threads;
};
static const struct param fake_params[] = {
    PARAM(struct fake_params, size, .def = "5", .min = 1, .max = 100),
    PARAM(struct fake_params, rate, .def = "0.5", .min = 0, .max = 1),
    PARAM(struct fake_params, flag, .def = "false"),
    PARAM(struct fake_params, kind, .def = "a", .choices = "a|b"),
    PARAM(struct fake_params, text, .def = ""),
    PARAM(struct fake_params, path, .def = "", .flags = PARAM_IMPORT),
    PARAM(struct fake_params, threads, .def = "1", .flags = PARAM_RUNTIME),
    {0}};
static const struct param fake_need[] = {
    PARAM(struct fake_params, size, .flags = PARAM_REQUIRED, .doc = "how many"), {0}};

static inline bool fake_check(const void *params, struct error *err)
{
    const struct fake_params *p = params;
    return p->size != 13 || error_set(err, NULL, ERROR_INPUT, "13 brings bad luck");
}

static const struct stage fake_stages[] = {
    {.name = "source",
     .version = 3,
     .params = fake_params,
     .params_size = sizeof(struct fake_params),
     .check = fake_check,
     .outputs = (const struct port[]){{.name = "images", .type = ARTIFACT_IMAGES}, {0}}},
    {.name = "need",
     .version = 1,
     .params = fake_need,
     .params_size = sizeof(struct fake_params),
     .outputs = (const struct port[]){{.name = "images", .type = ARTIFACT_IMAGES}, {0}}},
    {.name = "step", /* images in, images out: for chains and cycles */
     .version = 1,
     .params = fake_params,
     .params_size = sizeof(struct fake_params),
     .inputs =
         (const struct port[]){
             {.name = "data", .type = ARTIFACT_IMAGES, .private_ok = true},
             {.name = "more", .type = ARTIFACT_IMAGES, .private_ok = true, .optional = true},
             {0}},
     .outputs = (const struct port[]){{.name = "images", .type = ARTIFACT_IMAGES}, {0}}},
    {.name = "train", /* an adapter and a router, both released */
     .version = 1,
     .inputs = (const struct port[]){{.name = "data", .type = ARTIFACT_IMAGES, .private_ok = true}, {0}},
     .outputs = (const struct port[]){{.name = "adapter", .type = ARTIFACT_ADAPTER, .releases = true},
                                      {.name = "router", .type = ARTIFACT_ROUTER, .releases = true},
                                      {0}}},
    {.name = "twice", /* two outputs of one type */
     .version = 1,
     .outputs = (const struct port[]){{.name = "left", .type = ARTIFACT_IMAGES},
                                      {.name = "right", .type = ARTIFACT_IMAGES},
                                      {0}}},
    {.name = "join",
     .version = 1,
     .inputs =
         (const struct port[]){
             {.name = "experts", .type = ARTIFACT_ADAPTER, .also = ARTIFACT_ROUTER, .many = true}, {0}},
     .outputs = (const struct port[]){{.name = "model", .type = ARTIFACT_MODEL}, {0}}},
    {.name = "list",
     .version = 1,
     .inputs =
         (const struct port[]){{.name = "all", .type = ARTIFACT_IMAGES, .many = true, .private_ok = true},
                               {0}},
     .outputs = (const struct port[]){{.name = "metrics", .type = ARTIFACT_METRICS}, {0}}},
    {.name = "turn", /* one round of a client: what it shares, and what stays with it */
     .version = 1,
     .params = fake_params,
     .params_size = sizeof(struct fake_params),
     .inputs =
         (const struct port[]){
             {.name = "data", .type = ARTIFACT_IMAGES, .private_ok = true},
             {.name = "before", .type = ARTIFACT_IMAGES, .private_ok = true, .optional = true},
             {.name = "mean", .type = ARTIFACT_IMAGES, .optional = true},
             {0}},
     .outputs = (const struct port[]){{.name = "shared", .type = ARTIFACT_ADAPTER, .releases = true},
                                      {.name = "images", .type = ARTIFACT_IMAGES},
                                      {0}}},
    {.name = "mean",
     .version = 1,
     .inputs = (const struct port[]){{.name = "all", .type = ARTIFACT_ADAPTER, .many = true}, {0}},
     .outputs = (const struct port[]){{.name = "images", .type = ARTIFACT_IMAGES}, {0}}},
    {.name = "public",
     .version = 1,
     .inputs = (const struct port[]){{.name = "data", .type = ARTIFACT_IMAGES}, {0}},
     .outputs = (const struct port[]){{.name = "model", .type = ARTIFACT_MODEL}, {0}}}};

static inline const struct stage *fake_find(const char *name)
{
    for (size_t i = 0; i < sizeof fake_stages / sizeof *fake_stages; i++)
        if (strcmp(fake_stages[i].name, name) == 0)
            return &fake_stages[i];
    return strcmp(name, "command") == 0 ? stage_find(name) : NULL; /* its ports are declared in the file */
}

/* Reads `text` as an experiment; on failure NULL, and "line:col text\n" for each error in *errors. */
static inline struct spec *fake_read(const char *text, const char *const *set, int n_set, struct buf *errors)
{
    char path[] = "/tmp/weft-spec-XXXXXX";
    int fd = mkstemp(path), n = 0;
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) != 0)
        return NULL;
    const struct spec_options options = {.set = set, .n_set = n_set, .find = fake_find};
    struct spec *s = NULL;
    struct error *list = NULL;
    buf_clear(errors);
    if (!spec_read(path, &options, &s, &list, &n))
        for (int i = 0; i < n; i++)
            buf_printf(errors, "%d:%d %s\n", list[i].line, list[i].col, list[i].text);
    free(list);
    unlink(path);
    return s;
}
#endif
