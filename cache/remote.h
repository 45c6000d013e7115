/* The remote tier: a server that keeps records at URL/ac/KEY and objects' files at URL/cas/DIGEST (GET, HEAD,
 * PUT: nginx with WebDAV, a Bazel-style cache; or S3, s3://bucket/prefix). A thread of its own moves both
 * ways. Nothing here fails a run: on trouble one warning, and after some failures in a row the tier is left
 * alone. A remote record becomes one of ours only after all its objects are here and verified. What carries a
 * private label is never offered and never asked for: that is the caller's promise, who knows the labels. */
#ifndef CACHE_REMOTE_H
#define CACHE_REMOTE_H
#include "cache/store.h"

enum remote_mode { REMOTE_READ = 1, REMOTE_WRITE = 2 };
struct remote_options {
    const char
        *url; /* http://, https://, s3://bucket[/prefix] (AWS_* and WEFT_S3_ENDPOINT of the environment) */
    unsigned mode;
    int tries, parallel;                     /* 0: http's own */
    double connect_timeout, silence_timeout; /* seconds; 0: 5, 20 */
};
struct remote;
/* Parses the URL and starts the thread; does not connect. ERROR_INPUT: not a URL, or credentials are missing.
 */
bool remote_open(struct store *s, const struct remote_options *o, struct remote **ret,
                 struct error *err) MUST_CHECK;
/* Wait up to `seconds` for uploads that are under way, then end. NULL is fine. */
void remote_close(struct remote *r, double seconds);
/* Ask for the record of a key and what it names. */
void remote_want(struct remote *r, const struct digest *key);
/* Readable when remote_next has something. */
int remote_fd(const struct remote *r);
struct remote_answer {
    struct digest key;
    bool hit;          /* the record and its objects are in the store now */
    char warning[256]; /* once, when the tier has trouble; "": none. key is zero then */
};
bool remote_next(struct remote *r, struct remote_answer *ret);
/* Upload a record of the store and what it names, those first; what the server has already is not sent. */
void remote_offer(struct remote *r, const struct digest *key);
struct remote_stats {
    size_t hits, misses, uploads, failures;
    int64_t received, sent; /* bytes */
    size_t waiting;         /* uploads not done */
};
void remote_stats_of(struct remote *r, struct remote_stats *ret);
#endif
