#include "stages/job/routing.h"
#include "base/error.h"
#include <math.h>
#include <string.h>

static const char *const kinds[ROUTING_KINDS] = {"class_token", "patches"};

bool routing_begin(struct routing *r, const struct clip *m, int64_t batch, struct arena *a, struct error *err)
{
    *r = (struct routing){
        .experts = m->moe[0].experts, .layers = m->config.vision.layers, .room = batch * clip_tokens(m)};
    r->layer = arena_try(a, (size_t)r->layers * sizeof *r->layer);
    r->top = arena_try(a, (size_t)r->room * sizeof *r->top);
    double *taken = arena_try(a, (size_t)(r->layers * ROUTING_KINDS * r->experts) * sizeof *taken);
    if (!r->layer || !r->top || !taken)
        return error_set(err, NULL, ERROR_TASK, "out of memory for the routing");
    for (int64_t l = 0; l < r->layers; l++)
        for (int kind = 0; kind < ROUTING_KINDS; kind++, taken += r->experts)
            r->layer[l][kind].taken = taken;
    return true;
}

/* One token's probabilities (n); returns the most probable expert, the first of equal ones. */
static int add_token(struct routing_count *c, const float *pi, int64_t n)
{
    int top = 0;
    double second = 0;
    for (int k = 0; k < n; k++) {
        if (pi[k] > pi[top]) {
            second = (double)pi[top];
            top = k;
        } else if (k != top && (double)pi[k] > second) {
            second = (double)pi[k];
        }
        if (pi[k] > 0)
            c->entropy -= (double)pi[k] * log((double)pi[k]);
    }
    c->tokens++;
    c->max_pi += (double)pi[top];
    c->margin += (double)pi[top] - second;
    return top;
}

void routing_see(void *arg, const char *what, int layer, const float *x, int64_t batch, int64_t t,
                 int64_t experts)
{
    struct routing *r = arg;
    bool probs = !strcmp(what, "moe_probs"), sent = !strcmp(what, "moe_selected");
    if ((!probs && !sent) || layer < 0 || layer >= r->layers || experts != r->experts || batch * t > r->room)
        return;
    for (int64_t i = 0; i < batch * t; i++, x += experts) {
        struct routing_count *c = &r->layer[layer][i % t > 0 ? ROUTING_PATCHES : ROUTING_CLASS];
        if (sent) {
            for (int64_t k = 0; k < experts; k++)
                c->taken[k] += (double)x[k];
            continue;
        }
        int top = add_token(c, x, experts);
        c->same += layer > 0 && top == r->top[i];
        r->top[i] = top;
    }
}

static json_t *count_json(const struct routing_count *c, int64_t experts, bool first)
{
    json_t *share = json_array();
    double n = c->tokens > 0 ? (double)c->tokens : 1, all = 0;
    for (int64_t k = 0; k < experts; k++)
        all += c->taken[k];
    for (int64_t k = 0; k < experts; k++)
        json_array_append_new(share, json_real(all > 0 ? c->taken[k] / all : 0));
    json_t *o = json_pack("{s:I, s:o, s:f, s:f, s:f}", "tokens", (json_int_t)c->tokens, "share", share,
                          "entropy", c->entropy / n, "margin", c->margin / n, "mean_max_pi", c->max_pi / n);
    if (!first)
        json_object_set_new(o, "same_as_before", json_real((double)c->same / n));
    return o;
}

json_t *routing_json(const struct routing *r)
{
    json_t *layers = json_array();
    for (int64_t l = 0; l < r->layers; l++) {
        json_t *o = json_pack("{s:I}", "layer", (json_int_t)l);
        for (int kind = 0; kind < ROUTING_KINDS; kind++)
            json_object_set_new(o, kinds[kind], count_json(&r->layer[l][kind], r->experts, l == 0));
        json_array_append_new(layers, o);
    }
    return layers;
}
