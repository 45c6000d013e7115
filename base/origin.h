/* Where outside data comes from when that is a URL: its text taken apart and checked; nothing is asked.
 *   hf://[datasets/]OWNER/NAME[@REVISION][/FILE]   a Hugging Face hub repository, or one file of it
 *   https://HOST/PATH#sha256=HEX                   a file (http:// too) */
#ifndef BASE_ORIGIN_H
#define BASE_ORIGIN_H
#include "base/error.h"
#include "base/hash.h"

struct origin {
    enum origin_kind { ORIGIN_FILE = 1, ORIGIN_HUB } kind;
    /* FILE */
    char *url;       /* without the digest */
    bool has_digest; /* an experiment needs it */
    struct digest digest;
    /* HUB */
    bool datasets;      /* a data set's repository, not a model's */
    char *owner, *name; /* letters, digits, '.', '_', '-' */
    char *revision;     /* a branch, tag or commit; "main" where none is said */
    bool has_revision, is_commit;
    char *file; /* NULL: all of them */
};
bool origin_is_url(const char *text); /* "SCHEME://...", whatever the scheme */
/* ERROR_INPUT says what is wrong with it; *ret is then empty. A file's digest may be missing. */
bool origin_parse(const char *text, struct origin *ret, struct error *err) MUST_CHECK;
/* The same for an experiment: what it names must never change unnoticed. */
bool origin_check(const char *text, struct error *err) MUST_CHECK;
void origin_done(struct origin *o);
static inline void origin_auto(struct origin *o)
{
    origin_done(o);
}
/* A relative file name that may be made below a folder, whoever chose it: no "..", nothing empty, no
 * backslash, no control character, 1,024 bytes at most. */
bool origin_name_ok(const char *name);
bool origin_is_commit(const char *revision); /* 40 lower-case hex digits */
#endif
