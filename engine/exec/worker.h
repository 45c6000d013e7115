/* The worker: the child process that runs one task, and the protocol between it and the engine.
 * One task = one process `weft worker`: the job as one JSON object on stdin, events as JSON Lines on stdout;
 * anything else (a library's chatter, warnings and metrics in words) goes to stderr, which is the task's log.
 * (params of a user's program are its declaration: stages/command.h)
 *   job     {"task", "stage", "version", "params": {}, "inputs": {PORT: [{"dir", "also"}]},
 *            "outputs": {PORT: DIR}, "scratch", "threads", "cpuset", "nodes", "parent"
 *            [, "units": {NAME: "0,2"}][, "memory"][, "checkpoint": {"stop", "every"}]
 *            [, "resume": {"file", "step"}][, "serve": LOG]}
 *   units are devices: the worker's environment, and a program's, says which (engine/exec/unitenv.h)
 *   serve: short programs take turns in one worker, for its start costs as much as they do. It writes that
 * log, and behind a "done" of less than WORKER_SERVES seconds reads the next such job from its stdin, a
 * socket of packets then. It ends when that is closed, and with the first job that fails or takes longer.
 *   events  {"event": "progress", "done", "total", "unit"}
 *           {"event": "metric", "name", "value", "step"}
 *           {"event": "warn", "text"}
 *           {"event": "resumed", "step"}                        the state to go on from is taken up
 *           {"event": "checkpoint", "step", "name", "seconds"}  a file of scratch: the engine's from now on
 *           {"event": "stopped", "step"}                        last, exit status 0: because "stop" is there
 *           {"event": "error", "code", "text", "file", "line", "col"}   last, exit status 1
 *           {"event": "done", "seconds", "peak_rss"[, "node"][, "samples"][, "made": {PORT: samples}][,
 * "tidied"]} last, exit status 0; node: the host's name, absent: the engine's; tidied: scratch is empty again
 *           {"event": "memory", "peak", "over"}   behind the last, from a keeper that a launcher started */
#ifndef ENGINE_EXEC_WORKER_H
#define ENGINE_EXEC_WORKER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define WORKER_SERVES 0.2 /* of a short job: the keeper looks at the memory of what takes longer */
/* What comes on stdin: a number, by which the engine knows the job again, and the text. */
typedef uint32_t worker_number;
#define WORKER_JOB_MOST ((size_t)128 << 10) /* bytes of a job that comes on stdin */
/* The whole life of a worker, in a fork of its keeper: its exit status. more: other jobs may come on stdin.
 * What the stage left running below it is ended before it says how it ended. */
int worker_run(const char *job, size_t n, bool more);
#endif
