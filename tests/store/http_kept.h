/* What a test's server keeps, and what it was asked. */
#ifndef TESTS_STORE_HTTP_KEPT_H
#define TESTS_STORE_HTTP_KEPT_H
#include "base/mem.h"
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

struct asked {
    char method[8], path[512];
    const char *head; /* all lines of it */
    const char *body;
    size_t n;
};
struct blob {
    char *path, *p;
    size_t n;
};
struct http_server {
    int listener, port;
    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows */
    struct blob *blob;
    size_t n, cap;
    char **log; /* "METHOD /path" */
    size_t asked, log_cap;
    struct connection {
        struct http_server *s;
        pthread_t thread;
        int fd;
    } * *connection;
    size_t connections, connection_cap;
    /* Answers instead of it; false: it shall answer after all. */
    bool (*answer)(struct http_server *s, const struct asked *a, int fd);
    const void *arg; /* of that */
};

static inline struct blob *server_find_(struct http_server *s, const char *path)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->blob[i].path, path) == 0)
            return &s->blob[i];
    return NULL;
}
/* A copy of what lies at the path; NULL: nothing does. malloc'd. */
static inline char *server_get(struct http_server *s, const char *path, size_t *ret_n)
{
    char *copy = NULL;
    pthread_mutex_lock(&s->mutex);
    const struct blob *b = server_find_(s, path);
    if (b) {
        copy = xmalloc(b->n + 1);
        memcpy(copy, b->p, b->n);
        copy[b->n] = 0;
        *ret_n = b->n;
    }
    pthread_mutex_unlock(&s->mutex);
    return copy;
}
static inline void server_put(struct http_server *s, const char *path, const void *p, size_t n)
{
    pthread_mutex_lock(&s->mutex);
    struct blob *b = server_find_(s, path);
    if (!b) {
        s->blob = xgrow(s->blob, &s->cap, s->n + 1, sizeof *s->blob);
        b = &s->blob[s->n++];
        *b = (struct blob){.path = xstrdup(path)};
    }
    free(b->p);
    b->p = xmalloc(n + 1);
    memcpy(b->p, p, n);
    b->n = n;
    pthread_mutex_unlock(&s->mutex);
}
/* How many requests began with this text. */
static inline size_t server_count(struct http_server *s, const char *text)
{
    size_t n = 0;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->asked; i++)
        n += strncmp(s->log[i], text, strlen(text)) == 0;
    pthread_mutex_unlock(&s->mutex);
    return n;
}
/* The place of the first such request among all; -1: there was none. */
static inline int server_when(struct http_server *s, const char *text)
{
    int at = -1;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->asked && at < 0; i++)
        if (strncmp(s->log[i], text, strlen(text)) == 0)
            at = (int)i;
    pthread_mutex_unlock(&s->mutex);
    return at;
}
/* From now on; NULL: it answers itself. */
static inline void server_answers(struct http_server *s,
                                  bool (*answer)(struct http_server *s, const struct asked *a, int fd),
                                  const void *arg)
{
    pthread_mutex_lock(&s->mutex);
    s->answer = answer;
    s->arg = arg;
    pthread_mutex_unlock(&s->mutex);
}
static inline void server_forget(struct http_server *s)
{
    pthread_mutex_lock(&s->mutex);
    while (s->asked)
        free(s->log[--s->asked]);
    pthread_mutex_unlock(&s->mutex);
}
#endif
