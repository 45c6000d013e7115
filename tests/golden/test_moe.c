/* Mixtures of LoRA experts over the CLIP vision tower against stored cases. Every variant of case.json: the
 * forward records and the gradients of the first step, the losses of all steps, and how far each weight
 * moved. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/model/unified.h"
#include "stages/tensor/optim.h"
#include "tests/golden/oracle.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct variant {
    struct oracle_case *c;
    struct clip *m;
    const char *name;
    const json_t *json;
    struct optim *optim; /* NULL: forward and gradients only */
    double lr, lambda_scale;
    const float *pixels, *text;
    const int64_t *label;
    int64_t batch, classes, image; /* image: floats of one */
    float scale;
    json_t *start; /* name -> address of the initial values */
};
static const char *named(struct variant *v, const char *what, const char *of)
{
    return arena_printf(&v->c->arena, "%s.%s%s", v->name, what, of);
}

/* ---- settings, from the variant's words ---- */
/* The number behind `word` in a description like "SGD lr 0.01 momentum 0.9". */
static double number_after(const char *text, const char *word, double def)
{
    const char *at = text ? strstr(text, word) : NULL;
    return at ? strtod(at + strlen(word), NULL) : def;
}
/* "betas 0.9/0.999" */
static void read_betas(const char *text, struct optim_config *o)
{
    const char *at = strstr(text, "betas "), *slash = at ? strchr(at, '/') : NULL;
    if (!slash)
        return;
    o->beta1 = strtod(at + strlen("betas "), NULL);
    o->beta2 = strtod(slash + 1, NULL);
}
/* "as sgd, but ...": the settings of the first variant that spells them out. */
static const char *base_optimizer(const json_t *variants, const char *text)
{
    const char *key;
    json_t *v;
    if (strncmp(text, "as ", 3) != 0)
        return text;
    json_object_foreach((json_t *)variants, key, v)
    {
        const char *other = json_string_or(v, "optimizer", "");
        if (!strncasecmp(other, text + 3, strcspn(text + 3, " ,")))
            return other;
    }
    return text;
}
static void read_optimizer(struct variant *v)
{
    const char *text = json_string_or(v->json, "optimizer", NULL);
    if (!text)
        return;
    const char *base = base_optimizer(json_object_get(v->c->json, "variants"), text),
               *own = strstr(text, "lambdas");
    struct optim_config o = {.kind = strncasecmp(base, "sgd", 3) ? OPTIM_ADAMW : OPTIM_SGD,
                             .lr = number_after(base, "lr ", 0),
                             .weight_decay = number_after(base, "weight_decay ", 0),
                             .momentum = number_after(base, "momentum ", 0),
                             .nesterov = strstr(base, "nesterov") != NULL,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .eps = number_after(base, "eps ", 1e-8)};
    read_betas(base, &o);
    if ((o.kind == OPTIM_ADAMW && strncasecmp(base, "adamw", 5)) || !(o.lr > 0))
        oracle_fail(v->c, "variant '%s': cannot read the optimizer '%s'", v->name, text);
    v->lr = o.lr;
    v->lambda_scale = number_after(own, " lr ", o.lr) / o.lr;
    v->optim = optim_new(&o, &v->c->arena);
}
static bool says(const json_t *variant, const char *words)
{
    return strstr(json_string_or(variant, "what", ""), words) != NULL;
}
/* The context comes from the base model: said by the variant, or by the one whose context it says to have. */
static bool seed_context(const struct variant *v)
{
    const char *what = json_string_or(v->json, "what", ""), *of = strstr(what, "context of "), *name;
    json_t *other;
    if (says(v->json, "separate pass"))
        return true;
    json_object_foreach(json_object_get(v->c->json, "variants"), name, other)
    {
        size_t n = strlen(name);
        const char *at = of ? of + strlen("context of ") : "";
        if (!strncmp(at, name, n) && !isalnum((unsigned char)at[n]) && at[n] != '_')
            return says(other, "separate pass");
    }
    return false;
}
static struct unified_options read_options(const struct variant *v)
{
    struct unified_options o = {.top_k = (int)json_int_or(v->json, "top_k", 1), .temperature = 1};
    o.gate = json_bool_or(v->json, "renormalise", false) ? MOE_GATE_RENORM : MOE_GATE_RAW;
    o.context = seed_context(v) ? MOE_CONTEXT_SEED : MOE_CONTEXT_SELF;
    return o;
}
static bool build(struct variant *v)
{
    struct oracle_case *c = v->c;
    struct error err = {0};
    AUTO(safetensors) struct safetensors *f = NULL;
    const json_t *folders = json_object_get(c->json, "experts");
    int n = (int)json_array_size(folders), layers = (int)v->m->config.vision.layers;
    struct adapter_set **expert = arena_alloc(&c->arena, (size_t)n * sizeof *expert);
    const float **router = arena_alloc(&c->arena, (size_t)layers * sizeof *router);
    const float **lambda = arena_alloc(&c->arena, (size_t)layers * sizeof *lambda);
    struct unified_values values = {{[UNIFIED_ROUTER] = router, [UNIFIED_LAMBDA] = lambda}};
    const json_t *lambdas = says(v->json, "clamp_lambdas") ? json_object_get(c->json, "clamp_lambdas") : NULL;
    struct unified_options o = read_options(v);
    for (int k = 0; k < n; k++)
        if (!oracle_ok(c,
                       peft_load(oracle_path(c, json_string_value(json_array_get(folders, (size_t)k))), v->m,
                                 false, &c->arena, &expert[k], &err),
                       &err))
            return false;
    if (!oracle_ok(c,
                   safetensors_open(oracle_path(c, json_string_or(c->json, "router", "router.safetensors")),
                                    &f, &err),
                   &err))
        return false;
    for (int l = 0; l < layers; l++) {
        const char *name = arena_printf(&c->arena, "layers.%d.router.weight", l);
        const struct tensor *t =
            safetensors_want(f, name, 2, (int64_t[]){n, v->m->config.vision.width}, &err);
        if (!oracle_ok(c, t != NULL, &err))
            return false;
        router[l] = tensor_floats(t, &c->arena);
        name = arena_printf(&c->arena, "layers.%d.router.lambda", l);
        if (!oracle_ok(c, (t = safetensors_want(f, name, 0, NULL, &err)) != NULL, &err))
            return false;
        float *own = arena_floats(&c->arena, 1);
        *own = lambdas ? (float)json_number_value(json_array_get(lambdas, (size_t)l))
                       : *tensor_floats(t, &c->arena);
        lambda[l] = own;
    }
    return oracle_ok(c, unified_build(v->m, expert, n, &values, &o, true, &err), &err);
}

/* ---- one batch ---- */
static void see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                int64_t width)
{
    struct variant *v = arg;
    int64_t n = batch * t * width;
    char number[32];
    snprintf(number, sizeof number, "%d", layer);
    if (!strcmp(what, "moe_probs"))
        oracle_check(v->c, named(v, "probs.", number), x, n);
    if (!strcmp(what, "moe_out"))
        oracle_check(v->c, named(v, "moe_out.", number), x, n);
    if (!strcmp(what, "moe_selected")) {
        int64_t *selected = arena_alloc(&v->c->arena, (size_t)n * sizeof *selected);
        for (int64_t i = 0; i < n; i++)
            selected[i] = (int64_t)x[i];
        oracle_check_ints(v->c, named(v, "selected.", number), selected, n);
    }
    if (!strcmp(what, "hidden") && layer == v->m->config.vision.layers)
        oracle_check(v->c, named(v, "hidden_last", ""), x, n);
}
/* step >= 0: loss and gradients, the last layer at the class token alone. step < 0: the records of the first
 * batch. */
static bool batch_pass(struct variant *v, int64_t step, float *loss)
{
    struct oracle_case *c = v->c;
    struct error err = {0};
    struct clip_tape *tape = NULL;
    struct observer o = {see, v};
    bool train = step >= 0;
    int64_t e = v->m->config.embed, n = v->batch, first = train ? step * n : 0;
    struct arena_mark mark = arena_mark(&c->arena);
    struct pass p = {
        .batch = n, .arena = &c->arena, .train = train, .last_row0 = train, .observer = train ? NULL : &o};
    const float *pixels = v->pixels + first * v->image, **context = NULL;
    float *embeds = arena_floats(&c->arena, n * e), *dembeds = arena_floats(&c->arena, n * e);
    float *logits = arena_floats(&c->arena, n * v->classes);
    if (v->m->moe->context == MOE_CONTEXT_SEED &&
        !oracle_ok(c, clip_seed_context(v->m, &c->arena, pixels, n, &context, &err), &err))
        return false;
    p.context = context;
    bool ok = clip_image_forward(v->m, &p, pixels, embeds, NULL, &tape, &err) &&
              clip_classify(embeds, v->text, v->scale, v->label + first, n, v->classes, e, &c->arena, logits,
                            train ? dembeds : NULL, loss, &err) &&
              (!train || clip_image_backward(v->m, &p, tape, pixels, dembeds, &err));
    if (!oracle_ok(c, ok, &err))
        return false;
    if (!train) {
        oracle_check(c, named(v, "image_embeds", ""), embeds, n * e);
        oracle_check(c, named(v, "logits", ""), logits, n * v->classes);
    } else {
        arena_release(&c->arena, mark);
    }
    return true;
}

/* ---- training ---- */
static void begin_weight(void *arg, char kind, const char *name, struct mat *w)
{
    struct variant *v = arg;
    struct error err = {0};
    float *copy = arena_floats(&v->c->arena, mat_size(w));
    memcpy(copy, w->w, (size_t)mat_size(w) * sizeof *copy);
    json_object_set_new(v->start, name, json_integer((json_int_t)(intptr_t)copy));
    if (v->optim)
        oracle_ok(v->c, optim_add(v->optim, w, kind == 'l' ? v->lambda_scale : 1, &err), &err);
}
static void check_gradient(void *arg, char kind, const char *name, struct mat *w)
{
    struct variant *v = arg;
    oracle_check(v->c, named(v, "grad1.", name), w->g, mat_size(w));
}
static void check_moved(void *arg, char kind, const char *name, struct mat *w)
{
    struct variant *v = arg;
    const float *start = (const float *)(intptr_t)json_integer_value(json_object_get(v->start, name));
    float *delta = arena_floats(&v->c->arena, mat_size(w));
    for (int64_t i = 0; i < mat_size(w); i++)
        delta[i] = w->w[i] - start[i];
    oracle_check(v->c, named(v, "delta.", name), delta, mat_size(w));
}
static void run_variant(struct variant *v)
{
    struct oracle_case *c = v->c;
    int64_t steps = v->optim ? (int64_t)oracle_number(c, "steps") : 1;
    float *loss = arena_alloc(&c->arena, (size_t)steps * sizeof *loss), first;
    unified_each(v->m, begin_weight, v);
    if (!batch_pass(v, -1, &first))
        return;
    for (int64_t s = 0; s < steps; s++) {
        if (!batch_pass(v, s, &loss[s]))
            return;
        if (s == 0)
            unified_each(v->m, check_gradient, v);
        if (v->optim)
            optim_step(v->optim, v->lr);
    }
    if (oracle_expected(c, named(v, "loss", "")))
        oracle_check(c, named(v, "loss", ""), loss, steps);
    if (v->optim)
        unified_each(v->m, check_moved, v);
}
static void run(struct oracle_case *c)
{
    const char *name;
    json_t *json;
    json_object_foreach(json_object_get(c->json, "variants"), name, json)
    {
        AUTO(clip) struct clip *m = NULL;
        AUTO_JSON start = json_object();
        int64_t text[8], pixels[8];
        if (!oracle_clip(c, &m))
            return;
        struct variant v = {.c = c, .m = m, .name = name, .json = json, .start = start};
        v.pixels = oracle_floats(c, "pixel_values", pixels, NULL);
        v.text = oracle_floats(c, "text_features", text, NULL);
        v.label = oracle_ints(c, "labels", NULL, NULL);
        v.classes = text[0];
        v.image = pixels[1] * pixels[2] * pixels[3];
        v.batch = (int64_t)oracle_number(c, "batch_size");
        v.scale = (float)exp(oracle_number(c, "logit_scale"));
        read_optimizer(&v);
        if (build(&v))
            run_variant(&v);
    }
}
static bool wanted(const struct oracle_case *c)
{
    if (!oracle_is_clip(c))
        printf("skip %s: not a CLIP model\n", c->name);
    return oracle_is_clip(c);
}
int main(void)
{
    return oracle_main("moe_forward_backward", wanted, run);
}
