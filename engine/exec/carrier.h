/* A worker on another node, carried by a command such as srun or ssh, which joins three descriptors and
 * promises little else. So weft stands at both ends of it:
 *
 *   engine -- near end -- srun, ssh, ... -- far end -- worker
 *
 * Both ends are hidden commands, `weft worker --near ...` and `weft worker --far`. The near end is what the
 * engine starts in a worker's place (engine/exec/process.h): the job on its stdin, events on its stdout. To
 * the far end it sends its working directory and the job, a line each, and then a sign of life now and then;
 * the far end answers with the worker's events and such signs between them. So each knows that the other is
 * there, whatever became of the machines between:
 *
 *   the engine is gone, or kills the near end -> the carrying command is asked to end (SIGTERM)
 *   the near end is silent, or its line ends  -> the far end kills the worker
 *   the far end is silent                     -> the near end ends the carrying command, and itself
 *   the worker has ended                      -> the far end's last line, {"event": "ended", "status": N}
 *
 * An end without that line is therefore the node's or the connection's, and no fault of the task. */
#ifndef ENGINE_EXEC_CARRIER_H
#define ENGINE_EXEC_CARRIER_H
#include <sys/types.h>

#define CARRIER_PATIENCE 100 /* seconds of silence, after which the other end counts as gone */

/* The job comes from our stdin; argv is the carrying command (NULL-ended), `parent` the engine, with which
 * this ends. The exit status of the command; 128 + N: signal N ended it. */
int carrier_near(const char *const *argv, pid_t parent, double patience);
/* The job is the second line of our stdin. Exit status 0 once the worker has ended, however. */
int carrier_far(double patience);
/* What a node has, as a line of JSON on stdout: {"host", "memory", "xml"}: bytes, and its topology as
 * hwloc writes it. */
int carrier_probe(void);
#endif
