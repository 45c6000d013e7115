/* The holder of allocations: a process beside the engine that lives a little longer, so that none is left. */
#ifndef ENGINE_EXEC_SLURM_HOLD_H
#define ENGINE_EXEC_SLURM_HOLD_H
#include <sys/types.h>

/* Body of the hidden command `weft worker --hold FILE`: touches the file, which names jobs of Slurm, as
 * long as the engine (`parent`) lives; then, or on SIGTERM, cancels them. The exit status. */
int slurm_hold_main(const char *path, pid_t parent);
#endif
