/* All that `weft simulate` shows, in the forms that it has. */
#ifndef ENGINE_CLI_SIMULATION_H
#define ENGINE_CLI_SIMULATION_H
#include "base/buf.h"
#include "engine/cli/hindsight.h"

struct simulation {
    const struct forecast *forecast;
    const struct hindsight *hindsight; /* NULL: not compared with a run */
    struct forecast_fifo fifo;         /* width 0: not asked for */
    const char *topology;              /* as it was given; NULL: this machine */
};
/* Forms of output.h: of a struct simulation. */
void simulation_text(const void *simulation, int columns, struct buf *out);
void simulation_svg(const void *simulation, int columns, struct buf *out);
void simulation_trace(const void *simulation, int columns, struct buf *out);
void simulation_json(const void *simulation, int columns, struct buf *out);
#endif
