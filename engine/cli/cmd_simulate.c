/* weft simulate: what a run would do on another machine; nothing runs. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/machineopt.h"
#include "engine/cli/output.h"
#include "engine/cli/simulation.h"

static const struct opt opts[] = {
    OPT_ROWS_MACHINE,
    {"cold", 0, OPT_FLAG, NULL, "as if the store had no results"},
    {"history", 0, OPT_STRING, "DIR", "take the times from the runs of this store"},
    {"fifo", 0, OPT_FLAG, NULL, "beside it: first in, first out, all tasks equally wide"},
    {"against", 0, OPT_STRING, "RUN", "what ran in that run, and how well this foretells it"},
    {"target", 't', OPT_LIST, "TASK", "only this task or stage and what it needs; repeatable"},
    {"format", 'f', OPT_STRING, "text|svg|trace|json", "default: what FILE ends in, else text"},
    OPT_ROW_OUTPUT,
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    OPT_ROW_SWEEP,
    OPT_ROW_JSON,
    {0}};

/* A store that is only read has to be there. */
static bool open_history(const char *path, struct store **ret, struct error *err)
{
    AUTO(mem) char *records = xprintf("%s/records", path);
    if (!fs_is_dir(records))
        return error_set(err, NULL, ERROR_INPUT, "--history: '%s' is no store", path);
    return store_open(path, ret, err);
}

static bool forecast(const struct cmd_args *a, const struct spec *s, struct machine *m, struct store *store,
                     const struct hindsight *h, struct forecast *ret, struct error *err)
{
    AUTO(store) struct store *history = NULL;
    const struct opt_value *targets = cmd_opt(a, "target"), *from = cmd_opt(a, "history");
    if (from->set && !open_history(from->string, &history, err))
        return false;
    const struct forecast_options o = {.targets = targets->list,
                                       .n_targets = targets->n,
                                       .store = store,
                                       .cold = cmd_opt(a, "cold")->set || h,
                                       .runs = h ? h->ran : NULL};
    return forecast_look(ret, s, &o, err) && forecast_run(ret, m, history ? history : store, err);
}

static const struct output_form forms[] = {{"text", ".txt", simulation_text},
                                           {"svg", ".svg", simulation_svg},
                                           {"trace", NULL, simulation_trace},
                                           {"json", ".json", simulation_json},
                                           {0}};

static bool look(const struct cmd_args *a, const struct spec *s, struct error *err)
{
    AUTO(store) struct store *store = NULL;
    AUTO(hindsight) struct hindsight h = {0};
    AUTO(machineopt) struct machineopt m = {0};
    AUTO(forecast) struct forecast f = {0};
    const char *run = cmd_opt(a, "against")->string;
    if (!cmd_open_store(a, &store, err) || (run && !hindsight_read(&h, s, store_path(store), run, err)) ||
        !machineopt_read(a, &m, err))
        return false;
    if (run && !m.options.topo.source && !m.options.cores)
        m.options.cores = h.cores; /* as the run had */
    if (!machineopt_open(&m, err) || !forecast(a, s, &m.machine, store, run ? &h : NULL, &f, err))
        return false;
    struct simulation v = {.forecast = &f, .topology = cmd_opt(a, "topology")->string};
    if (run) {
        hindsight_compare(&h, &f);
        v.hindsight = &h;
    }
    if (cmd_opt(a, "fifo")->set)
        v.fifo = forecast_fifo(&f);
    return output_draw(a, forms, &v, err);
}

static int simulate_spec(const struct cmd_args *a, const struct spec *s)
{
    struct error err = {0};
    return look(a, s, &err) ? 0 : cmd_fail(&err);
}

static int run(const struct cmd_args *a)
{
    return cmd_with_spec(a, simulate_spec);
}

const struct cmd cmd_simulate = {
    .name = "simulate",
    .group = "Run experiments",
    .doc = "Foretell a run on another machine: when each task would run, on which cores.",
    .details =
        "Nothing runs. The scheduler that a run has decides by a clock that is only thought of, with the "
        "times "
        "of earlier runs, else of the stages' cost functions; what the store has is a hit, and what waits "
        "for "
        "results counts as run. As text: how much of all cores each stage holds, and what the time is due "
        "to; "
        "as SVG, or for Perfetto and Chrome (trace): each task on its cores.\n\n"
        "--fifo tells what it would take without this scheduler, at the width that is best for all tasks "
        "alike. --against takes what ran in a run, on as many cores, and compares.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples =
        (const struct example[]){
            {"weft simulate exp.yaml --cold --topology 'pack:2 numa:4 l3:2 core:8'",
             "all of it on a machine of 128 cores"},
            {"weft simulate exp.yaml --topology 'core:16' --nodes 4 -o plan.svg",
             "what is left of it on four nodes, as a picture"},
            {"weft simulate exp.yaml --against last", "would it have foretold the newest run?"},
            {0}},
    .run = run};
