/* Objects, by as many threads as the store is set to, each with an object of its own. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/pack.h"
#include "cache/pack_team.h"
#include "cache/verify_impl.h"
#include <errno.h>
#include <fcntl.h>

/* *ret_again: the file was replaced while it was read. */
static bool look(struct verify *v, const struct verify_item *it, bool *ret_again, struct error *err)
{
    AUTO(mem) char *path = verify_path(v, it);
    AUTO(fd) int fd = fs_open(path, O_RDONLY | O_NOFOLLOW, 0);
    struct stat st;
    const char *why = NULL;
    *ret_again = false;
    if (fd < 0)
        return errno == ENOENT || error_errno(err, "cannot open '%s'", path);
    if (fstat(fd, &st) != 0)
        return error_errno(err, "cannot stat '%s'", path);
    bool whole = pack_check(&(struct frame_file){fd, path}, &it->digest, 1, &why, err);
    if (!whole && (!why || !verify_found(v, VERIFY_OBJECT, it, why, &st, ret_again, err)))
        return false;
    if (*ret_again)
        return true;
    pthread_mutex_lock(&v->mutex);
    v->report->objects++;
    v->report->bytes += st.st_size;
    pthread_mutex_unlock(&v->mutex);
    return true;
}

static void progress(struct verify *v, const struct verify_item *it)
{
    pthread_mutex_lock(&v->mutex);
    v->bytes += it->size;
    if (v->o->progress)
        v->o->progress(v->o->arg, v->bytes, v->of);
    pthread_mutex_unlock(&v->mutex);
}

static void work(struct pack_team *t, void *arg)
{
    struct verify *v = arg;
    struct error err = {0};
    for (int64_t i; (i = pack_team_next(t)) >= 0;) {
        const struct verify_item *it = &v->list[PLACE_OBJECT].item[i];
        bool again = true;
        while (again)
            if (!look(v, it, &again, &err)) {
                pack_team_fail(t, NULL, &err);
                return;
            }
        progress(v, it);
    }
}

bool verify_objects(struct verify *v, struct error *err)
{
    const struct verify_list *l = &v->list[PLACE_OBJECT];
    struct pack_team team;
    for (size_t i = 0; i < l->n; i++)
        v->of += l->item[i].size;
    return pack_team_run(&team, 0, (int64_t)l->n, (int)v->s->config.threads, work, v, NULL, err);
}
