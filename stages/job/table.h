/* The parts of stage table: scores read, summed up, chosen and put in order, and written. */
#ifndef STAGES_JOB_TABLE_H
#define STAGES_JOB_TABLE_H
#include "base/buf.h"
#include "stages/algo/bootstrap.h"
#include "stages/stage.h"

struct table_params {
    const char *title, *metric, *rows, *columns, *head, *average, *against, *apart, *cells;
    int64_t decimals, draws, seed;
    double level;
    bool only_average;
};

struct names { /* distinct strings in order of first appearance */
    const char **item;
    int n;
};
struct score {
    int system, domain, replicate;
    double value;
    int64_t n, right; /* right: -1 where the value is no share of n */
};
/* One system's runs on the samples of one domain, seen together by stage compare: perhaps beside those of the
 * system they were compared with. */
struct pair {
    int system, domain, against; /* against: -1 alone */
    int runs, others;
    int replicate[BOOTSTRAP_RUNS]; /* of the runs, then of the others */
    uint32_t *mask;                /* (n) bit i: run i had the sample right */
    int64_t n;
};
struct cell {
    int runs; /* 0: no score */
    double mean, sd;
    int64_t n;                      /* samples of one run */
    bool sure, compared;            /* what of the next is there */
    struct bootstrap_interval at;   /* of the mean */
    double difference;              /* from the system `against` */
    struct bootstrap_interval diff; /* of the difference: a tie when it holds 0 */
};
struct row {
    int system;
    const char **label; /* (heads) */
    bool apart;         /* no competitor for the best */
};
struct column {
    int domain; /* domains: the average */
    const char *label;
};
struct table {
    const struct table_params *p;
    struct arena *arena;
    struct names system, domain, replicate;
    struct score *score;
    struct pair *pair;
    int scores, pairs, against; /* -1: no system is compared with */
    json_t **file;              /* (files) the metrics, which own the names */
    int files;
    int *used; /* (n_used) the domains of the average, in order */
    int n_used;
    struct cell *cell; /* (systems, domains + 1), the average last */
    struct row *row;
    struct column *column;
    const char **head; /* (heads) of the label columns */
    int rows, columns, heads;
};
static inline struct cell *table_cell(const struct table *t, int system, int domain)
{
    return &t->cell[system * (t->domain.n + 1) + domain];
}
#define TABLE_AVERAGE "Average"

/* table_read.c: all scores of the metric and all pairs, from the input `scores`. */
bool table_read(struct stage_context *ctx, struct table *t, struct error *err) MUST_CHECK;
void table_done(struct table *t);
/* table_layout.c: which rows and columns, by what names; sets used. */
bool table_layout(struct table *t, struct error *err) MUST_CHECK;
bool table_is_tie(const struct cell *c);
/* By the values as they are printed: 1 the best of the column, 2 the second, else 0. */
int table_rank(const struct table *t, int row, int column);
/* Does any cell that is shown have several runs, an interval, a difference? */
struct table_has {
    bool runs, intervals, differences;
} table_has(const struct table *t);
/* table_stats.c: the cells of all systems. */
bool table_stats(struct stage_context *ctx, struct table *t, struct error *err) MUST_CHECK;
/* table_interval.c: intervals of the cells of the rows, and of their differences. */
bool table_intervals(struct stage_context *ctx, struct table *t, struct error *err) MUST_CHECK;
/* table_write.c and table_tex.c: a text each. */
void table_markdown(const struct table *t, struct buf *out);
void table_csv(const struct table *t, struct buf *out);
void table_tex(const struct table *t, struct buf *out);
json_t *table_json(const struct table *t); /* new reference */
#endif
