/* Outside data by URL (base/origin.h): fetched once into STORE/fetched/, verified, then imported by reference
 * like any path.
 *   fetched/hub/{models,datasets}/OWNER/NAME/COMMIT/files/...   a snapshot, or some of its files
 *   fetched/hub/{models,datasets}/OWNER/NAME/refs/...           the commit that a branch stands for
 *   fetched/url/SHA256/files/NAME                               a file
 * What a URL means is there when its manifest is, which is written last and knows each file by size, digest
 * and stat. A hub's branch is resolved when it is fetched; later runs use that commit until it is fetched
 * with `update`. HF_TOKEN, HF_ENDPOINT, SSL_CERT_FILE and the proxies of the environment are respected; the
 * settings fetch_tries and fetch_silence of the store (cache/config.h) bound how long a server is waited for.
 */
#ifndef CACHE_FETCH_H
#define CACHE_FETCH_H
#include "cache/store.h"

/* Local path of what was fetched whole and is unchanged since; absolute, malloc'd. NULL: it is not there (no
 * error), or err. Asks nobody, and reads a file again only where its stat is another than it was. */
char *fetch_find(struct store *s, const char *url, struct error *err);

struct fetch_progress {
    const char *file;    /* its name in the source; NULL: another process fetches this, which is waited for */
    int64_t size;        /* its bytes; -1: not known */
    bool complete;       /* it is there and verified, as of now */
    int64_t done, total; /* bytes of all files that had to be fetched; -1: not known */
};
struct fetch_options {
    bool update; /* look for a newer commit of a branch */
    bool verify; /* read all of it again; what is not as it was is fetched anew */
    void (*progress)(void *arg, const struct fetch_progress *p); /* may be NULL */
    void *arg;
    int interrupts; /* a descriptor that can be read when the user wants it to end (a signalfd); 0: none */
};
struct fetch_result {
    char *path;   /* local; absolute */
    char *pinned; /* the URL with what never changes: the commit, the digest */
    int files, fetched;
    int64_t bytes, fetched_bytes; /* of the files; of those that were not there */
};
/* Fetch it, going on where an earlier try stopped. Any number of processes may fetch the same: one does, the
 * others wait. A file's URL may lack the digest: then it is fetched as it is now, whatever it is. What fails
 * leaves nothing that would be used; *ret is empty then. */
bool fetch_url(struct store *s, const char *url, const struct fetch_options *o, struct fetch_result *ret,
               struct error *err) MUST_CHECK;
void fetch_result_done(struct fetch_result *r);
#endif
