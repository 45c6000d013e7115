#include "stages/algo/rank.h"
#include <string.h>

/* A bottom-up merge sort: stable. */
void rank_descending(const float *r, int64_t n, int64_t *order, int64_t *work)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t from = 0; from < n; from += 2 * width) {
            int64_t mid = from + width < n ? from + width : n,
                    end = from + 2 * width < n ? from + 2 * width : n;
            int64_t i = from, j = mid;
            for (int64_t k = from; k < end; k++)
                work[k] = j >= end || (i < mid && r[order[i]] >= r[order[j]]) ? order[i++] : order[j++];
        }
        memcpy(order, work, (size_t)n * sizeof *order);
    }
}
