/* Stage table: scores side by side. Rows are systems and columns are domains, both in order of first
 * appearance, with their average last. Runs that differ in `replicate` alone become mean and sample standard
 * deviation; the spread of the average is that of the replicates' averages. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "stages/stage.h"
#include <math.h>
#include <string.h>

#define AVERAGE "Average"

struct table_params {
    const char *title, *metric;
    int64_t decimals;
};
static const struct param params[] = {
    PARAM(struct table_params, title, .def = "", .doc = "heading of the table; none when empty"),
    PARAM(struct table_params, metric, .def = "accuracy", .doc = "which metric of the scores to show"),
    PARAM(struct table_params, decimals, .def = "2", .min = 0, .max = 10,
          .doc = "digits after the point of a percentage"),
    {0}};

struct names { /* distinct strings in order of first appearance */
    const char **item;
    int n;
};
struct score {
    int system, domain, replicate;
    double value;
    int64_t n;
};
struct cell {
    int runs; /* 0: no score */
    double mean, sd;
    int64_t n; /* samples of one run */
};
struct table {
    struct names system, domain, replicate;
    struct score *score;
    int count;
    json_t **file; /* (files) the metrics, which own the names */
    int files;
    struct cell *cell; /* (systems, domains + 1), the average last */
};

static int name_index(struct names *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->item[i], name))
            return i;
    s->item[s->n] = name;
    return s->n++;
}

/* ---- reading ---- */
static bool read_row(struct table *t, const json_t *row, const char *metric, struct error *err)
{
    const char *system, *domain, *name;
    double value;
    int64_t n;
    if (!json_get_string(row, "system", &system, err) || !json_get_string(row, "domain", &domain, err) ||
        !json_get_string(row, "metric", &name, err) || !json_get_real(row, "value", &value, err) ||
        !json_get_int(row, "n", &n, err))
        return false;
    if (strcmp(name, metric) != 0)
        return true;
    t->score[t->count++] =
        (struct score){name_index(&t->system, system), name_index(&t->domain, domain),
                       name_index(&t->replicate, json_string_or(row, "replicate", "")), value, n};
    return true;
}
static bool read_files(struct stage_context *ctx, struct table *t, int *ret_rows, struct error *err)
{
    *ret_rows = 0;
    for (; t->files < stage_in_count(ctx, "scores"); t->files++) {
        const char *path = stage_in_file(ctx, "scores", t->files, "metrics.json");
        json_t *m = t->file[t->files] = json_read(path, err);
        if (!m)
            return false;
        if (!json_is_array(json_object_get(m, "rows"))) {
            json_decref(m);
            return error_set(err, NULL, ERROR_INPUT, "%s: 'rows' must be an array", path);
        }
        *ret_rows += (int)json_array_size(json_object_get(m, "rows"));
    }
    return true;
}
static bool read_scores(struct stage_context *ctx, struct table *t, struct error *err)
{
    const struct table_params *p = ctx->params;
    int rows;
    if (!read_files(ctx, t, &rows, err))
        return false;
    size_t room = (size_t)(rows > 0 ? rows : 1);
    t->score = arena_alloc(ctx->arena, room * sizeof *t->score);
    t->system.item = arena_alloc(ctx->arena, room * sizeof(char *));
    t->domain.item = arena_alloc(ctx->arena, room * sizeof(char *));
    t->replicate.item = arena_alloc(ctx->arena, room * sizeof(char *));
    for (int i = 0; i < t->files; i++) {
        size_t at;
        json_t *row;
        json_array_foreach(json_object_get(t->file[i], "rows"), at, row)
        {
            if (!read_row(t, row, p->metric, err))
                return error_context(err, "scores[%d], row %d", i, (int)at);
        }
    }
    return t->count > 0 || error_set(err, NULL, ERROR_INPUT, "no score has the metric '%s'", p->metric);
}
static void table_done(struct table *t)
{
    for (int i = 0; i < t->files; i++)
        json_decref(t->file[i]);
}

/* ---- statistics ---- */
static struct cell *cell_at(const struct table *t, int system, int domain)
{
    return &t->cell[system * (t->domain.n + 1) + domain];
}
/* Mean and sample standard deviation of v (runs). */
static struct cell summarise(const double *v, int runs, int64_t n)
{
    struct cell c = {.runs = runs, .n = n};
    for (int i = 0; i < runs; i++)
        c.mean += v[i] / runs;
    for (int i = 0; i < runs; i++)
        c.sd += (v[i] - c.mean) * (v[i] - c.mean);
    c.sd = runs > 1 ? sqrt(c.sd / (runs - 1)) : 0;
    return c;
}
/* Mean over all domains of one replicate; false when it lacks one. */
static bool replicate_average(const struct table *t, int system, int replicate, double *ret)
{
    *ret = 0;
    for (int d = 0; d < t->domain.n; d++) {
        double sum = 0;
        int runs = 0;
        for (int i = 0; i < t->count; i++) {
            const struct score *s = &t->score[i];
            if (s->system == system && s->domain == d && s->replicate == replicate) {
                sum += s->value;
                runs++;
            }
        }
        if (runs == 0)
            return false;
        *ret += sum / runs / t->domain.n;
    }
    return true;
}
static void compute(struct stage_context *ctx, struct table *t)
{
    t->cell = arena_alloc(ctx->arena, (size_t)t->system.n * (size_t)(t->domain.n + 1) * sizeof *t->cell);
    double *v = arena_alloc(ctx->arena, (size_t)(t->count + t->replicate.n) * sizeof *v);
    for (int s = 0; s < t->system.n; s++) {
        int64_t all = 0;
        for (int d = 0; d < t->domain.n; d++) {
            int runs = 0;
            int64_t n = 0;
            for (int i = 0; i < t->count; i++)
                if (t->score[i].system == s && t->score[i].domain == d) {
                    v[runs++] = t->score[i].value;
                    n = t->score[i].n;
                }
            *cell_at(t, s, d) = summarise(v, runs, n);
            all += n;
        }
        int runs = 0;
        for (int r = 0; r < t->replicate.n; r++)
            runs += replicate_average(t, s, r, &v[runs]);
        *cell_at(t, s, t->domain.n) = summarise(v, runs, all);
    }
}

/* ---- writing ---- */
static const char *column_name(const struct table *t, int d)
{
    return d < t->domain.n ? t->domain.item[d] : AVERAGE;
}
static bool write_json(struct stage_context *ctx, const struct table *t, struct error *err)
{
    const struct table_params *p = ctx->params;
    AUTO_JSON o = json_object();
    json_t *rows = json_array();
    json_object_set_new(o, "rows", rows);
    if (*p->title)
        json_object_set_new(o, "title", json_string(p->title));
    for (int s = 0; s < t->system.n; s++)
        for (int d = 0; d <= t->domain.n; d++) {
            const struct cell *c = cell_at(t, s, d);
            if (c->runs == 0)
                continue;
            json_t *row =
                json_pack("{s:s, s:s, s:s, s:f, s:I}", "system", t->system.item[s], "domain",
                          column_name(t, d), "metric", p->metric, "value", c->mean, "n", (json_int_t)c->n);
            if (c->runs > 1) {
                json_object_set_new(row, "sd", json_real(c->sd));
                json_object_set_new(row, "runs", json_integer(c->runs));
            }
            json_array_append_new(rows, row);
        }
    return json_write(stage_out_file(ctx, "table", "table.json"), o, err);
}
/* A name as a Markdown cell. */
static void put_name(struct buf *b, const char *name)
{
    for (; *name; name++) {
        if (*name == '|' || *name == '\\')
            buf_putc(b, '\\');
        buf_putc(b, *name == '\n' || *name == '\r' ? ' ' : *name);
    }
}
static void put_cell(struct buf *b, const struct cell *c, int decimals)
{
    if (c->runs == 0)
        buf_puts(b, "–");
    else if (c->runs == 1)
        buf_printf(b, "%.*f", decimals, 100 * c->mean);
    else
        buf_printf(b, "%.*f ± %.*f (%d)", decimals, 100 * c->mean, decimals, 100 * c->sd, c->runs);
}
static bool write_markdown(struct stage_context *ctx, const struct table *t, struct error *err)
{
    const struct table_params *p = ctx->params;
    AUTO(buf) struct buf b = {0};
    if (*p->title)
        buf_printf(&b, "## %s\n\n", p->title);
    buf_puts(&b, "| system |");
    for (int d = 0; d <= t->domain.n; d++) {
        buf_putc(&b, ' ');
        put_name(&b, column_name(t, d));
        buf_puts(&b, " |");
    }
    buf_puts(&b, "\n|---|");
    for (int d = 0; d <= t->domain.n; d++)
        buf_puts(&b, "---:|");
    for (int s = 0; s < t->system.n; s++) {
        buf_puts(&b, "\n| ");
        put_name(&b, t->system.item[s]);
        buf_puts(&b, " |");
        for (int d = 0; d <= t->domain.n; d++) {
            buf_putc(&b, ' ');
            put_cell(&b, cell_at(t, s, d), (int)p->decimals);
            buf_puts(&b, " |");
        }
    }
    buf_putc(&b, '\n');
    return fs_write_file(stage_out_file(ctx, "table", "table.md"), b.data, b.len, err);
}

static bool run(struct stage_context *ctx, struct error *err)
{
    struct table t = {0};
    t.file = arena_alloc(ctx->arena, (size_t)stage_in_count(ctx, "scores") * sizeof(json_t *) + 1);
    bool ok = read_scores(ctx, &t, err);
    if (ok) {
        compute(ctx, &t);
        ok = write_json(ctx, &t, err) && write_markdown(ctx, &t, err);
    }
    table_done(&t);
    return ok;
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    (void)params_;
    ret->flops = 1e6;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 4 * (double)in->bytes);
    ret->makes = (struct cost_output){.bytes = in->bytes};
}
const struct stage stage_table = {
    .name = "table",
    .version = 1,
    .doc = "Scores side by side: systems by domains, with averages and the spread over replicates.",
    .params = params,
    .params_size = sizeof(struct table_params),
    .inputs = (const struct port[]){{.name = "scores",
                                     .type = ARTIFACT_METRICS,
                                     .many = true,
                                     .doc = "metrics of evaluations, rows in this order"},
                                    {0}},
    .outputs =
        (const struct port[]){{.name = "table", .type = ARTIFACT_TABLE, .doc = "table.md and table.json"},
                              {0}},
    .cost = cost,
    .run = run,
};
