/* Answers for base/http.h, given to one connection after the other on a Unix socket. No thread: the listening
 * socket is what wakes http_run up. For tests and fuzzers, so nothing of cmocka's is in it. */
#ifndef TESTS_HTTP_WIRE_H
#define TESTS_HTTP_WIRE_H
#include "base/buf.h"
#include "base/http.h"
#include "base/mem.h"
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WIRE_MAX 64
static struct wire {
    struct {
        const char *p;
        size_t n;
    } answer[WIRE_MAX]; /* the first n; connections after them are closed */
    int peer[WIRE_MAX], n, used;
    char *asked[WIRE_MAX]; /* the requests, after wire_hear */
    const char *first;     /* of a request, before it is answered; NULL: nothing */
} wire;
static int wire_listener = -1;
static char *wire_socket;

static inline void wire_must(bool ok)
{
    if (!ok)
        abort();
}

static inline void wire_open(const char *folder)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    wire_socket = xprintf("%s/socket", folder);
    wire_must(snprintf(a.sun_path, sizeof a.sun_path, "%s", wire_socket) < (int)sizeof a.sun_path);
    wire_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    wire_must(bind(wire_listener, (struct sockaddr *)&a, sizeof a) == 0 &&
              listen(wire_listener, WIRE_MAX) == 0);
}

static inline void wire_answer(const void *p, size_t n)
{
    wire_must(wire.n < WIRE_MAX);
    wire.answer[wire.n].p = p;
    wire.answer[wire.n++].n = n;
}

/* Answer the next connection, once it has said what must come first. */
static inline void wire_accept(struct http *h)
{
    int fd = accept(wire_listener, NULL, NULL);
    wire_must(fd >= 0 && wire.used < WIRE_MAX);
    struct buf b = {0};
    while (wire.first && !strstr(buf_str(&b), wire.first)) {
        char piece[4096];
        wire_must(http_run(h, -1, fd) > 0);
        ssize_t n = read(fd, piece, sizeof piece);
        wire_must(n > 0);
        buf_add(&b, piece, (size_t)n);
    }
    wire.asked[wire.used] = buf_take(&b);
    if (wire.used < wire.n) /* who has heard enough may be gone */
        (void)!send(fd, wire.answer[wire.used].p, wire.answer[wire.used].n, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    wire.peer[wire.used++] = fd;
}

static inline void wire_serve(struct http *h)
{
    while (http_run(h, -1, wire_listener))
        wire_accept(h);
}

/* What was asked; closes the connections. */
static inline void wire_hear(void)
{
    for (int i = 0; i < wire.used; i++) {
        char piece[4096];
        struct buf b = {0};
        ssize_t n;
        buf_puts(&b, wire.asked[i]);
        free(wire.asked[i]);
        while ((n = recv(wire.peer[i], piece, sizeof piece, MSG_DONTWAIT)) > 0)
            buf_add(&b, piece, (size_t)n);
        wire.asked[i] = buf_take(&b);
        close(wire.peer[i]);
    }
}

static inline void wire_forget(void)
{
    for (int i = 0; i < WIRE_MAX; i++)
        free(wire.asked[i]);
    memset(&wire, 0, sizeof wire);
}

static inline void wire_close(void)
{
    wire_forget();
    close(wire_listener);
    free(wire_socket);
}
#endif
