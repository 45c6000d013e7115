/* Where workers run. A launcher is a row: it finds the nodes, says by which command a worker starts on one of
 * them, and notices nodes that go and come. Workers of other nodes are carried (engine/exec/carrier.h); they
 * read and write the same files, so that the store lies where all nodes see it under the same path. */
#ifndef ENGINE_EXEC_LAUNCHER_H
#define ENGINE_EXEC_LAUNCHER_H
#include "base/arena.h"
#include "base/error.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct topo;
struct launcher_options {
    const char *launcher; /* "slurm", or a command template: "ssh {node} {quoted}" */
    const char *nodes;    /* of a template: "a,b", NULL: none given */
    const char *wish;     /* of slurm, outside of an allocation: engine/exec/slurm_text.h; NULL: nothing */
    bool threads;         /* of a template: each hardware thread is a core */
};
struct launcher_need { /* what the graph can make use of */
    int cores;         /* at one time, of all nodes together, by its work and its longest path; at least 1 */
    int most;          /* of one node, no more are to be used; 0: any */
    int widest;        /* that one task must have */
    int64_t memory;    /* likewise, bytes; 0: not known */
    const char *widest_task, *memory_task; /* their names */
};
struct launcher_node {
    const char *name;  /* "" until it is known */
    int cores;         /* that tasks may use; these and the memory never change */
    int64_t memory;    /* bytes; 0: not known */
    struct topo *topo; /* NULL: not known, and then nothing is bound by us. Whoever takes it leaves NULL */
    bool there;        /* tasks can start on it */
    int busy, done;    /* tasks at work on it; that ended there, however: the build counts */
    char trouble[256]; /* why it is not there, "" where nothing is wrong */
};
struct launcher_step { /* one worker */
    const char *task;
    int node, cores;
    int64_t memory;          /* that it declares; 0: nothing */
    const char *const *pass; /* names of variables that its program is to have of ours; NULL-ended, or NULL */
};
struct launcher {
    const struct launcher_row *row;
    struct launcher_node *node;
    int n;
    bool hope; /* of the nodes that are not there some may come */
    double
        due; /* when look() is to be called again, by clock_seconds; HUGE_VAL: not before something is lost */
    const char *self; /* path of the weft program, on every node */
    const char *dir;  /* of the run: files of the launcher's own go there. Set once there is one; borrowed */
    struct arena arena;
    void (*say)(void *arg, const char *text); /* news for people: a node came, an allocation waits */
    void *arg;
    void *own; /* the row's */
};
struct launcher_row {
    const char *name;
    const char *doc;
    /* Fills the nodes; none has to be there yet. ERROR_INPUT: an option is wrong, or no node holds the need.
     */
    bool (*open)(struct launcher *l, const struct launcher_options *o, const struct launcher_need *need,
                 struct error *err);
    /* The command that carries a worker, and its environment (NULL: ours); both NULL-ended, in the arena. */
    void (*command)(struct launcher *l, const struct launcher_step *s, struct arena *a,
                    const char *const **ret_argv, const char *const **ret_env);
    /* Which nodes are there now? When it is due. Never waits for long. */
    void (*look)(struct launcher *l);
    /* A worker ended there without a word: fills the node's trouble, and takes it for gone until it is found
     * to be well. */
    void (*lost)(struct launcher *l, int node);
    /* So many nodes are of use now, for about so many seconds (0: not known): others that are not busy go.
     * NULL: the nodes are what they are. */
    void (*want)(struct launcher *l, int nodes, double seconds);
    void (*close)(struct launcher *l); /* lets everything go */
};
extern const struct launcher_row launcher_slurm, launcher_template;
extern const struct launcher_row *const launcher_table[]; /* NULL-ended */

/* self is borrowed. */
bool launcher_open(const struct launcher_options *o, const struct launcher_need *need, const char *self,
                   void (*say)(void *arg, const char *text), void *arg, struct launcher **ret,
                   struct error *err) MUST_CHECK;
void launcher_close(struct launcher *l); /* NULL is allowed */
/* What process_start takes for a worker there: the near end and the command that carries it. */
void launcher_argv(struct launcher *l, const struct launcher_step *s, struct arena *a,
                   const char *const **ret_argv, const char *const **ret_env);
void launcher_look(struct launcher *l);     /* if it is due */
int launcher_due(const struct launcher *l); /* milliseconds until then, -1: not at all */
/* For rows: tell people, one sentence. */
void launcher_say(struct launcher *l, const char *fmt, ...) PRINTF(2, 3);
#endif
