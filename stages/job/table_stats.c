/* The cells: means and spreads over replicates; of the average, those of the replicates' averages. */
#include "stages/job/table.h"
#include <math.h>

/* Mean and sample standard deviation of v (runs). */
static struct cell summarise(const double *v, int runs, int64_t n)
{
    struct cell c = {.runs = runs, .n = n};
    for (int i = 0; i < runs; i++)
        c.mean += v[i] / runs;
    for (int i = 0; i < runs; i++)
        c.sd += (v[i] - c.mean) * (v[i] - c.mean);
    c.sd = runs > 1 ? sqrt(c.sd / (runs - 1)) : 0;
    return c;
}
/* Mean over the domains of one replicate; false when it lacks one. */
static bool replicate_average(const struct table *t, int system, int replicate, double *ret)
{
    *ret = 0;
    for (int d = 0; d < t->n_used; d++) {
        double sum = 0;
        int runs = 0;
        for (int i = 0; i < t->scores; i++) {
            const struct score *s = &t->score[i];
            if (s->system == system && s->domain == t->used[d] && s->replicate == replicate) {
                sum += s->value;
                runs++;
            }
        }
        if (runs == 0)
            return false;
        *ret += sum / runs / t->n_used;
    }
    return true;
}
static void fill_domain(struct table *t, int system, int domain, double *v)
{
    int runs = 0;
    int64_t n = 0;
    for (int i = 0; i < t->scores; i++)
        if (t->score[i].system == system && t->score[i].domain == domain) {
            v[runs++] = t->score[i].value;
            n = t->score[i].n;
        }
    *table_cell(t, system, domain) = summarise(v, runs, n);
}
bool table_stats(struct stage_context *ctx, struct table *t, struct error *err)
{
    size_t cells = (size_t)t->system.n * (size_t)(t->domain.n + 1);
    t->cell = arena_try(ctx->arena, cells * sizeof *t->cell);
    double *v = arena_try(ctx->arena, (size_t)(t->scores + t->replicate.n) * sizeof *v);
    if (!t->cell || !v)
        return error_set(err, NULL, ERROR_TASK, "out of memory for the table");
    for (int s = 0; s < t->system.n; s++) {
        int64_t all = 0;
        int runs = 0;
        for (int d = 0; d < t->domain.n; d++)
            fill_domain(t, s, d, v);
        for (int d = 0; d < t->n_used; d++)
            all += table_cell(t, s, t->used[d])->n;
        for (int r = 0; r < t->replicate.n; r++)
            runs += replicate_average(t, s, r, &v[runs]);
        *table_cell(t, s, t->domain.n) = summarise(v, runs, all);
    }
    return true;
}
