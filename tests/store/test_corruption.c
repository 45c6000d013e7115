/* Each byte of each file of a small store flipped in one bit, and each file cut at each length, in place and
 * with its old time: what comes back is right or a miss, and verification tells. */
#include "tests/store/findings.h"
#include "tests/store/results.h"
#include <fcntl.h>
#include <sys/stat.h>

static struct result result[] = {
    {.name = "words", .n = 700},
    {.name = "floats", .n = 260, .kind = 1},
    {.name = "nothing", .n = 0},
    {.name = "blocks", .n = 65536 + 700},
};
#ifdef __SANITIZE_ADDRESS__
enum { EVERY = 7 }; /* each of its calls takes long */
#else
enum { EVERY = 1 };
#endif
enum { RESULTS = sizeof result / sizeof *result, STEP = 7 };

struct file {
    char *path; /* below the store */
    char *data;
    size_t n;
    struct timespec time[2];
    bool judged; /* verification must tell: an object, a record or a checkpoint */
    bool sparse; /* mostly holes: only what is in between */
    size_t step, cases, told;
};

static void set(const struct file *f, const char *data, size_t n)
{
    AUTO(mem) char *path = xprintf("%s/store/%s", root, f->path);
    AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(fs_pwrite_all(fd, data, n, 0, path, NULL));
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    assert_int_equal(futimens(fd, f->time), 0);
}

/* As it was, and the same inode where it was moved to quarantine. */
static void restore(const struct file *f)
{
    AUTO(mem) char *path = xprintf("%s/store/%s", root, f->path);
    AUTO(mem) char *quarantine = at("store/quarantine");
    char **list;
    size_t n;
    if (!fs_exists(path)) {
        assert_true(fs_list_tree(quarantine, &list, &n, NULL));
        assert_int_equal(n, 1);
        AUTO(mem) char *from = xprintf("%s/%s", quarantine, list[0]);
        assert_int_equal(rename(from, path), 0);
        fs_list_free(list, n);
    }
    set(f, f->data, f->n);
}

/* Everything is asked for. True: all that there is came back. *ret_told: verification told before (look). */
static bool ask(const struct digest *import, const char *outside, bool look, bool *ret_told)
{
    AUTO(store) struct store *s = open_store();
    *ret_told = look && verify(s, false).n > 0;
    struct digest now;
    int64_t size;
    bool all = true;
    for (int i = 0; i < RESULTS; i++)
        all = check_result(s, &result[i]) && all;
    all = check_checkpoint(s, STEP) && all;
    AUTO(mem) char *found = store_import_find(s, import);
    if (found)
        assert_string_equal(found, outside);
    assert_true(store_import(s, outside, &now, &size, NULL));
    assert_true(digest_equal(&now, import));
    return all;
}

struct sweep {
    struct file *file, *index;
    struct digest import;
    char *outside;
};

static void one_case(const struct sweep *w, struct file *f, const char *data, size_t n)
{
    set(f, data, n);
    bool told;
    ask(&w->import, w->outside, f->judged, &told);
    if (f->judged && !told)
        fail_msg("%s: verification did not tell", f->path);
    f->cases++;
    f->told += told;
    restore(f);
    restore(w->index); /* it was made better meanwhile */
}

/* What lies in the middle of a long file is like its neighbours. Steps are odd, so that all bits have a turn.
 */
static size_t stride(const struct file *f, size_t i)
{
    return f->n > 1500 && i > 250 && i + 200 < f->n ? 37 : f->step;
}

static void sweep_file(const struct sweep *w, struct file *f)
{
    AUTO(mem) char *bad = xmalloc(f->n + 1);
    for (size_t i = 0; i < f->n; i += stride(f, i)) {
        if (f->sparse && !f->data[i])
            continue;
        memcpy(bad, f->data, f->n);
        bad[i] ^= (char)(1 << i % 8);
        one_case(w, f, bad, f->n);
        if (!f->sparse)
            one_case(w, f, f->data, i);
    }
}

static bool is_below(const char *path, const char *folder)
{
    return strncmp(path, folder, strlen(folder)) == 0;
}

static void read_in(struct file *f, const char *name)
{
    AUTO(mem) char *path = xprintf("%s/store/%s", root, name);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(fs_read_file(path, &f->data, &f->n, NULL));
    f->path = xstrdup(name);
    f->time[0] = st.st_atim;
    f->time[1] = st.st_mtim;
    f->judged = is_below(name, "records/") || is_below(name, "objects/") || is_below(name, "checkpoints/");
    f->sparse = strcmp(name, "verified") == 0;
    f->step = f->judged || f->sparse ? EVERY : 3 * EVERY;
}

static void build(struct sweep *w)
{
    AUTO(mem) char *config = at("store/config");
    store_close(open_store());
    assert_true(fs_write_file(config, "{\"block\": 65536, \"threads\": 1}", 30, NULL));
    AUTO(store) struct store *s = open_store();
    int64_t size;
    for (int i = 0; i < RESULTS; i++)
        put_result(s, &result[i]);
    put_checkpoint(s, STEP);
    w->outside = at("outside");
    assert_true(fs_write_file(w->outside, "outside data", 12, NULL));
    assert_true(store_import(s, w->outside, &w->import, &size, NULL));
}

static void sweep(void **state)
{
    struct sweep w = {0};
    bool told;
    build(&w);
    assert_true(ask(&w.import, w.outside, true, &told) &&
                !told); /* the index is there, and the memo of what was compared */
    AUTO(mem) char *store = at("store");
    char **list;
    size_t n, judged = 0, records = 0;
    assert_true(fs_list_tree(store, &list, &n, NULL));
    w.file = xcalloc(n, sizeof *w.file);
    for (size_t i = 0; i < n; i++) {
        read_in(&w.file[i], list[i]);
        judged += w.file[i].judged;
        if (is_below(list[i], "records/") && records++)
            w.file[i].step = 9; /* the first one goes for all */
        if (strcmp(list[i], "index") == 0)
            w.index = &w.file[i];
    }
    assert_non_null(w.index);
    assert_int_equal(judged, 2 * RESULTS + 1);
    for (size_t i = 0; i < n; i++) {
        struct file *f = &w.file[i];
        if (is_below(f->path, "config") || is_below(f->path, "locks/") || is_below(f->path, "tmp/"))
            continue;
        sweep_file(&w, f);
        print_message("%.30s: %zu cases, %zu told\n", f->path, f->cases, f->told);
        assert_true(f->cases >= 2);
    }
    assert_true(ask(&w.import, w.outside, true, &told) && !told);
    for (size_t i = 0; i < n; i++) {
        free(w.file[i].path);
        free(w.file[i].data);
    }
    free(w.file);
    free(w.outside);
    fs_list_free(list, n);
}

int main(void)
{
    static struct fs_ops ops;
    ops = quick_fs();
    fs = &ops;
    if (!mkdtemp(root))
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(sweep)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < RESULTS; i++)
        free(result[i].content);
    fs_remove_tree(root, NULL);
    return failed;
}
