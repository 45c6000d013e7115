/* An object's file: round trips of every width, any zstd reads it, each byte flipped and each length, parts,
 * errors from threads. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/pack_format.h"
#include "tests/test.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

static char root[] = "/tmp/weft-pack-XXXXXX";

static struct frame_file create(const char *name)
{
    char *path = xprintf("%s/%s", root, name);
    struct frame_file f = {open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), path};
    assert_true(f.fd >= 0);
    return f;
}
static void done(struct frame_file *f)
{
    close(f->fd);
    free((void *)(uintptr_t)f->path);
}
static struct frame_file file_of(const char *name, const void *p, size_t n)
{
    struct frame_file f = create(name);
    assert_true(fs_pwrite_all(f.fd, p, n, 0, f.path, NULL));
    return f;
}
static size_t bytes_of(const struct frame_file *f, uint8_t **ret)
{
    size_t n;
    assert_true(fs_read_file(f->path, (char **)ret, &n, NULL));
    return n;
}

/* Numbers that spread like weights: their high bytes repeat, their low ones are noise. */
static uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}
enum content { TEXT, NOISE, BF16, F32, F64, ZERO, KINDS };
static uint8_t *content(enum content kind, size_t n)
{
    uint8_t *p = xcalloc(n + 8, 1);
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++)
        p[i] = kind == TEXT
                   ? (uint8_t) "to be or not to be, that is the question; "[noise(&state) % 3 + i % 39]
               : kind == NOISE ? (uint8_t)(noise(&state) >> 11)
                               : 0;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        double x[2];
        for (int k = 0; k < 2; k++)
            x[k] = 0.02 * (noise(&state) * 0x1p-32 + noise(&state) * 0x1p-32 - 1);
        float f[2] = {(float)x[0], (float)x[1]};
        if (kind == F64)
            memcpy(p + i, x, 8);
        if (kind == F32)
            memcpy(p + i, f, 8);
        for (int k = 0; kind == BF16 && k < 4; k++) {
            f[0] = (float)(0.02 * (noise(&state) * 0x1p-32 + noise(&state) * 0x1p-32 - 1));
            memcpy(p + i + 2 * k, (char *)f + 2, 2);
        }
    }
    return p;
}

static struct digest pack(const char *name, const uint8_t *p, size_t n, const struct pack_options *o,
                          struct frame_file *ret)
{
    struct frame_file from = file_of("in", p, n);
    struct digest d, want;
    struct error err = {0};
    *ret = create(name);
    if (!pack_write(&from, (int64_t)n, ret, o, &d, &err))
        fail_msg("%s", err.text);
    hash_bytes(p, n, &want);
    assert_true(digest_equal(&d, &want));
    done(&from);
    return d;
}

/* True: it came back as p; false: damaged. Anything else fails the test. */
static bool unpack(const struct frame_file *f, const uint8_t *p, size_t n, const struct digest *d,
                   int threads)
{
    struct frame_file to = create("out");
    const char *why;
    struct error err = {0};
    bool ok = pack_read(f, &to, (int64_t)n, d, threads, &why, &err);
    assert_true(ok == !why && !err.text[0]);
    if (ok) {
        AUTO(mem) uint8_t *back = NULL;
        assert_int_equal(bytes_of(&to, &back), n);
        assert_memory_equal(back, p, n);
    }
    done(&to);
    return ok;
}

/* `zstd -d` gives the content, or where numbers were split every block's planes. */
static void check_zstd(const struct frame_file *f, const struct pack_info *i, const uint8_t *p)
{
    AUTO(mem) char *command = xprintf("zstd -q -d -f %s -o %s/plain", f->path, root);
    AUTO(mem) char *path = xprintf("%s/plain", root);
    AUTO(mem) uint8_t *plain = NULL;
    AUTO(mem) uint8_t *join = xmalloc((size_t)i->size + 1);
    size_t n;
    assert_int_equal(system(command), 0);
    assert_true(fs_read_file(path, (char **)&plain, &n, NULL));
    assert_int_equal(n, i->size);
    for (int64_t b = 0; b < i->blocks; b++)
        pack_join(plain + b * i->block, join + b * i->block, pack_block_size(i, b), i->width);
    assert_memory_equal(join, p, n);
}

/* As any reader of the seekable format takes it: all frames from the file's start on, the header one of them.
 */
static void check_table(const struct frame_file *f, const struct pack_info *i)
{
    AUTO(mem) uint8_t *p = NULL;
    size_t n = bytes_of(f, &p), frames = pack_u32(p + n - 9), table = 8 + 12 * frames + 9, stored = 0,
           size = 0;
    assert_true(pack_u32(p + n - 4) == 0x8F92EAB1u && p[n - 5] == 0x80 && table < n);
    assert_true(pack_u32(p + n - table) == 0x184D2A5Eu && pack_u32(p + n - table + 4) == table - 8);
    for (size_t k = 0; k < frames; k++) {
        const uint8_t *entry = p + n - table + 8 + 12 * k;
        uint32_t magic = pack_u32(p + stored);
        assert_true(magic == (k ? 0xFD2FB528u : 0x184D2A50u));
        stored += pack_u32(entry);
        size += pack_u32(entry + 4);
    }
    assert_int_equal(stored, n - table);
    assert_int_equal(size, i->size);
}

static void round_trips(void **state)
{
    static const int width[KINDS] = {1, 1, 2, 4, 8, 1};
    static const size_t sizes[] = {0, 1, 7, 8, 4095, 65536, 65537, 300001};
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            size_t n = sizes[k];
            AUTO(mem) uint8_t *p = content((enum content)kind, n);
            struct frame_file f;
            struct pack_info i;
            const char *why;
            struct pack_options o = {.level = 3, .threads = 3, .block = 65536};
            struct digest d = pack("packed", p, n, &o, &f);
            assert_true(pack_open(&f, &i, &why, NULL));
            assert_true(i.size == (int64_t)n && digest_equal(&i.digest, &d));
            if (n >= 65536)
                assert_int_equal(i.width, width[kind]);
            for (int threads = 0; threads < 4; threads++)
                assert_true(unpack(&f, p, n, threads % 2 ? &d : NULL, threads));
            assert_true(pack_check(&f, &d, 2, &why, NULL));
            assert_false(pack_read(&f, NULL, (int64_t)n + 1, &d, 2, &why, NULL));
            assert_non_null(why);
            check_table(&f, &i);
            check_zstd(&f, &i, p);
            done(&f);
        }
}

/* Planes of floats take less room than the floats. */
static void planes_pay(void **state)
{
    size_t n = (size_t)1 << 20;
    AUTO(mem) uint8_t *p = content(F32, n);
    struct frame_file f;
    struct pack_info i;
    const char *why;
    pack("packed", p, n, &(struct pack_options){.level = 3, .block = 1 << 18}, &f);
    assert_true(pack_open(&f, &i, &why, NULL));
    assert_true(i.width == 4 && i.blocks == 4 && i.stored < (int64_t)(0.87 * (double)n));
    done(&f);
}

static void same_bytes(void **state)
{
    size_t n = 500000;
    AUTO(mem) uint8_t *p = content(F32, n);
    AUTO(mem) uint8_t *one = NULL;
    AUTO(mem) uint8_t *many = NULL;
    struct frame_file a, b;
    pack("one", p, n, &(struct pack_options){.level = 3, .threads = 1, .block = 65536}, &a);
    pack("many", p, n, &(struct pack_options){.level = 3, .threads = 5, .block = 65536}, &b);
    size_t na = bytes_of(&a, &one), nb = bytes_of(&b, &many);
    assert_int_equal(na, nb);
    assert_memory_equal(one, many, na);
    done(&a);
    done(&b);
}

/* Each byte flipped and each length, of several blocks: right content or damage, by checksums alone too. */
static void damage(enum content kind, size_t n, int64_t block, int want_width)
{
    AUTO(mem) uint8_t *p = content(kind, n);
    AUTO(mem) uint8_t *good = NULL;
    struct frame_file f;
    struct pack_info info;
    const char *why;
    struct digest d = pack("packed", p, n, &(struct pack_options){.level = 3, .block = block}, &f);
    size_t stored = bytes_of(&f, &good), right = 0;
    assert_true(pack_open(&f, &info, &why, NULL) && info.width == want_width && info.blocks == 3);
    AUTO(mem) uint8_t *bad = xmalloc(stored + 1);
    for (size_t i = 0; i < stored; i++) {
        memcpy(bad, good, stored);
        bad[i] ^= (uint8_t)(1 << i % 8);
        assert_true(fs_pwrite_all(f.fd, bad + i, 1, (off_t)i, f.path, NULL));
        right += unpack(&f, p, n, i % 2 ? &d : NULL, 1);
        assert_false(pack_check(&f, &d, 1, &why, NULL));
        assert_true(fs_pwrite_all(f.fd, good + i, 1, (off_t)i, f.path, NULL));
    }
    assert_true(right <= (size_t)(3 * want_width)); /* the one bit of a frame's header without a meaning */
    assert_true(fs_pwrite_all(f.fd, "x", 1, (off_t)stored, f.path, NULL));
    assert_false(unpack(&f, p, n, &d, 1));
    for (size_t cut = stored; cut-- > 0;) {
        assert_int_equal(ftruncate(f.fd, (off_t)cut), 0);
        assert_false(unpack(&f, p, n, cut % 2 ? &d : NULL, 1));
    }
    done(&f);
}
static void damaged(void **state)
{
    damage(TEXT, 500, 200, 1);
    damage(F32, 2003, 800, 4);
    damage(NOISE, 300, 128, 1);
}

static void parts(void **state)
{
    for (int kind = TEXT; kind < KINDS; kind++) {
        size_t n = 40003;
        AUTO(mem) uint8_t *p = content((enum content)kind, n);
        AUTO(mem) uint8_t *q = xmalloc(n + 1);
        struct frame_file f;
        const char *why;
        pack("packed", p, n, &(struct pack_options){.level = 3, .block = 4096}, &f);
        for (size_t at = 0; at <= n; at += 511)
            for (size_t len = 0; at + len <= n; len = 3 * len + 1) {
                q[len] = 77;
                assert_true(pack_read_at(&f, (int64_t)n, (int64_t)at, q, len, &why, NULL));
                assert_memory_equal(q, p + at, len);
                assert_int_equal(q[len], 77);
            }
        assert_true(pack_read_at(&f, (int64_t)n, 0, q, n, &why, NULL));
        assert_memory_equal(q, p, n);
        /* A block that is not touched is not looked at. */
        assert_true(fs_pwrite_all(f.fd, "????", 4, PACK_HEADER + 8, f.path, NULL));
        assert_true(pack_read_at(&f, (int64_t)n, 5000, q, 1000, &why, NULL));
        assert_memory_equal(q, p + 5000, 1000);
        assert_false(pack_read_at(&f, (int64_t)n, 4000, q, 1000, &why, NULL));
        assert_non_null(why);
        done(&f);
    }
}

/* ---- errors of the file system ---- */

static atomic_int left;
static ssize_t bad_pread(int fd, void *p, size_t n, off_t at)
{
    if (atomic_fetch_sub(&left, 1) > 0)
        return pread(fd, p, n > 1 ? n / 2 : n, at);
    errno = EIO;
    return -1;
}
static ssize_t bad_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (atomic_fetch_sub(&left, 1) > 0)
        return pwrite(fd, p, n > 1 ? n / 2 : n, at);
    errno = ENOSPC;
    return -1;
}

static void failing(const struct fs_ops *ops, const char *text)
{
    size_t n = 200000;
    AUTO(mem) uint8_t *p = content(F32, n);
    struct frame_file f, from, to;
    struct pack_options o = {.level = 1, .threads = 3, .block = 16384};
    struct digest d = pack("packed", p, n, &o, &f), again;
    from = file_of("in", p, n);
    for (int calls = 0, ok = 0; !ok; calls += 1 + calls / 8) {
        struct error err = {0};
        const char *why = NULL;
        to = create("out");
        left = calls;
        fs = ops;
        ok = pack_write(&from, (int64_t)n, &to, &o, &again, &err);
        fs = &fs_real;
        assert_true(ok || strstr(err.text, text));
        left = calls;
        fs = ops;
        bool back = pack_read(&f, &to, (int64_t)n, &d, 3, &why, &err);
        fs = &fs_real;
        assert_true(!why && (back || strstr(err.text, text)));
        assert_true(calls < 100000);
        done(&to);
    }
    done(&f);
    done(&from);
}
static void failures(void **state)
{
    struct fs_ops ops = fs_real;
    ops.pread = bad_pread;
    failing(&ops, strerror(EIO));
    ops = fs_real;
    ops.pwrite = bad_pwrite;
    failing(&ops, strerror(ENOSPC));
}

static void another_length(void **state)
{
    AUTO(mem) uint8_t *p = content(TEXT, 30000);
    struct frame_file from = file_of("in", p, 30000), to = create("packed");
    struct pack_options o = {.level = 3, .threads = 2, .block = 8192};
    struct digest d;
    for (int64_t n = 29999; n <= 30001; n += 2) {
        struct error err = {0};
        assert_false(pack_write(&from, n, &to, &o, &d, &err));
        assert_non_null(strstr(err.text, "changed while it was stored"));
    }
    done(&from);
    done(&to);
}

static void splitting(void **state)
{
    for (size_t n = 0; n < 3000; n += n < 40 ? 1 : 97)
        for (int width = 1; width <= PACK_WIDEST; width *= 2) {
            AUTO(mem) uint8_t *p = content(NOISE, n);
            AUTO(mem) uint8_t *planes = xmalloc(n + 1);
            AUTO(mem) uint8_t *back = xmalloc(n + 1);
            size_t each = n / (size_t)width;
            pack_split(p, planes, n, width);
            for (size_t i = 0; i < each * (size_t)width; i++)
                assert_int_equal(planes[i % (size_t)width * each + i / (size_t)width], p[i]);
            pack_join(planes, back, n, width);
            assert_memory_equal(back, p, n);
        }
}

static int setup(void **state)
{
    return mkdtemp(root) ? 0 : -1;
}
static int teardown(void **state)
{
    return fs_remove_tree(root, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splitting), cmocka_unit_test(round_trips),    cmocka_unit_test(planes_pay),
        cmocka_unit_test(parts),     cmocka_unit_test(same_bytes),     cmocka_unit_test(damaged),
        cmocka_unit_test(failures),  cmocka_unit_test(another_length),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
