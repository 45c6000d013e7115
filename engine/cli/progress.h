/* What a person sees of a run, on stderr: one line an event; on a terminal also a line at the bottom that is
 * drawn again and again, with rates and the time left of what is at work. In a pipe a long task says how far
 * it is now and then. */
#ifndef ENGINE_CLI_PROGRESS_H
#define ENGINE_CLI_PROGRESS_H
#include "engine/exec/build.h"

struct progress;
/* tasks: of the experiment. quiet: failures and warnings only. */
struct progress *progress_new(int tasks, bool quiet);
void progress_see(void *progress, const struct build_event *e);
void progress_free(struct progress *p); /* clears the bottom line */
#endif
