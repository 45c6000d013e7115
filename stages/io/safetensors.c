/* Reading safetensors. File format: u64 little-endian header length H; H bytes of JSON, name -> {dtype,
 * shape, data_offsets [begin, end)} relative to byte 8+H, and "__metadata__": {string: string}; then the
 * data, row-major, little-endian, without holes or overlaps. */
#include "stages/io/safetensors.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"

#define HEADER_MAX 100000000 /* as the reference implementation limits it */

static const struct {
    const char *name;
    int size;
} dtypes[] = {
    [DTYPE_F32] = {"F32", 4}, [DTYPE_F64] = {"F64", 8}, [DTYPE_F16] = {"F16", 2}, [DTYPE_BF16] = {"BF16", 2},
    [DTYPE_I64] = {"I64", 8}, [DTYPE_I32] = {"I32", 4}, [DTYPE_U8] = {"U8", 1},   [DTYPE_BOOL] = {"BOOL", 1}};
#define DTYPES (int)(sizeof dtypes / sizeof *dtypes)

const char *dtype_name(enum dtype t)
{
    return dtypes[t].name;
}
int dtype_size(enum dtype t)
{
    return dtypes[t].size;
}

struct entry { /* a tensor and where its bytes begin in its file's data */
    struct tensor tensor;
    int file;
    int64_t begin, end;
};
struct file {
    char *path;
    struct map map;
};
struct safetensors {
    char *path; /* for messages: the file, or the folder of shards */
    struct file *file;
    int files;
    struct entry *entry; /* sorted by name once open */
    size_t n, cap;
    json_t *metadata; /* of the first file, may be NULL */
};

void safetensors_close(struct safetensors *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->files; i++) {
        map_done(&s->file[i].map);
        free(s->file[i].path);
    }
    for (size_t i = 0; i < s->n; i++)
        free((void *)s->entry[i].tensor.name);
    json_decref(s->metadata);
    free(s->file);
    free(s->entry);
    free(s->path);
    free(s);
}

/* ---- one header ---- */
static bool bad(struct error *err, const char *path, const char *name, const char *what)
{
    if (!name)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is no valid safetensors file: %s", path, what);
    return error_set(err, NULL, ERROR_INPUT, "'%s' is no valid safetensors file: tensor '%s': %s", path, name,
                     what);
}
static bool parse_dtype(const json_t *o, enum dtype *ret)
{
    const char *name = json_string_value(json_object_get(o, "dtype"));
    for (int i = 0; name && i < DTYPES; i++)
        if (!strcmp(name, dtypes[i].name)) {
            *ret = (enum dtype)i;
            return true;
        }
    return false;
}
static bool parse_shape(const json_t *o, struct tensor *t)
{
    const json_t *shape = json_object_get(o, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > sizeof t->shape / sizeof *t->shape)
        return false;
    t->rank = (int)json_array_size(shape);
    t->n = 1;
    for (int i = 0; i < t->rank; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        t->shape[i] = json_integer_value(d);
        if (!json_is_integer(d) || t->shape[i] < 0 || __builtin_mul_overflow(t->n, t->shape[i], &t->n))
            return false;
    }
    return true;
}
static bool parse_offsets(const json_t *o, int64_t data_size, struct entry *e)
{
    const json_t *range = json_object_get(o, "data_offsets");
    const json_t *b = json_array_get(range, 0), *end = json_array_get(range, 1);
    if (json_array_size(range) != 2 || !json_is_integer(b) || !json_is_integer(end))
        return false;
    e->begin = json_integer_value(b);
    e->end = json_integer_value(end);
    return e->begin >= 0 && e->begin <= e->end && e->end <= data_size;
}
static bool parse_tensor(const json_t *o, const char *path, const char *name, int64_t data_size,
                         struct entry *e, struct error *err)
{
    struct tensor *t = &e->tensor;
    int64_t bytes;
    if (!json_is_object(o))
        return bad(err, path, name, "its header entry is no object");
    if (!parse_dtype(o, &t->dtype))
        return bad(err, path, name, "unknown dtype (weft reads F32 F64 F16 BF16 I64 I32 U8 BOOL)");
    if (!parse_shape(o, t))
        return bad(err, path, name, "its shape is no list of at most 8 sizes");
    if (!parse_offsets(o, data_size, e))
        return bad(err, path, name, "its data_offsets lie outside the file (is it truncated?)");
    if (__builtin_mul_overflow(t->n, (int64_t)dtype_size(t->dtype), &bytes) || bytes != e->end - e->begin)
        return bad(err, path, name, "shape and data_offsets disagree");
    return true;
}
static int by_begin(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end; /* empty tensors first */
}
static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->tensor.name, ((const struct entry *)b)->tensor.name);
}
/* The entries of one file must cover its data exactly. */
static bool check_cover(struct entry *e, size_t n, const char *path, int64_t data_size, struct error *err)
{
    int64_t at = 0;
    if (n)
        qsort(e, n, sizeof *e, by_begin);
    for (size_t i = 0; i < n; i++) {
        if (e[i].begin != at)
            return bad(err, path, e[i].tensor.name, "its data overlap another tensor's or leave a hole");
        at = e[i].end;
    }
    return at == data_size || bad(err, path, NULL, "bytes behind the last tensor");
}
static bool parse_header(struct safetensors *s, const json_t *header, const char *path, const uint8_t *data,
                         int64_t data_size, struct error *err)
{
    size_t first = s->n;
    const char *name;
    json_t *o;
    json_object_foreach((json_t *)header, name, o)
    {
        struct entry e = {.file = s->files - 1};
        if (!strcmp(name, "__metadata__")) {
            if (!json_is_object(o))
                return bad(err, path, NULL, "__metadata__ is no object");
            if (!s->metadata)
                s->metadata = json_incref(o);
            continue;
        }
        if (!parse_tensor(o, path, name, data_size, &e, err))
            return false;
        e.tensor.data = data + e.begin;
        e.tensor.name = xstrdup(name);
        s->entry = xgrow(s->entry, &s->cap, s->n + 1, sizeof *s->entry);
        s->entry[s->n++] = e;
    }
    return check_cover(s->entry + first, s->n - first, path, data_size, err);
}
static bool add_file(struct safetensors *s, const char *path, struct error *err)
{
    struct map m;
    if (!map_open(&m, path, err))
        return false;
    s->file = xrealloc(s->file, (size_t)(s->files + 1) * sizeof *s->file);
    s->file[s->files++] = (struct file){xstrdup(path), m};
    uint64_t length = 0;
    if (m.size < 8)
        return bad(err, path, NULL, "it is shorter than 8 bytes");
    for (int i = 7; i >= 0; i--)
        length = length << 8 | m.data[i];
    if (length > HEADER_MAX || length > m.size - 8)
        return bad(err, path, NULL, "its header is longer than the file");
    if (length < 2 || m.data[8] != '{')
        return bad(err, path, NULL, "its header is no JSON object");
    AUTO_JSON header = json_parse((const char *)m.data + 8, (size_t)length, path, err);
    if (!header)
        return error_context(err, "'%s' is no valid safetensors file", path);
    if (!json_is_object(header))
        return bad(err, path, NULL, "its header is no JSON object");
    return parse_header(s, header, path, m.data + 8 + length, (int64_t)(m.size - 8 - length), err);
}

/* ---- opening ---- */
static struct safetensors *safetensors_new(const char *path)
{
    struct safetensors *s = xcalloc(1, sizeof *s);
    s->path = xstrdup(path);
    return s;
}
static bool sort_names(struct safetensors *s, struct error *err)
{
    if (s->n)
        qsort(s->entry, s->n, sizeof *s->entry, by_name);
    for (size_t i = 1; i < s->n; i++)
        if (!strcmp(s->entry[i - 1].tensor.name, s->entry[i].tensor.name))
            return bad(err, s->path, s->entry[i].tensor.name, "it occurs twice");
    return true;
}
bool safetensors_open(const char *path, struct safetensors **ret, struct error *err)
{
    AUTO(safetensors) struct safetensors *s = safetensors_new(path);
    if (!add_file(s, path, err) || !sort_names(s, err))
        return false;
    *ret = s;
    s = NULL;
    return true;
}
static bool plain_name(const char *file)
{
    return file && *file && *file != '.' && !strchr(file, '/');
}
/* Every shard that the index names, once, in order of name. */
static bool add_shards(struct safetensors *s, const char *dir, const json_t *weights, struct error *err)
{
    AUTO_JSON files = json_object();
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)weights, name, v)
    {
        const char *file = json_string_value(v);
        if (!plain_name(file))
            return error_set(err, NULL, ERROR_INPUT,
                             "'%s/model.safetensors.index.json': the shard of '%s' must be a file name", dir,
                             name);
        json_object_set_new(files, file, json_true());
    }
    size_t n = json_object_size(files), i = 0;
    AUTO(mem) const char **list = xcalloc(n + 1, sizeof *list);
    json_object_foreach(files, name, v) list[i++] = name;
    for (i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", dir, list[i]);
        if (!add_file(s, path, err))
            return error_context(err, "shard of '%s'", dir);
    }
    return true;
}
static bool open_index(const char *dir, const char *index, struct safetensors **ret, struct error *err)
{
    AUTO(safetensors) struct safetensors *s = safetensors_new(dir);
    AUTO_JSON j = json_read(index, err);
    if (!j)
        return false;
    const json_t *weights = json_object_get(j, "weight_map");
    if (!json_is_object(weights) || !json_object_size(weights))
        return error_set(err, NULL, ERROR_INPUT, "'%s': 'weight_map' must be an object of tensor names",
                         index);
    if (!add_shards(s, dir, weights, err) || !sort_names(s, err))
        return false;
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)weights, name, v) if (!safetensors_find(s, name)) return error_set(
        err, NULL, ERROR_INPUT, "'%s': tensor '%s' is in none of the shards", index, name);
    *ret = s;
    s = NULL;
    return true;
}
bool safetensors_open_model(const char *dir, struct safetensors **ret, struct error *err)
{
    AUTO(mem) char *single = xprintf("%s/model.safetensors", dir);
    AUTO(mem) char *index = xprintf("%s/model.safetensors.index.json", dir);
    if (!fs_exists(single) && fs_exists(index))
        return open_index(dir, index, ret, err);
    return safetensors_open(single, ret, err);
}

/* ---- access ---- */
int safetensors_count(const struct safetensors *s)
{
    return (int)s->n;
}
const struct tensor *safetensors_at(const struct safetensors *s, int i)
{
    return &s->entry[i].tensor;
}
const struct tensor *safetensors_find(const struct safetensors *s, const char *name)
{
    struct entry key = {.tensor.name = name};
    const struct entry *e = s->n ? bsearch(&key, s->entry, s->n, sizeof key, by_name) : NULL;
    return e ? &e->tensor : NULL;
}
const char *safetensors_path(const struct safetensors *s, const struct tensor *t)
{
    return t ? s->file[((const struct entry *)t)->file].path : s->path; /* an entry begins with its tensor */
}
const char *safetensors_metadata(const struct safetensors *s, const char *key)
{
    return json_string_value(json_object_get(s->metadata, key));
}
static void shape_text(struct buf *b, int rank, const int64_t *shape)
{
    buf_putc(b, '[');
    for (int i = 0; i < rank; i++)
        buf_printf(b, "%s%lld", i ? ", " : "", (long long)shape[i]);
    buf_putc(b, ']');
}
const struct tensor *safetensors_want(const struct safetensors *s, const char *name, int rank,
                                      const int64_t *shape, struct error *err)
{
    const struct tensor *t = safetensors_find(s, name);
    if (!t) {
        error_set(err, NULL, ERROR_INPUT, "'%s' has no tensor '%s'", s->path, name);
        return NULL;
    }
    if (t->dtype > DTYPE_BF16) {
        error_set(err, NULL, ERROR_INPUT, "'%s': tensor '%s' holds %s, not floating-point numbers",
                  safetensors_path(s, t), name, dtype_name(t->dtype));
        return NULL;
    }
    if (rank < 0 || (t->rank == rank && (!rank || !memcmp(t->shape, shape, (size_t)rank * sizeof *shape))))
        return t;
    AUTO(buf) struct buf got = {0}, want = {0};
    shape_text(&got, t->rank, t->shape);
    shape_text(&want, rank, shape);
    error_set(err, NULL, ERROR_INPUT, "'%s': tensor '%s' has shape %s, but %s is needed",
              safetensors_path(s, t), name, buf_str(&got), buf_str(&want));
    return NULL;
}
