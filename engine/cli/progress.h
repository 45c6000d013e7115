/* What a person sees of a run, on stderr. On a terminal: a line one event that scrolls by, and below them a
 * block that is drawn again in place, with a bar, the rate and the time left of each task at work and the
 * counts of all. In a pipe: one line an event, and now and then how far a long task is. */
#ifndef ENGINE_CLI_PROGRESS_H
#define ENGINE_CLI_PROGRESS_H
#include "engine/exec/build.h"

struct progress;
/* quiet: failures and warnings only. */
struct progress *progress_new(bool quiet);
/* Does it draw? Then it wants a BUILD_TICK now and then. */
bool progress_is_live(const struct progress *p);
void progress_see(void *progress, const struct build_event *e);
/* A line of one's own among the events, and lines below the tasks at work (copied; on a terminal only). */
void progress_say(struct progress *p, const char *text);
void progress_board(struct progress *p, char *const *line, int n);
void progress_free(struct progress *p); /* clears the block */
#endif
