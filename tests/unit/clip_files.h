/* Files of full-size CLIP models: filled with random halves, or a hole of zeros that takes no room on the
 * disk. */
#ifndef TESTS_UNIT_CLIP_FILES_H
#define TESTS_UNIT_CLIP_FILES_H
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/rng.h"
#include "stages/io/safetensors.h"
#include "tests/unit/clip_rows.h"
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline uint16_t clip_bfloat(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return (uint16_t)(u >> 16);
}
/* To the 7 bits of bfloat16, and to 0 below 2^-14: float16 and bfloat16 hold the result, up to 2^15. */
static inline float clip_rounded(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u &= 0xffff0000u;
    memcpy(&x, &u, sizeof x);
    return x < 0x1p-14f && x > -0x1p-14f ? 0 : x;
}
static inline uint16_t clip_half(float x) /* of a number that is rounded so */
{
    uint16_t b = clip_bfloat(x);
    return (uint16_t)((b & 0x8000) | (x == 0 ? 0 : ((b & 0x7fff) << 3) - (112 << 10)));
}
/* Row i, from stream i: random signs and fractions under one exponent, about 1/sqrt(fan-in); norms and the
 * logit scale are from 1 to 2. Bits, not numbers: there are 150 million. */
static inline void clip_fill(const struct clip_row *row, int i, enum dtype type, uint16_t *to)
{
    struct rng r = rng_at(rng_stream(11, "clip.files"), (uint64_t)i, 0);
    bool one = !row->rank || (row->rank == 1 && (strstr(row->name, "norm") || strstr(row->name, "ln_")) &&
                              strstr(row->name, ".weight"));
    int64_t fan = row->rank > 1 && !strstr(row->name, "token") ? row->n / row->shape[0] : 1024;
    int e = one ? 0 : ilogb(0.7 / sqrt((double)fan)), digits = type == DTYPE_F16 ? 10 : 7;
    uint32_t mask = ((1u << digits) - 1) | (one ? 0 : 0x8000),
             bits = (uint32_t)((type == DTYPE_F16 ? 15 : 127) + e) << digits, u = 0;
    for (int64_t k = 0; k < row->n; k++) {
        u = k % 2 ? u >> 16 : rng_u32(&r);
        to[k] = (uint16_t)((u & mask) | bits);
    }
}
/* Rows first .. end-1 as one file. F32 and `hole`: no data are written. */
static inline void clip_file(const char *path, const struct clip_rows *r, int first, int end, enum dtype type,
                             bool hole)
{
    AUTO(buf) struct buf b = {0};
    int64_t at = 0, size = dtype_size(type);
    buf_add(&b, "\0\0\0\0\0\0\0\0{", 9);
    for (int i = first; i < end; i++) {
        const struct clip_row *x = &r->row[i];
        buf_printf(&b, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i > first ? "," : "", x->name,
                   dtype_name(type));
        for (int k = 0; k < x->rank; k++)
            buf_printf(&b, "%s%lld", k ? "," : "", (long long)x->shape[k]);
        buf_printf(&b, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)(at + x->n * size));
        at += x->n * size;
    }
    buf_putc(&b, '}');
    while (b.len % 8)
        buf_putc(&b, ' ');
    uint64_t length = b.len - 8;
    memcpy(b.data, &length, sizeof length);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || pwrite(fd, b.data, b.len, 0) != (ssize_t)b.len || ftruncate(fd, (off_t)b.len + at) != 0)
        abort();
    if (!hole) {
        int64_t where[801] = {(int64_t)b.len};
        for (int i = first; i < end; i++)
            where[i - first + 1] = where[i - first] + r->row[i].n * size;
#pragma omp parallel for schedule(dynamic)
        for (int i = first; i < end; i++) {
            size_t bytes = (size_t)(r->row[i].n * size);
            uint16_t *data = malloc(bytes);
            clip_fill(&r->row[i], i, type, data);
            if (pwrite(fd, data, bytes, where[i - first]) != (ssize_t)bytes)
                abort();
            free(data);
        }
    }
    close(fd);
}
#endif
