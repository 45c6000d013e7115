/* Outside data by URL: fetched once into STORE/fetched/, verified, then imported by reference like any path.
 *   hf://[datasets/]OWNER/NAME[@REVISION][/FILE]   a snapshot of a hub repository, or one file of it
 *   https://HOST/PATH#sha256=HEX                   a file (http:// too)
 * A hub revision that is a branch is resolved when it is fetched; later runs use that commit until it is
 * fetched anew with `update`. HF_TOKEN and HF_ENDPOINT of the environment are respected. */
#ifndef CACHE_FETCH_H
#define CACHE_FETCH_H
#include "cache/store.h"

bool fetch_is_url(const char *path);
/* Syntax only: ERROR_INPUT says what is wrong with it. */
bool fetch_check(const char *url, struct error *err) MUST_CHECK;
/* Local path of what was fetched whole; malloc'd. NULL: it was not (no error), or err. */
char *fetch_find(struct store *s, const char *url, struct error *err);
struct fetch_options {
    bool update; /* look for a newer commit of a branch */
    void (*progress)(void *arg, const char *file, int64_t done, int64_t total); /* bytes of all files */
    void *arg;
};
/* Fetch it, going on where an earlier try stopped; *ret: the local path, malloc'd. Any number of processes
 * may fetch the same. */
bool fetch_url(struct store *s, const char *url, const struct fetch_options *o, char **ret,
               struct error *err) MUST_CHECK;
#endif
