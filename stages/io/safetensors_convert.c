/* Tensor values as float32 or int64, whatever they are stored as. */
#include "stages/io/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
/* IEEE half: sign 1, exponent 5 (bias 15), mantissa 10. Selections, no branches: many at a time. */
static float half_to_float(uint16_t h)
{
    const uint32_t rebias = 112u << 23; /* from a bias of 15 to one of 127 */
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    uint32_t wide = (rest << 13) + rebias + (rest >= 0x7c00 ? rebias : 0); /* infinities and NaN: all ones */
    float small = (float)(int32_t)rest * 0x1p-24f;                         /* zero and subnormals */
    uint32_t bits;
    memcpy(&bits, &small, sizeof bits);
    return from_bits(sign | (rest < 0x400 ? bits : wide));
}
static void widen_double(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, p + i * 8, sizeof d);
        out[i] = (float)d;
    }
}
static void widen_half(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + i * 2, sizeof h);
        out[i] = half_to_float(h);
    }
}
/* bfloat16 is the upper half of a float32. */
static void widen_bfloat(const uint8_t *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + i * 2, sizeof h);
        out[i] = from_bits((uint32_t)h << 16);
    }
}
static void widen(enum dtype t, const uint8_t *p, int64_t n, float *out)
{
    if (t == DTYPE_F64)
        widen_double(p, n, out);
    else if (t == DTYPE_F16)
        widen_half(p, n, out);
    else
        widen_bfloat(p, n, out);
}
const float *tensor_floats(const struct tensor *t, struct arena *a)
{
    if (t->dtype > DTYPE_BF16)
        return NULL;
    if (t->dtype == DTYPE_F32 && t->n && (uintptr_t)t->data % _Alignof(float) == 0)
        return t->data;
    float *out = arena_floats(a, t->n ? t->n : 1);
    if (!out || !t->n)
        return out;
    if (t->dtype == DTYPE_F32)
        memcpy(out, t->data, (size_t)t->n * sizeof *out);
    else
        widen(t->dtype, t->data, t->n, out);
    return out;
}
const int64_t *tensor_ints(const struct tensor *t, struct arena *a)
{
    if (t->dtype <= DTYPE_BF16)
        return NULL;
    if (t->dtype == DTYPE_I64 && t->n && (uintptr_t)t->data % _Alignof(int64_t) == 0)
        return t->data;
    int64_t *out = arena_try(a, (size_t)(t->n ? t->n : 1) * sizeof *out);
    if (!out)
        return NULL;
    const uint8_t *p = t->data;
    for (int64_t i = 0; i < t->n; i++) {
        int32_t w;
        if (t->dtype == DTYPE_I64) {
            memcpy(&out[i], p + i * 8, sizeof *out);
        } else if (t->dtype == DTYPE_I32) {
            memcpy(&w, p + i * 4, sizeof w);
            out[i] = w;
        } else {
            out[i] = p[i];
        }
    }
    return out;
}
