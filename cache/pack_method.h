/* Private to cache/pack*.c: how a plane is compressed, by what a sample of it says. Digits that look random
 * are not worth a level; the exponents of floats are short words without repetitions, where a search for
 * matches costs most of the time and even bytes: their entropy is coded alone. */
#ifndef CACHE_PACK_METHOD_H
#define CACHE_PACK_METHOD_H
#include "cache/pack_format.h"
#include <zstd.h>

enum pack_method { METHOD_LEVEL, METHOD_ENTROPY, METHOD_QUICK, METHODS };
struct pack_press { /* one thread's */
    ZSTD_CCtx *z;
    int level;
    uint8_t *scratch;
};
bool pack_press_init(struct pack_press *p, int level, struct error *err) MUST_CHECK;
void pack_press_done(struct pack_press *p);
/* n bytes as one frame into `to` of `cap`; *ret: its bytes. */
bool pack_press_frame(struct pack_press *p, enum pack_method m, const void *from, size_t n, void *to,
                      size_t cap, size_t *ret, struct error *err) MUST_CHECK;
/* The method for a plane. */
bool pack_method_of(struct pack_press *p, const uint8_t *plane, size_t n, enum pack_method *ret,
                    struct error *err) MUST_CHECK;
/* The width for a file, by samples of several places. */
bool pack_width_of(struct pack_press *p, const struct frame_file *from, int64_t size, int *ret,
                   struct error *err) MUST_CHECK;
#endif
