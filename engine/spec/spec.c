/* The file's outline: top-level keys, one declaration a stage; then the passes in their order. */
#include "engine/spec/spec.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/sweep_impl.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_MAX  1000000
#define MEMORY_MAX (1 << 30) /* bytes of all tasks */

static const char *const top_keys[] = {"experiment", "description", "include", "reference",
                                       "vars",       "defaults",    "privacy", "stages",
                                       "sweep",      "objective",   "search",  NULL};
static const char *const stage_keys[] = {"uses",    "with",      "in",    "foreach",     "matrix",
                                         "private", "resources", "tags",  "description", "outputs",
                                         "temp",    "rounds",    "first", NULL};
static const char *const privacy_keys[] = {"allow", NULL};

static size_t count(const char *const *names)
{
    size_t n = 0;
    while (names[n])
        n++;
    return n;
}

bool spec_check_map(struct experiment *e, const struct yaml_node *map, const char *const *keys,
                    const char *what)
{
    if (map->kind != YAML_MAP)
        return diag_add(e->diag, &map->pos, "%s must be a map", what);
    for (int i = 0; i < map->n; i++) {
        bool known = false;
        for (size_t k = 0; keys[k]; k++)
            known = known || strcmp(keys[k], map->key[i]->text) == 0;
        if (!known)
            diag_unknown(e->diag, &map->key[i]->pos, nearest_name(keys, count(keys), map->key[i]->text),
                         "%s has no key '%s'", what, map->key[i]->text);
    }
    return true;
}

static bool is_word(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_' && s[i] != '-')
            return false;
    return n > 0 && n <= 100;
}

static const char *read_name(struct experiment *e, const struct yaml_node *root)
{
    const struct yaml_node *n = yaml_get(root, "experiment");
    if (!n) {
        diag_add(e->diag, &root->pos, "the file has no 'experiment: NAME'");
        return "";
    }
    if (n->kind == YAML_SCALAR && is_word(n->text))
        return n->text;
    diag_add(e->diag, &n->pos, "experiment: takes a name of letters, digits, - and _");
    return "";
}

/* Free text and tags are for people; they only have to be text. */
static void check_text(struct experiment *e, const struct yaml_node *map)
{
    const struct yaml_node *d = yaml_get(map, "description"), *tags = yaml_get(map, "tags");
    if (d && d->kind != YAML_SCALAR)
        diag_add(e->diag, &d->pos, "description: takes text");
    bool ok = !tags || tags->kind == YAML_LIST;
    for (int i = 0; ok && tags && i < tags->n; i++)
        ok = tags->item[i]->kind == YAML_SCALAR;
    if (!ok)
        diag_add(e->diag, &tags->pos, "tags: takes a list of words");
    else if (tags)
        warn_tags(e, tags);
}

bool spec_unknown_stage(struct experiment *e, const struct pos *pos, const char *name)
{
    size_t n = 0;
    while (stage_registry[n])
        n++;
    AUTO(mem) const char **names = xcalloc(n + 1, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = stage_registry[i]->name;
    const char *near = nearest_name(names, n, name);
    return diag_unknown(e->diag, pos, near, "there is no stage '%s'%s", name,
                        near ? "" : " ('weft stages' lists them)");
}

static const struct stage *read_uses(struct experiment *e, const struct decl *d)
{
    const struct yaml_node *uses = yaml_get(d->node, "uses");
    if (!uses || uses->kind != YAML_SCALAR) {
        diag_add(e->diag, uses ? &uses->pos : &d->pos,
                 "stage '%s' needs 'uses: STAGE' ('weft stages' lists them)", d->name);
        return NULL;
    }
    const struct stage *s = e->find(uses->text);
    if (!s)
        spec_unknown_stage(e, &uses->pos, uses->text);
    return s;
}

static void read_stages(struct experiment *e)
{
    const struct yaml_node *stages = e->all_stages;
    e->decl = arena_alloc(e->arena, (size_t)(stages->n + 1) * sizeof *e->decl);
    for (int i = 0; i < stages->n; i++) {
        struct decl *d = &e->decl[e->n];
        *d = (struct decl){.name = stages->key[i]->text, .pos = stages->key[i]->pos, .node = stages->item[i]};
        if (!is_word(d->name))
            diag_add(e->diag, &stages->key[i]->pos,
                     "a stage's name has letters, digits, - and _ only, 100 at most: '%.100s'", d->name);
        if (!spec_check_map(e, d->node, stage_keys, "a stage"))
            continue;
        check_text(e, d->node);
        d->stage = read_uses(e, d);
        const struct yaml_node *outputs = yaml_get(d->node, "outputs");
        if (outputs && d->stage && !d->stage->command)
            diag_add(e->diag, &outputs->pos, "outputs: is for 'uses: command'; stage '%s' has its own",
                     d->stage->name);
        e->n++;
    }
}

static void read_privacy(struct experiment *e, const struct yaml_node *root)
{
    const struct yaml_node *p = yaml_get(root, "privacy"), *allow = yaml_get(p, "allow");
    if (!p || !spec_check_map(e, p, privacy_keys, "privacy") || !allow)
        return;
    if (allow->kind != YAML_LIST) {
        diag_add(e->diag, &allow->pos, "allow: takes a list of stages of this file");
        return;
    }
    e->allow = arena_alloc(e->arena, (size_t)(allow->n + 1) * sizeof *e->allow);
    AUTO(mem) const char **names = xcalloc((size_t)e->n + 1, sizeof *names);
    for (int i = 0; i < e->n; i++)
        names[i] = e->decl[i].name;
    for (int i = 0; i < allow->n; i++) {
        const struct yaml_node *a = allow->item[i];
        bool known = false;
        for (int k = 0; a->kind == YAML_SCALAR && k < e->n; k++)
            known = known || strcmp(names[k], a->text) == 0;
        if (known)
            e->allow[e->n_allow++] = a->text;
        else if (a->kind == YAML_SCALAR)
            diag_unknown(e->diag, &a->pos, nearest_name(names, (size_t)e->n, a->text),
                         "there is no stage '%s' to allow", a->text);
        else
            diag_add(e->diag, &a->pos, "allow: takes a list of stages of this file");
    }
}

/* The names of the declarations as written, before a sweep makes variants of them. */
static void index_decls(struct experiment *e)
{
    lookup_init(&e->decls, (size_t)e->n);
    e->bases = e->n;
    e->base = arena_alloc(e->arena, ((size_t)e->n + 1) * sizeof *e->base);
    for (int i = 0; i < e->n; i++) {
        e->base[i] = e->decl[i].name;
        lookup_add(&e->decls, e->decl[i].name, i);
    }
}

/* What goes wrong from here on goes wrong at this point of the sweep. */
static void look_at(struct experiment *e, const struct decl *d)
{
    bool point = d && d->suffix && *d->suffix;
    e->diag->point = point ? d->suffix + 1 : NULL;
    e->diag->at = point ? &d->sweep_pos : NULL;
}

static void index_names(struct experiment *e)
{
    lookup_init(&e->instances, (size_t)e->tasks);
    for (int i = 0; i < e->n; i++) {
        for (int k = 0; k < e->decl[i].n; k++)
            lookup_add(&e->instances, e->decl[i].instance[k].task->name, k);
    }
}

/* The passes over the declarations. References need every task, so they come after all expansions. */
static void build(struct experiment *e, struct spec *s)
{
    for (int i = 0; i < e->n; i++) {
        look_at(e, &e->decl[i]);
        expand_decl(e, &e->decl[i]);
        e->tasks += e->decl[i].n;
        if (e->tasks > TASKS_MAX) {
            diag_add(e->diag, &e->decl[i].pos, "the experiment has more than %d tasks", TASKS_MAX);
            return;
        }
    }
    index_names(e);
    AUTO(arena) struct arena scratch;
    arena_init(&scratch);
    e->scratch = &scratch;
    for (int i = 0; i < e->n; i++) /* a command's ports must be known before anything refers to them */
        for (int k = 0; e->decl[i].stage && e->decl[i].stage->command && k < e->decl[i].n; k++)
            command_declare(e, &e->decl[i], &e->decl[i].instance[k]);
    for (int i = 0; i < e->n; i++)
        for (int k = 0; e->decl[i].stage && k < e->decl[i].n; k++) {
            look_at(e, &e->decl[i]);
            params_set(e, &e->decl[i], &e->decl[i].instance[k]);
            refs_resolve(e, &e->decl[i], &e->decl[i].instance[k]);
            if (e->decl[i].stage->command)
                command_check(e, &e->decl[i].instance[k]);
            arena_reset(&scratch);
            if (e->arena->used > MEMORY_MAX) {
                diag_add(e->diag, &e->decl[i].pos, "the experiment grows beyond %d MiB", MEMORY_MAX >> 20);
                return;
            }
        }
    look_at(e, NULL);
    if (graph_order(e, s))
        labels_flow(e, s);
}

/* The graph of all points: variants in place of the declarations, then each cell's tasks. */
static void build_sweep(struct experiment *e, struct sweep_plan *p, struct spec *s)
{
    int **row;
    if (!sweep_variants(e, p, &row))
        return;
    build(e, s);
    if (e->diag->n)
        return;
    sweep_cells(e, p, row);
    if (e->diag->n)
        return;
    struct sweep *sweep = arena_alloc(e->arena, sizeof *sweep);
    *sweep = p->sweep;
    s->sweep = sweep;
}

/* A sweep is looked at whenever there is one; its graph is built only when it is wanted. */
static void read_sweep(struct experiment *e, const struct yaml_node *root, const struct spec_options *opt,
                       struct spec *s)
{
    static const char *const also[] = {"objective", "search"};
    struct sweep_plan p = {0};
    bool wanted = opt && opt->sweep;
    s->has_sweep = yaml_get(root, "sweep") != NULL;
    for (size_t i = 0; !s->has_sweep && i < sizeof also / sizeof *also; i++) {
        int at = yaml_find(root, also[i]);
        if (at >= 0)
            diag_add(e->diag, &root->key[at]->pos, "'%s:' belongs to a sweep, and the file has none",
                     also[i]);
    }
    if (!s->has_sweep && wanted)
        diag_add(e->diag, &root->pos, "the file has no 'sweep:', which says what to vary");
    bool ok = s->has_sweep && sweep_read(e, root, &p);
    if (!wanted)
        build(e, s);
    else if (ok)
        build_sweep(e, &p, s);
}

static void read_experiment(struct experiment *e, const struct yaml_node *root,
                            const struct spec_options *opt, struct spec *s)
{
    if (!spec_check_map(e, root, top_keys, "an experiment"))
        return;
    s->experiment = read_name(e, root);
    check_text(e, root);
    if (!include_read(e, root, s->file))
        return;
    e->vars = vars_read(e->arena, e->diag, e->all_vars, opt, &e->raw_vars);
    read_stages(e);
    defaults_apply(e);
    read_privacy(e, root);
    s->allow = e->allow;
    s->n_allow = e->n_allow;
    reference_read(e, s);
    s->vars = e->vars;
    s->files = e->files;
    s->n_files = e->n_files;
    index_decls(e);
    read_sweep(e, root, opt, s);
    if (e->diag->n == 0 && !s->sweep) /* a sweep's own variables are used in copies */
        warn_all(e, s, root);
}

bool spec_read(const char *path, const struct spec_options *opt, struct spec **ret, struct error **errors,
               int *n_errors)
{
    struct spec *s = xcalloc(1, sizeof *s);
    arena_init(&s->arena);
    s->file = arena_strdup(&s->arena, path);
    struct diag diag = {0}, warnings = {0};
    struct experiment e = {.arena = &s->arena,
                           .diag = &diag,
                           .warnings = &warnings,
                           .file = s->file,
                           .opt = opt,
                           .pedantic = opt && opt->pedantic,
                           .find = opt && opt->find ? opt->find : stage_find};
    struct yaml_node *root;
    struct error err = {0};
    if (!yaml_read(path, &s->arena, &root, &err))
        diag_take(&diag, &err, NULL);
    else
        read_experiment(&e, root, opt, s);
    lookup_auto(&e.decls);
    lookup_auto(&e.instances);
    *errors = NULL;
    *n_errors = 0;
    *ret = s;
    if (diag.n == 0) {
        diag_sort(&warnings);
        s->warning = warnings.item;
        s->n_warnings = (int)warnings.n;
        return true;
    }
    diag_move(&diag, &warnings);
    diag_sort(&diag);
    *errors = diag.item;
    *n_errors = (int)diag.n;
    spec_free(s);
    *ret = NULL;
    return false;
}

void spec_free(struct spec *s)
{
    if (!s)
        return;
    arena_done(&s->arena);
    free(s->warning);
    free(s);
}

struct task *spec_find(const struct spec *s, const char *task)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->task[i]->name, task) == 0)
            return s->task[i];
    return NULL;
}
