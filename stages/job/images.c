/* images: import a folder tree or an archive of JPEG, PNG and WebP files as a data set; which file is what,
 * its layout says (stages/io/layout.h). The bytes stay where they are (the output links to them); every image
 * is decoded once, so that damage shows here and not hours later. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/dataset.h"
#include "stages/io/layout.h"
#include "stages/stage.h"
#include <stdlib.h>
#include <string.h>

struct images_params {
    const char *path, *layout, *split, *split_file, *classnames, *on_corrupt, *classes;
    const char *orientation, *decoding;
    int64_t limit, train_share, val_share;
};

/* All that was found at the path. */
struct listing {
    struct source source;
    struct layout_set set;
};

static void listing_auto(struct listing *l)
{
    source_done(&l->source);
    layout_set_done(&l->set);
}

static const char *id_of(const struct listing *l, size_t i)
{
    return l->source.name[l->set.sample[i].file] + strlen(l->set.root);
}

/* NULL in a folder. */
static struct archive_item *item_of(const struct listing *l, size_t i)
{
    return l->source.folder ? NULL : l->source.item[l->set.sample[i].file];
}

static struct layout_options options_of(const struct images_params *p, const char *scratch)
{
    return (struct layout_options){.split = p->split,
                                   .split_file = p->split_file,
                                   .classnames = p->classnames,
                                   .train_share = p->train_share,
                                   .val_share = p->val_share,
                                   .scratch = scratch};
}

/* The next name of a comma list, blanks trimmed; NULL at the end. *s moves on. */
static const char *next_name(const char **s, size_t *ret_n)
{
    *s += strspn(*s, " ,");
    if (!**s)
        return NULL;
    const char *start = *s;
    size_t n = strcspn(start, ",");
    *s += n;
    while (n && start[n - 1] == ' ')
        n--;
    *ret_n = n;
    return start;
}

static bool is_called(const struct layout_class *c, const char *name, size_t n)
{
    return (strlen(c->name) == n && !memcmp(c->name, name, n)) ||
           (strlen(c->key) == n && !memcmp(c->key, name, n));
}

/* Which classes the comma list names, by name or by key. */
static bool choose_classes(const struct images_params *p, const struct layout_set *set, bool *chosen,
                           struct error *err)
{
    const char *list = p->classes, *s;
    size_t n;
    while ((s = next_name(&list, &n))) {
        bool known = false;
        for (int c = 0; c < set->n_classes; c++)
            if (is_called(&set->class[c], s, n))
                chosen[c] = known = true;
        if (known)
            continue;
        AUTO(buf) struct buf names = {0};
        for (int c = 0; c < set->n_classes && names.len < 400; c++)
            buf_printf(&names, "%s%s", names.len ? ", " : "", set->class[c].name);
        return error_set(err, NULL, ERROR_INPUT, "class '%.*s' of 'classes' is not in '%s'; there are: %s",
                         (int)n, s, p->path, buf_str(&names));
    }
    return true;
}

/* Apply the class list and the limit per class; samples are in order of name. */
static bool select_samples(const struct images_params *p, struct layout_set *set, struct error *err)
{
    AUTO(mem) bool *chosen = xcalloc((size_t)set->n_classes + 1, sizeof *chosen);
    AUTO(mem) int64_t *taken = xcalloc((size_t)set->n_classes + 1, sizeof *taken);
    AUTO(mem) int *label = xcalloc((size_t)set->n_classes + 1, sizeof *label);
    bool all = !*p->classes;
    int n_classes = 0;
    size_t n = 0;
    if (!choose_classes(p, set, chosen, err))
        return false;
    for (int c = 0; c < set->n_classes; c++)
        if (all || chosen[c]) {
            label[c] = n_classes;
            set->class[n_classes++] = set->class[c];
        }
    for (size_t i = 0; i < set->n; i++) {
        struct layout_sample s = set->sample[i];
        if ((!all && !chosen[s.label]) || (p->limit && taken[s.label]++ >= p->limit))
            continue;
        s.label = label[s.label];
        set->sample[n++] = s;
    }
    set->n = n;
    set->n_classes = n_classes;
    return n || error_set(err, NULL, ERROR_INPUT, "'%s' has no images of the classes '%s' in split '%s'",
                          p->path, p->classes, p->split);
}

/* Put `source` in place: a link to the original, or one packed file for archives whose entries do not lie
 * open. */
static bool place_source(struct stage_context *ctx, const char *path, struct listing *l, struct error *err)
{
    const char *source = stage_out_file(ctx, "images", "source");
    struct archive_index *index = &l->source.index;
    if (!l->source.folder && !index->in_place) {
        AUTO(mem) struct archive_item **items = xcalloc(index->n + 1, sizeof(struct archive_item *));
        AUTO(mem) bool *want = xcalloc(index->n + 1, sizeof *want);
        size_t n = 0;
        for (size_t i = 0; i < l->set.n; i++)
            want[item_of(l, i) - index->item] = true;
        for (size_t i = 0; i < index->n; i++)
            if (want[i])
                items[n++] = &index->item[i];
        return archive_pack(path, items, n, source, err);
    }
    bool below = l->source.folder && *l->set.root;
    AUTO(mem) char *joined = below ? xprintf("%s/%s", path, l->set.root) : xstrdup(path);
    AUTO(mem) char *target = realpath(joined, NULL);
    if (!target)
        return error_errno(err, "cannot open '%s'", joined);
    return fs->symlink(target, source) == 0 || error_errno(err, "cannot link '%s' to '%s'", source, target);
}

static bool decode_sample(const struct listing *l, size_t i, const char *source, const struct map *m,
                          struct error *err)
{
    AUTO(image) struct image im = {0};
    const struct archive_item *item = item_of(l, i);
    if (item)
        return image_decode(m->data + item->offset, (size_t)item->size, &im, err);
    AUTO(map) struct map own = {0};
    AUTO(mem) char *file = xprintf("%s/%s", source, id_of(l, i));
    return map_open(&own, file, err) && image_decode(own.data, own.size, &im, err);
}

/* Decode samples [from, to): which are bad, and the error of the first bad one. Returns how many. */
static int64_t check_range(const struct listing *l, const char *source, const struct map *m, size_t from,
                           size_t to, int threads, bool *bad, struct error *first)
{
    int64_t n_bad = 0;
    size_t first_bad = to;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (size_t i = from; i < to; i++) {
        struct error e = {0};
        if (decode_sample(l, i, source, m, &e))
            continue;
        bad[i] = true;
#pragma omp critical(images_error)
        {
            n_bad++;
            if (i < first_bad) {
                first_bad = i;
                *first = e;
            }
        }
    }
    if (n_bad)
        error_context(first, "image '%s'", l->source.name[l->set.sample[first_bad].file]);
    return n_bad;
}

static bool check_images(struct stage_context *ctx, const struct images_params *p, const struct listing *l,
                         bool *bad, int64_t *skipped, struct error *err)
{
    const char *source = stage_out_file(ctx, "images", "source");
    AUTO(map) struct map m = {0};
    if (!l->source.folder && !map_open(&m, source, err))
        return false;
    bool skip = !strcmp(p->on_corrupt, "skip");
    for (size_t at = 0; at < l->set.n;) {
        size_t to = l->set.n - at > 1024 ? at + 1024 : l->set.n;
        struct error first = {0};
        int64_t n = check_range(l, source, &m, at, to, ctx->threads, bad, &first);
        if (n && !skip)
            return error_set(err, NULL, first.code, "'%s': %s (on_corrupt: skip leaves such images out)",
                             p->path, first.text);
        if (n)
            stage_warn(ctx, "%lld image(s) skipped, the first: %s", (long long)n, first.text);
        *skipped += n;
        at = to;
        stage_progress(ctx, (double)at, (double)l->set.n, "images");
    }
    if (*skipped == (int64_t)l->set.n)
        return error_set(err, NULL, ERROR_INPUT, "'%s': all %zu images are corrupt", p->path, l->set.n);
    return true;
}

static bool write_set(struct stage_context *ctx, const struct listing *l, const bool *bad, int64_t skipped,
                      int64_t ignored, struct error *err)
{
    const struct images_params *p = ctx->params;
    struct dataset_writer *w = dataset_writer_new(ctx->outputs[0]);
    for (int c = 0; c < l->set.n_classes; c++)
        dataset_writer_new_class(w, l->set.class[c].name);
    for (size_t i = 0; i < l->set.n; i++) {
        const struct archive_item *item = item_of(l, i);
        if (!bad[i])
            dataset_writer_add(w, id_of(l, i), l->set.sample[i].label, item ? item->offset : -1,
                               item ? item->size : -1);
    }
    dataset_writer_ignored(w, ignored);
    dataset_writer_decoding(w, !strcmp(p->orientation, "exif"), !strcmp(p->decoding, "scaled"));
    return dataset_writer_finish(w, p->split, skipped, true, err);
}

static void warn_same_names(struct stage_context *ctx, const struct layout_set *set)
{
    for (int a = 0; a < set->n_classes; a++)
        for (int b = 0; b < a; b++)
            if (!strcmp(set->class[a].name, set->class[b].name)) {
                stage_warn(ctx, "classes %d ('%s') and %d ('%s') are both called '%s'", b, set->class[b].key,
                           a, set->class[a].key, set->class[a].name);
                return;
            }
}

static bool images_run(struct stage_context *ctx, struct error *err)
{
    const struct images_params *p = ctx->params;
    const struct layout *layout = layout_find(p->layout);
    struct layout_options options = options_of(p, ctx->scratch);
    AUTO(listing) struct listing l = {.set = {.arena = ctx->arena}};
    if (!source_open(p->path, layout->texts, &l.source, err) ||
        !layout_read(layout, &l.source, &options, &l.set, err))
        return false;
    int64_t ignored = (int64_t)(l.source.n - l.set.n) + l.source.replaced;
    if (l.set.warning)
        stage_warn(ctx, "%s", l.set.warning);
    warn_same_names(ctx, &l.set);
    if (!select_samples(p, &l.set, err) || !place_source(ctx, p->path, &l, err))
        return false;
    AUTO(mem) bool *bad = xcalloc(l.set.n + 1, sizeof *bad);
    int64_t skipped = 0;
    if (!check_images(ctx, p, &l, bad, &skipped, err))
        return false;
    stage_metric(ctx, "images", (double)((int64_t)l.set.n - skipped), 0);
    stage_metric(ctx, "skipped", (double)skipped, 0);
    return write_set(ctx, &l, bad, skipped, ignored, err);
}

static bool images_check(const void *params, struct error *err)
{
    const struct images_params *p = params;
    struct layout_options options = options_of(p, NULL);
    return layout_check(layout_find(p->layout), &options, err);
}

/* Each is looked at once: about 15 operations a byte. How many there are shows when they are read; what one
 * takes on disk, the layout says. */
static void images_cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    const struct images_params *p = params;
    double each = (double)layout_find(p->layout)->image_bytes;
    double images = in->samples > 0 ? (double)in->samples : (double)in->bytes / each;
    ret->flops = COST_SCALAR * 15 * (double)in->bytes;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 512 * images);
    ret->makes = (struct cost_output){.samples = cost_count(images), .bytes = in->bytes};
}

static const struct param params[] = {
    PARAM(struct images_params, path,
          .doc = "folder, tar (plain or compressed) or zip of JPEG, PNG and WebP images",
          .flags = PARAM_IMPORT | PARAM_REQUIRED),
    PARAM(struct images_params, layout, .def = "folders", .choices = LAYOUT_CHOICES,
          .doc = "how the data set lies there: class folders in split folders, or as CoOp, Oxford-IIIT Pet, "
                 "Flowers-102, EuroSAT or ImageNet come (docs/data.md)"),
    PARAM(struct images_params, split, .def = "train",
          .doc =
              "folder that holds the class folders (\"\": they are at the top), or the list of the layout"),
    PARAM(struct images_params, split_file, .def = "", .flags = PARAM_IMPORT,
          .doc = "coop: the list of the splits; empty: the split_zhou_*.json that lies with the images"),
    PARAM(struct images_params, classnames, .def = "", .flags = PARAM_IMPORT,
          .doc = "file of class names, lines of a folder's name (or a label of flowers) and a class name, or "
                 "JSON; empty: those of the layout"),
    PARAM(struct images_params, train_share, .def = "50", .min = 0, .max = 100, .unit = "%",
          .doc = "eurosat: what of each class is train, in order of the SHA-256 of the ids"),
    PARAM(struct images_params, val_share, .def = "20", .min = 0, .max = 100, .unit = "%",
          .doc = "eurosat: what of each class is val; the rest is test"),
    PARAM(struct images_params, on_corrupt, .def = "error", .choices = "error|skip",
          .doc = "what a damaged image means; skipped ones are counted"),
    PARAM(struct images_params, limit, .def = "0", .min = 0, .max = 1e9, .unit = "images",
          .doc = "first images of each class, in order of name; 0: all"),
    PARAM(struct images_params, classes, .def = "", .doc = "comma list of the classes to take; empty: all"),
    PARAM(struct images_params, orientation, .def = "ignore", .choices = "ignore|exif",
          .doc = "exif: whoever decodes the images turns them as their EXIF says, as viewers do; ignore: as "
                 "stored, as the authors' code has it"),
    PARAM(struct images_params, decoding, .def = "exact", .choices = "exact|scaled",
          .doc =
              "scaled: JPEGs are decoded at 1/2, 1/4 or 1/8 of their size where a model resizes them to no "
              "more than that. Faster on large photographs, but the pixels and so the results are others"),
    {0},
};
static const struct port inputs[] = {{0}};
static const struct port outputs[] = {
    {.name = "images", .type = ARTIFACT_IMAGES, .doc = "the data set; image bytes by reference"},
    {0},
};

const struct stage stage_images = {
    .name = "images",
    .version = 2,
    .doc = "Import images from a folder tree or an archive, in one of several layouts.",
    .params = params,
    .params_size = sizeof(struct images_params),
    .inputs = inputs,
    .outputs = outputs,
    .check = images_check,
    .cost = images_cost,
    .run = images_run,
};
