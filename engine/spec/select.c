/* What stands in a reference's brackets: coordinates in their order, "a,*", or by the names of a matrix's
 * axes, "domain=pets", where an axis that is not named stands for all of it. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

/* Does instance `in` match "x,*"? */
static bool in_order(const struct instance *in, const char *coord)
{
    int i = 0;
    for (const char *c = coord;; i++) {
        size_t n = strcspn(c, ",");
        if (i >= in->n_coord)
            return false;
        bool star = n == 1 && *c == '*';
        if (!star && !(strlen(in->coord[i]) == n && strncmp(in->coord[i], c, n) == 0))
            return false;
        if (!c[n])
            break;
        c += n + 1;
    }
    /* a single * stands for all coordinates */
    return i + 1 == in->n_coord || strcmp(coord, "*") == 0;
}

/* A coordinate may hold a '=' itself: what names a task in order means that. */
static bool names_in_order(const struct decl *d, const char *coord)
{
    bool may = false;
    for (int a = 0; a < d->axes->n && !may; a++)
        for (int i = 0; i < d->axes->item[a]->n && !may; i++)
            may = strchr(d->axis[a][i], '=');
    for (int i = 0; may && i < d->n; i++)
        if (in_order(&d->instance[i], coord))
            return true;
    return false;
}

/* "a, b, c", at most six. */
static char *list(struct arena *a, const char *const *names, int n)
{
    AUTO(buf) struct buf b = {0};
    for (int i = 0; i < n && i < 6; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    if (n > 6)
        buf_puts(&b, ", ...");
    return arena_strdup(a, buf_str(&b));
}

static bool no_axis(struct experiment *e, const struct decl *d, const char *name, const struct pos *pos)
{
    const char **names = arena_alloc(e->arena, (size_t)d->axes->n * sizeof *names);
    for (int i = 0; i < d->axes->n; i++)
        names[i] = d->axes->key[i]->text;
    return diag_unknown(e->diag, pos, nearest_name(names, (size_t)d->axes->n, name),
                        "'%s' has no axis '%s': there is %s", d->name, name,
                        list(e->arena, names, d->axes->n));
}

/* s without blanks at its ends. */
static char *trim(char *s)
{
    s += strspn(s, " ");
    for (char *end = s + strlen(s); end > s && end[-1] == ' ';)
        *--end = '\0';
    return s;
}

/* "AXIS=VALUE" or "AXIS=*". */
static bool add_part(struct experiment *e, const struct decl *d, char *part, const struct pos *pos,
                     struct selector *s)
{
    part = trim(part);
    char *value = strchr(part, '=');
    if (!value)
        return diag_add(e->diag, pos, "name all coordinates of '%s' or none: '%s' has no 'AXIS='", d->name,
                        part);
    *value++ = '\0';
    part = trim(part);
    value = trim(value);
    int axis = yaml_find(d->axes, part);
    if (axis < 0)
        return no_axis(e, d, part, pos);
    if (s->value[axis])
        return diag_add(e->diag, pos, "axis '%s' is named twice", part);
    s->value[axis] = value;
    const char *const *there = d->axis[axis];
    int n = d->axes->item[axis]->n, i = 0;
    while (i < n && strcmp(there[i], value) != 0)
        i++;
    return i < n || strcmp(value, "*") == 0 ||
           diag_unknown(e->diag, pos, nearest_name(there, (size_t)n, value),
                        "axis '%s' of '%s' has no '%s': there is %s", part, d->name, value,
                        list(e->arena, there, n));
}

bool select_parse(struct experiment *e, const struct decl *d, const char *coord, const struct pos *pos,
                  struct selector *ret)
{
    *ret = (struct selector){.coord = coord};
    if (!d->axes || !strchr(coord, '=') || names_in_order(d, coord))
        return true;
    ret->value = arena_alloc(e->arena, (size_t)d->axes->n * sizeof *ret->value);
    char *rest = arena_strdup(e->arena, coord), *part;
    bool ok = true;
    while ((part = strsep(&rest, ",")))
        ok = add_part(e, d, part, pos, ret) && ok;
    return ok;
}

bool select_has(const struct selector *s, const struct instance *in)
{
    if (!s->value)
        return in_order(in, s->coord);
    for (int i = 0; i < in->n_coord; i++)
        if (s->value[i] && strcmp(s->value[i], "*") != 0 && strcmp(s->value[i], in->coord[i]) != 0)
            return false;
    return true;
}
