#include "engine/cli/unitlist.h"
#include "base/fs.h"
#include "base/varname.h"
#include <string.h>

#define COUNT_MAX  1000000
#define DEVICE_MAX 9999
#define HELP       "NAME=COUNT or NAME=[ID,...], such as licence=5, gpu=2 or gpu=[0,2]"
#define GPU        "gpu"

/* A number of digits alone, up to max, at *at, which moves behind it; -1: there is none. */
static int number(const char **at, int max)
{
    size_t digits = strspn(*at, "0123456789");
    long x = digits > 0 && digits < 9 ? strtol(*at, NULL, 10) : -1;
    *at += digits;
    return x <= max ? (int)x : -1;
}

static bool has(const int *list, int n, int x)
{
    for (int i = 0; i < n; i++)
        if (list[i] == x)
            return true;
    return false;
}

/* The numbers of "[0,2]", blanks allowed, into id, which has room; -1: the text is no such list. */
static int read_list(const char *text, int *id)
{
    int n = 0;
    const char *at = text + 1 + strspn(text + 1, " ");
    for (bool more = *at != ']'; more; at += more) {
        at += strspn(at, " ");
        id[n++] = number(&at, DEVICE_MAX);
        at += strspn(at, " ");
        more = *at == ',';
        if (id[n - 1] < 0 || (!more && *at != ']'))
            return -1;
    }
    return at[1] ? -1 : n;
}

static bool read_devices(struct unitlist *u, const char *text, struct machine_unit *ret, struct error *err)
{
    int *id = arena_alloc(&u->arena, strlen(text) * sizeof *id), n = read_list(text, id);
    if (n < 0)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is no list of devices' numbers such as [0,2]", text);
    for (int i = 0; i < n; i++)
        if (has(id, i, id[i]))
            return error_set(err, NULL, ERROR_INPUT, "device %d is there twice", id[i]);
    *ret = (struct machine_unit){.count = n, .per_node = true, .id = id};
    return true;
}

static bool read_amount(struct unitlist *u, const char *text, struct machine_unit *ret, struct error *err)
{
    if (*text == '[')
        return read_devices(u, text, ret, err);
    const char *at = text;
    int count = number(&at, COUNT_MAX);
    if (count < 0 || *at)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' is neither a number between 0 and %d nor a list of devices such as [0,2]",
                         text, COUNT_MAX);
    *ret = (struct machine_unit){.count = count};
    return true;
}

static bool read_one(struct unitlist *u, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return error_set(err, NULL, ERROR_INPUT, "--unit takes " HELP ", not '%s'", text);
    const char *name = arena_printf(&u->arena, "%.*s", (int)(equals - text), text);
    if (!varname_ok(name))
        return error_set(err, NULL, ERROR_INPUT, "--unit takes " HELP ", not '%s': " VARNAME_HELP, text);
    for (int i = 0; i < u->n; i++)
        if (varname_same(u->unit[i].name, name))
            return error_set(err, NULL, ERROR_INPUT,
                             strcmp(u->unit[i].name, name) == 0
                                 ? "--unit: '%s' is given twice"
                                 : "--unit: '%s' and '%s' have the same variable",
                             name, u->unit[i].name);
    struct machine_unit *unit = &u->unit[u->n];
    if (!read_amount(u, equals + 1, unit, err))
        return error_context(err, "--unit %s", name);
    unit->name = name;
    unit->per_node = unit->per_node || varname_same(name, GPU);
    u->n++;
    return true;
}

bool unitlist_read(const char *const *text, int n, struct unitlist *ret, struct error *err)
{
    struct unitlist u = {0};
    arena_init(&u.arena);
    u.unit = arena_alloc(&u.arena, (size_t)(n + 1) * sizeof *u.unit); /* one more may be found */
    for (int i = 0; i < n; i++)
        if (!read_one(&u, text[i], err)) {
            arena_done(&u.arena);
            return false;
        }
    *ret = u;
    return true;
}

/* ---- GPUs ---- */

/* How many nvidia0, nvidia1, ... the folder has. A program numbers those that it has from 0 on, whatever they
 * are called: a container may have nvidia3 alone. */
static int count_gpus(const char *dev)
{
    int n = 0;
    DIR *d = fs_opendir(dev);
    for (struct dirent *e; d && (e = readdir(d));) {
        const char *at = e->d_name;
        if (strncmp(at, "nvidia", strlen("nvidia")) == 0) {
            at += strlen("nvidia");
            n += number(&at, DEVICE_MAX) >= 0 && !*at;
        }
    }
    if (d)
        closedir(d);
    return n;
}

/* Those of n devices that a CUDA_VISIBLE_DEVICES leaves, as CUDA reads it: the first that is none ends it. */
static int visible_gpus(const char *visible, int n, int *id)
{
    int found = 0;
    for (bool more = true; more;) {
        visible += strspn(visible, " ");
        int x = number(&visible, DEVICE_MAX);
        visible += strspn(visible, " ");
        more = *visible == ',';
        if (x < 0 || x >= n || (!more && *visible) || has(id, found, x))
            break;
        id[found++] = x;
        visible += more;
    }
    return found;
}

bool unitlist_find_gpus(struct unitlist *u, const char *dev, const char *visible, struct error *err)
{
    int all = count_gpus(dev), n = all, i = 0;
    int *id = arena_alloc(&u->arena, ((size_t)all + 1) * sizeof *id);
    for (int k = 0; k < all; k++)
        id[k] = k;
    if (visible)
        n = visible_gpus(visible, all, id);
    while (i < u->n && !varname_same(u->unit[i].name, GPU))
        i++;
    struct machine_unit *gpu = &u->unit[i];
    if (i == u->n) {
        *gpu = (struct machine_unit){.name = GPU, .count = n, .per_node = true, .id = id};
        u->n += n > 0;
    } else if (!gpu->id && (all > 0 || visible)) { /* how many, of those that can be seen */
        if (gpu->count > n)
            return error_set(err, NULL, ERROR_INPUT,
                             "--unit gpu=%d: there %s %d here%s%s; gpu=[0,...] names any", gpu->count,
                             n == 1 ? "is" : "are", n, visible ? " with CUDA_VISIBLE_DEVICES=" : "",
                             visible ? visible : "");
        gpu->id = id;
    }
    return true;
}

void unitlist_done(struct unitlist *u)
{
    arena_done(&u->arena);
    *u = (struct unitlist){0};
}
