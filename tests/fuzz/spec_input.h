/* One input of the fuzzer of experiment files: text -> tasks -> keys -> nothing left. Lines of the text that
 * begin with
 * "#set " and "#vars " are options as well. The process stands in a folder of its own with two files to
 * include, and opens nothing else. */
#ifndef TESTS_FUZZ_SPEC_INPUT_H
#define TESTS_FUZZ_SPEC_INPUT_H
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/hash.h"
#include "engine/spec/spec.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_OPTIONS 4
#define INPUT_KEYS    300 /* tasks whose keys are made */

static char input_folder[] = "/tmp/weft-fuzz-XXXXXX";

/* Nothing outside the folder is read: not what a text names by chance, and no device. */
static inline int input_open(const char *path, int flags, mode_t mode)
{
    if (path[0] == '/' || strstr(path, "..")) {
        errno = ENOENT;
        return -1;
    }
    return fs_real.open(path, flags, mode);
}

static inline void input_write(const char *name, const void *p, size_t n)
{
    struct error err = {0};
    if (!fs_write_file(name, p, n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

static inline void input_leave(void)
{
    fs = &fs_real;
    fs_remove_tree(input_folder, NULL);
}

static inline void input_enter(void)
{
    static struct fs_ops ops;
    static const char part[] = "vars: { size: 16, list: [a, b] }\nstages:\n"
                               "  part: { uses: synthetic, with: { domain: public, size: \"${size}\" } }\n",
                      more[] = "include: part.yaml\nvars: { size: 8, map: { a: 1, b: { c: 2 } } }\n";
    if (!mkdtemp(input_folder) || chdir(input_folder) != 0)
        abort();
    atexit(input_leave);
    input_write("part.yaml", part, sizeof part - 1);
    input_write("more.yaml", more, sizeof more - 1);
    ops = fs_real;
    ops.open = input_open;
    fs = &ops;
}

static inline bool input_output(void *arg, const struct task *t, int output, struct digest *ret)
{
    hash_bytes(t->stage->outputs[output].name, strlen(t->stage->outputs[output].name), ret);
    return true;
}

static inline bool input_import(void *arg, const char *path, struct digest *ret, struct error *err)
{
    hash_bytes(path, strlen(path), ret);
    return path[0] == '/' || error_set(err, NULL, ERROR_INPUT, "'%s' is not absolute", path);
}

static inline void input_keys(const struct spec *s)
{
    const struct key_source src = {input_output, input_import, NULL};
    for (int i = 0; i < s->n && i < INPUT_KEYS; i++) {
        struct digest key;
        struct error err = {0};
        AUTO(mem) char *text = NULL;
        const struct task *t = s->task[i];
        if (t->index != i || !task_key(t, &src, &key, &text, &err))
            abort();
        for (int p = 0; p < stage_port_count(t->stage->inputs); p++)
            for (int k = 0; k < t->inputs[p].n; k++)
                if (t->inputs[p].ref[k].task->index >= i)
                    abort(); /* not in topological order */
    }
}

/* Every error has a text of one line and a place that makes sense, and they are sorted within a file. */
static inline void input_errors(const struct error *e, int n)
{
    for (int i = 0; i < n; i++) {
        char line[sizeof e->text + sizeof e->file + 64];
        error_string(&e[i], line, sizeof line);
        bool sorted = i == 0 || strcmp(e[i].file, e[i - 1].file) != 0 || e[i].line >= e[i - 1].line;
        if (e[i].code == ERROR_NONE || !e[i].text[0] || e[i].line < 0 || e[i].col < 0 || !sorted)
            abort();
    }
}

static inline void input_options(char *text, const char **set, const char **vars, struct spec_options *opt)
{
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        if (strncmp(line, "#set ", 5) == 0 && opt->n_set < INPUT_OPTIONS)
            set[opt->n_set++] = line + 5;
        else if (strncmp(line, "#vars ", 6) == 0 && opt->n_vars < INPUT_OPTIONS)
            vars[opt->n_vars++] = line + 6;
    }
}

static inline bool input_read(const struct spec_options *opt)
{
    struct spec *s;
    struct error *errors;
    int n;
    bool ok = spec_read("main.yaml", opt, &s, &errors, &n);
    if (ok != (n == 0) || ok != (s != NULL))
        abort();
    if (ok)
        input_keys(s);
    else
        input_errors(errors, n);
    bool sweep = ok && s->has_sweep;
    free(errors);
    spec_free(s);
    return sweep;
}

static inline void input_run(const uint8_t *data, size_t size)
{
    const char *set[INPUT_OPTIONS], *vars[INPUT_OPTIONS];
    struct spec_options opt = {.set = set, .vars = vars};
    AUTO(buf) struct buf text = {0};
    buf_add(&text, data, size);
    input_options(text.data, set, vars, &opt);
    input_write("main.yaml", data, size);
    opt.sweep = input_read(&opt);
    if (opt.sweep)
        input_read(&opt);
}
#endif
