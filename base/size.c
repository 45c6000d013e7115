#include "base/size.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MOST 1e18

static const struct {
    const char *name;
    double bytes;
} unit[] = {{"", 1},       {"B", 1},        {"K", 1024.0},   {"KiB", 1024.0}, {"KB", 1e3},
            {"M", 0x1p20}, {"MiB", 0x1p20}, {"MB", 1e6},     {"G", 0x1p30},   {"GiB", 0x1p30},
            {"GB", 1e9},   {"T", 0x1p40},   {"TiB", 0x1p40}, {"TB", 1e12}};

bool size_read(const char *text, int64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) || text[1] == 'x' || text[1] == 'X') /* no sign, no "inf", no hex */
        return false;
    double x = strtod(text, &end);
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
        if (strcmp(end, unit[i].name) == 0 && x * unit[i].bytes <= MOST) {
            *ret = (int64_t)(x * unit[i].bytes);
            return true;
        }
    return false;
}

bool size_parse(const char *what, const char *text, int64_t *ret, struct error *err)
{
    return size_read(text, ret) ||
           error_set(err, NULL, ERROR_INPUT, "%s must be " SIZE_HELP ", not '%.100s'", what, text);
}
