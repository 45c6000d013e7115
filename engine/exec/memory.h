/* The memory of one worker and all below it: what it held at most, and an end to more than it asked for, by
 * the best means that the machine grants, found when it is needed: a control group of the kernel (v2 where it
 * is delegated to us, else v1), or, without one, looking now and then how much is resident. A group is named
 * by its keeper (pid and start), so that the next keeper removes what one that was killed has left. */
#ifndef ENGINE_EXEC_MEMORY_H
#define ENGINE_EXEC_MEMORY_H
#include "base/procs.h"

struct memory {
    int64_t limit;                /* bytes; 0: none */
    const struct memory_row *row; /* the control group's kind; NULL: it is looked at */
    char *group;                  /* its folder */
    int64_t peak;                 /* bytes, as far as anybody looked */
    bool over;                    /* it took more, and was ended for it */
};
/* In the keeper, before the worker is there. n: unlike those of all other workers. Cannot fail: the last
 * means is always there. */
void memory_begin(struct memory *m, int64_t limit, unsigned long n);
/* In the worker: it and all that it will start count from now on. */
void memory_join(const struct memory *m);
/* Look at the worker and at what runs below it; true: it is over, and has to be ended now. */
bool memory_look(struct memory *m, pid_t worker);
/* Its end: all are gone. */
void memory_end(struct memory *m);
/* Name of the means that m has got: "cgroup v1", ... */
const char *memory_means(const struct memory *m);
/* Remove what keepers that are gone have left. */
void memory_sweep(void);
#endif
