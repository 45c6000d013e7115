/* Jobs and objects under way: who waits for what. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/remote_impl.h"
#include <search.h>
#include <string.h>

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* ---- objects ---- */

static void free_object(struct remote_object *o)
{
    tdelete(o, &o->r->object[o->way], by_digest);
    if (o->way == REMOTE_DOWN && !o->moved && o->path)
        fs->unlink(o->path);
    free(o->path);
    free(o->job);
    free(o);
}

struct remote_object *remote_job_waits(struct remote_job *j, const struct record_file *f, bool *ret_new)
{
    void *tree = &j->r->object[j->way];
    struct remote_object **found = tfind(&f->digest, tree, by_digest), *o = found ? *found : NULL;
    *ret_new = !o;
    if (!o) {
        o = xcalloc(1, sizeof *o);
        *o = (struct remote_object){.r = j->r, .way = j->way, .digest = f->digest, .size = f->size};
        if (!tsearch(o, tree, by_digest))
            mem_exhausted();
    }
    o->job = xgrow(o->job, &o->cap, o->n + 1, sizeof *o->job);
    o->job[o->n++] = j;
    j->object[j->n++] = o;
    j->left += !o->ended;
    j->failed = j->failed || (o->ended && !o->ok);
    return o;
}

static void leave(struct remote_object *o, const struct remote_job *j)
{
    size_t i = 0;
    while (o->job[i] != j)
        i++;
    o->job[i] = o->job[--o->n];
    if (!o->n)
        free_object(o);
}

void remote_object_ended(struct remote_object *o, bool ok)
{
    o->ended = true;
    o->ok = ok;
    for (size_t i = 0; i < o->n; i++) {
        struct remote_job *j = o->job[i];
        j->failed = j->failed || !ok;
        if (--j->left == 0 && j->begun)
            remote_job_done(j);
    }
}

/* ---- jobs ---- */

struct remote_job *remote_job_new(struct remote *r, enum remote_way way, const struct digest *key)
{
    struct remote_job *j = xcalloc(1, sizeof *j);
    *j = (struct remote_job){.r = r, .way = way, .id = ++r->ids, .key = *key, .next = r->job};
    r->job = j;
    r->jobs[way]++;
    return j;
}

static int by_file(const void *a, const void *b)
{
    const struct record_file *x = *(const struct record_file *const *)a,
                             *y = *(const struct record_file *const *)b;
    return by_digest(&x->digest, &y->digest);
}

void remote_job_files(struct remote_job *j)
{
    const struct record *rec = j->record;
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < rec->n; i++)
        n += rec->output[i].n;
    const struct record_file **file = j->file = xcalloc(n + 1, sizeof *file);
    n = 0;
    for (size_t i = 0; i < rec->n; i++)
        for (size_t k = 0; k < rec->output[i].n; k++)
            file[n++] = &rec->output[i].file[k];
    qsort(file, n, sizeof *file, by_file);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_file(&file[i], &file[kept - 1]) != 0)
            file[kept++] = file[i];
    j->files = kept;
    j->object = xcalloc(kept + 1, sizeof *j->object);
}

void remote_job_begin(struct remote_job *j, bool (*begin)(struct remote_job *j, const struct record_file *f))
{
    for (size_t i = 0; i < j->files && !j->failed; i++)
        if (!begin(j, j->file[i]))
            j->failed = true;
    j->begun = true;
    if (!j->left)
        remote_job_done(j);
}

void remote_job_done(struct remote_job *j)
{
    j->next_done = j->r->done;
    j->r->done = j;
    remote_wake(j->r);
}

void remote_job_free(struct remote_job *j)
{
    struct remote *r = j->r;
    struct remote_job **p = &r->job;
    while (*p != j)
        p = &(*p)->next;
    *p = j->next;
    r->jobs[j->way]--;
    for (size_t i = 0; i < j->n; i++)
        leave(j->object[i], j);
    record_free(j->record);
    free(j->file);
    free(j->object);
    free(j->text);
    free(j);
}

void remote_send(struct remote *r, const char *method, const char *kind, const struct digest *d,
                 struct http_request q)
{
    char hex[DIGEST_HEX];
    AUTO(mem) char *url = xprintf("%s/%s/%s", r->url, kind, digest_hex(d, hex));
    q.method = method;
    q.url = url;
    http_add(r->http, &q);
}
