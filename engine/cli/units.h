/* Times and sizes as people read them. */
#ifndef ENGINE_CLI_UNITS_H
#define ENGINE_CLI_UNITS_H
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define UNITS_MAX 32
const char *seconds_text(double s, char out[UNITS_MAX]);         /* "0.12 s", "12.3 s", "2:31", "1:02:31" */
const char *bytes_text(int64_t n, char out[UNITS_MAX]);          /* "812 B", "1.2 MiB" */
const char *core_text(double core_seconds, char out[UNITS_MAX]); /* "12.3 core-seconds", "1.5 core-hours" */
const char *time_text(time_t t, char out[UNITS_MAX]);            /* "2026-11-29T12:06:39Z" */
const char *age_text(double seconds, char out[UNITS_MAX]);       /* "12 s", "5 min", "3 h", "12 d" */
const char *rate_text(double r, char out[UNITS_MAX]);            /* three digits: "0.123", "12.3", "1230" */
/* "cores " in front of a list of CPUs, nothing in front of "n1, 4 cores": where a task runs. */
const char *where_word(const char *where);
#endif
