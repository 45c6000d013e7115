/* What failures come to: one warning, and after some in a row the tier is left alone. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/remote_impl.h"

bool remote_is_off(const struct remote *r, enum remote_way way)
{
    return r->off[REMOTE_LINK] || r->off[way];
}

static void warn(struct remote *r, const char *before, const char *text, const char *after)
{
    struct remote_answer a = {.hit = false};
    if (r->warned)
        return;
    r->warned = true;
    snprintf(a.warning, sizeof a.warning, "%s: %.300s%s", before, text, after);
    remote_tell(r, &a);
}

void remote_warn_here(struct remote *r, const struct error *err)
{
    warn(r, "what the remote store has cannot be taken", err->text, "");
}

static void failed(struct remote *r, enum remote_way way, const char *text)
{
    pthread_mutex_lock(&r->mutex);
    r->stats.failures++;
    pthread_mutex_unlock(&r->mutex);
    if (++r->failures[way] >= REMOTE_FAILURES)
        r->off[way] = true;
    warn(r, "the remote store has trouble", text,
         "; what it lacks is computed here, and after 3 failures in a row it is left alone");
}

void remote_went_well(struct remote *r, enum remote_way way, bool found)
{
    r->failures[REMOTE_LINK] = 0;
    if (found)
        r->failures[way] = 0;
}

/* A server that says no to one way may say yes to the other: it may be full, or only for reading. */
void remote_trouble(struct remote *r, enum remote_way way, const struct http_reply *reply)
{
    int status = reply->status;
    bool refused = status >= 300 && (status < 500 || status == 501 || status == 507);
    if (refused)
        r->failures[REMOTE_LINK] = 0;
    failed(r, refused ? way : REMOTE_LINK, reply->err.text);
}

void remote_is_wrong(struct remote *r, const char *kind, const struct digest *d, const char *why)
{
    char hex[DIGEST_HEX];
    AUTO(mem) char *text = xprintf("%s/%s/%s is not right: %s", r->url, kind, digest_hex(d, hex), why);
    remote_replace(r, d);
    failed(r, REMOTE_DOWN, text);
}

static size_t find(const struct remote *r, const struct digest *d)
{
    size_t i = 0;
    while (i < r->n_wrong && !digest_equal(&r->wrong[i], d))
        i++;
    return i;
}

bool remote_was_wrong(const struct remote *r, const struct digest *d)
{
    return find(r, d) < r->n_wrong;
}

void remote_replace(struct remote *r, const struct digest *d)
{
    if (remote_was_wrong(r, d))
        return;
    r->wrong = xgrow(r->wrong, &r->wrong_cap, r->n_wrong + 1, sizeof *r->wrong);
    r->wrong[r->n_wrong++] = *d;
}

void remote_is_right(struct remote *r, const struct digest *d)
{
    size_t i = find(r, d);
    if (i < r->n_wrong)
        r->wrong[i] = r->wrong[--r->n_wrong];
}
