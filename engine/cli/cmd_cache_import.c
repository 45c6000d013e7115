/* weft cache import: results of another store, from one file. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "cache/bundle.h"
#include "engine/cli/cmd.h"
#include "engine/cli/meter.h"
#include "engine/cli/units.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {OPT_ROW_STORE, OPT_ROW_JSON, {0}};

static void progress(void *arg, int64_t bytes, int64_t of)
{
    meter_show(arg, bytes, of);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_summary(const struct bundle_report *r)
{
    char size[UNITS_MAX];
    fprintf(stderr, "%zu record%s and %zu object%s (%s) came in, %zu record%s were here\n", r->records,
            plural(r->records), r->objects, plural(r->objects), bytes_text(r->bytes, size), r->known,
            plural(r->known));
    if (r->references)
        fprintf(stderr, "%zu of them take outside data by reference: they are hits where it is found here\n",
                r->references);
}

static json_t *summary_json(const struct bundle_report *r, bool ok)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "records", (json_int_t)r->records, "objects",
                     (json_int_t)r->objects, "bytes", (json_int_t)r->bytes, "known", (json_int_t)r->known,
                     "references", (json_int_t)r->references, "whole", ok);
}

static bool open_bundle(const char *path, int *ret, struct error *err)
{
    *ret = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : fs_open(path, O_RDONLY, 0);
    return *ret >= 0 || error_errno(err, "cannot open '%s'", path);
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *s = NULL;
    AUTO(fd) int fd = -1;
    struct error err = {0};
    struct bundle_report r;
    struct meter meter;
    const char *path = a->arg[0];
    if (!open_bundle(path, &fd, &err) || !cmd_open_store(a, &s, &err))
        return cmd_fail(&err);
    const struct bundle_watch w = {progress, &meter};
    meter_init(&meter, "import");
    bool ok = bundle_read(s, &(struct frame_file){fd, strcmp(path, "-") == 0 ? "stdin" : path}, &w, &r, &err);
    meter_done(&meter);
    int status = ok ? 0 : cmd_fail(&err);
    if (!cmd_opt(a, "json")->set)
        print_summary(&r);
    else if (cmd_print_json(summary_json(&r, ok)) != 0)
        return 1;
    return status;
}

const struct cmd cmd_cache_import = {
    .name = "cache import",
    .group = "The store",
    .doc = "Take in what 'weft cache export' wrote.",
    .details =
        "Every object is compared with its digest before it is kept, and a record comes in behind its "
        "objects; "
        "what is here already stays. Of a file that is damaged or cut short everything comes in that is "
        "whole, "
        "an error names what did not, and the exit status is 2. A bundle says what a task produced, and is "
        "believed: import from those whose results you would use.",
    .args = (const struct arg[]){{.name = "FILE", .doc = "the bundle; - is stdin"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache import results.tar", "into the store"}, {0}},
    .run = run};
