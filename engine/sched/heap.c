#include "engine/sched/heap.h"
#include "base/mem.h"
#include <stdlib.h>

void heap_init(struct heap *h, int capacity, const double *priority)
{
    *h = (struct heap){.item = xcalloc((size_t)capacity, sizeof *h->item), .priority = priority};
}

static bool before(const struct heap *h, int a, int b)
{
    return h->priority[a] != h->priority[b] ? h->priority[a] > h->priority[b] : a < b;
}

void heap_push(struct heap *h, int task)
{
    int i = h->n++;
    for (; i > 0 && before(h, task, h->item[(i - 1) / 2]); i = (i - 1) / 2)
        h->item[i] = h->item[(i - 1) / 2];
    h->item[i] = task;
}

void heap_order(struct heap *h)
{
    int n = h->n;
    h->n = 0;
    for (int i = 0; i < n; i++) /* a push writes at or before the place it read */
        heap_push(h, h->item[i]);
}

int heap_pop(struct heap *h)
{
    if (h->n == 0)
        return -1;
    int top = h->item[0], last = h->item[--h->n], i = 0;
    for (;;) {
        int child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(h, h->item[child + 1], h->item[child]))
            child++;
        if (!before(h, h->item[child], last))
            break;
        h->item[i] = h->item[child];
        i = child;
    }
    h->item[i] = last;
    return top;
}

void heap_done(struct heap *h)
{
    free(h->item);
}
