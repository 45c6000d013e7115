/* What a task's devices are, told in the environment of its worker, which a program of a user's gets from it.
 */
#ifndef ENGINE_EXEC_UNITENV_H
#define ENGINE_EXEC_UNITENV_H

struct arena;
struct job_unit; /* engine/exec/job.h */
/* WEFT_UNIT_GPU=0,2 for each unit, and for gpu CUDA_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES. A WEFT_UNIT_
 * that the engine inherited, itself in a task of another, goes. Before the first thread. */
void unitenv_set(const struct job_unit *unit, int n, struct arena *a);
#endif
