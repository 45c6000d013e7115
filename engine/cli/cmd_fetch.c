/* weft fetch: outside data by URL, before a run needs it. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/origin.h"
#include "engine/cli/cmd.h"
#include "engine/cli/fetching.h"
#include "engine/exec/fetched.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {
    OPT_ROW_SET,
    OPT_ROW_VARS,
    OPT_ROW_STORE,
    OPT_ROW_SWEEP,
    {"update", 'u', OPT_FLAG, NULL, "ask which commit a branch of the hub is at now, and fetch that"},
    {"verify", 0, OPT_FLAG, NULL, "read again what was fetched; what is not as it was is fetched anew"},
    {"quiet", 'q', OPT_FLAG, NULL, "print failures only"},
    OPT_ROW_JSON,
    {0}};

struct errand {
    const struct cmd_args *args;
    struct fetching *fetching;
    struct fetch_options options;
    json_t *list; /* for --json */
};

static void tell(struct errand *e, const char *url, const struct fetch_result *r)
{
    if (cmd_opt(e->args, "json")->set) {
        json_array_append_new(e->list, json_pack("{s:s, s:s, s:s, s:i, s:I, s:i, s:I}", "url", url, "pinned",
                                                 r->pinned, "path", r->path, "files", r->files, "bytes",
                                                 (json_int_t)r->bytes, "fetched", r->fetched, "fetched_bytes",
                                                 (json_int_t)r->fetched_bytes));
        return;
    }
    printf("%s\n", r->path);
    struct origin o;
    bool parsed = origin_parse(url, &o, NULL);
    if (parsed && o.kind == ORIGIN_FILE && !o.has_digest)
        fprintf(stderr, "in an experiment: path: \"%s\"\n", r->pinned);
    origin_done(&o);
}

static int fetch_one(struct errand *e, const char *url, const struct pos *pos)
{
    struct fetch_result r;
    struct error err = {0};
    bool ok = fetching_one(e->fetching, url, e->options, &r, &err);
    if (ok)
        tell(e, url, &r);
    fetch_result_done(&r);
    if (!ok && pos)
        error_at(&err, pos);
    return ok ? 0 : cmd_fail(&err);
}

static int fetch_experiment(struct errand *e, const char *path)
{
    struct spec *s;
    AUTO(mem) struct fetched_url *url = NULL;
    int status = cmd_read_spec(e->args, path, &s);
    if (status)
        return status;
    size_t n = fetched_urls(s, NULL, &url);
    for (size_t i = 0; status == 0 && i < n; i++)
        status = fetch_one(e, url[i].url, &url[i].pos);
    if (!n && !cmd_opt(e->args, "quiet")->set)
        fprintf(stderr, "%s: no URL among its data\n", path);
    spec_free(s);
    return status;
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *store = NULL;
    struct error err = {0};
    if (!cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    struct errand e = {.args = a,
                       .fetching = fetching_new(store, cmd_opt(a, "quiet")->set),
                       .options = {.update = cmd_opt(a, "update")->set, .verify = cmd_opt(a, "verify")->set},
                       .list = json_array()};
    int status = 0;
    for (int i = 0; status == 0 && i < a->n; i++)
        status = origin_is_url(a->arg[i]) ? fetch_one(&e, a->arg[i], NULL) : fetch_experiment(&e, a->arg[i]);
    fetching_free(e.fetching);
    if (cmd_opt(a, "json")->set) {
        int printed = cmd_print_json(json_pack("{s:o}", "fetched", e.list));
        return status ? status : printed;
    }
    json_decref(e.list);
    return status;
}

const struct cmd cmd_fetch = {
    .name = "fetch",
    .group = "Run experiments",
    .doc = "Fetch outside data by URL into the store; weft run does so by itself.",
    .details =
        "A source is a URL, or an experiment, of which all URLs are fetched:\n\n"
        "  hf://[datasets/]OWNER/NAME[@REVISION][/FILE]   a Hugging Face hub repository, or one file\n"
        "  https://HOST/PATH#sha256=HEX                   a file\n\n"
        "A file's URL may come without the digest here: it is fetched, and the URL to write into an "
        "experiment is printed. The local path goes to standard output. What was fetched stays; a branch "
        "stands for the commit it was at then, until --update. HF_TOKEN is for repositories that not "
        "everybody may read. docs/fetching.md has more.",
    .args =
        (const struct arg[]){{.name = "SOURCE", .doc = "a URL, or an experiment's YAML file", .many = true},
                             {0}},
    .opts = opts,
    .examples =
        (const struct example[]){
            {"weft fetch hf://openai/clip-vit-base-patch32", "a model, all files of it"},
            {"weft fetch exp.yaml --update", "all that the experiment names, branches as they are now"},
            {"weft fetch https://example.org/flowers.tar", "what is its digest?"},
            {0}},
    .run = run};
