/* Writing safetensors. Tensors are laid out by falling element size, then by name, as the reference writer
 * does, so that every tensor is aligned to its element; equal contents give equal bytes. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include <fcntl.h>

struct safetensors_writer {
    struct tensor *tensor; /* names are owned */
    size_t n, cap;
    json_t *meta;
    const void *(*make)(void *arg, const char *name, struct error *err); /* of data that is not there */
    void *arg;
};

struct safetensors_writer *safetensors_writer_new(void)
{
    struct safetensors_writer *w = xcalloc(1, sizeof *w);
    w->meta = json_pack("{s:s}", "format", "pt");
    return w;
}
void safetensors_writer_meta(struct safetensors_writer *w, const char *key, const char *value)
{
    json_object_set_new(w->meta, key, json_string(value));
}
void safetensors_writer_add(struct safetensors_writer *w, const char *name, enum dtype t, int rank,
                            const int64_t *shape, const void *data)
{
    w->tensor = xgrow(w->tensor, &w->cap, w->n + 1, sizeof *w->tensor);
    struct tensor *x = &w->tensor[w->n++];
    *x = (struct tensor){.name = xstrdup(name), .dtype = t, .rank = rank, .data = data, .n = 1};
    for (int i = 0; i < rank; i++) {
        x->shape[i] = shape[i];
        x->n *= shape[i];
    }
}
void safetensors_writer_make(struct safetensors_writer *w,
                             const void *(*make)(void *arg, const char *name, struct error *err), void *arg)
{
    w->make = make;
    w->arg = arg;
}
void safetensors_writer_free(struct safetensors_writer *w)
{
    for (size_t i = 0; i < w->n; i++)
        free((void *)w->tensor[i].name);
    free(w->tensor);
    json_decref(w->meta);
    free(w);
}
static int by_layout(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    int dx = dtype_size(x->dtype), dy = dtype_size(y->dtype);
    return dx != dy ? dy - dx : strcmp(x->name, y->name);
}
static void add_text(struct buf *b, json_t *value)
{
    AUTO(mem) char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    buf_puts(b, text);
    json_decref(value);
}
static int64_t bytes_of(const struct tensor *t)
{
    return t->n * dtype_size(t->dtype);
}
/* The 8 bytes of length and the padded JSON. */
static void header_text(const struct safetensors_writer *w, struct buf *b)
{
    int64_t at = 0;
    buf_add(b, "\0\0\0\0\0\0\0\0", 8);
    buf_puts(b, "{\"__metadata__\":");
    add_text(b, json_incref(w->meta));
    for (size_t i = 0; i < w->n; i++) {
        const struct tensor *t = &w->tensor[i];
        buf_putc(b, ',');
        add_text(b, json_string(t->name));
        buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(t->dtype));
        for (int d = 0; d < t->rank; d++)
            buf_printf(b, "%s%lld", d ? "," : "", (long long)t->shape[d]);
        buf_printf(b, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)(at + bytes_of(t)));
        at += bytes_of(t);
    }
    buf_putc(b, '}');
    while (b->len % 8)
        buf_putc(b, ' ');
    uint64_t length = b->len - 8;
    for (int i = 0; i < 8; i++)
        b->data[i] = (char)(length >> 8 * i & 255);
}
static bool write_all(const struct safetensors_writer *w, const char *path, struct error *err)
{
    AUTO(buf) struct buf header = {0};
    header_text(w, &header);
    int fd = fs_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(err, "cannot create '%s'", path);
    bool ok = fs_write_all(fd, header.data, header.len, path, err);
    for (size_t i = 0; ok && i < w->n; i++) {
        const struct tensor *t = &w->tensor[i];
        const void *data = t->data || !w->make ? t->data : w->make(w->arg, t->name, err);
        ok = (data || !t->n) && fs_write_all(fd, data, (size_t)bytes_of(t), path, err);
    }
    if (fs_close(fd) != 0 && ok)
        return error_errno(err, "cannot write '%s'", path);
    return ok;
}
bool safetensors_write(struct safetensors_writer *w, const char *path, struct error *err)
{
    bool ok = true;
    if (w->n)
        qsort(w->tensor, w->n, sizeof *w->tensor, by_layout);
    for (size_t i = 1; ok && i < w->n; i++)
        if (!strcmp(w->tensor[i - 1].name, w->tensor[i].name))
            ok = error_set(err, NULL, ERROR_SYSTEM, "'%s': tensor '%s' was added twice", path,
                           w->tensor[i].name);
    ok = ok && write_all(w, path, err);
    safetensors_writer_free(w);
    return ok;
}
