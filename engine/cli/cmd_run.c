#include "engine/cli/cmd_run.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/config.h"
#include "engine/cli/fetching.h"
#include "engine/cli/logtail.h"
#include "engine/cli/units.h"
#include "engine/exec/build.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const struct opt opts[] = {
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    OPT_ROW_REMOTE,
    {"target", 't', OPT_LIST, "TASK", "only this task or stage and what it needs; repeatable"},
    {"cores", 'c', OPT_INT, "N", "use at most N cores"},
    OPT_ROW_THREADS,
    OPT_ROW_UNIT,
    OPT_ROWS_LAUNCHER,
    {"checkpoint-every", 0, OPT_INT, "N",
     "let tasks keep their state at most every N seconds; default 5, 0: after every pass"},
    {"keep-going", 'k', OPT_FLAG, NULL, "after a failure go on with what does not need it"},
    {"quiet", 'q', OPT_FLAG, NULL, "print failures only"},
    OPT_ROW_JSON,
    {0}};

/* Ctrl-C and termination (batch systems send it before they take a node away) arrive through a descriptor
 * that the build waits on. A terminal that closes is no reason to end, and nobody reads what is written
 * there. */
static int open_interrupts(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A program may write any bytes; a line that is no text keeps its ASCII. */
static json_t *line_json(char *line)
{
    json_t *text = json_string(line);
    for (char *c = line; !text && *c; c++)
        *c = (unsigned char)*c < 0x80 ? *c : '?';
    return text ? text : json_string(line);
}

static json_t *log_json(const struct build *b, const struct task *t)
{
    AUTO(mem) char *path = build_task_log(b, t->index);
    char **line;
    size_t n = logtail_read(path, &line);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, line_json(line[i]));
    fs_list_free(line, n);
    return list;
}

/* Nothing of a failure's own words differs from run to run; those of its log are the program's. */
static void add_failure(json_t *o, const struct build *b, const struct task *t, const struct build_result *r)
{
    json_object_set_new(o, "error", json_string(r->error));
    json_object_set_new(o, "cause", json_string(failure_name(r->cause)));
    if (failure_hint(r->cause))
        json_object_set_new(o, "hint", json_string(failure_hint(r->cause)));
    json_object_set_new(o, "log", log_json(b, t));
}

static json_t *task_json(const struct build *b, const struct task *t, const struct build_result *r)
{
    char hex[DIGEST_HEX];
    json_t *outputs = json_object();
    for (size_t i = 0; r->record && i < r->record->n; i++)
        json_object_set_new(outputs, r->record->output[i].port,
                            json_string(digest_hex(&r->record->output[i].digest, hex)));
    json_t *o = json_pack("{s:s, s:s, s:s, s:f, s:o}", "task", t->name, "stage", t->stage->name, "state",
                          task_state_name(r->state), "seconds", r->seconds, "outputs", outputs);
    if (r->resumed)
        json_object_set_new(o, "resumed", json_integer((json_int_t)r->resumed));
    json_object_set_new(o, "key", r->has_key ? json_string(digest_hex(&r->key, hex)) : json_null());
    if (r->memory)
        json_object_set_new(o, "memory_asked", json_integer((json_int_t)r->memory));
    if (r->peak_rss)
        json_object_set_new(o, "peak_rss", json_integer((json_int_t)r->peak_rss));
    if (r->error)
        add_failure(o, b, t, r);
    return o;
}

static json_t *remote_json(const struct run_setup *setup)
{
    const struct remote_stats *r = &setup->remote;
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "url", setup->remote_url, "hits",
                     (json_int_t)r->hits, "misses", (json_int_t)r->misses, "uploads", (json_int_t)r->uploads,
                     "failures", (json_int_t)r->failures, "received", (json_int_t)r->received, "sent",
                     (json_int_t)r->sent);
}

static int print_json(const struct spec *s, const struct build *b, const struct run_setup *setup,
                      double seconds)
{
    json_t *tasks = json_array();
    for (int i = 0; i < s->n; i++)
        if (build_result_of(b, i)->wanted)
            json_array_append_new(tasks, task_json(b, s->task[i], build_result_of(b, i)));
    json_t *o = json_pack("{s:s, s:s, s:f, s:o}", "experiment", s->experiment, "run", build_run_id(b),
                          "seconds", seconds, "tasks", tasks);
    if (setup->remote_url)
        json_object_set_new(o, "remote", remote_json(setup));
    return cmd_print_json(o);
}

/* "remote http://cache/: 3 hits, 25 uploads; 1.2 MiB received, 30.5 MiB sent" */
static void remote_summary(const struct run_setup *setup)
{
    const struct remote_stats *r = &setup->remote;
    char received[UNITS_MAX], sent[UNITS_MAX];
    if (!setup->remote_url)
        return;
    fprintf(stderr, "remote %s: %zu hit%s, %zu upload%s; %s received, %s sent", setup->remote_url, r->hits,
            r->hits == 1 ? "" : "s", r->uploads, r->uploads == 1 ? "" : "s",
            bytes_text(r->received, received), bytes_text(r->sent, sent));
    if (r->failures)
        fprintf(stderr, "; %zu failure%s", r->failures, r->failures == 1 ? "" : "s");
    fputc('\n', stderr);
}

void run_summary(const struct spec *s, const struct build *b, const struct run_setup *setup, double seconds)
{
    static const enum task_state shown[] = {TASK_HIT, TASK_DONE, TASK_FAILED, TASK_SKIPPED};
    char spent[UNITS_MAX];
    int count[TASK_SKIPPED + 1] = {0}, all = 0;
    for (int i = 0; i < s->n; i++)
        if (build_result_of(b, i)->wanted) {
            count[build_result_of(b, i)->state]++;
            all++;
        }
    fprintf(stderr, "%s: %d task%s:", s->experiment, all, all == 1 ? "" : "s");
    const char *separator = " ";
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (count[shown[i]]) {
            fprintf(stderr, "%s%d %s", separator, count[shown[i]], task_state_name(shown[i]));
            separator = ", ";
        }
    if (count[TASK_WAIT])
        fprintf(stderr, "%s%d paused", separator, count[TASK_WAIT]);
    fprintf(stderr, " in %s\n", seconds_text(seconds, spent));
    remote_summary(setup);
}

static char *self_path(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return n > 0 ? xstrndup(path, (size_t)n) : xstrdup("weft");
}

/* --remote, else the store's setting; "off" or nothing: none. */
static bool open_remote(const struct cmd_args *a, struct store *store, struct run_setup *ret,
                        struct error *err)
{
    const struct store_config *c = store_config(store);
    const struct opt_value *o = cmd_opt(a, "remote");
    struct remote_options opt = {.url = o->set ? o->string : c->remote,
                                 .mode = remote_mode_parse(c->remote_mode),
                                 .silence_timeout = (double)c->remote_timeout};
    if (!*opt.url || strcmp(opt.url, "off") == 0)
        return true;
    if (!remote_open(store, &opt, &ret->opt.remote, err))
        return error_context(err, o->set ? "--remote" : "the store's setting 'remote'");
    ret->opt.remote_mode = opt.mode;
    ret->remote_url = xstrdup(remote_url(ret->opt.remote));
    return true;
}

/* --launcher and what belongs to it. */
static bool read_launcher(const struct cmd_args *a, struct run_setup *ret, struct error *err)
{
    const struct opt_value *o = cmd_opt(a, "launcher"), *nodes = cmd_opt(a, "nodes"),
                           *wish = cmd_opt(a, "slurm");
    bool local = !o->set || strcmp(o->string, "local") == 0,
         slurm = o->set && strcmp(o->string, "slurm") == 0;
    ret->launcher =
        (struct launcher_options){o->string, nodes->string, wish->string, cmd_opt(a, "threads")->set};
    if (wish->set && !slurm)
        return error_set(err, NULL, ERROR_INPUT, "--slurm goes with --launcher slurm");
    if (nodes->set && (local || slurm))
        return error_set(err, NULL, ERROR_INPUT, "--nodes goes with a command as --launcher");
    ret->opt.launcher = local ? NULL : &ret->launcher;
    return true;
}

/* --unit, and what this node has. */
static bool read_units(const struct cmd_args *a, struct run_setup *ret, struct error *err)
{
    const struct opt_value *o = cmd_opt(a, "unit");
    if (!unitlist_read(o->list, o->n, &ret->units, err) || /* of other nodes we see no GPUs */
        (!ret->opt.launcher && !unitlist_find_gpus(&ret->units, "/dev", getenv("CUDA_VISIBLE_DEVICES"), err)))
        return false;
    ret->opt.units = ret->units.unit;
    ret->opt.n_units = ret->units.n;
    return true;
}

bool run_setup(const struct cmd_args *a, struct store *store, struct run_setup *ret, struct error *err)
{
    const struct opt_value *cores = cmd_opt(a, "cores"), *targets = cmd_opt(a, "target"),
                           *set = cmd_opt(a, "set"), *vars = cmd_opt(a, "vars"),
                           *every = cmd_opt(a, "checkpoint-every");
    *ret = (struct run_setup){.interrupts = -1};
    if (cores->set && (cores->number < 1 || cores->number > 100000))
        return error_set(err, NULL, ERROR_INPUT, "--cores takes a number from 1 on");
    if (every->number < 0)
        return error_set(err, NULL, ERROR_INPUT, "--checkpoint-every takes a number of seconds from 0 on");
    signal(SIGXFSZ, SIG_IGN); /* past a limit on file sizes a write fails, as on a full disk */
    ret->self = self_path();
    ret->interrupts = open_interrupts();
    ret->progress = progress_new(cmd_opt(a, "quiet")->set);
    ret->opt =
        (struct build_options){.cores = (int)cores->number,
                               .threads = cmd_opt(a, "threads")->set,
                               .checkpoint_every = every->set && !every->number ? -1 : (double)every->number,
                               .keep_going = cmd_opt(a, "keep-going")->set,
                               .targets = targets->list,
                               .n_targets = targets->n,
                               .set = set->list,
                               .n_set = set->n,
                               .vars = vars->list,
                               .n_vars = vars->n,
                               .self = ret->self,
                               .interrupts = ret->interrupts,
                               .tick = progress_is_live(ret->progress) ? 200 : 0,
                               .see = progress_see,
                               .arg = ret->progress};
    bool ok = read_launcher(a, ret, err) && read_units(a, ret, err) && open_remote(a, store, ret, err);
    if (!ok)
        run_setup_done(ret);
    return ok;
}

void run_setup_end(struct run_setup *s)
{
    progress_free(s->progress);
    s->progress = NULL;
    if (s->opt.remote)
        remote_stats_of(s->opt.remote, &s->remote);
    remote_close(s->opt.remote, 0);
    s->opt.remote = NULL;
}

void run_setup_done(struct run_setup *s)
{
    run_setup_end(s);
    if (s->interrupts >= 0)
        close(s->interrupts);
    free(s->self);
    free(s->remote_url);
    unitlist_done(&s->units);
    *s = (struct run_setup){.interrupts = -1};
}

static int run_spec(const struct cmd_args *a, const struct spec *s, struct store *store)
{
    struct build *b = NULL;
    struct run_setup setup;
    struct error err = {0};
    double start = clock_seconds();
    if (!run_setup(a, store, &setup, &err))
        return cmd_fail(&err);
    bool ok = fetching_all(a, s, store, setup.interrupts, &err) && build_run(s, store, &setup.opt, &b, &err);
    run_setup_end(&setup);
    int status = ok ? 0 : cmd_fail(&err);
    if (b && !cmd_opt(a, "quiet")->set)
        run_summary(s, b, &setup, clock_seconds() - start);
    if (b && cmd_opt(a, "json")->set) {
        int printed = print_json(s, b, &setup, clock_seconds() - start);
        status = status ? status : printed;
    }
    run_setup_done(&setup);
    build_free(b);
    return status;
}

static int run(const struct cmd_args *a)
{
    struct spec *s;
    AUTO(store) struct store *store = NULL;
    struct error err = {0};
    int status = cmd_read_spec(a, a->arg[0], &s);
    if (status)
        return status;
    if (!cmd_opt(a, "quiet")->set)
        cmd_print_all(s->warning, s->n_warnings);
    status = cmd_open_store(a, &store, &err) ? run_spec(a, s, store) : cmd_fail(&err);
    spec_free(s);
    return status;
}

const struct cmd cmd_run = {
    .name = "run",
    .group = "Run experiments",
    .doc = "Run an experiment; what is in the store already does not run again.",
    .details = "Each task whose result the store does not have runs in a process of its own, on "
               "cores of its own, as soon as its inputs are there; the others are hits and cost "
               "nothing. Which results a task can use follows from its key: the stage and its "
               "version, the parameters, the content of the inputs.\n\n"
               "Ctrl-C, or SIGTERM, starts nothing more and waits for what runs; a second one stops "
               "at once. "
               "After either, and after kill -9, the next run goes on with what is in the store.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples =
        (const struct example[]){{"weft run examples/quickstart.yaml", "run it; again at once: all hits"},
                                 {"weft run exp.yaml --set lambda=0.5 --target table",
                                  "with another value, as far as one stage needs it"},
                                 {"weft run exp.yaml --launcher slurm", "on a cluster"},
                                 {"weft run exp.yaml --keep-going --json >result.json",
                                  "for programs, which also want to know of failures"},
                                 {0}},
    .run = run};
