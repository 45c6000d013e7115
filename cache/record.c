/* Records: what a key produced, one JSON file each. "sha256" inside is the hash of the record's canonical
 * text without that member, so a flipped bit anywhere makes the record a miss. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "cache/gc.h"
#include "cache/store_impl.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define VERSION 1

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct record_file *)a)->name, ((const struct record_file *)b)->name);
}

void record_tree_digest(struct record_output *o)
{
    if (o->n)
        qsort(o->file, o->n, sizeof *o->file, by_name);
    struct hasher h;
    hasher_init(&h);
    for (size_t i = 0; i < o->n; i++) {
        char hex[DIGEST_HEX];
        AUTO(mem)
        char *tail = xprintf("%s %lld\n", digest_hex(&o->file[i].digest, hex), (long long)o->file[i].size);
        hasher_add(&h, o->file[i].name, strlen(o->file[i].name) + 1);
        hasher_add(&h, tail, strlen(tail));
    }
    hasher_finish(&h, &o->digest);
}

/* Members in the order of their names: their text is what the seal is the hash of. Those that old records
 * have not are absent where they say nothing. */
static void put_count(struct json_out *o, const char *name, int64_t n)
{
    if (n > 0)
        json_out_integer(o, name, n);
}

static void put_words(struct json_out *o, const char *name, const char *text)
{
    if (text && *text)
        json_out_text(o, name, text);
}

static void put_digest(struct json_out *o, const char *name, const struct digest *d)
{
    char hex[DIGEST_HEX];
    json_out_text(o, name, digest_hex(d, hex));
}

static void put_cost(struct json_out *o, const struct record_cost *c)
{
    bool flops = c->flops > 0 && isfinite(c->flops);
    if (!flops && c->bytes <= 0 && c->peak <= 0)
        return;
    json_out_object(o, "cost");
    put_count(o, "bytes", c->bytes);
    if (flops)
        json_out_real(o, "flops", c->flops);
    put_count(o, "peak", c->peak);
    put_count(o, "rule", c->rule);
    json_out_end(o);
}

static void put_output(struct json_out *o, const struct record_output *r)
{
    json_out_object(o, NULL);
    json_out_list(o, "files");
    for (size_t i = 0; i < r->n; i++) {
        json_out_object(o, NULL);
        json_out_text(o, "name", r->file[i].name);
        put_digest(o, "sha256", &r->file[i].digest);
        json_out_integer(o, "size", r->file[i].size);
        if (r->file[i].source)
            json_out_text(o, "source", r->file[i].source);
        json_out_end(o);
    }
    json_out_end(o);
    json_out_text(o, "port", r->port);
    put_count(o, "samples", r->samples);
    json_out_end(o);
}

/* Without its seal, which is of just this text and has its place at *ret_seal. */
static bool put_text(struct buf *out, const struct record *r, size_t *ret_seal)
{
    struct json_out o = {.to = out};
    json_out_object(&o, NULL);
    put_cost(&o, &r->cost);
    put_words(&o, "cpuset", r->cpuset);
    if (r->freed)
        json_out_bool(&o, "freed", true);
    json_out_text(&o, "host", r->host ? r->host : "");
    put_digest(&o, "key", &r->key);
    put_words(&o, "node", r->node);
    json_out_list(&o, "outputs");
    for (size_t i = 0; i < r->n; i++)
        put_output(&o, &r->output[i]);
    json_out_end(&o);
    json_out_integer(&o, "peak_rss", r->peak_rss);
    put_count(&o, "read", r->read);
    if (r->resumed)
        json_out_integer(&o, "resumed", r->resumed);
    put_count(&o, "samples", r->samples);
    json_out_real(&o, "seconds", r->seconds);
    *ret_seal = out->len;
    json_out_text(&o, "stage", r->stage);
    json_out_text(&o, "task", r->task);
    json_out_text(&o, "text", r->text);
    json_out_integer(&o, "threads", r->threads);
    json_out_integer(&o, "version", VERSION);
    json_out_text(&o, "when", r->when ? r->when : "");
    json_out_end(&o);
    return !o.bad;
}

static void digest_text(const json_t *j, char hex[DIGEST_HEX])
{
    AUTO(buf) struct buf text = {0};
    struct digest d;
    json_put(&text, j, JSON_SORTED);
    hash_bytes(text.data, text.len, &d);
    digest_hex(&d, hex);
}

void store_seal(json_t *j)
{
    char hex[DIGEST_HEX];
    digest_text(j, hex);
    json_object_set_new(j, "sha256", json_string(hex));
}

bool store_unseal(json_t *j)
{
    char hex[DIGEST_HEX];
    const json_t *seal = json_object_get(j, "sha256");
    if (!json_is_string(seal))
        return false;
    AUTO(mem) char *want = xstrdup(json_string_value(seal));
    json_object_del(j, "sha256");
    digest_text(j, hex);
    return strcmp(hex, want) == 0;
}

static bool sealed_text(struct buf *out, const struct record *r)
{
    AUTO(buf) struct buf plain = {0};
    AUTO(buf) struct buf sealed = {0};
    struct json_out seal = {.to = &sealed, .depth = 1, .follows = true};
    struct digest d;
    size_t at;
    if (!put_text(&plain, r, &at))
        return false;
    hash_bytes(plain.data, plain.len, &d);
    buf_add(&sealed, plain.data, at);
    put_digest(&seal, "sha256", &d);
    buf_puts(&sealed, plain.data + at);
    json_out_indented(out, sealed.data, sealed.len);
    return true;
}

/* reserve: there must be room for it. What it replaces counts on, until the store's size is summed up again.
 */
static bool put_record(struct store *s, const struct record *r, bool reserve, bool claimed, struct error *err)
{
    AUTO(buf) struct buf text = {0};
    if (!isfinite(r->seconds) || !sealed_text(&text, r))
        return error_set(err, NULL, ERROR_SYSTEM, "record of '%s' is not valid UTF-8", r->task);
    int64_t reserved = reserve ? (int64_t)text.len : 0;
    struct stat st;
    if (!store_reserve(s, reserved, err))
        return error_context(err, "record of '%s'", r->task);
    if (!store_commit_record(s, &r->key, text.data, reserved, claimed, &st, err)) {
        store_unreserve(s, reserved);
        return false;
    }
    index_add(store_index(s), r, &st, index_sum(text.data, text.len), true);
    return true;
}

bool store_mark_freed(struct store *s, struct record *r, struct error *err)
{
    r->freed = true;
    return put_record(s, r, false, false, err); /* it must be possible in a store that is full */
}

bool store_put_record(struct store *s, const struct record *r, struct error *err)
{
    return put_record(s, r, true, false, err) && store_flush(s, err);
}

bool store_put_record_soon(struct store *s, const struct record *r, struct error *err)
{
    return put_record(s, r, true, true, err);
}

static bool read_file(const json_t *j, struct record_file *f)
{
    const char *name, *sha;
    if (!json_get_string(j, "name", &name, NULL) || !json_get_string(j, "sha256", &sha, NULL) ||
        !json_get_int(j, "size", &f->size, NULL) || f->size < 0 || !digest_parse(sha, &f->digest))
        return false;
    f->name = xstrdup(name);
    const char *source = json_string_or(j, "source", NULL);
    f->source = source ? xstrdup(source) : NULL;
    return true;
}

/* Whoever wrote it, a number of things is none below 0. */
static int64_t count_or_0(const json_t *j, const char *name)
{
    int64_t n = json_int_or(j, name, 0);
    return n > 0 ? n : 0;
}

static void read_cost(const json_t *j, struct record_cost *c)
{
    double flops = json_real_or(j, "flops", 0);
    int64_t rule = count_or_0(j, "rule");
    *c = (struct record_cost){.flops = flops > 0 ? flops : 0,
                              .bytes = count_or_0(j, "bytes"),
                              .peak = count_or_0(j, "peak"),
                              .rule = rule < INT32_MAX ? rule : 0};
}

static bool read_output(const json_t *j, struct record_output *o)
{
    const char *port;
    const json_t *files = json_object_get(j, "files");
    if (!json_get_string(j, "port", &port, NULL) || !json_is_array(files))
        return false;
    o->port = xstrdup(port);
    o->samples = count_or_0(j, "samples");
    o->file = xcalloc(json_array_size(files), sizeof *o->file);
    for (; o->n < json_array_size(files); o->n++)
        if (!read_file(json_array_get(files, o->n), &o->file[o->n]))
            return false;
    record_tree_digest(o);
    return true;
}

/* Fields of a parsed record whose seal is right. */
static bool read_fields(const json_t *j, struct record *r)
{
    const char *key, *text;
    struct digest of_text;
    const json_t *outputs = json_object_get(j, "outputs");
    if (json_int_or(j, "version", 0) != VERSION || !json_get_string(j, "key", &key, NULL) ||
        !json_get_string(j, "text", &text, NULL) || !digest_parse(key, &r->key) || !json_is_array(outputs))
        return false;
    hash_bytes(text, strlen(text), &of_text);
    if (!digest_equal(&of_text, &r->key))
        return false;
    r->text = xstrdup(text);
    r->stage = xstrdup(json_string_or(j, "stage", ""));
    r->task = xstrdup(json_string_or(j, "task", ""));
    r->when = xstrdup(json_string_or(j, "when", ""));
    r->host = xstrdup(json_string_or(j, "host", ""));
    r->seconds = json_real_or(j, "seconds", 0);
    r->resumed = json_int_or(j, "resumed", 0);
    r->freed = json_bool_or(j, "freed", false);
    r->threads = (int)json_int_or(j, "threads", 1);
    r->peak_rss = json_int_or(j, "peak_rss", 0);
    r->read = count_or_0(j, "read");
    r->samples = count_or_0(j, "samples");
    read_cost(json_object_get(j, "cost"), &r->cost);
    r->node = xstrdup(json_string_or(j, "node", ""));
    r->cpuset = xstrdup(json_string_or(j, "cpuset", ""));
    r->output = xcalloc(json_array_size(outputs), sizeof *r->output);
    for (; r->n < json_array_size(outputs); r->n++)
        if (!read_output(json_array_get(outputs, r->n), &r->output[r->n])) {
            r->n++; /* the half-read one is freed too */
            return false;
        }
    return true;
}

/* whole: it is known that the text is as it was written. */
static struct record *parse(const char *text, size_t n, bool whole)
{
    AUTO_JSON j = json_parse(text, n, "record", NULL);
    if (!whole && !store_unseal(j))
        return NULL;
    struct record *r = xcalloc(1, sizeof *r);
    if (read_fields(j, r))
        return r;
    record_free(r);
    return NULL;
}

struct record *record_parse(const char *text, size_t n)
{
    return parse(text, n, false);
}

bool record_as_written(const char *text, size_t n)
{
    AUTO_JSON j = json_parse(text, n, "record", NULL);
    AUTO(mem) char *again = json_text(j, true);
    return strlen(again) == n && memcmp(again, text, n) == 0;
}

bool store_get_record(struct store *s, const struct digest *key, struct record **ret, struct error *err)
{
    uint64_t sum;
    return record_read(s, key, NULL, ret, &sum, err);
}

bool store_get_found(struct store *s, const struct index_entry *e, struct record **ret, struct error *err)
{
    uint64_t sum;
    return record_read(s, &e->key, &e->sum, ret, &sum, err);
}

bool record_read(struct store *s, const struct digest *key, const uint64_t *known, struct record **ret,
                 uint64_t *ret_sum, struct error *err)
{
    *ret = NULL;
    if (commit_waits(s->commit, COMMIT_RECORD, key) && !store_flush(s, err))
        return false;
    AUTO(mem) char *path = store_file(s, "records", key);
    AUTO(mem) char *text = NULL;
    struct error why = {0};
    size_t n;
    if (!fs_read_file_unnoticed(path, &text, &n, &why)) {
        if (!fs_exists(path))
            return true;
        if (err)
            *err = why;
        return false;
    }
    *ret_sum = index_sum(text, n);
    struct record *r = parse(text, n, known && *known == *ret_sum);
    if (r && digest_equal(&r->key, key)) {
        *ret = r;
        return true;
    }
    record_free(r);
    store_quarantine(s, path, "record", key);
    return true;
}

void store_reject(struct store *s, const struct digest *key)
{
    AUTO(mem) char *path = store_file(s, "records", key);
    if (!commit_waits(s->commit, COMMIT_RECORD, key) || store_flush(s, NULL))
        store_quarantine(s, path, "record", key);
}

bool store_record_complete(struct store *s, const struct record *r)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++) {
            const struct record_file *f = &r->output[i].file[k];
            if (!f->source && !store_has(s, &f->digest))
                return false;
            AUTO(mem) char *found = f->source ? store_import_find(s, &f->digest) : NULL;
            if (f->source && !found)
                return false;
        }
    return true;
}

void record_free(struct record *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++) {
        struct record_output *o = &r->output[i];
        for (size_t k = 0; k < o->n; k++) {
            free(o->file[k].name);
            free(o->file[k].source);
        }
        free(o->file);
        free(o->port);
    }
    free(r->output);
    free(r->text);
    free(r->stage);
    free(r->task);
    free(r->when);
    free(r->host);
    free(r->node);
    free(r->cpuset);
    free(r);
}

bool store_each_record(struct store *s, bool (*see)(void *arg, const struct record *r), void *arg,
                       struct error *err)
{
    AUTO(mem) char *root = xprintf("%s/records", s->path);
    char **list;
    size_t n;
    if (!fs_list_tree(root, &list, &n, err))
        return false;
    bool more = true;
    for (size_t i = 0; more && i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", root, list[i]);
        AUTO(mem) char *text = NULL;
        size_t len;
        if (!fs_read_file_unnoticed(path, &text, &len, NULL))
            continue;
        struct record *r = record_parse(text, len);
        if (r)
            more = see(arg, r);
        record_free(r);
    }
    fs_list_free(list, n);
    return true;
}
