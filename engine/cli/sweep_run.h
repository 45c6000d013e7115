/* A sweep at work: which points are done, what their objectives are, who goes on. */
#ifndef ENGINE_CLI_SWEEP_RUN_H
#define ENGINE_CLI_SWEEP_RUN_H
#include "cache/store.h"
#include "engine/cli/progress.h"
#include "engine/cli/sweep_view.h"
#include "engine/spec/sweep.h"
#include <stdio.h>

/* "sweep: 24 points x 36 tasks = 864; 131 exist, 733 shared" */
void sweep_counts_print(const struct spec *s, FILE *to);
json_t *sweep_counts_json(const struct spec *s); /* new reference */

struct sweep_run;
/* dir: where metrics are unpacked. quiet: no line for each point. The progress is told of each event. */
struct sweep_run *sweep_run_new(const struct spec *s, struct store *store, const char *dir,
                                struct progress *p, int top, bool quiet);
void sweep_run_free(struct sweep_run *r);
/* For build_options: the observer, the tasks held at first (NULL without halving), and who is released. */
void sweep_run_see(void *run, const struct build_event *e);
const bool *sweep_run_held(const struct sweep_run *r);
int sweep_run_release(void *run);
/* As far as it came; lives as long as r. */
const struct sweep_view *sweep_run_view(struct sweep_run *r);
/* The promotions in their order: [{"point", "rung", "value", "to"}]; NULL without halving. New reference. */
json_t *sweep_run_decisions(const struct sweep_run *r);
#endif
