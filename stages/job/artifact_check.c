#include "stages/job/artifact_check.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/safetensors.h"

enum content {
    ANY,
    JSON,
    ROWS,
    TENSORS,
    WEIGHTS
}; /* ROWS: JSON with a list `rows`; WEIGHTS: perhaps shards */

static const struct need {
    enum artifact type;
    const char *file;
    enum content content;
} needs[] = {
    {ARTIFACT_IMAGES, "dataset.json", JSON},
    {ARTIFACT_IMAGES, "samples.jsonl", ANY},
    {ARTIFACT_IMAGES, "source", ANY},
    {ARTIFACT_MODEL, "config.json", JSON},
    {ARTIFACT_MODEL, "", WEIGHTS},
    {ARTIFACT_FEATURES, "features.safetensors", TENSORS},
    {ARTIFACT_FEATURES, "ids.json", JSON},
    {ARTIFACT_RELEVANCE, "relevance.safetensors", TENSORS},
    {ARTIFACT_SELECTION, "selection.json", JSON},
    {ARTIFACT_ADAPTER, "adapter_config.json", JSON},
    {ARTIFACT_ADAPTER, "adapter_model.safetensors", TENSORS},
    {ARTIFACT_ROUTER, "router.safetensors", TENSORS},
    {ARTIFACT_ROUTER, "router.json", JSON},
    {ARTIFACT_METRICS, "metrics.json", ROWS},
    {ARTIFACT_PREDICTIONS, "predictions.json", JSON},
    {ARTIFACT_PREDICTIONS, "predictions.jsonl", ANY},
    {ARTIFACT_TABLE, "table.md", ANY},
    {ARTIFACT_TABLE, "table.json", ROWS},
    {ARTIFACT_PICTURE, "picture.json", JSON},
};

static bool check_content(enum content content, const char *path, struct error *err)
{
    AUTO(safetensors) struct safetensors *s = NULL;
    if (content == ANY)
        return true;
    if (content == WEIGHTS)
        return safetensors_open_model(path, &s, err);
    if (content == TENSORS)
        return safetensors_open(path, &s, err);
    AUTO_JSON j = json_read(path, err);
    if (!j)
        return false;
    return content != ROWS || json_is_array(json_object_get(j, "rows")) ||
           error_set(err, NULL, ERROR_TASK, "has no list 'rows'");
}

bool artifact_check(enum artifact type, const char *dir, struct error *err)
{
    char **list;
    size_t n;
    if (!fs_list_tree(dir, &list, &n, err))
        return false;
    fs_list_free(list, n);
    if (n == 0)
        return error_set(err, NULL, ERROR_TASK, "nothing was written");
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        if (needs[i].type != type)
            continue;
        const char *file = needs[i].file;
        AUTO(mem) char *path = xprintf("%s%s%s", dir, *file ? "/" : "", file);
        if (!fs_exists(path))
            return error_set(err, NULL, ERROR_TASK, "has no file '%s', which an artifact of type %s has",
                             file, artifact_name(type));
        if (!check_content(needs[i].content, path, err)) {
            if (err)
                err->code = ERROR_TASK; /* not the user's file, but what a program made of it */
            return *file ? error_context(err, "'%s'", file) : false;
        }
    }
    return true;
}
