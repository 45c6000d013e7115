/* Private to the build: one running worker, from its start to its end. */
#ifndef ENGINE_EXEC_ATTEMPT_H
#define ENGINE_EXEC_ATTEMPT_H
#include "base/hash.h"
#include "engine/exec/process.h"
#include "engine/sched/work.h"
#include "engine/spec/spec.h"
#include "engine/topo/topo.h"

struct build;
struct attempt { /* one running worker */
    const struct task *task;
    struct process process;
    int node, cores;      /* of the machine */
    char *cpuset;         /* of its place; "": whoever starts it there chooses */
    const char *dir;      /* private: out.PORT and scratch */
    bool done;            /* it said so */
    bool tidied;          /* and that it left nothing there but outputs */
    int64_t memory;       /* that it may take, in bytes; 0: any */
    double deadline;      /* of the monotonic clock; 0: none */
    bool timed_out;       /* past it, killed */
    bool ended;           /* on another node: the worker has ended, with this status */
    bool lost;            /* its node or its worker went away, by no fault of its own */
    int status;           /* of wait */
    bool counted;         /* among those at work on its node */
    struct digest *input; /* artifacts in use */
    size_t n_input, cap_input;
    size_t since; /* artifacts_spoilt when it started */
    bool spoilt;  /* an input was changed by someone else while it ran: what it made is not to be trusted */
    double seconds;
    int64_t peak_rss;
    json_t *said;           /* its last event: where it ran, the samples it read and made */
    double began;           /* seconds of the monotonic clock */
    double progress, total; /* as it said last */
    double progressed;      /* when; 0: never */
    char unit[24];
    struct work predicted;
    bool guessed;       /* by nothing but the stage's cost function */
    struct error error; /* what it said was wrong */
    struct attempt_checkpoints {
        int64_t passes;   /* in all; 0: the stage keeps no states */
        struct digest id; /* of its states */
        int64_t last;     /* the one it stands on: found, then the newest of its own; 0: none */
        double before;    /* seconds behind the one found */
        int64_t resumed;  /* it goes on after this pass; 0: from the beginning */
        int64_t stopped;  /* after this pass; 0: not */
        bool failed;      /* one could not be stored, which was said */
    } checkpoints;
    struct attempt *next; /* its worker has that job too, which begins when this one is done; NULL: none */
    bool asked;           /* whether there may be one */
    bool told;            /* that it started */
    struct build *build;
};
#endif
