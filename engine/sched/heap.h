/* A binary max-heap of task numbers ordered by (priority, then lower number first). */
#ifndef ENGINE_SCHED_HEAP_H
#define ENGINE_SCHED_HEAP_H
#include <stdbool.h>

struct heap {
    int *item;
    int n;
    const double *priority; /* by task number; borrowed */
};
void heap_init(struct heap *h, int capacity, const double *priority);
void heap_push(struct heap *h, int task);
void heap_order(struct heap *h); /* after priorities changed */
int heap_pop(struct heap *h);    /* -1 when empty */
void heap_done(struct heap *h);
#endif
