#include "engine/cli/logtail.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LINE_LONGEST 500
#define ENOUGH       ((off_t)32 << 10) /* bytes that are looked at */

/* The end of the file, NUL-ended; *whole: it begins with the file's or a line's begin. */
static char *read_end(const char *path, size_t *ret_n)
{
    struct stat st;
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st) != 0)
        return NULL;
    off_t from = st.st_size > ENOUGH ? st.st_size - ENOUGH : 0;
    size_t n = (size_t)(st.st_size - from);
    char *text = xmalloc(n + 1);
    if (!fs_pread_all(fd, text, n, from, path, NULL))
        n = 0;
    text[n] = '\0';
    *ret_n = n;
    return text;
}

size_t logtail_read(const char *path, char ***ret)
{
    size_t n = 0, count = 0;
    AUTO(mem) char *text = read_end(path, &n);
    *ret = xcalloc(LOGTAIL_LINES, sizeof **ret);
    const char *at = text ? text + n : NULL;
    for (int lines = 0; at && at > text; at--)
        if (at[-1] == '\n' && at != text + n && ++lines == LOGTAIL_LINES)
            break;
    while (at && at < text + n && count < LOGTAIL_LINES) {
        const char *end = memchr(at, '\n', (size_t)(text + n - at));
        size_t len = (size_t)((end ? end : text + n) - at);
        (*ret)[count++] = xstrndup(at, len > LINE_LONGEST ? LINE_LONGEST : len);
        at += len + 1;
    }
    return count;
}
