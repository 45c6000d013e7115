/* The fuzzer's corpus once more, without a fuzzer: every input that ever reached something new. */
#include "base/mem.h"
#include "tests/fuzz/spec_input.h"

int main(void)
{
    char **list;
    size_t n;
    struct error err = {0};
    AUTO(mem) char *root = realpath("tests/fuzz/corpus/spec", NULL);
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
    input_enter();
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", list[i]); /* the last one in the log is the one that failed */
        fflush(stdout);
        input_run((const uint8_t *)text[i], size[i]);
        free(text[i]);
    }
    fs_list_free(list, n);
    printf("%zu inputs\n", n);
    return n < 50;
}
