/* The images stage on folders, tars, compressed tars and zips: layouts, filters, and everything that can be
 * wrong. */
#include "base/cleanup.h"
#include "stages/io/dataset.h"
#include "tests/test.h"
#include "tests/unit/image_make.h"
#include "tests/unit/stage_alone.h"
#include <archive.h>
#include <archive_entry.h>
#include <string.h>

static char *root; /* set/ and out/ in it */

static int setup(void **state)
{
    root = make_folder();
    return 0;
}
static int teardown(void **state)
{
    fs_remove_tree(root, NULL);
    free(root);
    return 0;
}

static const char *const names[] = {"train/dog/2.png",   "train/dog/10.PNG",    "train/cat/1.png",
                                    "train/cat/._1.png", "train/cat/notes.txt", "top.png",
                                    "test/cat/9.png",    "test/emu/1.png",      "train/cat/deep/x.png"};
enum { NAMES = sizeof names / sizeof *names };

/* The bytes of file i: a different image each. */
static uint8_t *bytes_of(int i, size_t *n)
{
    return make_png(5 + i, 6, i, n);
}

static void make_tree(const char *prefix)
{
    for (int i = 0; i < NAMES; i++) {
        size_t n;
        AUTO(mem) uint8_t *png = bytes_of(i, &n);
        AUTO(mem) char *path = xprintf("set/%s%s", prefix, names[i]);
        make_file(root, path, png, n);
    }
}

/* format "ustar", "pax", "gnutar", "zip"; filter "" or "gzip", "zstd". */
static void make_archive(const char *file, const char *prefix, const char *format, const char *filter)
{
    AUTO(mem) char *path = xprintf("%s/%s", root, file);
    struct archive *a = archive_write_new();
    assert_int_equal(archive_write_set_format_by_name(a, format), ARCHIVE_OK);
    if (*filter)
        assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (int i = 0; i < NAMES; i++) {
        size_t n;
        AUTO(mem) uint8_t *png = bytes_of(i, &n);
        AUTO(mem) char *name = xprintf("%s%s", prefix, names[i]);
        struct archive_entry *e = archive_entry_new();
        archive_entry_set_pathname(e, name);
        archive_entry_set_size(e, (la_int64_t)n);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, png, n), n);
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

/* Run on root/FILE; NULL on failure. */
static struct dataset *import_(const char *file, const char *more, int *warnings, struct error *err)
{
    AUTO(mem) char *out = xprintf("%s/out", root);
    AUTO(mem) char *json = xprintf("{'path': '%s/%s'%s%s}", root, file, *more ? ", " : "", more);
    struct dataset *d = NULL;
    fs_remove_tree(out, NULL);
    assert_true(fs_mkdirs(out, NULL));
    if (!stage_alone(&stage_images, json, out, 2, warnings, err))
        return NULL;
    assert_true(dataset_open(out, &d, err));
    return d;
}

static void expect(const char *file, const char *more, int n, const char *const *ids)
{
    struct error e = {0};
    AUTO(dataset) struct dataset *d = import_(file, more, NULL, &e);
    if (!d)
        fail_msg("%s: %s", file, e.text);
    assert_int_equal(dataset_count(d), n);
    for (int i = 0; i < n; i++) {
        AUTO(image) struct image im = {0};
        assert_string_equal(dataset_id(d, i), ids[i]);
        assert_true(dataset_decode(d, i, &im, &e));
        int width = 0; /* which file it is shows in its width */
        for (int k = 0; k < NAMES; k++)
            if (!strcmp(names[k] + (strstr(more, "split': ''") ? strlen("train/") : 0), ids[i]))
                width = 5 + k;
        assert_int_equal(im.width, width);
    }
}

static void refuse(const char *file, const char *more, const char *why, const char *also)
{
    struct error e = {0};
    if (import_(file, more, NULL, &e))
        fail_msg("%s %s is accepted", file, more);
    char text[3000];
    error_string(&e, text, sizeof text);
    if (!strstr(text, why) || !strstr(text, also))
        fail_msg("no '%s' and '%s' in: %s", why, also, text);
}

static const char *const train_ids[] = {"train/cat/1.png", "train/dog/10.PNG", "train/dog/2.png"};

static void layouts(void **state)
{
    make_tree("");
    expect("set", "", 3, train_ids);
    const char *test_ids[] = {"test/cat/9.png", "test/emu/1.png"};
    expect("set", "'split': 'test'", 2, test_ids);
    const char *top_ids[] = {"cat/1.png", "dog/10.PNG", "dog/2.png"};
    expect("set/train", "'split': ''", 3, top_ids);
    refuse("set", "'split': ''", "both", "test");
    refuse("set", "'split': 'val'", "val", "train");
    refuse("nowhere", "", "nowhere", "");
}

static void labels_and_counts(void **state)
{
    make_tree("");
    struct error e = {0};
    AUTO(dataset) struct dataset *d = import_("set", "", NULL, &e);
    assert_non_null(d);
    assert_int_equal(dataset_classes(d), 2);
    assert_string_equal(dataset_class(d, 0), "cat");
    assert_int_equal(dataset_label(d, 0), 0);
    assert_int_equal(dataset_label(d, 1), 1);
    AUTO(mem) char *meta_path = xprintf("%s/out/dataset.json", root);
    AUTO_JSON meta = json_read(meta_path, &e);
    assert_int_equal(json_int_or(meta, "ignored", -1), NAMES - 3);
    assert_int_equal(json_int_or(meta, "skipped", -1), 0);
    assert_string_equal(json_string_or(meta, "split", ""), "train");
    AUTO(mem) char *source = xprintf("%s/out/source", root);
    struct stat st;
    assert_int_equal(lstat(source, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void prefixes(void **state)
{
    make_tree("data/birds/");
    expect("set", "", 3, train_ids);
    make_archive("p.tar", "./data/", "ustar", "");
    expect("p.tar", "", 3, train_ids);
}

static void archives(void **state)
{
    const char *const kinds[][3] = {{"a.tar", "ustar", ""},  {"b.tar", "pax", ""},
                                    {"c.tar", "gnutar", ""}, {"d.tar.gz", "pax", "gzip"},
                                    {"e.zip", "zip", ""},    {"f.tar.zst", "ustar", "zstd"}};
    for (int i = 0; i < 6; i++) {
        AUTO(mem) char *source = xprintf("%s/out/source", root);
        struct stat st;
        make_archive(kinds[i][0], "", kinds[i][1], kinds[i][2]);
        expect(kinds[i][0], "", 3, train_ids);
        assert_int_equal(lstat(source, &st), 0);
        assert_int_equal(S_ISLNK(st.st_mode), i < 3); /* plain tars are read in place */
    }
}

static void filters(void **state)
{
    make_tree("");
    const char *one[] = {"train/cat/1.png", "train/dog/10.PNG"};
    expect("set", "'limit': 1", 2, one);
    expect("set", "'classes': ' dog ,'", 2, train_ids + 1);
    expect("set", "'classes': 'dog, cat'", 3, train_ids);
    refuse("set", "'classes': 'dog, cow'", "cow", "cat, dog");
}

/* How images are decoded is the data set's: a photograph that lies on its side, and one that is large. */
static void decoding(void **state)
{
    const uint8_t side[] = {'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                            1,   18,  0,   3,   0, 0, 0,   1,   0, 6,  0, 0, 0, 0, 0, 0};
    uint8_t px[40 * 30 * 3];
    make_pixels(40, 30, 1, px);
    struct jpeg_kind k = {.components = 3, .app1 = side, .app1_n = sizeof side};
    size_t n;
    AUTO(mem) uint8_t *jpeg = make_jpeg_of(40, 30, &k, px, &n);
    make_file(root, "set/train/a/1.jpg", jpeg, n);
    AUTO(mem) uint8_t *webp = make_webp(8, 8, 0, px, &n);
    make_file(root, "set/train/a/2.WebP", webp, n);
    const struct {
        const char *more;
        int width, height, small; /* all of it; its width for a shorter side of 15 */
    } c[] = {{"", 40, 30, 40},
             {"'orientation': 'exif'", 30, 40, 30},
             {"'decoding': 'scaled'", 40, 30, 20},
             {"'orientation': 'exif', 'decoding': 'scaled'", 30, 40, 15}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct error e = {0};
        AUTO(dataset) struct dataset *d = import_("set", c[i].more, NULL, &e);
        if (!d)
            fail_msg("%s", e.text);
        assert_int_equal(dataset_count(d), 2);
        AUTO(image) struct image im = {0}, small = {0}, other = {0};
        assert_true(dataset_decode(d, 0, &im, NULL));
        assert_int_equal(im.width, c[i].width);
        assert_int_equal(im.height, c[i].height);
        assert_true(dataset_decode_for(d, 0, 15, &small, NULL));
        assert_int_equal(small.width, c[i].small);
        assert_true(dataset_decode_for(d, 1, 2, &other, NULL)); /* a WebP is always decoded in full */
        assert_int_equal(other.width, 8);
    }
}

static void empty_ones(void **state)
{
    AUTO(mem) char *set = xprintf("%s/set/train", root);
    assert_true(fs_mkdirs(set, NULL));
    refuse("set", "", "class", "set");
    make_file(root, "set/train/readme.txt", "x", 1);
    make_file(root, "set/train/cat/readme.txt", "x", 1);
    refuse("set", "", "class", "2 files");
    make_file(root, "empty.tar", "", 0);
    refuse("empty.tar", "", "empty.tar", "archive");
    make_file(root, "text.tar", "this is no archive, whatever its name says", 42);
    refuse("text.tar", "", "text.tar", "archive");
}

static void corrupt_images(void **state)
{
    make_tree("");
    size_t n;
    AUTO(mem) uint8_t *png = bytes_of(0, &n);
    make_file(root, "set/train/dog/3.png", png, n / 2);
    png[n / 2] ^= 4;
    make_file(root, "set/train/dog/1.png", png, n);
    make_file(root, "set/train/cat/0.jpg", "\xff\xd8\xff\xe0xxxxxxxxxxxxx", 17);
    refuse("set", "", "train/cat/0.jpg", "on_corrupt");
    struct error e = {0};
    int warnings;
    AUTO(dataset) struct dataset *d = import_("set", "'on_corrupt': 'skip'", &warnings, &e);
    assert_non_null(d);
    assert_int_equal(warnings, 1);
    assert_int_equal(dataset_count(d), 3);
    AUTO(mem) char *meta_path = xprintf("%s/out/dataset.json", root);
    AUTO_JSON meta = json_read(meta_path, &e);
    assert_int_equal(json_int_or(meta, "skipped", -1), 3);
    refuse("set", "'on_corrupt': 'skip', 'classes': 'cat', 'limit': 1", "corrupt", "all 1");
}

/* Cut an archive anywhere: an error that names it, or (behind the last byte that matters) the whole set. */
static void cut_archive(const char *file, const char *format, const char *filter, size_t step)
{
    make_archive(file, "", format, filter);
    AUTO(mem) char *path = xprintf("%s/%s", root, file);
    AUTO(map) struct map m = {0};
    assert_true(map_open(&m, path, NULL));
    int refused = 0, tried = 0;
    for (size_t cut = 0; cut < m.size; cut += step, tried++) {
        struct error e = {0};
        make_file(root, "cut", m.data, cut);
        AUTO(dataset) struct dataset *d = import_("cut", "", NULL, &e);
        refused += !d;
        if (d)
            assert_int_equal(dataset_count(d), 3);
        else
            assert_non_null(strstr(e.text, "cut"));
    }
    assert_true(refused > tried / 3);
}

static void flipped_archive(const char *file, size_t step)
{
    AUTO(mem) char *path = xprintf("%s/%s", root, file);
    AUTO(map) struct map m = {0};
    assert_true(map_open(&m, path, NULL));
    AUTO(mem) uint8_t *copy = xmalloc(m.size);
    for (size_t at = 0; at < m.size; at += step) {
        struct error e = {0};
        memcpy(copy, m.data, m.size);
        copy[at] ^= 0x11;
        make_file(root, "flipped", copy, m.size);
        AUTO(dataset) struct dataset *d = import_("flipped", "", NULL, &e);
        if (!d)
            assert_true(e.text[0]);
    }
}

static void damaged_archives(void **state)
{
    cut_archive("a.tar", "ustar", "", 307);
    cut_archive("d.tar.gz", "pax", "gzip", 41);
    cut_archive("e.zip", "zip", "", 83);
    flipped_archive("a.tar", 131);
    flipped_archive("d.tar.gz", 37);
    flipped_archive("e.zip", 53);
    make_archive("a.tar", "", "ustar", "");
    AUTO(mem) char *path = xprintf("%s/a.tar", root);
    AUTO(map) struct map m = {0};
    assert_true(map_open(&m, path, NULL));
    make_file(root, "cut", m.data, 700);
    refuse("cut", "", "truncated", "train/dog/2.png");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(layouts),    T(labels_and_counts), T(prefixes),
                                       T(archives),   T(filters),           T(decoding),
                                       T(empty_ones), T(corrupt_images),    T(damaged_archives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
