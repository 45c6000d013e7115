/* include: the vars, defaults and stages of other files, as if they stood at the top of the file that names
 * them. A file that is included on several ways is read once. What is included comes first, so a file may
 * override its includes' variables and defaults; anything else that is defined twice is an error. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 1000
#define DEPTH_MAX 50

static const char *const include_keys[] = {"include", "description", "reference", "vars", "defaults",
                                           "stages",  "experiment",  "privacy",   NULL};
static const char *const main_keys[] = {"experiment", "privacy", NULL}; /* known, but not here */

/* What a file may set anew of its includes: variables, and defaults as "STAGE.with.NAME". */
enum said { VARS, DEFAULTS };
static const char *const said_name[] = {[VARS] = "variable", [DEFAULTS] = "default"};
struct file {
    const char *path, *real;                /* as errors name it; as the system does */
    const struct yaml_node *root, *says[2]; /* by enum said; NULL or a map */
    struct file **include;
    int n;
    struct file *up;   /* the file that is being read and includes this one; NULL when closed */
    bool open, marked; /* being read; met by includes() */
    struct file *next; /* all files */
};
struct loader {
    struct experiment *e;
    struct file *files;
    int n, depth;
};

static bool reaches(struct file *f, const char *path)
{
    if (f->marked)
        return false;
    f->marked = true;
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->include[i]->path, path) == 0 || reaches(f->include[i], path))
            return true;
    return false;
}

/* Does f include the file at `path`, itself or through others? */
static bool includes(struct loader *l, struct file *f, const char *path)
{
    for (struct file *i = l->files; i; i = i->next)
        i->marked = false;
    return reaches(f, path);
}

/* Will a file that includes f say what it is? */
static bool overridden(const struct file *f, enum said what, const char *name)
{
    for (f = f->up; f; f = f->up)
        if (yaml_get(f->says[what], name))
            return true;
    return false;
}

static void take_said(struct loader *l, struct file *f, enum said what, struct yaml_node *all)
{
    const struct yaml_node *mine = f->says[what];
    struct yaml_node before = *all;
    for (int i = 0; mine && i < mine->n; i++) {
        const char *name = mine->key[i]->text;
        int at = yaml_find(&before, name);
        if (at < 0) {
            map_append(l->e->arena, all, mine->key[i], mine->item[i]);
        } else if (includes(l, f, all->key[at]->pos.file)) {
            all->key[at] = mine->key[i];
            all->item[at] = mine->item[i];
        } else if (!overridden(f, what, name)) {
            diag_again(l->e->diag, &mine->key[i]->pos, &all->key[at]->pos, "%s '%s' is defined twice",
                       said_name[what], name);
        }
    }
}

static void take_stages(struct loader *l, const struct file *f)
{
    const struct yaml_node *stages = yaml_get(f->root, "stages");
    struct yaml_node *all = l->e->all_stages, before = *all;
    if (stages && stages->kind != YAML_MAP)
        diag_add(l->e->diag, &stages->pos, "stages: takes a map NAME: {uses: ...}");
    for (int i = 0; stages && stages->kind == YAML_MAP && i < stages->n; i++) {
        int at = yaml_find(&before, stages->key[i]->text);
        if (at < 0)
            map_append(l->e->arena, all, stages->key[i], stages->item[i]);
        else
            diag_again(l->e->diag, &stages->key[i]->pos, &all->key[at]->pos, "stage '%s' is defined twice",
                       stages->key[i]->text);
    }
}

static void take_reference(struct loader *l, const struct file *f)
{
    int at = yaml_find(f->root, "reference");
    if (at >= 0)
        map_append(l->e->arena, l->e->all_references, f->root->key[at], f->root->item[at]);
}

static bool report_circle(struct loader *l, const struct file *f, const struct file *again,
                          const struct pos *pos)
{
    const char *path = again->path;
    for (; f != again; f = f->up)
        path = arena_printf(l->e->arena, "%s -> %s", f->path, path);
    return diag_add(l->e->diag, pos, "files include each other in a circle: %s -> %s", again->path, path);
}

static bool take_file(struct loader *l, struct file *f);

/* The path of an include, relative to the file that names it. */
static const char *path_of(struct arena *a, const struct file *from, const char *text)
{
    const char *slash = strrchr(from->path, '/');
    if (!slash || text[0] == '/')
        return text;
    return arena_printf(a, "%.*s/%s", (int)(slash - from->path), from->path, text);
}

static struct file *new_file(struct loader *l, const char *path, const char *real)
{
    struct file *f = arena_alloc(l->e->arena, sizeof *f);
    *f = (struct file){.path = path, .real = arena_strdup(l->e->arena, real), .next = l->files};
    l->files = f;
    l->n++;
    return f;
}

static void set_root(struct loader *l, struct file *f, const struct yaml_node *root)
{
    const struct yaml_node *vars = yaml_get(root, "vars");
    if (vars && vars->kind != YAML_MAP)
        diag_add(l->e->diag, &vars->pos, "vars: takes a map of names and values");
    f->root = root;
    f->says[VARS] = vars && vars->kind == YAML_MAP ? vars : NULL;
    f->says[DEFAULTS] = defaults_flat(l->e, root);
}

static bool read_root(struct loader *l, struct file *f, const struct pos *pos)
{
    struct yaml_node *root;
    struct error err = {0};
    if (!yaml_read(f->path, l->e->arena, &root, &err)) {
        if (!err.line)
            error_context(&err, "include");
        return diag_take(l->e->diag, &err, pos);
    }
    if (!spec_check_map(l->e, root, include_keys, "an included file"))
        return false;
    set_root(l, f, root);
    for (int i = 0; main_keys[i]; i++) {
        int at = yaml_find(root, main_keys[i]);
        if (at >= 0)
            diag_add(l->e->diag, &root->key[at]->pos,
                     "'%s:' belongs into the main file, not into an included one", main_keys[i]);
    }
    return true;
}

static bool take_include(struct loader *l, struct file *from, const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR || !*node->text || strstr(node->text, "${"))
        return diag_add(l->e->diag, &node->pos,
                        "include: takes a path or a list of paths, without variables");
    const char *path = path_of(l->e->arena, from, node->text);
    AUTO(mem) char *real = realpath(path, NULL);
    struct file *f = l->files;
    while (f && !(real && strcmp(f->real, real) == 0))
        f = f->next;
    if (f && f->open)
        return report_circle(l, from, f, &node->pos);
    bool known = f, ok = true;
    if (!known && (l->n == FILES_MAX || l->depth == DEPTH_MAX))
        return diag_add(l->e->diag, &node->pos, "includes of includes: at most %d files, %d deep", FILES_MAX,
                        DEPTH_MAX);
    if (!known) {
        f = new_file(l, path, real ? real : path);
        f->up = from;
        ok = read_root(l, f, &node->pos) && take_file(l, f);
        f->up = NULL;
    }
    from->include[from->n++] = f;
    return ok;
}

/* What f includes, then what it has itself; false when a file could not be had. */
static bool take_file(struct loader *l, struct file *f)
{
    struct yaml_node *node = yaml_get(f->root, "include");
    bool list = node && node->kind == YAML_LIST, ok = true;
    int n = !node ? 0 : list ? node->n : 1;
    f->include = arena_alloc(l->e->arena, (size_t)(n + 1) * sizeof *f->include);
    f->open = true;
    l->depth++;
    for (int i = 0; i < n; i++)
        ok = take_include(l, f, list ? node->item[i] : node) && ok;
    l->depth--;
    f->open = false;
    take_said(l, f, VARS, l->e->all_vars);
    take_said(l, f, DEFAULTS, l->e->all_defaults);
    take_stages(l, f);
    take_reference(l, f);
    return ok;
}

/* The list of files stands newest first. */
static void keep_paths(const struct loader *l, struct experiment *e)
{
    for (const struct file *f = l->files; f; f = f->next)
        e->n_files++;
    e->files = arena_alloc(e->arena, ((size_t)e->n_files + 1) * sizeof *e->files);
    int at = e->n_files;
    for (const struct file *f = l->files; f; f = f->next)
        e->files[--at] = f->path;
}

bool include_read(struct experiment *e, const struct yaml_node *root, const char *path)
{
    struct loader l = {.e = e};
    AUTO(mem) char *real = realpath(path, NULL);
    struct file *f = new_file(&l, path, real ? real : path);
    set_root(&l, f, root);
    const struct yaml_node *stages = yaml_get(root, "stages");
    e->all_vars = map_new(e->arena, root->pos);
    e->all_defaults = map_new(e->arena, root->pos);
    e->all_references = map_new(e->arena, root->pos);
    e->all_stages = map_new(e->arena, stages ? stages->pos : root->pos);
    if (!take_file(&l, f))
        return false;
    if (e->all_stages->n == 0 && !(stages && stages->kind != YAML_MAP))
        diag_add(e->diag, &e->all_stages->pos,
                 "the file has no stages: 'stages:' takes a map NAME: {uses: ...}");
    keep_paths(&l, e);
    return true;
}
