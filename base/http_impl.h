/* Private to base/http*.c: one transfer and what its answer says. */
#ifndef BASE_HTTP_IMPL_H
#define BASE_HTTP_IMPL_H
#include "base/buf.h"
#include "base/http.h"
#include <curl/curl.h>

enum http_state { HTTP_WAITING, HTTP_RUNNING };
struct http_transfer {
    struct http_reply reply; /* first: http_header() finds the rest */
    struct http *http;
    struct http_transfer *next;
    struct http_request q;                  /* with texts of its own */
    struct curl_slist *header, *try_header; /* the request's; with those of this try */
    enum http_state state;
    CURL *easy;
    int tries;
    double start, due, heard; /* of the whole, of the next try, of the last byte */
    int64_t moved;            /* bytes both ways, when last heard */

    int fd;               /* of to_file or body_file; -1: none */
    int64_t at, best;     /* bytes that the body has; the most it had after any try */
    int64_t total;        /* of the whole content, as this answer says; -1: it does not */
    int64_t sent, body_n; /* of the body of a PUT */
    struct buf body;
    size_t skipped;  /* of an answer's page */
    char *etag;      /* of the content that the file has a part of */
    bool begun;      /* this answer's head was looked at */
    bool restart;    /* the file's content is of no use: from its start */
    bool silent;     /* nothing came for too long */
    bool failed;     /* for good; reply.err says why */
    struct buf head; /* "Name: value" NUL ... of this answer */
    char why[CURL_ERROR_SIZE];
};
struct http {
    struct http_options o; /* with texts of its own */
    CURLM *multi;
    struct http_transfer *first, **last;
    int running, left;
    uint64_t draws; /* of jitter */
};

bool http_is(const struct http_transfer *t, const char *method);
/* http_try.c: a handle for the next try, and its headers, which live as long. False: reply.err says why not.
 */
bool http_prepare(struct http_transfer *t, struct curl_slist **header) MUST_CHECK;
/* http_body.c: what libcurl calls while a transfer runs. */
size_t http_on_head(char *p, size_t size, size_t n, void *arg);
size_t http_on_body(char *p, size_t size, size_t n, void *arg);
size_t http_on_send(char *p, size_t size, size_t n, void *arg);
int http_on_seek(void *arg, curl_off_t at, int whence);
int http_on_progress(void *arg, curl_off_t all_down, curl_off_t down, curl_off_t all_up, curl_off_t up);
/* Look at the head of an answer that is 2xx; false: its body cannot be used, see restart and failed. */
bool http_begin(struct http_transfer *t);
/* Value of a header of this answer; NULL: none. */
const char *http_head(const struct http_transfer *t, const char *name);
/* Content-Range: "bytes FIRST-LAST/TOTAL"; what it does not say is -1. */
void http_content_range(const struct http_transfer *t, int64_t *first, int64_t *total);
#endif
