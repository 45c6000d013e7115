/* weft cache pin: keep results from removal. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/pin.h"
#include "engine/cli/cmd.h"
#include "engine/cli/resultname.h"
#include "engine/cli/units.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    {"name", 0, OPT_STRING, "NAME", "the pin's name; default: the run's id, or the task's name made to fit"},
    OPT_ROW_STORE,
    {0}};

struct pinning {
    struct store *store;
    struct arena arena;
    struct pin *known;
    size_t n_known;
};

/* "expert[pets]" becomes "expert_pets_". */
static char *name_of(const struct resultname *r)
{
    AUTO(buf) struct buf name = {0};
    if (!isalnum((unsigned char)r->name[0]))
        buf_puts(&name, "task");
    for (const char *c = r->name; *c; c++)
        buf_putc(&name, isalnum((unsigned char)*c) || strchr("._-", *c) ? *c : '_');
    return buf_take(&name);
}

/* A name that was not chosen replaces no pin of something else. */
static bool check_name(const struct pinning *p, const char *name, const char *what, struct error *err)
{
    for (size_t i = 0; i < p->n_known; i++)
        if (strcmp(p->known[i].name, name) == 0 && strcmp(p->known[i].what, what) != 0)
            return error_set(err, NULL, ERROR_INPUT,
                             "there is a pin '%s' already, of %s: choose another name with --name", name,
                             p->known[i].what);
    return true;
}

/* How many have a result with all that it names; pinned ones stay so. */
static bool count_whole(struct store *s, const struct pin *pin, size_t *ret, struct error *err)
{
    *ret = 0;
    for (size_t i = 0; i < pin->n; i++) {
        const struct index_entry *e;
        enum store_state state;
        if (!store_look_up(s, &pin->key[i], &e, &state, err))
            return false;
        *ret += state == STORE_HIT;
    }
    return true;
}

static bool put(struct pinning *p, struct pin *pin, struct error *err)
{
    char when[UNITS_MAX];
    size_t whole;
    time_text(time(NULL), when);
    pin->when = when;
    if (!pin_put(p->store, pin, err) || !count_whole(p->store, pin, &whole, err))
        return false;
    printf("%s\n", pin->name);
    fprintf(stderr, "pinned %s: %zu result%s", pin->what, pin->n, pin->n == 1 ? "" : "s");
    if (whole < pin->n)
        fprintf(stderr, ", of which %zu %s not whole now", pin->n - whole,
                pin->n - whole == 1 ? "is" : "are");
    fprintf(stderr, "\n");
    return true;
}

static bool pin_one(struct pinning *p, const struct resultname *r, struct error *err)
{
    AUTO(mem) char *name = name_of(r);
    AUTO(mem) char *what = xprintf("%s %s", r->what, r->name);
    AUTO(mem) struct digest *key = xcalloc(r->n + 1, sizeof *key);
    memcpy(key, r->key, r->n * sizeof *key);
    struct pin pin = {.name = name, .what = what, .key = key, .n = r->n};
    return check_name(p, name, what, err) && put(p, &pin, err);
}

/* All under one name. */
static bool pin_together(struct pinning *p, const struct resultname *r, int n, const char *name,
                         struct error *err)
{
    AUTO(mem) struct digest *key = NULL;
    AUTO(buf) struct buf what = {0};
    AUTO(mem) char *copy = xstrdup(name);
    size_t all = 0, cap = 0;
    for (int i = 0; i < n; i++) {
        key = xgrow(key, &cap, all + r[i].n + 1, sizeof *key);
        memcpy(key + all, r[i].key, r[i].n * sizeof *key);
        all += r[i].n;
        buf_printf(&what, "%s%s %s", i ? ", " : "", r[i].what, r[i].name);
    }
    AUTO(mem) char *text = buf_take(&what);
    struct pin pin = {.name = copy, .what = text, .key = key, .n = all};
    return put(p, &pin, err);
}

/* All are found before the first is pinned. */
static bool pin_all(struct pinning *p, const struct cmd_args *a, struct error *err)
{
    const struct opt_value *name = cmd_opt(a, "name");
    struct resultname *r = arena_alloc(&p->arena, (size_t)a->n * sizeof *r);
    if (!cmd_open_store(a, &p->store, err) || !pins_read(p->store, &p->known, &p->n_known, err))
        return false;
    for (int i = 0; i < a->n; i++) {
        if (!resultname_find(p->store, a->arg[i], &p->arena, &r[i], err))
            return false;
        if (!r[i].n)
            return error_set(err, NULL, ERROR_INPUT, "%s '%s' has no results", r[i].what, r[i].name);
    }
    if (name->set)
        return pin_together(p, r, a->n, name->string, err);
    for (int i = 0; i < a->n; i++)
        if (!pin_one(p, &r[i], err))
            return false;
    return true;
}

static int run(const struct cmd_args *a)
{
    struct pinning p = {0};
    struct error err = {0};
    arena_init(&p.arena);
    int status = pin_all(&p, a, &err) ? 0 : cmd_fail(&err);
    pins_free(p.known, p.n_known);
    store_close(p.store);
    arena_done(&p.arena);
    return status;
}

const struct cmd cmd_cache_pin = {
    .name = "cache pin",
    .group = "The store",
    .doc = "Keep results from removal, whatever room is needed.",
    .details = "Of a run what all its tasks had; of a task its own result, as the newest run that has it had "
               "it, not what it was made from. Each gets a pin of its own unless --name puts them under one "
               "name, which replaces a pin of that name. The names are printed.",
    .args =
        (const struct arg[]){
            {.name = "RESULT",
             .doc = "a run (its id, the beginning of one, or last), or a task of the newest runs",
             .many = true},
            {0}},
    .opts = opts,
    .examples =
        (const struct example[]){{"weft cache pin last", "all that the newest run had"},
                                 {"weft cache pin unified table --name paper", "two results, one pin"},
                                 {0}},
    .run = run};
