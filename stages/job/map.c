/* Stage map: a client's samples, the public candidates and the chosen proxies on a plane (paper, Figure 2):
 * one panel a selection over the same points, so that ways to choose can be compared. It shows private
 * samples, and so keeps their label: a client looks at its own picture. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/svg.h"
#include "stages/algo/diversity.h"
#include "stages/algo/embed2d.h"
#include "stages/algo/rank.h"
#include "stages/job/feature_rows.h"
#include <omp.h>
#include <string.h>

enum { PANELS = 32, SIDE = 340, GAP = 20, TOP = 70, BOTTOM = 40 };

struct map_params {
    const char *title, *method;
    int64_t pool, candidates, private, iterations, seed;
    double perplexity;
};
static const struct param params[] = {
    PARAM(struct map_params, title, .def = "Selected proxies", .doc = "heading of the picture"),
    PARAM(struct map_params, method, .def = "tsne", .choices = "tsne|pca",
          .doc = "t-SNE of all points together, or their two principal components", .source = "paper: t-SNE"),
    PARAM(struct map_params, pool, .def = "3000", .min = 1, .max = 1e9, .unit = "samples",
          .doc = "how many of the most relevant samples are candidates; all without `relevance`",
          .source = "paper: 3000"),
    PARAM(struct map_params, candidates, .def = "1000", .min = 0, .max = 10000, .unit = "samples",
          .doc = "how many candidates to draw at most, beside the selected ones"),
    PARAM(struct map_params, private, .def = "500", .min = 0, .max = 10000, .unit = "samples",
          .doc = "how many of the client's samples to draw at most"),
    PARAM(struct map_params, perplexity, .def = "30", .min = 1, .max = 1000,
          .doc = "effective number of neighbours of a point in t-SNE"),
    PARAM(struct map_params, iterations, .def = "1000", .min = 1, .max = 100000, .doc = "steps of t-SNE"),
    PARAM(struct map_params, seed, .def = "0", .min = 0, .max = 9e15, .doc = "of what is drawn"),
    {0}};

struct point {
    bool private;
    int64_t row;     /* of the client's or the public features */
    uint32_t chosen; /* bit p: by the selection of panel p */
};
struct picture {
    struct feature_rows public, private;
    const char *panel[PANELS]; /* how each selection was made */
    int panels;
    json_t *selection[PANELS];
    struct point *point;
    int64_t n;
    double *y; /* (n,2) */
    double kl;
};

/* ---- which points ---- */

/* `most` of the rows order (n), drawn at random; the chosen ones have their points already. */
static void add_drawn(struct stage_context *ctx, struct picture *m, const char *stream, const int64_t *order,
                      int64_t n, int64_t most, bool private, const uint32_t *chosen)
{
    const struct map_params *p = ctx->params;
    int64_t *shuffled = arena_alloc(ctx->arena, (size_t)(n + 1) * sizeof *shuffled);
    struct rng rng = rng_at(rng_stream((uint64_t)p->seed, stream), 0, 0);
    rng_permutation(&rng, n, shuffled);
    for (int64_t i = 0; i < n && most > 0; i++) {
        int64_t row = order ? order[shuffled[i]] : shuffled[i];
        if (chosen && chosen[row])
            continue;
        m->point[m->n++] = (struct point){.private = private, .row = row};
        most--;
    }
}
static bool read_selections(struct stage_context *ctx, struct picture *m, uint32_t *chosen, struct error *err)
{
    int n = stage_in_count(ctx, "selections");
    if (n > PANELS)
        return error_set(err, NULL, ERROR_INPUT, "%d selections, %d are the most", n, PANELS);
    for (; m->panels < n; m->panels++) {
        int64_t *row, count;
        json_t **j = &m->selection[m->panels];
        if (!feature_rows_selection(ctx, &m->public, "selections", m->panels, &row, &count, j, err))
            return false;
        m->panel[m->panels] = json_string_or(*j, "method", "selection");
        for (int64_t i = 0; i < count; i++)
            chosen[row[i]] |= 1u << m->panels;
    }
    return true;
}
/* Candidates first, then the client's, then the chosen: later ones are drawn above. */
static bool choose_points(struct stage_context *ctx, struct picture *m, struct error *err)
{
    const struct map_params *p = ctx->params;
    int64_t all = m->public.n, pool = all, *order = NULL;
    const float *relevance;
    uint32_t *chosen = arena_try(ctx->arena, (size_t)all * sizeof *chosen);
    m->point = arena_try(ctx->arena, (size_t)(all + m->private.n) * sizeof *m->point);
    if (!chosen || !m->point)
        return error_set(err, NULL, ERROR_TASK, "out of memory for the points");
    if (!read_selections(ctx, m, chosen, err))
        return false;
    if (stage_in(ctx, "relevance", 0)) {
        if (!feature_rows_relevance(ctx, &m->public, &relevance, err))
            return false;
        order = arena_alloc(ctx->arena, (size_t)all * sizeof *order);
        rank_descending(relevance, all, order, arena_alloc(ctx->arena, (size_t)all * sizeof *order));
        pool = p->pool < all ? p->pool : all;
    }
    add_drawn(ctx, m, "map.candidates", order, pool, p->candidates, false, chosen);
    add_drawn(ctx, m, "map.private", NULL, m->private.n, p->private, true, NULL);
    for (int64_t i = 0; i < all; i++)
        if (chosen[i])
            m->point[m->n++] = (struct point){.row = i, .chosen = chosen[i]};
    return m->n > 1 || error_set(err, NULL, ERROR_INPUT, "there are no points to draw");
}

/* ---- where ---- */

static void progress(void *arg, int64_t done, int64_t total)
{
    stage_progress(arg, (double)done, (double)total, "steps");
}
static bool place(struct stage_context *ctx, struct picture *m, struct error *err)
{
    const struct map_params *p = ctx->params;
    int64_t d = m->public.d;
    float *x = arena_floats(ctx->arena, m->n * d);
    m->y = arena_try(ctx->arena, (size_t)(2 * m->n) * sizeof *m->y);
    if (!x || !m->y)
        return error_set(err, NULL, ERROR_TASK, "out of memory for %lld points", (long long)m->n);
    for (int64_t i = 0; i < m->n; i++) {
        const struct feature_rows *f = m->point[i].private ? &m->private : &m->public;
        memcpy(x + i * d, f->x + m->point[i].row * d, (size_t)d * sizeof *x);
    }
    diversity_unit(x, m->n, d);
    struct tsne_options o = {p->perplexity, p->iterations, progress, ctx};
    return !strcmp(p->method, "pca") ? embed2d_pca(x, m->n, d, ctx->arena, m->y, err)
                                     : embed2d_tsne(x, m->n, d, &o, ctx->arena, m->y, &m->kl, err);
}

/* ---- writing ---- */

static const char *kind_of(const struct point *q)
{
    return q->private ? "private" : q->chosen ? "selected" : "candidate";
}
static bool write_points(struct stage_context *ctx, const struct picture *m, struct error *err)
{
    const struct map_params *p = ctx->params;
    AUTO_JSON o = json_pack("{s:s}", "method", p->method);
    json_t *points = json_array(), *panels = json_array();
    for (int k = 0; k < m->panels; k++)
        json_array_append_new(panels, json_string(m->panel[k]));
    for (int64_t i = 0; i < m->n; i++) {
        const struct point *q = &m->point[i];
        json_t *ids = q->private ? m->private.ids : m->public.ids, *by = json_array();
        for (int k = 0; k < m->panels; k++)
            if (q->chosen >> k & 1)
                json_array_append_new(by, json_integer(k));
        json_array_append_new(points, json_pack("{s:s, s:O, s:f, s:f, s:o}", "kind", kind_of(q), "id",
                                                json_array_get(ids, (size_t)q->row), "x", m->y[2 * i], "y",
                                                m->y[2 * i + 1], "panels", by));
    }
    json_object_set_new(o, "panels", panels);
    json_object_set_new(o, "points", points);
    if (!strcmp(p->method, "tsne"))
        json_object_set_new(o, "kl", json_real(m->kl));
    return json_write(stage_out_file(ctx, "picture", "picture.json"), o, err);
}
struct frame { /* the smallest square that holds all points */
    double x, y, side;
};
static struct frame frame_of(const struct picture *m)
{
    double low[2] = {m->y[0], m->y[1]}, high[2] = {m->y[0], m->y[1]};
    for (int64_t k = 0; k < 2 * m->n; k++) {
        low[k % 2] = m->y[k] < low[k % 2] ? m->y[k] : low[k % 2];
        high[k % 2] = m->y[k] > high[k % 2] ? m->y[k] : high[k % 2];
    }
    double w = high[0] - low[0], h = high[1] - low[1], side = w > h ? w : h;
    return (struct frame){(low[0] + high[0] - side) / 2, (low[1] + high[1] - side) / 2, side > 0 ? side : 1};
}
enum mark { CANDIDATE, PRIVATE, SELECTED };
static const struct style {
    const char *name, *fill;
    double radius;
} styles[] = {[CANDIDATE] = {"candidate", "#c4c4c4", 1.6},
              [PRIVATE] = {"private", "#3b6fb6", 2.2},
              [SELECTED] = {"selected", "#d1495b", 2.6}};

static void put_dot(struct buf *b, double x, double y, enum mark mark)
{
    buf_printf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" fill-opacity=\"0.75\"/>\n", x, y,
               styles[mark].radius, styles[mark].fill);
}
static void put_panel(struct buf *b, const struct picture *m, int panel, const char *title)
{
    struct frame f = frame_of(m);
    double left = GAP + panel * (SIDE + GAP), room = SIDE - 16;
    buf_printf(b, "<rect x=\"%.0f\" y=\"%d\" width=\"%d\" height=\"%d\" class=\"axis\"/>\n", left, TOP, SIDE,
               SIDE);
    svg_text(b, left + SIDE / 2., TOP - 10, "head", SIDE, title);
    for (int turn = CANDIDATE; turn <= SELECTED; turn++)
        for (int64_t i = 0; i < m->n; i++) {
            const struct point *q = &m->point[i];
            bool chosen = q->chosen >> panel & 1;
            int mark = q->private ? PRIVATE : chosen ? SELECTED : CANDIDATE;
            if (mark == turn)
                put_dot(b, left + 8 + (m->y[2 * i] - f.x) / f.side * room,
                        TOP + SIDE - 8 - (m->y[2 * i + 1] - f.y) / f.side * room, (enum mark)mark);
        }
}
static bool write_svg(struct stage_context *ctx, const struct picture *m, struct error *err)
{
    const struct map_params *p = ctx->params;
    AUTO(buf) struct buf b = {0};
    int panels = m->panels > 0 ? m->panels : 1;
    svg_open(&b, GAP + panels * (SIDE + GAP), TOP + SIDE + BOTTOM, p->title);
    for (int k = 0; k < panels; k++)
        put_panel(&b, m, k, m->panels > 0 ? m->panel[k] : p->method);
    for (int k = CANDIDATE; k <= SELECTED; k++) {
        double x = GAP + 8 + 110 * k, y = TOP + SIDE + 24;
        put_dot(&b, x, y - 4, (enum mark)k);
        svg_text(&b, x + 10, y, "left", 100, styles[k].name);
    }
    buf_puts(&b, "</svg>\n");
    return fs_write_file(stage_out_file(ctx, "picture", "picture.svg"), b.data, b.len, err);
}

static bool run(struct stage_context *ctx, struct error *err)
{
    struct picture m = {0};
    omp_set_num_threads(ctx->threads);
    bool ok = feature_rows_read(ctx, "features", 0, &m.public, err) &&
              (!stage_in(ctx, "private", 0) || feature_rows_read(ctx, "private", 0, &m.private, err));
    if (ok && m.private.n > 0 && m.private.d != m.public.d)
        ok = error_set(err, NULL, ERROR_INPUT,
                       "private features have %lld columns, public ones %lld: they must be of one model",
                       (long long)m.private.d, (long long)m.public.d);
    ok = ok && choose_points(ctx, &m, err) && place(ctx, &m, err) && write_points(ctx, &m, err) &&
         write_svg(ctx, &m, err);
    for (int k = 0; k < PANELS; k++)
        json_decref(m.selection[k]);
    json_decref(m.public.ids);
    json_decref(m.private.ids);
    return ok;
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    const struct map_params *p = params_;
    double n = (double)(p->candidates + p->private) + (double)in->chosen;
    bool tsne = strcmp(p->method, "pca") != 0;
    ret->flops = n * n * (tsne ? 20 * (double)p->iterations : 1) + 1e6 * n;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 2 * (double)in->bytes + n * 16e3 + (tsne ? 4 * n * n : 0));
    ret->makes = (struct cost_output){.bytes = cost_count(300 * n)};
}
const struct stage stage_map = {
    .name = "map",
    .version = 1,
    .doc = "A picture of private, candidate and selected samples on a plane, by t-SNE or PCA of their "
           "features.",
    .params = params,
    .params_size = sizeof(struct map_params),
    .inputs =
        (const struct port[]){
            {.name = "features", .type = ARTIFACT_FEATURES, .doc = "features of the public set"},
            {.name = "private",
             .type = ARTIFACT_FEATURES,
             .optional = true,
             .private_ok = true,
             .doc = "features of a client's images, by the same model"},
            {.name = "relevance",
             .type = ARTIFACT_RELEVANCE,
             .optional = true,
             .private_ok = true,
             .doc = "relevance of the public samples, of which the most relevant are the candidates"},
            {.name = "selections",
             .type = ARTIFACT_SELECTION,
             .many = true,
             .optional = true,
             .doc = "chosen samples, a panel each"},
            {0}},
    .outputs = (const struct port[]){{.name = "picture",
                                      .type = ARTIFACT_PICTURE,
                                      .doc = "picture.svg, and the coordinates in picture.json"},
                                     {0}},
    .cost = cost,
    .run = run,
};
