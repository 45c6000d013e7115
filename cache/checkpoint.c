#include "cache/checkpoint.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define VERSION        1
#define SKIPPABLE      0x184D2A50u /* zstd: readers skip a frame that begins so */
#define HEADER_LONGEST 4096
#define LEVEL          1 /* of zstd: most states are soon replaced */

static char *file_of(const struct store *s, const struct digest *id, int64_t step)
{
    AUTO(mem) char *dir = store_file(s, "checkpoints", id);
    return xprintf("%s/%lld", dir, (long long)step);
}

/* ---- the header ---- */

struct header {
    struct checkpoint c;
    struct digest state;
    int64_t size;
};

static void put_u32(struct buf *b, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        buf_putc(b, (char)(x >> (8 * i)));
}
static uint32_t get_u32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void add_header(const struct digest *id, const struct header *h, struct buf *out)
{
    char of[DIGEST_HEX], state[DIGEST_HEX];
    AUTO_JSON j = json_pack("{s:i, s:s, s:I, s:b, s:f, s:s, s:I}", "version", VERSION, "checkpoint",
                            digest_hex(id, of), "step", (json_int_t)h->c.step, "keep", h->c.keep, "seconds",
                            h->c.seconds, "state", digest_hex(&h->state, state), "size", (json_int_t)h->size);
    store_seal(j);
    AUTO(mem) char *text = json_text(j, false);
    put_u32(out, SKIPPABLE);
    put_u32(out, (uint32_t)strlen(text));
    buf_puts(out, text);
}

static bool parse_header(const char *text, size_t n, const struct digest *id, int64_t step,
                         struct header *ret)
{
    AUTO_JSON j = json_parse(text, n, "checkpoint", NULL);
    struct digest of;
    ret->c = (struct checkpoint){.step = json_int_or(j, "step", 0),
                                 .seconds = json_real_or(j, "seconds", 0),
                                 .keep = json_bool_or(j, "keep", false)};
    ret->size = json_int_or(j, "size", -1);
    return store_unseal(j) && json_int_or(j, "version", 0) == VERSION &&
           digest_parse(json_string_or(j, "checkpoint", ""), &of) && digest_equal(&of, id) &&
           ret->c.step == step && ret->size >= 0 && digest_parse(json_string_or(j, "state", ""), &ret->state);
}

/* Leaves fd behind the header. False with *why: it is damaged. */
static bool read_header(const struct frame_file *f, const struct digest *id, int64_t step, struct header *ret,
                        const char **why, struct error *err)
{
    unsigned char front[8];
    char text[HEADER_LONGEST];
    ssize_t n = frame_read_full(f->fd, front, sizeof front);
    *why = NULL;
    if (n < 0)
        return error_errno(err, "cannot read '%s'", f->path);
    size_t len = n == (ssize_t)sizeof front ? get_u32(front + 4) : 0;
    if (len == 0 || len > sizeof text || get_u32(front) != SKIPPABLE) {
        *why = "no header";
        return false;
    }
    n = frame_read_full(f->fd, text, len);
    if (n < 0)
        return error_errno(err, "cannot read '%s'", f->path);
    AUTO(buf) struct buf again = {0};
    if (n == (ssize_t)len && parse_header(text, len, id, step, ret))
        add_header(id, ret, &again);
    /* A seal holds for the values: the same ones written otherwise are a flipped bit all the same. */
    if (again.len != sizeof front + len || memcmp(again.data + sizeof front, text, len) != 0)
        *why = "its header is spoilt";
    return !*why;
}

bool checkpoint_check(const struct frame_file *f, const struct digest *id, int64_t step, const char **why,
                      struct error *err)
{
    struct header h;
    return read_header(f, id, step, &h, why, err) && frame_read(f, NULL, h.size, &h.state, why, err);
}

bool checkpoint_is_kept(const struct store *s, const struct digest *id, int64_t step)
{
    AUTO(mem) char *path = file_of(s, id, step);
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    struct header h;
    const char *why;
    return fd >= 0 && read_header(&(struct frame_file){fd, path}, id, step, &h, &why, NULL) && h.c.keep;
}

/* ---- in and out ---- */

static bool write_state(int from, const char *path, const struct digest *id, const struct header *h,
                        const struct frame_file *to, struct error *err)
{
    AUTO(buf) struct buf front = {0};
    struct digest again;
    add_header(id, h, &front);
    if (!fs_write_all(to->fd, front.data, front.len, to->path, err) ||
        !frame_write(&(struct frame_file){from, path}, h->size, to, LEVEL, &again, err))
        return false;
    return digest_equal(&again, &h->state) ||
           error_set(err, NULL, ERROR_SYSTEM, "'%s' changed while it was stored", path);
}

bool store_checkpoint_put(struct store *s, const struct digest *id, const struct checkpoint *c,
                          const char *path, struct error *err)
{
    struct header h = {.c = *c};
    AUTO(fd) int from = fs_open(path, O_RDONLY, 0);
    if (from < 0)
        return error_errno(err, "cannot open '%s'", path);
    if (!hash_file(path, &h.state, &h.size, err))
        return false;
    h.c.keep = h.c.keep || checkpoint_is_kept(s, id, c->step);
    AUTO(mem) char *file = file_of(s, id, c->step);
    AUTO(mem) char *temp = store_scratch(s, err);
    if (!temp)
        return false;
    struct frame_file to = {fs_open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0666), temp};
    if (to.fd < 0)
        return error_errno(err, "cannot create '%s'", temp);
    bool ok = write_state(from, path, id, &h, &to, err);
    return store_commit(ok, to.fd, temp, file, err);
}

/* True with *ret_whole false: absent, or damaged and out of the way now. */
static bool read_state(struct store *s, const struct digest *id, int64_t step, const char *to,
                       struct checkpoint *ret, bool *ret_whole, struct error *err)
{
    AUTO(mem) char *path = file_of(s, id, step);
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    struct frame_file f = {fd, path};
    struct header h;
    const char *why;
    *ret_whole = false;
    if (fd < 0) /* another run may have dropped it just now */
        return errno == ENOENT || error_errno(err, "cannot open '%s'", path);
    if (read_header(&f, id, step, &h, &why, err) && store_unpack(&f, &h.state, h.size, to, &why, err)) {
        *ret = h.c;
        *ret_whole = true;
        return true;
    }
    if (why)
        store_quarantine(s, path, "checkpoint", id);
    return why != NULL;
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* The steps there are, at most max, highest first; malloc'd. */
static bool list_steps(const char *dir, int64_t max, int64_t **ret, size_t *ret_n, struct error *err)
{
    char **list;
    size_t n;
    *ret = NULL;
    *ret_n = 0;
    if (!fs_exists(dir))
        return true;
    if (!fs_list_tree(dir, &list, &n, err))
        return false;
    *ret = xcalloc(n + 1, sizeof **ret);
    for (size_t i = 0; i < n; i++) {
        char *end;
        errno = 0;
        long long step = strtoll(list[i], &end, 10);
        if (!errno && !*end && step >= 1 && step <= max)
            (*ret)[(*ret_n)++] = step;
    }
    fs_list_free(list, n);
    if (*ret_n)
        qsort(*ret, *ret_n, sizeof **ret, descending);
    return true;
}

bool store_checkpoint_find(struct store *s, const struct digest *id, int64_t max_step, const char *to,
                           struct checkpoint *ret, struct error *err)
{
    AUTO(mem) char *dir = store_file(s, "checkpoints", id);
    AUTO(mem) int64_t *step = NULL;
    size_t n;
    *ret = (struct checkpoint){0};
    if (!list_steps(dir, max_step, &step, &n, err))
        return false;
    bool whole = false;
    for (size_t i = 0; i < n && !whole; i++)
        if (!read_state(s, id, step[i], to, ret, &whole, err))
            return false;
    return true;
}

void store_checkpoint_drop(struct store *s, const struct digest *id, int64_t step)
{
    AUTO(mem) char *path = file_of(s, id, step);
    if (!checkpoint_is_kept(s, id, step))
        fs->unlink(path);
}

void store_checkpoint_drop_below(struct store *s, const struct digest *id, int64_t step)
{
    AUTO(mem) char *dir = store_file(s, "checkpoints", id);
    AUTO(mem) int64_t *below = NULL;
    size_t n;
    if (!list_steps(dir, step - 1, &below, &n, NULL))
        return;
    for (size_t i = 0; i < n; i++)
        store_checkpoint_drop(s, id, below[i]);
}

void store_checkpoint_drop_all(struct store *s, const struct digest *id)
{
    AUTO(mem) char *dir = store_file(s, "checkpoints", id);
    fs_remove_tree(dir, NULL);
}
