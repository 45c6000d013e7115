/* Private to the launcher slurm: slurm.c is its row, slurm_jobs.c asks for allocations and looks after them,
 * slurm_hold.c lets them go with the engine. */
#ifndef ENGINE_EXEC_SLURM_IMPL_H
#define ENGINE_EXEC_SLURM_IMPL_H
#include "engine/exec/capture.h"
#include "engine/exec/launcher.h"
#include "engine/exec/slurm_text.h"

enum slurm_state {
    SLURM_NONE,  /* no allocation, one may be asked for */
    SLURM_WAITS, /* asked for */
    SLURM_GRANTED,
    SLURM_OVER /* it has ended, and no other is asked for */
};
struct slurm_slot { /* of a node, by its index in the launcher */
    enum slurm_state state;
    char job[24];
    char reason[64]; /* why it waits, as last told */
    double again;    /* a node that is taken for gone: not before then; of the clock */
    double pause;    /* the next time so long */
    double idle;     /* since when it is not busy; 0: it is */
    bool ending;     /* granted, but Slurm is about to take it back; why it says afterwards */
    int fruitless;   /* allocations in a row in which no task ended */
    int done, well;  /* launcher_node.done when it was asked for; when its node was last in doubt */
};
struct slurm {
    struct slurm_wish wish;
    struct slurm_slot *slot;
    bool inside;  /* an allocation that is there already: all slots have its job */
    bool resized; /* it has lost a node: see command() in slurm.c */
    int threads;  /* Slurm's CPUs to a core */
    const char *const *env;
    char *jobs;            /* path of the file that names our allocations, which the holder touches */
    struct capture holder; /* pid 0: none */
    double asked;          /* since when something waits; of the clock */
};

#define SLURM_PATIENCE 20.0 /* seconds for an answer of its commands */
#define MIB            ((int64_t)1 << 20)

/* Its commands get this environment, and so do workers: what programs need to run at all, nothing else of the
 * caller's but the variables named by `more` (NULL-ended, or NULL). In the arena. */
const char *const *slurm_env(const char *const *more, struct arena *a);
/* Run one of its commands; what it printed is in the arena. */
bool slurm_run(const struct slurm *s, const char *const *argv, const char *input, struct arena *a, char **ret,
               struct error *err) MUST_CHECK;

/* slurm_jobs.c */
void slurm_want(struct launcher *l, int nodes, double seconds);
void slurm_look(struct launcher *l);
void slurm_lost(struct launcher *l, int node);

/* slurm_hold.c */
bool slurm_hold_start(struct launcher *l, struct error *err) MUST_CHECK; /* unless it runs */
bool slurm_hold_note(struct launcher *l, struct error *err) MUST_CHECK; /* the allocations that we have now */
void slurm_hold_end(struct launcher *l);                                /* all are cancelled */
/* The script that holds an allocation while the file is touched: every `pause` seconds it looks, so many
 * looks without a change end it. Exit 3: the file is not there; 4: nor is the program. */
char *slurm_hold_script(const char *jobs, const char *program, double pause, int looks, struct arena *a);
#endif
