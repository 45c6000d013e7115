/* One input of the fuzzer of records and checkpoints: the text of a record, or behind a 'c' the header of a
 * checkpoint, NUL, and its state as it lies in the file. Where it is a JSON object its seal is put right, so
 * that what lies behind it is reached. What is read back once is read back the same after it was written
 * anew.
 */
#ifndef TESTS_FUZZ_RECORD_INPUT_H
#define TESTS_FUZZ_RECORD_INPUT_H
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/checkpoint.h"
#include "cache/store_impl.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char record_input_root[] = "/tmp/weft-fuzz-XXXXXX";
static struct store *record_input_store;

static inline int record_input_no_sync(int fd)
{
    return 0;
}

static inline void record_input_leave(void)
{
    store_close(record_input_store);
    fs_remove_tree(record_input_root, NULL);
}

static inline void record_input_enter(void)
{
    static struct fs_ops ops;
    ops = fs_real;
    ops.fsync = record_input_no_sync;
    fs = &ops;
    if (!mkdtemp(record_input_root) || !store_open(record_input_root, &record_input_store, NULL))
        abort();
    atexit(record_input_leave);
}

static inline void record_input_write(const char *kind, const struct digest *d, const char *name,
                                      const void *p, size_t n)
{
    AUTO(mem) char *path = store_file(record_input_store, kind, d);
    AUTO(mem) char *file = xprintf("%s%s", path, name);
    if (!store_make_parent(file, NULL) || !fs_write_file(file, p, n, NULL))
        abort();
}

static inline void record_input_same(const struct record *a, const struct record *b)
{
    bool same = b && digest_equal(&a->key, &b->key) && strcmp(a->text, b->text) == 0 && a->n == b->n &&
                a->resumed == b->resumed && a->peak_rss == b->peak_rss && a->threads == b->threads;
    for (size_t i = 0; same && i < a->n; i++)
        same = strcmp(a->output[i].port, b->output[i].port) == 0 &&
               digest_equal(&a->output[i].digest, &b->output[i].digest);
    if (!same)
        abort();
}

static inline void record_input_record(const uint8_t *data, size_t n)
{
    struct store *s = record_input_store;
    struct digest key = {{0}};
    struct error err = {0};
    struct record *r, *again;
    char hex[DIGEST_HEX];
    AUTO_JSON j = json_parse((const char *)data, n, "input", NULL);
    AUTO(mem) char *text = NULL;
    if (json_is_object(j)) {
        const char *of = json_string_or(j, "text", "");
        hash_bytes(of, strlen(of), &key);
        json_object_set_new(j, "key", json_string(digest_hex(&key, hex)));
        json_object_del(j, "sha256");
        store_seal(j);
        text = json_text(j, true);
    }
    record_input_write("records", &key, "", text ? text : (const char *)data, text ? strlen(text) : n);
    if (!store_get_record(s, &key, &r, &err))
        abort();
    if (r) {
        if (!digest_equal(&r->key, &key))
            abort();
        (void)store_record_complete(s, r);
        if (store_put_record(s, r, &err)) {
            if (!store_flush(s, &err) || !store_get_record(s, &key, &again, &err))
                abort();
            record_input_same(r, again);
            record_free(again);
        }
    }
    record_free(r);
}

static inline void record_input_checkpoint(const uint8_t *data, size_t n)
{
    struct digest id;
    struct checkpoint c;
    struct error err = {0};
    const uint8_t *nul = n ? memchr(data, 0, n) : NULL;
    size_t head = nul ? (size_t)(nul - data) : n;
    AUTO_JSON j = json_parse((const char *)data, head, "input", NULL);
    AUTO(mem) char *text = NULL;
    AUTO(mem) char *to = xprintf("%s/state", record_input_root);
    AUTO(buf) struct buf b = {0};
    if (!digest_parse(json_string_or(j, "checkpoint", ""), &id))
        hash_bytes("", 0, &id);
    if (json_is_object(j)) {
        json_object_del(j, "sha256");
        store_seal(j);
        text = json_text(j, false);
        uint32_t len = (uint32_t)strlen(text);
        buf_add(&b, (const uint8_t[]){0x50, 0x2A, 0x4D, 0x18, (uint8_t)len, (uint8_t)(len >> 8), 0, 0}, 8);
        buf_puts(&b, text);
        if (nul)
            buf_add(&b, nul + 1, n - head - 1);
    } else {
        buf_add(&b, data, n);
    }
    AUTO(mem) char *name = xprintf("/%lld", (long long)json_int_or(j, "step", 1));
    record_input_write("checkpoints", &id, name, buf_str(&b), b.len);
    if (!store_checkpoint_find(record_input_store, &id, INT64_MAX, to, &c, &err))
        abort();
    if (c.step < 0)
        abort();
    unlink(to);
    store_checkpoint_drop_all(record_input_store, &id);
}

static inline void record_input_run(const uint8_t *data, size_t n)
{
    if (n && data[0] == 'c')
        record_input_checkpoint(data + 1, n - 1);
    else
        record_input_record(data, n);
}
#endif
