/* The keeper of allocations: a process beside the engine that lives a little longer. */
#ifndef ENGINE_EXEC_SLURM_KEEPER_H
#define ENGINE_EXEC_SLURM_KEEPER_H
#include <sys/types.h>

/* Body of the hidden command `weft worker --keeper FILE`: touches the file, which names jobs of Slurm, as
 * long as the engine (`parent`) lives; then, or on SIGTERM, cancels them. The exit status. */
int slurm_keeper_main(const char *path, pid_t parent);
#endif
