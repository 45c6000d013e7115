/* Errors as values: what went wrong, where, and the chain of contexts it passed through.
 * A fallible function is `bool f(..., struct error *err)`: true on success, err untouched then; false fills
 * *err. Libraries never print and never exit; engine/cli prints. err may be NULL when the caller does not
 * care. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H
#include <stdbool.h>

#define MUST_CHECK       __attribute__((warn_unused_result))
#define PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))

/* The exit status of the command line follows from the code: INPUT 2, all others 1. */
enum error_code {
    ERROR_NONE,
    ERROR_INPUT,     /* the user's file, option or data is wrong */
    ERROR_SYSTEM,    /* a system call failed */
    ERROR_DAMAGE,    /* stored bytes do not match their digest */
    ERROR_TASK,      /* a task failed: worker died, stage said no */
    ERROR_FULL,      /* a system call failed: no space on the disk, or over a quota */
    ERROR_EXIT,      /* a program of the user's ended with an exit status that is not 0 */
    ERROR_KILLED,    /* ... by a signal */
    ERROR_INTERRUPT, /* the user asked to stop */
    ERROR_WARNING    /* nothing failed: this may be a mistake */
};

/* A place in a text file; line and col count from 1, 0 means unknown; file may be NULL. Strings live as long
 * as the arena of the file they came from. */
struct pos {
    const char *file;
    int line, col;
};

struct error {
    enum error_code code;
    char file[512]; /* "" when there is none */
    int line, col;
    char text[2048]; /* one sentence, no newline, contexts in front: "task 'x': cannot open 'y': No such file"
                      */
    struct error_note { /* a second place that explains the first: "first defined here"; line 0: none */
        char file[512];
        int line, col;
        char text[128];
    } note;
};

/* Fill *err and return false, so that `return error_set(err, pos, ERROR_INPUT, "...")` reads naturally. pos
 * may be NULL. */
bool error_set(struct error *err, const struct pos *pos, enum error_code code, const char *fmt, ...)
    PRINTF(4, 5);
/* The same for a failed system call: appends ": strerror(errno)". code is ERROR_SYSTEM, or ERROR_INPUT for
 * ENOENT, ENOTDIR, EISDIR and EACCES, or ERROR_FULL for ENOSPC and EDQUOT. */
bool error_errno(struct error *err, const char *fmt, ...) PRINTF(2, 3);
/* Put "fmt: " in front of err's text; returns false. */
bool error_context(struct error *err, const char *fmt, ...) PRINTF(2, 3);
/* Give err a place if it has none yet; returns false. */
bool error_at(struct error *err, const struct pos *pos);
/* Give err a second place with a few words about it; returns false. */
bool error_note(struct error *err, const struct pos *pos, const char *text);
/* "file:line:col: error: text" or "error: text", "warning" for ERROR_WARNING; buf of size n; returns buf. */
const char *error_string(const struct error *err, char *buf, int n);
#endif
