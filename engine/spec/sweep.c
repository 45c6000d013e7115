/* sweep:, objective: and search: of the file. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/sweep_impl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const search_keys[] = {"method", "count", "seed", "where", "halving", NULL};
static const char *const halving_keys[] = {"over", "rungs", "keep", "wait", NULL};
static const char *const methods[] = {
    [SEARCH_GRID] = "grid", [SEARCH_ZIP] = "zip", [SEARCH_RANDOM] = "random", [SEARCH_LHS] = "lhs"};
#define METHODS (sizeof methods / sizeof *methods)

static bool whole(struct experiment *e, const struct yaml_node *n, const char *what, int64_t lo, int64_t hi,
                  int64_t *ret)
{
    char *end;
    const char *text = n->kind == YAML_SCALAR && !n->quoted ? n->text : "";
    long long v = strtoll(text, &end, 10);
    if (!*text || *end || v < lo || v > hi)
        return diag_add(e->diag, &n->pos, "%s takes a whole number from %lld to %lld", what, (long long)lo,
                        (long long)hi);
    *ret = v;
    return true;
}

static bool read_method(struct experiment *e, const struct yaml_node *search, struct sweep_plan *p)
{
    const struct yaml_node *n = yaml_get(search, "method"), *count = yaml_get(search, "count"),
                           *seed = yaml_get(search, "seed");
    bool ok = true;
    if (n) {
        size_t i = 0;
        while (i < METHODS && !(n->kind == YAML_SCALAR && strcmp(n->text, methods[i]) == 0))
            i++;
        if (i == METHODS)
            return diag_unknown(e->diag, &n->pos,
                                n->kind == YAML_SCALAR ? nearest_name(methods, METHODS, n->text) : NULL,
                                "method: takes grid, zip, random or lhs");
        p->method = (enum search_method)i;
    }
    bool drawn = p->method == SEARCH_RANDOM || p->method == SEARCH_LHS;
    if (drawn && !count)
        return diag_add(e->diag, n ? &n->pos : &search->pos, "method %s needs a count: how many points",
                        methods[p->method]);
    if (!drawn && count)
        ok = diag_add(e->diag, &count->pos, "count: is for the methods random and lhs; a %s has its own",
                      methods[p->method]);
    else if (count)
        ok = whole(e, count, "count:", 1, SWEEP_POINTS_MAX, &p->count);
    return (!seed || whole(e, seed, "seed:", 0, INT64_C(9007199254740992), &p->seed)) && ok;
}

static bool read_where(struct experiment *e, const struct yaml_node *search, struct sweep_plan *p)
{
    const struct yaml_node *n = yaml_get(search, "where");
    bool ok = !n || n->kind != YAML_MAP;
    for (int i = 0; n && ok && i < n->n; i++)
        ok = n->item[i]->kind == YAML_SCALAR;
    if (ok && n && n->kind == YAML_SCALAR) { /* one condition is a list of one */
        struct yaml_node *list = arena_alloc(e->arena, sizeof *list);
        *list = (struct yaml_node){.kind = YAML_LIST, .pos = n->pos, .n = 1};
        list->item = arena_alloc(e->arena, sizeof *list->item);
        list->item[0] = (struct yaml_node *)(uintptr_t)n;
        n = list;
    }
    p->where = n && n->n ? n : NULL;
    return ok || diag_add(e->diag, &n->pos, "where: takes a list of conditions: [\"proxies >= 200\"]");
}

static bool read_rungs(struct experiment *e, const struct yaml_node *n, struct sweep_plan *p)
{
    if (n->kind != YAML_LIST || n->n < 2 || n->n > 20)
        return diag_add(e->diag, &n->pos, "rungs: takes a list of 2 to 20 rising numbers");
    double *rung = arena_alloc(e->arena, (size_t)n->n * sizeof *rung), before = 0;
    for (int i = 0; i < n->n; i++) {
        char *end;
        rung[i] = n->item[i]->kind == YAML_SCALAR ? strtod(n->item[i]->text, &end) : 0;
        if (n->item[i]->kind != YAML_SCALAR || *end || rung[i] <= before || !isfinite(rung[i]))
            return diag_add(e->diag, &n->item[i]->pos, "rungs: takes a list of 2 to 20 rising numbers");
        before = rung[i];
    }
    p->rung = (const struct yaml_node **)n->item;
    p->sweep.rung = rung;
    p->sweep.n_rungs = n->n;
    return true;
}

static bool read_halving(struct experiment *e, const struct yaml_node *n, struct sweep_plan *p)
{
    if (!spec_check_map(e, n, halving_keys, "halving"))
        return false;
    const struct yaml_node *over = yaml_get(n, "over"), *rungs = yaml_get(n, "rungs"),
                           *keep = yaml_get(n, "keep"), *wait = yaml_get(n, "wait");
    char *end;
    if (!over || !rungs)
        return diag_add(e->diag, &n->pos, "halving needs 'over: VARIABLE' and 'rungs: [1, 2, 4]'");
    if (over->kind != YAML_SCALAR || !yaml_get(e->raw_vars, over->text))
        return diag_unknown(e->diag, &over->pos,
                            over->kind == YAML_SCALAR ? overlay_near(e->raw_vars, over->text) : NULL,
                            "over: takes a variable of the experiment");
    for (int i = 0; i < p->n_names; i++)
        if (strcmp(p->name[i], over->text) == 0)
            return diag_again(e->diag, &over->pos, &p->path_of[i]->pos, "'%s' is swept already", over->text);
    if (sweep_is_fixed(e, over->text))
        return diag_add(e->diag, &over->pos, "'%s' is what halving raises: --set cannot fix it", over->text);
    p->sweep.over = over->text;
    p->sweep.keep = keep && keep->kind == YAML_SCALAR ? strtod(keep->text, &end) : 0.5;
    if (keep && (keep->kind != YAML_SCALAR || *end || !(p->sweep.keep > 0 && p->sweep.keep < 1)))
        return diag_add(e->diag, &keep->pos, "keep: takes a share between 0 and 1");
    bool yes = wait && wait->kind == YAML_SCALAR && strcmp(wait->text, "true") == 0,
         no = wait && wait->kind == YAML_SCALAR && strcmp(wait->text, "false") == 0;
    if (wait && !yes && !no)
        return diag_add(e->diag, &wait->pos, "wait: takes true or false");
    p->sweep.wait = yes;
    return read_rungs(e, rungs, p);
}

/* "score.average, max" or "score[pets].accuracy, min". */
static bool read_objective(struct experiment *e, const struct yaml_node *n, struct sweep_plan *p)
{
    static const char form[] = "objective: takes TASK.METRIC, max or min: \"score.average, max\"";
    if (n->kind != YAML_SCALAR)
        return diag_add(e->diag, &n->pos, form);
    char *text = arena_strdup(e->arena, n->text), *comma = strrchr(text, ',');
    char *goal = comma ? comma + 1 + strspn(comma + 1, " ") : NULL;
    bool max = goal && strcmp(goal, "max") == 0, min = goal && strcmp(goal, "min") == 0;
    if (!max && !min)
        return diag_add(e->diag, &n->pos, form);
    *comma = '\0';
    p->sweep.objective = arena_strdup(e->arena, text);
    p->sweep.maximise = max;
    char *close = strrchr(text, ']'), *dot = strchr(close ? close : text, '.'), *open = strchr(text, '[');
    if (!dot || !dot[1] || (open && (!close || dot != close + 1)))
        return diag_add(e->diag, &n->pos, form);
    *dot = '\0';
    p->sweep.metric = dot + 1;
    if (open) {
        *open = *close = '\0';
        p->objective_coord = open + 1;
    }
    p->objective_pos = n->pos;
    AUTO(mem) const char **names = xcalloc((size_t)e->n + 1, sizeof *names);
    for (int i = 0; i < e->n; i++) {
        names[i] = e->decl[i].name;
        if (strcmp(names[i], text) == 0)
            p->objective_decl = i;
    }
    if (p->objective_decl < 0)
        return diag_unknown(e->diag, &n->pos, nearest_name(names, (size_t)e->n, text),
                            "objective: there is no '%s' in stages:", text);
    const struct stage *s = e->decl[p->objective_decl].stage;
    for (const struct port *o = s ? s->outputs : NULL; o && o->name; o++)
        if (o->type == ARTIFACT_METRICS)
            return true;
    return !s || s->command || /* whose outputs are known later */
           diag_add(e->diag, &n->pos, "objective: '%s' (stage %s) makes no metrics", text, s->name);
}

bool sweep_options(struct experiment *e, const struct yaml_node *root, struct sweep_plan *p)
{
    const struct yaml_node *search = yaml_get(root, "search"), *objective = yaml_get(root, "objective");
    const struct scope scope = {.vars = e->vars};
    bool ok = true;
    p->objective_decl = -1;
    p->sweep.n_rungs = 1;
    if ((search && !(search = vars_resolve(e->arena, e->diag, &scope, search))) ||
        (objective && !(objective = vars_resolve(e->arena, e->diag, &scope, objective))))
        return false;
    if (objective)
        ok = read_objective(e, objective, p);
    if (search && !spec_check_map(e, search, search_keys, "search"))
        return false;
    const struct yaml_node *halving = yaml_get(search, "halving");
    if (search)
        ok = read_method(e, search, p) & read_where(e, search, p) &
             (!halving || read_halving(e, halving, p)) & ok;
    if (halving && !objective)
        ok = diag_add(e->diag, &halving->pos, "halving needs an objective: which trials are to go on?");
    return ok;
}

/* `map` with the value at the path; only the maps along it are new. */
static struct yaml_node *with_value(struct arena *a, const struct yaml_node *map, const char *path,
                                    const struct yaml_node *value)
{
    size_t n = strcspn(path, ".");
    struct yaml_node *copy = arena_alloc(a, sizeof *copy);
    *copy = *map;
    copy->item = arena_alloc(a, ((size_t)map->n + 1) * sizeof *copy->item);
    for (int i = 0; i < map->n; i++) {
        bool here = strlen(map->key[i]->text) == n && strncmp(map->key[i]->text, path, n) == 0;
        copy->item[i] = !here     ? map->item[i]
                        : path[n] ? with_value(a, map->item[i], path + n + 1, value)
                                  : (struct yaml_node *)(uintptr_t)value;
    }
    return copy;
}

const struct yaml_node *sweep_vars(struct experiment *e, const struct sweep_plan *p,
                                   const struct yaml_node *const *point, const struct yaml_node *rung)
{
    const struct yaml_node *raw = e->raw_vars;
    for (int i = 0; i < p->n_names; i++)
        raw = with_value(e->arena, raw, p->name[i], point[i]);
    if (rung)
        raw = with_value(e->arena, raw, p->sweep.over, rung);
    return vars_ready(e->arena, e->diag, raw);
}

/* Names and numbers of the points, as people and programs see them. */
static void describe_points(struct experiment *e, struct sweep_plan *p)
{
    struct sweep_point *all = arena_alloc(e->arena, ((size_t)p->n + 1) * sizeof *all);
    for (int k = 0; k < p->n; k++) {
        const char **value = arena_alloc(e->arena, (size_t)p->n_names * sizeof *value), *name = "";
        double *number = arena_alloc(e->arena, (size_t)p->n_names * sizeof *number);
        for (int i = 0; i < p->n_names; i++) {
            const struct yaml_node *v = p->point[k][i];
            char *end = NULL;
            value[i] = sweep_value_text(e->arena, v, k);
            number[i] = v->kind == YAML_SCALAR && !v->quoted && *v->text ? strtod(v->text, &end) : NAN;
            if (!end || *end)
                number[i] = NAN;
            name = arena_printf(e->arena, "%s%s%s=%s", name, i ? "," : "", p->name[i], value[i]);
        }
        all[k] = (struct sweep_point){name, value, number};
    }
    p->sweep.point = all;
    p->sweep.n = p->n;
    p->sweep.axis = p->name;
    p->sweep.n_axes = p->n_names;
}

bool sweep_read(struct experiment *e, const struct yaml_node *root, struct sweep_plan *p)
{
    const struct yaml_node *node = yaml_get(root, "sweep");
    bool axes = sweep_axes(e, node, p), options = sweep_options(e, root, p);
    if (!axes || !options || !sweep_points(e, p))
        return false;
    describe_points(e, p);
    return true;
}
