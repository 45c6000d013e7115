/* A server for tests, in a thread: contents by path, and a hub's list of a repository made of them. It takes
 * one connection after the other on a port of its own, each for one request. */
#ifndef TESTS_HUB_SERVER_H
#define TESTS_HUB_SERVER_H
#include "tests/hub_answer.h"
#include <arpa/inet.h>

static inline void hub_one(struct hub *h, int fd)
{
    AUTO(buf) struct buf b = {0};
    char piece[4096];
    ssize_t n;
    while (!strstr(buf_str(&b), "\r\n\r\n") && (n = read(fd, piece, sizeof piece)) > 0)
        buf_add(&b, piece, (size_t)n);
    if (strstr(buf_str(&b), "\r\n\r\n") && !hub_answer(h, fd, buf_str(&b)))
        h->hung[h->n_hung++ % HUB_MAX] = fd;
    else
        close(fd);
}

/* With the mutex while it holds memory: see hub_fork. */
static inline void *hub_work(void *arg)
{
    struct hub *h = arg;
    for (int fd; (fd = accept(h->listener, NULL, NULL)) >= 0;) {
        pthread_mutex_lock(&h->mutex);
        hub_one(h, fd);
        pthread_mutex_unlock(&h->mutex);
    }
    return NULL;
}

/* fork() while the server is not within malloc, whose locks the child would find taken for ever. */
static inline pid_t hub_fork(struct hub *h)
{
    pthread_mutex_lock(&h->mutex);
    pid_t pid = fork();
    pthread_mutex_unlock(&h->mutex);
    return pid;
}

static inline bool hub_start(struct hub *h)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    *h = (struct hub){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    pthread_mutex_init(&h->mutex, NULL);
    if (bind(h->listener, (struct sockaddr *)&a, n) || listen(h->listener, HUB_MAX) ||
        getsockname(h->listener, (struct sockaddr *)&a, &n))
        return false;
    h->port = ntohs(a.sin_port);
    snprintf(h->url, sizeof h->url, "http://127.0.0.1:%d", h->port);
    return pthread_create(&h->thread, NULL, hub_work, h) == 0;
}

static inline void hub_stop(struct hub *h)
{
    shutdown(h->listener, SHUT_RDWR);
    pthread_join(h->thread, NULL);
    close(h->listener);
    for (int i = 0; i < h->n_hung && i < HUB_MAX; i++)
        close(h->hung[i]);
    for (int i = 0; i < h->n; i++)
        free(h->path[i].content);
    buf_done(&h->log);
    pthread_mutex_destroy(&h->mutex);
}

/* What was asked for since the last time; malloc'd. */
static inline char *hub_asked(struct hub *h)
{
    pthread_mutex_lock(&h->mutex);
    char *text = buf_take(&h->log);
    pthread_mutex_unlock(&h->mutex);
    return text;
}
#endif
