/* Looking at all that a store holds. Others may work on it meanwhile: what is wrong with a file counts only
 * when that very file is still in its place. */
#include "cache/verify.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/verify_impl.h"
#include <errno.h>
#include <string.h>

static const char *const kind_name[] = {
    [VERIFY_OBJECT] = "object",         [VERIFY_RECORD] = "record", [VERIFY_MISSING] = "missing",
    [VERIFY_CHECKPOINT] = "checkpoint", [VERIFY_PIN] = "pin",       [VERIFY_FOREIGN] = "foreign",
};

const char *verify_kind_name(enum verify_kind k)
{
    return kind_name[k];
}

char *verify_path(const struct verify *v, const struct verify_item *it)
{
    return xprintf("%s/%s", v->s->path, it->path);
}

/* ---- what was found ---- */

/* The same names as store_quarantine gives. What is foreign, or what somebody pinned, may be dear to someone:
 * it replaces nothing. */
static char *quarantine_path(const struct verify *v, enum verify_kind kind, const struct digest *d)
{
    char hex[DIGEST_HEX];
    const char *name = kind_name[kind == VERIFY_MISSING ? VERIFY_RECORD : kind];
    char *path = xprintf("%s/quarantine/%s-%s", v->s->path, name, digest_hex(d, hex));
    struct stat st;
    for (int i = 1; (kind == VERIFY_FOREIGN || kind == VERIFY_PIN) && lstat(path, &st) == 0; i++) {
        free(path);
        path = xprintf("%s/quarantine/%s-%s.%d", v->s->path, name, hex, i);
    }
    return path;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool report(struct verify *v, enum verify_kind kind, const struct verify_item *it, const char *why,
                   const char *path, struct error *err)
{
    v->report->findings[kind]++;
    if (v->o->see)
        v->o->see(v->o->arg, &(struct verify_finding){kind, it->path, why});
    if (!v->o->repair)
        return true;
    AUTO(mem) char *to = quarantine_path(v, kind, &it->digest);
    if (fs->rename(path, to) == 0)
        v->report->repaired++;
    else if (errno != ENOENT) /* whoever read it moved it first */
        return error_errno(err, "cannot move '%s' to quarantine", path);
    return true;
}

bool verify_found(struct verify *v, enum verify_kind kind, const struct verify_item *it, const char *why,
                  const struct stat *st, bool *ret_again, struct error *err)
{
    AUTO(mem) char *path = verify_path(v, it);
    struct stat now;
    pthread_mutex_lock(&v->mutex);
    *ret_again = lstat(path, &now) != 0 || !same_file(st, &now);
    bool ok = *ret_again || report(v, kind, it, why, path, err);
    pthread_mutex_unlock(&v->mutex);
    return ok;
}

static bool verify_foreign(struct verify *v, struct error *err)
{
    const struct verify_list *l = &v->list[PLACE_FOREIGN];
    for (size_t i = 0; i < l->n; i++) {
        AUTO(mem) char *path = verify_path(v, &l->item[i]);
        struct stat st;
        bool again;
        if (lstat(path, &st) == 0 &&
            !verify_found(v, VERIFY_FOREIGN, &l->item[i], "the store did not make this", &st, &again, err))
            return false;
    }
    return true;
}

/* ---- all ---- */

static void verify_done(struct verify *v)
{
    for (int p = 0; p < PLACES; p++) {
        for (size_t i = 0; i < v->list[p].n; i++)
            free(v->list[p].item[i].path);
        free(v->list[p].item);
    }
    pthread_mutex_destroy(&v->mutex);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct verify_item *)a)->path, ((const struct verify_item *)b)->path);
}

bool store_verify(struct store *s, const struct verify_options *o, struct verify_report *ret,
                  struct error *err)
{
    __attribute__((cleanup(verify_done))) struct verify v = {.s = s, .o = o, .report = ret};
    *ret = (struct verify_report){0};
    pthread_mutex_init(&v.mutex, NULL);
    if (!store_flush(s, err) || !verify_walk(&v, err))
        return error_context(err, "verify");
    for (int p = 0; p < PLACES; p++)
        if (v.list[p].n)
            qsort(v.list[p].item, v.list[p].n, sizeof *v.list[p].item, by_path);
    /* Objects first: repair then finds the records that miss them. */
    return (verify_objects(&v, err) && verify_records(&v, err) && verify_checkpoints(&v, err) &&
            verify_pins(&v, err) && verify_foreign(&v, err)) ||
           error_context(err, "verify");
}
