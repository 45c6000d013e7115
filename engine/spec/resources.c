/* resources: what a task needs of the machine, and how patient the engine is with it. */
#include "base/size.h"
#include "engine/spec/spec_impl.h"
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 1e9
#define RETRIES_MAX 100

/* A value as messages show it. */
static const char *shown(struct experiment *e, const struct yaml_node *n)
{
    return n->kind == YAML_LIST  ? "a list"
           : n->kind == YAML_MAP ? "a map"
                                 : arena_printf(e->arena, "'%.200s'", n->text);
}

static bool set_cores(struct experiment *e, struct task *t, const struct yaml_node *n)
{
    char *end = NULL;
    const char *s = n->kind == YAML_SCALAR ? n->text : "";
    long lo = strtol(s, &end, 10), hi = lo;
    if (end != s && strcmp(end, "..") == 0)
        hi = 0;
    else if (end != s && strncmp(end, "..", 2) == 0) {
        const char *second = end + 2;
        hi = strtol(second, &end, 10);
        if (end == second || *end || hi < lo)
            lo = 0;
    } else if (*end) {
        lo = 0;
    }
    if (end == s || lo < 1 || lo > 100000 || hi > 100000)
        return diag_add(e->diag, &n->pos, "cores must be a number, \"2..8\" or \"4..\", not %s", shown(e, n));
    t->cores_min = (int)lo;
    t->cores_max = (int)hi;
    return true;
}

static bool set_memory(struct experiment *e, struct task *t, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR && size_read(n->text, &t->memory) && t->memory > 0)
        return true;
    return diag_add(e->diag, &n->pos, "memory must be a size such as 6GiB, not %s", shown(e, n));
}

/* "1h30m", "90s" or a number of seconds; units from the largest down, each once. 0: no such text. */
static double seconds_of(const char *s)
{
    static const struct {
        char name;
        double seconds;
    } unit[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    double sum = 0;
    for (size_t next = 0; *s;) {
        size_t digits = strspn(s, "0123456789."), i = next;
        char *end;
        double x = strtod(s, &end);
        if (digits == 0 || end != s + digits)
            return 0;
        if (!*end) /* without a unit: seconds, alone */
            return next == 0 ? x : 0;
        while (i < sizeof unit / sizeof *unit && unit[i].name != *end)
            i++;
        if (i == sizeof unit / sizeof *unit)
            return 0;
        sum += x * unit[i].seconds;
        next = i + 1;
        s = end + 1;
    }
    return sum;
}

static bool set_timeout(struct experiment *e, struct task *t, const struct yaml_node *n)
{
    const char *s = n->kind == YAML_SCALAR ? n->text : "";
    double x = seconds_of(s);
    if (!(x > 0 && x <= SECONDS_MAX))
        return diag_add(e->diag, &n->pos,
                        "timeout must be a time such as 90s, 30m or 1h30m, or a number of seconds, not %s",
                        shown(e, n));
    t->timeout = x;
    return true;
}

static bool set_retries(struct experiment *e, struct task *t, const struct yaml_node *n)
{
    const char *s = n->kind == YAML_SCALAR ? n->text : "";
    size_t digits = strspn(s, "0123456789");
    long x = digits > 0 && digits < 9 && !s[digits] ? strtol(s, NULL, 10) : -1;
    if (x < 0 || x > RETRIES_MAX)
        return diag_add(e->diag, &n->pos, "retries must be a number between 0 and %d, not %s", RETRIES_MAX,
                        shown(e, n));
    t->retries = (int)x;
    return true;
}

static const struct {
    const char *name;
    bool (*set)(struct experiment *e, struct task *t, const struct yaml_node *n);
} rows[] = {{"cores", set_cores}, {"memory", set_memory}, {"timeout", set_timeout}, {"retries", set_retries}};
#define ROWS (sizeof rows / sizeof *rows)

static void unknown(struct experiment *e, const struct yaml_node *key)
{
    const char *names[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    diag_unknown(e->diag, &key->pos, nearest_name(names, ROWS, key->text),
                 "unknown resource '%s': there are cores, memory, timeout and retries", key->text);
}

void resources_set(struct experiment *e, struct instance *in, const struct yaml_node *node)
{
    struct yaml_node *r = vars_resolve(e->scratch, e->diag, &in->scope, node);
    if (!r)
        return;
    if (r->kind != YAML_MAP)
        diag_add(e->diag, &r->pos, "resources: takes a map of cores, memory, timeout and retries");
    for (int i = 0; r->kind == YAML_MAP && i < r->n; i++) {
        size_t k = 0;
        while (k < ROWS && strcmp(rows[k].name, r->key[i]->text) != 0)
            k++;
        if (k < ROWS)
            rows[k].set(e, in->task, r->item[i]);
        else
            unknown(e, r->key[i]);
    }
}
