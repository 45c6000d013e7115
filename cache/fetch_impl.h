/* Private to cache/fetch*.c: the files that a URL means, and how they get here. */
#ifndef CACHE_FETCH_IMPL_H
#define CACHE_FETCH_IMPL_H
#include "base/http.h"
#include "base/origin.h"
#include "cache/fetch.h"

struct fetch_file {
    char *name;           /* origin_name_ok */
    int64_t size;         /* -1: not known */
    bool git;             /* hex is the SHA-1 of a git blob; else SHA-256 */
    char hex[DIGEST_HEX]; /* "": not known */
    char *url;
    int64_t mtime, inode; /* of the manifest: what it was when its digest was last compared; 0: never */
    bool there;           /* in files/, and right */
};
struct fetch_set {
    char *dir;      /* files lie in dir/files, those under way in dir/parts */
    char *manifest; /* path of the file that says that all are there */
    char *pinned;
    struct fetch_file *file;
    size_t n, cap;
};
void fetch_set_done(struct fetch_set *f);
static inline void fetch_set_auto(struct fetch_set *f)
{
    fetch_set_done(f);
}
void fetch_set_forget(struct fetch_set *f); /* the files */
struct fetch_file *fetch_set_add(struct fetch_set *f, const char *name);
/* "DIR/files/NAME", "DIR/parts/SHA256 OF NAME"; malloc'd. */
char *fetch_file_path(const struct fetch_set *f, const struct fetch_file *file);
char *fetch_part_path(const struct fetch_set *f, const struct fetch_file *file);

/* fetch_set.c: what is there. */
/* Files as the manifest has them; none where there is none, or it is damaged. */
void fetch_set_recall(struct fetch_set *f);
/* Are all files of the set there, each with the stat of the manifest or, where it is another or with `read`,
 * the right content? Sets file[i].there. False with a code in err: a file could not be read. */
bool fetch_set_whole(struct fetch_set *f, bool read, struct error *err);
/* Has the file at `path` the size and digest that it should have? A size that nobody knew is then known.
 * False with a code in err: not readable. */
bool fetch_file_right(struct fetch_file *file, const char *path, struct error *err);
/* Write the manifest: all files of the set are there. */
bool fetch_set_seal(struct store *s, struct fetch_set *f, struct error *err) MUST_CHECK;

/* fetch_get.c: get what is not there; the digest of a file whose is not known becomes known. */
struct fetch_get {
    struct store *store;
    const struct fetch_options *o;
    const char *bearer;
    /* What a failed transfer means; NULL: what it says. */
    void (*explain)(void *arg, const struct http_reply *r, struct error *err);
    void *arg;
    int fetched; /* files, bytes */
    int64_t fetched_bytes;
};
bool fetch_get(struct fetch_get *g, struct fetch_set *f, struct error *err) MUST_CHECK;
/* Run the transfers to their end, or until *failed says that one has failed, where it is not NULL; false: the
 * user wants it to end before. */
bool fetch_wait(struct http *h, const struct fetch_options *o, const struct error *failed,
                struct error *err) MUST_CHECK;
/* The user wants it to end, within the next `seconds`; false, and err says so. Else true. */
bool fetch_go_on(const struct fetch_options *o, double seconds, struct error *err) MUST_CHECK;
struct http *fetch_http(const struct store *s, const char *bearer, struct error *err);

/* fetch_hub.c */
/* The commit that a branch was at when it was fetched; malloc'd; NULL: it never was. */
char *hub_ref(const struct store *s, const struct origin *o);
bool hub_set_ref(struct store *s, const struct origin *o, const char *commit, struct error *err) MUST_CHECK;
void hub_place(const struct store *s, const struct origin *o, const char *commit, struct fetch_set *ret);
/* Ask the hub which files there are at o's revision, or at `commit` where that is known. */
bool hub_list(const struct fetch_get *g, const struct origin *o, const char *commit, struct fetch_set *ret,
              char **ret_commit, struct error *err) MUST_CHECK;
/* What is missing of the set, from the hub. */
bool hub_get(struct fetch_get *g, const struct origin *o, const char *commit, struct fetch_set *f,
             struct error *err) MUST_CHECK;
#endif
