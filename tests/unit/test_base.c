/* base: errors, arenas, buffers, hashing, random streams, files, parameters. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json_out.h"
#include "base/mem.h"
#include "base/param.h"
#include "base/rng.h"
#include "base/size.h"
#include "tests/test.h"
#include <errno.h>
#include <math.h>
#include <sys/resource.h>

static void errors(void **state)
{
    struct error e = {0};
    struct pos pos = {"f.yaml", 3, 7};
    assert_false(error_set(&e, &pos, ERROR_INPUT, "bad %d", 5));
    error_context(&e, "stage '%s'", "x");
    char s[300];
    assert_string_equal(error_string(&e, s, sizeof s), "f.yaml:3:7: error: stage 'x': bad 5");
    for (int i = 0; i < 500; i++)
        error_context(&e, "a context that is long enough to fill it");
    assert_true(strlen(e.text) < sizeof e.text);
    assert_false(error_set(NULL, NULL, ERROR_INPUT, "nobody cares"));
}

static void arenas(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct arena_mark outer = arena_mark(&a);
    for (int round = 0; round < 4; round++) {
        struct arena_mark m = arena_mark(&a);
        for (int i = 1; i < 40; i++) {
            float *p = arena_floats(&a, i * 5000);
            assert_int_equal((uintptr_t)p % 64, 0);
            for (int k = 0; k < i * 5000; k++)
                p[k] = (float)i;
            char *z = arena_alloc(&a, 100);
            for (int k = 0; k < 100; k++)
                assert_int_equal(z[k], 0);
        }
        arena_release(&a, m);
    }
    size_t peak = a.peak;
    arena_release(&a, outer);
    assert_int_equal(a.used, 0);
    AUTO(arena) struct arena c;
    arena_init_counting(&c);
    for (int i = 1; i < 40; i++) {
        assert_non_null(arena_floats(&c, i * 5000));
        assert_non_null(arena_alloc(&c, 100));
    }
    assert_int_equal(c.peak, peak);
    a.limit = 1000;
    assert_null(arena_try(&a, 1001));
    assert_non_null(arena_try(&a, 900));
    assert_null(arena_floats(&a, INT64_MAX));
}

/* Known answers of the Random123 distribution for philox4x32-10. */
static void random_numbers(void **state)
{
    struct rng r = {.key = {0xa4093822, 0x299f31d0}, .ctr = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}};
    static const uint32_t want[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    for (int i = 0; i < 4; i++)
        assert_int_equal(rng_u32(&r), want[i]);
    struct rng z = {0};
    assert_int_equal(rng_u32(&z), 0x6627e8d5);
    struct rng_stream s = rng_stream(1, "a"), t = rng_stream(1, "b");
    struct rng x = rng_at(s, 5, 2), y = rng_at(s, 5, 2), w = rng_at(t, 5, 2);
    assert_true(rng_u64(&x) == rng_u64(&y));
    assert_true(rng_u64(&x) != rng_u64(&w));
    double sum = 0, square = 0;
    for (int i = 0; i < 20000; i++) {
        double v = rng_normal(&x);
        sum += v;
        square += v * v;
    }
    assert_true(fabs(sum / 20000) < 0.03 && fabs(square / 20000 - 1) < 0.05);
    int64_t p[100], seen[100] = {0};
    rng_permutation(&x, 100, p);
    for (int i = 0; i < 100; i++)
        seen[p[i]]++;
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
}

static void hashes(void **state)
{
    struct digest d, e;
    char hex[DIGEST_HEX];
    hash_bytes("abc", 3, &d);
    assert_string_equal(digest_hex(&d, hex),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(digest_parse(hex, &e) && digest_equal(&d, &e));
    hex[5] = 'G';
    assert_false(digest_parse(hex, &e));
    assert_false(digest_parse("ab", &e));
}

static void files(void **state)
{
    struct error err = {0};
    char dir[] = "/tmp/weft-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO(mem) char *deep = xprintf("%s/a/b", dir);
    assert_true(fs_mkdirs(deep, &err) && fs_mkdirs(deep, &err));
    AUTO(mem) char *file = xprintf("%s/c", deep);
    assert_true(fs_publish(file, "hello", 5, true, &err));
    assert_true(fs_publish(file, "bye", 3, false, &err));
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(file, &text, &n, &err));
    assert_string_equal(text, "bye");
    char **list;
    assert_true(fs_list_tree(dir, &list, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(list[0], "a/b/c");
    fs_list_free(list, n);
    struct map m;
    assert_true(map_open(&m, file, &err));
    assert_memory_equal(m.data, "bye", 3);
    map_done(&m);
    assert_false(map_open(&m, deep, &err));
    assert_true(fs_remove_tree(dir, &err) && !fs_exists(dir) && fs_remove_tree(dir, &err));
    assert_false(fs_read_file(file, &text, &n, &err));
    assert_int_equal(err.code, ERROR_INPUT);
}

struct demo {
    int64_t size;
    double rate;
    bool soft;
    const char *kind;
};
static const struct param demo_table[] = {
    PARAM(struct demo, size, .def = "500", .min = 1, .max = 1000, .doc = "how many"),
    PARAM(struct demo, rate, .def = "0.1", .min = 0, .max = 1, .doc = "how fast"),
    PARAM(struct demo, soft, .def = "false", .doc = "how"),
    PARAM(struct demo, kind, .def = "sgd", .choices = "sgd|adamw", .doc = "which"),
    {0},
};

static bool set(struct demo *d, struct arena *a, const char *name, json_t *value, struct error *err)
{
    bool ok = param_set(param_find(demo_table, name), d, value, a, err);
    json_decref(value);
    return ok;
}

static void params(void **state)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    struct demo d;
    struct error err = {0};
    param_defaults(demo_table, &d, &a);
    AUTO(buf) struct buf b = {0};
    param_canonical(demo_table, &d, &b);
    assert_string_equal(buf_str(&b),
                        "param kind = \"sgd\"\nparam rate = 0.1\nparam size = 500\nparam soft = false\n");
    assert_true(set(&d, &a, "size", json_integer(7), &err) && d.size == 7);
    assert_true(set(&d, &a, "rate", json_integer(1), &err) && d.rate == 1);
    assert_true(set(&d, &a, "soft", json_true(), &err) && d.soft);
    assert_true(set(&d, &a, "kind", json_string("adamw"), &err) && !strcmp(d.kind, "adamw"));
    assert_false(set(&d, &a, "size", json_real(7.0), &err));
    assert_string_equal(err.text, "'size' must be an integer between 1 and 1000, not 7.0");
    assert_false(set(&d, &a, "size", json_integer(0), &err));
    assert_false(set(&d, &a, "size", json_string("7"), &err));
    assert_false(set(&d, &a, "rate", json_real(1.5), &err));
    assert_false(set(&d, &a, "kind", json_string("sg"), &err));
    assert_false(set(&d, &a, "kind", json_string("adam"), &err));
    assert_false(set(&d, &a, "soft", json_integer(1), &err));
    assert_string_equal(param_nearest(demo_table, "sizes"), "size");
    assert_null(param_nearest(demo_table, "zzzzzzzz"));
}

static void schema_is(const char *name, const char *want)
{
    AUTO_JSON j = param_schema(param_find(demo_table, name));
    AUTO(mem) char *text = json_text(j, false);
    assert_string_equal(text, want);
}

static void schemas(void **state)
{
    schema_is("size", "{\"default\":500,\"description\":\"how many\",\"maximum\":1000,\"minimum\":1,"
                      "\"type\":\"integer\"}");
    schema_is("rate", "{\"default\":0.10000000000000001,\"description\":\"how fast\",\"maximum\":1.0,"
                      "\"minimum\":0.0,\"type\":\"number\"}");
    schema_is("soft", "{\"default\":false,\"description\":\"how\",\"type\":\"boolean\"}");
    schema_is("kind", "{\"default\":\"sgd\",\"description\":\"which\",\"enum\":[\"sgd\",\"adamw\"],"
                      "\"type\":\"string\"}");
}

static void json(void **state)
{
    struct error err = {0};
    assert_null(json_parse("{\"a\": 1,\n \"a\": 2}", 17, "x.json", &err));
    assert_int_equal(err.line, 2);
    AUTO_JSON j = json_parse("{\"b\": 0.1, \"a\": 3}", 18, "x.json", &err);
    AUTO(mem) char *s = json_text(j, false);
    assert_string_equal(s, "{\"a\":3,\"b\":0.10000000000000001}");
    int64_t n;
    assert_true(json_get_int(j, "a", &n, &err) && n == 3);
    assert_false(json_get_int(j, "b", &n, &err));
}

static json_t *any_json(unsigned *seed, int depth)
{
    static const double real[] = {0.1,  3.0, -0.0, 1e20, 1e-5, 1e100, -2.5e-300, 123456789012345680.0,
                                  1e16, 1e17};
    static const char *const text[] = {"", "plain", "\"quoted\" \\ back", "\b\f\n\r\t\x01\x1f\x7f /",
                                       "\xc3\xa9\xf0\x9f\x90\x88"};
    int kind = rand_r(seed) % (depth > 3 ? 6 : 9);
    if (kind == 0)
        return json_real(real[rand_r(seed) % 10]);
    if (kind == 1)
        return json_string(text[rand_r(seed) % 5]);
    if (kind == 2)
        return json_integer(rand_r(seed) % 3 ? rand_r(seed) - 1000000
                                             : (rand_r(seed) % 2 ? INT64_MIN : INT64_MAX));
    if (kind < 6)
        return kind == 3 ? json_null() : json_boolean(kind == 4);
    json_t *j = kind == 6 ? json_array() : json_object();
    for (int i = rand_r(seed) % (depth == 1 ? 60 : 6); i > 0; i--) {
        char key[32];
        snprintf(key, sizeof key, "%s%d", text[rand_r(seed) % 5], rand_r(seed) % 100);
        if (kind == 6)
            json_array_append_new(j, any_json(seed, depth + 1));
        else
            json_object_set_new(j, key, any_json(seed, depth + 1));
    }
    return j;
}

/* The digests of records rest on this text: it may not change by a byte. */
static void json_as_jansson(void **state)
{
    static const int style[] = {0, JSON_SORTED, JSON_SORTED | JSON_INDENTED};
    static const size_t flags[] = {JSON_COMPACT, JSON_COMPACT | JSON_SORT_KEYS,
                                   JSON_INDENT(2) | JSON_SORT_KEYS};
    unsigned seed = 7;
    for (int i = 0; i < 3000; i++) {
        AUTO_JSON j = any_json(&seed, 0);
        for (int k = 0; k < 3; k++) {
            AUTO(buf) struct buf got = {0};
            AUTO(mem) char *want = json_dumps(j, flags[k] | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
            json_put(&got, j, style[k]);
            assert_string_equal(got.data, want);
            if (style[k] == JSON_SORTED) {
                AUTO(buf) struct buf indented = {0};
                AUTO(mem) char *want_indented = json_text(j, true);
                json_out_indented(&indented, got.data, got.len);
                assert_string_equal(indented.data, want_indented);
            }
        }
    }
}

static void json_told(void **state)
{
    AUTO(buf) struct buf text = {0};
    struct json_out o = {.to = &text};
    json_out_object(&o, NULL);
    json_out_list(&o, "empty");
    json_out_end(&o);
    json_out_list(&o, "n");
    json_out_integer(&o, NULL, INT64_MIN);
    json_out_real(&o, NULL, 1e20);
    json_out_real(&o, NULL, HUGE_VAL);
    json_out_object(&o, NULL);
    json_out_end(&o);
    json_out_end(&o);
    json_out_bool(&o, "\"", false);
    json_out_bytes(&o, "t", "a\0b", 3);
    json_out_end(&o);
    assert_string_equal(
        text.data,
        "{\"empty\":[],\"n\":[-9223372036854775808,1e20,null,{}],\"\\\"\":false,\"t\":\"a\\u0000b\"}");
    assert_false(o.bad);
}

static void json_told_indented(void **state)
{
    AUTO(buf) struct buf text = {0};
    AUTO(buf) struct buf indented = {0};
    AUTO_JSON value = json_pack("{s:[i, i], s:i}", "b", 1, 2, "a", 3);
    struct json_out o = {.to = &text};
    json_out_object(&o, NULL);
    json_out_value(&o, "v", value, true);
    json_out_object(&o, "none");
    json_out_end(&o);
    json_out_end(&o);
    json_out_indented(&indented, text.data, text.len);
    AUTO_JSON again = json_parse(text.data, text.len, "told", NULL);
    AUTO(mem) char *want = json_dumps(again, JSON_INDENT(2));
    assert_string_equal(indented.data, want);
}

static void json_told_texts(void **state)
{
    static const struct {
        const char *text, *want;
        bool bad;
    } row[] = {{"\t\"\\", "\"\\t\\\"\\\\\"", false},
               {"é €\xf0\x9f\x99\x82", "\"é €\xf0\x9f\x99\x82\"", false},
               {"a\xc3", "\"a\xef\xbf\xbd\"", true},
               {"\xc3z", "\"\xef\xbf\xbdz\"", true},
               {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", true},
               {"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"", true}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        struct json_out o = {.to = &text};
        json_out_text(&o, NULL, row[i].text);
        assert_string_equal(text.data, row[i].want);
        assert_int_equal(o.bad, row[i].bad);
    }
}

/* What is written is the microsecond that is nearest, and read back as its double. */
static void json_told_seconds(void **state)
{
    static const struct {
        double seconds;
        const char *want;
    } row[] = {{0, "0.000000"},    {0.05660974, "0.056610"}, {12.9999996, "13.000000"},
               {-1, "0.000000"},   {NAN, "0.000000"},        {1e30, "1000000000000.000000"},
               {4e-7, "0.000000"}, {86400.5, "86400.500000"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf text = {0};
        struct json_out o = {.to = &text};
        json_out_seconds(&o, NULL, row[i].seconds);
        assert_string_equal(text.data, row[i].want);
    }
    for (int i = 0; i < 100000; i += 7) {
        AUTO(buf) struct buf text = {0};
        double value = round(i * 1.23456789e3) / 1e6;
        json_out_seconds(&(struct json_out){.to = &text}, NULL, value);
        assert_true(strtod(text.data, NULL) == value);
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } right[] = {{"0", 0},
                 {"20K", 20480},
                 {"1.5GiB", 1610612736},
                 {"500MB", 500000000},
                 {"7B", 7},
                 {"12", 12},
                 {"1KB", 1000},
                 {"2KiB", 2048},
                 {"3M", 3145728},
                 {"1e6", 1000000},
                 {"1T", 1099511627776},
                 {"0.5K", 512},
                 {"2TB", 2000000000000},
                 {"1e18", 1000000000000000000}};
    static const char *const wrong[] = {"",    "K",   "-1",  "+1",   "0x10", "1k",       "5 GiB",  "1.5GiBB",
                                        "inf", "nan", "1PB", "1e19", " 1",   "9999999T", "6 gigs", "1,5G"};
    struct error err = {0};
    int64_t n;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        if (!size_read(right[i].text, &n) || n != right[i].bytes)
            fail_msg("%s is %lld", right[i].text, (long long)n);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (size_read(wrong[i], &n))
            fail_msg("'%s' is %lld", wrong[i], (long long)n);
    assert_false(size_parse("--max-size", "ten", &n, &err));
    assert_string_equal(err.text, "--max-size must be a size such as 500MB, 1.5GiB or 20K, not 'ten'");
    assert_int_equal(err.code, ERROR_INPUT);
}

/* A close that is interrupted has closed the file. */
static int interrupted_close(int fd)
{
    close(fd);
    errno = EINTR;
    return -1;
}

static void interrupted(void **state)
{
    struct fs_ops ops = fs_real;
    struct error err = {0};
    char path[] = "/tmp/weft-base-XXXXXX";
    int fd = mkstemp(path);
    ops.close = interrupted_close;
    fs = &ops;
    assert_int_equal(fs_close(fd), 0);
    assert_true(fs_write_file(path, "x", 1, &err));
    fs = &fs_real;
    unlink(path);
}

/* Eight blocks of a megabyte that come and go are not new pages each time. (A sanitizer has an allocator of
 * its own.) */
static void freed_memory_is_kept(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    skip();
#else
    enum { ROUNDS = 20, BLOCKS = 8, SIZE = 1 << 20, PAGE = 4096 };
    struct rusage before, after;
    char *p[BLOCKS];
    mem_keep_freed();
    for (int i = 0; i < ROUNDS; i++) {
        if (i == 1)
            getrusage(RUSAGE_SELF, &before);
        for (int k = 0; k < BLOCKS; k++)
            memset(p[k] = xmalloc(SIZE), i, SIZE);
        for (int k = 0; k < BLOCKS; k++)
            free(p[k]);
    }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_minflt - before.ru_minflt < ROUNDS * BLOCKS * (SIZE / PAGE) / 10);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_memory_is_kept), /* first: glibc learns from what others free */
        cmocka_unit_test(errors),
        cmocka_unit_test(arenas),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(hashes),
        cmocka_unit_test(files),
        cmocka_unit_test(params),
        cmocka_unit_test(schemas),
        cmocka_unit_test(json),
        cmocka_unit_test(json_as_jansson),
        cmocka_unit_test(json_told),
        cmocka_unit_test(json_told_indented),
        cmocka_unit_test(json_told_texts),
        cmocka_unit_test(json_told_seconds),
        cmocka_unit_test(sizes),
        cmocka_unit_test(interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
