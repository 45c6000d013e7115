/* Real files of many kinds: formats.tar of $WEFT_DATA, whose index.tsv states for each file its size, its
 * mean colour as another decoder sees it and, where decoding is exact, the digest of its pixels. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "stages/io/archive.h"
#include "stages/io/image.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum archive_want everything(const void *arg, const char *name)
{
    return ARCHIVE_DATA;
}

/* Field k of a line of tab-separated fields; malloc'd. */
static char *field(const char *line, int k)
{
    while (k--)
        line += strcspn(line, "\t\n") + 1;
    return xstrndup(line, strcspn(line, "\t\n"));
}

static bool check_mean(const struct image *im, const char *want)
{
    for (int k = 0; k < 3; k++) {
        double sum = 0, mean = strtod(want, NULL);
        int64_t pixels = (int64_t)im->width * im->height;
        for (int64_t i = 0; i < pixels; i++)
            sum += im->rgb[3 * i + k];
        if (fabs(sum / (double)pixels - mean) > .01)
            return false;
        want += strcspn(want, ",");
        want += *want == ',';
    }
    return true;
}

static bool check_file(const uint8_t *data, size_t n, const char *line)
{
    AUTO(mem) char *kind = field(line, 1);
    AUTO(mem) char *mean = field(line, 6);
    AUTO(mem) char *digest = field(line, 7);
    AUTO(mem) char *width = field(line, 2);
    AUTO(mem) char *height = field(line, 3);
    AUTO(image) struct image im = {0};
    struct error e = {0};
    bool ok = image_decode(data, n, &im, &e);
    if (!strcmp(kind, "gif"))
        return !ok && strstr(e.text, "GIF");
    if (!ok || im.width != strtol(width, NULL, 10) || im.height != strtol(height, NULL, 10) ||
        !check_mean(&im, mean))
        return false;
    struct digest d, want;
    hash_bytes(im.rgb, (size_t)im.width * (size_t)im.height * 3, &d);
    return !digest_parse(digest, &want) || digest_equal(&d, &want);
}

/* The line of the index that is about the file, or NULL. */
static const char *line_of(const char *index, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = index; *p;) {
        if (!strncmp(p, name, n) && p[n] == '\t')
            return p;
        p += strcspn(p, "\n");
        p += *p == '\n';
    }
    return NULL;
}

static int run(const char *path)
{
    AUTO(archive_index) struct archive_index x = {0};
    AUTO(map) struct map m = {0};
    AUTO(mem) char *index = NULL;
    struct error e = {0};
    if (!archive_index_open(path, everything, NULL, &x, &e) || !map_open(&m, path, &e)) {
        printf("FAIL %s\n", e.text);
        return 1;
    }
    int failed = 0, checked = 0;
    for (size_t i = 0; i < x.n; i++)
        if (!strcmp(x.item[i].name, "index.tsv"))
            index = xstrndup((const char *)m.data + x.item[i].offset, (size_t)x.item[i].size);
    for (size_t i = 0; i < x.n && index; i++) {
        const char *line = line_of(index, x.item[i].name);
        if (!line)
            continue;
        checked++;
        if (!check_file(m.data + x.item[i].offset, (size_t)x.item[i].size, line)) {
            printf("FAIL %s\n", x.item[i].name);
            failed++;
        }
    }
    printf("%d files checked, %d failed\n", checked, failed);
    return failed || checked < 20;
}

int main(void)
{
    const char *root = getenv("WEFT_DATA");
    AUTO(mem) char *path = xprintf("%s/vision/formats.tar", root && *root ? root : "../shared/data");
    if (!fs_exists(path)) {
        printf("no image samples: '%s' is absent; set WEFT_DATA\n", path);
        return 77;
    }
    return run(path);
}
