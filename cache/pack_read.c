/* Reading objects: threads take blocks, and write each to its place; the digest of the content, where it is
 * asked for, takes them in order. Nothing that the file says is believed before it agrees with its length and
 * with the size that the caller knows. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/pack_format.h"
#include "cache/pack_team.h"
#include <string.h>
#include <zstd.h>

#define SHORT "too short"
#define TABLE "its seek table is spoilt"

struct reader {
    const struct frame_file *from, *to; /* to NULL: to memory, or nowhere */
    struct pack_info info;
    struct pack_frame *frame; /* all frames of the file */
    int64_t *start;           /* of each block in the file, and where the last ends */
    bool check;               /* hash the content */
    struct hasher hash;
    struct digest *sum; /* of every block as it is stored; NULL: nobody asks */
    uint8_t *p;         /* memory that takes n bytes of content from `at` on */
    int64_t at;
    size_t n;
};
struct desk { /* a thread's own */
    ZSTD_DCtx *z;
    uint8_t *in, *planes, *out;
    size_t cap; /* of in */
};

static void reader_done(struct reader *r)
{
    free(r->frame);
    free(r->start);
    free(r->sum);
}

/* n bytes that must be there. */
static bool read_exactly(const struct frame_file *from, void *p, size_t n, int64_t at, const char **why,
                         struct error *err)
{
    ssize_t have = pack_pread(from->fd, p, n, at);
    if (have < 0)
        return error_errno(err, "cannot read '%s'", from->path);
    if (have != (ssize_t)n)
        *why = SHORT;
    return !*why;
}

bool pack_open(const struct frame_file *from, struct pack_info *ret, const char **why, struct error *err)
{
    uint8_t header[PACK_HEADER];
    struct stat st;
    *why = NULL;
    if (fstat(from->fd, &st) != 0)
        return error_errno(err, "cannot stat '%s'", from->path);
    if (!read_exactly(from, header, sizeof header, 0, why, err))
        return false;
    if (!pack_header_read(header, ret)) {
        *why = PACK_DAMAGED;
        return false;
    }
    ret->stored = st.st_size;
    return true;
}

/* Do the frames fill the file, and are they those of the header? */
static bool place_frames(struct reader *r)
{
    const struct pack_info *i = &r->info;
    int64_t at = PACK_HEADER;
    const struct pack_frame *f = r->frame;
    for (int64_t b = 0; b < i->blocks; b++) {
        r->start[b] = at;
        for (int j = 0; j < i->width; j++, f++) {
            size_t size = pack_plane_size(pack_block_size(i, b), i->width, j);
            if (f->size != size || f->stored > ZSTD_compressBound(size))
                return false;
            at += f->stored;
        }
    }
    r->start[i->blocks] = at;
    return at + (int64_t)pack_table_size(i->blocks * i->width) == i->stored;
}

static bool read_table(struct reader *r, int64_t size, const char **why, struct error *err)
{
    if (!pack_open(r->from, &r->info, why, err))
        return false;
    int64_t frames = r->info.blocks * r->info.width;
    if (r->info.size != size)
        *why = "of another size";
    else if (r->info.stored < PACK_HEADER + (int64_t)pack_table_size(frames))
        *why = SHORT;
    if (*why)
        return false;
    size_t n = pack_table_size(frames);
    AUTO(mem) uint8_t *table = xmalloc(n);
    if (!read_exactly(r->from, table, n, r->info.stored - (int64_t)n, why, err))
        return false;
    r->frame = xcalloc((size_t)frames + 1, sizeof *r->frame);
    r->start = xcalloc((size_t)r->info.blocks + 1, sizeof *r->start);
    if (!pack_table_read(table, frames, r->frame) || !place_frames(r))
        *why = TABLE;
    return !*why;
}

static void desk_done(struct desk *d)
{
    ZSTD_freeDCtx(d->z);
    free(d->in);
    free(d->planes);
    free(d->out);
}

static bool desk_init(struct desk *d, const struct pack_info *i, struct error *err)
{
    size_t n = pack_block_size(i, 0);
    *d = (struct desk){.z = ZSTD_createDCtx()};
    if (!d->z)
        return error_set(err, NULL, ERROR_SYSTEM, "zstd: out of memory");
    for (int j = 0; j < i->width; j++)
        d->cap += ZSTD_compressBound(pack_plane_size(n, i->width, j));
    d->in = xmalloc(d->cap);
    d->planes = i->width > 1 ? xmalloc(n) : NULL;
    d->out = xmalloc(n);
    return true;
}

/* One frame, and nothing but it: its own checksum is the table's, and zstd compares it with the content. */
static bool read_frame(ZSTD_DCtx *z, const struct pack_frame *f, const uint8_t *in, uint8_t *out,
                       const char **why)
{
    if (f->stored < 4 || ZSTD_findFrameCompressedSize(in, f->stored) != f->stored ||
        ZSTD_getFrameContentSize(in, f->stored) != f->size || !(in[4] & 4) || /* it has a checksum */
        pack_u32(in + f->stored - 4) != f->check) {
        *why = "a frame is not what its seek table says";
        return false;
    }
    size_t n = ZSTD_decompressDCtx(z, out, f->size, in, f->stored);
    if (ZSTD_isError(n) || n != f->size)
        *why = ZSTD_isError(n) ? ZSTD_getErrorName(n) : SHORT;
    return !*why;
}

/* The content of a block into d->out. */
static bool unpack(struct reader *r, int64_t block, struct desk *d, const char **why, struct error *err)
{
    const struct pack_info *i = &r->info;
    size_t stored = (size_t)(r->start[block + 1] - r->start[block]);
    const struct pack_frame *f = r->frame + block * i->width;
    const uint8_t *in = d->in;
    uint8_t *to = i->width > 1 ? d->planes : d->out;
    if (!read_exactly(r->from, d->in, stored, r->start[block], why, err))
        return false;
    if (r->sum)
        hash_bytes(d->in, stored, &r->sum[block]);
    for (int j = 0; j < i->width; j++, f++) {
        if (!read_frame(d->z, f, in, to, why))
            return false;
        in += f->stored;
        to += f->size;
    }
    if (i->width > 1)
        pack_join(d->planes, d->out, pack_block_size(i, block), i->width);
    return true;
}

/* What of a block was asked for, to memory. */
static void copy_part(const struct reader *r, int64_t block, const uint8_t *content, size_t n)
{
    int64_t begin = block * r->info.block, end = begin + (int64_t)n;
    int64_t from = begin > r->at ? begin : r->at;
    int64_t to = end < r->at + (int64_t)r->n ? end : r->at + (int64_t)r->n;
    if (from < to)
        memcpy(r->p + (from - r->at), content + (from - begin), (size_t)(to - from));
}

static bool read_block(struct reader *r, struct pack_team *t, int64_t block, struct desk *d, const char **why,
                       struct error *err)
{
    size_t n = pack_block_size(&r->info, block);
    if (!unpack(r, block, d, why, err))
        return false;
    if (r->p)
        copy_part(r, block, d->out, n);
    if (r->check) {
        if (!pack_team_wait(t, TURN_HASH, block))
            return true; /* another block failed */
        hasher_add(&r->hash, d->out, n);
        pack_team_pass(t, TURN_HASH);
    }
    return !r->to || pack_team_pwrite(t, r->to, d->out, n, block * r->info.block, err);
}

static void work(struct pack_team *t, void *arg)
{
    struct reader *r = arg;
    struct desk d;
    struct error err = {0};
    const char *why = NULL;
    bool ok = desk_init(&d, &r->info, &err);
    for (int64_t block; ok && (block = pack_team_next(t)) >= 0;)
        ok = read_block(r, t, block, &d, &why, &err);
    if (!ok)
        pack_team_fail(t, why, &err);
    desk_done(&d);
}

static bool read_blocks(struct reader *r, int64_t begin, int64_t end, int threads, const char **why,
                        struct error *err)
{
    struct pack_team team;
    return begin >= end || pack_team_run(&team, begin, end, threads, work, r, why, err);
}

/* All blocks; the content's digest, where it is asked for, is `want`. */
static bool read_all(struct reader *r, const struct digest *want, int threads, const char **why,
                     struct error *err)
{
    struct digest got;
    if (want && !digest_equal(&r->info.digest, want)) {
        *why = "of another digest";
        return false;
    }
    r->check = want != NULL;
    if (r->check)
        hasher_init(&r->hash);
    bool ok = read_blocks(r, 0, r->info.blocks, threads, why, err);
    if (r->check)
        hasher_finish(&r->hash, &got);
    if (ok && want && !digest_equal(&got, want)) {
        *why = "content does not match its digest";
        return false;
    }
    return ok;
}

bool pack_read(const struct frame_file *from, const struct frame_file *to, int64_t size,
               const struct digest *want, int threads, const char **why, struct error *err)
{
    struct reader r = {.from = from, .to = to};
    bool ok = read_table(&r, size, why, err) && read_all(&r, want, threads, why, err);
    reader_done(&r);
    return ok;
}

bool pack_check(const struct frame_file *from, const struct digest *want, int threads, const char **why,
                struct error *err)
{
    struct reader r = {.from = from};
    struct pack_info i;
    uint8_t sum[PACK_SUM];
    bool ok = pack_open(from, &i, why, err) && read_table(&r, i.size, why, err);
    if (ok)
        r.sum = xcalloc((size_t)i.blocks + 1, sizeof *r.sum);
    ok = ok && read_all(&r, want, threads, why, err);
    if (ok)
        pack_sum(r.sum, i.blocks, sum);
    if (ok && memcmp(sum, r.info.sum, PACK_SUM) != 0) {
        *why = "a bit that means nothing is not what it was";
        ok = false;
    }
    reader_done(&r);
    return ok;
}

bool pack_read_at(const struct frame_file *from, int64_t size, int64_t at, void *p, size_t n,
                  const char **why, struct error *err)
{
    struct reader r = {.from = from, .p = p, .at = at, .n = n};
    bool ok = read_table(&r, size, why, err);
    int64_t block = ok ? r.info.block : 1, end = at + (int64_t)n;
    ok = ok && (n == 0 || read_blocks(&r, at / block, pack_blocks(end, block), 1, why, err));
    reader_done(&r);
    return ok;
}
