/* The remote tier: a server that keeps records at URL/ac/KEY, their text as in the store, and objects at
 * URL/cas/DIGEST, their packed files (GET, HEAD, PUT: nginx with WebDAV, a Bazel-style cache; or S3,
 * s3://bucket/prefix). A thread of its own moves both ways; docs/remote.md has servers and credentials.
 *   Nothing here fails a run: on trouble there is one warning, and after some failures in a row the tier is
 * left alone: reading, writing or both. A remote record becomes one of ours only after all its objects are
 * here and verified; what the server has wrong is a miss. Verifying blocks that thread's transfers for as
 * long as reading the object takes all the store's threads.
 *   Records that were freed, and those that name outside data, are never offered and not accepted. What
 * carries a private label is never offered and never asked for: that is the caller's promise, who knows the
 * labels. */
#ifndef CACHE_REMOTE_H
#define CACHE_REMOTE_H
#include "cache/store.h"

enum remote_mode { REMOTE_READ = 1, REMOTE_WRITE = 2 };
struct remote_options {
    const char *url; /* http[s]://[USER:PASSWORD@]HOST[:PORT][/PATH], s3://BUCKET[/PREFIX] */
    unsigned mode;
    int tries, parallel;                     /* of a transfer, in all; transfers at once. 0: 3, 8 */
    double connect_timeout, silence_timeout; /* seconds; 0: 5, 15 */
    double pause;                            /* seconds before the second try; 0: 0.5 */
};
struct remote;
/* Parses the URL, reads credentials from the environment and starts the thread; does not connect.
 * ERROR_INPUT: not such a URL, or credentials are missing. The store outlives it. */
bool remote_open(struct store *s, const struct remote_options *o, struct remote **ret,
                 struct error *err) MUST_CHECK;
/* "read", "write", "read-write", as in the store's config, to a mode; 0: none of these. */
unsigned remote_mode_parse(const char *text);
/* The URL without credentials, for messages; lives as long as r. */
const char *remote_url(const struct remote *r);
/* Wait up to `seconds` for uploads that are under way, then end; wants that are not answered never are.
 * NULL is fine. */
void remote_close(struct remote *r, double seconds);
/* Ask for the record of a key and what it names, as far as it is not here. Answered once, in any order. */
void remote_want(struct remote *r, const struct digest *key);
/* Readable as long as remote_next has something to do. */
int remote_fd(const struct remote *r);
struct remote_answer {
    struct digest key;
    bool hit;          /* the record and its objects are in the store now, and in use by this process */
    char warning[512]; /* at most once, when the tier has trouble; "": none. key is zero then */
};
/* The next answer; false: there is none yet. Makes room within the store's limit for what is to be fetched,
 * so it is called whenever the descriptor is readable, by the thread that uses the store. */
bool remote_next(struct remote *r, struct remote_answer *ret);
/* Upload a record of the store and what it names, those first; what the server has already is not sent. Never
 * answered. */
void remote_offer(struct remote *r, const struct digest *key);
struct remote_stats {
    size_t hits, misses;    /* answers */
    size_t uploads;         /* records that the server has now, with their objects */
    size_t failures;        /* transfers that failed, and what came and was not right */
    int64_t received, sent; /* bytes of records and of objects' files */
    size_t waiting;         /* uploads not done */
};
void remote_stats_of(struct remote *r, struct remote_stats *ret);
#endif
