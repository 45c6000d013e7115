/* Sizes as people write them: 500MB, 1.5GiB, 20K. Of ten: KB, MB, GB, TB; of two: KiB, MiB, GiB, TiB, and the
 * letter alone, K, M, G, T, as other programs have it. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H
#include "base/error.h"
#include <stdint.h>

#define SIZE_HELP "a size such as 500MB, 1.5GiB or 20K"
/* Bytes, 0 or more; false: the text is no size. */
bool size_read(const char *text, int64_t *ret) MUST_CHECK;
/* The same with an error that says what is wrong: `what` names the value. */
bool size_parse(const char *what, const char *text, int64_t *ret, struct error *err) MUST_CHECK;
#endif
