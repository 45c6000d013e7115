#include "engine/cli/units.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *seconds_text(double s, char out[UNITS_MAX])
{
    long whole = (long)(s + 0.5);
    if (s < 10)
        snprintf(out, UNITS_MAX, "%.2f s", s);
    else if (s < 60)
        snprintf(out, UNITS_MAX, "%.1f s", s);
    else if (whole < 3600)
        snprintf(out, UNITS_MAX, "%ld:%02ld", whole / 60, whole % 60);
    else
        snprintf(out, UNITS_MAX, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    return out;
}

const char *bytes_text(int64_t n, char out[UNITS_MAX])
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double x = (double)n;
    int u = 0;
    for (; x >= 1024 && u < 5; u++)
        x /= 1024;
    snprintf(out, UNITS_MAX, u ? "%.1f %s" : "%.0f %s", x, unit[u]);
    return out;
}

const char *rate_text(double r, char out[UNITS_MAX])
{
    snprintf(out, UNITS_MAX, r >= 100 ? "%.0f" : r >= 10 ? "%.1f" : "%.3g", r);
    return out;
}

const char *core_text(double core_seconds, char out[UNITS_MAX])
{
    char number[UNITS_MAX];
    bool hours = core_seconds >= 3600;
    snprintf(out, UNITS_MAX, "%.16s core-%s", rate_text(hours ? core_seconds / 3600 : core_seconds, number),
             hours ? "hours" : "seconds");
    return out;
}

const char *time_text(time_t t, char out[UNITS_MAX])
{
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, UNITS_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

const char *age_text(double seconds, char out[UNITS_MAX])
{
    static const struct {
        double seconds;
        const char *name;
    } unit[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t u = 0;
    while (u < 3 && seconds < 2 * unit[u].seconds)
        u++;
    snprintf(out, UNITS_MAX, "%.0f %s", seconds > 0 ? seconds / unit[u].seconds : 0, unit[u].name);
    return out;
}

const char *where_word(const char *where)
{
    return strchr(where, ' ') ? "" : "cores ";
}
