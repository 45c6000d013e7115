/* One input of the fuzzer of objects' files. The first four bytes are options, and by the first of them the
 * rest is
 *   even  an object's file, with the check of its header put right
 *   odd   as many spoilt bytes (place, place, change) as the second says, then content that is packed
 * What is read must be the content, or damage; never a crash, nor memory that the size does not justify. */
#ifndef TESTS_FUZZ_PACK_INPUT_H
#define TESTS_FUZZ_PACK_INPUT_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/pack_format.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT_HEAD    4
#define INPUT_LONGEST 65536
#define INPUT_CHECK   8 /* bytes at the header's end */

static inline void pack_input_enter(void)
{
}

static inline struct frame_file pack_input_file(const void *p, size_t n)
{
    struct frame_file f = {memfd_create("fuzz", MFD_CLOEXEC), "fuzz"};
    if (f.fd < 0 || !fs_pwrite_all(f.fd, p, n, 0, f.path, NULL))
        abort();
    return f;
}

/* All of the file, NULL when it is damaged; by checksums alone when want is NULL. */
static inline uint8_t *pack_input_read(const struct frame_file *f, size_t size, const struct digest *want)
{
    struct error err = {0};
    const char *why;
    struct frame_file to = pack_input_file("", 0);
    uint8_t *p = NULL;
    bool ok = pack_read(f, &to, (int64_t)size, want, 1, &why, &err);
    if (ok == (why != NULL) || err.text[0] || (ok && lseek(to.fd, 0, SEEK_END) != (off_t)size))
        abort();
    if (ok) {
        p = xmalloc(size + 1);
        if (!fs_pread_all(to.fd, p, size, 0, to.path, NULL))
            abort();
    }
    close(to.fd);
    return p;
}

/* A part is the same part of the whole, or damaged; of what is whole, never damaged. */
static inline void pack_input_part(const struct frame_file *f, const uint8_t *all, size_t size, size_t at,
                                   size_t n)
{
    struct error err = {0};
    const char *why;
    AUTO(mem) uint8_t *p = xmalloc(n + 1);
    at = size ? at % size : 0;
    n = n < size - at ? n : size - at;
    bool ok = pack_read_at(f, (int64_t)size, (int64_t)at, p, n, &why, &err);
    if (ok == (why != NULL) || err.text[0] || (all && (!ok || memcmp(p, all + at, n) != 0)))
        abort();
}

static inline void pack_input_as_file(const uint8_t *option, const uint8_t *data, size_t n)
{
    AUTO(mem) uint8_t *copy = xmalloc(n + 1);
    struct digest check;
    struct pack_info i;
    const char *why;
    memcpy(copy, data, n);
    if (n >= PACK_HEADER) {
        hash_bytes(copy, PACK_HEADER - INPUT_CHECK, &check);
        memcpy(copy + PACK_HEADER - INPUT_CHECK, check.byte, INPUT_CHECK);
    }
    struct frame_file f = pack_input_file(copy, n);
    if (pack_open(&f, &i, &why, NULL)) {
        size_t size = i.size < INPUT_LONGEST ? (size_t)i.size : INPUT_LONGEST;
        AUTO(mem) uint8_t *all = pack_input_read(&f, size, NULL);
        AUTO(mem) uint8_t *sure = pack_input_read(&f, size, &i.digest);
        struct digest d;
        if ((all && (int64_t)size != i.size) || (sure && !all))
            abort();
        if (sure)
            hash_bytes(sure, size, &d);
        if (sure && !digest_equal(&d, &i.digest))
            abort();
        pack_input_part(&f, all, size, option[1] * 251u, option[2] * 17u);
    }
    close(f.fd);
}

static inline void pack_input_spoilt(const uint8_t *option, const uint8_t *data, size_t n)
{
    size_t spoilt = option[1] % 8;
    struct digest d;
    struct error err = {0};
    const struct pack_options o = {.level = 1 + option[2] % 5, .threads = 1, .block = 8 * (1 + option[3])};
    if (n < 3 * spoilt)
        return;
    const uint8_t *content = data + 3 * spoilt;
    size_t size = n - 3 * spoilt;
    struct frame_file from = pack_input_file(content, size), to = pack_input_file("", 0);
    if (!pack_write(&from, (int64_t)size, &to, &o, &d, &err))
        abort();
    off_t stored = lseek(to.fd, 0, SEEK_END);
    for (size_t k = 0; k < spoilt; k++) {
        off_t at = (data[3 * k] | data[3 * k + 1] << 8) % stored;
        uint8_t byte;
        if (!fs_pread_all(to.fd, &byte, 1, at, to.path, NULL))
            abort();
        byte ^= data[3 * k + 2];
        if (!fs_pwrite_all(to.fd, &byte, 1, at, to.path, NULL))
            abort();
    }
    AUTO(mem) uint8_t *back = pack_input_read(&to, size, &d);
    if (back ? memcmp(back, content, size) != 0 : !spoilt)
        abort();
    pack_input_part(&to, back, size, option[2] * 251u, option[3] * 17u);
    close(from.fd);
    close(to.fd);
}

static inline void pack_input_run(const uint8_t *data, size_t n)
{
    if (n < INPUT_HEAD)
        return;
    if (data[0] % 2)
        pack_input_spoilt(data, data + INPUT_HEAD, n - INPUT_HEAD);
    else
        pack_input_as_file(data, data + INPUT_HEAD, n - INPUT_HEAD);
}
#endif
