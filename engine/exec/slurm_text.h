/* What Slurm's commands print and its variables hold, read; and what --slurm says. Text alone: no command
 * runs. */
#ifndef ENGINE_EXEC_SLURM_TEXT_H
#define ENGINE_EXEC_SLURM_TEXT_H
#include "base/arena.h"
#include "base/error.h"
#include <stdint.h>

/* The value of NAME=VALUE among the words that `scontrol --oneliner show ...` prints; NULL: there is none. */
const char *slurm_field(const char *text, const char *name, struct arena *a);
int64_t slurm_number(const char *text, const char *name, int64_t otherwise); /* of such a field */

/* SLURM_JOB_CPUS_PER_NODE, "4(x2),8", as one number a node; false unless it is n of them. */
bool slurm_counts(const char *text, int *ret, int n) MUST_CHECK;

/* Can a node in this state, as sinfo and scontrol write it ("idle", "MIXED+DRAIN", "down*"), run steps? */
bool slurm_node_works(const char *state);

/* What the end of a job means, by its JobState. Lives for ever; NULL: the job has not ended. */
const char *slurm_job_end(const char *state);

/* "90m" or "1h30m" or "2d", rounded up to minutes, of which there is at least one; 0: the text is no time. */
int slurm_minutes(const char *text);

/* A kind of node, as `sinfo -h -N -o SLURM_NODE_FORMAT` prints it, one line a node and partition. */
#define SLURM_NODE_FORMAT "%N|%c|%X|%Y|%m|%T|%P"
struct slurm_node {
    const char *name, *state;
    int cpus, cores; /* cores: cpus without further hardware threads of the same core */
    int64_t memory;  /* bytes */
};
/* Those of one partition (NULL: the default one); *ret in the arena. How many. */
int slurm_nodes(const char *text, const char *partition, struct arena *a, struct slurm_node **ret);

/* --slurm 'partition=main time=4h nodes=2': what allocations are asked for with. */
struct slurm_wish {
    const char *partition, *account, *qos, *constraint, *reservation; /* NULL: Slurm's defaults */
    int minutes;    /* at most; 0: what the partition gives */
    int nodes;      /* at most, each in an allocation of its own */
    int cores;      /* of each; 0: by the plan */
    int64_t memory; /* bytes of each; 0: in proportion to the cores */
};
bool slurm_wish_read(const char *text, struct arena *a, struct slurm_wish *ret, struct error *err) MUST_CHECK;
#endif
