/* model: a CLIP folder (or a unified model's) from outside. Hugging Face's are taken by reference; where the
 * tensors have OpenAI's names, weights and configuration are written anew, so that every model artifact is a
 * Hugging Face folder. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/tokenizer.h"
#include "stages/job/effort.h"
#include "stages/model/clip.h"
#include "stages/stage.h"

struct model_params {
    const char *path;
};
static const struct param params[] = {PARAM(struct model_params, path, .flags = PARAM_REQUIRED | PARAM_IMPORT,
                                            .unit = "folder",
                                            .doc = "Hugging Face CLIP folder: config.json, model.safetensors "
                                                   "(or shards and their index), tokenizer files; "
                                                   "tensors may have OpenAI's names",
                                            .source = "REFERENCE 2, 3"),
                                      {0}};
static const struct port outputs[] = {
    {.name = "model", .type = ARTIFACT_MODEL, .doc = "the folder's files, by reference"}, {0}};
static const struct port inputs[] = {{0}};

/* The files that belong to a model, by the last part of their name; weights end in .safetensors. */
static const char *const names[] = {"config.json",
                                    "tokenizer.json",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "vocab.json",
                                    "merges.txt",
                                    "bpe_simple_vocab_16e6.txt.gz",
                                    "preprocessor_config.json",
                                    "adapter_config.json",
                                    NULL};
static bool belongs(const char *rel, bool rewritten)
{
    const char *slash = strrchr(rel, '/'), *name = slash ? slash + 1 : rel;
    if (slash && strncmp(rel, "expert_", 7)) /* folders: only a unified model's experts */
        return false;
    if (rewritten && (clip_weights_file(name) || !strcmp(name, "config.json")))
        return false;
    for (int i = 0; names[i]; i++)
        if (!strcmp(name, names[i]))
            return true;
    return clip_weights_file(name);
}
static bool link_file(const char *from_dir, const char *rel, const char *to_dir, struct error *err)
{
    AUTO(mem) char *from = xprintf("%s/%s", from_dir, rel);
    AUTO(mem) char *to = xprintf("%s/%s", to_dir, rel);
    AUTO(mem) char *real = realpath(from, NULL);
    if (!real)
        return error_errno(err, "cannot read '%s'", from);
    char *slash = strrchr(to, '/');
    *slash = 0;
    if (!fs_mkdirs(to, err))
        return false;
    *slash = '/';
    return fs->symlink(real, to) == 0 || error_errno(err, "cannot link '%s'", to);
}
static bool link_all(const char *from, const char *to, bool rewritten, struct error *err)
{
    char **list;
    size_t n;
    bool ok = true;
    if (!fs_list_tree(from, &list, &n, err))
        return false;
    for (size_t i = 0; ok && i < n; i++)
        if (belongs(list[i], rewritten))
            ok = link_file(from, list[i], to, err);
    fs_list_free(list, n);
    return ok;
}
/* Weights and configuration in Hugging Face's names, with what its image processor reads where it is not
 * there. */
static bool rewrite(const struct clip *m, const char *from, const char *to, struct error *err)
{
    AUTO(mem) char *images = xprintf("%s/preprocessor_config.json", from);
    return clip_save_stored(m, to, err) && (fs_exists(images) || clip_save_preprocessor(m, to, err));
}
static bool run(struct stage_context *ctx, struct error *err)
{
    const struct model_params *p = ctx->params;
    AUTO(clip) struct clip *m = NULL;
    AUTO(tokenizer) struct tokenizer *t = NULL;
    struct error text = {0};
    if (!clip_inspect(p->path, &m, err))
        return false;
    if (!tokenizer_open(p->path, &t, &text))
        stage_warn(ctx, "stages that encode class texts will fail with this model: %s", text.text);
    else if (tokenizer_vocab(t) > m->config.vocab)
        return error_set(err, NULL, ERROR_INPUT,
                         "model '%s': the tokenizer has %lld tokens, the text tower only %lld embeddings",
                         p->path, (long long)tokenizer_vocab(t), (long long)m->config.vocab);
    bool rewritten = clip_has_other_names(m);
    if (rewritten && !rewrite(m, p->path, ctx->outputs[0], err))
        return false;
    stage_progress(ctx, 1, 1, "model");
    return link_all(p->path, ctx->outputs[0], rewritten, err);
}
/* By its shape where the folder is there to be looked at, else by its size. */
static double forward_of(const struct model_params *p, const struct cost_input *in)
{
    AUTO(clip) struct clip *m = NULL;
    struct error unread = {0}; /* said when it runs */
    return p->path && clip_inspect(p->path, &m, &unread) ? effort_forward(&m->config)
                                                         : effort_of_bytes((double)in->bytes);
}
static void cost(const void *params_, const struct cost_input *in, struct cost *ret)
{
    ret->bytes = in->bytes;
    ret->peak = cost_count(COST_WORKER + (double)in->bytes / 8); /* its files are mapped, and hardly read */
    ret->makes = (struct cost_output){.bytes = in->bytes, .forward = forward_of(params_, in)};
}
const struct stage stage_model = {
    .name = "model",
    .version = 2,
    .doc = "A CLIP model from a Hugging Face folder, checked and taken by reference; one with OpenAI's "
           "names is written anew with Hugging Face's.",
    .params = params,
    .params_size = sizeof(struct model_params),
    .inputs = inputs,
    .outputs = outputs,
    .cost = cost,
    .run = run};
