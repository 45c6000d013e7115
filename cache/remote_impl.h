/* Private to cache/remote*.c. A job is a record on its way, down for remote_want or up for remote_offer; an
 * object on its way is shared by all jobs that wait for it. All of it belongs to the thread, but what is
 * behind the mutex. */
#ifndef CACHE_REMOTE_IMPL_H
#define CACHE_REMOTE_IMPL_H
#include "base/arena.h"
#include "base/http.h"
#include "cache/remote.h"
#include <pthread.h>

#define REMOTE_RECORD_MAX ((int64_t)16 << 20) /* bytes of a record's text */
#define REMOTE_FAILURES   3 /* in a row, until the tier is left alone; the warning says so */

/* remote_url.c: where the server is, without credentials, and how to get in. Texts live in the arena. */
bool remote_place(const char *url, struct arena *a, const char **ret_url, struct http_options *ret,
                  struct error *err) MUST_CHECK;

struct remote_queue { /* first in, first out */
    struct digest *item;
    size_t first, n, cap; /* items first..n-1 are waiting */
};
struct remote_answers {
    struct remote_answer *item;
    size_t first, n, cap;
};
struct remote_room { /* bytes of the store's limit, for a job */
    uint64_t job;
    int64_t bytes;
    bool granted;
    struct error err; /* when not */
};
struct remote_rooms {
    struct remote_room *item;
    size_t first, n, cap;
};
enum remote_way { REMOTE_DOWN, REMOTE_UP, REMOTE_LINK }; /* LINK: no answer, or none that means anything */

struct remote_object {
    struct digest digest; /* first: the trees are in its order */
    struct remote *r;
    enum remote_way way;
    int64_t size, stored; /* of its content; on the way up also of its file */
    char *path;           /* of a file below tmp/; on the way up: the store's own */
    bool ended, ok;
    bool moved; /* down: to be published; up: sent, as it was not there */
    struct remote_job **job;
    size_t n, cap; /* of them, who wait for it or hold it */
};
struct remote_job {
    struct remote *r;
    enum remote_way way;
    uint64_t id;
    struct digest key;
    char *text; /* of the record */
    size_t text_n;
    struct record *record;
    const struct record_file **file; /* what it has to move */
    size_t files;
    struct remote_object **object;
    size_t n, left;         /* objects; those that have not ended */
    int64_t reserved, kept; /* bytes of the store's limit; those that are in the store now */
    bool begun;             /* all objects were */
    bool failed;
    struct remote_job *next, *next_done;
};
struct remote {
    struct store *store;
    char *url;
    unsigned mode;
    int parallel;
    pthread_t thread;
    int wake, answers; /* eventfds: the thread has to look; the caller has to */

    pthread_mutex_t mutex; /* of these */
    struct remote_queue want, offer;
    struct remote_answers answer;
    struct remote_stats stats;
    struct remote_rooms ask, told; /* room is asked for by the thread, and made by the caller */
    int64_t give_back;             /* bytes of it */
    bool stop;
    double until; /* uploads may go on, once it is to stop */

    struct http *http;      /* NULL: the tier is left alone */
    struct remote_job *job; /* under way */
    size_t jobs[2];         /* by way */
    uint64_t ids;           /* of jobs so far */
    struct remote_job *done;
    void *object[2]; /* trees of those under way, by way */
    int failures[3]; /* in a row */
    bool off[3], warned;
    struct digest *wrong;
    size_t n_wrong, wrong_cap;
};

/* ---- remote.c ---- */
void remote_wake(struct remote *r); /* the thread */
void remote_call(struct remote *r); /* the caller */
void remote_count(struct remote *r, int64_t received, int64_t sent);
void remote_tell(struct remote *r, const struct remote_answer *a);
/* A job has ended: answered, counted and gone. */
void remote_end(struct remote_job *j, bool ok);

/* ---- remote_trouble.c: what failures come to ---- */
/* An answer came and meant something; found: what was asked for. */
void remote_went_well(struct remote *r, enum remote_way way, bool found);
/* A transfer failed for good. */
void remote_trouble(struct remote *r, enum remote_way way, const struct http_reply *reply);
/* What came for the record ("ac") or object ("cas") d is not right. */
void remote_is_wrong(struct remote *r, const char *kind, const struct digest *d, const char *why);
/* What the server has of these is of no use: it is written anew when it is offered, though it is there. */
void remote_replace(struct remote *r, const struct digest *d);
bool remote_was_wrong(const struct remote *r, const struct digest *d);
void remote_is_right(struct remote *r, const struct digest *d);
void remote_warn_here(struct remote *r, const struct error *err); /* the trouble is this machine's */
bool remote_is_off(const struct remote *r, enum remote_way way);

/* ---- remote_job.c ---- */
struct remote_job *remote_job_new(struct remote *r, enum remote_way way, const struct digest *key);
void remote_job_files(struct remote_job *j); /* from its record: each object once */
/* Begin what has to be done for each of these; false: the job has failed. It is done when all of them have
 * ended. */
void remote_job_begin(struct remote_job *j, bool (*begin)(struct remote_job *j, const struct record_file *f));
/* The object on its way, made when it is not; *ret_new: it was made. The job waits for it. */
struct remote_object *remote_job_waits(struct remote_job *j, const struct record_file *f, bool *ret_new);
void remote_object_ended(struct remote_object *o, bool ok);
void remote_job_done(struct remote_job *j); /* for the thread to look at next */
/* Out of all lists; objects that nobody else waits for go too. */
void remote_job_free(struct remote_job *j);
/* GET, HEAD or PUT of URL/KIND/DIGEST; the rest as in q. */
void remote_send(struct remote *r, const char *method, const char *kind, const struct digest *d,
                 struct http_request q);

/* ---- remote_room.c: the store's limit is kept by the thread that uses the store, in remote_next ---- */
/* For a job, which goes on with remote_get_begin: at once where there is no limit. */
void remote_room_ask(struct remote_job *j, int64_t bytes);
void remote_room_told(struct remote *r);                 /* the thread: hear what became of it */
void remote_room_give_back(struct remote *r, int64_t n); /* with the mutex */
void remote_room_make(struct remote *r);                 /* the caller, with the mutex, which it lets go */
void remote_room_end(struct remote *r);                  /* the caller, when there is no thread any more */

/* ---- remote_get.c ---- */
/* There is room, or not: err. */
void remote_get_begin(struct remote_job *j, bool room, const struct error *err);
void remote_get(struct remote *r, const struct digest *key);
/* The record of a key as a server sends it; NULL with *why: it cannot be ours. */
struct record *remote_record(const char *text, size_t n, const struct digest *key, const char **why);
/* Is the file object d, whole and of that size? False with *why: no; without: err says what failed. */
bool remote_object_check(struct store *s, const char *path, const struct digest *d, int64_t size,
                         const char **why, struct error *err) MUST_CHECK;
/* Publish what these jobs have brought, at once, and end them: a list by next_done. */
void remote_get_finish(struct remote *r, struct remote_job *done);

/* ---- remote_put.c ---- */
void remote_put(struct remote *r, const struct digest *key);
/* The objects of a job are done with: now its record. */
void remote_put_record(struct remote_job *j);
#endif
