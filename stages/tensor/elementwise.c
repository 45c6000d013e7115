/* Sums and scalings. Work is cut into blocks of a fixed size: which elements share a vector, and the order in
 * which a sum is made, do not depend on the thread count. */
#include "stages/tensor/ops.h"
#include <string.h>

#define BLOCK    8192      /* elements a thread takes at a time */
#define PARALLEL (1 << 15) /* below this many elements threads cost more than they give */
#define COLUMNS  64        /* columns a thread takes at a time in column sums */
#define ROWS     32        /* rows summed before the sum joins the total: keeps rounding errors small */

static int64_t block_end(int64_t from, int64_t n)
{
    return from + BLOCK < n ? from + BLOCK : n;
}

void add_into(float *y, const float *x, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK)
        for (int64_t i = from; i < block_end(from, n); i++)
            y[i] += x[i];
}

void copy_into(float *y, const float *x, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK)
        memcpy(y + from, x + from, (size_t)(block_end(from, n) - from) * sizeof *y);
}

void scale_into(float *y, float a, int64_t n)
{
#pragma omp parallel for schedule(static) if (n > PARALLEL)
    for (int64_t from = 0; from < n; from += BLOCK)
        for (int64_t i = from; i < block_end(from, n); i++)
            y[i] *= a;
}

void add_row(float *y, const float *row, int64_t rows, int64_t n)
{
#pragma omp parallel for schedule(static) if (rows * n > PARALLEL)
    for (int64_t r = 0; r < rows; r++) {
        float *restrict to = y + r * n;
        for (int64_t i = 0; i < n; i++)
            to[i] += row[i];
    }
}

void column_sums(const float *x, int64_t rows, int64_t n, float *acc)
{
#pragma omp parallel for schedule(static) if (rows * n > PARALLEL)
    for (int64_t from = 0; from < n; from += COLUMNS) {
        int64_t width = n - from < COLUMNS ? n - from : COLUMNS;
        for (int64_t top = 0; top < rows; top += ROWS) {
            float sum[COLUMNS] = {0};
            for (int64_t r = top; r < rows && r < top + ROWS; r++)
                for (int64_t i = 0; i < width; i++)
                    sum[i] += x[r * n + from + i];
            for (int64_t i = 0; i < width; i++)
                acc[from + i] += sum[i];
        }
    }
}

double dot_double(const float *a, const float *b, int64_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}
