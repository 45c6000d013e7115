/* What a store is set to: STORE/config, a JSON object that people write; one row a setting, with its default.
 * A member that is no setting, or has a wrong value, is an error of whoever opens the store. */
#ifndef CACHE_CONFIG_H
#define CACHE_CONFIG_H
#include "base/param.h"

struct store_config {
    int64_t level;           /* of zstd, for objects */
    int64_t threads;         /* that compress and decompress; 0: the process's cores */
    int64_t block;           /* bytes of content that are compressed as one */
    int64_t max_size;        /* bytes of objects and records, held by reservation; 0: no limit */
    int64_t hot_size;        /* bytes of plain files that lie ready; those in use may exceed it */
    const char *hot;         /* folder of them; "": below the store */
    bool locks;              /* the file system's locks can be relied on */
    int64_t fetch_tries;     /* of each transfer of outside data */
    int64_t fetch_silence;   /* seconds without a sign of life that a try of it lasts */
    const char *remote;      /* URL of the remote tier; "": none */
    const char *remote_mode; /* read-write, read, write */
    int64_t remote_timeout;  /* seconds without a word, after which a transfer is tried again */
};
extern const struct param store_config_rows[];

/* The file's settings over the defaults; strings live in the arena. No file: the defaults. */
bool config_read(const char *path, struct arena *a, struct store_config *ret, struct error *err) MUST_CHECK;
/* Set one: `text` is the value, of bytes a size such as 20GiB; empty: the default again. The file is replaced
 * durably, after all of it was checked; a wrong value in it can so be put right. */
bool config_write(const char *path, const char *name, const char *text, struct error *err) MUST_CHECK;
/* The row of a setting; NULL: there is none of that name. */
const struct param *config_row(const char *name, struct error *err);
#endif
