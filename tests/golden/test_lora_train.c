/* LoRA training of the vision tower against stored cases: logits, losses, gradients, weights after the last
 * step. */
#include "base/cleanup.h"
#include "stages/model/peft.h"
#include "stages/tensor/optim.h"
#include "tests/golden/oracle.h"
#include <math.h>

struct training {
    struct oracle_case *c;
    struct clip *m;
    struct adapter_set *adapter;
    struct optim *optim;
    const float *pixels, *text;
    const int64_t *label;
    int64_t classes, image; /* floats an image */
    float scale;
    json_t *start; /* name -> address of the initial values */
};
/* Logits of images first.. and, when train, loss and gradients. */
static bool batch_pass(struct training *t, int64_t first, int64_t n, float *logits, float *loss)
{
    struct oracle_case *c = t->c;
    struct error err = {0};
    struct clip_tape *tape;
    int64_t e = t->m->config.embed;
    struct pass p = {.batch = n, .arena = &c->arena, .train = loss != NULL, .last_row0 = true};
    const float *pixels = t->pixels + first * t->image;
    float *embeds = arena_floats(&c->arena, n * e), *dembeds = loss ? arena_floats(&c->arena, n * e) : NULL;
    bool ok = clip_image_forward(t->m, &p, pixels, embeds, NULL, &tape, &err) &&
              clip_classify(embeds, t->text, t->scale, loss ? t->label + first : NULL, n, t->classes, e,
                            &c->arena, logits, dembeds, loss, &err) &&
              (!loss || clip_image_backward(t->m, &p, tape, pixels, dembeds, &err));
    return oracle_ok(c, ok, &err);
}
static void check_logits(struct training *t, const char *name, int64_t n)
{
    float *logits = arena_floats(&t->c->arena, n * t->classes);
    if (batch_pass(t, 0, n, logits, NULL))
        oracle_check(t->c, name, logits, n * t->classes);
}
static void keep_start(void *arg, const char *name, struct mat *w)
{
    struct training *t = arg;
    float *copy = arena_floats(&t->c->arena, mat_size(w));
    memcpy(copy, w->w, (size_t)mat_size(w) * sizeof *copy);
    json_object_set_new(t->start, name, json_integer((json_int_t)(intptr_t)copy));
    struct error err = {0};
    oracle_ok(t->c, optim_add(t->optim, w, 1, &err), &err);
}
static void check_gradient(void *arg, const char *name, struct mat *w)
{
    struct training *t = arg;
    oracle_check(t->c, arena_printf(&t->c->arena, "grad1.%s", name), w->g, mat_size(w));
}
static void check_final(void *arg, const char *name, struct mat *w)
{
    struct training *t = arg;
    const float *start = (const float *)(intptr_t)json_integer_value(json_object_get(t->start, name));
    float *delta = arena_floats(&t->c->arena, mat_size(w));
    for (int64_t i = 0; i < mat_size(w); i++)
        delta[i] = w->w[i] - start[i];
    oracle_check(t->c, arena_printf(&t->c->arena, "final.%s", name), w->w, mat_size(w));
    oracle_check(t->c, arena_printf(&t->c->arena, "delta.%s", name), delta, mat_size(w));
}
/* The rate of step s: the same at all steps unless the case lists them. */
static double rate(const struct oracle_case *c, int64_t s)
{
    const json_t *rates = json_object_get(c->json, "learning_rates");
    return rates ? json_number_value(json_array_get(rates, (size_t)s)) : oracle_number(c, "hyper.lr");
}
static void train(struct training *t)
{
    struct oracle_case *c = t->c;
    const json_t *sizes = json_object_get(c->json, "batch_sizes");
    int64_t steps = (int64_t)json_array_size(sizes), first = 0;
    float *loss = arena_alloc(&c->arena, (size_t)steps * sizeof *loss);
    double *norm = arena_alloc(&c->arena, (size_t)steps * sizeof *norm);
    int64_t front = json_integer_value(json_array_get(sizes, 0));
    check_logits(t, "logits_before", front);
    adapter_each(t->adapter, keep_start, t);
    for (int64_t s = 0; s < steps; s++) {
        int64_t n = json_integer_value(json_array_get(sizes, (size_t)s));
        if (!batch_pass(t, first, n, arena_floats(&c->arena, n * t->classes), &loss[s]))
            return;
        norm[s] = optim_grad_norm(t->optim);
        if (s == 0)
            adapter_each(t->adapter, check_gradient, t);
        optim_step(t->optim, rate(c, s));
        first += n;
    }
    oracle_check(c, "loss", loss, steps);
    oracle_check_double(c, "grad_norm", norm, steps);
    adapter_each(t->adapter, check_final, t);
    check_logits(t, "logits_after", front);
}
static struct optim *read_optimizer(struct oracle_case *c)
{
    const json_t *hyper = json_object_get(c->json, "hyper"), *betas = json_object_get(hyper, "betas");
    const char *name = json_string_or(c->json, "optimizer", "");
    struct optim_config o = {.lr = oracle_number(c, "hyper.lr"),
                             .weight_decay = oracle_number(c, "hyper.weight_decay")};
    if (!strcmp(name, "SGD")) {
        o.kind = OPTIM_SGD;
        o.momentum = oracle_number(c, "hyper.momentum");
        o.nesterov = json_bool_or(hyper, "nesterov", false);
        if (json_real_or(hyper, "dampening", 0) != 0)
            oracle_fail(c, "weft's SGD has no dampening");
    } else {
        o.kind = OPTIM_ADAMW;
        o.beta1 = json_number_value(json_array_get(betas, 0));
        o.beta2 = json_number_value(json_array_get(betas, 1));
        o.eps = oracle_number(c, "hyper.eps");
        if (strcmp(name, "AdamW"))
            oracle_fail(c, "the case's optimizer is '%s', neither SGD nor AdamW", name);
    }
    return optim_new(&o, &c->arena);
}
static void run(struct oracle_case *c)
{
    AUTO(clip) struct clip *m = NULL;
    struct error err = {0};
    struct training t = {.c = c, .optim = read_optimizer(c)};
    if (!oracle_clip(c, &m))
        return;
    const char *folder = oracle_path(c, json_string_or(c->json, "adapter", "adapter"));
    if (!oracle_ok(c, peft_load(folder, m, true, &c->arena, &t.adapter, &err), &err))
        return;
    clip_attach(m, t.adapter);
    int64_t text[8], pixels[8];
    t.m = m;
    t.pixels = oracle_floats(c, "pixel_values", pixels, NULL);
    t.text = oracle_floats(c, "text_features", text, NULL);
    t.label = oracle_ints(c, "labels", NULL, NULL);
    t.classes = text[0];
    t.image = pixels[1] * pixels[2] * pixels[3];
    t.scale = (float)exp(oracle_number(c, "logit_scale"));
    t.start = json_object();
    train(&t);
    json_decref(t.start);
}
int main(void)
{
    return oracle_main("lora_train_clip", oracle_is_clip, run);
}
