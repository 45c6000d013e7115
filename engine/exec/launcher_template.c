/* The launcher for any command that runs another on a node: ssh, a container, a batch system of its own kind.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/capture.h"
#include "engine/exec/launcher.h"
#include "engine/exec/words.h"
#include "engine/topo/topo.h"
#include <poll.h>
#include <string.h>

#define PATIENCE    20.0 /* seconds for a node's answer */
#define ASK_FIRST   1.0  /* after a loss, then twice as long each time */
#define ASK_LONGEST 60.0
#define MIB         ((int64_t)1 << 20)

struct template
{
    const char *const *word;
    bool threads; /* each hardware thread is a core */
    struct template_node {
        struct capture probe;
        bool asked;   /* the probe runs */
        double again; /* when it is to be asked; of the clock */
        double pause; /* before the next time */
    } * node;
};

/* One word with what stands for its {name}s; an unknown name is an error at open, when `s` is of a first
 * node. */
static bool fill(const struct launcher *l, const struct launcher_step *s, const char *word,
                 const char *const *command, struct arena *a, char **ret, struct error *err)
{
    AUTO(buf) struct buf out = {0};
    const char *at = word;
    for (const char *open; (open = strchr(at, '{')); at = strchr(open, '}') + 1) {
        buf_add(&out, at, (size_t)(open - at));
        if (strncmp(open, "{node}", 6) == 0)
            buf_puts(&out, l->node[s->node].name);
        else if (strncmp(open, "{cores}", 7) == 0)
            buf_printf(&out, "%d", s->cores);
        else if (strncmp(open, "{memory}", 8) == 0) /* MiB, rounded up; 0: not known */
            buf_printf(&out, "%lld", (long long)((s->memory + MIB - 1) / MIB));
        else if (strncmp(open, "{task}", 6) == 0)
            buf_puts(&out, s->task);
        else if (strncmp(open, "{quoted}", 8) == 0)
            buf_puts(&out, words_quote(command, a));
        else
            return error_set(err, NULL, ERROR_INPUT,
                             "'%s' has something else in braces than node, cores, memory, task, command and "
                             "quoted; {command} is a word of its own",
                             word);
    }
    buf_puts(&out, at);
    *ret = arena_strdup(a, buf_str(&out));
    return true;
}

static bool fill_all(const struct launcher *l, const struct launcher_step *s, const char *const *command,
                     struct arena *a, const char *const **ret, struct error *err)
{
    const struct template *t = l->own;
    size_t n = 0, more = 0;
    while (t->word[n])
        n++;
    while (command[more])
        more++;
    const char **argv = arena_alloc(a, (n * (more + 1) + 1) * sizeof *argv);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        char *text = NULL;
        if (strcmp(t->word[i], "{command}") == 0) {
            memcpy(argv + k, command, more * sizeof *argv);
            k += more;
        } else if (fill(l, s, t->word[i], command, a, &text, err)) {
            argv[k++] = text;
        } else {
            return false;
        }
    }
    *ret = argv;
    return true;
}

/* ---- what nodes have ---- */

static bool ask(struct launcher *l, int node, struct error *err)
{
    struct template_node *t = &((struct template *)l->own)->node[node];
    const struct launcher_step s = {.task = "probe", .node = node, .cores = 1};
    const char *const command[] = {l->self, "worker", "--probe", NULL}, *const * argv;
    AUTO(arena) struct arena a;
    arena_init(&a);
    t->asked = fill_all(l, &s, command, &a, &argv, err) && capture_start(&t->probe, argv, NULL, NULL, err);
    return t->asked;
}

/* What a node has never changes: a later answer says only that it is there. */
static bool take_answer(const struct template *t, const char *text, struct launcher_node *ret,
                        struct error *err)
{
    const char *xml;
    AUTO_JSON o = json_parse(text, strlen(text), "answer", err);
    if (!o || !json_get_string(o, "xml", &xml, err) || !json_get_int(o, "memory", &ret->memory, err))
        return false;
    const struct topo_options options = {.source = xml, .threads = t->threads};
    if (!ret->topo && ret->cores == 0 && !topo_open(&options, &ret->topo, err))
        return false;
    ret->cores = ret->cores ? ret->cores : topo_cores(ret->topo);
    return true;
}

/* The answer; it may have been waited for before. */
static bool hear(struct launcher *l, int node, double patience, struct error *err)
{
    struct template *all = l->own;
    struct capture *c = &all->node[node].probe;
    all->node[node].asked = false;
    bool ok = capture_end(c, patience, err);
    if (ok && c->status != 0)
        ok = error_set(err, NULL, ERROR_SYSTEM, "exit status %d%s%s", c->status, *c->complaint ? ": " : "",
                       c->complaint);
    ok = ok && take_answer(all, c->out, &l->node[node], err);
    capture_done(c);
    return ok || error_context(err, "node %s", l->node[node].name);
}

static bool add_nodes(struct launcher *l, const char *list, struct error *err)
{
    struct template *t = l->own;
    size_t cap = 0;
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
        char *name = arena_printf(&l->arena, "%.*s", (int)strcspn(at, ","), at);
        for (int i = 0; i < l->n; i++)
            if (strcmp(l->node[i].name, name) == 0)
                return error_set(err, NULL, ERROR_INPUT, "--nodes has '%s' twice", name);
        if (!*name || *name == '-')
            return error_set(err, NULL, ERROR_INPUT, "--nodes takes names such as a,b, not '%s'", list);
        l->node = xgrow(l->node, &cap, (size_t)l->n + 1, sizeof *l->node);
        l->node[l->n++] = (struct launcher_node){.name = name};
    }
    t->node = xcalloc((size_t)l->n + 1, sizeof *t->node);
    for (int i = 0; i < l->n; i++)
        t->node[i] = (struct template_node){.probe = CAPTURE_NONE, .pause = ASK_FIRST};
    return l->n > 0 || error_set(err, NULL, ERROR_INPUT, "--nodes names no node");
}

static bool open(struct launcher *l, const struct launcher_options *o, const struct launcher_need *need,
                 struct error *err)
{
    struct template *t = xcalloc(1, sizeof *t);
    l->own = t;
    t->threads = o->threads;
    if (!o->nodes)
        return error_set(err, NULL, ERROR_INPUT, "a command needs --nodes: names, separated by commas");
    if (!words_split(o->launcher, &l->arena, &t->word, err) || !add_nodes(l, o->nodes, err))
        return false;
    for (int i = 0; i < l->n; i++) /* all at one time */
        if (!ask(l, i, err))
            return false;
    for (int i = 0; i < l->n; i++) {
        if (!hear(l, i, PATIENCE, err))
            return false;
        l->node[i].there = true;
    }
    l->hope = true;
    return true;
}

static void command(struct launcher *l, const struct launcher_step *s, struct arena *a,
                    const char *const **ret_argv, const char *const **ret_env)
{
    const char *const far[] = {l->self, "worker", "--far", NULL};
    (void)!fill_all(l, s, far, a, ret_argv, NULL); /* it could be filled at open */
    *ret_env = NULL;
}

static bool has_answered(const struct template_node *t)
{
    struct pollfd p = {.fd = t->probe.pidfd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static void look(struct launcher *l)
{
    struct template *t = l->own;
    double now = clock_seconds();
    l->due = HUGE_VAL;
    for (int i = 0; i < l->n; i++) {
        struct template_node *n = &t->node[i];
        struct error err = {0};
        if (l->node[i].there)
            continue;
        bool over = n->asked && (has_answered(n) || now > n->again);
        if (over && hear(l, i, 0, &err)) {
            l->node[i].there = true;
            launcher_say(l, "node %s is back", l->node[i].name);
            continue;
        }
        if (over)
            n->again = now + n->pause;
        else if (!n->asked && now >= n->again && ask(l, i, NULL))
            n->again = now + PATIENCE; /* until when the answer has to come */
        l->due = fmin(l->due, n->asked ? now + 0.2 : n->again);
    }
}

static void lost(struct launcher *l, int node)
{
    struct template_node *n = &((struct template *)l->own)->node[node];
    snprintf(l->node[node].trouble, sizeof l->node[node].trouble, "the connection to node %s is lost",
             l->node[node].name);
    if (!l->node[node].there)
        return;
    l->node[node].there = false;
    n->again = clock_seconds() + n->pause;
    n->pause = fmin(2 * n->pause, ASK_LONGEST);
    l->due = fmin(l->due, n->again);
    launcher_say(l, "node %s is lost", l->node[node].name);
}

static void close_all(struct launcher *l)
{
    struct template *t = l->own;
    for (int i = 0; t->node && i < l->n; i++)
        capture_done(&t->node[i].probe);
    free(t->node);
    free(t);
    free(l->node);
}

const struct launcher_row launcher_template = {
    .name = "COMMAND",
    .doc = "a command that runs another on a node, with {node}, {cores}, {memory} (MiB), {task}, and "
           "{command} for its words or {quoted} for all of them as a shell reads them",
    .open = open,
    .command = command,
    .look = look,
    .lost = lost,
    .close = close_all};
