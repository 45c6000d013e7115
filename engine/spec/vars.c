/* ${...}: variables, items and keys put into values. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec_impl.h"
#include <string.h>

#define DEPTH_MAX  64         /* variables that use variables */
#define TEXT_MAX   (1 << 20)  /* bytes of one text: doubling variables grow fast */
#define VARS_MAX   (64 << 20) /* bytes of the variables: doubling lists do too */
#define MEMORY_MAX (1 << 30)  /* bytes of a whole experiment */

struct chain { /* the variables being resolved, innermost first */
    const struct yaml_node *node;
    const char *path;
    const struct chain *up;
    int depth;
};
struct resolver {
    struct arena *arena;
    struct diag *diag;
    const struct scope *scope;
    bool raw;                 /* the scope's variables hold ${...} themselves */
    struct yaml_node **known; /* by variable, when raw: its value once that was found */
    size_t start;             /* bytes of the arena before */
};

static struct yaml_node *resolve(const struct resolver *r, const struct yaml_node *n, const struct chain *up);

static struct yaml_node *text_node(struct arena *a, const char *text, struct pos pos, bool quoted)
{
    struct yaml_node *n = arena_alloc(a, sizeof *n);
    *n = (struct yaml_node){.kind = YAML_SCALAR, .pos = pos, .text = text, .quoted = quoted};
    return n;
}

static bool is_broken(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && !n->text;
}

/* What ${item} and the like mean here; NULL: nothing. */
static const struct yaml_node *own_name(const struct resolver *r, const char *name, struct pos pos)
{
    const struct scope *s = r->scope;
    if (s->item && strcmp(name, "item") == 0)
        return s->item;
    if (s->key && strcmp(name, "key") == 0)
        return text_node(r->arena, s->key, pos, true);
    if (s->round && strcmp(name, "round") == 0)
        return text_node(r->arena, s->round, pos, false);
    if (s->round && strcmp(name, "previous") == 0)
        return text_node(r->arena, *s->previous ? s->previous : NULL, pos, false);
    return NULL;
}

/* The name that nothing has. */
static void unknown(const struct resolver *r, const char *path, const char *first, const char *near,
                    struct pos pos)
{
    const struct scope *s = r->scope;
    bool item = strcmp(first, "item") == 0 || strcmp(first, "key") == 0;
    bool round = strcmp(first, "round") == 0 || strcmp(first, "previous") == 0;
    if (s->item && strcmp(path, "key") == 0)
        diag_add(r->diag, &pos, "'${key}' has a meaning only with foreach; in a matrix write ${item.AXIS}");
    else if (!s->item && item)
        diag_add(r->diag, &pos, "'${%s}' has a meaning only in a stage with foreach or matrix", path);
    else if (!s->round && round)
        diag_add(r->diag, &pos, "'${%s}' has a meaning only in a stage with rounds", path);
    else
        diag_unknown(r->diag, &pos, near, "unknown variable '${%s}'", path);
}

/* The node that a dotted path means; names of the instance come before variables. NULL after a diagnostic.
 * *is_var: it is (part of) a variable. */
static const struct yaml_node *look_up(const struct resolver *r, const char *path, struct pos pos,
                                       bool *is_var)
{
    const struct scope *s = r->scope;
    AUTO(mem) char *copy = xstrdup(path);
    char *rest = copy, *part = strsep(&rest, ".");
    const struct yaml_node *at = NULL, *in = s->vars;
    at = own_name(r, part, pos);
    *is_var = !at;
    if (*is_var)
        at = yaml_get(s->vars, part);
    else if (is_broken(at)) {
        diag_add(r->diag, &pos, "'${previous}' means nothing in the first round: only inputs may name it");
        return NULL;
    }
    while (at && rest) {
        if (is_broken(at))
            return at;
        part = strsep(&rest, ".");
        in = at;
        at = yaml_get(at, part);
    }
    if (at) {
        if (*is_var)
            ((struct yaml_node *)at)->used = true;
        return at;
    }
    unknown(r, path, copy, overlay_near(in, part), pos);
    return NULL;
}

/* Length of "${name}" at s, 0 when there is none. */
static size_t placeholder(const char *s)
{
    const char *end = s[0] == '$' && s[1] == '{' ? strchr(s, '}') : NULL;
    return end ? (size_t)(end - s) + 1 : 0;
}

static bool circle(const struct resolver *r, const struct yaml_node *n, const char *path,
                   const struct chain *up, const struct yaml_node *found)
{
    if (up && up->depth >= DEPTH_MAX) {
        diag_add(r->diag, &n->pos, "variables use each other more than %d deep at '${%s}'", DEPTH_MAX, path);
        return true;
    }
    AUTO(buf) struct buf names = {0};
    buf_puts(&names, path);
    for (const struct chain *c = up; c; c = c->up) {
        AUTO(mem) char *inner = buf_take(&names);
        buf_printf(&names, "%s -> %s", c->path, inner);
        if (c->node == found) {
            diag_add(r->diag, &n->pos, "variables use each other in a circle: %s", buf_str(&names));
            return true;
        }
    }
    return false;
}

/* Too large by now? */
static bool grows(const struct resolver *r, const struct yaml_node *n)
{
    if (r->arena->used - r->start <= (r->raw ? VARS_MAX : MEMORY_MAX))
        return false;
    if (!r->diag->grown) /* once: whatever comes now does not fit, either */
        diag_add(r->diag, &n->pos,
                 r->raw ? "the variables grow beyond %d MiB" : "the experiment grows beyond %d MiB",
                 (r->raw ? VARS_MAX : MEMORY_MAX) >> 20);
    r->diag->grown = true;
    return true;
}

/* A value that stands in a second place: as large as the first, so that lists of lists cannot hide their
 * size. */
static struct yaml_node *copied(const struct resolver *r, struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR)
        return n;
    if (grows(r, n))
        return NULL;
    struct yaml_node *copy = arena_alloc(r->arena, sizeof *copy);
    *copy = *n;
    copy->item = arena_alloc(r->arena, (size_t)(n->n + 1) * sizeof *copy->item);
    for (int i = 0; i < n->n; i++)
        if (!(copy->item[i] = copied(r, n->item[i])))
            return NULL;
    return copy;
}

/* Where the value of a whole variable is kept, so that many users do not ask for it anew; NULL for members.
 */
static struct yaml_node **slot_of(const struct resolver *r, const struct yaml_node *found)
{
    for (int i = 0; i < r->scope->vars->n; i++)
        if (r->scope->vars->item[i] == found)
            return &r->known[i];
    return NULL;
}

/* The value of the variable `found`, which itself may use others. */
static struct yaml_node *value_of(const struct resolver *r, const struct yaml_node *n, const char *path,
                                  const struct chain *up, const struct yaml_node *found)
{
    struct yaml_node **slot = strchr(path, '.') ? NULL : slot_of(r, found);
    if (slot && *slot)
        return copied(r, *slot);
    if (circle(r, n, path, up, found))
        return NULL;
    const struct chain chain = {found, path, up, up ? up->depth + 1 : 1};
    struct yaml_node *value = resolve(r, found, &chain);
    if (slot)
        *slot = value;
    return value;
}

static struct yaml_node *substitute(const struct resolver *r, const struct yaml_node *n, const char *at,
                                    size_t len, const struct chain *up)
{
    char *path = arena_alloc(r->arena, len);
    memcpy(path, at + 2, len - 3);
    bool is_var;
    const struct yaml_node *found = look_up(r, path, n->pos, &is_var);
    if (!found || is_broken(found))
        return NULL;
    if (is_var && r->raw) {
        found = value_of(r, n, path, up, found);
        if (!found)
            return NULL;
    }
    struct yaml_node *copy = arena_alloc(r->arena, sizeof *copy);
    *copy = *found;
    copy->used = false;
    copy->pos = n->pos; /* errors point to where the value is used */
    return copy;
}

/* One "${...}" inside longer text. */
static bool append(const struct resolver *r, const struct yaml_node *n, const char *at, size_t len,
                   const struct chain *up, struct buf *out)
{
    const struct yaml_node *v = substitute(r, n, at, len, up);
    if (!v)
        return false;
    if (v->kind != YAML_SCALAR)
        return diag_add(r->diag, &n->pos, "'%.*s' is a %s: it cannot stand inside text", (int)len, at,
                        v->kind == YAML_LIST ? "list" : "map");
    buf_puts(out, v->text);
    return out->len <= TEXT_MAX || diag_add(r->diag, &n->pos, "this text grows beyond %d bytes", TEXT_MAX);
}

static struct yaml_node *resolve_scalar(const struct resolver *r, const struct yaml_node *n,
                                        const struct chain *up)
{
    size_t whole = placeholder(n->text);
    if (whole && !n->text[whole])
        return substitute(r, n, n->text, whole, up);
    AUTO(buf) struct buf b = {0};
    for (const char *p = n->text; *p;) {
        size_t len = placeholder(p);
        if (strncmp(p, "$${", 3) == 0) {
            buf_puts(&b, "${");
            p += 3;
        } else if (len) {
            if (!append(r, n, p, len, up, &b))
                return NULL;
            p += len;
        } else if (p[0] == '$' && p[1] == '{') {
            diag_add(r->diag, &n->pos, "'${' without '}' in \"%.200s\"; write '$${' for a literal one",
                     n->text);
            return NULL;
        } else {
            buf_putc(&b, *p++);
        }
    }
    return text_node(r->arena, arena_strdup(r->arena, buf_str(&b)), n->pos, n->quoted);
}

static struct yaml_node *resolve(const struct resolver *r, const struct yaml_node *n, const struct chain *up)
{
    if (grows(r, n))
        return NULL;
    if (n->kind == YAML_SCALAR && strchr(n->text, '$'))
        return resolve_scalar(r, n, up);
    struct yaml_node *copy = arena_alloc(r->arena, sizeof *copy);
    *copy = *n;
    copy->used = false;
    if (n->kind == YAML_SCALAR)
        return copy;
    copy->item = arena_alloc(r->arena, (size_t)(n->n + 1) * sizeof *copy->item);
    bool ok = true;
    for (int i = 0; i < n->n; i++) {
        copy->item[i] = resolve(r, n->item[i], up);
        ok = ok && copy->item[i];
    }
    return ok ? copy : NULL;
}

struct yaml_node *vars_resolve(struct arena *a, struct diag *d, const struct scope *s,
                               const struct yaml_node *n)
{
    const struct resolver r = {.arena = a, .diag = d, .scope = s};
    return resolve(&r, n, NULL);
}

struct yaml_node *vars_ready(struct arena *a, struct diag *d, const struct yaml_node *raw)
{
    struct yaml_node *ready = arena_alloc(a, sizeof *ready);
    *ready = *raw;
    ready->item = arena_alloc(a, (size_t)(raw->n + 1) * sizeof *ready->item);
    const struct scope scope = {.vars = raw};
    struct yaml_node **known = arena_alloc(a, (size_t)(raw->n + 1) * sizeof *known);
    const struct resolver r = {
        .arena = a, .diag = d, .scope = &scope, .raw = true, .known = known, .start = a->used};
    for (int i = 0; i < raw->n; i++) {
        const struct chain chain = {raw->item[i], raw->key[i]->text, NULL, 1};
        if (strchr(raw->key[i]->text, '.'))
            diag_add(d, &raw->key[i]->pos, "a variable's name must not hold a '.': '%s'", raw->key[i]->text);
        ready->item[i] = resolve(&r, raw->item[i], &chain);
        if (!ready->item[i])
            ready->item[i] = text_node(a, NULL, raw->item[i]->pos, false);
    }
    return ready;
}

struct yaml_node *vars_read(struct arena *a, struct diag *d, const struct yaml_node *vars,
                            const struct spec_options *opt, const struct yaml_node **ret_raw)
{
    *ret_raw = overlay_vars(a, d, vars, opt);
    return vars_ready(a, d, *ret_raw);
}
