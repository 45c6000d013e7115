/* Transfers over HTTP and HTTPS by libcurl's multi interface: many at once, driven by whoever calls http_run.
 * Each retries what may pass (no connection, 408, 429, 5xx, a cut connection) with growing pauses or those
 * that the server asks for (Retry-After), goes on where a cut download stopped (Range, If-Range), and ends in
 * time: limits for the connection, for silence and for the whole. Proxy settings and ~/.netrc are libcurl's.
 * Redirects are followed, but take no credentials to another host, never lead from https to http, and not
 * where requests are signed. Credentials never appear in an error text. One thread at a time per struct http.
 */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct http;
struct http_options {
    int parallel;                /* transfers at once; 0: 8 */
    int tries;                   /* in all, for each; 0: 5 */
    double pause;                /* seconds before the second try; doubled each time, with jitter; 0: 0.5 */
    double connect_timeout;      /* seconds; 0: 10 */
    double silence_timeout;      /* seconds without a KiB; 0: 30 */
    double total_timeout;        /* seconds of a transfer with all its tries; 0: none */
    const char *user, *password; /* basic authentication; NULL: from netrc, or none */
    const char *bearer;          /* a token; never sent to another host by a redirect */
    const char *netrc;           /* file; NULL: the user's */
    const char *ca_file;         /* NULL: the system's */
    /* SigV4, when region is set: keys of AWS_ACCESS_KEY_ID and so on, given by the caller. */
    const char *region, *access_key, *secret_key, *session_token;
    const char *unix_socket; /* connect there, whatever the host; NULL: to the host */
};
struct http *http_new(const struct http_options *o, struct error *err); /* NULL: failed */
void http_free(struct http *h); /* ends what is under way without calling done */

struct http_reply {
    int status;       /* of the last answer; 0: there was none, err says why */
    struct error err; /* when not ok */
    bool ok;          /* 2xx, and all of the body is there */
    char *body;       /* of a transfer into memory, NUL-ended; the callee may take it (set NULL) */
    size_t n;
    int64_t size;    /* bytes of the whole content; -1: not known */
    const char *url; /* after redirects, without user and password */
};
/* Header of the reply by its name, in any case; NULL: absent. Lives during done(). */
const char *http_header(const struct http_reply *r, const char *name);

struct http_request {
    const char *method; /* "GET", "HEAD", "PUT" */
    const char *url;
    const char *const *header; /* "Name: value", NULL-ended; may be NULL */
    const void *body;          /* of a PUT; lives until done() */
    size_t body_n;
    const char *body_file; /* or the content of a file */
    const char
        *to_file; /* of a GET: appended to what the file has (a Range goes on from there); NULL: memory */
    int64_t max;  /* a body longer than this is an error; 0: 1 MiB in memory, none in a file */
    void (*progress)(void *arg, int64_t done, int64_t total); /* may be NULL; total -1: not known */
    void (*done)(void *arg, struct http_reply *r);            /* once; may add further requests */
    void *arg;
};
/* Texts are copied. */
void http_add(struct http *h, const struct http_request *q);
/* Work until all are done, or `seconds` are over (below 0: no limit), or *wake is readable (fd; -1: none).
 * How many are left. */
int http_run(struct http *h, double seconds, int wake);
#endif
