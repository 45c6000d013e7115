/* Requests, tries, and the loop that drives them. */
#include "base/http.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/http_impl.h"
#include "base/mem.h"
#include "base/rng.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#define PAUSE_MAX  60.0  /* seconds, of our own */
#define RETRY_MAX  600.0 /* of the server's */
#define MEMORY_MAX (1 << 20)
#define ENOUGH     (1 << 20) /* a try that brought so much is not counted */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global;
static void init(void)
{
    global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- options ---- */

static char *copy(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

static void free_text(const char *s)
{
    free((char *)(uintptr_t)s);
}

/* A line break in a credential would be a header of its own. */
static bool plain(const char *s)
{
    for (; s && *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127)
            return false;
    return true;
}

#define TEXTS 10
static void texts(const struct http_options *o, const char *ret[TEXTS])
{
    const char *const all[TEXTS] = {o->user,          o->password,   o->bearer,     o->netrc,
                                    o->ca_file,       o->region,     o->access_key, o->secret_key,
                                    o->session_token, o->unix_socket};
    memcpy(ret, all, sizeof all);
}

static void copy_options(struct http_options *to, const struct http_options *o)
{
    *to = *o;
    to->parallel = o->parallel > 0 ? o->parallel : 8;
    to->tries = o->tries > 0 ? o->tries : 5;
    to->pause = o->pause > 0 ? o->pause : 0.5;
    to->connect_timeout = o->connect_timeout > 0 ? o->connect_timeout : 10;
    to->silence_timeout = o->silence_timeout > 0 ? o->silence_timeout : 30;
    to->user = copy(o->user);
    to->password = copy(o->password);
    to->bearer = copy(o->bearer);
    to->netrc = copy(o->netrc);
    to->ca_file = copy(o->ca_file);
    to->region = copy(o->region);
    to->access_key = copy(o->access_key);
    to->secret_key = copy(o->secret_key);
    to->session_token = copy(o->session_token);
    to->unix_socket = copy(o->unix_socket);
}

struct http *http_new(const struct http_options *o, struct error *err)
{
    const char *text[TEXTS];
    texts(o, text);
    for (size_t i = 0; i < TEXTS; i++)
        if (!plain(text[i])) {
            error_set(err, NULL, ERROR_INPUT, "a credential or file name for HTTP has a line break in it");
            return NULL;
        }
    pthread_once(&once, init);
    CURLM *multi = global == CURLE_OK ? curl_multi_init() : NULL;
    if (!multi) {
        error_set(err, NULL, ERROR_SYSTEM, "libcurl does not start: %s", curl_easy_strerror(global));
        return NULL;
    }
    struct http *h = xcalloc(1, sizeof *h);
    copy_options(&h->o, o);
    h->multi = multi;
    h->last = &h->first;
    h->draws = (uint64_t)getpid() ^ (uint64_t)(clock_seconds() * 1e9);
    return h;
}

/* ---- transfers ---- */

static void free_transfer(struct http_transfer *t)
{
    if (t->easy) {
        curl_multi_remove_handle(t->http->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    if (t->fd >= 0)
        fs->close(t->fd);
    curl_slist_free_all(t->header);
    curl_slist_free_all(t->try_header);
    free_text(t->q.method);
    free_text(t->q.url);
    free_text(t->q.body_file);
    free_text(t->q.to_file);
    free(t->etag);
    free(t->reply.body);
    buf_done(&t->body);
    buf_done(&t->head);
    free(t);
}

void http_free(struct http *h)
{
    if (!h)
        return;
    while (h->first) {
        struct http_transfer *t = h->first;
        h->first = t->next;
        free_transfer(t);
    }
    curl_multi_cleanup(h->multi);
    const char *text[TEXTS];
    texts(&h->o, text);
    for (size_t i = 0; i < TEXTS; i++)
        free_text(text[i]);
    free(h);
}

void http_add(struct http *h, const struct http_request *q)
{
    struct http_transfer *t = xcalloc(1, sizeof *t);
    t->http = h;
    t->q = *q;
    t->q.method = xstrdup(q->method);
    t->q.url = xstrdup(q->url);
    t->q.body_file = copy(q->body_file);
    t->q.to_file = copy(q->to_file);
    if (!q->max && !q->to_file)
        t->q.max = MEMORY_MAX;
    for (const char *const *s = q->header; s && *s; s++)
        t->header = curl_slist_append(t->header, *s);
    t->q.header = NULL;
    t->fd = -1;
    t->start = clock_seconds();
    *h->last = t;
    h->last = &t->next;
    h->left++;
}

const char *http_header(const struct http_reply *r, const char *name)
{
    return http_head((const struct http_transfer *)r, name);
}

bool http_is(const struct http_transfer *t, const char *method)
{
    return strcmp(t->q.method, method) == 0;
}

/* ---- texts without secrets ---- */

/* The URL without user and password; without its query, too, which may be signed. malloc'd. */
static char *shown(const char *url, bool query)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t all = query ? strlen(host) : strcspn(host, "?#");
    size_t authority = strcspn(host, "/?#"), skip = 0;
    for (size_t i = 0; i < authority; i++)
        if (host[i] == '@')
            skip = i + 1;
    return xprintf("%.*s%.*s", (int)(host - url), url, (int)(all - skip), host + skip);
}

static bool tells(const struct http *h, const char *text)
{
    const char *secret[] = {h->o.password, h->o.bearer, h->o.secret_key, h->o.session_token, h->o.user};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        if (secret[i] && *secret[i] && strstr(text, secret[i]))
            return true;
    return strchr(text, '@') != NULL;
}

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } row[] = {{301, "moved"},
               {302, "moved"},
               {307, "moved"},
               {308, "moved"},
               {400, "bad request"},
               {401, "user or password are missing or wrong"},
               {403, "not allowed: check the credentials"},
               {404, "not found"},
               {405, "the server does not allow this method"},
               {407, "the proxy wants a user and password"},
               {408, "it waited too long"},
               {411, "it wants a length"},
               {412, "there is one already"},
               {413, "too large for it"},
               {416, "no such range"},
               {429, "too many requests"},
               {500, "internal error"},
               {501, "not implemented"},
               {502, "bad gateway"},
               {503, "not available now"},
               {504, "gateway timeout"},
               {507, "its disk is full"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].status == status)
            return row[i].text;
    return "unexpected";
}

/* ---- the end of a try ---- */

static void end_try(struct http_transfer *t)
{
    curl_multi_remove_handle(t->http->multi, t->easy);
    curl_easy_cleanup(t->easy);
    t->easy = NULL;
    t->state = HTTP_WAITING;
    t->http->running--;
}

static bool may_pass(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static bool status_may_pass(int status)
{
    return status == 408 || status == 429 || (status >= 500 && status <= 504 && status != 501);
}

/* The content of a try that ended well, whole? False: the body is short of what the head promised. */
static bool whole(struct http_transfer *t)
{
    if (!http_is(t, "GET"))
        return true;
    if (!t->begun && !http_begin(t)) /* there was no body */
        return false;
    return t->total < 0 || t->at == t->total;
}

/* 416: the file has all there is, or something else altogether. */
static bool complete_by_range(struct http_transfer *t)
{
    int64_t first, total;
    http_content_range(t, &first, &total);
    if (t->at > 0 && total == t->at && http_is(t, "GET"))
        return true;
    t->restart = t->at > 0;
    return false;
}

static void say(struct http_transfer *t, const char *what)
{
    AUTO(mem) char *url = shown(t->q.url, false);
    AUTO(mem) char *tries = t->tries > 1 ? xprintf(" (tried %d times)", t->tries) : xstrdup("");
    int status = t->reply.status;
    error_set(&t->reply.err, NULL, status >= 400 && status < 500 ? ERROR_INPUT : ERROR_SYSTEM, "%s %s: %s%s",
              t->q.method, url, what, tries);
}

/* Why a try failed. */
static void explain(struct http_transfer *t, CURLcode code)
{
    AUTO(mem) char *url = shown(t->q.url, false);
    int status = t->reply.status;
    if (t->failed && t->reply.err.code) {
        error_context(&t->reply.err, "%s %s", t->q.method, url);
        return;
    }
    AUTO(mem) char *what = NULL;
    if (t->silent)
        what = xprintf("nothing came for %.0f seconds", t->http->o.silence_timeout);
    else if (t->restart)
        what = xstrdup("the content changed meanwhile, or the server's ranges are wrong");
    else if (code != CURLE_OK && code != CURLE_WRITE_ERROR)
        what = xstrdup(t->why[0] && !tells(t->http, t->why) ? t->why : curl_easy_strerror(code));
    else if (status >= 200 && status < 300)
        what = xprintf("the content ends after %lld bytes", (long long)t->at);
    else
        what = xprintf("the server answers %d (%s)", status, status_text(status));
    say(t, what);
}

/* Seconds until the next try: doubled each time, and never all at once. */
static double pause_of(struct http_transfer *t, double asked)
{
    struct http *h = t->http;
    struct rng r = rng_at(rng_stream(h->draws, "http.jitter"), h->draws, 0);
    h->draws++;
    double own = fmin(ldexp(h->o.pause, t->tries < 20 ? t->tries - 1 : 20), fmax(PAUSE_MAX, h->o.pause));
    own *= 0.5 + 0.5 * rng_uniform_double(&r);
    return asked > 0 ? fmin(asked, RETRY_MAX) : own;
}

static void finish(struct http_transfer *t, bool ok)
{
    struct http *h = t->http;
    struct http_transfer **p = &h->first;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    if (!*p)
        h->last = p;
    h->left--;
    t->reply.ok = ok;
    t->reply.size = http_is(t, "GET") ? t->at : t->total;
    if (t->fd >= 0 && fs_close(t->fd) != 0 && ok && t->q.to_file) {
        error_errno(&t->reply.err, "cannot close '%s'", t->q.to_file);
        t->reply.ok = false;
    }
    t->fd = -1;
    if (ok && http_is(t, "GET") && !t->q.to_file) {
        t->reply.n = t->body.len;
        t->reply.body = buf_take(&t->body);
    }
    AUTO(mem) char *url = shown(t->reply.url ? t->reply.url : t->q.url, true);
    t->reply.url = url;
    if (t->q.done)
        t->q.done(t->q.arg, &t->reply);
    free_transfer(t);
}

/* Another try, when there may be one in time. */
static bool again(struct http_transfer *t, bool passes, double asked)
{
    struct http *h = t->http;
    if (t->at >= t->best + ENOUGH)
        t->tries--;
    t->best = t->at > t->best ? t->at : t->best;
    if (t->failed || !passes || t->tries >= h->o.tries)
        return false;
    t->due = clock_seconds() + pause_of(t, asked);
    if (h->o.total_timeout > 0 && t->due > t->start + h->o.total_timeout)
        return false;
    memset(&t->reply, 0, sizeof t->reply);
    return true;
}

static void ended(struct http_transfer *t, CURLcode code)
{
    long status = 0;
    curl_off_t asked = 0, length = -1;
    char *url = NULL;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &asked);
    curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    AUTO(mem) char *after = copy(url);
    t->reply.status = (int)status;
    t->reply.url = after;
    if (http_is(t, "HEAD"))
        t->total = length;
    bool ok = code == CURLE_OK && status >= 200 && status < 300 && whole(t);
    if (code == CURLE_OK && status == 416 && complete_by_range(t))
        ok = true;
    bool cut = code == CURLE_OK && status >= 200 && status < 300;
    bool passes = cut || t->restart || t->silent || may_pass(code) || status_may_pass((int)status);
    if (!ok)
        explain(t, code);
    end_try(t);
    if (ok || !again(t, passes, (double)asked))
        finish(t, ok);
}

/* ---- the loop ---- */

static void start(struct http_transfer *t)
{
    struct curl_slist *header = NULL;
    t->tries++;
    t->begun = false;
    t->silent = false;
    t->moved = 0;
    t->skipped = 0;
    t->total = -1;
    t->why[0] = 0;
    t->heard = clock_seconds();
    buf_clear(&t->head);
    bool ok = http_prepare(t, &header);
    curl_slist_free_all(t->try_header);
    t->try_header = header;
    t->restart = false;
    if (ok) {
        curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, header);
        ok = curl_multi_add_handle(t->http->multi, t->easy) == CURLM_OK;
    }
    if (ok) {
        t->state = HTTP_RUNNING;
        t->http->running++;
        return;
    }
    t->failed = true;
    if (!t->reply.err.code)
        error_set(&t->reply.err, NULL, ERROR_SYSTEM, "libcurl does not take the transfer");
    explain(t, CURLE_OK);
    finish(t, false);
}

/* Start what is due; seconds until the next one is. */
static double start_due(struct http *h)
{
    double now = clock_seconds(), next = HUGE_VAL;
    for (struct http_transfer *t = h->first, *then; t && h->running < h->o.parallel; t = then) {
        then = t->next;
        if (t->state != HTTP_WAITING)
            continue;
        if (t->due > now)
            next = fmin(next, t->due - now);
        else {
            start(t); /* may end it at once, and done() add more behind it */
            then = h->first;
        }
    }
    return next;
}

static bool collect(struct http *h)
{
    bool any = false;
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(h->multi, &left))) {
        struct http_transfer *t = NULL;
        CURLcode code = m->data.result;
        if (m->msg == CURLMSG_DONE && curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) == CURLE_OK)
            ended(t, code);
        any = true;
    }
    return any;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) > 0;
}

int http_run(struct http *h, double seconds, int wake)
{
    double end = seconds < 0 ? HUGE_VAL : clock_seconds() + seconds;
    for (;;) {
        int running;
        double next = start_due(h);
        curl_multi_perform(h->multi, &running);
        bool any = collect(h);
        double now = clock_seconds();
        if (!h->left || now >= end || is_readable(wake))
            return h->left;
        if (any)
            continue; /* there is room for the next */
        double wait = fmin(fmin(next, end - now), fmin(0.25, h->o.silence_timeout / 2));
        struct curl_waitfd extra = {.fd = wake, .events = CURL_WAIT_POLLIN};
        curl_multi_poll(h->multi, &extra, wake >= 0, (int)ceil(wait * 1000), NULL);
    }
}
