/* Axes -> points, by the search's method; then those that the conditions allow. Random points are functions
 * of (seed, axis, point), so that they are the same everywhere. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/rng.h"
#include "engine/spec/sweep_impl.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The value of an axis at x in [0, 1). */
static void take(struct experiment *e, const struct axis *x, double at, const struct yaml_node **point)
{
    if (x->kind == AXIS_LIST) {
        int i = (int)(at * x->n);
        for (int k = 0; k < x->n_names; k++)
            point[x->first + k] = x->item[i * x->n_names + k];
        return;
    }
    double v = x->kind == AXIS_UNIFORM      ? x->lo + at * (x->hi - x->lo)
               : x->kind == AXIS_LOGUNIFORM ? x->lo * pow(x->hi / x->lo, at)
                                            : floor(x->lo + at * (x->hi - x->lo + 1));
    char text[64];
    snprintf(text, sizeof text, x->kind == AXIS_INTEGER ? "%.0f" : "%.6g", v);
    struct yaml_node *n = arena_alloc(e->arena, sizeof *n);
    *n = (struct yaml_node){.kind = YAML_SCALAR, .pos = x->pos, .text = arena_strdup(e->arena, text)};
    point[x->first] = n;
}

static void take_item(const struct axis *x, int i, const struct yaml_node **point)
{
    for (int k = 0; k < x->n_names; k++)
        point[x->first + k] = x->item[i * x->n_names + k];
}

static const struct yaml_node **new_point(struct experiment *e, struct sweep_plan *p)
{
    return p->point[p->n++] = arena_alloc(e->arena, (size_t)p->n_names * sizeof **p->point);
}

static bool make_room(struct experiment *e, struct sweep_plan *p, const struct pos *pos, double points)
{
    if (points > SWEEP_POINTS_MAX)
        return diag_add(e->diag, pos, "the sweep has %.0f points: at most %d", points, SWEEP_POINTS_MAX);
    p->point = arena_alloc(e->arena, ((size_t)points + 1) * sizeof *p->point);
    return true;
}

/* The first axis turns slowest. */
static bool grid(struct experiment *e, struct sweep_plan *p)
{
    double points = 1;
    for (int i = 0; i < p->n_axes; i++)
        points *= p->axis[i].n;
    if (!make_room(e, p, &p->axis[0].pos, points))
        return false;
    AUTO(mem) int *at = xcalloc((size_t)p->n_axes, sizeof *at);
    for (int64_t k = 0; k < (int64_t)points; k++) {
        const struct yaml_node **point = new_point(e, p);
        for (int i = 0; i < p->n_axes; i++)
            take_item(&p->axis[i], at[i], point);
        for (int i = p->n_axes - 1; i >= 0 && ++at[i] == p->axis[i].n; i--)
            at[i] = 0;
    }
    return true;
}

static bool zip(struct experiment *e, struct sweep_plan *p)
{
    for (int i = 1; i < p->n_axes; i++)
        if (p->axis[i].n != p->axis[0].n)
            return diag_add(e->diag, &p->axis[i].pos,
                            "a zip needs lists of equal length: '%s' has %d values, '%s' %d",
                            p->name[p->axis[i].first], p->axis[i].n, p->name[0], p->axis[0].n);
    if (!make_room(e, p, &p->axis[0].pos, p->axis[0].n))
        return false;
    for (int k = 0; k < p->axis[0].n; k++) {
        const struct yaml_node **point = new_point(e, p);
        for (int i = 0; i < p->n_axes; i++)
            take_item(&p->axis[i], k, point);
    }
    return true;
}

static bool draw(struct experiment *e, struct sweep_plan *p)
{
    struct rng_stream s = rng_stream((uint64_t)p->seed, "sweep.random");
    if (!make_room(e, p, &p->axis[0].pos, (double)p->count))
        return false;
    for (int64_t k = 0; k < p->count; k++) {
        const struct yaml_node **point = new_point(e, p);
        for (int i = 0; i < p->n_axes; i++) {
            struct rng r = rng_at(s, (uint64_t)k, (uint32_t)i);
            take(e, &p->axis[i], rng_uniform_double(&r), point);
        }
    }
    return true;
}

/* Latin hypercube: each axis is cut into `count` strata, each of which has one point. */
static bool latin(struct experiment *e, struct sweep_plan *p)
{
    struct rng_stream s = rng_stream((uint64_t)p->seed, "sweep.lhs");
    if (!make_room(e, p, &p->axis[0].pos, (double)p->count))
        return false;
    for (int64_t k = 0; k < p->count; k++)
        new_point(e, p);
    AUTO(mem) int64_t *stratum = xcalloc((size_t)p->count, sizeof *stratum);
    for (int i = 0; i < p->n_axes; i++) {
        struct rng order = rng_at(s, UINT64_MAX, (uint32_t)i);
        rng_permutation(&order, p->count, stratum);
        for (int64_t k = 0; k < p->count; k++) {
            struct rng r = rng_at(s, (uint64_t)k, (uint32_t)i);
            take(e, &p->axis[i], ((double)stratum[k] + rng_uniform_double(&r)) / (double)p->count,
                 p->point[k]);
        }
    }
    return true;
}

static bool check_axes(struct experiment *e, const struct sweep_plan *p)
{
    bool drawn = p->method == SEARCH_RANDOM || p->method == SEARCH_LHS, ok = true;
    for (int i = 0; !drawn && i < p->n_axes; i++)
        if (p->axis[i].kind != AXIS_LIST)
            ok = diag_add(
                e->diag, &p->axis[i].pos,
                "'%s' has a whole interval: give values, or draw them with search: {method: random} or lhs",
                p->name[p->axis[i].first]);
    return ok;
}

/* Leave out what the conditions forbid. */
static bool keep_allowed(struct experiment *e, struct sweep_plan *p)
{
    int kept = 0, all = p->n;
    for (int k = 0; k < all; k++) {
        const struct yaml_node *vars = sweep_vars(e, p, p->point[k], NULL);
        bool holds = true, bad = false;
        for (int i = 0; i < p->where->n && holds; i++)
            holds = where_holds(e, p->where->item[i], vars, &bad);
        if (bad)
            return false;
        if (holds)
            p->point[kept++] = p->point[k];
    }
    p->n = kept;
    return kept ||
           diag_add(e->diag, &p->where->pos, "none of the sweep's %d points is allowed by 'where'", all);
}

bool sweep_points(struct experiment *e, struct sweep_plan *p)
{
    static bool (*const method[])(struct experiment * e, struct sweep_plan * p) = {
        [SEARCH_GRID] = grid, [SEARCH_ZIP] = zip, [SEARCH_RANDOM] = draw, [SEARCH_LHS] = latin};
    return check_axes(e, p) && method[p->method](e, p) && (!p->where || keep_allowed(e, p));
}
