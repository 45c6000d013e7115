/* What a program made, against what its type says: every type whole, and with each of its files missing or
 * wrong. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/job/artifact_check.h"
#include "tests/test.h"
#include <string.h>

static char dir[] = "/tmp/weft-artifact-XXXXXX";

/* A file with the least that its name promises: no tensors, no rows, no words. */
static void write_file(const char *name)
{
    static const char tensors[] = "\x08\0\0\0\0\0\0\0{}      ";
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    const char *dot = strrchr(name, '.');
    struct error err = {0};
    bool ok = dot && strcmp(dot, ".safetensors") == 0 ? fs_write_file(path, tensors, 16, &err)
                                                      : fs_write_file(path, "{\"rows\": []}", 12, &err);
    if (!ok)
        fail_msg("%s", err.text);
}

static void spoil(const char *name)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    assert_true(fs_write_file(path, "{", 1, NULL));
}

static void refuse(enum artifact type, const char *want)
{
    struct error err = {0};
    if (artifact_check(type, dir, &err))
        fail_msg("%s: taken although: %s", artifact_name(type), want);
    if (!strstr(err.text, want))
        fail_msg("%s: '%s', wanted '%s'", artifact_name(type), err.text, want);
    assert_int_equal(err.code, ERROR_TASK);
}

static void types(void **state)
{
    static const struct {
        enum artifact type;
        const char *file[4]; /* one whose content is looked at ends in json or safetensors */
    } rows[] = {{ARTIFACT_IMAGES, {"dataset.json", "samples.jsonl", "source"}},
                {ARTIFACT_MODEL, {"config.json", "model.safetensors"}},
                {ARTIFACT_FEATURES, {"features.safetensors", "ids.json"}},
                {ARTIFACT_RELEVANCE, {"relevance.safetensors"}},
                {ARTIFACT_SELECTION, {"selection.json"}},
                {ARTIFACT_ADAPTER, {"adapter_config.json", "adapter_model.safetensors"}},
                {ARTIFACT_ROUTER, {"router.safetensors", "router.json"}},
                {ARTIFACT_METRICS, {"metrics.json"}},
                {ARTIFACT_PREDICTIONS, {"predictions.json", "predictions.jsonl"}},
                {ARTIFACT_TABLE, {"table.md", "table.json"}},
                {ARTIFACT_PICTURE, {"picture.json"}},
                {ARTIFACT_FILES, {"anything"}}};
    assert_int_equal(sizeof rows / sizeof *rows, ARTIFACT_ANY - 1); /* every type */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        assert_true(fs_remove_tree(dir, NULL) && fs_mkdirs(dir, NULL));
        refuse(rows[i].type, "nothing was written");
        for (int k = 0; rows[i].file[k]; k++)
            write_file(rows[i].file[k]);
        if (!artifact_check(rows[i].type, dir, &err))
            fail_msg("%s: %s", artifact_name(rows[i].type), err.text);
        for (int k = 0; rows[i].type != ARTIFACT_FILES && rows[i].file[k]; k++) {
            const char *name = rows[i].file[k], *dot = strrchr(name, '.');
            AUTO(mem) char *path = xprintf("%s/%s", dir, name);
            write_file("other"); /* so that the folder is not empty */
            assert_int_equal(unlink(path), 0);
            refuse(rows[i].type, rows[i].type == ARTIFACT_MODEL && k == 1 ? "model.safetensors" : name);
            spoil(name);
            if (dot && (strcmp(dot, ".json") == 0 || strcmp(dot, ".safetensors") == 0))
                refuse(rows[i].type, name);
            write_file(name);
        }
    }
}

static void rows(void **state)
{
    AUTO(mem) char *path = xprintf("%s/metrics.json", dir);
    assert_true(fs_remove_tree(dir, NULL) && fs_mkdirs(dir, NULL));
    assert_true(fs_write_file(path, "{\"rows\": {}}", 12, NULL));
    refuse(ARTIFACT_METRICS, "'metrics.json': has no list 'rows'");
    assert_true(fs_write_file(path, "[]", 2, NULL));
    refuse(ARTIFACT_METRICS, "'metrics.json': has no list 'rows'");
}

static int enter(void **state)
{
    return !mkdtemp(dir);
}

static int leave(void **state)
{
    return !fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(types), cmocka_unit_test(rows)};
    return cmocka_run_group_tests(tests, enter, leave);
}
