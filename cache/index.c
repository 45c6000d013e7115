#include "cache/index.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define MAGIC      0x34786677u /* "wfx4": another number when the format changes */
#define ALIGN      8 /* entries begin at multiples of it, so that a search for the next one is quick */
#define FLUSH      ((size_t)64 << 10)
#define LENGTH_MAX ((uint32_t)1 << 30)

struct index {
    char *path, *text;               /* the file's bytes */
    struct arena arena;              /* entries that came later */
    const struct index_entry **slot; /* a hash table by key; NULL: free */
    size_t mask, used;               /* slots - 1, a power of two; keys */
    size_t read;                     /* entries in the file */
    size_t gone;                     /* of the keys, whose records were removed */
    struct buf fresh;                /* to be appended */
};

/* ---- one entry ---- */

/* Each step is a bijection of the word and of the state: no single changed word goes unseen. */
static uint64_t checksum(const struct index_entry *e)
{
    const char *p = (const char *)&e->key, *end = (const char *)e + e->length;
    uint64_t h = e->length, word;
    for (; p < end; p += sizeof word) {
        memcpy(&word, p, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return h;
}

static size_t digests_of(const struct index_entry *e)
{
    return (size_t)e->outputs + e->objects + e->imports;
}

static const struct index_content *contents_of(const struct index_entry *e)
{
    return (const struct index_content *)((const struct digest *)(e + 1) + digests_of(e));
}

static const char *texts_of(const struct index_entry *e)
{
    return (const char *)(contents_of(e) + e->outputs);
}

/* Is there a whole entry in these n bytes? */
static bool intact(const struct index_entry *e, size_t n)
{
    if (n < sizeof *e || e->magic != MAGIC || e->length > n || e->length > LENGTH_MAX ||
        e->length < sizeof *e || e->length % ALIGN || e->check != checksum(e))
        return false;
    size_t room = e->length - sizeof *e, texts = 4 + (size_t)e->outputs,
           fixed = digests_of(e) * sizeof(struct digest) + e->outputs * sizeof(struct index_content);
    if (fixed > room)
        return false;
    const char *p = texts_of(e), *end = (const char *)e + e->length;
    for (; texts > 0 && p < end; texts--) {
        const char *nul = memchr(p, '\0', (size_t)(end - p));
        if (!nul)
            return false;
        p = nul + 1;
    }
    return texts == 0;
}

void record_summary_of(const struct index_entry *e, struct record_summary *ret)
{
    const struct digest *d = (const struct digest *)(e + 1);
    const char *ports = texts_of(e), *when = ports;
    for (size_t i = 0; i < e->outputs; i++)
        when += strlen(when) + 1;
    const char *stage = when + strlen(when) + 1, *task = stage + strlen(stage) + 1;
    *ret = (struct record_summary){
        .key = &e->key,
        .output = d,
        .object = d + e->outputs,
        .import = d + e->outputs + e->objects,
        .content = contents_of(e),
        .outputs = e->outputs,
        .objects = e->objects,
        .imports = e->imports,
        .stage = stage,
        .task = task,
        .node = task + strlen(task) + 1,
        .when = when,
        .ports = ports,
        .seconds = e->seconds,
        .peak_rss = e->peak_rss,
        .read = e->read,
        .samples = e->samples,
        .cost = {.flops = e->flops, .bytes = e->bytes, .peak = e->peak, .rule = e->rule},
        .threads = e->threads,
        .freed = e->flags & INDEX_FREED,
        .told = e->flags & INDEX_TOLD};
}

/* Number of the output with that port; `outputs` when there is none. */
static size_t output_number(const struct index_entry *e, const char *port)
{
    const char *name = texts_of(e);
    size_t i = 0;
    for (; i < e->outputs && strcmp(name, port) != 0; i++)
        name += strlen(name) + 1;
    return i;
}

const struct digest *index_output(const struct index_entry *e, const char *port)
{
    size_t i = output_number(e, port);
    return i < e->outputs ? (const struct digest *)(e + 1) + i : NULL;
}

const struct index_content *index_content(const struct index_entry *e, const char *port)
{
    size_t i = output_number(e, port);
    return i < e->outputs ? contents_of(e) + i : NULL;
}

static int64_t mtime_of(const struct stat *st)
{
    return st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec;
}

bool index_same(const struct index_entry *e, const struct stat *st)
{
    return e->mtime == mtime_of(st) && e->size == st->st_size && e->inode == (int64_t)st->st_ino;
}

/* The digests of r's files, those of outside data or those of objects; how many. */
static uint32_t add_files(const struct record *r, bool imports, struct buf *out)
{
    uint32_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++)
            if ((r->output[i].file[k].source != NULL) == imports) {
                buf_add(out, &r->output[i].file[k].digest, sizeof(struct digest));
                n++;
            }
    return n;
}

static struct index_content content_of(const struct record_output *o)
{
    struct index_content c = {.samples = o->samples};
    for (size_t i = 0; i < o->n; i++) /* sizes that somebody made up must not overflow */
        c.bytes = o->file[i].size > INT64_MAX - c.bytes ? INT64_MAX : c.bytes + o->file[i].size;
    return c;
}

static void add_text(struct buf *out, const char *text)
{
    buf_add(out, text ? text : "", strlen(text ? text : "") + 1);
}

/* The tree digest of an output whose maker may not have set it, nor sorted its files. */
static struct digest tree_of(const struct record_output *o)
{
    struct record_output copy = {.n = o->n};
    AUTO(mem) struct record_file *file = xcalloc(o->n, sizeof *file);
    if (o->n)
        memcpy(file, o->file, o->n * sizeof *file);
    copy.file = file;
    record_tree_digest(&copy);
    return copy.digest;
}

/* The entry of r in *out, which is empty. */
static void make_entry(const struct record *r, const struct stat *st, uint64_t sum, struct buf *out)
{
    struct index_entry e = {.magic = MAGIC,
                            .key = r->key,
                            .mtime = mtime_of(st),
                            .size = st->st_size,
                            .inode = (int64_t)st->st_ino,
                            .seconds = r->seconds,
                            .peak_rss = r->peak_rss,
                            .read = r->read,
                            .samples = r->samples,
                            .flops = r->cost.flops,
                            .bytes = r->cost.bytes,
                            .peak = r->cost.peak,
                            .rule = (uint32_t)r->cost.rule,
                            .threads = r->threads,
                            .outputs = (uint32_t)r->n,
                            .flags = (r->freed ? INDEX_FREED : 0) | (r->node && *r->node ? INDEX_TOLD : 0),
                            .sum = sum};
    buf_add(out, &e, sizeof e);
    for (size_t i = 0; i < r->n; i++) {
        struct digest tree = tree_of(&r->output[i]);
        buf_add(out, &tree, sizeof tree);
    }
    e.objects = add_files(r, false, out);
    e.imports = add_files(r, true, out);
    for (size_t i = 0; i < r->n; i++) {
        struct index_content c = content_of(&r->output[i]);
        buf_add(out, &c, sizeof c);
    }
    for (size_t i = 0; i < r->n; i++)
        add_text(out, r->output[i].port);
    add_text(out, r->when);
    add_text(out, r->stage);
    add_text(out, r->task);
    add_text(out, r->node && *r->node ? r->node : r->host);
    while (out->len % ALIGN)
        buf_putc(out, '\0');
    e.length = (uint32_t)out->len;
    memcpy(out->data, &e, sizeof e);
    e.check = checksum((const struct index_entry *)(const void *)out->data);
    memcpy(out->data, &e, sizeof e);
}

/* ---- the table ---- */

/* Keys are digests: any of their bits are as good as a hash. */
static size_t place_of(const struct index *ix, const struct digest *key)
{
    uint64_t h;
    memcpy(&h, key->byte, sizeof h);
    size_t i = h & ix->mask;
    while (ix->slot[i] && !digest_equal(&ix->slot[i]->key, key))
        i = (i + 1) & ix->mask;
    return i;
}

static void resize(struct index *ix, size_t slots)
{
    const struct index_entry **old = ix->slot;
    size_t n = old ? ix->mask + 1 : 0;
    ix->slot = xcalloc(slots, sizeof *ix->slot);
    ix->mask = slots - 1;
    for (size_t i = 0; i < n; i++)
        if (old[i])
            ix->slot[place_of(ix, &old[i]->key)] = old[i];
    free(old);
}

/* A later entry of a key takes the place of an earlier one. */
static void enter(struct index *ix, const struct index_entry *e)
{
    if (2 * (ix->used + 1) > ix->mask + 1)
        resize(ix, 2 * (ix->mask + 1));
    size_t i = place_of(ix, &e->key);
    ix->used += !ix->slot[i];
    ix->slot[i] = e;
}

const struct index_entry *index_get(const struct index *ix, const struct digest *key)
{
    return ix->slot[place_of(ix, key)];
}

/* ---- the file ---- */

/* All intact entries; from a damaged one on, the next is searched. */
static void scan(struct index *ix, size_t n)
{
    for (size_t at = 0; at + sizeof(struct index_entry) <= n;) {
        const struct index_entry *e = (const void *)(ix->text + at);
        if (!intact(e, n - at)) {
            at += ALIGN;
            continue;
        }
        enter(ix, e);
        ix->read++;
        at += e->length;
    }
}

/* The file's bytes into ix->text; how many. Not mapped: whoever cuts the file short must not kill us. */
static size_t read_file(struct index *ix)
{
    struct stat st;
    AUTO(fd) int fd = fs_open(ix->path, O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    size_t size = (size_t)st.st_size, n = 0;
    ix->text = xmalloc(size);
    for (ssize_t got = 1; n < size && (got > 0 || (got < 0 && errno == EINTR));) {
        got = fs->read(fd, ix->text + n, size - n);
        n += got > 0 ? (size_t)got : 0;
    }
    return n;
}

struct index *index_open(const char *path)
{
    struct index *ix = xcalloc(1, sizeof *ix);
    ix->path = xstrdup(path);
    arena_init(&ix->arena);
    size_t n = read_file(ix), slots = 64;
    while (slots < n / 150) /* twice the entries, which take about 300 bytes each */
        slots *= 2;
    resize(ix, slots);
    scan(ix, n);
    return ix;
}

/* One write under a lock. What an earlier one left unfinished is filled up first. */
static void flush(struct index *ix)
{
    if (!ix->fresh.len)
        return;
    AUTO(buf) struct buf out = {0};
    struct stat st;
    int fd = fs_open(ix->path, O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX) == 0 && fstat(fd, &st) == 0) {
        for (int64_t at = st.st_size; at % ALIGN; at++)
            buf_putc(&out, '\0');
        buf_add(&out, ix->fresh.data, ix->fresh.len);
        if (!fs_write_all(fd, out.data, out.len, ix->path, NULL))
            buf_clear(&out); /* then these records are read again the next time */
    }
    fs->close(fd);
    buf_clear(&ix->fresh);
}

uint64_t index_sum(const char *text, size_t n)
{
    struct digest d;
    uint64_t sum;
    hash_bytes(text, n, &d);
    memcpy(&sum, d.byte, sizeof sum);
    return sum;
}

const struct index_entry *index_add(struct index *ix, const struct record *r, const struct stat *st,
                                    uint64_t sum, bool keep)
{
    AUTO(buf) struct buf b = {0};
    make_entry(r, st, sum, &b);
    struct index_entry *e = arena_alloc(&ix->arena, b.len);
    memcpy(e, b.data, b.len);
    if (!keep)
        return e;
    enter(ix, e);
    buf_add(&ix->fresh, b.data, b.len);
    if (ix->fresh.len > FLUSH)
        flush(ix);
    return e;
}

void index_gone(struct index *ix)
{
    ix->gone++;
}

/* More than half of the file is of no use any more: write it anew. What somebody else appends meanwhile is
 * lost, and read from its record the next time. */
static void compact(struct index *ix, struct store *s)
{
    struct stat st;
    if (ix->read < 1000 || ix->read + 2 * ix->gone < 2 * ix->used)
        return;
    AUTO(buf) struct buf out = {0};
    for (size_t i = 0; i <= ix->mask; i++)
        if (ix->slot[i] && (!ix->gone || store_stat(s->records, &ix->slot[i]->key, &st)))
            buf_add(&out, ix->slot[i], ix->slot[i]->length);
    if (!store_publish(s, ix->path, out.data, out.len, NULL))
        buf_clear(&out); /* it stays as long as it was */
}

void index_close(struct index *ix, struct store *s)
{
    if (!ix)
        return;
    flush(ix);
    compact(ix, s);
    arena_done(&ix->arena);
    buf_done(&ix->fresh);
    free(ix->slot);
    free(ix->text);
    free(ix->path);
    free(ix);
}
