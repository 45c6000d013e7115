/* resources: what a task needs of the machine, and how patient the engine is with it. */
#include "base/json.h"
#include "base/size.h"
#include "base/varname.h"
#include "engine/spec/spec_impl.h"
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 1e9
#define RETRIES_MAX 100
#define UNIT_MAX    10000
#define GROWTH_MAX  16

struct request { /* of one task, while it is read */
    struct experiment *e;
    struct task *task;
    bool memory;              /* is given, right or wrong */
    const struct pos *growth; /* where retries say that it grows; NULL: they do not */
};

/* A value as messages show it. */
static const char *shown(const struct request *r, const struct yaml_node *n)
{
    return n->kind == YAML_LIST  ? "a list"
           : n->kind == YAML_MAP ? "a map"
                                 : arena_printf(r->e->arena, "'%.200s'", n->text);
}

static const char *text_of(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR ? n->text : "";
}

/* A number from 0 to 99999999, of digits alone; -1: it is none. */
static long whole(const struct yaml_node *n)
{
    const char *s = text_of(n);
    size_t digits = strspn(s, "0123456789");
    return digits > 0 && digits < 9 && !s[digits] ? strtol(s, NULL, 10) : -1;
}

static bool set_cores(struct request *r, const struct yaml_node *n)
{
    char *end = NULL;
    const char *s = text_of(n);
    if (strcmp(s, "auto") == 0) { /* the scheduler's choice, also where the defaults say a number */
        r->task->cores_min = r->task->cores_max = 0;
        return true;
    }
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
        return diag_add(r->e->diag, &n->pos, "cores must be a number, \"2..8\", \"4..\" or auto, not %s",
                        shown(r, n));
    r->task->cores_min = (int)lo;
    r->task->cores_max = (int)hi;
    return true;
}

static bool set_memory(struct request *r, const struct yaml_node *n)
{
    r->memory = strcmp(text_of(n), "auto") != 0;
    r->task->memory = 0;
    if (!r->memory) /* what history tells, also where the defaults say a size */
        return true;
    if (size_read(text_of(n), &r->task->memory) && r->task->memory > 0)
        return true;
    return diag_add(r->e->diag, &n->pos, "memory must be a size such as 6GiB, or auto, not %s", shown(r, n));
}

static bool set_exclusive(struct request *r, const struct yaml_node *n)
{
    AUTO_JSON j = yaml_json(n);
    if (!json_is_boolean(j))
        return diag_add(r->e->diag, &n->pos, "exclusive must be true or false, not %s", shown(r, n));
    r->task->exclusive = json_is_true(j);
    return true;
}

static bool set_place(struct request *r, const struct yaml_node *n)
{
    static const char *const place[] = {"compact", "spread"};
    bool spread = strcmp(text_of(n), place[1]) == 0;
    if (!spread && strcmp(text_of(n), place[0]) != 0)
        return diag_unknown(r->e->diag, &n->pos, nearest_name(place, 2, text_of(n)),
                            "place must be compact or spread, not %s", shown(r, n));
    r->task->spread = spread;
    return true;
}

/* ---- named resources ---- */

/* A name that is free, as a variable of a program's environment, too; a count. */
static bool read_unit(struct request *r, const struct yaml_node *key, const struct yaml_node *n,
                      struct task_unit *all, int before)
{
    if (!varname_ok(key->text))
        return diag_add(r->e->diag, &key->pos, "unit '%.100s': " VARNAME_HELP, key->text);
    for (int i = 0; i < before; i++)
        if (varname_same(key->text, all[i].name))
            return diag_add(r->e->diag, &key->pos, "unit '%s': '%s' has the same variable", key->text,
                            all[i].name);
    long count = whole(n);
    if (count < 1 || count > UNIT_MAX)
        return diag_add(r->e->diag, &n->pos, "unit '%s' must be a number between 1 and %d, not %s", key->text,
                        UNIT_MAX, shown(r, n));
    all[before] = (struct task_unit){key->text, (int)count, key->pos};
    return true;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const struct task_unit *)x)->name, ((const struct task_unit *)y)->name);
}

/* All of them: what a stage says itself replaces what its defaults say. */
static bool set_units(struct request *r, const struct yaml_node *n)
{
    if (n->kind != YAML_MAP)
        return diag_add(r->e->diag, &n->pos,
                        "units must be a map from names to numbers such as { gpu: 1 }, not %s", shown(r, n));
    struct task *t = r->task;
    t->unit = arena_alloc(r->e->arena, (size_t)(n->n + 1) * sizeof *t->unit);
    t->n_units = 0;
    for (int i = 0; i < n->n; i++)
        t->n_units += read_unit(r, n->key[i], n->item[i], t->unit, t->n_units);
    qsort(t->unit, (size_t)t->n_units, sizeof *t->unit, by_name);
    return true;
}

/* ---- patience ---- */

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

static bool set_seconds(struct request *r, const struct yaml_node *n, const char *name, double *ret)
{
    double x = seconds_of(text_of(n));
    if (!(x > 0 && x <= SECONDS_MAX))
        return diag_add(r->e->diag, &n->pos,
                        "%s must be a time such as 90s, 30m or 1h30m, or a number of seconds, not %s", name,
                        shown(r, n));
    *ret = x;
    return true;
}

static bool set_timeout(struct request *r, const struct yaml_node *n)
{
    return set_seconds(r, n, "timeout", &r->task->timeout);
}

static bool set_times(struct request *r, const struct yaml_node *n, const char *name)
{
    long x = whole(n);
    if (x < 0 || x > RETRIES_MAX)
        return diag_add(r->e->diag, &n->pos, "%s must be a number between 0 and %d, not %s", name,
                        RETRIES_MAX, shown(r, n));
    r->task->retries = (int)x;
    return true;
}

/* "x2": so many times the memory of the attempt before. */
static bool set_growth(struct request *r, const struct yaml_node *n)
{
    const char *s = text_of(n);
    char *end = NULL;
    double x = *s == 'x' ? strtod(s + 1, &end) : 0;
    if (*s != 'x' || strspn(s + 1, "0123456789.") != strlen(s + 1) || *end || !(x > 1 && x <= GROWTH_MAX))
        return diag_add(
            r->e->diag, &n->pos,
            "memory of retries must be a factor above x1 and up to x%d, such as x2 or x1.5, not %s",
            GROWTH_MAX, shown(r, n));
    r->task->memory_growth = x;
    r->growth = &n->pos;
    return true;
}

static bool set_retries(struct request *r, const struct yaml_node *n)
{
    static const char *const keys[] = {"times", "backoff", "memory", NULL};
    const struct yaml_node *times, *backoff, *memory;
    r->task->backoff = r->task->memory_growth = 0; /* the defaults' */
    r->growth = NULL;
    if (n->kind != YAML_MAP)
        return set_times(r, n, "retries");
    spec_check_map(r->e, n, keys, "retries");
    times = yaml_get(n, "times"), backoff = yaml_get(n, "backoff"), memory = yaml_get(n, "memory");
    bool ok = times
                  ? set_times(r, times, "times")
                  : diag_add(r->e->diag, &n->pos, "retries needs 'times': how many more attempts there are");
    ok = (!backoff || set_seconds(r, backoff, "backoff", &r->task->backoff)) && ok;
    return (!memory || set_growth(r, memory)) && ok;
}

/* ---- the rows ---- */

static const struct {
    const char *name;
    bool (*set)(struct request *r, const struct yaml_node *n);
} rows[] = {{"cores", set_cores},    {"memory", set_memory}, {"exclusive", set_exclusive},
            {"place", set_place},    {"units", set_units},   {"timeout", set_timeout},
            {"retries", set_retries}};
#define ROWS (sizeof rows / sizeof *rows)

/* "cores, memory, ... and retries" */
static const char *names_text(struct arena *a)
{
    const char *text = rows[0].name;
    for (size_t i = 1; i < ROWS; i++)
        text = arena_printf(a, "%s%s%s", text, i < ROWS - 1 ? ", " : " and ", rows[i].name);
    return text;
}

static void unknown(struct experiment *e, const struct yaml_node *key)
{
    const char *names[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    diag_unknown(e->diag, &key->pos, nearest_name(names, ROWS, key->text),
                 "unknown resource '%s': there are %s", key->text, names_text(e->arena));
}

static void set_all(struct request *r, const struct yaml_node *n)
{
    if (n->kind != YAML_MAP)
        diag_add(r->e->diag, &n->pos, "resources: takes a map of %s", names_text(r->e->arena));
    for (int i = 0; n->kind == YAML_MAP && i < n->n; i++) {
        size_t k = 0;
        while (k < ROWS && strcmp(rows[k].name, n->key[i]->text) != 0)
            k++;
        if (k < ROWS)
            rows[k].set(r, n->item[i]);
        else
            unknown(r->e, n->key[i]);
    }
}

void resources_set(struct experiment *e, struct instance *in, const struct yaml_node *own,
                   const struct yaml_node *below)
{
    const struct yaml_node *part[] = {below, own}; /* the later replaces the earlier */
    struct request r = {.e = e, .task = in->task};
    bool all = true;
    for (int i = 0; i < 2; i++) {
        const struct yaml_node *n = part[i] ? vars_resolve(e->scratch, e->diag, &in->scope, part[i]) : NULL;
        if (n)
            set_all(&r, n);
        all = all && (n || !part[i]);
    }
    if (all && r.growth && !r.memory)
        diag_add(e->diag, r.growth,
                 "retries that grow memory need 'memory:' beside them to start from, such as memory: 6GiB");
}
