/* Bytes of numbers to planes and back: byte j of every number to plane j. Each loop is one that compilers
 * turn into vector instructions: a load of whole numbers and a narrowing, or the reverse. */
#include "cache/pack_format.h"
#include <string.h>

#define RUN 1024 /* numbers: they stay in the first cache while every plane takes its byte */

#define SPLIT(bits)                                                                                          \
    static void split##bits(const uint8_t *restrict from, uint8_t *restrict to, size_t n)                    \
    {                                                                                                        \
        for (size_t k = 0; k < n; k += RUN) {                                                                \
            size_t m = n - k < RUN ? n - k : RUN;                                                            \
            for (size_t j = 0; j < bits / 8; j++) {                                                          \
                uint8_t *restrict plane = to + j * n + k;                                                    \
                for (size_t i = 0; i < m; i++) {                                                             \
                    uint##bits##_t x;                                                                        \
                    memcpy(&x, from + (k + i) * (bits / 8), sizeof x);                                       \
                    plane[i] = (uint8_t)(x >> (8 * j));                                                      \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define JOIN(bits)                                                                                           \
    static void join##bits(const uint8_t *restrict from, uint8_t *restrict to, size_t n)                     \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++) {                                                                     \
            uint##bits##_t x = 0;                                                                            \
            for (size_t j = 0; j < bits / 8; j++)                                                            \
                x |= (uint##bits##_t)((uint##bits##_t)from[j * n + i] << (8 * j));                           \
            memcpy(to + i * (bits / 8), &x, sizeof x);                                                       \
        }                                                                                                    \
    }
SPLIT(16)
SPLIT(32)
SPLIT(64)
JOIN(16)
JOIN(32)
JOIN(64)

/* What is no whole number at the end stays as it is. */
static void tail(const uint8_t *from, uint8_t *to, size_t n, int width)
{
    size_t rest = n % (size_t)width;
    memcpy(to + n - rest, from + n - rest, rest);
}

void pack_split(const uint8_t *from, uint8_t *to, size_t n, int width)
{
    size_t numbers = n / (size_t)width;
    if (width == 2)
        split16(from, to, numbers);
    else if (width == 4)
        split32(from, to, numbers);
    else if (width == 8)
        split64(from, to, numbers);
    else
        memcpy(to, from, n);
    tail(from, to, n, width);
}

void pack_join(const uint8_t *from, uint8_t *to, size_t n, int width)
{
    size_t numbers = n / (size_t)width;
    if (width == 2)
        join16(from, to, numbers);
    else if (width == 4)
        join32(from, to, numbers);
    else if (width == 8)
        join64(from, to, numbers);
    else
        memcpy(to, from, n);
    tail(from, to, n, width);
}
