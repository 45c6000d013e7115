/* safetensors: round trips, dtype widening, shards, and every kind of damage. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"
#include <math.h>

#include "tests/test.h"

static char dir[] = "/tmp/weft-safetensors-XXXXXX";
static char *in_dir(const char *name)
{
    return xprintf("%s/%s", dir, name);
}
static void put(const char *name, const void *p, size_t n)
{
    AUTO(mem) char *path = in_dir(name);
    unlink(path); /* a new file: some file systems write one that is cut to nothing through to the disk */
    assert_true(fs_write_file(path, p, n, NULL));
}
/* A file of a header text and data bytes. */
static void put_parts(const char *name, const char *header, const void *data, size_t n)
{
    AUTO(buf) struct buf b = {0};
    uint64_t length = strlen(header);
    buf_add(&b, &length, 8);
    buf_puts(&b, header);
    buf_add(&b, data, n);
    put(name, b.data, b.len);
}
static bool opens(const char *name, struct safetensors **ret, struct error *err)
{
    AUTO(mem) char *path = in_dir(name);
    return safetensors_open(path, ret, err);
}
static void refused(const char *header, size_t data, const char *why)
{
    struct safetensors *s = NULL;
    struct error err = {0};
    char zeros[64] = {0};
    put_parts("bad.safetensors", header, zeros, data);
    if (opens("bad.safetensors", &s, &err))
        fail_msg("accepted: %s", header);
    assert_int_equal(err.code, ERROR_INPUT);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}

static void round_trip(void **state)
{
    const float f[6] = {1, -2, 3.5f, 0, INFINITY, 1e-40f};
    const int64_t n[2] = {-1, INT64_MAX};
    const uint8_t u[3] = {0, 1, 255};
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_meta(w, "who", "weft \"quoted\"");
    safetensors_writer_add(w, "bytes", DTYPE_U8, 1, (const int64_t[]){3}, u);
    safetensors_writer_add(w, "a.float", DTYPE_F32, 2, (const int64_t[]){2, 3}, f);
    safetensors_writer_add(w, "long", DTYPE_I64, 1, (const int64_t[]){2}, n);
    safetensors_writer_add(w, "scalar", DTYPE_F32, 0, NULL, f + 2);
    safetensors_writer_add(w, "empty", DTYPE_F32, 1, (const int64_t[]){0}, f);
    AUTO(mem) char *path = in_dir("a.safetensors");
    assert_true(safetensors_write(w, path, NULL));

    AUTO(safetensors) struct safetensors *s = NULL;
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_true(opens("a.safetensors", &s, NULL));
    assert_int_equal(safetensors_count(s), 5);
    assert_string_equal(safetensors_at(s, 0)->name, "a.float");
    assert_string_equal(safetensors_metadata(s, "format"), "pt");
    assert_string_equal(safetensors_metadata(s, "who"), "weft \"quoted\"");
    assert_null(safetensors_metadata(s, "absent"));
    assert_memory_equal(tensor_floats(safetensors_find(s, "a.float"), &a), f, sizeof f);
    assert_memory_equal(tensor_ints(safetensors_find(s, "long"), &a), n, sizeof n);
    assert_int_equal(tensor_ints(safetensors_find(s, "bytes"), &a)[2], 255);
    assert_int_equal(safetensors_find(s, "scalar")->rank, 0);
    assert_int_equal(safetensors_find(s, "empty")->n, 0);
    assert_non_null(tensor_floats(safetensors_find(s, "empty"), &a));
    assert_null(tensor_floats(safetensors_find(s, "long"), &a));
    assert_null(safetensors_find(s, "absent"));
}
static void wanting(void **state)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    struct error err = {0};
    assert_true(opens("a.safetensors", &s, NULL));
    assert_non_null(safetensors_want(s, "a.float", 2, (const int64_t[]){2, 3}, &err));
    assert_non_null(safetensors_want(s, "a.float", -1, NULL, &err));
    assert_null(safetensors_want(s, "a.float", 2, (const int64_t[]){3, 2}, &err));
    assert_non_null(strstr(err.text, "'a.float' has shape [2, 3], but [3, 2] is needed"));
    assert_null(safetensors_want(s, "nothing", -1, NULL, &err));
    assert_non_null(strstr(err.text, "no tensor 'nothing'"));
    assert_null(safetensors_want(s, "long", -1, NULL, &err));
    assert_non_null(strstr(err.text, "I64"));
}
/* Every float16 there is, against its definition. */
static void every_half(void **state)
{
    AUTO(mem) uint16_t *half = xmalloc(65536 * sizeof *half);
    for (int i = 0; i < 65536; i++)
        half[i] = (uint16_t)i;
    put_parts("half.safetensors", "{\"h\":{\"dtype\":\"F16\",\"shape\":[65536],\"data_offsets\":[0,131072]}}",
              half, 131072);
    AUTO(safetensors) struct safetensors *s = NULL;
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_true(opens("half.safetensors", &s, NULL));
    const float *f = tensor_floats(safetensors_find(s, "h"), &a);
    for (int i = 0; i < 65536; i++) {
        int e = i >> 10 & 31, man = i & 1023;
        double want = e == 31 ? INFINITY : e ? ldexp(1024 + man, e - 25) : ldexp(man, -24);
        if (e == 31 && man)
            assert_true(isnan(f[i]));
        else if (f[i] != (float)(i >> 15 ? -want : want) || !signbit(f[i]) != !(i >> 15))
            fail_msg("half %04x is %g", (unsigned)i, (double)f[i]);
    }
}
/* Half, bfloat and double, at an odd address. */
static void widening(void **state)
{
    const uint16_t half[6] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x8000, 0x7c00}; /* 1 -2 65504 2^-24 -0 inf */
    const uint16_t bf[2] = {0x3f80, 0xc049};                                   /* 1, -3.140625 */
    const double d[1] = {0.1};
    AUTO(buf) struct buf data = {0};
    buf_putc(&data, 7);
    buf_add(&data, half, sizeof half);
    buf_add(&data, bf, sizeof bf);
    buf_add(&data, d, sizeof d);
    put_parts("w.safetensors",
              "{\"u\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[0,1]},"
              "\"h\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[1,13]},"
              "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[13,17]},"
              "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[17,25]}}",
              data.data, data.len);
    AUTO(safetensors) struct safetensors *s = NULL;
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_true(opens("w.safetensors", &s, NULL));
    const float *h = tensor_floats(safetensors_find(s, "h"), &a);
    const float want[6] = {1, -2, 65504, 0x1p-24f, -0.0f, INFINITY};
    assert_memory_equal(h, want, sizeof want);
    const float *b = tensor_floats(safetensors_find(s, "b"), &a);
    assert_true(b[0] == 1 && b[1] == -3.140625f);
    assert_true(tensor_floats(safetensors_find(s, "d"), &a)[0] == 0.1f);
    assert_int_equal(tensor_ints(safetensors_find(s, "u"), &a)[0], 7);
}
static void damage(void **state)
{
#define T(name, dtype, shape, offsets)                                                                       \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    refused("[]", 0, "no JSON object");
    refused("{", 0, "bad.safetensors");
    refused("{" T("x", "F31", "[1]", "[0,4]") "}", 4, "unknown dtype");
    refused("{" T("x", "F32", "[1]", "[0,8]") "}", 8, "disagree");
    refused("{" T("x", "F32", "[2]", "[0,8]") "}", 4, "truncated");
    refused("{" T("x", "F32", "[1]", "[0,4]") "}", 8, "behind the last");
    refused("{" T("x", "F32", "[1]", "[4,8]") "}", 8, "hole");
    refused("{" T("x", "F32", "[1]", "[4,0]") "}", 8, "outside");
    refused("{" T("x", "F32", "[1]", "[-4,0]") "}", 8, "outside");
    refused("{" T("x", "F32", "[1]", "[0]") "}", 8, "outside");
    refused("{" T("x", "F32", "[1.0]", "[0,4]") "}", 4, "shape");
    refused("{" T("x", "F32", "[-1]", "[0,4]") "}", 4, "shape");
    refused("{" T("x", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "shape");
    refused("{" T("x", "F32", "[4611686018427387904,4]", "[0,0]") "}", 0, "shape");
    refused("{" T("x", "F32", "[4611686018427387904]", "[0,0]") "}", 0, "disagree");
    refused("{" T("x", "F32", "[1]", "[0,4]") "," T("y", "F32", "[1]", "[0,4]") "}", 4, "overlap");
    refused("{" T("x", "F32", "[1]", "[0,4]") "," T("x", "F32", "[1]", "[4,8]") "}", 8, "x");
    refused("{\"__metadata__\":3}", 0, "__metadata__");
    refused("{\"x\":3}", 0, "no object");
    struct safetensors *s = NULL;
    struct error err = {0};
    put("bad.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    assert_false(opens("bad.safetensors", &s, &err));
    put("bad.safetensors", "\1", 1);
    assert_false(opens("bad.safetensors", &s, &err));
    assert_false(opens("absent.safetensors", &s, &err));
    assert_int_equal(err.code, ERROR_INPUT);
}
/* Read everything that an opened file holds. */
static double touch(struct safetensors *s)
{
    double sum = 0;
    AUTO(arena) struct arena a;
    arena_init(&a);
    for (int i = 0; i < safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i);
        const float *f = tensor_floats(t, &a);
        const int64_t *n = f ? NULL : tensor_ints(t, &a);
        for (int64_t k = 0; k < t->n; k++)
            sum += f ? f[k] : n ? (double)n[k] : 0;
    }
    return sum;
}
/* Every bit of a small file flipped, every byte replaced by a few others, every length: an error or a valid
 * file. */
static void corruption(void **state)
{
    AUTO(mem) char *bytes = NULL;
    AUTO(mem) char *path = in_dir("a.safetensors");
    size_t n;
    int refusals = 0;
    assert_true(fs_read_file(path, &bytes, &n, NULL));
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 12; k++) {
            struct safetensors *s = NULL;
            struct error err = {0};
            char old = bytes[i];
            bytes[i] = k < 8 ? (char)(old ^ 1 << k) : "\"9}\0"[k - 8];
            put("c.safetensors", bytes, n);
            bytes[i] = old;
            if (opens("c.safetensors", &s, &err))
                touch(s);
            else
                refusals++;
            safetensors_close(s);
        }
    assert_true(refusals > 1000);
    for (size_t i = 0; i < n; i++) {
        struct safetensors *s = NULL;
        struct error err = {0};
        put("c.safetensors", bytes, i);
        assert_false(opens("c.safetensors", &s, &err));
        assert_int_equal(err.code, ERROR_INPUT);
    }
}
static void write_one(const char *file, const char *name, const float *x)
{
    AUTO(mem) char *path = in_dir(file);
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_add(w, name, DTYPE_F32, 1, (const int64_t[]){1}, x);
    assert_true(safetensors_write(w, path, NULL));
}
static void index_refused(const char *index, const char *why)
{
    struct safetensors *s = NULL;
    struct error err = {0};
    put("model.safetensors.index.json", index, strlen(index));
    assert_false(safetensors_open_model(dir, &s, &err));
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
}
static void shards(void **state)
{
    const float x = 3, y = 4;
    write_one("model-1.safetensors", "x", &x);
    write_one("model-2.safetensors", "y", &y);
    index_refused("{}", "weight_map");
    index_refused("{\"weight_map\":{\"x\":\"../model-1.safetensors\"}}", "file name");
    index_refused("{\"weight_map\":{\"x\":\"model-3.safetensors\"}}", "model-3");
    index_refused("{\"weight_map\":{\"z\":\"model-1.safetensors\"}}", "'z' is in none");
    const char *good = "{\"weight_map\":{\"x\":\"model-1.safetensors\",\"y\":\"model-2.safetensors\"}}";
    put("model.safetensors.index.json", good, strlen(good));
    struct safetensors *s = NULL;
    AUTO(arena) struct arena a;
    arena_init(&a);
    assert_true(safetensors_open_model(dir, &s, NULL));
    assert_int_equal(safetensors_count(s), 2);
    assert_true(tensor_floats(safetensors_find(s, "y"), &a)[0] == 4);
    safetensors_close(s);
    write_one("model-2.safetensors", "x", &x);
    index_refused("{\"weight_map\":{\"x\":\"model-1.safetensors\",\"y\":\"model-2.safetensors\"}}", "twice");
}
static void added_twice(void **state)
{
    const float x = 1;
    struct error err = {0};
    AUTO(mem) char *path = in_dir("twice.safetensors");
    struct safetensors_writer *w = safetensors_writer_new();
    safetensors_writer_add(w, "x", DTYPE_F32, 0, NULL, &x);
    safetensors_writer_add(w, "x", DTYPE_F32, 0, NULL, &x);
    assert_false(safetensors_write(w, path, &err));
    assert_non_null(strstr(err.text, "twice"));
}
static int setup(void **state)
{
    return mkdtemp(dir) ? 0 : 1;
}
static int teardown(void **state)
{
    return fs_remove_tree(dir, NULL) ? 0 : 1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(wanting),
                                       cmocka_unit_test(every_half), cmocka_unit_test(widening),
                                       cmocka_unit_test(damage),     cmocka_unit_test(corruption),
                                       cmocka_unit_test(shards),     cmocka_unit_test(added_twice)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
