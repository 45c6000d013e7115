/* The keeper: the process that is the parent of workers. Small, one thread, everything loaded: a worker is a
 * fork of it, which costs a part of a start. It outlives both an engine and a worker that are killed:
 * whatever runs below a worker, however it hid (a session of its own, a double fork), comes to the keeper
 * when the worker is gone, and the keeper ends it. It also looks at the memory of its workers
 * (engine/exec/memory.h).
 *
 * `weft worker --serve`: on its stdin a socket to the engine (engine/exec/workers.h). Orders come there, each
 * with descriptors, and the ends of workers go back; all ends when it closes.
 *
 * `weft worker`: one worker, its job on stdin, events on stdout: what launchers start. It ends as the worker
 * ended. A signal tells of the engine's end, and all below it ends too. */
#ifndef ENGINE_EXEC_KEEPER_H
#define ENGINE_EXEC_KEEPER_H
#include <stdbool.h>
#include <stdint.h>

struct keeper_order {
    enum keeper_what {
        KEEPER_START, /* descriptors: its events, its log, and from where more jobs may come; the text follows
                       */
        KEEPER_KILL   /* it, and all below it */
    } what;
    uint32_t worker; /* a number that the engine chose */
    int64_t memory;  /* bytes that it may take, with all below it; 0: any */
    uint64_t length; /* of the text */
};
enum { KEEPER_EVENTS, KEEPER_LOG, KEEPER_JOBS, KEEPER_FDS }; /* the last may be absent */
struct keeper_end {  /* sent back once nothing of the worker runs any more */
    uint32_t worker; /* of the order */
    int status;      /* of wait */
    int not_started; /* 0, or why: an errno */
    bool over;       /* ended, because it took more memory than it may */
    int64_t peak;    /* bytes, with all below it; 0: nobody looked */
};
/* Bodies of the hidden command: the exit status. */
int keeper_serve(void);
int keeper_once(void);
#endif
