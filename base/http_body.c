/* What libcurl calls while a transfer runs: heads, bodies both ways, time. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/http_impl.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX (1 << 16)
#define PAGE_MAX (1 << 20)
#define SIGN     1024 /* bytes that count as a sign of life */

static int64_t number(const char *s)
{
    char *end;
    errno = 0;
    long long n = *s >= '0' && *s <= '9' ? strtoll(s, &end, 10) : -1;
    return errno ? -1 : n;
}

const char *http_head(const struct http_transfer *t, const char *name)
{
    size_t len = strlen(name);
    const char *found = NULL, *p = buf_str(&t->head);
    for (const char *end = p + t->head.len; p < end; p += strlen(p) + 1)
        if (strncasecmp(p, name, len) == 0 && p[len] == ':') {
            found = p + len + 1;
            found += strspn(found, " \t");
        }
    return found;
}

void http_content_range(const struct http_transfer *t, int64_t *first, int64_t *total)
{
    const char *range = http_head(t, "Content-Range");
    *first = *total = -1;
    if (!range || strncasecmp(range, "bytes ", 6) != 0)
        return;
    const char *slash = strchr(range, '/');
    *first = number(range + 6);
    *total = slash ? number(slash + 1) : -1;
}

/* A line of a head. After a redirect, or "100 Continue", another head begins. */
size_t http_on_head(char *p, size_t size, size_t n, void *arg)
{
    struct http_transfer *t = arg;
    size_t len = size * n, keep = len;
    if (len > 5 && memcmp(p, "HTTP/", 5) == 0) {
        buf_clear(&t->head);
        t->begun = false;
    }
    while (keep && (p[keep - 1] == '\r' || p[keep - 1] == '\n'))
        keep--;
    if (!keep || memchr(p, 0, keep) || t->head.len + keep + 1 > HEAD_MAX)
        return len;
    buf_add(&t->head, p, keep);
    buf_putc(&t->head, 0);
    return len;
}

static bool fail(struct http_transfer *t)
{
    t->failed = true;
    return false;
}

/* The content from its start: what the file has belongs to another one. */
static bool from_start(struct http_transfer *t)
{
    t->at = 0;
    if (t->fd < 0 || fs->ftruncate(t->fd, 0) == 0)
        return true;
    error_errno(&t->reply.err, "cannot shorten '%s'", t->q.to_file);
    return fail(t);
}

static bool other_content(const struct http_transfer *t)
{
    const char *etag = http_head(t, "ETag");
    return t->etag && etag && strcmp(t->etag, etag) != 0;
}

/* Where the body goes on, by the status and Content-Range. */
static bool place(struct http_transfer *t, long status)
{
    int64_t first;
    curl_off_t length = -1;
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    t->total = length;
    if (status != 206)
        return t->at == 0 || from_start(t);
    http_content_range(t, &first, &t->total);
    t->restart = first != t->at || other_content(t);
    return !t->restart;
}

static void remember_etag(struct http_transfer *t)
{
    const char *etag = http_head(t, "ETag");
    free(t->etag);
    t->etag = etag && *etag == '"' ? xstrdup(etag) : NULL; /* a weak one promises no bytes */
}

static bool too_long(struct http_transfer *t, int64_t n)
{
    if (t->q.max <= 0 || n <= t->q.max)
        return false;
    t->failed = true;
    return !error_set(&t->reply.err, NULL, ERROR_INPUT,
                      "the server sends more than the %lld bytes there can be", (long long)t->q.max);
}

bool http_begin(struct http_transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->begun = true;
    if (!place(t, status) || too_long(t, t->total))
        return false;
    remember_etag(t);
    return true;
}

size_t http_on_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_transfer *t = arg;
    size_t len = size * n;
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299 || !http_is(t, "GET")) { /* a page of words, that nobody reads */
        t->skipped += len;
        return t->skipped > PAGE_MAX ? 0 : len;
    }
    if ((!t->begun && !http_begin(t)) || too_long(t, t->at + (int64_t)len))
        return 0;
    if (t->fd < 0)
        buf_add(&t->body, p, len);
    else if (!fs_pwrite_all(t->fd, p, len, t->at, t->q.to_file, &t->reply.err)) {
        t->failed = true;
        return 0;
    }
    t->at += (int64_t)len;
    return len;
}

static ssize_t read_file(struct http_transfer *t, char *p, size_t n)
{
    for (;;) {
        ssize_t got = fs->pread(t->fd, p, n, t->sent);
        if (got > 0)
            return got;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            error_errno(&t->reply.err, "cannot read '%s'", t->q.body_file);
        else
            error_set(&t->reply.err, NULL, ERROR_SYSTEM, "'%s' became shorter while it was sent",
                      t->q.body_file);
        return -1;
    }
}

size_t http_on_send(char *p, size_t size, size_t n, void *arg)
{
    struct http_transfer *t = arg;
    int64_t left = t->body_n - t->sent;
    ssize_t len = (int64_t)(size * n) < left ? (ssize_t)(size * n) : (ssize_t)left;
    if (len == 0)
        return 0;
    if (t->q.body_file)
        len = read_file(t, p, (size_t)len);
    else
        memcpy(p, (const char *)t->q.body + t->sent, (size_t)len);
    if (len < 0) {
        t->failed = true;
        return CURL_READFUNC_ABORT;
    }
    t->sent += len;
    return (size_t)len;
}

int http_on_seek(void *arg, curl_off_t at, int whence)
{
    struct http_transfer *t = arg;
    if (whence != SEEK_SET || at < 0 || at > t->body_n)
        return CURL_SEEKFUNC_FAIL;
    t->sent = at;
    return CURL_SEEKFUNC_OK;
}

int http_on_progress(void *arg, curl_off_t all_down, curl_off_t down, curl_off_t all_up, curl_off_t up)
{
    struct http_transfer *t = arg;
    double now = clock_seconds();
    if (down + up >= t->moved + SIGN) {
        t->moved = down + up;
        t->heard = now;
    }
    if (t->q.progress && down)
        t->q.progress(t->q.arg, t->at, t->total);
    else if (t->q.progress && up)
        t->q.progress(t->q.arg, up, t->body_n);
    t->silent = now - t->heard > t->http->o.silence_timeout;
    return t->silent;
}
