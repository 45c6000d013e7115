/* command: a user's own program. Its words, its environment, its end, and whether it made what it declared.
 */
#include "stages/command.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/varname.h"
#include "stages/job/artifact_check.h"
#include "stages/job/program.h"
#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BASE_PATH "/usr/local/bin:/usr/bin:/bin"
#define TEXT_MAX  (128 << 10) /* of one variable with its NUL: the kernel's limit (MAX_ARG_STRLEN) */

struct texts { /* NULL-ended; in the run's arena */
    char **item;
    int n, cap;
};

static void texts_add(struct texts *t, struct arena *a, const char *text)
{
    if (t->n + 1 >= t->cap) {
        t->cap = 2 * t->cap + 16;
        char **more = arena_alloc(a, (size_t)t->cap * sizeof *more);
        if (t->n)
            memcpy(more, t->item, (size_t)t->n * sizeof *more);
        t->item = more;
    }
    t->item[t->n++] = arena_strdup(a, text);
}

/* ---- words ---- */

static const char *piece_text(struct stage_context *ctx, const struct command_piece *p)
{
    switch (p->place) {
    case COMMAND_TEXT:
        return p->text;
    case COMMAND_IN:
        return stage_in(ctx, p->text, p->index < 0 ? 0 : p->index);
    case COMMAND_OUT:
        return ctx->outputs[stage_port_index(ctx->stage->outputs, p->text)];
    case COMMAND_FILE:
        return command_file(ctx->stage->command, p->text, ctx->arena);
    case COMMAND_THREADS:
        return arena_printf(ctx->arena, "%d", ctx->threads);
    case COMMAND_SCRATCH:
        return ctx->scratch;
    }
    return NULL;
}

static const char *join(struct stage_context *ctx, const struct command_piece *piece, int n)
{
    AUTO(buf) struct buf text = {0};
    for (int i = 0; i < n; i++)
        buf_puts(&text, piece_text(ctx, &piece[i]));
    return arena_strdup(ctx->arena, buf_str(&text));
}

/* The pieces of a word whose placeholders all mean something. */
static bool split(struct stage_context *ctx, const char *word, struct command_piece **ret, int *ret_n,
                  struct error *err)
{
    const struct command *c = ctx->stage->command;
    AUTO(mem) int *count = xcalloc((size_t)c->part[COMMAND_INPUTS].n + 1, sizeof *count);
    for (int i = 0; i < c->part[COMMAND_INPUTS].n; i++)
        count[i] = ctx->inputs[i].n;
    return command_check_word(c, count, word, err) && command_split(word, ctx->arena, ret, ret_n, err);
}

/* A word that is just {in:NAME} stands for all of the input's folders. */
static bool make_argv(struct stage_context *ctx, struct texts *argv, struct error *err)
{
    const struct command_list *words = &ctx->stage->command->part[COMMAND_ARGV];
    for (int i = 0; i < words->n; i++) {
        struct command_piece *piece;
        int n;
        if (!split(ctx, words->item[i].value, &piece, &n, err))
            return false;
        if (n != 1 || piece->place != COMMAND_IN || piece->index >= 0)
            texts_add(argv, ctx->arena, join(ctx, piece, n));
        else
            for (int k = 0; k < stage_in_count(ctx, piece->text); k++)
                texts_add(argv, ctx->arena, stage_in(ctx, piece->text, k));
    }
    return true;
}

/* ---- environment ---- */

static void put(struct texts *env, struct arena *a, const char *name, const char *value)
{
    size_t n = strlen(name);
    char *text = arena_printf(a, "%s=%s", name, value);
    for (int i = 0; i < env->n; i++)
        if (strncmp(env->item[i], name, n) == 0 && env->item[i][n] == '=') {
            env->item[i] = text;
            return;
        }
    texts_add(env, a, text);
}

static void put_ports(struct stage_context *ctx, struct texts *env)
{
    for (int p = 0; p < stage_port_count(ctx->stage->inputs); p++) {
        AUTO(buf) struct buf all = {0};
        const char *name = varname_variable(ctx->arena, "WEFT_IN_", ctx->stage->inputs[p].name);
        for (int i = 0; i < ctx->inputs[p].n; i++)
            buf_printf(&all, "%s%s", i ? "\n" : "", ctx->inputs[p].item[i].dir);
        if (strlen(name) + all.len + 2 <= TEXT_MAX)
            put(env, ctx->arena, name, buf_str(&all));
        else
            stage_warn(ctx, "%s is not set: %d folders are too long for a variable", name, ctx->inputs[p].n);
    }
    for (int p = 0; p < stage_port_count(ctx->stage->outputs); p++)
        put(env, ctx->arena, varname_variable(ctx->arena, "WEFT_OUT_", ctx->stage->outputs[p].name),
            ctx->outputs[p]);
}

/* The devices of the task, as the worker's own environment has them. */
static void put_units(struct stage_context *ctx, struct texts *env)
{
    for (char **v = environ; *v; v++) {
        size_t name = strcspn(*v, "=");
        if (strncmp(*v, COMMAND_UNIT, strlen(COMMAND_UNIT)) == 0 && (*v)[name])
            put(env, ctx->arena, arena_printf(ctx->arena, "%.*s", (int)name, *v), *v + name + 1);
    }
    for (const char *const *name = command_gpu_variables; getenv(COMMAND_UNIT_GPU) && *name; name++)
        if (getenv(*name))
            put(env, ctx->arena, *name, getenv(*name));
}

static bool put_set(struct stage_context *ctx, struct texts *env, struct error *err)
{
    const struct command_list *set = &ctx->stage->command->part[COMMAND_SET];
    for (int i = 0; i < set->n; i++) {
        struct command_piece *piece;
        int n;
        if (!split(ctx, set->item[i].value, &piece, &n, err))
            return error_context(err, "set '%s'", set->item[i].name);
        put(env, ctx->arena, set->item[i].name, join(ctx, piece, n));
    }
    return true;
}

/* Little and fixed, then what the caller lends, then what the task sets, then ours: of two the later counts.
 * No OMP_PLACES: the kernel holds the program in its cores anyway, and OpenMP would then bind the first
 * thread of each process to the first of them, where all that it starts otherwise (processes, threads of
 * Python and of data loaders) would crowd. A program that gains by it says so under `set`. */
static bool make_env(struct stage_context *ctx, struct texts *env, struct error *err)
{
    const struct command *c = ctx->stage->command;
    struct arena *a = ctx->arena;
    const char *threads = arena_printf(a, "%d", ctx->threads);
    put(env, a, "PATH", BASE_PATH);
    put(env, a, "LANG", "C.UTF-8");
    put(env, a, "HOME", ctx->scratch);
    put(env, a, "TMPDIR", ctx->scratch);
    put(env, a, "OMP_NUM_THREADS", threads);
    put(env, a, "PYTHONUNBUFFERED", "1");        /* progress is seen when it is made */
    put(env, a, "PYTHONDONTWRITEBYTECODE", "1"); /* the folders of files: stay what they are */
    for (int i = 0; i < c->part[COMMAND_ENV].n; i++) {
        const char *value = getenv(c->part[COMMAND_ENV].item[i].name);
        if (value)
            put(env, a, c->part[COMMAND_ENV].item[i].name, value);
    }
    if (!put_set(ctx, env, err))
        return false;
    put(env, a, "WEFT_THREADS", threads);
    put(env, a, "WEFT_SCRATCH", ctx->scratch);
    put_ports(ctx, env);
    put_units(ctx, env);
    return true;
}

static const char *env_value(const struct texts *env, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; i < env->n; i++)
        if (strncmp(env->item[i], name, n) == 0 && env->item[i][n] == '=')
            return env->item[i] + n + 1;
    return "";
}

/* ---- what it says ---- */

struct listener {
    struct stage_context *ctx;
    char last[256]; /* the last line that says something */
};

/* The rest of a line behind `head`; NULL when it begins otherwise. */
static const char *after(const char *line, const char *head)
{
    size_t n = strlen(head);
    return strncmp(line, head, n) == 0 ? line + n : NULL;
}

static bool number(const char **at, double *ret)
{
    char *end;
    *ret = strtod(*at, &end);
    bool ok = end != *at && (!*end || *end == ' ');
    *at = end + strspn(end, " ");
    return ok;
}

/* "weft:progress DONE TOTAL UNIT" */
static bool take_progress(struct stage_context *ctx, const char *line)
{
    double done, total;
    const char *at = after(line, "weft:progress ");
    if (!at || !number(&at, &done) || !number(&at, &total) || !isfinite(done) || !isfinite(total))
        return false;
    stage_progress(ctx, done, total, at);
    return true;
}

/* "weft:metric NAME VALUE [STEP]" */
static bool take_metric(struct stage_context *ctx, const char *line)
{
    double value, step = 0;
    const char *at = after(line, "weft:metric ");
    size_t n = at ? strcspn(at, " ") : 0;
    if (n == 0 || !at[n])
        return false;
    const char *name = arena_printf(ctx->arena, "%.*s", (int)n, at);
    at += n + strspn(at + n, " ");
    if (!number(&at, &value) || (*at && !number(&at, &step)) || *at || !(fabs(step) < 9e15))
        return false;
    stage_metric(ctx, name, value, (int64_t)step);
    return true;
}

/* What a person would see of a line: without what a progress bar overwrote, without colours' escapes. */
static void keep_last(struct listener *l, char *line)
{
    size_t n = strlen(line), from;
    while (n && strchr("\r \t", line[n - 1]))
        line[--n] = '\0';
    for (from = n; from && line[from - 1] != '\r'; from--)
        ;
    for (char *c = line; *c; c++)
        *c = iscntrl((unsigned char)*c) ? ' ' : *c;
    if (n > from)
        snprintf(l->last, sizeof l->last, "%s", line + from);
}

static void on_line(void *arg, const char *text, size_t n)
{
    struct listener *l = arg;
    AUTO(mem) char *line = xstrndup(text, n);
    struct arena_mark mark = arena_mark(l->ctx->arena);
    bool event = take_progress(l->ctx, line) || take_metric(l->ctx, line);
    arena_release(l->ctx->arena, mark);
    if (event)
        return;
    fwrite(text, 1, n, stderr); /* the task's log */
    fputc('\n', stderr);
    keep_last(l, line);
}

/* ---- the run ---- */

static bool check_outputs(const struct stage_context *ctx, struct error *err)
{
    for (int p = 0; p < stage_port_count(ctx->stage->outputs); p++)
        if (!artifact_check(ctx->stage->outputs[p].type, ctx->outputs[p], err))
            return error_context(err, "output '%s'", ctx->stage->outputs[p].name);
    return true;
}

static bool check_end(const char *name, int status, const char *last, struct error *err)
{
    const char *colon = *last ? ": " : "";
    if (WIFSIGNALED(status))
        return error_set(err, NULL, ERROR_KILLED, "'%s' was killed by signal %d (%s)%s%s", name,
                         WTERMSIG(status), strsignal(WTERMSIG(status)), colon, last);
    return WEXITSTATUS(status) == 0 || error_set(err, NULL, ERROR_EXIT, "'%s' ended with exit status %d%s%s",
                                                 name, WEXITSTATUS(status), colon, last);
}

/* Where argv[0] lies: at a path, as one of the files, or in the PATH that the program will see. */
static const char *find_program(struct stage_context *ctx, const char *name, const struct texts *env,
                                struct error *err)
{
    if (*name == '/')
        return name;
    const char *path = strchr(name, '/') ? command_file(ctx->stage->command, name, ctx->arena)
                                         : program_find(name, env_value(env, "PATH"), ctx->arena);
    if (!path)
        error_set(err, NULL, ERROR_TASK, "there is no program '%s' in PATH=%s", name, env_value(env, "PATH"));
    return path;
}

static bool run_program(struct stage_context *ctx, struct error *err)
{
    struct texts argv = {0}, env = {0};
    struct listener l = {.ctx = ctx};
    struct program_end end;
    if (!make_env(ctx, &env, err) || !make_argv(ctx, &argv, err))
        return false;
    const char *name = argv.item[0], *path = find_program(ctx, name, &env, err);
    const struct program p = {path, argv.item, env.item, ctx->scratch, on_line, &l};
    if (!path || !program_run(&p, &end, err))
        return false;
    ctx->program_peak = end.peak;
    return check_end(name, end.status, l.last, err) && check_outputs(ctx, err);
}

/* Whatever goes wrong here is the task's failure: a file that is missing is one that the program did not
 * write. */
static bool run(struct stage_context *ctx, struct error *err)
{
    bool ok = run_program(ctx, err);
    if (!ok && err && err->code != ERROR_EXIT && err->code != ERROR_KILLED && err->code != ERROR_FULL)
        err->code = ERROR_TASK;
    return ok;
}

/* Nobody knows what a program does; its inputs are all that can be seen. */
static void cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    *ret = (struct cost){.bytes = in->bytes};
}

static const struct command nothing; /* what no task has declared */
const struct stage stage_command = {
    .name = "command",
    .version = 1,
    .doc = "A program of yours: any language; its inputs and outputs are declared where it is used.",
    .inputs = (const struct port[]){{0}},
    .outputs = (const struct port[]){{0}},
    .cost = cost,
    .run = run,
    .command = &nothing};
