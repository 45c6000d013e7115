/* What --vars and --set lay over the variables: files in their order, then options in theirs. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/param.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

#define COPY_MAX (64 << 20) /* bytes: aliases of aliases grow fast */

const char *overlay_near(const struct yaml_node *map, const char *name)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    AUTO(mem) const char **keys = xmalloc((size_t)(map->n + 1) * sizeof *keys);
    for (int i = 0; i < map->n; i++)
        keys[i] = map->key[i]->text;
    return nearest_name(keys, (size_t)map->n, name);
}

static struct yaml_node *empty_text(struct arena *a, struct pos pos)
{
    struct yaml_node *n = arena_alloc(a, sizeof *n);
    *n = (struct yaml_node){.kind = YAML_SCALAR, .pos = pos, .text = "", .quoted = true};
    return n;
}

/* The slot of the variable "a.b", NULL after a diagnostic. */
static struct yaml_node **find_slot(struct diag *d, struct yaml_node *vars, const char *name,
                                    const char *option)
{
    AUTO(mem) char *copy = xstrdup(name);
    char *rest = copy, *part;
    struct yaml_node *in = vars, **slot = NULL;
    while ((part = strsep(&rest, "."))) {
        int i = 0;
        while (in && in->kind == YAML_MAP && i < in->n && strcmp(in->key[i]->text, part) != 0)
            i++;
        if (!in || in->kind != YAML_MAP || i == in->n) {
            diag_unknown(d, NULL, overlay_near(in, part), "--set %s: the experiment has no variable '%s'",
                         option, name);
            return NULL;
        }
        slot = &in->item[i];
        in = *slot;
    }
    return slot;
}

static bool set_one(struct arena *a, struct diag *d, struct yaml_node *vars, const char *option)
{
    const char *eq = strchr(option, '=');
    if (!eq || eq == option)
        return diag_add(d, NULL, "--set %s: write --set name=value", option);
    const struct pos pos = {arena_printf(a, "--set %s", option), 1, 1};
    AUTO(mem) char *name = xstrndup(option, (size_t)(eq - option));
    struct yaml_node **slot = find_slot(d, vars, name, option), *value = NULL;
    struct error err = {0};
    if (!eq[1]) {
        value = empty_text(a, pos);
    } else if (!yaml_parse(eq + 1, strlen(eq + 1), pos.file, a, &value, &err)) {
        err.file[0] = '\0'; /* the option is in the text */
        err.line = err.col = err.note.line = 0;
        error_context(&err, "--set %s: the value is not valid YAML", option);
        return diag_take(d, &err, NULL);
    }
    if (slot)
        *slot = value;
    return slot;
}

/* Maps that an overlay may change must not be shared through aliases. */
static struct yaml_node *copy_maps(struct arena *a, const struct yaml_node *n)
{
    struct yaml_node *copy = arena_alloc(a, sizeof *copy);
    *copy = *n;
    if (n->kind != YAML_MAP || a->used > COPY_MAX)
        return copy;
    copy->item = arena_alloc(a, (size_t)(n->n + 1) * sizeof *copy->item);
    for (int i = 0; i < n->n; i++)
        copy->item[i] = copy_maps(a, n->item[i]);
    return copy;
}

/* `over` onto `vars`: maps merge, all else replaces what was there. `prefix`: the path so far, "" or "a.". */
static void merge(struct arena *a, struct diag *d, struct yaml_node *vars, const struct yaml_node *over,
                  const char *prefix)
{
    for (int i = 0; i < over->n; i++) {
        const char *name = over->key[i]->text;
        int at = yaml_find(vars, name);
        if (at < 0) {
            diag_unknown(d, &over->key[i]->pos, overlay_near(vars, name),
                         "the experiment has no variable '%s%s'", prefix, name);
            continue;
        }
        bool both = vars->item[at]->kind == YAML_MAP && over->item[i]->kind == YAML_MAP;
        if (both && vars->item[at]->n > 0)
            merge(a, d, vars->item[at], over->item[i], arena_printf(a, "%s%s.", prefix, name));
        else
            vars->item[at] = over->item[i];
    }
}

static void lay_file(struct arena *a, struct diag *d, struct yaml_node *vars, const char *path)
{
    struct yaml_node *over;
    struct error err = {0};
    if (!yaml_read(path, a, &over, &err)) {
        if (!err.line)
            error_context(&err, "--vars");
        diag_take(d, &err, NULL);
    } else if (over->kind != YAML_MAP) {
        diag_add(d, &over->pos, "a file of variables is a map of names and values");
    } else {
        merge(a, d, vars, copy_maps(a, over), "");
    }
}

struct yaml_node *overlay_vars(struct arena *a, struct diag *d, const struct yaml_node *vars,
                               const struct spec_options *opt)
{
    struct yaml_node *copy = copy_maps(a, vars);
    for (int i = 0; opt && i < opt->n_vars; i++)
        lay_file(a, d, copy, opt->vars[i]);
    for (int i = 0; opt && i < opt->n_set; i++)
        set_one(a, d, copy, opt->set[i]);
    return copy;
}
