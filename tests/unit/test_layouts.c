/* The layouts in which the paper's data sets come, each as a folder, a tar, a compressed tar and a zip; and
 * everything that can be wrong in their lists. */
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/json.h"
#include "stages/io/dataset.h"
#include "stages/io/layout.h"
#include "tests/test.h"
#include "tests/unit/data_make.h"
#include "tests/unit/mat_make.h"
#include "tests/unit/stage_alone.h"

static char *root; /* the data in its media, files beside them, out/ */
static struct data data;
static const char *const medium[] = {"set", "set.tar", "set.tar.gz", "set.zip"};
enum { MEDIA = sizeof medium / sizeof *medium };

static int setup(void **state)
{
    root = make_folder();
    return 0;
}
static int teardown(void **state)
{
    data_clear(&data);
    fs_remove_tree(root, NULL);
    free(root);
    return 0;
}

static void build(void)
{
    data_folder(&data, root, "set");
    data_archive(&data, root, "set.tar", "ustar", "");
    data_archive(&data, root, "set.tar.gz", "ustar", "gzip");
    data_archive(&data, root, "set.zip", "zip", "");
}

/* Import root/FILE; @ in `more` stands for root. NULL on failure. */
static struct dataset *import_(const char *file, const char *more, int *warnings, struct error *err)
{
    AUTO(mem) char *out = xprintf("%s/out", root);
    AUTO(buf) struct buf json = {0};
    struct dataset *d = NULL;
    fs_remove_tree(out, NULL);
    assert_true(fs_mkdirs(out, NULL));
    buf_printf(&json, "{'path': '%s/%s', ", root, file);
    for (const char *s = more; *s; s++)
        *s == '@' ? buf_puts(&json, root) : buf_putc(&json, *s);
    buf_putc(&json, '}');
    if (!stage_alone(&stage_images, buf_str(&json), out, 2, warnings, err))
        return NULL;
    assert_true(dataset_open(out, &d, err));
    return d;
}

/* "id=label id=label", in order of ids. */
static char *samples_of(const struct dataset *d)
{
    struct buf b = {0};
    for (int64_t i = 0; i < dataset_count(d); i++)
        buf_printf(&b, "%s%s=%d", i ? " " : "", dataset_id(d, i), dataset_label(d, i));
    return buf_take(&b);
}

static char *classes_of(const struct dataset *d)
{
    struct buf b = {0};
    for (int c = 0; c < dataset_classes(d); c++)
        buf_printf(&b, "%s%s", c ? "|" : "", dataset_class(d, c));
    return buf_take(&b);
}

/* Every sample's bytes are those of the file whose name ends in its id. */
static void check_bytes(const struct dataset *d)
{
    for (int64_t i = 0; i < dataset_count(d); i++) {
        struct error e = {0};
        AUTO(image) struct image im = {0}, made = {0};
        const char *id = dataset_id(d, i);
        assert_true(dataset_decode(d, i, &im, &e));
        for (int k = 0; k < data.n; k++) {
            size_t n = strlen(data.file[k].name), m = strlen(id);
            if (n >= m && !strcmp(data.file[k].name + n - m, id))
                assert_true(image_decode(data.file[k].bytes, data.file[k].n, &made, &e));
        }
        assert_int_equal(im.width, made.width);
    }
}

static void expect_in(const char *file, const char *more, const char *samples, const char *classes,
                      int warned)
{
    struct error e = {0};
    int warnings;
    AUTO(dataset) struct dataset *d = import_(file, more, &warnings, &e);
    if (!d)
        fail_msg("%s %s: %s", file, more, e.text);
    AUTO(mem) char *s = samples_of(d), *c = classes_of(d);
    assert_string_equal(s, samples);
    assert_string_equal(c, classes);
    assert_int_equal(warnings, warned);
    check_bytes(d);
}

static void expect(const char *more, const char *samples, const char *classes)
{
    for (int m = 0; m < MEDIA; m++)
        expect_in(medium[m], more, samples, classes, 0);
}

/* In the folder and in a compressed tar: one message with all of the words. */
static void refuse(const char *more, const char *a, const char *b, const char *c)
{
    data_folder(&data, root, "set");
    data_archive(&data, root, "set.tar.gz", "ustar", "gzip");
    for (int m = 0; m < MEDIA; m += 2) {
        struct error e = {0};
        if (import_(medium[m], more, NULL, &e))
            fail_msg("%s %s is accepted", medium[m], more);
        char text[3000];
        error_string(&e, text, sizeof text);
        if (!strstr(text, a) || !strstr(text, b) || !strstr(text, c) || strchr(text, '\n'))
            fail_msg("no '%s', '%s' and '%s' in: %s", a, b, c, text);
    }
}

/* ---- CoOp ---- */

#define SPLIT "oxford-iiit-pet/split_zhou_OxfordPets.json"
static const char split_text[] =
    "{\"train\": [[\"pug_2.jpg\", 1, \"pug\"], [\"Bengal_1.jpg\", 0, \"bengal\"]],"
    " \"val\": [[\"pug_10.jpg\", 1, \"pug\"]],"
    " \"test\": [[\"boxer_1.jpg\", 2, \"boxer\"]]}";

static void make_coop(void)
{
    static const char *const name[] = {"pug_2", "Bengal_1", "pug_10", "boxer_1", "stray_1"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        AUTO(mem) char *file = xprintf("oxford-iiit-pet/images/%s.jpg", name[i]);
        data_image(&data, file);
    }
    data_image(&data, "oxford-iiit-pet/annotations/trimaps/pug_2.png");
    data_text(&data, SPLIT, split_text);
}

static void coop(void **state)
{
    make_coop();
    build();
    expect("'layout': 'coop'", "Bengal_1.jpg=0 pug_2.jpg=1", "bengal|pug|boxer");
    expect("'layout': 'coop', 'split': 'val'", "pug_10.jpg=1", "bengal|pug|boxer");
    expect("'layout': 'coop', 'split': 'test'", "boxer_1.jpg=2", "bengal|pug|boxer");
    expect("'layout': 'coop', 'classes': 'pug, boxer'", "pug_2.jpg=0", "pug|boxer");
    make_file(root, "own.json", "{\"train\": [[\"pug_10.jpg\", 0, \"dog\"]]}", 37);
    expect("'layout': 'coop', 'split_file': '@/own.json'", "pug_10.jpg=0", "dog");
    AUTO(mem) char *meta = xprintf("%s/out/dataset.json", root);
    AUTO_JSON j = json_read(meta, NULL);
    assert_int_equal(json_int_or(j, "ignored", -1), data.n - 1);
    data_text(&data, "names.txt", "pug Pug dog\nbengal  Bengal cat\r\n\nboxer Boxer");
    data_folder(&data, root, "set");
    expect_in("set", "'layout': 'coop', 'classnames': '@/set/names.txt'", "Bengal_1.jpg=0 pug_2.jpg=1",
              "Bengal cat|Pug dog|Boxer", 0);
}

static void coop_with(const char *text)
{
    data_text(&data, SPLIT, text);
}

static void coop_refusals(void **state)
{
    static const char with[] = "'layout': 'coop'";
    make_coop();
    refuse("'layout': 'coop', 'split': 'train2'", SPLIT, "train2", "train, val, test");
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\"], [\"gone_1.jpg\", 0, \"pug\"]]}");
    refuse(with, SPLIT, "train[1]", "oxford-iiit-pet/images/gone_1.jpg");
    data_text(&data, "oxford-iiit-pet/images/notes.txt", "no image");
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\"], [\"notes.txt\", 0, \"pug\"]]}");
    refuse(with, "train[1]", "'notes.txt' is listed, and is no image", "");
    coop_with("{\"train\": [[\"gone_1.jpg\", 0, \"pug\"]]}");
    refuse(with, SPLIT, "train[0]", "'gone_1.jpg'");
    coop_with("{\"train\": [[\"pug_2.jpg\", -1, \"pug\"]]}");
    refuse(with, SPLIT, "train[0]", "label -1 is out of range");
    coop_with("{\"train\": [[\"pug_2.jpg\", 99999, \"pug\"]]}");
    refuse(with, SPLIT, "train[0]", "label 99999 is out of range");
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\"], [\"pug_10.jpg\", 2, \"cat\"]]}");
    refuse(with, SPLIT, "no image has label 1", "up to 2");
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\"]], \"test\": [[\"pug_10.jpg\", 1, \"pug\"]]}");
    refuse(with, "test[0]", "class 'pug' has label 1 here and 0 before", SPLIT);
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\"], [\"pug_10.jpg\", 0, \"cat\"]]}");
    refuse(with, "train[1]", "label 0 is 'cat' here and 'pug' before", SPLIT);
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\"], [\"pug_10.jpg\", 1, \"cat\"], "
              "[\"pug_2.jpg\", 1, \"cat\"]]}");
    refuse(with, "listed twice, with two labels", "entries 1 and 3", SPLIT);
    coop_with("{\"train\": [[\"pug_2.jpg\", \"0\", \"pug\"]]}");
    refuse(with, "train[0]", "[path, label, name]", SPLIT);
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\", 1]]}");
    refuse(with, "train[0]", "[path, label, name]", SPLIT);
    coop_with("{\"train\": [\"pug_2.jpg\"]}");
    refuse(with, "train[0]", "[path, label, name]", SPLIT);
    coop_with("{\"train\": []}");
    refuse(with, "no images in split 'train'", "set", "");
    coop_with("{\"train\":\n [[}");
    refuse(with, SPLIT ":2:", "not valid JSON", "");
    coop_with("{\"train\": [[\"pug_2.jpg\", 0, \"pug\"]]}");
    data_image(&data, "oxford-iiit-pet/other/pug_2.jpg");
    refuse(with, "train[0]: 'pug_2.jpg' is listed", "oxford-iiit-pet/images/pug_2.jpg",
           "oxford-iiit-pet/other/pug_2.jpg");
    data_text(&data, "oxford-iiit-pet/split_zhou_Other.json", "{}");
    refuse(with, "split_zhou_Other.json", SPLIT, "both");
    data_clear(&data);
    data_image(&data, "images/pug_1.jpg");
    refuse(with, "split_zhou_*.json", "split_file", "set");
    refuse("'split_file': '@/own.json'", "split_file", "coop", "folders");
}

/* ---- Oxford-IIIT Pet ---- */

static void make_pets(void)
{
    static const char *const name[] = {"american_bulldog_10", "american_bulldog_2", "Abyssinian_100",
                                       "pug_1"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        AUTO(mem) char *file = xprintf("pets/images/%s.jpg", name[i]);
        data_image(&data, file);
    }
    data_text(&data, "pets/annotations/trainval.txt",
              "american_bulldog_2 2 2 1\nAbyssinian_100 1 1 1\namerican_bulldog_10 2 2 1\n");
    data_text(&data, "pets/annotations/test.txt", "# image class species breed\r\npug_1 1 2 2\r\n");
    data_text(&data, "pets/annotations/README", "no list");
    data_text(&data, "pets/annotations/._test.txt", "what a Mac leaves");
}

static void pets(void **state)
{
    make_pets();
    build();
    expect("'layout': 'pets', 'split': 'trainval'",
           "Abyssinian_100.jpg=0 american_bulldog_10.jpg=1 american_bulldog_2.jpg=1",
           "Abyssinian|american_bulldog");
    expect("'layout': 'pets', 'split': 'test'", "pug_1.jpg=0", "pug");
    expect("'layout': 'pets', 'split': 'trainval', 'limit': 1",
           "Abyssinian_100.jpg=0 american_bulldog_10.jpg=1", "Abyssinian|american_bulldog");
}

static void pets_with(const char *text)
{
    data_text(&data, "pets/annotations/trainval.txt", text);
}

static void pets_refusals(void **state)
{
    static const char with[] = "'layout': 'pets', 'split': 'trainval'";
    make_pets();
    refuse("'layout': 'pets'", "annotations/train.txt", "are: test, trainval. Set 'split'", "");
    refuse("'layout': 'pets', 'split': '*'", "annotations/*.txt", "test, trainval", "split");
    pets_with("Abyssinian_100 1 1 1\nAbyssinian_101 1 1 1\n");
    refuse(with, "pets/annotations/trainval.txt:2:", "pets/images/Abyssinian_101.jpg", "listed");
    pets_with("\n\nAbyssinian_100 1 1\n");
    refuse(with, "trainval.txt:3:", "Abyssinian_100 1 1 1", "");
    pets_with("Abyssinian_100 1 1 1 1\n");
    refuse(with, "trainval.txt:1:", "two more numbers", "");
    pets_with("Abyssinian_100 one 1 1\n");
    refuse(with, "trainval.txt:1:", "two more numbers", "");
    pets_with("Abyssinian100 1 1 1\n");
    refuse(with, "trainval.txt:1:", "two more numbers", "");
    pets_with("Abyssinian_100 0 1 1\n");
    refuse(with, "trainval.txt:1:", "label 0 is out of range", "count from 1");
    pets_with("Abyssinian_100 1 1 1\npug_1 3 1 1\n");
    refuse(with, "annotations/trainval.txt'", "no image has label 2", "up to 3");
    pets_with("Abyssinian_100 1 1 1\npug_1 1 1 1\n");
    refuse(with, "trainval.txt:2:", "label 1 is 'pug' here and 'Abyssinian' before", "");
    pets_with("american_bulldog_10 1 1 1\namerican_bulldog_2 2 1 1\n");
    refuse(with, "trainval.txt:2:", "'american_bulldog' has label 2 here and 1 before", "");
    pets_with("Abyssinian_100 1 1 1\npug_1 2 1 1\nAbyssinian_100 1 1 1\n");
    refuse(with, "trainval.txt:3:", "listed twice: entries 1 and 3", "");
    data_put(&data, "pets/annotations/trainval.txt", "pug_1 1\0 1 1\n", 13);
    refuse(with, "annotations/trainval.txt'", "no text", "");
    refuse("'split': 'train'", "pets/annotations/trainval.txt", "layout 'pets'", "class folders");
}

/* ---- Flowers-102 ---- */

/* Five images, labels 2 1 2 3 1; train 3 1, val 2, test 5 4. */
static void make_flowers(enum mat_ft version, enum matio_compression how, enum matio_classes class)
{
    static const double labels[] = {2, 1, 2, 3, 1}, train[] = {3, 1}, val[] = {2}, test[] = {5, 4};
    const struct mat_array all = {"labels", class, 1, 5, labels},
                           ids[] = {{"trnid", class, 1, 2, train},
                                    {"valid", class, 1, 1, val},
                                    {"tstid", MAT_C_UINT16, 1, 2, test}};
    AUTO(mem) char *path = xprintf("%s/made.mat", root), *text = NULL;
    size_t n;
    for (int i = 1; i <= 5; i++) {
        AUTO(mem) char *file = xprintf("flowers-102/jpg/image_%05d.jpg", i);
        data_image(&data, file);
    }
    make_mat(path, version, how, &all, 1);
    assert_true(fs_read_file(path, &text, &n, NULL));
    data_put(&data, "flowers-102/imagelabels.mat", text, n);
    free(text);
    make_mat(path, version, how, ids, 3);
    assert_true(fs_read_file(path, &text, &n, NULL));
    data_put(&data, "flowers-102/setid.mat", text, n);
}

#define NAMES "{\"1\": \"pink primrose\", \"2\": \"orchid\", \"3\": \"lily\", \"4\": \"unused\"}"

static void flowers(void **state)
{
    static const char with[] = "'layout': 'flowers'";
    make_flowers(MAT_FT_MAT5, MAT_COMPRESSION_NONE, MAT_C_DOUBLE);
    data_folder(&data, root, "set");
    expect_in("set", with, "image_00001.jpg=1 image_00003.jpg=1", "class 1|class 2|class 3", 1);
    data_text(&data, "flowers-102/cat_to_name.json", NAMES);
    build();
    expect(with, "image_00001.jpg=1 image_00003.jpg=1", "pink primrose|orchid|lily");
    expect("'layout': 'flowers', 'split': 'val'", "image_00002.jpg=0", "pink primrose|orchid|lily");
    expect("'layout': 'flowers', 'split': 'test'", "image_00004.jpg=2 image_00005.jpg=0",
           "pink primrose|orchid|lily");
    make_file(root, "names", "3 c\n2 b\n1 a\n", 12);
    expect("'layout': 'flowers', 'classnames': '@/names'", "image_00001.jpg=1 image_00003.jpg=1", "a|b|c");
}

static void flowers_versions(void **state)
{
    static const struct {
        enum mat_ft version;
        enum matio_compression how;
        enum matio_classes class;
    } kind[] = {{MAT_FT_MAT5, MAT_COMPRESSION_ZLIB, MAT_C_UINT8},
                {MAT_FT_MAT5, MAT_COMPRESSION_NONE, MAT_C_UINT8},
                {MAT_FT_MAT5, MAT_COMPRESSION_ZLIB, MAT_C_DOUBLE},
                {MAT_FT_MAT5, MAT_COMPRESSION_ZLIB, MAT_C_UINT16},
                {MAT_FT_MAT4, MAT_COMPRESSION_NONE, MAT_C_DOUBLE}};
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
        data_clear(&data);
        make_flowers(kind[i].version, kind[i].how, kind[i].class);
        data_text(&data, "flowers-102/cat_to_name.json", NAMES);
        build();
        expect_in("set", "'layout': 'flowers', 'split': 'test'", "image_00004.jpg=2 image_00005.jpg=0",
                  "pink primrose|orchid|lily", 0);
        expect_in("set.zip", "'layout': 'flowers'", "image_00001.jpg=1 image_00003.jpg=1",
                  "pink primrose|orchid|lily", 0);
    }
}

static void mat_with(const char *file, const char *array, enum matio_classes class, size_t rows,
                     size_t columns, const double *x)
{
    AUTO(mem) char *path = xprintf("%s/made.mat", root), *text = NULL;
    size_t n;
    make_mat(path, MAT_FT_MAT5, MAT_COMPRESSION_ZLIB, &(struct mat_array){array, class, rows, columns, x}, 1);
    assert_true(fs_read_file(path, &text, &n, NULL));
    data_put(&data, file, text, n);
}

static void flowers_refusals(void **state)
{
    static const char with[] = "'layout': 'flowers'", labels[] = "flowers-102/imagelabels.mat",
                      ids[] = "flowers-102/setid.mat";
    make_flowers(MAT_FT_MAT5, MAT_COMPRESSION_ZLIB, MAT_C_UINT8);
    refuse("'layout': 'flowers', 'split': 'valid'", "'valid'", "train, val and test", "");
    mat_with(ids, "trnid", MAT_C_DOUBLE, 1, 2, (double[]){1, 6});
    refuse(with, ids, "element 2 is image 6", "1 to 5");
    mat_with(ids, "trnid", MAT_C_DOUBLE, 1, 2, (double[]){1, 0});
    refuse(with, ids, "element 2 is image 0", "trnid");
    mat_with(ids, "trnid", MAT_C_DOUBLE, 1, 2, (double[]){1, 1.5});
    refuse(with, ids, "element 2 is 1.5", "trnid");
    mat_with(ids, "trnid", MAT_C_DOUBLE, 2, 2, (double[]){1, 2, 3, 4});
    refuse(with, ids, "a vector", "trnid");
    mat_with(ids, "trnid", MAT_C_DOUBLE, 1, 2, (double[]){1, 1});
    refuse(with, ids, "listed twice", "entries 1 and 2");
    mat_with(ids, "other", MAT_C_DOUBLE, 1, 2, (double[]){1, 2});
    refuse(with, ids, "no array 'trnid'", "");
    mat_with(ids, "trnid", MAT_C_DOUBLE, 2, 1, (double[]){1, 2});
    mat_with(labels, "labels", MAT_C_DOUBLE, 1, 2, (double[]){0, 1});
    refuse(with, labels, "image 1: label 0 is out of range", "count from 1");
    mat_with(labels, "labels", MAT_C_DOUBLE, 1, 2, (double[]){3, 1});
    refuse(with, labels, "no image has label 2", "");
    mat_with(labels, "labels", MAT_C_DOUBLE, 1, 6, (double[]){1, 1, 1, 1, 1, 1});
    mat_with(ids, "trnid", MAT_C_DOUBLE, 1, 1, (double[]){6});
    refuse(with, ids, "element 1", "flowers-102/jpg/image_00006.jpg");
    data_text(&data, labels, "something else");
    refuse(with, labels, "not a MATLAB file", "");
    data_clear(&data);
    make_flowers(MAT_FT_MAT73, MAT_COMPRESSION_NONE, MAT_C_UINT8);
    refuse(with, "setid.mat", "7.3 (HDF5)", "-v7");
    data_clear(&data);
    data_image(&data, "jpg/image_00001.jpg");
    refuse(with, "setid.mat", "set", "no");
}

/* Cut and changed anywhere, a .mat is an error with a message, or still one. */
static void damaged_mat(void **state)
{
    for (int v = 0; v < 2; v++) {
        data_clear(&data);
        make_flowers(MAT_FT_MAT5, v == 1 ? MAT_COMPRESSION_ZLIB : MAT_COMPRESSION_NONE, MAT_C_UINT8);
        data_folder(&data, root, "set");
        const struct data_file *f = NULL;
        for (int i = 0; i < data.n; i++)
            if (strstr(data.file[i].name, "imagelabels.mat"))
                f = &data.file[i];
        assert_non_null(f);
        int refused = 0;
        for (size_t at = 0; at < f->n; at += f->n / 40 + 1) {
            AUTO(mem) uint8_t *copy = memcpy(xmalloc(f->n), f->bytes, f->n);
            struct error e = {0};
            copy[at] ^= 0x15;
            make_file(root, "set/flowers-102/imagelabels.mat", copy, f->n);
            AUTO(dataset) struct dataset *changed = import_("set", "'layout': 'flowers'", NULL, &e);
            assert_true(changed || e.text[0]);
            make_file(root, "set/flowers-102/imagelabels.mat", f->bytes, at);
            AUTO(dataset) struct dataset *cut = import_("set", "'layout': 'flowers'", NULL, &e);
            refused += !cut;
        }
        assert_true(refused > 20);
    }
}

/* ---- EuroSAT ---- */

enum { FORESTS = 20, RIVERS = 10 };

static void make_eurosat(void)
{
    for (int i = 0; i < FORESTS + RIVERS; i++) {
        const char *class = i < FORESTS ? "Forest" : "River";
        AUTO(mem) char *file = xprintf("2750/%s/%s_%d.jpg", class, class, i);
        data_image(&data, file);
    }
}

/* The naive rule: how many of the class have a smaller digest. */
static int rank_of(const char *id)
{
    struct digest mine, other;
    int rank = 0;
    hash_bytes(id, strlen(id), &mine);
    for (int i = 0; i < data.n; i++) {
        const char *name = data.file[i].name + strlen("2750/");
        hash_bytes(name, strlen(name), &other);
        rank += name[0] == id[0] && memcmp(other.byte, mine.byte, 32) < 0;
    }
    return rank;
}

static void expect_share(const char *more, const int from[2], const int to[2])
{
    for (int m = 0; m < MEDIA; m++) {
        struct error e = {0};
        AUTO(dataset) struct dataset *d = import_(medium[m], more, NULL, &e);
        assert_non_null(d);
        assert_int_equal(dataset_count(d), to[0] - from[0] + to[1] - from[1]);
        for (int64_t i = 0; i < dataset_count(d); i++) {
            int c = dataset_label(d, i), rank = rank_of(dataset_id(d, i));
            assert_true(rank >= from[c] && rank < to[c]);
            assert_string_equal(dataset_class(d, c), dataset_id(d, i)[0] == 'F' ? "Forest" : "River");
        }
    }
}

static void eurosat(void **state)
{
    make_eurosat();
    build();
    expect_share("'layout': 'eurosat'", (int[]){0, 0}, (int[]){10, 5});
    expect_share("'layout': 'eurosat', 'split': 'val'", (int[]){10, 5}, (int[]){14, 7});
    expect_share("'layout': 'eurosat', 'split': 'test'", (int[]){14, 7}, (int[]){20, 10});
    expect_share("'layout': 'eurosat', 'split': ''", (int[]){0, 0}, (int[]){20, 10});
    expect_share("'layout': 'eurosat', 'split': 'test', 'train_share': 96, 'val_share': 0", (int[]){19, 10},
                 (int[]){20, 10});
    refuse("'layout': 'eurosat', 'split': 'valid'", "'valid'", "train, val and test", "");
    expect_share("'layout': 'eurosat', 'split': 'val', 'train_share': 96, 'val_share': 4", (int[]){19, 10},
                 (int[]){20, 10});
    expect_share("'layout': 'eurosat', 'split': 'val', 'train_share': 55, 'val_share': 45", (int[]){11, 6},
                 (int[]){20, 10});
    refuse("'layout': 'eurosat', 'split': 'test', 'train_share': 55, 'val_share': 45",
           "no images in split 'test'", "set", "");
    refuse("'layout': 'eurosat', 'train_share': 81", "101", "train_share", "at most 100");
}

/* ---- ImageNet ---- */

static void make_imagenet(void)
{
    static const char *const name[] = {
        "train/n02/n02_9.JPEG", "train/n02/n02_10.JPEG", "train/n01/n01_1.JPEG", "train/n01-x/a.JPEG",
        "val/n01/v_1.JPEG",     "val/n02/v_2.JPEG",      "val/n01-x/v_3.JPEG"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        data_image(&data, name[i]);
    data_text(&data, "classnames.txt", "n01 tench\nn01-x great white shark\nn02 goldfish\nn03 hen\n");
}

static void imagenet(void **state)
{
    static const char with[] = "'layout': 'imagenet'", classes[] = "tench|great white shark|goldfish";
    make_imagenet();
    build();
    expect(with, "train/n01-x/a.JPEG=1 train/n01/n01_1.JPEG=0 train/n02/n02_10.JPEG=2 train/n02/n02_9.JPEG=2",
           classes);
    expect("'layout': 'imagenet', 'split': 'val'",
           "val/n01-x/v_3.JPEG=1 val/n01/v_1.JPEG=0 val/n02/v_2.JPEG=2", classes);
    expect("'layout': 'imagenet', 'classes': 'n02, tench', 'limit': 1",
           "train/n01/n01_1.JPEG=0 train/n02/n02_10.JPEG=1", "tench|goldfish");
    expect("'limit': 1", "train/n01-x/a.JPEG=1 train/n01/n01_1.JPEG=0 train/n02/n02_10.JPEG=2",
           "n01|n01-x|n02");
    make_file(root, "names", "n01 fish\nn02 fish\nn01-x cat", 27);
    expect_in("set", "'layout': 'imagenet', 'limit': 1, 'split': 'val', 'classnames': '@/names'",
              "val/n01-x/v_3.JPEG=1 val/n01/v_1.JPEG=0 val/n02/v_2.JPEG=2", "fish|cat|fish", 1);
}

static void imagenet_refusals(void **state)
{
    static const char with[] = "'layout': 'imagenet'";
    make_imagenet();
    data_text(&data, "classnames.txt", "n01 tench\nn01-x shark\nn03 hen\n");
    refuse(with, "set", "classnames.txt' has no name for class 'n02'", "");
    data_text(&data, "classnames.txt", "n01 tench\nn02\n");
    refuse(with, "classnames.txt:2:", "a key, a blank and a name", "");
    data_text(&data, "classnames.txt", "n01 tench\nn02 a\nn01 b\nn01-x c");
    refuse(with, "classnames.txt:3:", "'n01' has two names", "");
    data_text(&data, "classnames.txt", "{\"n01\": 3}");
    refuse(with, "classnames.txt", "'n01' must be the name", "");
    data_text(&data, "classnames.txt", "{\"n01\": ");
    refuse(with, "classnames.txt:1:", "JSON", "");
    refuse("'layout': 'imagenet', 'classes': 'hen'", "classnames.txt", "JSON", "");
    data_clear(&data);
    data_image(&data, "train/n01/1.JPEG");
    refuse(with, "no classnames.txt", "'classnames'", "folders");
    refuse("'layout': 'imagenet', 'classnames': '@/nowhere'", "nowhere", "No such file", "");
}

/* As many as a fifth of ImageNet, by name only: classes are found in one walk, and what is kept grows with
 * the classes, but for twelve bytes a sample. */
static void many(void **state)
{
    enum { CLASSES = 1000, EACH = 256, N = CLASSES * EACH, ROOM = 48 };
    AUTO(mem) char *text = xmalloc((size_t)N * ROOM);
    struct source src = {.path = "nowhere", .folder = true, .n = N};
    AUTO(mem) const char **name = src.name = xcalloc(N, sizeof *src.name);
    for (int i = 0; i < N; i++) {
        snprintf(text + (size_t)i * ROOM, ROOM, "train/n%08d/n%08d_%05d.JPEG", i / EACH, i / EACH, i % EACH);
        name[i] = text + (size_t)i * ROOM;
    }
    AUTO(arena) struct arena a;
    arena_init(&a);
    AUTO(layout_set) struct layout_set set = {.arena = &a};
    const struct layout_options options = {.split = "train", .split_file = "", .classnames = ""};
    struct error e = {0};
    assert_true(layout_read(layout_find("folders"), &src, &options, &set, &e));
    assert_int_equal(set.n, N);
    assert_int_equal(set.n_classes, CLASSES);
    assert_string_equal(set.root, "");
    for (int i = 0; i < N; i++)
        assert_true(set.sample[i].file == (uint32_t)i && set.sample[i].label == i / EACH);
    assert_true(a.used < CLASSES * 64);
    assert_int_equal(sizeof *set.sample, 12);
}

/* Each choice of the parameter has a row, and each row is a choice. */
static void table(void **state)
{
    AUTO(buf) struct buf names = {0};
    for (const struct layout *l = layout_table; l->name; l++)
        buf_printf(&names, "%s%s", names.len ? "|" : "", l->name);
    assert_string_equal(buf_str(&names), LAYOUT_CHOICES);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(coop),
                                       T(coop_refusals),
                                       T(pets),
                                       T(pets_refusals),
                                       T(flowers),
                                       T(flowers_versions),
                                       T(flowers_refusals),
                                       T(damaged_mat),
                                       T(eurosat),
                                       T(imagenet),
                                       T(imagenet_refusals),
                                       T(many),
                                       T(table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
