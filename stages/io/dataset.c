/* Reading an image data set (dataset.h). Everything is checked when it is opened: labels within the classes,
 * ids sorted and inside the source, offsets inside the file. */
#include "stages/io/dataset.h"
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/dataset_cache.h"
#include <stdlib.h>
#include <string.h>

struct sample {
    const char *id;
    int label;
    int64_t offset, size; /* offset -1: a file of the source folder */
};
struct dataset {
    char *dir;
    struct arena arena; /* ids, class names */
    const char **classes;
    int n_classes;
    struct sample *sample;
    int64_t n;
    size_t cap;
    bool in_file, upright, scaled;
    struct map source; /* file source only */
    struct image_cache *cache;
};

void dataset_close(struct dataset *d)
{
    if (!d)
        return;
    image_cache_free(d->cache);
    map_done(&d->source);
    arena_done(&d->arena);
    free(d->classes);
    free(d->sample);
    free(d->dir);
    free(d);
}

static bool read_classes(struct dataset *d, const json_t *meta, struct error *err)
{
    const json_t *list = json_object_get(meta, "classes");
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > INT32_MAX / 2)
        return error_set(err, NULL, ERROR_INPUT, "'classes' must be a list of at least one name");
    d->n_classes = (int)json_array_size(list);
    d->classes = xcalloc((size_t)d->n_classes + 1, sizeof *d->classes);
    for (int c = 0; c < d->n_classes; c++) {
        const char *name = json_string_value(json_array_get(list, (size_t)c));
        if (!name || !*name)
            return error_set(err, NULL, ERROR_INPUT, "'classes' must hold names only");
        d->classes[c] = arena_strdup(&d->arena, name);
    }
    return true;
}

/* A member that has one value, where there is one at all. */
static bool read_choice(const json_t *meta, const char *name, const char *value, bool *ret, struct error *err)
{
    const json_t *is = json_object_get(meta, name);
    *ret = is;
    if (is && (!json_is_string(is) || strcmp(json_string_value(is), value) != 0))
        return error_set(err, NULL, ERROR_INPUT, "'%s' can only be '%s'", name, value);
    return true;
}

static bool read_meta(struct dataset *d, const char *path, int64_t *ret_count, struct error *err)
{
    AUTO_JSON meta = json_read(path, err);
    const char *format, *source;
    if (!meta)
        return false;
    if (!json_get_string(meta, "format", &format, err) || !json_get_string(meta, "source", &source, err) ||
        !json_get_int(meta, "count", ret_count, err) || !read_classes(d, meta, err))
        return error_context(err, "'%s'", path);
    if (strcmp(format, "weft-images-1"))
        return error_set(err, NULL, ERROR_INPUT, "'%s': format '%s' is not 'weft-images-1'", path, format);
    if (strcmp(source, "file") && strcmp(source, "folder"))
        return error_set(err, NULL, ERROR_INPUT, "'%s': source must be 'file' or 'folder', not '%s'", path,
                         source);
    d->in_file = !strcmp(source, "file");
    return read_choice(meta, "orientation", "exif", &d->upright, err) &&
           read_choice(meta, "decoding", "scaled", &d->scaled, err);
}

/* A relative path that stays below its root. */
static bool id_is_safe(const char *id)
{
    if (!*id || *id == '/')
        return false;
    for (const char *p = id; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
    }
    return true;
}

static bool check_sample(const struct dataset *d, const struct sample *s, int64_t label, struct error *err)
{
    if (label < 0 || label >= d->n_classes)
        return error_set(err, NULL, ERROR_INPUT, "label %lld of '%s' is not one of the %d classes",
                         (long long)label, s->id, d->n_classes);
    if (!id_is_safe(s->id))
        return error_set(err, NULL, ERROR_INPUT, "id '%s' is not a path inside the set", s->id);
    if (d->n && strcmp(d->sample[d->n - 1].id, s->id) >= 0)
        return error_set(err, NULL, ERROR_INPUT, "ids must be sorted and unique: '%s' after '%s'", s->id,
                         d->sample[d->n - 1].id);
    if (!d->in_file)
        return true;
    int64_t end = (int64_t)d->source.size;
    if (s->offset < 0 || s->size < 0 || s->offset > end || s->size > end - s->offset)
        return error_set(err, NULL, ERROR_INPUT,
                         "the bytes of '%s' (%lld at %lld) lie outside the source of %lld bytes", s->id,
                         (long long)s->size, (long long)s->offset, (long long)end);
    return true;
}

static bool read_sample(struct dataset *d, const char *line, size_t n, const char *path, struct error *err)
{
    AUTO_JSON j = json_parse(line, n, path, err);
    const char *id;
    int64_t label;
    if (!j)
        return false;
    struct sample s = {.offset = json_int_or(j, "offset", -1), .size = json_int_or(j, "size", -1)};
    if (!json_get_string(j, "id", &id, err) || !json_get_int(j, "label", &label, err))
        return false;
    s.id = id;
    if (!check_sample(d, &s, label, err))
        return false;
    s.id = arena_strdup(&d->arena, id);
    s.label = (int)label;
    d->sample = xgrow(d->sample, &d->cap, (size_t)d->n + 1, sizeof *d->sample);
    d->sample[d->n++] = s;
    return true;
}

static bool read_samples(struct dataset *d, const char *path, int64_t count, struct error *err)
{
    AUTO(map) struct map m = {0};
    if (!map_open(&m, path, err))
        return false;
    int64_t line = 1;
    for (size_t at = 0; at < m.size; line++) {
        const uint8_t *end = memchr(m.data + at, '\n', m.size - at);
        size_t n = end ? (size_t)(end - m.data) - at : m.size - at;
        if (!read_sample(d, (const char *)m.data + at, n, path, err))
            return error_context(err, "'%s' line %lld", path, (long long)line);
        at += n + 1;
    }
    if (d->n != count)
        return error_set(err, NULL, ERROR_INPUT, "'%s' has %lld samples where dataset.json says %lld", path,
                         (long long)d->n, (long long)count);
    return true;
}

static bool open_source(struct dataset *d, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/source", d->dir);
    if (d->in_file)
        return map_open(&d->source, path, err);
    return fs_is_dir(path) || error_set(err, NULL, ERROR_INPUT, "'%s' is not a folder", path);
}

bool dataset_open(const char *dir, struct dataset **ret, struct error *err)
{
    AUTO(dataset) struct dataset *d = xcalloc(1, sizeof *d);
    AUTO(mem) char *meta = xprintf("%s/dataset.json", dir);
    AUTO(mem) char *samples = xprintf("%s/samples.jsonl", dir);
    int64_t count;
    arena_init(&d->arena);
    d->dir = xstrdup(dir);
    if (!read_meta(d, meta, &count, err) || !open_source(d, err) || !read_samples(d, samples, count, err))
        return error_context(err, "image data set '%s'", dir);
    d->cache = image_cache_new(d->n, DATASET_CACHE_BYTES);
    *ret = d;
    d = NULL;
    return true;
}

int64_t dataset_count(const struct dataset *d)
{
    return d->n;
}

int dataset_classes(const struct dataset *d)
{
    return d->n_classes;
}

const char *dataset_class(const struct dataset *d, int c)
{
    return d->classes[c];
}

const char *const *dataset_class_names(const struct dataset *d)
{
    return d->classes;
}

int dataset_shared_classes(const struct dataset *a, const struct dataset *b)
{
    int same = 0;
    for (int i = 0; i < dataset_classes(a); i++)
        for (int k = 0; k < dataset_classes(b); k++)
            same += !strcmp(dataset_class(a, i), dataset_class(b, k));
    return same;
}
int dataset_label(const struct dataset *d, int64_t i)
{
    return d->sample[i].label;
}

const char *dataset_id(const struct dataset *d, int64_t i)
{
    return d->sample[i].id;
}

struct image_cache *dataset_cache(const struct dataset *d)
{
    return d->cache;
}

int64_t dataset_find(const struct dataset *d, const char *id)
{
    int64_t low = 0, high = d->n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        int order = strcmp(d->sample[mid].id, id);
        if (order == 0)
            return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

bool dataset_decode_for(const struct dataset *d, int64_t i, int side, struct image *ret, struct error *err)
{
    const struct sample *s = &d->sample[i];
    AUTO(map) struct map m = {0};
    const uint8_t *data;
    size_t n;
    if (d->in_file) {
        data = d->source.data + s->offset;
        n = (size_t)s->size;
    } else {
        AUTO(mem) char *path = xprintf("%s/source/%s", d->dir, s->id);
        if (!map_open(&m, path, err))
            return error_context(err, "image '%s'", s->id);
        data = m.data;
        n = m.size;
    }
    struct image_decoding how = {.upright = d->upright, .side = d->scaled ? side : 0};
    return image_decode_as(data, n, how, ret, err) || error_context(err, "image '%s'", s->id);
}

bool dataset_decode(const struct dataset *d, int64_t i, struct image *ret, struct error *err)
{
    return dataset_decode_for(d, i, 0, ret, err);
}

bool dataset_relabel(const struct dataset *d, const int64_t *index, const int *label, int64_t n,
                     const char *const *classes, int n_classes, const char *dir, struct error *err)
{
    AUTO(mem) char *from = xprintf("%s/source", d->dir);
    AUTO(mem) char *target = realpath(from, NULL);
    AUTO(mem) char *link = xprintf("%s/source", dir);
    if (!target || fs->symlink(target, link) != 0)
        return error_errno(err, "cannot link '%s' to '%s'", link, from);
    struct dataset_writer *w = dataset_writer_new(dir);
    dataset_writer_decoding(w, d->upright, d->scaled);
    for (int c = 0; c < n_classes; c++)
        dataset_writer_new_class(w, classes[c]);
    for (int64_t i = 0; i < n; i++) {
        const struct sample *s = &d->sample[index[i]];
        dataset_writer_add(w, s->id, label[i], d->in_file ? s->offset : -1, s->size);
    }
    return dataset_writer_finish(w, "", 0, true, err);
}
