/* What a task's state is before anything runs: waits, misses and hits as records and objects come and go. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/resolve.h"
#include "tests/test.h"
#include "tests/unit/spec_fake.h"

static char root[] = "/tmp/weft-resolve-XXXXXX";
static struct store *store;

static struct spec *read_spec(const char *stages)
{
    AUTO(mem) char *text = xprintf("experiment: e\nstages:\n%s", stages);
    AUTO(buf) struct buf errors = {0};
    struct spec *s = fake_read(text, NULL, 0, &errors);
    if (!s)
        fail_msg("%s", buf_str(&errors));
    return s;
}

static void expect(struct resolver *r, const struct spec *s, const char *task, enum resolution want)
{
    struct error err = {0};
    const struct task *t = spec_find(s, task);
    enum resolution got = resolve(r, t, &err);
    if (got != want)
        fail_msg("%s: wanted %d, got %d %s", task, want, got, err.text);
    const struct resolved *x = &r->task[t->index];
    assert_int_equal(x->has_key, want == RESOLVE_MISS || want == RESOLVE_HIT);
    assert_int_equal(x->entry != NULL, want == RESOLVE_HIT);
    assert_int_equal(resolve_record(r, t) != NULL, want == RESOLVE_HIT);
}

static char *in_store(const char *kind, const struct digest *d)
{
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    return xprintf("%s/store/%s/%.2s/%s", root, kind, hex, hex + 2);
}

/* The task ran: its one output holds one file of this content, which may be outside data. The object's path.
 */
static char *ran(const struct resolver *r, const struct spec *s, const char *task, const char *content,
                 const char *source)
{
    const struct resolved *x = &r->task[spec_find(s, task)->index];
    AUTO(mem) char *text = resolve_text(r, spec_find(s, task), NULL);
    AUTO(mem) char *path = source ? xstrdup(source) : xprintf("%s/in", root);
    struct record_file f = {.name = "f", .source = (char *)(uintptr_t)source};
    struct error err = {0};
    assert_true(source || fs_write_file(path, content, strlen(content ? content : ""), &err));
    assert_true(source ? store_import(store, path, &f.digest, &f.size, &err)
                       : store_put_file(store, path, &f.digest, &f.size, &err));
    struct record_output o = {
        .port = (char *)(uintptr_t)spec_find(s, task)->stage->outputs[0].name, .file = &f, .n = 1};
    struct record rec = {.key = x->key,
                         .text = text,
                         .stage = (char *)(uintptr_t)spec_find(s, task)->stage->name,
                         .task = (char *)(uintptr_t)task,
                         .output = &o,
                         .n = 1};
    if (!store_put_record(store, &rec, &err))
        fail_msg("%s", err.text);
    return in_store("objects", &f.digest);
}

static void chain(void **state)
{
    struct spec *s = read_spec("  a: { uses: source, with: { text: x } }\n"
                               "  twin: { uses: source, with: { text: x, threads: 4 } }\n"
                               "  b: { uses: step, in: { data: a } }\n"
                               "  c: { uses: step, in: { data: b, more: a } }\n");
    struct resolver r;
    resolver_init(&r, s, store);
    expect(&r, s, "a", RESOLVE_MISS);
    expect(&r, s, "b", RESOLVE_WAIT);
    expect(&r, s, "c", RESOLVE_WAIT);
    AUTO(mem) char *first = ran(&r, s, "a", "made by a", NULL);
    expect(&r, s, "b", RESOLVE_WAIT); /* a has to be looked at again */
    expect(&r, s, "a", RESOLVE_HIT);
    expect(&r, s, "twin", RESOLVE_HIT);
    expect(&r, s, "b", RESOLVE_MISS);
    AUTO(mem) char *second = ran(&r, s, "b", "made by b", NULL);
    expect(&r, s, "b", RESOLVE_HIT);
    expect(&r, s, "c", RESOLVE_MISS);
    const struct record *rec = resolve_record(&r, spec_find(s, "a"));
    assert_ptr_equal(record_find_output(rec, "images"), rec->output);
    assert_null(record_find_output(rec, "image"));
    assert_null(record_find_output(NULL, "images"));
    /* an object gone: who needs it knows no digest any more */
    assert_int_equal(unlink(first), 0);
    enum resolution all[4];
    struct error err = {0};
    assert_true(resolve_all(&r, s, all, &err));
    assert_int_equal(all[spec_find(s, "a")->index], RESOLVE_MISS);
    assert_true(r.task[spec_find(s, "a")->index].lost);
    assert_int_equal(all[spec_find(s, "twin")->index], RESOLVE_MISS);
    assert_int_equal(all[spec_find(s, "b")->index], RESOLVE_WAIT);
    assert_int_equal(all[spec_find(s, "c")->index], RESOLVE_WAIT);
    /* made again with the same bytes: all that stood on it stands again */
    free(ran(&r, s, "a", "made by a", NULL));
    assert_true(resolve_all(&r, s, all, &err));
    assert_int_equal(all[spec_find(s, "b")->index], RESOLVE_HIT);
    /* with other bytes: the next one has another key */
    struct digest before = r.task[spec_find(s, "b")->index].key;
    free(ran(&r, s, "a", "made otherwise", NULL));
    assert_true(resolve_all(&r, s, all, &err));
    assert_int_equal(all[spec_find(s, "a")->index], RESOLVE_HIT);
    assert_int_equal(all[spec_find(s, "b")->index], RESOLVE_MISS);
    assert_false(r.task[spec_find(s, "b")->index].lost);
    assert_false(digest_equal(&before, &r.task[spec_find(s, "b")->index].key));
    resolver_done(&r, s);
    spec_free(s);
}

/* What became of task "a" whose content was let go. */
static enum resolution freed(struct resolver *r, const struct spec *s, const char *named)
{
    enum resolution all[3];
    bool name[3] = {false}, wanted[3] = {true, true, true};
    struct error err = {0};
    if (named)
        name[spec_find(s, named)->index] = true;
    assert_true(resolve_all(r, s, all, &err));
    assert_int_equal(all[spec_find(s, "a")->index], RESOLVE_FREED);
    resolve_needed(s, wanted, name, all);
    return all[spec_find(s, "a")->index];
}

/* A result without its content is as good as a hit, until somebody needs more than its digests. */
static void let_go(void **state)
{
    struct spec *s = read_spec("  a: { uses: source, with: { text: freed } }\n"
                               "  b: { uses: step, in: { data: a } }\n"
                               "  c: { uses: step, in: { data: b, more: a } }\n");
    struct resolver r;
    enum resolution all[3];
    resolver_init(&r, s, store);
    expect(&r, s, "a", RESOLVE_MISS);
    AUTO(mem) char *object = ran(&r, s, "a", "to be let go", NULL);
    expect(&r, s, "a", RESOLVE_HIT);
    expect(&r, s, "b", RESOLVE_MISS);
    free(ran(&r, s, "b", "of b", NULL));
    assert_true(store_free(store, &r.task[spec_find(s, "a")->index].key, 1, NULL));
    assert_false(fs_exists(object));
    assert_int_equal(freed(&r, s, NULL), RESOLVE_MISS); /* c has to run */
    assert_int_equal(r.task[spec_find(s, "b")->index].entry != NULL, true);
    free(ran(&r, s, "c", "of c", NULL));
    assert_int_equal(freed(&r, s, NULL), RESOLVE_HIT);
    assert_int_equal(freed(&r, s, "a"), RESOLVE_MISS); /* asked for by name */
    assert_true(store_free(store, &r.task[spec_find(s, "c")->index].key, 1, NULL));
    assert_int_equal(freed(&r, s, NULL),
                     RESOLVE_MISS); /* c is a result: it is needed, and with it its inputs */
    free(ran(&r, s, "a", "to be let go", NULL));
    assert_true(resolve_all(&r, s, all, NULL));
    assert_int_equal(all[spec_find(s, "a")->index], RESOLVE_HIT);
    resolver_done(&r, s);
    spec_free(s);
}

/* Every byte of a record flipped: never a hit with something else, never an error. */
static void damaged_record(void **state)
{
    struct spec *s = read_spec("  a: { uses: source, with: { text: damage } }\n");
    struct resolver r;
    resolver_init(&r, s, store);
    expect(&r, s, "a", RESOLVE_MISS);
    struct digest key = r.task[0].key;
    free(ran(&r, s, "a", "content", NULL));
    AUTO(mem) char *path = in_store("records", &key);
    AUTO(mem) char *text = NULL;
    size_t n;
    assert_true(fs_read_file(path, &text, &n, NULL));
    for (size_t i = 0; i < n; i += 7) {
        text[i] ^= 4;
        assert_true(fs_write_file(path, text, n, NULL));
        expect(&r, s, "a", RESOLVE_MISS);
        assert_false(fs_exists(path));
        text[i] ^= 4;
    }
    assert_true(fs_write_file(path, text, n / 2, NULL));
    expect(&r, s, "a", RESOLVE_MISS);
    assert_true(fs_write_file(path, text, n, NULL));
    expect(&r, s, "a", RESOLVE_HIT);
    resolver_done(&r, s);
    spec_free(s);
}

static void imports(void **state)
{
    AUTO(mem) char *data = xprintf("%s/data", root);
    AUTO(mem)
    char *line = xprintf("  a: { uses: source, with: { path: %s } }\n"
                         "  b: { uses: step, in: { data: a } }\n",
                         data);
    assert_true(fs_write_file(data, "0", 1, NULL));
    struct spec *s = read_spec(line);
    struct resolver r;
    enum resolution all[2];
    struct error err = {0};
    resolver_init(&r, s, store);
    assert_int_equal(unlink(data), 0); /* after the file was checked */
    assert_false(resolve_all(&r, s, all, &err));
    assert_non_null(strstr(err.text, "task 'a', parameter 'path': cannot import '"));
    assert_non_null(strstr(err.text, "/data': No such file or directory"));
    assert_int_equal(err.line, 3);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_true(fs_write_file(data, "1", 1, NULL));
    expect(&r, s, "a", RESOLVE_MISS);
    struct digest before = r.task[0].key;
    assert_true(resolve_unchanged(&r, spec_find(s, "a"), NULL, &err));
    free(ran(&r, s, "a", NULL, data));
    expect(&r, s, "a", RESOLVE_HIT);
    assert_true(fs_write_file(data, "22", 2, NULL));
    assert_false(resolve_unchanged(&r, spec_find(s, "a"), NULL, &err));
    assert_string_equal(err.text, "outside data that it reads changed while it ran");
    assert_int_equal(err.code, ERROR_TASK);
    expect(&r, s, "a", RESOLVE_MISS);
    assert_false(digest_equal(&before, &r.task[0].key));
    expect(&r, s, "b", RESOLVE_WAIT);
    resolver_done(&r, s);
    spec_free(s);
}

static int setup(void **state)
{
    if (!mkdtemp(root))
        return 1;
    AUTO(mem) char *path = xprintf("%s/store", root);
    return !store_open(path, &store, NULL);
}
static int teardown(void **state)
{
    store_close(store);
    return !fs_remove_tree(root, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chain), cmocka_unit_test(let_go),
                                       cmocka_unit_test(damaged_record), cmocka_unit_test(imports)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
