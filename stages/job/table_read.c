#include "base/cleanup.h"
#include "base/json.h"
#include "stages/job/table.h"
#include <math.h>
#include <string.h>

static int name_index(struct names *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->item[i], name))
            return i;
    s->item[s->n] = name;
    return s->n++;
}

static bool read_row(struct table *t, const json_t *row, struct error *err)
{
    const char *system, *domain, *name;
    double value;
    int64_t n;
    if (!json_get_string(row, "system", &system, err) || !json_get_string(row, "domain", &domain, err) ||
        !json_get_string(row, "metric", &name, err) || !json_get_real(row, "value", &value, err) ||
        !json_get_int(row, "n", &n, err))
        return false;
    if (strcmp(name, t->p->metric) != 0)
        return true;
    /* A program's metrics need not say how many were right: a share of n says it too. */
    double right = round(value * (double)n);
    bool share = n > 0 && right >= 0 && right <= (double)n && fabs(value * (double)n - right) < 1e-6;
    t->score[t->scores++] = (struct score){name_index(&t->system, system),
                                           name_index(&t->domain, domain),
                                           name_index(&t->replicate, json_string_or(row, "replicate", "")),
                                           value,
                                           n,
                                           share ? (int64_t)right : -1};
    return true;
}

/* The files, and how many rows and pairs they hold. */
static bool read_files(struct stage_context *ctx, struct table *t, int *ret_rows, int *ret_pairs,
                       struct error *err)
{
    *ret_rows = *ret_pairs = 0;
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
        *ret_pairs += (int)json_array_size(json_object_get(m, "pairs"));
    }
    return true;
}

/* ---- pairs ---- */

static int find_name(const struct names *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->item[i], name))
            return i;
    return -1;
}
/* Their replicates behind those that are there; how many came, -1 for what is none of the scores'. */
static int add_replicates(const struct table *t, struct pair *p, int at, const json_t *names)
{
    int n = (int)json_array_size(names);
    for (int i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(names, (size_t)i));
        int k = name ? find_name(&t->replicate, name) : -1;
        if (k < 0 || at + i >= BOOTSTRAP_RUNS)
            return -1;
        p->replicate[at + i] = k;
    }
    return n;
}
/* "110 101": 57 as 57 masks, bit i for the i-th digit. */
static bool read_patterns(struct table *t, struct pair *p, json_t *patterns)
{
    const char *text;
    json_t *count;
    p->n = 0;
    json_object_foreach(patterns, text, count)
    {
        if (!json_is_integer(count) || json_integer_value(count) < 0 ||
            json_integer_value(count) > (1 << 30) - p->n)
            return false;
        p->n += json_integer_value(count);
    }
    int64_t at = 0;
    p->mask = arena_try(t->arena, (size_t)(p->n + 1) * sizeof *p->mask);
    json_object_foreach(patterns, text, count)
    {
        int bits = 0;
        uint32_t mask = 0;
        for (const char *c = text; *c; c++)
            if (*c != ' ' && bits < BOOTSTRAP_RUNS)
                mask |= (uint32_t)(*c == '1') << bits++;
        if (!p->mask || bits != p->runs + p->others)
            return false;
        for (json_int_t i = 0; i < json_integer_value(count); i++)
            p->mask[at++] = mask;
    }
    return p->n > 0;
}
/* Those of systems and domains without a score are not asked for: the metric is another. */
static bool read_pair(struct table *t, const json_t *o, struct error *err)
{
    const char *system, *domain, *against = json_string_or(o, "against", NULL);
    if (!json_get_string(o, "system", &system, err) || !json_get_string(o, "domain", &domain, err))
        return false;
    struct pair p = {.system = find_name(&t->system, system),
                     .domain = find_name(&t->domain, domain),
                     .against = against ? find_name(&t->system, against) : -1};
    if (p.system < 0 || p.domain < 0 || (against && p.against < 0))
        return true;
    p.runs = add_replicates(t, &p, 0, json_object_get(o, "replicates"));
    p.others = p.runs < 0 ? -1 : add_replicates(t, &p, p.runs, json_object_get(o, "against_replicates"));
    if (p.others < 0 || !read_patterns(t, &p, json_object_get(o, "patterns")))
        return error_set(err, NULL, ERROR_INPUT,
                         "the pair of '%s' on '%s' has no patterns of its replicates, or these are of no "
                         "score: is the table given all scores that were compared?",
                         system, domain);
    t->pair[t->pairs++] = p;
    return true;
}

static bool read_members(struct table *t, const char *member,
                         bool (*read)(struct table *t, const json_t *o, struct error *err), struct error *err)
{
    for (int i = 0; i < t->files; i++) {
        size_t at;
        json_t *o;
        json_array_foreach(json_object_get(t->file[i], member), at, o)
        {
            if (!read(t, o, err))
                return error_context(err, "scores[%d], %s %d", i, strcmp(member, "rows") ? "pair" : "row",
                                     (int)at);
        }
    }
    return true;
}

bool table_read(struct stage_context *ctx, struct table *t, struct error *err)
{
    int rows, pairs;
    t->file = arena_alloc(ctx->arena, (size_t)stage_in_count(ctx, "scores") * sizeof(json_t *) + 1);
    if (!read_files(ctx, t, &rows, &pairs, err))
        return false;
    size_t room = (size_t)(rows > 0 ? rows : 1);
    t->score = arena_alloc(ctx->arena, room * sizeof *t->score);
    t->pair = arena_alloc(ctx->arena, (size_t)(pairs + 1) * sizeof *t->pair);
    t->system.item = arena_alloc(ctx->arena, room * sizeof(char *));
    t->domain.item = arena_alloc(ctx->arena, room * sizeof(char *));
    t->replicate.item = arena_alloc(ctx->arena, room * sizeof(char *));
    if (!read_members(t, "rows", read_row, err))
        return false;
    if (t->scores == 0)
        return error_set(err, NULL, ERROR_INPUT, "no score has the metric '%s'", t->p->metric);
    /* Pairs are of accuracies. */
    return strcmp(t->p->metric, "accuracy") != 0 || read_members(t, "pairs", read_pair, err);
}

void table_done(struct table *t)
{
    for (int i = 0; i < t->files; i++)
        json_decref(t->file[i]);
}
