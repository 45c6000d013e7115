/* The worker protocol. One task = one process `weft worker`: the job as one JSON object on stdin, events as JSON Lines
 * on stdout, anything else (a library's chatter) on stderr, which is the task's log.
 * Job: {"task","stage","version","params":{},"inputs":{port:[{"dir","also"}]},"outputs":{port:dir},"scratch","threads",
 *       "cpuset"}.
 * Events: {"event":"progress","done","total","unit"} {"event":"metric","name","value","step"} {"event":"warn","text"}
 *         {"event":"error","text","file","line","col"} and last {"event":"done","seconds","peak_rss"}. */
#ifndef ENGINE_EXEC_WORKER_H
#define ENGINE_EXEC_WORKER_H
/* Body of the hidden command `weft worker`: returns the exit status (0 done, 1 failed with an error event). */
int worker_main(void);
#endif
