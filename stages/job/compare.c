/* Stage compare: what several systems said of the same samples, as counts. For every system and the one it is
 * compared with: how many samples had which runs right. These counts are all that a paired bootstrap needs,
 * so that a table can say how sure a difference is without a client's samples. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/algo/bootstrap.h"
#include "stages/stage.h"
#include <string.h>

struct compare_params {
    const char *against;
};
static const struct param params[] = {PARAM(struct compare_params, against, .flags = PARAM_REQUIRED,
                                            .doc = "the system that all others are compared with"),
                                      {0}};

struct trial {
    const char *system, *replicate;
    uint8_t *right; /* (n) 0 or 1 */
};
struct comparison {
    struct arena *arena;
    const char *domain;
    int64_t n;
    const char **id, **label; /* (n) of the first run */
    struct trial *run;
    int runs;
};
struct side { /* the runs of one system */
    const struct trial *run[BOOTSTRAP_RUNS];
    int n;
};

/* ---- reading ---- */

/* One line: the first run says which samples there are, the others must have the same. */
static bool read_line(struct comparison *c, struct trial *r, int64_t i, const char *line, size_t length,
                      struct error *err)
{
    AUTO_JSON j = json_parse(line, length, "a line", err);
    const char *id, *label, *predicted;
    if (!j || !json_get_string(j, "id", &id, err) || !json_get_string(j, "label", &label, err) ||
        !json_get_string(j, "predicted", &predicted, err))
        return false;
    if (r == c->run) {
        c->id[i] = arena_strdup(c->arena, id);
        c->label[i] = arena_strdup(c->arena, label);
    }
    if (strcmp(c->id[i], id) != 0 || strcmp(c->label[i], label) != 0)
        return error_set(err, NULL, ERROR_INPUT,
                         "sample '%s' of class '%s' stands where the first predictions have '%s' of class "
                         "'%s': compare takes predictions of one and the same data set",
                         id, label, c->id[i], c->label[i]);
    r->right[i] = strcmp(label, predicted) == 0;
    return true;
}
static bool read_lines(struct comparison *c, struct trial *r, const char *path, struct error *err)
{
    AUTO(mem) char *text = NULL;
    int64_t i = 0;
    if (!fs_read_file(path, &text, NULL, err))
        return false;
    for (char *line = text; *line; i++) {
        size_t length = strcspn(line, "\n");
        if (i < c->n && !read_line(c, r, i, line, length, err))
            return error_context(err, "line %lld", (long long)i + 1);
        line += length + (line[length] == '\n');
    }
    return i == c->n ||
           error_set(err, NULL, ERROR_INPUT, "%lld lines, but 'n' is %lld", (long long)i, (long long)c->n);
}
static bool read_head(struct comparison *c, struct trial *r, const char *path, struct error *err)
{
    AUTO_JSON head = json_read(path, err);
    const char *system, *domain;
    int64_t n;
    if (!head || !json_get_string(head, "system", &system, err) ||
        !json_get_string(head, "domain", &domain, err) || !json_get_int(head, "n", &n, err))
        return false;
    r->system = arena_strdup(c->arena, system);
    r->replicate = arena_strdup(c->arena, json_string_or(head, "replicate", ""));
    if (r == c->run) {
        c->domain = arena_strdup(c->arena, domain);
        c->n = n;
        c->id = n > 0 ? arena_try(c->arena, (size_t)n * sizeof *c->id) : NULL;
        c->label = n > 0 ? arena_try(c->arena, (size_t)n * sizeof *c->label) : NULL;
    }
    if (strcmp(c->domain, domain) != 0 || c->n != n)
        return error_set(err, NULL, ERROR_INPUT,
                         "%lld samples of '%s', the first predictions are of %lld of '%s': compare takes "
                         "predictions of one and the same data set",
                         (long long)n, domain, (long long)c->n, c->domain);
    r->right = arena_try(c->arena, (size_t)(n > 0 ? n : 1));
    return (c->id && c->label && r->right) ||
           error_set(err, NULL, n > 0 ? ERROR_TASK : ERROR_INPUT, "no room for %lld samples", (long long)n);
}
static bool read_all(struct stage_context *ctx, struct comparison *c, struct error *err)
{
    int n = stage_in_count(ctx, "predictions");
    c->run = arena_alloc(ctx->arena, (size_t)(n + 1) * sizeof *c->run);
    for (; c->runs < n; c->runs++) {
        struct trial *r = &c->run[c->runs];
        if (!read_head(c, r, stage_in_file(ctx, "predictions", c->runs, "predictions.json"), err) ||
            !read_lines(c, r, stage_in_file(ctx, "predictions", c->runs, "predictions.jsonl"), err))
            return error_context(err, "predictions[%d]", c->runs);
        for (int i = 0; i < c->runs; i++)
            if (!strcmp(c->run[i].system, r->system) && !strcmp(c->run[i].replicate, r->replicate))
                return error_set(err, NULL, ERROR_INPUT,
                                 "predictions[%d] and [%d] are both of system '%s', replicate '%s'", i,
                                 c->runs, r->system, r->replicate);
    }
    return true;
}

/* ---- counting ---- */

static struct side side_of(const struct comparison *c, const char *system)
{
    struct side s = {0};
    for (int i = 0; i < c->runs; i++)
        if (!strcmp(c->run[i].system, system)) {
            if (s.n < BOOTSTRAP_RUNS)
                s.run[s.n] = &c->run[i];
            s.n++;
        }
    return s;
}
/* {"110 101": 57}: samples that runs 0 and 1 of the one side had right, 0 and 2 of the other. */
static json_t *patterns(const struct comparison *c, const struct side *a, const struct side *b)
{
    json_t *counts = json_object();
    for (int64_t i = 0; i < c->n; i++) {
        char name[2 * BOOTSTRAP_RUNS + 2];
        int at = 0;
        for (int k = 0; k < a->n; k++)
            name[at++] = (char)('0' + a->run[k]->right[i]);
        if (b->n > 0)
            name[at++] = ' ';
        for (int k = 0; k < b->n; k++)
            name[at++] = (char)('0' + b->run[k]->right[i]);
        name[at] = '\0';
        json_object_set_new(counts, name,
                            json_integer(json_integer_value(json_object_get(counts, name)) + 1));
    }
    return counts;
}
static json_t *replicates(const struct side *s)
{
    json_t *names = json_array();
    for (int i = 0; i < s->n; i++)
        json_array_append_new(names, json_string(s->run[i]->replicate));
    return names;
}
static json_t *row(const struct comparison *c, const struct trial *a, const struct trial *b,
                   const char *replicate)
{
    json_int_t n[2][2] = {{0}};
    for (int64_t i = 0; i < c->n; i++)
        n[a->right[i]][b->right[i]]++;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:f, s:I, s:I, s:I, s:I, s:I}", "system", a->system, "domain",
                     c->domain, "replicate", replicate, "metric", "difference", "against", b->system, "value",
                     (double)(n[1][0] - n[0][1]) / (double)c->n, "n", (json_int_t)c->n, "n11", n[1][1], "n10",
                     n[1][0], "n01", n[0][1], "n00", n[0][0]);
}
/* Runs of the same replicate go together; a system's only run goes with all of the other. */
static void add_rows(const struct comparison *c, const struct side *a, const struct side *b, json_t *rows)
{
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < b->n; k++) {
            const char *x = a->run[i]->replicate, *y = b->run[k]->replicate;
            if (!strcmp(x, y) || a->n == 1 || b->n == 1)
                json_array_append_new(rows, row(c, a->run[i], b->run[k], a->n == 1 ? y : x));
        }
}
static bool add_system(const struct comparison *c, const char *system, const char *against, json_t *rows,
                       json_t *pairs, struct error *err)
{
    bool self = !strcmp(system, against);
    struct side a = side_of(c, system), b = self ? (struct side){0} : side_of(c, against);
    if (a.n + b.n > BOOTSTRAP_RUNS)
        return error_set(err, NULL, ERROR_INPUT, "'%s' and '%s' have %d runs together, %d are the most",
                         system, against, a.n + b.n, BOOTSTRAP_RUNS);
    json_t *pair = json_pack("{s:s, s:s, s:o, s:o}", "system", system, "domain", c->domain, "replicates",
                             replicates(&a), "patterns", patterns(c, &a, &b));
    json_array_append_new(pairs, pair);
    if (self)
        return true;
    json_object_set_new(pair, "against", json_string(against));
    json_object_set_new(pair, "against_replicates", replicates(&b));
    add_rows(c, &a, &b, rows);
    return true;
}
/* Systems in the order of their first runs. */
static bool count(struct stage_context *ctx, const struct comparison *c, struct error *err)
{
    const char *against = ((const struct compare_params *)ctx->params)->against;
    if (side_of(c, against).n == 0)
        return error_set(err, NULL, ERROR_INPUT,
                         "no predictions are of the system '%s', which 'against' names", against);
    AUTO_JSON rows = json_array();
    AUTO_JSON pairs = json_array();
    for (int i = 0; i < c->runs; i++)
        if (side_of(c, c->run[i].system).run[0] == &c->run[i] &&
            !add_system(c, c->run[i].system, against, rows, pairs, err))
            return false;
    AUTO_JSON o = json_pack("{s:O, s:O}", "rows", rows, "pairs", pairs);
    return json_write(stage_out_file(ctx, "counts", "metrics.json"), o, err);
}

static bool run(struct stage_context *ctx, struct error *err)
{
    struct comparison c = {.arena = ctx->arena};
    return read_all(ctx, &c, err) && count(ctx, &c, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    (void)params_;
    ret->flops = 20 * (double)in->bytes * COST_SCALAR;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 2 * (double)in->bytes);
    ret->makes = (struct cost_output){.bytes = 10000};
}
const struct stage stage_compare = {
    .name = "compare",
    .version = 1,
    .doc = "How often several systems are right on the same samples: counts for paired intervals.",
    .params = params,
    .params_size = sizeof(struct compare_params),
    .inputs = (const struct port[]){{.name = "predictions",
                                     .type = ARTIFACT_PREDICTIONS,
                                     .many = true,
                                     .private_ok = true,
                                     .doc = "of all systems and replicates on one data set"},
                                    {0}},
    .outputs = (const struct port[]){{.name = "counts",
                                      .type = ARTIFACT_METRICS,
                                      .releases = true,
                                      .release = "counts of samples",
                                      .doc = "differences and counts, for the scores of a table"},
                                     {0}},
    .cost = cost,
    .run = run,
};
