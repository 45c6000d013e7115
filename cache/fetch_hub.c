/* The Hugging Face hub: GET /api/{models,datasets}/OWNER/NAME/revision/REV?blobs=true names the commit and
 * the files, each with its size and its SHA-256 (large files) or git blob's SHA-1; GET
 * /[datasets/]OWNER/NAME/resolve/COMMIT/FILE gives one, often by a redirect to another host, which gets no
 * token. What a hub says is not trusted: names, numbers and sizes have bounds. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/param.h"
#include "cache/fetch_impl.h"
#include "cache/store_impl.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ENDPOINT    "https://huggingface.co"
#define LISTING_MAX (64 << 20)         /* bytes */
#define FILES_MAX   100000             /* of a repository */
#define SIZE_MAX_   ((int64_t)1 << 50) /* bytes of a file */

/* ---- the environment ---- */

/* HF_ENDPOINT without slashes at its end; malloc'd. */
static char *endpoint(struct error *err)
{
    const char *said = getenv("HF_ENDPOINT");
    char *url = xstrdup(said && *said ? said : ENDPOINT);
    for (size_t n = strlen(url); n && url[n - 1] == '/'; n--)
        url[n - 1] = '\0';
    struct origin o;
    bool ok = origin_parse(url, &o, err) &&
              (o.kind == ORIGIN_FILE ||
               error_set(err, NULL, ERROR_INPUT, "'%s' is not the https:// address of a hub", url));
    origin_done(&o);
    if (ok)
        return url;
    error_context(err, "HF_ENDPOINT");
    free(url);
    return NULL;
}

/* HF_TOKEN without blanks around it; malloc'd, NULL: none. */
static char *token(void)
{
    const char *t = getenv("HF_TOKEN");
    size_t n = t ? strlen(t) : 0;
    while (n && isspace((unsigned char)*t))
        t++, n--;
    while (n && isspace((unsigned char)t[n - 1]))
        n--;
    return n ? xstrndup(t, n) : NULL;
}

/* ---- places ---- */

static char *repository(const struct store *s, const struct origin *o)
{
    return xprintf("%s/fetched/hub/%s/%s/%s", store_path(s), o->datasets ? "datasets" : "models", o->owner,
                   o->name);
}

static char *ref_path(const struct store *s, const struct origin *o)
{
    struct digest d;
    char hex[DIGEST_HEX];
    AUTO(mem) char *dir = repository(s, o);
    hash_bytes(o->revision, strlen(o->revision), &d);
    return xprintf("%s/refs/%s", dir, digest_hex(&d, hex));
}

char *hub_ref(const struct store *s, const struct origin *o)
{
    if (o->is_commit)
        return xstrdup(o->revision);
    AUTO(mem) char *path = ref_path(s, o);
    AUTO_JSON j = fs_exists(path) ? json_read(path, NULL) : NULL;
    const char *commit = store_unseal(j) ? json_string_or(j, "commit", "") : "";
    return origin_is_commit(commit) ? xstrdup(commit) : NULL;
}

bool hub_set_ref(struct store *s, const struct origin *o, const char *commit, struct error *err)
{
    if (o->is_commit)
        return true;
    AUTO(mem) char *path = ref_path(s, o);
    AUTO_JSON j = json_pack("{s:s, s:s}", "revision", o->revision, "commit", commit);
    store_seal(j);
    AUTO(mem) char *text = json_text(j, false);
    return store_publish(s, path, text, strlen(text), err);
}

void hub_place(const struct store *s, const struct origin *o, const char *commit, struct fetch_set *ret)
{
    struct digest d;
    char hex[DIGEST_HEX];
    AUTO(mem) char *dir = repository(s, o);
    *ret = (struct fetch_set){.dir = xprintf("%s/%s", dir, commit)};
    ret->pinned = xprintf("hf://%s%s/%s@%s%s%s", o->datasets ? "datasets/" : "", o->owner, o->name, commit,
                          o->file ? "/" : "", o->file ? o->file : "");
    if (!o->file) {
        ret->manifest = xprintf("%s/manifest", ret->dir);
        return;
    }
    hash_bytes(o->file, strlen(o->file), &d);
    ret->manifest = xprintf("%s/only/%s", ret->dir, digest_hex(&d, hex));
}

/* ---- what an answer means ---- */

struct question {
    const struct origin *origin;
    const char *endpoint, *token, *revision;
};

static void explain(void *arg, const struct http_reply *r, struct error *err)
{
    const struct question *q = arg;
    const struct origin *o = q->origin;
    AUTO(mem) char *repo = xprintf("%s%s/%s", o->datasets ? "datasets/" : "", o->owner, o->name);
    const char *code = http_header(r, "X-Error-Code");
    bool no_revision = code && strcmp(code, "RevisionNotFound") == 0;
    if (r->status == 401 && q->token)
        error_set(err, NULL, ERROR_INPUT,
                  "the hub does not take the token in HF_TOKEN, or has no repository '%s' for it", repo);
    else if (r->status == 401)
        error_set(
            err, NULL, ERROR_INPUT,
            "the hub has no repository '%s' for everybody: where it is private or gated, set HF_TOKEN to "
            "a token that may read it",
            repo);
    else if (r->status == 403)
        error_set(
            err, NULL, ERROR_INPUT,
            "'%s' is gated: accept its conditions at %s/%s, and set HF_TOKEN to a token of that account",
            repo, q->endpoint, repo);
    else if (r->status == 404 && no_revision)
        error_set(err, NULL, ERROR_INPUT, "'%s' has no branch, tag or commit '%s'", repo, q->revision);
    else if (r->status == 404)
        error_set(err, NULL, ERROR_INPUT, "the hub has no repository '%s', or no revision '%s' of it", repo,
                  q->revision);
    else if (r->status == 429 && !q->token)
        error_context(err, "the hub lets those who set HF_TOKEN ask more often");
}

/* ---- the list of files ---- */

static bool add_file(struct fetch_set *f, const json_t *j, struct error *err)
{
    const char *name = json_string_or(j, "rfilename", ""), *git = json_string_or(j, "blobId", ""),
               *sha = json_string_or(json_object_get(j, "lfs"), "sha256", "");
    int64_t size = json_int_or(j, "size", -1);
    struct digest d;
    if (!origin_name_ok(name))
        return error_set(err, NULL, ERROR_INPUT, "the hub names a file '%.100s', which is no file name",
                         name);
    if (json_is_object(json_object_get(j, "lfs")))
        size = json_int_or(json_object_get(j, "lfs"), "size", size);
    if (size < 0 || size > SIZE_MAX_)
        return error_set(err, NULL, ERROR_INPUT, "the hub does not say how large '%s' is", name);
    bool large = digest_parse(sha, &d);
    if (!large && (!origin_is_commit(git) || *sha))
        return error_set(err, NULL, ERROR_INPUT, "the hub gives no digest of '%s'", name);
    struct fetch_file *file = fetch_set_add(f, name);
    file->size = size;
    file->git = !large;
    memcpy(file->hex, large ? sha : git, strlen(large ? sha : git) + 1);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct fetch_file *)a)->name, ((const struct fetch_file *)b)->name);
}

static bool check_list(struct fetch_set *f, struct error *err)
{
    if (!f->n)
        return error_set(err, NULL, ERROR_INPUT, "the repository is empty");
    qsort(f->file, f->n, sizeof *f->file, by_name);
    for (size_t i = 1; i < f->n; i++)
        if (strcmp(f->file[i - 1].name, f->file[i].name) == 0)
            return error_set(err, NULL, ERROR_INPUT, "the hub names '%s' twice", f->file[i].name);
    return true;
}

/* Only the file that was asked for stays in the list. */
static bool choose(struct fetch_set *f, const char *name, struct error *err)
{
    AUTO(mem) const char **names = xcalloc(f->n + 1, sizeof *names);
    for (size_t i = 0; i < f->n; i++) {
        names[i] = f->file[i].name;
        if (strcmp(names[i], name) != 0)
            continue;
        const struct fetch_file keep = f->file[i];
        f->file[i] = f->file[0];
        f->file[0] = keep;
        for (; f->n > 1; f->n--)
            free(f->file[f->n - 1].name);
        return true;
    }
    const char *near = nearest_name(names, f->n, name);
    return error_set(err, NULL, ERROR_INPUT, "the repository has no file '%s'%s%s%s", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool read_list(const char *text, size_t n, const struct origin *o, const char *commit,
                      struct fetch_set *f, char **ret_commit, struct error *err)
{
    AUTO_JSON j = json_parse(text, n, "answer", NULL);
    if (!j)
        return error_set(err, NULL, ERROR_INPUT, "the hub's answer is not JSON (is HF_ENDPOINT a hub?)");
    const char *sha = json_is_object(j) ? json_string_or(j, "sha", "") : "";
    const json_t *list = json_object_get(j, "siblings");
    if (!origin_is_commit(sha) || !json_is_array(list))
        return error_set(err, NULL, ERROR_INPUT, "the hub's answer does not name a commit and its files");
    if (commit && strcmp(sha, commit) != 0)
        return error_set(err, NULL, ERROR_INPUT, "the hub answers for commit %s when asked for %s", sha,
                         commit);
    if (json_array_size(list) > FILES_MAX)
        return error_set(err, NULL, ERROR_INPUT, "the repository has more than %d files", FILES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!add_file(f, json_array_get(list, i), err))
            return false;
    *ret_commit = xstrdup(sha);
    return check_list(f, err) && (!o->file || choose(f, o->file, err));
}

struct answer {
    const struct question *question;
    bool ok;
    char *body;
    size_t n;
    struct error err;
};
static void on_list(void *arg, struct http_reply *r)
{
    struct answer *a = arg;
    a->ok = r->ok;
    a->body = r->body;
    a->n = r->n;
    a->err = r->err;
    r->body = NULL;
    if (!r->ok)
        explain((void *)(uintptr_t)a->question, r, &a->err);
}

static char *encoded(const char *text, bool slashes)
{
    AUTO(buf) struct buf b = {0};
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (isalnum(*c) || strchr("-._~", *c) || (slashes && *c == '/'))
            buf_putc(&b, (char)*c);
        else
            buf_printf(&b, "%%%02X", *c);
    return buf_take(&b);
}

static bool ask(const struct fetch_get *g, const struct question *q, struct answer *ret, struct error *err)
{
    const struct origin *o = q->origin;
    AUTO(mem) char *rev = encoded(q->revision, false);
    AUTO(mem)
    char *url = xprintf("%s/api/%s/%s/%s/revision/%s?blobs=true", q->endpoint,
                        o->datasets ? "datasets" : "models", o->owner, o->name, rev);
    struct http *h = fetch_http(g->store, q->token, err);
    if (!h)
        return false;
    *ret = (struct answer){.question = q};
    http_add(h, &(struct http_request){
                    .method = "GET", .url = url, .max = LISTING_MAX, .done = on_list, .arg = ret});
    bool ended = fetch_wait(h, g->o, NULL, err);
    http_free(h);
    if (ended && !ret->ok)
        *err = ret->err;
    return ended && ret->ok;
}

bool hub_list(const struct fetch_get *g, const struct origin *o, const char *commit, struct fetch_set *ret,
              char **ret_commit, struct error *err)
{
    AUTO(mem) char *hub = endpoint(err);
    AUTO(mem) char *secret = token();
    const struct question q = {o, hub, secret, commit ? commit : o->revision};
    struct answer a = {0};
    AUTO(fetch_set) struct fetch_set list = {0};
    AUTO(mem) char *sha = NULL;
    if (!hub || !ask(g, &q, &a, err))
        return false;
    AUTO(mem) char *body = a.body;
    if (!read_list(body ? body : "", a.n, o,
                   commit         ? commit
                   : o->is_commit ? o->revision
                                  : NULL,
                   &list, &sha, err))
        return false;
    hub_place(g->store, o, sha, ret);
    ret->file = list.file;
    ret->n = list.n;
    ret->cap = list.cap;
    list = (struct fetch_set){0};
    *ret_commit = sha;
    sha = NULL;
    return true;
}

bool hub_get(struct fetch_get *g, const struct origin *o, const char *commit, struct fetch_set *f,
             struct error *err)
{
    AUTO(mem) char *hub = endpoint(err);
    AUTO(mem) char *secret = token();
    struct question q = {o, hub, secret, commit};
    if (!hub)
        return false;
    for (size_t i = 0; i < f->n; i++) {
        AUTO(mem) char *name = encoded(f->file[i].name, true);
        free(f->file[i].url);
        f->file[i].url = xprintf("%s/%s%s/%s/resolve/%s/%s", hub, o->datasets ? "datasets/" : "", o->owner,
                                 o->name, commit, name);
    }
    g->bearer = secret;
    g->explain = explain;
    g->arg = &q;
    bool ok = fetch_get(g, f, err);
    g->bearer = NULL;
    return ok;
}
