/* Tensor values as float32 or int64, whatever they are stored as. */
#include "stages/io/safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors are little-endian");

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
/* IEEE half: sign 1, exponent 5 (bias 15), mantissa 10. */
static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h >> 15) << 31, exp = h >> 10 & 31, man = h & 1023;
    if (exp == 31)
        return from_bits(sign | 0x7f800000u | man << 13);
    if (exp)
        return from_bits(sign | (exp + 112) << 23 | man << 13);
    float f = (float)man * 0x1p-24f; /* zero and subnormals */
    return sign ? -f : f;
}
static void widen(enum dtype t, const uint8_t *p, int64_t n, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        double d;
        switch (t) {
        case DTYPE_F64:
            memcpy(&d, p + i * 8, sizeof d);
            out[i] = (float)d;
            break;
        case DTYPE_F16:
            memcpy(&h, p + i * 2, sizeof h);
            out[i] = half_to_float(h);
            break;
        default: /* BF16: the upper half of a float32 */
            memcpy(&h, p + i * 2, sizeof h);
            out[i] = from_bits((uint32_t)h << 16);
        }
    }
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
