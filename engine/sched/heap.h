/* A binary max-heap of task numbers ordered by (priority, then lower number first). */
#ifndef ENGINE_SCHED_HEAP_H
#define ENGINE_SCHED_HEAP_H
#include <stdbool.h>
#include <stddef.h>

struct heap {
    int *item;
    int n;
    size_t cap;
    const double *priority; /* by task number; borrowed */
};
void heap_init(struct heap *h, const double *priority); /* takes no memory yet */
void heap_push(struct heap *h, int task);
void heap_order(struct heap *h);    /* after priorities changed */
int heap_top(const struct heap *h); /* -1 when empty */
int heap_pop(struct heap *h);       /* likewise */
bool heap_before(const struct heap *h, int a, int b);
void heap_done(struct heap *h);
#endif
