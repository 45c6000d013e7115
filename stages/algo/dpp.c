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
#include <string.h>

#define LANES   32        /* partial sums of a dot product: fixed, so that the order of additions is */
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
    int64_t *list; /* (n) items to bring up to date */
};

static double dot(const float *restrict x, const double *restrict q, int64_t d)
{
    double acc[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= d; i += LANES)
        for (int l = 0; l < LANES; l++)
            acc[l] += (double)x[i + l] * q[i + l];
    for (int l = 0; i + l < d; l++)
        acc[l] += (double)x[i + l] * q[i + l];
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int l = 0; l < w; l++)
            acc[l] += acc[l + w];
    return acc[0];
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

/* Bring item j up to date, or until its score falls below `floor`, that of an item that is up to date. */
static void catch_up(struct greedy *s, int64_t j, double floor)
{
    const float *x = s->x + j * s->d;
    double rho = s->rho[j], inverse = s->inverse[j], weight = s->weight[j], score = s->score[j];
    int64_t k = s->seen[j];
    while (k < s->k && score > 0 && score >= floor) {
        double t = dot(x, s->q + k++ * s->d, s->d) * inverse;
        rho -= t * t;
        score = rho > DPP_RANK_TOLERANCE ? weight * rho : 0;
    }
    s->rho[j] = rho;
    s->score[j] = score;
    s->seen[j] = k;
}

/* catch_up for a list of items. Their rows lie anywhere: the next one is fetched while this one is used. */
static void catch_up_all(struct greedy *s, const int64_t *item, int64_t count, double floor)
{
#pragma omp parallel for schedule(dynamic, 16) if (count * s->d > WORK)
    for (int64_t i = 0; i < count; i++) {
        const float *next = s->x + item[i + 1 < count ? i + 1 : i] * s->d;
        for (int64_t c = 0; c < s->d; c += 16)
            __builtin_prefetch(next + c);
        catch_up(s, item[i], floor);
    }
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
/* Every item whose bound reaches the floor brought up to date, in the order of memory: afterwards the top of
 * the heap is. Cheaper than going through the heap when there are many. */
static void refresh_all(struct greedy *s, double floor)
{
    int64_t count = 0, size = 0;
    for (int64_t j = 0; j < s->n; j++)
        if (!s->chosen[j] && s->score[j] > 0 && s->score[j] >= floor && s->seen[j] < s->k)
            s->list[count++] = j;
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
    s->chosen = arena_try(a, n * sizeof(bool));
    /* The rank is at most d, and so is the basis of one process. */
    size_t basis = s->m < s->d ? m : (size_t)s->d;
    s->q = arena_try(a, (basis + 1) * (size_t)s->d * sizeof(double));
    s->t = arena_try(a, (basis + 1) * sizeof(double));
    if (s->inverse && s->weight && s->rho && s->score && s->seen && s->heap && s->list && s->chosen && s->q &&
        s->t)
        return true;
    return error_set(err, NULL, ERROR_TASK,
                     "out of memory for a selection of %lld from %lld items of %lld features",
                     (long long)s->m, (long long)s->n, (long long)s->d);
}

static bool read_items(struct greedy *s, const float *relevance, struct error *err)
{
    for (int64_t j = 0; j < s->n; j++) {
        const float *x = s->x + j * s->d;
        double square = 0;
        for (int64_t i = 0; i < s->d; i++)
            square += (double)x[i] * x[i];
        if (!isfinite(square))
            return error_set(err, NULL, ERROR_INPUT, "features of item %lld are not finite", (long long)j);
        if (!(relevance[j] >= 0) || !isfinite(relevance[j]))
            return error_set(err, NULL, ERROR_INPUT,
                             "relevance of item %lld is %g: it must be finite and not negative", (long long)j,
                             (double)relevance[j]);
        s->inverse[j] = square > 0 ? 1 / sqrt(square) : 0;
        s->weight[j] = (double)relevance[j] * relevance[j];
        s->chosen[j] = false;
    }
    return true;
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
