#include "engine/exec/unitenv.h"
#include "base/arena.h"
#include "base/varname.h"
#include "engine/exec/job.h"
#include "stages/command.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void clear(struct arena *a)
{
    for (char **v = environ; v && *v;)
        if (strncmp(*v, COMMAND_UNIT, strlen(COMMAND_UNIT)) == 0 && strchr(*v, '='))
            unsetenv(arena_printf(a, "%.*s", (int)strcspn(*v, "="), *v)); /* the next one moves here */
        else
            v++;
}

void unitenv_set(const struct job_unit *unit, int n, struct arena *a)
{
    clear(a);
    for (int i = 0; i < n; i++) {
        const char *name = varname_variable(a, COMMAND_UNIT, unit[i].name);
        setenv(name, unit[i].ids, 1);
        for (const char *const *gpu = command_gpu_variables; strcmp(name, COMMAND_UNIT_GPU) == 0 && *gpu;
             gpu++)
            setenv(*gpu, unit[i].ids, 1);
    }
}
