/* Why a task failed: a row for each cause, with the word that programs get (`--json`, the run's events), and
 * what to do about it. */
#ifndef ENGINE_EXEC_FAILURE_H
#define ENGINE_EXEC_FAILURE_H
#include "base/error.h"

enum failure {
    FAILURE_NONE,
    FAILURE_STAGE,  /* the stage itself says what is wrong */
    FAILURE_INPUT,  /* with what the user gave it */
    FAILURE_EXIT,   /* a program's exit status */
    FAILURE_SIGNAL, /* something killed the worker or its program */
    FAILURE_TIMEOUT,
    FAILURE_MEMORY,   /* more than it asked for */
    FAILURE_DISK,     /* full */
    FAILURE_PROTOCOL, /* it wrote what are no events, and ended without the last one */
    FAILURE_SILENT,   /* it ended without a word */
    FAILURE_START,    /* it could not be started */
    FAILURE_CHANGED,  /* a program wrote to its inputs */
    FAILURE_NODE,     /* its node was lost under it, again and again */
    FAILURE_COUNT
};
const char *failure_name(enum failure f);      /* "out of memory"; NULL for NONE */
enum failure failure_of(enum error_code code); /* of an error that a worker or the engine has found */
const char *failure_hint(enum failure f);      /* what to do; NULL: the text says it all */
#endif
