/* Who held which cores when: attempts of tasks as bars on lanes, one lane a core. Made from the events of a
 * run, while it goes on or later from its events.jsonl, or from a schedule that was only simulated. Written
 * as Chrome trace events, which Perfetto reads too. */
#ifndef ENGINE_EXEC_TRACE_H
#define ENGINE_EXEC_TRACE_H
#include "base/arena.h"
#include "base/buf.h"
#include <jansson.h>

struct trace_bar {            /* one attempt of a task */
    const char *task, *stage; /* strings are the trace's */
    const char *node;         /* name of the machine; "": not known */
    const char *cpuset;       /* list format; "": on no cores of its own, or not known */
    int cores;                /* at least 1 */
    double start, end;        /* seconds since the run's begin */
    const char *state;        /* "ran", "failed", "retry", "stopped", "cut off"; "predicted" */
    const char *key;          /* in hex; "": not known */
};
struct trace_mark { /* a moment: a metric, a checkpoint, a warning */
    size_t bar;     /* of the attempt; TRACE_NO_BAR: of the run */
    const char *name, *text;
    bool has_value;
    double at, value;
    int64_t step;
};
#define TRACE_NO_BAR ((size_t)-1)
struct trace_event { /* strings are the caller's, and may be NULL but for the first */
    const char *event, *task, *stage, *cpuset, *name, *text, *key, *experiment;
    const char *node; /* of the task; of the begin: the engine's */
    int cores;
    double at; /* seconds since the run's begin */
    bool has_value;
    double value;
    int64_t step; /* -1: none */
};
struct trace {
    struct arena mem;
    const char *experiment, *run; /* "": not known */
    int cores;                    /* that the run used; 0: not known */
    struct trace_bar *bar;        /* in order of their starts */
    size_t n, cap;
    struct trace_mark *mark;
    size_t n_marks, cap_marks;
    double last;      /* when the last event was */
    json_t *open;     /* bars of tasks at work, by the task's name */
    const char *host; /* of the engine: the node of events that name none */
};
void trace_init(struct trace *t, const char *run); /* run: its id, or "" */
void trace_done(struct trace *t);
/* The next bar, which starts no earlier than those before; its strings are copied. NULL members mean "". */
void trace_add(struct trace *t, const struct trace_bar *bar);
/* The next event of a run (engine/exec/runlog.h), as what matters of it or as JSON. Anything else than what
 * it knows changes nothing. */
void trace_event(struct trace *t, const struct trace_event *e);
void trace_take(struct trace *t, const json_t *event);
/* No more events come: what is at work was cut off, at the last event. */
void trace_end(struct trace *t);
/* All events of a run in the store, and their end. */
bool trace_read(struct trace *t, const char *store, const char *id, struct error *err) MUST_CHECK;
/* {"traceEvents": [...]}: a process is a node, a thread a lane, an attempt one "X" on each of its lanes. */
void trace_write(const struct trace *t, struct buf *out);

/* Which lanes the bars are on. A bar without a cpuset has the first lanes of its node that are free then. */
struct trace_lane {
    int node; /* index in trace_lanes.node */
    int core; /* number of the CPU */
};
struct trace_lanes {
    const char **node; /* in order of their names; strings are the trace's */
    int n_nodes;
    struct trace_lane *lane; /* that any bar is on; by node, then core */
    int n;
    size_t *first; /* (bars + 1): bar i is on the lanes of[first[i]] to of[first[i + 1] - 1] */
    int *of;
};
void trace_lanes_find(const struct trace *t, struct trace_lanes *ret);
void trace_lanes_done(struct trace_lanes *l);
static inline void trace_lanes_auto(struct trace_lanes *l)
{
    trace_lanes_done(l);
}
static inline void trace_auto(struct trace *t)
{
    trace_done(t);
}
#endif
