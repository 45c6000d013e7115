/* weft cache export: results as one file, for another store. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "cache/bundle.h"
#include "cache/entries.h"
#include "engine/cli/cmd.h"
#include "engine/cli/keylabels.h"
#include "engine/cli/meter.h"
#include "engine/cli/resultname.h"
#include "engine/cli/units.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {{"private", 0, OPT_FLAG, NULL, "also what carries a client's private data"},
                                  OPT_ROW_STORE,
                                  OPT_ROW_JSON,
                                  {0}};

struct export
{
    struct store *store;
    struct arena arena;
    struct digest *key; /* that are wanted, then those that may go */
    size_t n, cap;
    size_t private, unknown; /* that stay for their labels */
    struct meter meter;
    struct bundle_report report;
};

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* All keys of the store, or those of the runs and tasks that are named; sorted, each once. */
static bool find_keys(struct export *x, const struct cmd_args *a, struct error *err)
{
    if (a->n == 1 && !store_keys(x->store, &x->key, &x->n, err))
        return false;
    for (int i = 1; i < a->n; i++) {
        struct resultname r;
        if (!resultname_find(x->store, a->arg[i], &x->arena, &r, err))
            return false;
        x->key = xgrow(x->key, &x->cap, x->n + r.n + 1, sizeof *x->key);
        for (size_t k = 0; k < r.n; k++)
            x->key[x->n++] = r.key[k];
    }
    if (x->n)
        qsort(x->key, x->n, sizeof *x->key, by_key);
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++)
        if (!n || !digest_equal(&x->key[n - 1], &x->key[i]))
            x->key[n++] = x->key[i];
    x->n = n;
    return true;
}

/* Only what surely carries no label: what leaves the store carries none any more. */
static bool drop_private(struct export *x, struct error *err)
{
    struct keylabels labels;
    size_t n = 0;
    if (!keylabels_read(x->store, &labels, err))
        return false;
    for (size_t i = 0; i < x->n; i++) {
        enum keylabel l = keylabel_of(&labels, &x->key[i]);
        x->private += l == KEYLABEL_PRIVATE;
        x->unknown += l == KEYLABEL_UNKNOWN;
        if (l == KEYLABEL_PUBLIC)
            x->key[n++] = x->key[i];
    }
    x->n = n;
    keylabels_done(&labels);
    return true;
}

static void progress(void *arg, int64_t bytes, int64_t of)
{
    struct export *x = arg;
    meter_show(&x->meter, bytes, of);
}

static bool write_to(struct export *x, int fd, const char *path, struct error *err)
{
    const struct bundle_watch w = {progress, x};
    meter_init(&x->meter, "export");
    bool ok = bundle_write(x->store, x->key, x->n, &(struct frame_file){fd, path}, &w, &x->report, err);
    meter_done(&x->meter);
    return ok;
}

/* All of it appears at once under its name. */
static bool write_file(struct export *x, const char *path, struct error *err)
{
    AUTO(mem) char *temp = xprintf("%s.weft-%ld", path, (long)getpid());
    int fd = fs_open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return error_errno(err, "cannot create '%s'", temp);
    bool ok = write_to(x, fd, temp, err);
    ok = ok && (fs_sync(fd) == 0 || error_errno(err, "cannot sync '%s'", temp));
    ok = (fs_close(fd) == 0 || (ok && error_errno(err, "cannot close '%s'", temp))) && ok;
    ok = ok && (fs->rename(temp, path) == 0 || error_errno(err, "cannot rename to '%s'", path));
    if (!ok)
        fs->unlink(temp);
    return ok;
}

static bool export(struct export *x, const struct cmd_args *a, struct error *err)
{
    bool to_stdout = strcmp(a->arg[0], "-") == 0;
    if (to_stdout && isatty(STDOUT_FILENO))
        return error_set(err, NULL, ERROR_INPUT,
                         "a bundle is nothing for a terminal: name a file, or redirect");
    if (to_stdout && cmd_opt(a, "json")->set)
        return error_set(err, NULL, ERROR_INPUT,
                         "--json and the bundle would both go to stdout: name a file");
    if (!cmd_open_store(a, &x->store, err) || !find_keys(x, a, err) ||
        (!cmd_opt(a, "private")->set && !drop_private(x, err)))
        return false;
    return to_stdout ? write_to(x, STDOUT_FILENO, "stdout", err) : write_file(x, a->arg[0], err);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_summary(const struct export *x)
{
    const struct bundle_report *r = &x->report;
    char size[UNITS_MAX];
    fprintf(stderr, "%zu record%s with %zu object%s, %s\n", r->records, plural(r->records), r->objects,
            plural(r->objects), bytes_text(r->bytes, size));
    if (r->references)
        fprintf(stderr, "%zu of them take outside data by reference, which is not in the bundle\n",
                r->references);
    if (r->left_out)
        fprintf(stderr, "%zu left out: what they name is missing or damaged\n", r->left_out);
    if (x->private)
        fprintf(stderr, "%zu left out: they carry private data; --private takes them too\n", x->private);
    if (x->unknown)
        fprintf(stderr,
                "%zu left out: no run's log says that they carry no private data; --private takes them too\n",
                x->unknown);
}

static json_t *summary_json(const struct export *x)
{
    const struct bundle_report *r = &x->report;
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "records", (json_int_t)r->records, "objects",
                     (json_int_t)r->objects, "bytes", (json_int_t)r->bytes, "references",
                     (json_int_t)r->references, "incomplete", (json_int_t)r->left_out, "private",
                     (json_int_t)x->private, "unknown", (json_int_t)x->unknown);
}

static int run(const struct cmd_args *a)
{
    struct export x = {0};
    struct error err = {0};
    arena_init(&x.arena);
    bool ok = export(&x, a, &err) || error_context(&err, "cache export");
    int status = ok ? 0 : cmd_fail(&err);
    if (ok && cmd_opt(a, "json")->set)
        status = cmd_print_json(summary_json(&x));
    else if (ok)
        print_summary(&x);
    store_close(x.store);
    free(x.key);
    arena_done(&x.arena);
    return status;
}

const struct cmd cmd_cache_export = {
    .name = "cache export",
    .group = "The store",
    .doc = "Write results to one file that another store can import.",
    .details =
        "The file is a tar with the records and the objects they need, packed as they are. Without RESULT: "
        "all "
        "of the store. Records that miss objects are left out, and so is what carries private data, or of "
        "which no run's log says that it does not, unless --private is given. Outside data that was taken by "
        "reference is not in the file; a record that needs some is a hit where the same data is found.",
    .args =
        (const struct arg[]){
            {.name = "FILE", .doc = "the file to write; - is stdout"},
            {.name = "RESULT",
             .doc = "a run (its id, the beginning of one, or last), or a task of the newest runs",
             .optional = true,
             .many = true},
            {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache export results.tar last", "all of the newest run"},
                                         {"weft cache export - unified | ssh host weft cache import -",
                                          "one result to another machine"},
                                         {0}},
    .run = run};
