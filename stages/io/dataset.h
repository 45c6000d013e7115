/* An image data set as an artifact (ARTIFACT_IMAGES):
 *   dataset.json   {"format": "weft-images-1", "classes": [...], "count", "skipped", "ignored", "split",
 *                  "source": "folder" or "file"}; how its images are to be decoded, where that is not as
 *                  stored and in full: "orientation": "exif", "decoding": "scaled"
 *   samples.jsonl  one line a sample: {"id": "train/cat/1.jpg", "label": 3}; with a file source also
 *                  "offset" and "size"
 *   source         the folder or the (tar, or packed) file that holds the bytes; usually a link to the
 *                  imported original
 * Samples are sorted by id; ids are stable paths. Images are decoded on the fly, never all in memory. */
#ifndef STAGES_IO_DATASET_H
#define STAGES_IO_DATASET_H
#include "base/error.h"
#include "stages/io/transform.h"

struct dataset;
bool dataset_open(const char *dir, struct dataset **ret, struct error *err) MUST_CHECK;
void dataset_close(struct dataset *d);
static inline void dataset_auto(struct dataset **d)
{
    dataset_close(*d);
}
int64_t dataset_count(const struct dataset *d);
int dataset_classes(const struct dataset *d);
const char *dataset_class(const struct dataset *d, int c);
const char *const *dataset_class_names(const struct dataset *d);
int dataset_shared_classes(const struct dataset *a, const struct dataset *b); /* class names that both have */
int dataset_label(const struct dataset *d, int64_t i);
const char *dataset_id(const struct dataset *d, int64_t i);
int64_t dataset_find(const struct dataset *d, const char *id); /* index or -1 */
/* Decode sample i; the error names its id. Thread-safe. */
bool dataset_decode(const struct dataset *d, int64_t i, struct image *ret, struct error *err) MUST_CHECK;
/* The same for somebody who resizes it to a shorter side of `side`: a set of scaled decoding makes use of
 * that. 0: all of it. */
bool dataset_decode_for(const struct dataset *d, int64_t i, int side, struct image *ret,
                        struct error *err) MUST_CHECK;

/* Writing one (stages images and synthetic). Samples may be added in any order; finish sorts by id. */
struct dataset_writer;
struct dataset_writer *dataset_writer_new(const char *dir);
int dataset_writer_class(struct dataset_writer *w, const char *name);     /* index in order of first use */
int dataset_writer_new_class(struct dataset_writer *w, const char *name); /* whatever others are called */
/* offset -1: folder source. */
void dataset_writer_add(struct dataset_writer *w, const char *id, int label, int64_t offset, int64_t size);
/* Files that were found and are no images of this set: "ignored" in dataset.json. */
void dataset_writer_ignored(struct dataset_writer *w, int64_t n);
/* Images are to be turned as their EXIF says; are to be decoded scaled (image_decoding.side). */
void dataset_writer_decoding(struct dataset_writer *w, bool upright, bool scaled);
void dataset_writer_free(struct dataset_writer *w); /* instead of finish, after a failure */
/* Classes are renumbered to sorted order unless keep_order. */
bool dataset_writer_finish(struct dataset_writer *w, const char *split, int64_t skipped, bool keep_order,
                           struct error *err) MUST_CHECK; /* frees w */
/* A data set in `dir` of samples index[0..n-1] of d, each once, with labels of other classes; its source is a
 * link to that of d. */
bool dataset_relabel(const struct dataset *d, const int64_t *index, const int *label, int64_t n,
                     const char *const *classes, int n_classes, const char *dir,
                     struct error *err) MUST_CHECK;

/* loader.c: pixels for a model. */
/* Samples idx (n) of d as out (n,3,S,S): bytes/255, minus CLIP's mean, by CLIP's std. Random numbers are
 * rng_at(stream, idx, epoch): a function of (sample, epoch) alone. Decodes on `threads` OpenMP threads. */
bool loader_batch(const struct dataset *d, const int64_t *idx, int64_t n, const struct transform *t,
                  struct rng_stream stream, uint32_t epoch, int threads, float *out,
                  struct error *err) MUST_CHECK;
#endif
