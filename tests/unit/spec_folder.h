/* Experiments of several files: a folder that the test stands in, and what reading its main.yaml says. */
#ifndef TESTS_UNIT_SPEC_FOLDER_H
#define TESTS_UNIT_SPEC_FOLDER_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "tests/test.h"
#include "tests/unit/spec_fake.h"

static char folder[] = "/tmp/weft-spec-XXXXXX";

static inline int folder_enter(void **state)
{
    return !mkdtemp(folder) || chdir(folder) != 0;
}

static inline int folder_leave(void **state)
{
    return chdir("/") != 0 || !fs_remove_tree(folder, NULL);
}

static inline void folder_write(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* "file:line:col text\n" for each, and for its note, indented. */
static inline void folder_print(const struct error *list, int n, struct buf *out)
{
    for (int i = 0; i < n; i++) {
        const struct error *e = &list[i];
        if (e->line)
            buf_printf(out, "%s:%d:%d ", e->file, e->line, e->col);
        buf_printf(out, "%s\n", e->text);
        if (e->note.line)
            buf_printf(out, "  %s:%d:%d %s\n", e->note.file, e->note.line, e->note.col, e->note.text);
    }
}

/* Reads main.yaml; what it complains of, all of it and nothing else, is `want`. */
static inline struct spec *folder_read(const struct spec_options *opt, const char *want)
{
    struct spec_options options = *opt;
    struct spec *s = NULL;
    struct error *list = NULL;
    int n = 0;
    AUTO(buf) struct buf said = {0};
    options.find = fake_find;
    if (!spec_read("main.yaml", &options, &s, &list, &n))
        folder_print(list, n, &said);
    free(list);
    assert_string_equal(buf_str(&said), want);
    return s;
}

static inline const struct fake_params *folder_params(const struct spec *s, const char *task)
{
    const struct task *t = spec_find(s, task);
    assert_non_null(t);
    return t->params;
}
#endif
