/* How far a long command is, on a terminal: one line that is drawn again in place, "41%  1.2 of 3.0 GiB, 512
 * MiB/s, 0:44 left". Anywhere else nothing is drawn. */
#ifndef ENGINE_CLI_METER_H
#define ENGINE_CLI_METER_H
#include "engine/cli/screen.h"
#include <stdint.h>

struct meter {
    struct screen screen;
    const char *what; /* "verify" */
    double began, drawn;
    bool live;
};
void meter_init(struct meter *m, const char *what);
void meter_show(struct meter *m, int64_t done, int64_t of); /* bytes; at most ten times a second */
void meter_hide(struct meter *m); /* something is about to be printed; it comes again with the next show */
void meter_done(struct meter *m); /* erases the line */
#endif
