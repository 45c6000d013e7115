/* Pictures of a trace: time goes to the right. As SVG with a lane for each core; as text with a row for each
 * stage of the experiment. */
#ifndef ENGINE_CLI_GANTT_H
#define ENGINE_CLI_GANTT_H
#include "engine/exec/trace.h"

struct gantt_stage {  /* of the experiment: gantt_stage_length of its tasks' names */
    const char *name; /* malloc'd */
    int bars;
    double core_seconds;
};
struct gantt {
    const struct trace *trace;
    struct trace_lanes lanes;
    struct gantt_stage *stage; /* in order of their first starts */
    int n_stages;
    int *stage_of; /* by bar */
    double end;    /* of the last bar; above 0 */
};
void gantt_init(struct gantt *g, const struct trace *t); /* borrows the trace, which stays as it is */
void gantt_done(struct gantt *g);
static inline void gantt_auto(struct gantt *g)
{
    gantt_done(g);
}
/* One lane a core; of more than 64 they are thin and share their names. */
void gantt_svg(const struct gantt *g, const char *title, struct buf *out);
/* Rows of at most so many columns: in each column the part of all cores that the stage holds then. */
void gantt_text(const struct gantt *g, int cores, int columns, struct buf *out);
/* How much of a task's name is that of its stage: up to the "[" of foreach or the "@" of a sweep. */
size_t gantt_stage_length(const char *task);
/* About n round times from 0 to the end: how far apart. */
double gantt_step(double end, int n);
#endif
