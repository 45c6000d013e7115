/* Private to the build: short programs, one behind the other. A worker has its next job before it is done
 * with the last, so that it waits for nobody in between. */
#ifndef ENGINE_EXEC_BUILD_AHEAD_H
#define ENGINE_EXEC_BUILD_AHEAD_H
#include "engine/exec/build_impl.h"

void ahead_give(struct build *b);                    /* to those that began since the last call */
void ahead_over(struct build *b, struct attempt *a); /* what it had ahead begins, or is to be started anew */
/* Milliseconds until one has waited for too long, -1: none does; 0: some have, and are to be started anew.
 * Once nothing more is to begin, each has. */
int ahead_due(struct build *b);
#endif
