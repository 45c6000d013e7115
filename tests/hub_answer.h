/* What the tests' hub has and how it answers a request: hub_server.h. */
#ifndef TESTS_HUB_ANSWER_H
#define TESTS_HUB_ANSWER_H
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/mem.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#define HUB_MAX 64
enum hub_trouble {
    HUB_FINE,
    HUB_CUT,   /* half of the content, then the end of the connection */
    HUB_WRONG, /* other content of that length */
    HUB_HANG,  /* nothing */
    HUB_MOVED, /* to the same path at "localhost", which is another host than 127.0.0.1 */
    HUB_STATUS /* and above: HUB_STATUS + 404 */
};
struct hub {
    struct hub_path {
        const char *path, *type; /* as asked for, without what follows '?' */
        char *content;
        size_t n;
        enum hub_trouble trouble;
        int times; /* that it has the trouble */
    } path[HUB_MAX];
    int n;
    const char *token; /* that everything needs; NULL: none */
    struct buf log;    /* "PATH RANGE TOKEN\n" of each request, "-" for what it has not */
    char url[64];
    int listener, port, hung[HUB_MAX], n_hung;
    pthread_t thread;
    pthread_mutex_t mutex;
};

static inline struct hub_path *hub_find(struct hub *h, const char *path)
{
    for (int i = 0; i < h->n; i++)
        if (strcmp(h->path[i].path, path) == 0)
            return &h->path[i];
    return NULL;
}

/* Content at a path, in place of what is there; the path lives as long as the hub. */
static inline void hub_put(struct hub *h, const char *path, const void *content, size_t n)
{
    pthread_mutex_lock(&h->mutex);
    struct hub_path *p = hub_find(h, path);
    if (!p)
        p = &h->path[h->n++];
    free(p->content);
    *p = (struct hub_path){.path = path, .content = xmalloc(n + 1), .n = n};
    memcpy(p->content, content, n);
    pthread_mutex_unlock(&h->mutex);
}

static inline void hub_trouble(struct hub *h, const char *path, enum hub_trouble what, int times)
{
    pthread_mutex_lock(&h->mutex);
    struct hub_path *p = hub_find(h, path);
    p->trouble = what;
    p->times = times;
    pthread_mutex_unlock(&h->mutex);
}

/* One "siblings" row; large files are told by SHA-256, small ones as git blobs. */
static inline void hub_row(struct buf *b, const char *name, const void *content, size_t n, bool large)
{
    struct digest d;
    char hex[DIGEST_HEX];
    AUTO(buf) struct buf blob = {0};
    uint8_t git[EVP_MAX_MD_SIZE];
    unsigned len;
    buf_printf(&blob, "blob %zu", n);
    buf_add(&blob, "", 1);
    buf_add(&blob, content, n);
    EVP_Digest(blob.data, blob.len, git, &len, EVP_sha1(), NULL);
    hash_bytes(content, n, &d);
    buf_printf(b, "%s{\"rfilename\": \"%s\", \"size\": %zu, \"blobId\": \"", b->len ? ", " : "", name, n);
    for (unsigned i = 0; i < len; i++)
        buf_printf(b, "%02x", git[i]);
    buf_puts(b, "\"");
    if (large)
        buf_printf(b, ", \"lfs\": {\"sha256\": \"%s\", \"size\": %zu}", digest_hex(&d, hex), n);
    buf_puts(b, "}");
}

static inline void hub_send(int fd, const void *p, size_t n)
{
    for (const char *c = p; n;) {
        ssize_t sent = send(fd, c, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        c += sent;
        n -= (size_t)sent;
    }
}

static inline void hub_give(int fd, const struct hub_path *p, enum hub_trouble what, const char *range)
{
    size_t at = 0;
    AUTO(buf) struct buf b = {0};
    if (strncmp(range, "bytes=", 6) == 0)
        at = strtoull(range + 6, NULL, 10);
    if (at && at >= p->n)
        buf_printf(&b, "HTTP/1.1 416 x\r\nContent-Range: bytes */%zu\r\nContent-Length: 0\r\n", p->n);
    else if (at)
        buf_printf(&b, "HTTP/1.1 206 x\r\nContent-Range: bytes %zu-%zu/%zu\r\nContent-Length: %zu\r\n", at,
                   p->n - 1, p->n, p->n - at);
    else
        buf_printf(&b, "HTTP/1.1 200 x\r\nContent-Length: %zu\r\n", p->n);
    buf_puts(&b, "Connection: close\r\n\r\n");
    size_t head = b.len;
    if (at < p->n)
        buf_add(&b, p->content + at, p->n - at);
    for (size_t i = head; what == HUB_WRONG && i < b.len; i++)
        b.data[i] ^= 1;
    hub_send(fd, b.data, what == HUB_CUT ? head + (b.len - head + 1) / 2 : b.len);
}

/* A header's value up to the line's end; "-" without it. malloc'd. */
static inline char *hub_header(const char *request, const char *name)
{
    const char *at = strcasestr(request, name);
    return at ? xstrndup(at + strlen(name), strcspn(at + strlen(name), "\r\n")) : xstrdup("-");
}

static inline bool hub_answer(struct hub *h, int fd, const char *request)
{
    AUTO(mem) char *whole = xstrndup(request + 4, strcspn(request + 4, " "));
    AUTO(mem) char *path = xstrndup(whole, strcspn(whole, "?"));
    AUTO(mem) char *range = hub_header(request, "\r\nRange: ");
    AUTO(mem) char *token = hub_header(request, "\r\nAuthorization: Bearer ");
    AUTO(mem) char *host = hub_header(request, "\r\nHost: ");
    AUTO(buf) struct buf b = {0};
    buf_printf(&h->log, "%s%s %s %s\n", strncmp(host, "localhost", 9) == 0 ? "localhost" : "", whole, range,
               token);
    struct hub_path *p = hub_find(h, path);
    enum hub_trouble what = p && p->times > 0 ? p->trouble : HUB_FINE;
    if (p && p->times > 0)
        p->times--;
    if (what == HUB_HANG)
        return false;
    int status = what > HUB_STATUS                     ? what - HUB_STATUS
                 : !p                                  ? 404
                 : h->token && strcmp(token, h->token) ? 401
                                                       : 0;
    if (what == HUB_MOVED && strncmp(host, "localhost", 9) != 0)
        buf_printf(&b, "HTTP/1.1 302 x\r\nLocation: http://localhost:%d%s\r\nContent-Length: 0\r\n", h->port,
                   whole);
    else if (what != HUB_MOVED && status)
        buf_printf(&b, "HTTP/1.1 %d x\r\nRetry-After: 0\r\nContent-Length: 4\r\n", status);
    if (b.len) {
        buf_puts(&b, "Connection: close\r\n\r\npage");
        hub_send(fd, b.data, b.len);
    } else
        hub_give(fd, p, what, range);
    return true;
}

#endif
