/* Private to the build: what STORE/runs/ID keeps beside events and logs. A full disk costs the file, never
 * the run. */
#ifndef ENGINE_EXEC_BUILD_FACTS_H
#define ENGINE_EXEC_BUILD_FACTS_H
#include "engine/exec/trace.h"

struct build_facts {
    char host[256];     /* this machine */
    struct trace trace; /* of what was reported */
    bool planned;       /* plan.json is there, or never will be */
};
struct build;
void facts_environment(const struct build *b); /* environment.json: where it runs, and on what */
/* plan.json: what is to run, when, on which cores. Once, when the first task is to run and costs are known.
 */
void facts_plan(struct build *b);
void facts_trace(struct build *b); /* trace.json, at the end; nothing when nothing ran */
#endif
