/* A Llama forward pass in double, as plain as its equations, for cases whose models weft itself does not run.
 */
#ifndef TESTS_GOLDEN_LLAMA_PLAIN_H
#define TESTS_GOLDEN_LLAMA_PLAIN_H
#include "base/json.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

struct llama_plain {
    const json_t *config;
    /* values of a weight by its Hugging Face name; ends the program when it is absent */
    const float *(*weight)(void *arg, const char *name);
    void *arg;
};
enum { LLAMA_LONGEST = 64, LLAMA_WIDEST = 64 }; /* tokens; width and feed-forward width */

/* y (out) = W x, W (out, in) */
static inline void llama_linear(const float *w, const double *x, int64_t in, int64_t out, double *y)
{
    for (int64_t o = 0; o < out; o++) {
        y[o] = 0;
        for (int64_t i = 0; i < in; i++)
            y[o] += (double)w[o * in + i] * x[i];
    }
}
static inline void llama_norm(const float *w, const double *x, int64_t n, double eps, double *y)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        square += x[i] * x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        y[i] = (double)w[i] * x[i] / sqrt(square + eps);
}
static inline double llama_frequency(const json_t *config, int64_t i, int64_t dim)
{
    const json_t *s = json_object_get(config, "rope_scaling");
    double f = pow(json_real_or(config, "rope_theta", 1e4), -2 * (double)i / (double)dim);
    if (!json_is_object(s))
        return f;
    double wave = 2 * acos(-1) / f, original = json_real_or(s, "original_max_position_embeddings", 0);
    double low = json_real_or(s, "low_freq_factor", 1), high = json_real_or(s, "high_freq_factor", 1),
           factor = json_real_or(s, "factor", 1);
    if (wave > original / low)
        return f / factor;
    if (wave < original / high)
        return f;
    double mix = (original / wave - low) / (high - low);
    return mix * f + (1 - mix) * f / factor;
}
/* Pairs (i, i + dim/2) of every head turn by the position. */
static inline void llama_turn(const json_t *config, double *x, int64_t heads, int64_t dim, int64_t position)
{
    for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < dim / 2; i++) {
            double *a = x + h * dim + i, *b = a + dim / 2;
            double angle = (double)position * llama_frequency(config, i, dim), u = *a, v = *b;
            *a = u * cos(angle) - v * sin(angle);
            *b = v * cos(angle) + u * sin(angle);
        }
}
static inline const float *llama_weight(const struct llama_plain *m, int64_t layer, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "model.layers.%lld.%s.weight", (long long)layer, name);
    return m->weight(m->arg, full);
}
static inline void llama_attention(const struct llama_plain *m, int64_t layer, int64_t tokens,
                                   double (*z)[LLAMA_WIDEST], double (*x)[LLAMA_WIDEST])
{
    static double q[LLAMA_LONGEST][LLAMA_WIDEST], k[LLAMA_LONGEST][LLAMA_WIDEST],
        v[LLAMA_LONGEST][LLAMA_WIDEST];
    int64_t heads = json_int_or(m->config, "num_attention_heads", 0),
            d = json_int_or(m->config, "hidden_size", 0),
            pairs = json_int_or(m->config, "num_key_value_heads", 0),
            dim = json_int_or(m->config, "head_dim", d / heads);
    for (int64_t t = 0; t < tokens; t++) {
        llama_linear(llama_weight(m, layer, "self_attn.q_proj"), z[t], d, heads * dim, q[t]);
        llama_linear(llama_weight(m, layer, "self_attn.k_proj"), z[t], d, pairs * dim, k[t]);
        llama_linear(llama_weight(m, layer, "self_attn.v_proj"), z[t], d, pairs * dim, v[t]);
        llama_turn(m->config, q[t], heads, dim, t);
        llama_turn(m->config, k[t], pairs, dim, t);
    }
    for (int64_t t = 0; t < tokens; t++) {
        double mixed[LLAMA_WIDEST] = {0}, out[LLAMA_WIDEST];
        for (int64_t h = 0; h < heads; h++) {
            double p[LLAMA_LONGEST], sum = 0;
            int64_t kv = h * pairs / heads * dim;
            for (int64_t s = 0; s <= t; s++) {
                p[s] = 0;
                for (int64_t i = 0; i < dim; i++)
                    p[s] += q[t][h * dim + i] * k[s][kv + i];
                sum += p[s] = exp(p[s] / sqrt((double)dim));
            }
            for (int64_t s = 0; s <= t; s++)
                for (int64_t i = 0; i < dim; i++)
                    mixed[h * dim + i] += p[s] / sum * v[s][kv + i];
        }
        llama_linear(llama_weight(m, layer, "self_attn.o_proj"), mixed, heads * dim, d, out);
        for (int64_t i = 0; i < d; i++)
            x[t][i] += out[i];
    }
}
/* ids (tokens) -> logits (tokens, vocabulary) */
static inline void llama_plain_logits(const struct llama_plain *m, const int64_t *ids, int64_t tokens,
                                      double *logits)
{
    static double x[LLAMA_LONGEST][LLAMA_WIDEST], z[LLAMA_LONGEST][LLAMA_WIDEST];
    int64_t d = json_int_or(m->config, "hidden_size", 0),
            ffn = json_int_or(m->config, "intermediate_size", 0),
            vocabulary = json_int_or(m->config, "vocab_size", 0);
    double eps = json_real_or(m->config, "rms_norm_eps", 0);
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t i = 0; i < d; i++)
            x[t][i] = (double)m->weight(m->arg, "model.embed_tokens.weight")[ids[t] * d + i];
    for (int64_t l = 0; l < json_int_or(m->config, "num_hidden_layers", 0); l++) {
        for (int64_t t = 0; t < tokens; t++)
            llama_norm(llama_weight(m, l, "input_layernorm"), x[t], d, eps, z[t]);
        llama_attention(m, l, tokens, z, x);
        for (int64_t t = 0; t < tokens; t++) {
            double gate[LLAMA_WIDEST], up[LLAMA_WIDEST], out[LLAMA_WIDEST];
            llama_norm(llama_weight(m, l, "post_attention_layernorm"), x[t], d, eps, z[t]);
            llama_linear(llama_weight(m, l, "mlp.gate_proj"), z[t], d, ffn, gate);
            llama_linear(llama_weight(m, l, "mlp.up_proj"), z[t], d, ffn, up);
            for (int64_t i = 0; i < ffn; i++)
                up[i] *= gate[i] / (1 + exp(-gate[i]));
            llama_linear(llama_weight(m, l, "mlp.down_proj"), up, ffn, d, out);
            for (int64_t i = 0; i < d; i++)
                x[t][i] += out[i];
        }
    }
    for (int64_t t = 0; t < tokens; t++) {
        llama_norm(m->weight(m->arg, "model.norm.weight"), x[t], d, eps, z[t]);
        llama_linear(m->weight(m->arg, "lm_head.weight"), z[t], d, vocabulary, logits + t * vocabulary);
    }
}
#endif
