#include "engine/exec/launcher.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/topo/topo.h"
#include <limits.h>
#include <stdarg.h>
#include <string.h>

const struct launcher_row *const launcher_table[] = {&launcher_slurm, &launcher_template, NULL};

/* A row's name, else a template, which has its place for the command. */
static const struct launcher_row *find(const char *text, struct error *err)
{
    for (int i = 0; launcher_table[i]; i++)
        if (strcmp(launcher_table[i]->name, text) == 0 && launcher_table[i] != &launcher_template)
            return launcher_table[i];
    if (strstr(text, "{command}") || strstr(text, "{quoted}"))
        return &launcher_template;
    error_set(err, NULL, ERROR_INPUT,
              "--launcher takes local, slurm, or a command with {command} or {quoted} in it such as "
              "'ssh {node} {quoted}', not '%s'",
              text);
    return NULL;
}

bool launcher_open(const struct launcher_options *o, const struct launcher_need *need, const char *self,
                   void (*say)(void *arg, const char *text), void *arg, struct launcher **ret,
                   struct error *err)
{
    const struct launcher_row *row = find(o->launcher, err);
    if (!row)
        return false;
    struct launcher *l = xcalloc(1, sizeof *l);
    *l = (struct launcher){.row = row, .due = HUGE_VAL, .self = self, .say = say, .arg = arg};
    arena_init(&l->arena);
    if (!row->open(l, o, need, err)) {
        launcher_close(l);
        return error_context(err, "launcher %s", row->name);
    }
    *ret = l;
    return true;
}

void launcher_close(struct launcher *l)
{
    if (!l)
        return;
    for (int i = 0; i < l->n; i++)
        topo_close(l->node[i].topo);
    l->row->close(l);
    arena_done(&l->arena);
    free(l);
}

void launcher_argv(struct launcher *l, const struct launcher_step *s, struct arena *a,
                   const char *const **ret_argv, const char *const **ret_env)
{
    const char *const *carrying;
    size_t n = 0;
    l->row->command(l, s, a, &carrying, ret_env);
    while (carrying[n])
        n++;
    const char **argv = arena_alloc(a, (n + 6) * sizeof *argv);
    argv[0] = l->self;
    argv[1] = "worker";
    argv[2] = "--near";
    argv[3] = arena_printf(a, "%ld", (long)getpid());
    argv[4] = "--";
    memcpy(argv + 5, carrying, n * sizeof *argv);
    *ret_argv = argv;
}

void launcher_look(struct launcher *l)
{
    if (launcher_due(l) == 0)
        l->row->look(l);
}

int launcher_due(const struct launcher *l)
{
    double left = l->due - clock_seconds();
    return isinf(left) ? -1 : left <= 0 ? 0 : (int)fmin(ceil(1000 * left), INT_MAX);
}

void launcher_say(struct launcher *l, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (l->say)
        l->say(l->arg, text);
}
