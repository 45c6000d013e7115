/* weft cache verify: is all that the store holds what it should be? */
#include "base/cleanup.h"
#include "cache/verify.h"
#include "engine/cli/cmd.h"
#include "engine/cli/meter.h"
#include "engine/cli/units.h"
#include <stdio.h>

static const struct opt opts[] = {
    {"repair", 0, OPT_FLAG, NULL, "move what is damaged or foreign to the store's quarantine"},
    OPT_ROW_STORE,
    OPT_ROW_JSON,
    {0}};

struct verifying {
    struct meter meter;
    json_t *findings; /* NULL: they are printed as they come */
};

static void see(void *arg, const struct verify_finding *f)
{
    struct verifying *v = arg;
    meter_hide(&v->meter);
    if (v->findings)
        json_array_append_new(v->findings, json_pack("{s:s, s:s, s:s}", "kind", verify_kind_name(f->kind),
                                                     "path", f->path, "why", f->why));
    else
        printf("%-10s  %s  %s\n", verify_kind_name(f->kind), f->path, f->why);
    fflush(stdout);
}

static void progress(void *arg, int64_t bytes, int64_t of)
{
    struct verifying *v = arg;
    meter_show(&v->meter, bytes, of);
}

static size_t found(const struct verify_report *r)
{
    size_t n = 0;
    for (int k = 0; k <= VERIFY_FOREIGN; k++)
        n += r->findings[k];
    return n;
}

/* "1204 objects (3.1 GiB), 980 records, 4 checkpoints: 2 findings, 2 repaired" */
static void print_summary(const struct verify_report *r, bool repair)
{
    char size[UNITS_MAX];
    size_t n = found(r);
    fprintf(stderr, "%zu object%s (%s), %zu record%s, %zu checkpoint%s: ", r->objects,
            r->objects == 1 ? "" : "s", bytes_text(r->bytes, size), r->records, r->records == 1 ? "" : "s",
            r->checkpoints, r->checkpoints == 1 ? "" : "s");
    if (!n)
        fprintf(stderr, "all is well\n");
    else if (repair)
        fprintf(stderr, "%zu finding%s, %zu moved to quarantine\n", n, n == 1 ? "" : "s", r->repaired);
    else
        fprintf(stderr, "%zu finding%s; --repair moves them to quarantine\n", n, n == 1 ? "" : "s");
}

static int print_report(const struct verify_report *r, json_t *findings)
{
    json_t *counts = json_object();
    for (int k = 0; k <= VERIFY_FOREIGN; k++)
        json_object_set_new(counts, verify_kind_name((enum verify_kind)k),
                            json_integer((json_int_t)r->findings[k]));
    return cmd_print_json(json_pack("{s:I, s:I, s:I, s:I, s:O, s:o, s:I}", "objects", (json_int_t)r->objects,
                                    "bytes", (json_int_t)r->bytes, "records", (json_int_t)r->records,
                                    "checkpoints", (json_int_t)r->checkpoints, "findings", findings, "counts",
                                    counts, "repaired", (json_int_t)r->repaired));
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *s = NULL;
    struct error err = {0};
    struct verify_report report;
    bool json = cmd_opt(a, "json")->set, repair = cmd_opt(a, "repair")->set;
    struct verifying v = {.findings = json ? json_array() : NULL};
    const struct verify_options o = {.repair = repair, .see = see, .progress = progress, .arg = &v};
    meter_init(&v.meter, "verify");
    bool ok = cmd_open_store(a, &s, &err) && store_verify(s, &o, &report, &err);
    meter_done(&v.meter);
    int status = !ok ? cmd_fail(&err) : json ? print_report(&report, v.findings) : 0;
    if (ok && !json)
        print_summary(&report, repair);
    json_decref(v.findings);
    return status || !ok ? status : found(&report) > report.repaired;
}

const struct cmd cmd_cache_verify = {
    .name = "cache verify",
    .group = "The store",
    .doc = "Read all of the store, and say what is damaged, missing or foreign.",
    .details =
        "Every object is compared with its digest and its checksums, every record with its seal, its key and "
        "the objects it names, every checkpoint with its digest; every name in the store must be one that "
        "the "
        "store makes. Findings are printed one a line: kind, path below the store, why. Runs may be at work "
        "meanwhile.\n\n"
        "With --repair what is damaged or foreign is moved to the store's folder quarantine, and so are "
        "records "
        "that miss objects: the next run makes them anew. Nothing is deleted. The exit status is 1 when "
        "something was found that was not repaired.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache verify", "read everything, change nothing"},
                                         {"weft cache verify --repair", "and put damage out of the way"},
                                         {0}},
    .run = run};
