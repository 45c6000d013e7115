/* A server on loopback for tests: a thread, and one for each connection. It keeps what is PUT and gives it
 * out again, with ranges, unless a test answers in its stead; it remembers what it was asked. */
#ifndef TESTS_STORE_HTTP_SERVER_H
#define TESTS_STORE_HTTP_SERVER_H
#include "base/buf.h"
#include "base/cleanup.h"
#include "tests/store/http_kept.h"
#include "tests/test.h"
#include <arpa/inet.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* False: the peer is gone. */
static inline bool server_write(int fd, const void *p, size_t n)
{
    const char *c = p;
    while (n) {
        ssize_t put = send(fd, c, n, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        c += put;
        n -= (size_t)put;
    }
    return true;
}
static inline void server_say(int fd, const char *status, const char *more, const void *p, size_t n,
                              size_t length)
{
    AUTO(mem)
    char *head =
        xprintf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n", status, length, more);
    if (server_write(fd, head, strlen(head)))
        (void)server_write(fd, p, n);
}
/* Say nothing until the peer gives up. */
static inline void server_hang(int fd)
{
    char c[256];
    while (recv(fd, c, sizeof c, 0) > 0)
        ;
}

static inline void server_own_answer(struct http_server *s, const struct asked *a, int fd)
{
    size_t n, from = 0;
    if (strcmp(a->method, "PUT") == 0) {
        server_put(s, a->path, a->body, a->n);
        server_say(fd, "201 Created", "", "", 0, 0);
        return;
    }
    AUTO(mem) char *p = server_get(s, a->path, &n);
    const char *range = strcasestr(a->head, "\r\nRange: bytes=");
    if (!p) {
        server_say(fd, "404 Not Found", "", "no", 2, 2);
        return;
    }
    if (range)
        from = (size_t)strtoull(range + strlen("\r\nRange: bytes="), NULL, 10);
    bool head = strcmp(a->method, "HEAD") == 0;
    if (!range || from >= n)
        server_say(fd, "200 OK", "", p, head ? 0 : n, n);
    else {
        AUTO(mem) char *line = xprintf("Content-Range: bytes %zu-%zu/%zu\r\n", from, n - 1, n);
        server_say(fd, "206 Partial", line, p + from, n - from, n - from);
    }
}

/* Read until there are the head and its body. False: the peer is gone. */
static inline bool server_read_(int fd, struct buf *b, struct asked *a)
{
    char piece[65536];
    for (;;) {
        const char *end = strstr(buf_str(b), "\r\n\r\n"),
                   *length = strcasestr(buf_str(b), "\r\nContent-Length: ");
        size_t head = end ? (size_t)(end + 4 - buf_str(b)) : 0, n = 0;
        if (head && length && length < end)
            n = (size_t)strtoull(length + strlen("\r\nContent-Length: "), NULL, 10);
        if (head && strcasestr(buf_str(b), "\r\nExpect: 100") && b->len == head)
            (void)server_write(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        if (head && b->len >= head + n) {
            *a = (struct asked){.head = b->data, .body = b->data + head, .n = n};
            return sscanf(b->data, "%7s %511s", a->method, a->path) == 2;
        }
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            return false;
        buf_add(b, piece, (size_t)got);
    }
}

static inline void *server_connection_(void *arg)
{
    struct connection *c = arg;
    struct http_server *s = c->s;
    struct buf b = {0};
    struct asked a;
    if (server_read_(c->fd, &b, &a)) {
        pthread_mutex_lock(&s->mutex);
        s->log = xgrow(s->log, &s->log_cap, s->asked + 1, sizeof *s->log);
        s->log[s->asked++] = xprintf("%s %s", a.method, a.path);
        bool (*answer)(struct http_server *, const struct asked *, int) = s->answer;
        pthread_mutex_unlock(&s->mutex);
        if (!answer || !answer(s, &a, c->fd))
            server_own_answer(s, &a, c->fd);
    }
    shutdown(c->fd, SHUT_WR);
    buf_done(&b);
    return NULL;
}

static inline void *server_work_(void *arg)
{
    struct http_server *s = arg;
    int fd;
    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        struct connection *c = xmalloc(sizeof *c);
        *c = (struct connection){.s = s, .fd = fd};
        s->connection = xgrow(s->connection, &s->connection_cap, s->connections + 1, sizeof(void *));
        if (pthread_create(&c->thread, NULL, server_connection_, c) != 0)
            abort();
        s->connection[s->connections++] = c;
    }
    return NULL;
}

static inline void server_start(struct http_server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->mutex, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listener, 64), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, server_work_, s), 0);
}
static inline void server_stop(struct http_server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    for (size_t i = 0; i < s->connections; i++) {
        shutdown(s->connection[i]->fd, SHUT_RDWR);
        pthread_join(s->connection[i]->thread, NULL);
        close(s->connection[i]->fd);
        free(s->connection[i]);
    }
    free(s->connection);
    server_forget(s);
    free(s->log);
    for (size_t i = 0; i < s->n; i++) {
        free(s->blob[i].path);
        free(s->blob[i].p);
    }
    free(s->blob);
    pthread_mutex_destroy(&s->mutex);
}
#endif
