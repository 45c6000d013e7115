/* What an output folder holds, short enough to keep beside the tests and loose enough for other processors,
 * whose matrix products round differently: by file a JSON object,
 *   {"link": "seed.model/model.safetensors"}   a reference to another run's file: names() says whose
 *   {"tensors": {NAME: "F32 8x4 | 1.5 ..."}}   the norm, and the products with random vectors of unit
 * deviation
 *   {"json": ...}                              where it holds real numbers
 *   {"elements": {NAME: COUNT}}                of an SVG: its numbers are rounded, here one way, there the
 * other
 *   {"digest": HEX}                            of all other bytes, and of JSON without real numbers */
#ifndef TESTS_GOLDEN_FINGERPRINT_H
#define TESTS_GOLDEN_FINGERPRINT_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "stages/io/safetensors.h"
#include <math.h>
#include <string.h>

#define FINGERPRINT_PRODUCTS 3

static inline bool fingerprint_is(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* The softmax does not see a bias of the keys: its gradient is rounding alone, which Adam scales up to whole
 * steps. */
static inline bool fingerprint_is_noise(const struct tensor *t)
{
    return fingerprint_is(t->name, "self_attn.k_proj.bias");
}

static inline void fingerprint_tensor(const struct tensor *t, struct arena *a, struct buf *out)
{
    const float *x = tensor_floats(t, a);
    double norm = 0, product[FINGERPRINT_PRODUCTS] = {0};
    for (int k = 0; k < FINGERPRINT_PRODUCTS; k++) {
        struct rng r = rng_at(rng_stream(0, "fingerprint"), (uint64_t)k, 0);
        for (int64_t i = 0; i < t->n; i++)
            product[k] += (double)x[i] * (double)rng_normal(&r);
    }
    for (int64_t i = 0; i < t->n; i++)
        norm += (double)x[i] * (double)x[i];
    buf_printf(out, "%s ", dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        buf_printf(out, "%s%lld", i ? "x" : "", (long long)t->shape[i]);
    if (fingerprint_is_noise(t)) {
        buf_puts(out, " | any");
        return;
    }
    buf_printf(out, " | %.6g", sqrt(norm));
    for (int k = 0; k < FINGERPRINT_PRODUCTS; k++)
        buf_printf(out, " %.6g", product[k]);
}

static inline json_t *fingerprint_tensors(const char *path, struct error *err)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    AUTO(arena) struct arena a;
    arena_init(&a);
    if (!safetensors_open(path, &s, err))
        return NULL;
    json_t *o = json_object();
    for (int i = 0; i < safetensors_count(s); i++) {
        AUTO(buf) struct buf b = {0};
        fingerprint_tensor(safetensors_at(s, i), &a, &b);
        json_object_set_new(o, safetensors_at(s, i)->name, json_string(buf_str(&b)));
    }
    return json_pack("{s:o}", "tensors", o);
}

static inline bool fingerprint_has_real(const json_t *j)
{
    const char *key;
    size_t i;
    json_t *item;
    json_object_foreach((json_t *)j, key, item) if (fingerprint_has_real(item)) return true;
    json_array_foreach(j, i, item) if (fingerprint_has_real(item)) return true;
    return json_is_real(j);
}

static inline json_t *fingerprint_digest(const struct digest *d)
{
    char hex[DIGEST_HEX];
    return json_pack("{s:s}", "digest", digest_hex(d, hex));
}

static inline json_t *fingerprint_json(const char *path, struct error *err)
{
    json_t *j = json_read(path, err);
    if (!j || fingerprint_has_real(j))
        return j ? json_pack("{s:o}", "json", j) : NULL;
    AUTO(mem) char *text = json_text(j, false);
    struct digest d;
    hash_bytes(text, strlen(text), &d);
    json_decref(j);
    return fingerprint_digest(&d);
}

static inline json_t *fingerprint_svg(const char *path, struct error *err)
{
    AUTO(mem) char *text = NULL;
    if (!fs_read_file(path, &text, NULL, err))
        return NULL;
    json_t *count = json_object();
    for (char *c = strchr(text, '<'); c; c = strchr(c, '<')) {
        size_t n = strspn(++c, "abcdefghijklmnopqrstuvwxyz");
        AUTO(mem) char *name = xprintf("%.*s", (int)n, c);
        if (n > 0)
            json_object_set_new(count, name,
                                json_integer(json_integer_value(json_object_get(count, name)) + 1));
    }
    return json_pack("{s:o}", "elements", count);
}

/* One file; NULL after an error. links: what realpath says a link means -> its name, malloc'd, or NULL. */
static inline json_t *fingerprint_file(const char *path, char *(*names)(const char *real), struct error *err)
{
    struct stat st;
    struct digest d;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        AUTO(mem) char *real = realpath(path, NULL);
        AUTO(mem) char *name = real ? names(real) : NULL;
        if (name)
            return json_pack("{s:s}", "link", name);
        error_set(err, NULL, ERROR_TASK, "'%s' refers to what is no input", path);
        return NULL;
    }
    if (fingerprint_is(path, ".safetensors"))
        return fingerprint_tensors(path, err);
    if (fingerprint_is(path, ".svg"))
        return fingerprint_svg(path, err);
    if (fingerprint_is(path, ".json"))
        return fingerprint_json(path, err);
    return hash_file(path, &d, NULL, err) ? fingerprint_digest(&d) : NULL;
}
#endif
