/* A fuzzer's corpus once more, without a fuzzer: every input that ever reached something new. */
#ifndef TESTS_FUZZ_CORPUS_H
#define TESTS_FUZZ_CORPUS_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <stdio.h>

/* What main() returns: 1 when there are fewer inputs than `least`. enter() may change the folder. */
static inline int corpus_replay(const char *folder, size_t least, void (*enter)(void),
                                void (*run)(const uint8_t *data, size_t n))
{
    char **list;
    size_t n;
    struct error err = {0};
    AUTO(mem) char *root = realpath(folder, NULL);
    if (!root || !fs_list_tree(root, &list, &n, &err)) {
        fprintf(stderr, "no corpus: %s\n", root ? err.text : "run this from the root of the sources");
        return 1;
    }
    AUTO(mem) char **text = xcalloc(n + 1, sizeof *text);
    AUTO(mem) size_t *size = xcalloc(n + 1, sizeof *size);
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", root, list[i]);
        if (!fs_read_file(path, &text[i], &size[i], &err)) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    enter();
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", list[i]); /* the last one in the log is the one that failed */
        fflush(stdout);
        run((const uint8_t *)text[i], size[i]);
        free(text[i]);
    }
    fs_list_free(list, n);
    printf("%zu inputs\n", n);
    return n < least;
}
#endif
