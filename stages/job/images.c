/* images: import a folder tree or an archive of JPEG, PNG and WebP files, [prefix/]split/class/file, as a
 * data set. The bytes stay where they are (the output links to them); every image is decoded once, so that
 * damage shows here and not hours later. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/archive.h"
#include "stages/io/dataset.h"
#include "stages/stage.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IMAGE_BYTES 8000 /* on disk, what is neither a thumbnail nor a photograph */

struct images_params {
    const char *path, *split, *on_corrupt, *classes;
    const char *orientation, *decoding;
    int64_t limit;
};

/* One image file of the wanted split. */
struct found {
    const char *name;          /* as listed: relative path with prefix */
    const char *id;            /* name without prefix */
    const char *class_name;    /* in the run's arena */
    struct archive_item *item; /* NULL in a folder */
};
/* All that was found at the path. */
struct listing {
    const char **file; /* relative paths, owned by tree or index */
    size_t n_files;
    char **tree; /* of a folder */
    size_t n_tree;
    struct archive_index index; /* of an archive */
    bool folder;
    char *prefix; /* "" or "a/b/" */
    struct found *found;
    size_t n, cap;
    int64_t ignored;
};

static void listing_auto(struct listing *l)
{
    if (l->tree)
        fs_list_free(l->tree, l->n_tree);
    archive_index_done(&l->index);
    free(l->file);
    free(l->prefix);
    free(l->found);
}

/* Ends in .jpg, .jpeg, .png or .webp in any case, with no hidden component ("._1.jpg") nor a Mac's resource
 * folder.
 */
static bool is_image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || (strcasecmp(dot, ".jpg") && strcasecmp(dot, ".jpeg") && strcasecmp(dot, ".png") &&
                 strcasecmp(dot, ".webp")))
        return false;
    return name[0] != '.' && !strstr(name, "/.") && strncmp(name, "__MACOSX/", 9) != 0;
}

static bool list_files(const char *path, struct listing *l, struct error *err)
{
    l->folder = fs_is_dir(path);
    if (l->folder) {
        if (!fs_list_tree(path, &l->tree, &l->n_tree, err))
            return false;
    } else if (!archive_index_open(path, is_image_name, &l->index, err)) {
        return false;
    }
    l->n_files = l->folder ? l->n_tree : l->index.n;
    l->file = xcalloc(l->n_files + 1, sizeof *l->file);
    for (size_t i = 0; i < l->n_files; i++)
        l->file[i] = l->folder ? l->tree[i] : l->index.item[i].name;
    return true;
}

/* If name is PREFIX SPLIT/class/file (PREFIX class/file when split is ""), the length of PREFIX, else -1. */
static int prefix_length(const char *name, const char *split)
{
    const char *class_ = strrchr(name, '/');
    if (!class_)
        return -1;
    while (class_ > name && class_[-1] != '/')
        class_--;
    size_t before = (size_t)(class_ - name), n = strlen(split);
    if (!n)
        return (int)before;
    if (before < n + 1 || memcmp(class_ - 1 - n, split, n) != 0)
        return -1;
    size_t prefix = before - 1 - n;
    return prefix == 0 || name[prefix - 1] == '/' ? (int)prefix : -1;
}

/* The distinct folders that hold class folders with images, "train, test", at most eight; how many images at
 * all. */
static size_t add_class_parents(const struct listing *l, struct buf *out)
{
    const char *shown[8];
    size_t length[8], n_shown = 0, images = 0;
    for (size_t i = 0; i < l->n_files; i++) {
        if (!is_image_name(l->file[i]))
            continue;
        images++;
        int n = prefix_length(l->file[i], "");
        bool known = n < 0 || n_shown == 8;
        for (size_t k = 0; k < n_shown && !known; k++)
            known = length[k] == (size_t)n && !memcmp(shown[k], l->file[i], (size_t)n);
        if (known)
            continue;
        shown[n_shown] = l->file[i];
        length[n_shown++] = (size_t)n;
        buf_printf(out, "%s%.*s", out->len ? ", " : "", n ? n - 1 : 7, n ? l->file[i] : "the top");
    }
    if (!out->len)
        buf_puts(out, "none");
    return images;
}

static bool none_found(const struct images_params *p, const struct listing *l, struct error *err)
{
    AUTO(buf) struct buf parents = {0};
    if (!add_class_parents(l, &parents))
        return error_set(err, NULL, ERROR_INPUT,
                         "'%s' has no class folders with JPEG, PNG or WebP images (%zu files of other kinds)",
                         p->path, l->n_files);
    return error_set(
        err, NULL, ERROR_INPUT,
        "'%s' has no class folders in '%s'; folders with class folders: %s. Set 'split' to one of these, "
        "or to \"\" when the class folders are at the top",
        p->path, *p->split ? p->split : ".", buf_str(&parents));
}

/* The prefix is where the shallowest SPLIT/class/file is; two such places are ambiguous. */
static bool find_prefix(const struct images_params *p, struct listing *l, struct error *err)
{
    const char *best = NULL, *other = NULL;
    int best_n = 0, best_depth = 0, other_n = 0;
    for (size_t i = 0; i < l->n_files; i++) {
        int n = is_image_name(l->file[i]) ? prefix_length(l->file[i], p->split) : -1, depth = 0;
        if (n < 0)
            continue;
        for (int k = 0; k < n; k++)
            depth += l->file[i][k] == '/';
        if (!best || depth < best_depth) {
            best = l->file[i];
            best_n = n;
            best_depth = depth;
            other = NULL;
        } else if (depth == best_depth && !other &&
                   (n != best_n || memcmp(best, l->file[i], (size_t)n) != 0)) {
            other = l->file[i];
            other_n = n;
        }
    }
    if (!best)
        return none_found(p, l, err);
    if (other)
        return error_set(
            err, NULL, ERROR_INPUT,
            "'%s' has class folders in both '%.*s%s' and '%.*s%s': set 'split' to the one that is meant, "
            "or give a path further down",
            p->path, best_n, best, p->split, other_n, other, p->split);
    l->prefix = xstrndup(best, (size_t)best_n);
    return true;
}

static int by_id(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    if (order || !x->item)
        return order;
    return x->item->ordinal < y->item->ordinal ? -1 : x->item->ordinal > y->item->ordinal;
}

static bool collect(struct stage_context *ctx, const struct images_params *p, struct listing *l,
                    struct error *err)
{
    if (!find_prefix(p, l, err))
        return false;
    size_t prefix_n = strlen(l->prefix), split_n = *p->split ? strlen(p->split) + 1 : 0;
    for (size_t i = 0; i < l->n_files; i++) {
        const char *name = l->file[i];
        int n = is_image_name(name) ? prefix_length(name, p->split) : -1;
        if (n != (int)prefix_n || memcmp(name, l->prefix, prefix_n) != 0) {
            l->ignored++;
            continue;
        }
        char *class_name = arena_strdup(ctx->arena, name + prefix_n + split_n);
        *strrchr(class_name, '/') = 0;
        l->found = xgrow(l->found, &l->cap, l->n + 1, sizeof *l->found);
        l->found[l->n++] = (struct found){.name = name,
                                          .id = name + prefix_n,
                                          .class_name = class_name,
                                          .item = l->folder ? NULL : &l->index.item[i]};
    }
    qsort(l->found, l->n, sizeof *l->found, by_id);
    size_t kept = 0; /* of entries with one name the last counts, as when a tar is unpacked */
    for (size_t i = 0; i < l->n; i++)
        if (i + 1 == l->n || strcmp(l->found[i].id, l->found[i + 1].id) != 0)
            l->found[kept++] = l->found[i];
    l->ignored += (int64_t)(l->n - kept);
    l->n = kept;
    return true;
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

static bool in_list(const char *list, const char *name)
{
    size_t n;
    for (const char *s; (s = next_name(&list, &n));)
        if (strlen(name) == n && !memcmp(s, name, n))
            return true;
    return false;
}

static bool check_class_list(const struct images_params *p, const struct listing *l, struct error *err)
{
    const char *list = p->classes, *s;
    size_t n;
    while ((s = next_name(&list, &n))) {
        bool known = false;
        for (size_t i = 0; i < l->n && !known; i++)
            known = strlen(l->found[i].class_name) == n && !memcmp(l->found[i].class_name, s, n);
        if (known)
            continue;
        AUTO(buf) struct buf names = {0};
        for (size_t i = 0; i < l->n && names.len < 400; i++)
            if (i == 0 || strcmp(l->found[i].class_name, l->found[i - 1].class_name) != 0)
                buf_printf(&names, "%s%s", names.len ? ", " : "", l->found[i].class_name);
        return error_set(err, NULL, ERROR_INPUT, "class '%.*s' of 'classes' is not in '%s'; there are: %s",
                         (int)n, s, p->path, buf_str(&names));
    }
    return true;
}

/* Apply the class list and the limit per class. Samples of a class are neighbours: ids are sorted. */
static bool select_samples(const struct images_params *p, struct listing *l, struct error *err)
{
    if (!check_class_list(p, l, err))
        return false;
    size_t kept = 0;
    int64_t in_class = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (i == 0 || strcmp(l->found[i].class_name, l->found[i - 1].class_name) != 0)
            in_class = 0;
        struct found f = l->found[i]; /* kept <= i: the names compared above are still in place or equal */
        if (*p->classes && !in_list(p->classes, f.class_name))
            continue;
        if (!p->limit || in_class++ < p->limit)
            l->found[kept++] = f;
    }
    l->n = kept;
    return true;
}

/* Put `source` in place: a link to the original, or one packed file for archives whose entries do not lie
 * open. */
static bool place_source(struct stage_context *ctx, const char *path, struct listing *l, struct error *err)
{
    const char *source = stage_out_file(ctx, "images", "source");
    if (!l->folder && !l->index.in_place) {
        AUTO(mem) struct archive_item **items = xcalloc(l->index.n + 1, sizeof(struct archive_item *));
        AUTO(mem) bool *want = xcalloc(l->index.n + 1, sizeof *want);
        size_t n = 0;
        for (size_t i = 0; i < l->n; i++)
            want[l->found[i].item - l->index.item] = true;
        for (size_t i = 0; i < l->index.n; i++)
            if (want[i])
                items[n++] = &l->index.item[i];
        return archive_pack(path, items, n, source, err);
    }
    AUTO(mem) char *joined = l->folder && *l->prefix ? xprintf("%s/%s", path, l->prefix) : xstrdup(path);
    AUTO(mem) char *target = realpath(joined, NULL);
    if (!target)
        return error_errno(err, "cannot open '%s'", joined);
    return fs->symlink(target, source) == 0 || error_errno(err, "cannot link '%s' to '%s'", source, target);
}

static bool decode_found(const struct found *f, const char *source, const struct map *m, struct error *err)
{
    AUTO(image) struct image im = {0};
    if (f->item)
        return image_decode(m->data + f->item->offset, (size_t)f->item->size, &im, err);
    AUTO(map) struct map own = {0};
    AUTO(mem) char *file = xprintf("%s/%s", source, f->id);
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
        if (decode_found(&l->found[i], source, m, &e))
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
        error_context(first, "image '%s'", l->found[first_bad].name);
    return n_bad;
}

static bool check_images(struct stage_context *ctx, const struct images_params *p, const struct listing *l,
                         bool *bad, int64_t *skipped, struct error *err)
{
    const char *source = stage_out_file(ctx, "images", "source");
    AUTO(map) struct map m = {0};
    if (!l->folder && !map_open(&m, source, err))
        return false;
    bool skip = !strcmp(p->on_corrupt, "skip");
    for (size_t at = 0; at < l->n;) {
        size_t to = l->n - at > 1024 ? at + 1024 : l->n;
        struct error first = {0};
        int64_t n = check_range(l, source, &m, at, to, ctx->threads, bad, &first);
        if (n && !skip)
            return error_set(err, NULL, first.code, "'%s': %s (on_corrupt: skip leaves such images out)",
                             p->path, first.text);
        if (n)
            stage_warn(ctx, "%lld image(s) skipped, the first: %s", (long long)n, first.text);
        *skipped += n;
        at = to;
        stage_progress(ctx, (double)at, (double)l->n, "images");
    }
    if (*skipped == (int64_t)l->n)
        return error_set(err, NULL, ERROR_INPUT, "'%s': all %zu images are corrupt", p->path, l->n);
    return true;
}

static bool images_run(struct stage_context *ctx, struct error *err)
{
    const struct images_params *p = ctx->params;
    AUTO(listing) struct listing l = {0};
    if (!list_files(p->path, &l, err) || !collect(ctx, p, &l, err) || !select_samples(p, &l, err) ||
        !place_source(ctx, p->path, &l, err))
        return false;
    AUTO(mem) bool *bad = xcalloc(l.n + 1, sizeof *bad);
    int64_t skipped = 0;
    if (!check_images(ctx, p, &l, bad, &skipped, err))
        return false;
    struct dataset_writer *w = dataset_writer_new(ctx->outputs[0]);
    for (size_t i = 0; i < l.n; i++) {
        const struct found *f = &l.found[i];
        int label = dataset_writer_class(w, f->class_name);
        if (!bad[i])
            dataset_writer_add(w, f->id, label, f->item ? f->item->offset : -1, f->item ? f->item->size : -1);
    }
    dataset_writer_ignored(w, l.ignored);
    dataset_writer_decoding(w, !strcmp(p->orientation, "exif"), !strcmp(p->decoding, "scaled"));
    stage_metric(ctx, "images", (double)((int64_t)l.n - skipped), 0);
    stage_metric(ctx, "skipped", (double)skipped, 0);
    return dataset_writer_finish(w, p->split, skipped, false, err);
}

/* Each is looked at once: about 15 operations a byte. How many there are shows when they are read: thumbnails
 * of 2 KB, photographs of 100 KB. */
static void images_cost(const void *params, const struct cost_input *in, struct cost *ret)
{
    (void)params;
    double images = in->samples > 0 ? (double)in->samples : (double)in->bytes / IMAGE_BYTES;
    ret->flops = COST_SCALAR * 15 * (double)in->bytes;
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + 512 * images);
    ret->makes = (struct cost_output){.samples = cost_count(images), .bytes = in->bytes};
}

static const struct param params[] = {
    PARAM(struct images_params, path,
          .doc = "folder, tar (plain or compressed) or zip of JPEG, PNG and WebP images",
          .flags = PARAM_IMPORT | PARAM_REQUIRED),
    PARAM(struct images_params, split, .def = "train",
          .doc = "folder that holds the class folders; \"\": they are at the top"),
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
    .doc = "Import images from a folder tree or an archive: [prefix/]split/class/file.",
    .params = params,
    .params_size = sizeof(struct images_params),
    .inputs = inputs,
    .outputs = outputs,
    .cost = images_cost,
    .run = images_run,
};
