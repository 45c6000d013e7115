/* A task's key and its record, as far as the records of the tasks it needs are known. */
#ifndef ENGINE_EXEC_RESOLVE_H
#define ENGINE_EXEC_RESOLVE_H
#include "cache/store.h"
#include "engine/spec/spec.h"

struct resolved { /* of one task */
    struct digest key;
    const struct index_entry *entry; /* what the store knows of the key's record; NULL: not known or a miss */
    struct record *record;    /* the whole of it, once somebody asked or ran the task: resolve_record */
    int64_t outside;          /* bytes of outside data that it reads, once its key was made from them */
    struct cost_output makes; /* by the parameters, once foreseen: sizes_of_inputs */
    bool foreseen;
    bool has_key;
    bool lost;  /* a miss although there is a record: the store lost what it names */
    bool freed; /* what it names was let go on purpose */
};
struct resolver { /* records are found, or set by who ran the task */
    struct store *store;
    struct resolved *task; /* by task index */
    bool use;              /* what is found is needed: nobody removes it while the store is open */
};
void resolver_init(struct resolver *r, const struct spec *spec, struct store *store);
void resolver_done(struct resolver *r, const struct spec *spec);
enum resolution {
    RESOLVE_ERROR, /* err: the store or an import could not be read */
    RESOLVE_WAIT,  /* an input's content is not known yet, or a URL not fetched: fetched_missing */
    RESOLVE_MISS,
    RESOLVE_FREED, /* there is a record, but what it names was let go: as good as a hit for those who only
                      need its digests, else a miss */
    RESOLVE_HIT    /* there is a record and all it names is there */
};
enum resolution resolve(struct resolver *r, const struct task *t, struct error *err);
/* The same, and a hit has its whole record read and found intact. */
enum resolution resolve_whole(struct resolver *r, const struct task *t, struct error *err);
/* The record of a hit or of a task that ran; NULL: there is none, or it can no longer be read. Lives as long
 * as the resolver, or until the task is resolved again. */
const struct record *resolve_record(struct resolver *r, const struct task *t);
/* The canonical description of a task whose key is known; malloc'd. NULL: outside data that it reads is gone.
 */
char *resolve_text(const struct resolver *r, const struct task *t, struct error *err) MUST_CHECK;
/* After t ran: is its key what it was? Outside data may have changed while it was read: ERROR_TASK.
 * *ret_text, if wanted, is the description of just that key; malloc'd. */
bool resolve_unchanged(const struct resolver *r, const struct task *t, char **ret_text,
                       struct error *err) MUST_CHECK;
/* All tasks of the experiment in order: state[i] as far as it is known without running anything. */
bool resolve_all(struct resolver *r, const struct spec *spec, enum resolution *state,
                 struct error *err) MUST_CHECK;
/* Of each FREED task: is its content needed, because it is a result, or named[i], or because what needs it is
 * no hit? Then it becomes a MISS, else a HIT. wanted, named: by task index; NULL: all are wanted, none is
 * named. */
void resolve_needed(const struct spec *spec, const bool *wanted, const bool *named, enum resolution *state);
/* The output of a record by the port's name; NULL when there is none. */
const struct record_output *record_find_output(const struct record *r, const char *port);
#endif
