/* Keys of a whole experiment without running it: an output's digest is a function of its task's key and its
 * port, as if each stage made something new of each key. Used to ask which keys two texts share. */
#ifndef TESTS_UNIT_KEY_FLOW_H
#define TESTS_UNIT_KEY_FLOW_H
#include "base/mem.h"
#include "tests/unit/spec_folder.h"

struct flow {
    const struct spec *spec;
    struct digest *key; /* by task */
    /* What else the world is like: another content of imports, another output of one task. */
    const char *content;
    const struct task *touched;
    int touched_output;
};

static inline bool flow_output(void *arg, const struct task *t, int output, struct digest *ret)
{
    const struct flow *f = arg;
    AUTO(buf) struct buf b = {0};
    char hex[DIGEST_HEX];
    bool touched = t == f->touched && output == f->touched_output;
    buf_printf(&b, "%s %s%s", digest_hex(&f->key[t->index], hex), t->stage->outputs[output].name,
               touched ? " touched" : "");
    hash_bytes(b.data, b.len, ret);
    return true;
}

static inline bool flow_import(void *arg, const char *path, struct digest *ret, struct error *err)
{
    const struct flow *f = arg;
    const char *content = f->content ? f->content : "content";
    hash_bytes(content, strlen(content), ret);
    return true;
}

/* Fills f->key (to be freed) for f->spec. */
static inline void flow_keys(struct flow *f)
{
    const struct key_source src = {flow_output, flow_import, f};
    f->key = xcalloc((size_t)f->spec->n + 1, sizeof *f->key);
    for (int i = 0; i < f->spec->n; i++) {
        struct error err = {0};
        AUTO(mem) char *text = NULL;
        if (!task_key(f->spec->task[i], &src, &f->key[i], &text, &err))
            fail_msg("no key: %s", err.text);
    }
}

/* Reads main.yaml of the test's folder with stages of the registry; fails the test where it is refused. */
static inline struct spec *flow_read(const struct spec_options *opt, const char *what)
{
    struct spec *s = NULL;
    struct error *list = NULL;
    int n = 0;
    AUTO(buf) struct buf said = {0};
    if (!spec_read("main.yaml", opt, &s, &list, &n)) {
        folder_print(list, n, &said);
        fail_msg("%s: refused: %s", what, buf_str(&said));
    }
    return s;
}

static inline int flow_compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* The keys of main.yaml in their own order, whatever the tasks are called and where they stand; *n of them.
 */
static inline struct digest *flow_sorted(const struct spec_options *opt, const char *what, int *n)
{
    struct flow f = {.spec = flow_read(opt, what)};
    flow_keys(&f);
    *n = f.spec->n;
    qsort(f.key, (size_t)f.spec->n, sizeof *f.key, flow_compare);
    spec_free((struct spec *)f.spec);
    return f.key;
}
#endif
