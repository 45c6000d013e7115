#include "engine/exec/failure.h"
#include <stddef.h>

static const struct row {
    const char *name, *hint;
} rows[FAILURE_COUNT] = {
    [FAILURE_STAGE] = {"stage", NULL},
    [FAILURE_INPUT] = {"input", NULL},
    [FAILURE_EXIT] = {"exit status", "the log has what the program said"},
    [FAILURE_SIGNAL] = {"signal", "the log may tell why"},
    [FAILURE_TIMEOUT] = {"timeout", "raise resources: timeout, or give it more cores"},
    [FAILURE_MEMORY] = {"out of memory", "raise resources: memory"},
    [FAILURE_DISK] = {"disk full", "make room where the store lies: weft cache gc"},
    [FAILURE_PROTOCOL] = {"protocol",
                          "what starts workers, or a library in them, writes to their stdout: see the log"},
    [FAILURE_SILENT] = {"no word", "something in the worker ended it: see the log"},
    [FAILURE_START] = {"not started",
                       "the machine has no processes, files or memory left for it, or weft itself is gone"},
    [FAILURE_NODE] = {"node lost", "see what is wrong with the nodes, or choose others: docs/slurm.md"},
    [FAILURE_CHANGED] = {"changed input", "let the program work on a copy in {scratch}"},
};

const char *failure_name(enum failure f)
{
    return f < FAILURE_COUNT ? rows[f].name : NULL;
}

const char *failure_hint(enum failure f)
{
    return f < FAILURE_COUNT ? rows[f].hint : NULL;
}

enum failure failure_of(enum error_code code)
{
    switch (code) {
    case ERROR_INPUT:
        return FAILURE_INPUT;
    case ERROR_FULL:
        return FAILURE_DISK;
    case ERROR_EXIT:
        return FAILURE_EXIT;
    case ERROR_KILLED:
        return FAILURE_SIGNAL;
    default:
        return FAILURE_STAGE;
    }
}
