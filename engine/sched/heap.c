#include "engine/sched/heap.h"
#include "base/mem.h"
#include <stdlib.h>

void heap_init(struct heap *h, const double *priority)
{
    *h = (struct heap){.priority = priority};
}

bool heap_before(const struct heap *h, int a, int b)
{
    return h->priority[a] != h->priority[b] ? h->priority[a] > h->priority[b] : a < b;
}

static void sift_up(struct heap *h, int i, int task)
{
    for (; i > 0 && heap_before(h, task, h->item[(i - 1) / 2]); i = (i - 1) / 2)
        h->item[i] = h->item[(i - 1) / 2];
    h->item[i] = task;
}

void heap_push(struct heap *h, int task)
{
    h->item = xgrow(h->item, &h->cap, (size_t)h->n + 1, sizeof *h->item);
    sift_up(h, h->n++, task);
}

void heap_order(struct heap *h)
{
    for (int i = 1; i < h->n; i++)
        sift_up(h, i, h->item[i]);
}

int heap_top(const struct heap *h)
{
    return h->n ? h->item[0] : -1;
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
        if (child + 1 < h->n && heap_before(h, h->item[child + 1], h->item[child]))
            child++;
        if (!heap_before(h, h->item[child], last))
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
