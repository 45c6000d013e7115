/* A stage whose outputs change for equal inputs has to raise its version, or old results would be taken for
 * new ones: every stage runs on small inputs, and its outputs are compared with the fingerprints in
 * stage_versions.json. `test_stage_versions --update` renews those of stages that have a new version, and of
 * runs that are new here. */
#include "tests/golden/fingerprint_same.h"
#include "tests/unit/image_make.h"
#include "tests/unit/stage_run.h"

#define KEPT "tests/golden/stage_versions.json"

/* In params ' stands for ", and '@x' for the folder of an output, or @photos. Inputs: "PORT=RUN.OUTPUT", and
 * "PORT=RUN.OUTPUT+ALSO" where the port takes a second artifact. */
static const struct golden_run {
    const char *name, *stage, *params, *inputs;
} runs[] = {
    {"public", "synthetic", "{'domain': 'public', 'per_class': 2, 'size': 16}", ""},
    {"stripes", "synthetic", "{'domain': 'stripes', 'per_class': 3, 'size': 16}", ""},
    {"blobs", "synthetic",
     "{'domain': 'blobs', 'split': 'test', 'classes': 4, 'per_class': 3, 'size': 16, 'seed': 5}", ""},
    {"rings", "synthetic", "{'domain': 'rings', 'per_class': 2, 'size': 24}", ""},
    {"photos", "images", "{'path': '@photos'}", ""},
    {"some", "images", "{'path': '@photos', 'limit': 1, 'classes': 'dog'}", ""},
    {"seed", "pretrain",
     "{'image_size': 16, 'patch': 8, 'width': 32, 'layers': 2, 'heads': 2, 'epochs': 2, 'batch': 16, "
     "'embed': 16, "
     "'text_width': 32, 'text_heads': 2}",
     "public=public.images"},
    {"hub", "model", "{'path': '@seed.model'}", ""},
    {"features", "embedding", "{}", "model=seed.model data=public.images"},
    {"embedded", "embedding", "{'features': 'projected', 'normalise': true, 'batch': 7}",
     "model=hub.model data=photos.images"},
    {"relevance", "classifier", "{'epochs': 2, 'batch': 16}",
     "model=seed.model public=features.features private=stripes.images"},
    {"softmax", "classifier",
     "{'loss': 'softmax', 'optimizer': 'adamw', 'standardise': true, 'negatives': 20}",
     "model=seed.model public=features.features private=blobs.images"},
    {"proxy", "dpp", "{'pool': 30, 'size': 6}", "features=features.features relevance=relevance.relevance"},
    {"similar", "dpp", "{'pool': 30, 'size': 6, 'method': 'similarity'}",
     "features=features.features relevance=softmax.relevance"},
    {"random", "dpp", "{'pool': 30, 'size': 6, 'method': 'random', 'seed': 3}",
     "features=features.features relevance=relevance.relevance"},
    {"expert0", "expert", "{'rank': 4, 'alpha': 8, 'epochs': 1, 'batch': 8}",
     "model=seed.model private=stripes.images public=public.images proxy=proxy.selection"},
    {"expert1", "expert",
     "{'rank': 4, 'alpha': 8, 'epochs': 1, 'batch': 8, 'labels': 'private', 'e_data': 'private'}",
     "model=seed.model private=blobs.images public=public.images proxy=similar.selection"},
    {"proxies", "expert", "{'rank': 4, 'alpha': 8, 'epochs': 1, 'batch': 8}",
     "model=seed.model public=public.images proxy=proxy.selection proxy=similar.selection"},
    {"unified", "merge", "{'lambda': 0.5}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router"},
    {"drawn", "merge", "{'init': 'random', 'seed': 4, 'gate': 'renorm', 'top_k': 2}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router"},
    {"soup", "merge", "{'method': 'soup'}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router"},
    {"ties", "merge", "{'method': 'ties', 'trim': 'model', 'density': 0.3}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router"},
    {"dare", "merge", "{'method': 'dare_ties', 'seed': 2, 'drop': 0.5}",
     "model=seed.model models=soup.model models=ties.model"},
    {"local", "comigs",
     "{'rank': 2, 'alpha': 4, 'batch': 8, 'steps': 2, 'router_every': 1, 'router_steps': 1}",
     "model=seed.model private=stripes.images"},
    {"mean", "average", "{}", "adapters=local.generalist adapters=local.generalist"},
    {"again", "comigs", "{'rank': 2, 'alpha': 4, 'batch': 8, 'steps': 1}",
     "model=seed.model private=stripes.images state=local.model generalist=mean.adapter"},
    {"drawn1", "merge", "{'init': 'random', 'seed': 5, 'context': 'causal'}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router"},
    {"router", "router", "{'epochs': 1, 'batch': 8}",
     "model=unified.model public=public.images proxies=proxy.selection proxies=random.selection"},
    {"mixed", "merge",
     "{'gate': 'smear', 'context': 'patches', 'seed_expert': 'competes', 'vectors': 'cosine', "
     "'negative_bias': true}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router"},
    {"shared", "merge", "{'seed_expert': 'rest', 'kinds': 'separate', 'context': 'class'}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router"},
    {"smeared", "router", "{'epochs': 1, 'batch': 8, 'z_loss': 0.1, 'domain_loss': 0.5, 'order': 'given'}",
     "model=mixed.model public=public.images proxies=proxy.selection proxies=random.selection"},
    {"balanced", "router", "{'epochs': 1, 'batch': 8, 'balance_loss': 0.5, 'balance_rate': 0.01}",
     "model=drawn1.model public=public.images proxies=proxy.selection"},
    {"pooled", "router", "{'epochs': 1, 'batch': 8, 'private_rows': 5, 'seed': 3}",
     "model=unified.model private=stripes.images private=blobs.images"},
    {"score", "evaluate", "{'system': 'unified', 'domain': 'stripes'}",
     "model=router.model data=stripes.images"},
    {"alone", "evaluate", "{'system': 'alone', 'domain': 'stripes'}",
     "model=seed.model adapter=expert0.adapter data=stripes.images"},
    {"all", "ensemble", "{'system': 'BTM', 'domain': 'stripes', 'weights': 'posterior'}",
     "model=seed.model experts=expert0.adapter+router experts=expert1.adapter+router data=stripes.images"},
    {"labelled", "pseudolabel", "{'count': 4, 'batch': 3}",
     "model=seed.model adapter=expert0.adapter data=public.images selection=random.selection "
     "except=proxy.selection classes=stripes.images"},
    {"own", "embedding", "{}", "model=seed.model data=stripes.images"},
    {"routes", "routing", "{'experts': 'stripes, blobs'}", "scores=score.metrics scores=alone.metrics"},
    {"diagnosis", "diagnose", "{'domain': 'stripes'}",
     "features=features.features relevance=relevance.relevance selection=proxy.selection "
     "private=own.features"},
    {"plane", "map", "{'method': 'pca', 'pool': 30, 'candidates': 12, 'private': 8}",
     "features=features.features relevance=relevance.relevance selections=proxy.selection "
     "selections=random.selection private=own.features"},
    {"sheet", "contact", "{'columns': 4, 'cell': 16}", "selection=proxy.selection data=public.images"},
    {"table", "table", "{'title': 'Both'}", "scores=score.metrics scores=alone.metrics"},
    {"counts", "compare", "{'against': 'unified'}",
     "predictions=score.predictions predictions=alone.predictions"},
    {"paired", "table",
     "{'against': 'unified', 'rows': 'alone=Alone, unified=All', 'cells': 'interval', 'draws': 200}",
     "scores=score.metrics scores=alone.metrics scores=counts.counts"},
};
#define RUNS (sizeof runs / sizeof *runs)

static struct stage_run done[RUNS];
static char *photos;

static int find_run(const char *name, size_t n)
{
    for (size_t i = 0; i < RUNS; i++)
        if (strlen(runs[i].name) == n && strncmp(runs[i].name, name, n) == 0)
            return (int)i;
    fprintf(stderr, "there is no run '%s'\n", name);
    abort();
}

/* The folder of "RUN.OUTPUT", or the photos. */
static const char *folder_of(struct arena *a, const char *ref)
{
    if (strcmp(ref, "photos") == 0)
        return photos;
    size_t n = strcspn(ref, ".");
    return arena_printf(a, "%s/out.%s", done[find_run(ref, n)].dir, ref + n + 1);
}

/* What a link in an output means: "seed.model/config.json". */
static char *name_of(const char *real)
{
    size_t n = strlen(photos);
    if (strncmp(real, photos, n) == 0)
        return xprintf("photos%s", real + n);
    for (size_t i = 0; i < RUNS; i++) {
        n = strlen(done[i].dir);
        if (done[i].dir[0] && strncmp(real, done[i].dir, n) == 0 && strncmp(real + n, "/out.", 5) == 0)
            return xprintf("%s.%s", runs[i].name, real + n + 5);
    }
    return NULL;
}

/* ---- running ---- */

static void set_params(struct stage_run *r, const char *params)
{
    char *text = arena_strdup(&r->arena, params);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    AUTO_JSON all = json_loads(text, 0, NULL);
    const char *key;
    json_t *value;
    json_object_foreach(all, key, value)
    {
        const char *s = json_string_value(value);
        AUTO_JSON path = s && *s == '@' ? json_string(folder_of(&r->arena, s + 1)) : json_incref(value);
        AUTO(mem) char *given = json_dumps(path, JSON_ENCODE_ANY);
        stage_run_set(r, key, given);
    }
}

static void connect_all(struct stage_run *r, const char *inputs)
{
    char *rest = arena_strdup(&r->arena, inputs), *one;
    while ((one = strsep(&rest, " "))) {
        char *ref = one, *port = strsep(&ref, "="), *also = ref;
        if (!ref)
            return;
        ref = strsep(&also, "+");
        stage_run_connect(r, port, folder_of(&r->arena, ref));
        struct stage_inputs *in = &r->inputs[stage_port_index(r->ctx.stage->inputs, port)];
        if (also)
            in->item[in->n - 1].also_dir =
                arena_printf(&r->arena, "%s/out.%s", done[find_run(ref, strcspn(ref, "."))].dir, also);
    }
}

/* {"output/file": fingerprint}; NULL after a message. */
static json_t *run(size_t i)
{
    struct stage_run *r = &done[i];
    const struct stage *s = stage_find(runs[i].stage);
    json_t *files = json_object();
    stage_run_begin(r, s);
    set_params(r, runs[i].params);
    connect_all(r, runs[i].inputs);
    bool ok = (!s->check || s->check(r->params, &r->err)) && stage_run_go(r);
    for (int p = 0; ok && p < stage_port_count(s->outputs); p++) {
        char **list;
        size_t n;
        if (!(ok = fs_list_tree(r->outputs[p], &list, &n, &r->err)))
            break;
        for (size_t k = 0; ok && k < n; k++) {
            AUTO(mem) char *path = xprintf("%s/%s", r->outputs[p], list[k]);
            AUTO(mem) char *name = xprintf("%s/%s", s->outputs[p].name, list[k]);
            json_t *print = fingerprint_file(path, name_of, &r->err);
            ok = print && json_object_set_new(files, name, print) == 0;
        }
        fs_list_free(list, n);
    }
    if (!ok)
        fprintf(stderr, "stage '%s', run '%s': %s\n", s->name, runs[i].name, r->err.text);
    return ok ? files : (json_decref(files), NULL);
}

/* ---- comparing ---- */

/* The first file that differs, NULL when none does. */
static const char *difference(const json_t *kept, const json_t *now)
{
    const char *file;
    json_t *print;
    json_object_foreach((json_t *)now, file, print)
    {
        const json_t *old = json_object_get(kept, file);
        if (!old || !fingerprint_same(old, print))
            return file;
    }
    json_object_foreach((json_t *)kept, file, print) if (!json_object_get(now, file)) return file;
    return NULL;
}

/* Does the run use one whose outputs are not as they were? Then its own say nothing of its stage. */
static bool uses_changed(size_t i, const bool *changed)
{
    AUTO(mem) char *text = xprintf(" %s %s", runs[i].inputs, runs[i].params);
    for (size_t k = 0; k < i; k++) {
        AUTO(mem) char *input = xprintf("=%s.", runs[k].name), *path = xprintf("@%s.", runs[k].name);
        if (changed[k] && (strstr(text, input) || strstr(text, path)))
            return true;
    }
    return false;
}

static bool is_same_run(const json_t *kept, size_t i)
{
    return kept && strcmp(json_string_or(kept, "params", ""), runs[i].params) == 0 &&
           strcmp(json_string_or(kept, "inputs", ""), runs[i].inputs) == 0;
}

/* Compare run i with what is kept; false after a message. *changed: what it makes is not what it was. */
static bool compare(size_t i, const json_t *kept, const json_t *files, bool update, bool *changed)
{
    const struct stage *s = stage_find(runs[i].stage);
    int64_t version = json_int_or(kept, "version", 0);
    const char *file = difference(json_object_get(kept, "files"), files);
    bool fed = uses_changed(i, changed);
    changed[i] = file || fed; /* the files of a run that only refers to others do not show it */
    if (!is_same_run(kept, i))
        return update || (fprintf(stderr, "run '%s' is new or changed: renew its fingerprint with --update\n",
                                  runs[i].name),
                          false);
    if (version != s->version)
        return update || (fprintf(stderr,
                                  "stage '%s' has version %d, its fingerprint '%s' is of version %lld: renew "
                                  "it with --update\n",
                                  s->name, s->version, runs[i].name, (long long)version),
                          false);
    if (file && fed) {
        printf("%s: %s differs, and so do its inputs\n", runs[i].name, file);
        return true;
    }
    if (file)
        fprintf(stderr,
                "stage '%s': %s differs but version is still %d: raise .version or undo (run '%s'; %s)\n",
                s->name, file, s->version, runs[i].name, fingerprint_where);
    return !file;
}

static json_t *row(size_t i, json_t *files)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:o}", "stage", runs[i].stage, "version",
                     stage_find(runs[i].stage)->version, "params", runs[i].params, "inputs", runs[i].inputs,
                     "files", files);
}

static bool all_covered(void)
{
    bool ok = true;
    for (const struct stage *const *s = stage_registry; *s; s++) {
        bool found =
            stage_port_count((*s)->outputs) == 0; /* declared where it is used: a user's own program */
        for (size_t i = 0; i < RUNS; i++)
            found = found || strcmp(runs[i].stage, (*s)->name) == 0;
        if (!found)
            fprintf(stderr, "stage '%s' has no golden run: add one to %s\n", (*s)->name, __FILE__);
        ok = ok && found;
    }
    return ok;
}

static void make_photos(void)
{
    static const char *const name[] = {"train/cat/a.png", "train/cat/b.png", "train/dog/c.png",
                                       "train/dog/d.png"};
    photos = make_folder();
    for (int i = 0; i < 4; i++) {
        size_t n;
        AUTO(mem) uint8_t *png = make_png(20 + i, 18, i, &n);
        make_file(photos, name[i], png, n);
    }
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0, ok = all_covered(), changed[RUNS] = {false};
    struct error err = {0};
    AUTO_JSON kept = json_read(KEPT, &err);
    AUTO_JSON now = json_object();
    if (!kept && !update) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    make_photos();
    for (size_t i = 0; i < RUNS; i++) {
        json_t *files = run(i);
        ok = files && compare(i, json_object_get(kept, runs[i].name), files, update, changed) && ok;
        if (!files)
            break;
        json_object_set_new(now, runs[i].name, row(i, files));
    }
    if (ok && update && !(ok = json_write(KEPT, now, &err)))
        fprintf(stderr, "%s\n", err.text);
    for (size_t i = 0; i < RUNS; i++)
        if (done[i].dir[0])
            stage_run_end(&done[i]);
    fs_remove_tree(photos, NULL);
    free(photos);
    return ok ? 0 : 1;
}
