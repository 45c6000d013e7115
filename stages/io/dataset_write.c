/* Writing an image data set: dataset.json and samples.jsonl; the source beside them is the caller's. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include <stdlib.h>
#include <string.h>

struct row {
    const char *id;
    int label;
    int64_t offset, size;
};
struct class_name {
    const char *name;
    int index; /* in order of first use */
};
struct dataset_writer {
    char *dir;
    struct arena arena;
    struct class_name *class_name;
    struct row *row;
    size_t n_classes, cap_classes, n, cap;
    int64_t ignored;
    bool upright, scaled;
};

struct dataset_writer *dataset_writer_new(const char *dir)
{
    struct dataset_writer *w = xcalloc(1, sizeof *w);
    arena_init(&w->arena);
    w->dir = xstrdup(dir);
    return w;
}

void dataset_writer_free(struct dataset_writer *w)
{
    if (!w)
        return;
    arena_done(&w->arena);
    free(w->class_name);
    free(w->row);
    free(w->dir);
    free(w);
}

static void writer_auto(struct dataset_writer **w)
{
    dataset_writer_free(*w);
}

int dataset_writer_class(struct dataset_writer *w, const char *name)
{
    for (size_t i = 0; i < w->n_classes; i++)
        if (!strcmp(w->class_name[i].name, name))
            return (int)i;
    return dataset_writer_new_class(w, name);
}

int dataset_writer_new_class(struct dataset_writer *w, const char *name)
{
    w->class_name = xgrow(w->class_name, &w->cap_classes, w->n_classes + 1, sizeof *w->class_name);
    w->class_name[w->n_classes] = (struct class_name){arena_strdup(&w->arena, name), (int)w->n_classes};
    return (int)w->n_classes++;
}

void dataset_writer_add(struct dataset_writer *w, const char *id, int label, int64_t offset, int64_t size)
{
    w->row = xgrow(w->row, &w->cap, w->n + 1, sizeof *w->row);
    w->row[w->n++] = (struct row){arena_strdup(&w->arena, id), label, offset, size};
}

void dataset_writer_ignored(struct dataset_writer *w, int64_t n)
{
    w->ignored += n;
}

void dataset_writer_decoding(struct dataset_writer *w, bool upright, bool scaled)
{
    w->upright = upright;
    w->scaled = scaled;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->id, ((const struct row *)b)->id);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct class_name *)a)->name, ((const struct class_name *)b)->name);
}

/* Sort the classes by name and give the rows their new numbers. */
static void renumber(struct dataset_writer *w)
{
    AUTO(mem) int *number = xcalloc(w->n_classes + 1, sizeof *number);
    if (w->n_classes)
        qsort(w->class_name, w->n_classes, sizeof *w->class_name, by_name);
    for (size_t i = 0; i < w->n_classes; i++)
        number[w->class_name[i].index] = (int)i;
    for (size_t i = 0; i < w->n; i++)
        w->row[i].label = number[w->row[i].label];
}

static json_t *meta_json(const struct dataset_writer *w, const char *split, int64_t skipped, bool in_file)
{
    json_t *classes = json_array();
    for (size_t i = 0; i < w->n_classes; i++)
        if (json_array_append_new(classes, json_string(w->class_name[i].name))) {
            json_decref(classes);
            return NULL; /* not UTF-8 */
        }
    json_t *meta = json_pack("{s:s, s:o, s:I, s:I, s:I, s:s, s:s}", "format", "weft-images-1", "classes",
                             classes, "count", (json_int_t)w->n, "skipped", (json_int_t)skipped, "ignored",
                             (json_int_t)w->ignored, "split", split, "source", in_file ? "file" : "folder");
    if (w->upright)
        json_object_set_new(meta, "orientation", json_string("exif"));
    if (w->scaled)
        json_object_set_new(meta, "decoding", json_string("scaled"));
    return meta;
}

static bool add_line(struct buf *out, const struct row *r, struct error *err)
{
    AUTO_JSON j = json_pack("{s:s, s:i}", "id", r->id, "label", r->label);
    if (!j)
        return error_set(err, NULL, ERROR_INPUT, "the name '%s' is not valid UTF-8: rename the file", r->id);
    if (r->offset >= 0) {
        json_object_set_new(j, "offset", json_integer(r->offset));
        json_object_set_new(j, "size", json_integer(r->size));
    }
    AUTO(mem) char *text = json_text(j, false);
    buf_puts(out, text);
    buf_putc(out, '\n');
    return true;
}

bool dataset_writer_finish(struct dataset_writer *w_, const char *split, int64_t skipped, bool keep_order,
                           struct error *err)
{
    AUTO(writer) struct dataset_writer *w = w_;
    if (!keep_order)
        renumber(w);
    if (w->n)
        qsort(w->row, w->n, sizeof *w->row, by_id);
    AUTO(buf) struct buf lines = {0};
    bool in_file = w->n && w->row[0].offset >= 0;
    for (size_t i = 0; i < w->n; i++) {
        if (i && !strcmp(w->row[i - 1].id, w->row[i].id))
            return error_set(err, NULL, ERROR_INPUT, "two images are called '%s'", w->row[i].id);
        if (!add_line(&lines, &w->row[i], err))
            return false;
    }
    AUTO_JSON meta = meta_json(w, split, skipped, in_file);
    if (!meta)
        return error_set(err, NULL, ERROR_INPUT, "a class name is not valid UTF-8: rename its folder");
    AUTO(mem) char *meta_path = xprintf("%s/dataset.json", w->dir);
    AUTO(mem) char *samples_path = xprintf("%s/samples.jsonl", w->dir);
    return json_write(meta_path, meta, err) && fs_write_file(samples_path, buf_str(&lines), lines.len, err);
}
