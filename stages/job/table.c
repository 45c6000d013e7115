/* Stage table: scores side by side. Rows are systems and columns are domains, both in order of first
 * appearance unless they are chosen, with their average last. Runs that differ in `replicate` alone become
 * mean and sample standard deviation; the spread of the average is that of the replicates' averages. */
#include "stages/job/table.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"

static const struct param params[] = {
    PARAM(struct table_params, title, .def = "", .doc = "heading or caption of the table; none when empty"),
    PARAM(struct table_params, metric, .def = "accuracy", .doc = "which metric of the scores to show"),
    PARAM(struct table_params, rows, .def = "",
          .doc = "comma list of the systems to show, in order, each perhaps with a label: 'moe=HarmoMoE'; "
                 "'moe=HarmoMoE|yes' for two columns of labels; empty: all"),
    PARAM(struct table_params, columns, .def = "",
          .doc = "comma list of the domains to show and average, in order, each perhaps with a label; empty: "
                 "all"),
    PARAM(struct table_params, head, .def = "system",
          .doc = "above the labels of the rows; '|' between several columns of labels"),
    PARAM(struct table_params, average, .def = TABLE_AVERAGE,
          .doc = "label of the column with the average over domains; none when empty"),
    PARAM(struct table_params, only_average, .def = "false", .doc = "leave out the domains' columns"),
    PARAM(struct table_params, against, .def = "",
          .doc = "system that all rows are compared with: differences with paired intervals, from the counts "
                 "of a stage compare among the scores"),
    PARAM(struct table_params, apart, .def = "",
          .doc = "comma list of systems that stand apart in LaTeX, with lines around them, and are never the "
                 "best or second of a column"),
    PARAM(struct table_params, cells, .def = "spread", .choices = "mean|spread|interval",
          .doc = "beside a mean: nothing, the standard deviation over replicates, or the interval"),
    PARAM(struct table_params, decimals, .def = "2", .min = 0, .max = 10,
          .doc = "digits after the point of a percentage"),
    PARAM(struct table_params, draws, .def = "2000", .min = 0, .max = 1e6,
          .doc = "bootstrap draws of samples and replicates that the intervals are made of; 0: no intervals"),
    PARAM(struct table_params, level, .def = "0.95", .min = 0.5, .max = 0.999,
          .doc = "how much of the draws an interval holds"),
    PARAM(struct table_params, seed, .def = "0", .min = 0, .max = 9e15, .doc = "of the draws"),
    {0}};

static bool write_text(struct stage_context *ctx, const struct table *t, const char *file,
                       void (*put)(const struct table *t, struct buf *out), struct error *err)
{
    AUTO(buf) struct buf b = {0};
    put(t, &b);
    return fs_write_file(stage_out_file(ctx, "table", file), b.data, b.len, err);
}
static bool write_all(struct stage_context *ctx, const struct table *t, struct error *err)
{
    AUTO_JSON o = table_json(t);
    return json_write(stage_out_file(ctx, "table", "table.json"), o, err) &&
           write_text(ctx, t, "table.md", table_markdown, err) &&
           write_text(ctx, t, "table.csv", table_csv, err) && write_text(ctx, t, "table.tex", table_tex, err);
}
/* Differences were asked for: say so where there are none. */
static void warn_unpaired(struct stage_context *ctx, const struct table *t)
{
    if (t->against >= 0 && !table_has(t).differences)
        stage_warn(ctx,
                   "no scores compare a system with '%s': give the table the counts of a stage compare, and "
                   "draws",
                   t->p->against);
}
static bool run(struct stage_context *ctx, struct error *err)
{
    struct table t = {.p = ctx->params, .arena = ctx->arena};
    bool ok = table_read(ctx, &t, err) && table_layout(&t, err) && table_stats(ctx, &t, err) &&
              table_intervals(ctx, &t, err) && write_all(ctx, &t, err);
    if (ok)
        warn_unpaired(ctx, &t);
    table_done(&t);
    return ok;
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct table_params *p = params_;
    ret->flops = 1e6 + (double)p->draws * 1e4 * COST_SCALAR;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 4 * (double)in->bytes + 200 * (double)p->draws);
    ret->makes = (struct cost_output){.bytes = in->bytes};
}
const struct stage stage_table = {
    .name = "table",
    .version = 2,
    .doc = "Scores side by side: systems by domains, with averages, the spread over replicates, and "
           "intervals.",
    .params = params,
    .params_size = sizeof(struct table_params),
    .inputs = (const struct port[]){{.name = "scores",
                                     .type = ARTIFACT_METRICS,
                                     .many = true,
                                     .doc = "metrics of evaluations, rows in this order; counts of compare"},
                                    {0}},
    .outputs =
        (const struct port[]){
            {.name = "table", .type = ARTIFACT_TABLE, .doc = "table.md, table.csv, table.tex and table.json"},
            {0}},
    .cost = cost,
    .run = run,
};
