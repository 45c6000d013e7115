/* One pass over a file: threads read blocks, add them to the digest in order, compress them at the same time,
 * and write each where the one before it ends. The header comes last: it knows the digest. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/pack_method.h"
#include "cache/pack_team.h"
#include <string.h>

struct writer {
    const struct frame_file *from, *to;
    const struct pack_info *info;
    const struct pack_options *o;
    struct pack_frame *frame; /* all frames of the file */
    struct digest *sum;       /* of every block, as it is stored */
    struct hasher hash;
    int64_t end; /* where the next block goes */
};
struct bench { /* a thread's own */
    struct pack_press press;
    uint8_t *content, *planes, *out;
    size_t cap; /* of out */
};

static void bench_done(struct bench *b)
{
    pack_press_done(&b->press);
    free(b->content);
    free(b->planes);
    free(b->out);
}

static bool bench_init(struct bench *b, const struct pack_info *i, int level, struct error *err)
{
    size_t n = pack_block_size(i, 0);
    *b = (struct bench){0};
    if (!pack_press_init(&b->press, level, err))
        return false;
    for (int j = 0; j < i->width; j++)
        b->cap += ZSTD_compressBound(pack_plane_size(n, i->width, j));
    b->content = xmalloc(n);
    b->planes = i->width > 1 ? xmalloc(n) : NULL;
    b->out = xmalloc(b->cap);
    return true;
}

static bool changed(const struct frame_file *f, struct error *err)
{
    return error_set(err, NULL, ERROR_SYSTEM, "'%s' changed while it was stored", f->path);
}

/* The frames of a block into b->out; *ret: their bytes. */
static bool press(struct bench *b, const struct pack_info *i, size_t n, struct pack_frame *frame, size_t *ret,
                  struct error *err)
{
    const uint8_t *plane = i->width > 1 ? b->planes : b->content;
    if (i->width > 1)
        pack_split(b->content, b->planes, n, i->width);
    *ret = 0;
    for (int j = 0; j < i->width; j++) {
        size_t size = pack_plane_size(n, i->width, j), stored;
        enum pack_method m;
        if (!pack_method_of(&b->press, plane, size, &m, err) ||
            !pack_press_frame(&b->press, m, plane, size, b->out + *ret, b->cap - *ret, &stored, err))
            return false;
        *ret += stored;
        frame[j] = (struct pack_frame){(uint32_t)stored, (uint32_t)size, pack_u32(b->out + *ret - 4)};
        plane += size;
    }
    return true;
}

static bool write_block(struct writer *w, struct pack_team *t, int64_t block, struct bench *b,
                        struct error *err)
{
    size_t n = pack_block_size(w->info, block), stored;
    ssize_t have = pack_pread(w->from->fd, b->content, n, block * w->info->block);
    if (have != (ssize_t)n)
        return have < 0 ? error_errno(err, "cannot read '%s'", w->from->path) : changed(w->from, err);
    if (!pack_team_wait(t, TURN_HASH, block))
        return true; /* another block failed */
    hasher_add(&w->hash, b->content, n);
    pack_team_pass(t, TURN_HASH);
    if (!press(b, w->info, n, w->frame + block * w->info->width, &stored, err))
        return false;
    hash_bytes(b->out, stored, &w->sum[block]);
    if (!pack_team_wait(t, TURN_PLACE, block))
        return true;
    int64_t at = w->end;
    w->end += (int64_t)stored;
    pack_team_pass(t, TURN_PLACE);
    return pack_team_pwrite(t, w->to, b->out, stored, at, err);
}

static void work(struct pack_team *t, void *arg)
{
    struct writer *w = arg;
    struct bench b;
    struct error err = {0};
    bool ok = bench_init(&b, w->info, w->o->level, &err);
    for (int64_t block; ok && (block = pack_team_next(t)) >= 0;)
        ok = write_block(w, t, block, &b, &err);
    if (!ok)
        pack_team_fail(t, NULL, &err);
    bench_done(&b);
}

/* What surrounds the blocks. */
static bool write_ends(struct writer *w, const struct pack_info *i, struct error *err)
{
    uint8_t header[PACK_HEADER], more;
    int64_t frames = i->blocks * i->width;
    AUTO(mem) uint8_t *table = pack_table_write(w->frame, frames);
    ssize_t rest = pack_pread(w->from->fd, &more, 1, i->size);
    if (rest)
        return rest < 0 ? error_errno(err, "cannot read '%s'", w->from->path) : changed(w->from, err);
    pack_header_write(i, header);
    return fs_pwrite_all(w->to->fd, table, pack_table_size(frames), w->end, w->to->path, err) &&
           fs_pwrite_all(w->to->fd, header, sizeof header, 0, w->to->path, err);
}

static bool choose_width(const struct frame_file *from, int64_t size, int level, int *ret, struct error *err)
{
    struct pack_press p;
    bool ok = pack_press_init(&p, level, err) && pack_width_of(&p, from, size, ret, err);
    pack_press_done(&p);
    return ok;
}

bool pack_write(const struct frame_file *from, int64_t size, const struct frame_file *to,
                const struct pack_options *o, struct digest *ret, struct error *err)
{
    int64_t block = o->block / PACK_WIDEST * PACK_WIDEST;
    block = block < PACK_WIDEST ? PACK_WIDEST : block > PACK_BLOCK ? PACK_BLOCK : block;
    struct pack_info i = {.size = size, .block = block, .blocks = pack_blocks(size, block)};
    struct writer w = {.from = from, .to = to, .info = &i, .o = o, .end = PACK_HEADER};
    struct pack_team team;
    if (!choose_width(from, size, o->level, &i.width, err))
        return false;
    if (i.blocks >= PACK_FRAMES / i.width)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' is too long for blocks of %lld bytes; set a larger block", from->path,
                         (long long)block);
    w.frame = xcalloc((size_t)(i.blocks * i.width) + 1, sizeof *w.frame);
    w.sum = xcalloc((size_t)i.blocks + 1, sizeof *w.sum);
    hasher_init(&w.hash);
    bool ok = !i.blocks || pack_team_run(&team, 0, i.blocks, o->threads, work, &w, NULL, err);
    hasher_finish(&w.hash, &i.digest);
    pack_sum(w.sum, i.blocks, i.sum);
    ok = ok && write_ends(&w, &i, err);
    free(w.frame);
    free(w.sum);
    *ret = i.digest;
    return ok;
}
