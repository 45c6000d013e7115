/* Stage routing: where the tokens of each domain went, from the metrics of evaluations: by layer the experts
 * by domain of a test set, as numbers and as a heat map, and the share that reached the domain's own expert.
 * The class token stands apart from the patches (REFERENCE section 6). */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/svg.h"
#include "stages/stage.h"
#include <string.h>

struct routing_params {
    const char *experts, *title;
};
static const struct param params[] = {
    PARAM(struct routing_params, experts, .def = "",
          .doc = "comma list: whose each expert is, in their order; those that name a domain of the scores "
                 "are its own. Empty: their names in the model"),
    PARAM(struct routing_params, title, .def = "Routing", .doc = "heading"),
    {0}};

enum { KINDS = 2, EXPERTS_MAX = 64, DOMAINS_MAX = 64 };
static const char *const kinds[KINDS] = {"class_token", "patches"};
static const char *const kind_titles[KINDS] = {"class token", "patches"};
/* Means that are shown beside the shares. */
static const char *const means[] = {"entropy", "margin", "mean_max_pi", "same_as_before"};
enum { MEANS = sizeof means / sizeof *means };

struct cell { /* a domain in one layer, of one kind */
    double share[EXPERTS_MAX], mean[MEANS];
    int runs;
};
struct system { /* all evaluations of one mixture */
    const char *name, *domain[DOMAINS_MAX], *expert[EXPERTS_MAX];
    int domains, experts, layers;
    struct cell *cell; /* (layers, KINDS, DOMAINS_MAX) */
};
struct view {
    struct system *system;
    int systems;
};
static struct cell *cell_at(const struct system *s, int layer, int kind, int domain)
{
    return &s->cell[(layer * KINDS + kind) * DOMAINS_MAX + domain];
}

/* ---- reading ---- */

static bool name_experts(struct stage_context *ctx, struct system *s, const json_t *metrics,
                         struct error *err)
{
    const struct routing_params *p = ctx->params;
    char *rest = arena_strdup(ctx->arena, p->experts), *one;
    int given = 0;
    for (int k = 0; k < s->experts; k++) {
        const char *name = json_string_value(json_array_get(json_object_get(metrics, "experts"), (size_t)k));
        s->expert[k] = arena_strdup(ctx->arena, name ? name : "");
    }
    while (*p->experts && (one = strsep(&rest, ","))) {
        one += strspn(one, " ");
        if (given < s->experts)
            s->expert[given] = one;
        given++;
    }
    return given == 0 || given == s->experts ||
           error_set(err, NULL, ERROR_INPUT, "'experts' names %d, the mixture '%s' has %d", given, s->name,
                     s->experts);
}
static struct system *find_system(struct view *v, const char *name)
{
    for (int i = 0; i < v->systems; i++)
        if (!strcmp(v->system[i].name, name))
            return &v->system[i];
    return NULL;
}
static bool new_system(struct stage_context *ctx, struct view *v, const char *name, const json_t *metrics,
                       struct system **ret, struct error *err)
{
    const json_t *layers = json_object_get(metrics, "routing"),
                 *share = json_object_get(json_object_get(json_array_get(layers, 0), kinds[0]), "share");
    struct system *s = *ret = &v->system[v->systems++];
    *s = (struct system){.name = arena_strdup(ctx->arena, name),
                         .layers = (int)json_array_size(layers),
                         .experts = (int)json_array_size(share)};
    if (s->layers < 1 || s->experts < 1 || s->experts > EXPERTS_MAX)
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' has %d layers of %d experts; 1 to %d experts are shown", name, s->layers,
                         s->experts, EXPERTS_MAX);
    s->cell = arena_try(ctx->arena, (size_t)(s->layers * KINDS * DOMAINS_MAX) * sizeof *s->cell);
    if (!s->cell)
        return error_set(err, NULL, ERROR_TASK, "out of memory for %d layers", s->layers);
    return name_experts(ctx, s, metrics, err);
}
static bool find_domain(struct stage_context *ctx, struct system *s, const char *name, int *ret,
                        struct error *err)
{
    for (*ret = 0; *ret < s->domains; ++*ret)
        if (!strcmp(s->domain[*ret], name))
            return true;
    if (s->domains == DOMAINS_MAX)
        return error_set(err, NULL, ERROR_INPUT, "more than %d domains", DOMAINS_MAX);
    s->domain[s->domains++] = arena_strdup(ctx->arena, name);
    return true;
}
/* Replicates of a domain are added up here, and divided by their number when they are shown. */
static bool add_layers(struct system *s, int domain, const json_t *layers, struct error *err)
{
    for (int l = 0; l < s->layers; l++)
        for (int kind = 0; kind < KINDS; kind++) {
            const json_t *o = json_object_get(json_array_get(layers, (size_t)l), kinds[kind]),
                         *share = json_object_get(o, "share");
            struct cell *c = cell_at(s, l, kind, domain);
            if (json_array_size(layers) != (size_t)s->layers || json_array_size(share) != (size_t)s->experts)
                return error_set(err, NULL, ERROR_INPUT,
                                 "its mixture has other layers or experts than the first of '%s'", s->name);
            for (int k = 0; k < s->experts; k++)
                c->share[k] += json_number_value(json_array_get(share, (size_t)k));
            for (int m = 0; m < MEANS; m++)
                c->mean[m] += json_number_value(json_object_get(o, means[m]));
            c->runs++;
        }
    return true;
}
static bool read_one(struct stage_context *ctx, struct view *v, int i, struct error *err)
{
    AUTO_JSON metrics = json_read(stage_in_file(ctx, "scores", i, "metrics.json"), err);
    if (!metrics)
        return false;
    const json_t *row = json_array_get(json_object_get(metrics, "rows"), 0),
                 *layers = json_object_get(metrics, "routing");
    const char *name, *domain;
    int at;
    if (!json_is_array(layers))
        return true; /* no mixture */
    if (!json_get_string(row, "system", &name, err) || !json_get_string(row, "domain", &domain, err))
        return false;
    struct system *s = find_system(v, name);
    if (!s && !new_system(ctx, v, name, metrics, &s, err))
        return false;
    return find_domain(ctx, s, domain, &at, err) && add_layers(s, at, layers, err);
}

/* ---- what is shown ---- */

static double share_of(const struct system *s, int layer, int kind, int domain, int expert)
{
    const struct cell *c = cell_at(s, layer, kind, domain);
    return c->share[expert] / c->runs;
}
/* Mean over the domains of a mean of the layer. */
static double mean_of(const struct system *s, int layer, int kind, int m)
{
    double sum = 0;
    for (int d = 0; d < s->domains; d++) {
        const struct cell *c = cell_at(s, layer, kind, d);
        sum += c->mean[m] / c->runs / s->domains;
    }
    return sum;
}
/* Mean over the domains that have experts of their own of what reached these; false when none has. */
static bool own_share(const struct system *s, int layer, int kind, double *ret)
{
    int with = 0;
    *ret = 0;
    for (int d = 0; d < s->domains; d++) {
        int own = 0;
        for (int k = 0; k < s->experts; k++)
            if (!strcmp(s->expert[k], s->domain[d])) {
                *ret += share_of(s, layer, kind, d, k);
                own = 1;
            }
        with += own;
    }
    *ret /= with > 0 ? with : 1;
    return with > 0;
}

/* ---- writing ---- */

static json_t *kind_json(const struct system *s, int kind)
{
    json_t *layers = json_array();
    for (int l = 0; l < s->layers; l++) {
        json_t *shares = json_object(), *o = json_pack("{s:i, s:o}", "layer", l, "share", shares);
        double own;
        for (int d = 0; d < s->domains; d++) {
            json_t *row = json_array();
            for (int k = 0; k < s->experts; k++)
                json_array_append_new(row, json_real(share_of(s, l, kind, d, k)));
            json_object_set_new(shares, s->domain[d], row);
        }
        if (own_share(s, l, kind, &own))
            json_object_set_new(o, "own", json_real(own));
        for (int m = 0; m < MEANS; m++)
            if (l > 0 || m + 1 < MEANS) /* nothing is before the first layer */
                json_object_set_new(o, means[m], json_real(mean_of(s, l, kind, m)));
        json_array_append_new(layers, o);
    }
    return layers;
}
static bool write_json(struct stage_context *ctx, const struct view *v, struct error *err)
{
    json_t *systems = json_array();
    AUTO_JSON o = json_pack("{s:o}", "systems", systems);
    for (int i = 0; i < v->systems; i++) {
        const struct system *s = &v->system[i];
        json_t *experts = json_array();
        for (int k = 0; k < s->experts; k++)
            json_array_append_new(experts, json_string(s->expert[k]));
        json_array_append_new(systems,
                              json_pack("{s:s, s:o, s:o, s:o}", "system", s->name, "experts", experts,
                                        kinds[0], kind_json(s, 0), kinds[1], kind_json(s, 1)));
    }
    return json_write(stage_out_file(ctx, "routing", "picture.json"), o, err);
}
/* A row a layer: the shares of each domain in the order of the experts, then the means. */
static void put_grid(struct buf *b, const struct system *s, int kind)
{
    double own;
    buf_printf(b, "\n### %s, %s\n\n| layer |", s->name, kind_titles[kind]);
    for (int d = 0; d < s->domains; d++)
        buf_printf(b, " %s |", s->domain[d]);
    buf_puts(b, " own expert | entropy | margin | max pi | as before |\n|---:|");
    for (int d = 0; d < s->domains + 5; d++)
        buf_puts(b, "---:|");
    for (int l = 0; l < s->layers; l++) {
        buf_printf(b, "\n| %d |", l);
        for (int d = 0; d < s->domains; d++) {
            for (int k = 0; k < s->experts; k++)
                buf_printf(b, " %.2f", share_of(s, l, kind, d, k));
            buf_puts(b, " |");
        }
        if (own_share(s, l, kind, &own))
            buf_printf(b, " %.2f |", own);
        else
            buf_puts(b, " – |");
        for (int m = 0; m < MEANS; m++)
            if (l > 0 || m + 1 < MEANS)
                buf_printf(b, " %.2f |", mean_of(s, l, kind, m));
            else
                buf_puts(b, " – |");
    }
    buf_putc(b, '\n');
}
static bool write_markdown(struct stage_context *ctx, const struct view *v, struct error *err)
{
    const struct routing_params *p = ctx->params;
    AUTO(buf) struct buf b = {0};
    buf_printf(&b,
               "## %s\n\nOf the tokens of each domain, the share that went to each expert, in their order.\n",
               p->title);
    for (int i = 0; i < v->systems; i++) {
        const struct system *s = &v->system[i];
        buf_printf(&b, "\n%s's experts:", s->name);
        for (int k = 0; k < s->experts; k++)
            buf_printf(&b, "%s %s", k ? "," : "", s->expert[k]);
        buf_putc(&b, '\n');
        for (int kind = 0; kind < KINDS; kind++)
            put_grid(&b, s, kind);
    }
    return fs_write_file(stage_out_file(ctx, "routing", "picture.md"), b.data, b.len, err);
}

/* ---- the heat map: a block a layer, rows domains, columns experts ---- */

enum { CELL = 18, GAP = 8, LEFT = 150, TOP = 50 };

static void put_block(struct buf *b, const struct system *s, int layer, int kind, double x, double y)
{
    for (int d = 0; d < s->domains; d++)
        for (int k = 0; k < s->experts; k++) {
            double share = share_of(s, layer, kind, d, k);
            buf_printf(b,
                       "<rect x=\"%.0f\" y=\"%.0f\" width=\"%d\" height=\"%d\" fill=\"#3b2a85\" "
                       "fill-opacity=\"%.3f\" stroke=\"#ccc\"><title>layer %d, ",
                       x + k * CELL, y + d * CELL, CELL, CELL, share, layer);
            svg_escape(b, s->domain[d]);
            buf_puts(b, " to ");
            svg_escape(b, s->expert[k]);
            buf_printf(b, ": %.3f</title></rect>\n", share);
        }
}
static double put_system(struct buf *b, const struct system *s, double y)
{
    svg_text(b, 20, y + 12, "left best", 400, s->name);
    for (int kind = 0; kind < KINDS; kind++) {
        y += 34;
        svg_text(b, LEFT, y - 6, "left", 200, kind_titles[kind]);
        for (int d = 0; d < s->domains; d++)
            svg_text(b, LEFT - 8, y + d * CELL + 13, "right", LEFT - 20, s->domain[d]);
        for (int l = 0; l < s->layers; l++) {
            char name[16];
            double x = LEFT + l * (s->experts * CELL + GAP);
            put_block(b, s, l, kind, x, y);
            snprintf(name, sizeof name, "%d", l);
            svg_text(b, x + s->experts * CELL / 2., y + s->domains * CELL + 14, "middle", 60, name);
        }
        y += s->domains * CELL + 18;
    }
    return y + 10;
}
static bool write_svg(struct stage_context *ctx, const struct view *v, struct error *err)
{
    const struct routing_params *p = ctx->params;
    AUTO(buf) struct buf b = {0};
    double width = 0, height = TOP, y = TOP;
    for (int i = 0; i < v->systems; i++) {
        const struct system *s = &v->system[i];
        double w = LEFT + s->layers * (s->experts * CELL + GAP) + 20;
        width = w > width ? w : width;
        height += KINDS * (52 + s->domains * CELL) + 10;
    }
    svg_open(&b, width > 420 ? width : 420, height + 20, p->title);
    for (int i = 0; i < v->systems; i++)
        y = put_system(&b, &v->system[i], y);
    buf_puts(&b, "</svg>\n");
    return fs_write_file(stage_out_file(ctx, "routing", "picture.svg"), b.data, b.len, err);
}

static bool run(struct stage_context *ctx, struct error *err)
{
    int n = stage_in_count(ctx, "scores");
    struct view v = {.system = arena_alloc(ctx->arena, (size_t)(n + 1) * sizeof *v.system)};
    for (int i = 0; i < n; i++)
        if (!read_one(ctx, &v, i, err))
            return error_context(err, "scores[%d]", i);
    if (v.systems == 0)
        return error_set(err, NULL, ERROR_INPUT, "none of the scores is of a mixture of experts");
    return write_json(ctx, &v, err) && write_markdown(ctx, &v, err) && write_svg(ctx, &v, err);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    (void)params_;
    ret->flops = 1e6;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 4 * (double)in->bytes);
    ret->makes = (struct cost_output){.bytes = 100000};
}
const struct stage stage_routing = {
    .name = "routing",
    .version = 1,
    .doc = "Where each domain's tokens go in mixtures of experts, by layer: numbers and a heat map.",
    .params = params,
    .params_size = sizeof(struct routing_params),
    .inputs = (const struct port[]){{.name = "scores",
                                     .type = ARTIFACT_METRICS,
                                     .many = true,
                                     .doc = "metrics of evaluations; those of mixtures count"},
                                    {0}},
    .outputs =
        (const struct port[]){{.name = "routing",
                               .type = ARTIFACT_PICTURE,
                               .doc = "picture.md, picture.svg, and all of the numbers in picture.json"},
                              {0}},
    .cost = cost,
    .run = run,
};
