/* safetensors: read (mapped, validated) and write. Damaged headers, overlaps, holes, wrong sizes are
 * ERROR_INPUT. */
#ifndef STAGES_IO_SAFETENSORS_H
#define STAGES_IO_SAFETENSORS_H
#include "base/arena.h"
#include "base/error.h"
#include "base/fs.h"

enum dtype { DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_I64, DTYPE_I32, DTYPE_U8, DTYPE_BOOL };
const char *dtype_name(enum dtype t); /* "F32" */
int dtype_size(enum dtype t);
struct tensor {
    const char *name;
    enum dtype dtype;
    int rank;
    int64_t shape[8];
    const void *data; /* into the map; 8-byte aligned or not: see tensor_floats */
    int64_t n;        /* elements */
};
struct safetensors; /* one file, or the shards named by model.safetensors.index.json */
bool safetensors_open(const char *path, struct safetensors **ret, struct error *err) MUST_CHECK;
/* A Hugging Face folder: model.safetensors, or its index and shards. */
bool safetensors_open_model(const char *dir, struct safetensors **ret, struct error *err) MUST_CHECK;
void safetensors_close(struct safetensors *s);
static inline void safetensors_auto(struct safetensors **s)
{
    safetensors_close(*s);
}
int safetensors_count(const struct safetensors *s);
const struct tensor *safetensors_at(const struct safetensors *s, int i); /* sorted by name */
const struct tensor *safetensors_find(const struct safetensors *s, const char *name);
/* Of the file that holds tensor t of s; t NULL: what was opened, a file or the folder of the shards. */
const char *safetensors_path(const struct safetensors *s, const struct tensor *t);
const char *safetensors_metadata(const struct safetensors *s, const char *key); /* NULL when absent */
/* Find with a check of dtype-convertible floats and shape (rank -1: any); the error names file, tensor, both
 * shapes. */
const struct tensor *safetensors_want(const struct safetensors *s, const char *name, int rank,
                                      const int64_t *shape, struct error *err);
/* The values as float32: the map itself for aligned F32, else converted into the arena. NULL: out of memory.
 */
const float *tensor_floats(const struct tensor *t, struct arena *a);
const int64_t *tensor_ints(const struct tensor *t, struct arena *a);

struct safetensors_writer;
/* Tensors are declared first, then written in one go; header padded to 8, "__metadata__": {"format":"pt",
 * ...}. */
struct safetensors_writer *safetensors_writer_new(void);
void safetensors_writer_meta(struct safetensors_writer *w, const char *key, const char *value);
/* data is borrowed until safetensors_write; NULL: make() gives it then. */
void safetensors_writer_add(struct safetensors_writer *w, const char *name, enum dtype t, int rank,
                            const int64_t *shape, const void *data);
/* The values of tensors that were added without, one tensor at a time, in the order of the file: valid until
 * the next call; NULL with *err set ends the writing. */
void safetensors_writer_make(struct safetensors_writer *w,
                             const void *(*make)(void *arg, const char *name, struct error *err), void *arg);
bool safetensors_write(struct safetensors_writer *w, const char *path,
                       struct error *err) MUST_CHECK;       /* frees w */
void safetensors_writer_free(struct safetensors_writer *w); /* without writing */
#endif
