/* A user's own program as a stage (`uses: command`). What a task declares is a struct command; command_stage
 * makes a row of it like any other stage's, so that references, labels, keys, plans and results need to know
 * nothing of programs: its ports are those that were declared, its parameters are its words (argv.0,
 * files.NAME, set.NAME, outputs.NAME, version), which stand in the key. */
#ifndef STAGES_COMMAND_H
#define STAGES_COMMAND_H
#include "stages/stage.h"

enum command_part {
    COMMAND_ARGV,    /* value: the word, with its placeholders */
    COMMAND_FILES,   /* name: as written; value: absolute path. Content is in the key, the place is not */
    COMMAND_ENV,     /* name: a variable that passes from the caller; not in the key */
    COMMAND_SET,     /* name; value: a variable and its text, with placeholders */
    COMMAND_OUTPUTS, /* name, value: the artifact's type */
    COMMAND_INPUTS,  /* name; takes artifacts of any type */
    COMMAND_PARTS
};
struct command_item {
    const char *name, *value;
    const char *release; /* of an output: what it releases of private data, NULL: nothing */
    struct pos pos;      /* in the experiment's file */
};
struct command_list {
    struct command_item *item;
    int n;
};
struct command {
    struct command_list part[COMMAND_PARTS];
    int64_t version;
    struct pos version_pos;
};
const struct command_item *command_find(const struct command *c, enum command_part part, const char *name);

/* The row of a task with this declaration; `row` is the registry's. *ret_params is the stage's struct;
 * *ret_pos, where it is wanted, says by index in the row's params where each was set. All in the arena. */
const struct stage *command_stage(const struct stage *row, const struct command *c, struct arena *a,
                                  const void **ret_params, const struct pos **ret_pos);
/* A declaration as JSON and back, for the worker. */
struct json_out;
void command_write(struct json_out *o, const char *name, const struct command *c);
bool command_read(const json_t *o, struct arena *a, struct command **ret, struct error *err) MUST_CHECK;
/* The type of an output that a record's key text declares; ARTIFACT_NONE when it declares none so called. */
enum artifact command_output_type(const char *key_text, const char *output);

/* -- the language: rows for checking, help and schema -- */
struct command_key { /* of with: */
    const char *name;
    bool required;
    const char *schema; /* JSON Schema of the value */
    const char *doc;
};
extern const struct command_key command_keys[];          /* {0}-ended */
json_t *command_key_schema(const struct command_key *k); /* with its description; new reference */
struct command_word {                                    /* what a program may be told, and how */
    const char *name, *doc;
};
extern const struct command_word command_placeholders[], command_variables[]; /* {0}-ended */
/* Devices that a task has (resources.units), in the environment: WEFT_UNIT_GPU=0,2; and what the libraries of
 * GPUs read. */
#define COMMAND_UNIT     "WEFT_UNIT_"
#define COMMAND_UNIT_GPU COMMAND_UNIT "GPU"
extern const char *const command_gpu_variables[]; /* NULL-ended */

/* -- words of argv and set: text and placeholders -- */
enum command_place { COMMAND_TEXT, COMMAND_IN, COMMAND_OUT, COMMAND_FILE, COMMAND_THREADS, COMMAND_SCRATCH };
struct command_piece {
    enum command_place place;
    const char *text; /* the text; the port; the file's path */
    int index;        /* {in:NAME:2}: 2; -1: none was given */
};
bool command_split(const char *word, struct arena *a, struct command_piece **ret, int *ret_n,
                   struct error *err) MUST_CHECK;
/* Do all placeholders of a word name something of c? count[i]: how many artifacts the i-th input has. */
bool command_check_word(const struct command *c, const int *count, const char *word,
                        struct error *err) MUST_CHECK;
/* Absolute path of a declared file, or of a path below a declared folder; NULL when neither. */
const char *command_file(const struct command *c, const char *path, struct arena *a);
#endif
