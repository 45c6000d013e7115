#include "stages/samples.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include <fcntl.h>
#include <string.h>

#define HEADER_MAX 65536 /* of features: two tensors at most */

static int64_t not_below_0(int64_t n)
{
    return n > 0 ? n : 0;
}

static int64_t in_images(const char *dir)
{
    AUTO(mem) char *path = xprintf("%s/dataset.json", dir);
    AUTO_JSON j = json_read(path, NULL);
    return not_below_0(json_int_or(j, "count", 0));
}

static bool read_all(int fd, void *p, size_t n)
{
    size_t at = 0;
    for (ssize_t got = 1; at < n && got > 0; at += got > 0 ? (size_t)got : 0)
        got = fs->read(fd, (char *)p + at, n - at);
    return at == n;
}

/* Rows of the tensor "features": the header of the file alone is read. */
static int64_t in_features(const char *dir)
{
    AUTO(mem) char *path = xprintf("%s/features.safetensors", dir);
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    uint64_t n;
    if (fd < 0 || !read_all(fd, &n, sizeof n) || n > HEADER_MAX)
        return 0;
    AUTO(mem) char *text = xmalloc(n + 1);
    if (!read_all(fd, text, n))
        return 0;
    AUTO_JSON j = json_parse(text, n, path, NULL);
    const json_t *shape = json_object_get(json_object_get(j, "features"), "shape");
    return not_below_0(json_integer_value(json_array_get(shape, 0)));
}

static int64_t in_selection(const char *dir)
{
    AUTO(mem) char *path = xprintf("%s/selection.json", dir);
    AUTO_JSON j = json_read(path, NULL);
    return not_below_0(json_int_or(j, "size", 0));
}

int64_t samples_in(enum artifact type, const char *dir)
{
    return type == ARTIFACT_IMAGES      ? in_images(dir)
           : type == ARTIFACT_FEATURES  ? in_features(dir)
           : type == ARTIFACT_SELECTION ? in_selection(dir)
                                        : 0;
}

int64_t samples_of_inputs(const struct stage *s, const struct stage_inputs *inputs)
{
    int64_t most = 0;
    for (int p = 0; p < stage_port_count(s->inputs); p++)
        for (int i = 0; i < inputs[p].n; i++) {
            const struct stage_input *in = &inputs[p].item[i];
            int64_t n = samples_in(s->inputs[p].type, in->dir);
            int64_t also = in->also_dir ? samples_in(s->inputs[p].also, in->also_dir) : 0;
            most = n > most ? n : most;
            most = also > most ? also : most;
        }
    return most;
}
