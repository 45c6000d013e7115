/* Greedy MAP as a pivoted QR of the unit rows, evaluated lazily.
 *
 * For the process so far with orthonormal basis q_1..q_k of the chosen unit rows phi,
 *     rho_j = 1 - sum_k (q_k . phi_j)^2        gain_j = 2 log r_j + log rho_j        pick argmax r_j^2 rho_j
 * which is the same argmax as that of log r_j + .5 log rho_j: the square of a float32 neither under- nor
 * overflows in double, and a product rounds monotonically where a logarithm need not.
 *
 * rho_j only falls, also in floating point, so a score computed against fewer q's bounds the true one from
 * above. A heap keeps the bounds; an item is brought up to date only when its bound reaches the top. Its rho
 * goes through the same operations in the same order as in a full scan, and equal scores stand in index
 * order, so the picks are those of the scan, bit for bit, whatever was evaluated when and by how many
 * threads. */
#include "stages/algo/dpp.h"
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#define LANES   16        /* partial sums of a dot product: fixed, so that the order of additions is */
#define AT_ONCE 4         /* dot products of one item made at once */
#define BLOCK   4         /* rows of the basis that stay in the nearest cache while several items meet them */
#define ITEMS   32        /* those items, at most: their rows stay in the second cache */
#define TOP_MAX 64        /* stale items taken from the top of the heap before all are gone through */
#define WORK    (1 << 15) /* multiplications below which a second thread costs more than it gives */
#define COLUMNS 64        /* columns of the basis that one thread updates at a time */

struct greedy {
    const float *x; /* (n,d) features */
    int64_t n, d, m;
    double *inverse; /* (n) 1 / |x_j|, 0 for a zero row */
    double *weight;  /* (n) r_j^2 */
    double *rho;     /* (n) against the first seen[j] q's */
    double *score;   /* (n) weight * rho, 0 when the item adds nothing */
    int64_t *seen;   /* (n) */
    bool *chosen;    /* (n) */
    double *q;       /* (m,d) the basis */
    double *t;       /* (m) coefficients */
    int64_t k;       /* q's of the running process */
    int64_t *heap;   /* items by (score down, index up) */
    int64_t size;
    int64_t *list;           /* (n) items to bring up to date */
    int64_t *sorted, *start; /* (n), (m+1): scratch of sort_by_seen */
};

typedef double lanes
    __attribute__((vector_size(LANES / 2 * sizeof(double)), aligned(sizeof(double)), may_alias));
typedef float narrow
    __attribute__((vector_size(LANES / 2 * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline lanes widen(const float *x)
{
    return __builtin_convertvector(*(const narrow *)x, lanes);
}

static double lanes_sum(lanes even, lanes odd)
{
    double sum = 0;
    even += odd;
    for (int l = 0; l < LANES / 2; l++)
        sum += even[l];
    return sum;
}

/* t[r] = x . q_r for `rows` rows of the basis, a constant where it is called. Each element of x is converted
 * once; a product has the same bits whatever is made beside it. */
static inline __attribute__((always_inline)) void dots_of(const int rows, const float *x, const double *q,
                                                          int64_t d, double *t)
{
    lanes acc[AT_ONCE][2] = {{{0}}};
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES) {
        lanes x0 = widen(x + i), x1 = widen(x + i + LANES / 2);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            acc[r][0] += x0 * *(const lanes *)(q + r * d + i);
            acc[r][1] += x1 * *(const lanes *)(q + r * d + i + LANES / 2);
        }
    }
    for (int r = 0; r < rows; r++) {
        t[r] = lanes_sum(acc[r][0], acc[r][1]);
        for (int64_t k = i; k < d; k++)
            t[r] += (double)x[k] * q[r * d + k];
    }
}
static void dots(const float *x, const double *q, int64_t rows, int64_t d, double t[AT_ONCE])
{
    if (rows == 1)
        dots_of(1, x, q, d, t);
    else if (rows == 2)
        dots_of(2, x, q, d, t);
    else if (rows == 3)
        dots_of(3, x, q, d, t);
    else
        dots_of(4, x, q, d, t);
}

/* x . y in double. */
static double dot_rows(const float *x, const float *y, int64_t d)
{
    lanes even = {0}, odd = {0};
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES) {
        even += widen(x + i) * widen(y + i);
        odd += widen(x + i + LANES / 2) * widen(y + i + LANES / 2);
    }
    double sum = lanes_sum(even, odd);
    for (; i < d; i++)
        sum += (double)x[i] * y[i];
    return sum;
}

static double dot2(const double *restrict x, const double *restrict q, int64_t d)
{
    double acc[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES)
        for (int l = 0; l < LANES; l++)
            acc[l] += x[i + l] * q[i + l];
    for (int l = 0; i + l < d; l++)
        acc[l] += x[i + l] * q[i + l];
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int l = 0; l < w; l++)
            acc[l] += acc[l + w];
    return acc[0];
}

/* ---- the heap ---- */
static bool before(const struct greedy *s, int64_t a, int64_t b)
{
    return s->score[a] > s->score[b] || (s->score[a] == s->score[b] && a < b);
}
static void sift_down(struct greedy *s, int64_t i)
{
    int64_t item = s->heap[i];
    for (int64_t c; (c = 2 * i + 1) < s->size; i = c) {
        if (c + 1 < s->size && before(s, s->heap[c + 1], s->heap[c]))
            c++;
        if (!before(s, s->heap[c], item))
            break;
        s->heap[i] = s->heap[c];
    }
    s->heap[i] = item;
}
static int64_t heap_pop(struct greedy *s)
{
    int64_t top = s->heap[0];
    s->heap[0] = s->heap[--s->size];
    if (s->size > 0)
        sift_down(s, 0);
    return top;
}
static void heap_push(struct greedy *s, int64_t item)
{
    int64_t i = s->size++;
    for (int64_t up; i > 0 && before(s, item, s->heap[up = (i - 1) / 2]); i = up)
        s->heap[i] = s->heap[up];
    s->heap[i] = item;
}
/* Make a heap of the first `size` entries, in any order. */
static void heap_build(struct greedy *s, int64_t size)
{
    s->size = size;
    for (int64_t i = size / 2; i-- > 0;)
        sift_down(s, i);
}

/* ---- one process ---- */

/* Every item that is left, against an empty basis. */
static void process_begin(struct greedy *s)
{
    s->k = s->size = 0;
    for (int64_t j = 0; j < s->n; j++) {
        s->rho[j] = s->inverse[j] > 0 ? 1 : 0;
        s->score[j] = s->weight[j] * s->rho[j];
        s->seen[j] = 0;
        if (!s->chosen[j] && s->score[j] > 0)
            s->heap[s->size++] = j;
    }
    heap_build(s, s->size);
}

static bool is_alive(const struct greedy *s, int64_t j, double floor)
{
    return s->score[j] > 0 && s->score[j] >= floor;
}

/* Item j against the basis up to row `end`, or until its score falls below `floor`, that of an item that is
 * up to date. */
static void advance(struct greedy *s, int64_t j, int64_t end, double floor)
{
    double t[AT_ONCE];
    while (s->seen[j] < end && is_alive(s, j, floor)) {
        int64_t rows = end - s->seen[j] < AT_ONCE ? end - s->seen[j] : AT_ONCE;
        dots(s->x + j * s->d, s->q + s->seen[j] * s->d, rows, s->d, t);
        for (int64_t r = 0; r < rows && is_alive(s, j, floor); r++) {
            double along = t[r] * s->inverse[j];
            s->rho[j] -= along * along;
            s->score[j] = s->rho[j] > DPP_RANK_TOLERANCE ? s->weight[j] * s->rho[j] : 0;
            s->seen[j]++;
        }
    }
}

/* The row of an item lies anywhere: it is sent for before it is needed. */
static void fetch(const struct greedy *s, int64_t j)
{
    for (int64_t c = 0; c < s->d; c += 16)
        __builtin_prefetch(s->x + j * s->d + c);
}

/* Bring a few items up to date, a block of the basis at a time. Items in order of seen[] share blocks; in any
 * other order all is made up in the last block. */
static void catch_up(struct greedy *s, const int64_t *item, int64_t count, double floor)
{
    int64_t first = s->seen[item[0]], fetched = 0;
    for (int64_t at = first - first % BLOCK; at < s->k; at += BLOCK) {
        int64_t end = at + BLOCK < s->k ? at + BLOCK : s->k;
        for (int64_t i = 0; i < count && s->seen[item[i]] < end; i++) {
            if (i + 1 > fetched && i + 1 < count)
                fetch(s, item[fetched = i + 1]);
            advance(s, item[i], end, floor);
        }
    }
}

static void catch_up_all(struct greedy *s, const int64_t *item, int64_t count, double floor)
{
    int64_t each = count / (4 * omp_get_max_threads());
    each = each < 1 ? 1 : each > ITEMS ? ITEMS : each;
#pragma omp parallel for schedule(dynamic) if (count * s->d > WORK)
    for (int64_t i = 0; i < count; i += each)
        catch_up(s, item + i, count - i < each ? count - i : each, floor);
}
/* Up to `want` stale items from the top of the heap brought up to date; returns how many there were, and
 * raises *floor to the best score that is up to date. */
static int64_t refresh_top(struct greedy *s, int64_t want, double *floor)
{
    int64_t count = 0, *item = s->list;
    while (count < want && s->size > 0 && s->seen[s->heap[0]] < s->k)
        item[count++] = heap_pop(s);
    catch_up_all(s, item, count, *floor);
    for (int64_t i = 0; i < count; i++) {
        int64_t j = item[i];
        if (s->seen[j] == s->k && s->score[j] > *floor)
            *floor = s->score[j];
        if (s->score[j] > 0)
            heap_push(s, j);
    }
    return count;
}
/* list[0..count) in order of seen[], by counting: neighbours then meet the same rows of the basis. */
static void sort_by_seen(struct greedy *s, int64_t count)
{
    int64_t *start = s->start, *from = s->sorted;
    memset(start, 0, (size_t)(s->k + 1) * sizeof *start);
    memcpy(from, s->list, (size_t)count * sizeof *from);
    for (int64_t i = 0; i < count; i++)
        start[s->seen[from[i]] + 1]++;
    for (int64_t k = 0; k < s->k; k++)
        start[k + 1] += start[k];
    for (int64_t i = 0; i < count; i++)
        s->list[start[s->seen[from[i]]]++] = from[i];
}
/* Every item whose bound reaches the floor brought up to date, in the order of memory: afterwards the top of
 * the heap is. Cheaper than going through the heap when there are many. */
static void refresh_all(struct greedy *s, double floor)
{
    int64_t count = 0, size = 0;
    for (int64_t j = 0; j < s->n; j++)
        if (!s->chosen[j] && s->seen[j] < s->k && is_alive(s, j, floor))
            s->list[count++] = j;
    sort_by_seen(s, count);
    catch_up_all(s, s->list, count, floor);
    for (int64_t i = 0; i < s->size; i++)
        if (s->score[s->heap[i]] > 0)
            s->heap[size++] = s->heap[i];
    heap_build(s, size);
}
/* The item of the largest score, removed from the heap; -1 when no item adds anything. */
static int64_t best_item(struct greedy *s)
{
    double floor = 0;
    for (int64_t want = 1; want <= TOP_MAX; want *= 8)
        if (refresh_top(s, want, &floor) == 0)
            return s->size > 0 ? heap_pop(s) : -1;
    refresh_all(s, floor);
    return s->size > 0 ? heap_pop(s) : -1;
}

/* q -= Q^T (Q q). */
static void project_out(struct greedy *s, double *q)
{
    int64_t k = s->k, d = s->d;
    bool large = k * d > WORK;
#pragma omp parallel for schedule(static) if (large)
    for (int64_t i = 0; i < k; i++)
        s->t[i] = dot2(q, s->q + i * d, d);
#pragma omp parallel for schedule(static) if (large)
    for (int64_t c = 0; c < d; c += COLUMNS) {
        int64_t end = c + COLUMNS < d ? c + COLUMNS : d;
        for (int64_t i = 0; i < k; i++) {
            const double *row = s->q + i * d;
            for (int64_t l = c; l < end; l++)
                q[l] -= s->t[i] * row[l];
        }
    }
}

/* Extend the basis by item j: q = phi_j orthogonalised (twice is enough) and normalised. Returns rho_j, from
 * q itself rather than from the running difference. */
static double basis_add(struct greedy *s, int64_t j)
{
    int64_t d = s->d;
    double *q = s->q + s->k * d;
    for (int64_t i = 0; i < d; i++)
        q[i] = (double)s->x[j * d + i] * s->inverse[j];
    project_out(s, q);
    project_out(s, q);
    double rho = dot2(q, q, d), inverse = 1 / sqrt(rho);
    for (int64_t i = 0; i < d; i++)
        q[i] *= inverse;
    s->k++;
    return rho;
}

/* Run one process until m items are picked or nothing adds anything. */
static void process_run(struct greedy *s, struct dpp_result *r, bool determined)
{
    process_begin(s);
    while (r->picked < s->m) {
        int64_t j = best_item(s);
        if (j < 0)
            return;
        double rho = basis_add(s, j);
        s->chosen[j] = true;
        r->order[r->picked] = j;
        r->gain[r->picked++] = determined ? log(s->weight[j]) + log(rho) : 0;
    }
}

/* The most relevant of what is left, the lowest index first among equals. */
static void fill_by_relevance(struct greedy *s, struct dpp_result *r)
{
    s->size = 0;
    for (int64_t j = 0; j < s->n; j++) {
        s->score[j] = s->weight[j];
        if (!s->chosen[j])
            heap_push(s, j);
    }
    while (r->picked < s->m && s->size > 0) {
        int64_t j = heap_pop(s);
        s->chosen[j] = true;
        r->order[r->picked] = j;
        r->gain[r->picked++] = 0;
    }
}

/* ---- set-up ---- */
static bool allocate(struct greedy *s, struct arena *a, struct error *err)
{
    size_t n = (size_t)s->n, m = (size_t)s->m;
    s->inverse = arena_try(a, n * sizeof(double));
    s->weight = arena_try(a, n * sizeof(double));
    s->rho = arena_try(a, n * sizeof(double));
    s->score = arena_try(a, n * sizeof(double));
    s->seen = arena_try(a, n * sizeof(int64_t));
    s->heap = arena_try(a, n * sizeof(int64_t));
    s->list = arena_try(a, n * sizeof(int64_t));
    s->sorted = arena_try(a, n * sizeof(int64_t));
    s->start = arena_try(a, (m + 1) * sizeof(int64_t));
    s->chosen = arena_try(a, n * sizeof(bool));
    /* The rank is at most d, and so is the basis of one process. */
    size_t basis = s->m < s->d ? m : (size_t)s->d;
    s->q = arena_try(a, (basis + 1) * (size_t)s->d * sizeof(double));
    s->t = arena_try(a, (basis + 1) * sizeof(double));
    if (s->inverse && s->weight && s->rho && s->score && s->seen && s->heap && s->list && s->sorted &&
        s->start && s->chosen && s->q && s->t)
        return true;
    return error_set(err, NULL, ERROR_TASK,
                     "out of memory for a selection of %lld from %lld items of %lld features",
                     (long long)s->m, (long long)s->n, (long long)s->d);
}

/* Name the first item that is not as it must be. */
static bool error_bad_item(const struct greedy *s, const float *relevance, struct error *err)
{
    for (int64_t j = 0; j < s->n; j++) {
        if (!isfinite(dot_rows(s->x + j * s->d, s->x + j * s->d, s->d)))
            return error_set(err, NULL, ERROR_INPUT, "features of item %lld are not finite", (long long)j);
        if (!(relevance[j] >= 0) || !isfinite(relevance[j]))
            return error_set(err, NULL, ERROR_INPUT,
                             "relevance of item %lld is %g: it must be finite and not negative", (long long)j,
                             (double)relevance[j]);
    }
    return true;
}

/* The norm of each row, summed in order; how much an item weighs. */
static bool read_items(struct greedy *s, const float *relevance, struct error *err)
{
    bool finite = true;
#pragma omp parallel for schedule(static) reduction(&& : finite) if (s->n * s->d > WORK)
    for (int64_t j = 0; j < s->n; j++) {
        const float *x = s->x + j * s->d;
        double square = dot_rows(x, x, s->d);
        s->inverse[j] = square > 0 ? 1 / sqrt(square) : 0;
        s->weight[j] = (double)relevance[j] * relevance[j];
        s->chosen[j] = false;
        finite = finite && isfinite(square) && relevance[j] >= 0 && isfinite(relevance[j]);
    }
    return finite || error_bad_item(s, relevance, err);
}

bool dpp_greedy(const float *features, const float *relevance, int64_t n, int64_t d, int64_t m,
                enum dpp_fill fill, struct arena *a, struct dpp_result *ret, struct error *err)
{
    if (m > n)
        return error_set(err, NULL, ERROR_INPUT, "cannot choose %lld of %lld items", (long long)m,
                         (long long)n);
    assert(n >= 0 && d > 0 && m >= 0);
    struct dpp_result r = {
        arena_try(a, (size_t)m * sizeof(int64_t)), arena_try(a, (size_t)m * sizeof(double)), 0, 0, 0, 0};
    if (!r.order || !r.gain)
        return error_set(err, NULL, ERROR_TASK, "out of memory for a selection of %lld items", (long long)m);

    struct arena_mark mark = arena_mark(a);
    struct greedy s = {.x = features, .n = n, .d = d, .m = m};
    bool ok = allocate(&s, a, err) && read_items(&s, relevance, err);
    if (ok) {
        process_run(&s, &r, true);
        r.determined = r.picked;
        for (int64_t i = 0; i < r.determined; i++)
            r.logdet += r.gain[i];
        for (int64_t last = -1; fill == DPP_RESTART && r.picked < m && r.picked > last;) {
            last = r.picked;
            process_run(&s, &r, false);
            r.restarts += r.picked > last;
        }
        if (fill != DPP_STOP)
            fill_by_relevance(&s, &r);
        *ret = r;
    }
    arena_release(a, mark);
    return ok;
}
