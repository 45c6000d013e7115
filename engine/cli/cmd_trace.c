/* weft trace: what a run did, core by core. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/store.h"
#include "engine/cli/cmd.h"
#include "engine/cli/gantt.h"
#include "engine/cli/output.h"
#include "engine/cli/runname.h"

static const struct opt opts[] = {
    {"format", 'f', OPT_STRING, "trace|svg|text", "default: what FILE ends in, else trace"},
    OPT_ROW_OUTPUT,
    OPT_ROW_STORE,
    {0}};

static void as_trace(const void *trace, int columns, struct buf *out)
{
    trace_write(trace, out);
}

static void as_svg(const void *trace, int columns, struct buf *out)
{
    const struct trace *t = trace;
    AUTO(gantt) struct gantt g;
    AUTO(mem) char *title = xprintf("%s, run %s", t->experiment, t->run);
    gantt_init(&g, t);
    gantt_svg(&g, title, out);
}

static void as_text(const void *trace, int columns, struct buf *out)
{
    const struct trace *t = trace;
    AUTO(gantt) struct gantt g;
    gantt_init(&g, t);
    gantt_text(&g, t->cores > 0 ? t->cores : 1, columns, out);
}

static const struct output_form forms[] = {
    {"trace", NULL, as_trace}, {"svg", ".svg", as_svg}, {"text", ".txt", as_text}, {0}};

static bool trace(const struct cmd_args *a, struct error *err)
{
    AUTO(store) struct store *store = NULL;
    AUTO(arena) struct arena mem;
    AUTO(trace) struct trace t = {0};
    const char *id;
    arena_init(&mem);
    if (!cmd_open_store(a, &store, err) ||
        !runname_find(store_path(store), a->n ? a->arg[0] : "last", &mem, &id, err))
        return false;
    trace_init(&t, id);
    if (!trace_read(&t, store_path(store), id, err))
        return false;
    if (t.n == 0)
        return error_set(err, NULL, ERROR_INPUT, "run %s ran nothing, or did not keep when", id);
    return output_draw(a, forms, &t, err);
}

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    return trace(a, &err) ? 0 : cmd_fail(&err);
}

const struct cmd cmd_trace = {
    .name = "trace",
    .group = "Look at results",
    .doc = "Show which task had which cores when, in a run that ended, works or was killed.",
    .details =
        "As trace events, which Perfetto (ui.perfetto.dev) and Chrome (chrome://tracing) show: a process "
        "is a node, a thread a core, metrics and checkpoints are moments. As SVG: the same as a picture. "
        "As text: how much of all cores each stage had. A run that ended has the first as "
        "STORE/runs/RUN/trace.json, too. A run is named by its id, the beginning of one, or last.",
    .args = (const struct arg[]){{.name = "RUN", .doc = "a run; default: the newest", .optional = true}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft trace -o run.json", "to open in Perfetto"},
                                         {"weft trace last --format text", "at a glance"},
                                         {"weft trace 2026 -o run.svg", "a picture"},
                                         {0}},
    .run = run};
