/* The unified model on disk: a weft_moe folder.
 *   config.json        "model_type": "weft_moe", the seed's config under "seed_config", "num_experts", "expert_names",
 *                      "top_k", "gate", "context", "temperature"
 *   model.safetensors  the seed's weights
 *   expert_<k>/        one PEFT folder an expert
 *   router.safetensors layers.<l>.router.weight (K,C), layers.<l>.router.lambda (), layers.<l>.router.bias (K) if any
 * docs/unified-model.md defines the forward pass. */
#ifndef STAGES_MODEL_UNIFIED_H
#define STAGES_MODEL_UNIFIED_H
#include "stages/model/peft.h"

struct unified_options {
    int top_k;
    enum moe_gate gate;
    enum moe_context context;
    double temperature;
};
/* Build m->moe over seed m from K adapters and per-layer router values; weights are copied into m's arena; gradients for
 * router, lambda, bias and adapters when train. router[l] (K,C), bias[l] (K) or NULL, lambda[l]. */
bool unified_build(struct clip *m, struct adapter_set *const *experts, int n, const float *const *router,
                   const float *const *bias, const float *lambda, const struct unified_options *o, bool train,
                   struct error *err) MUST_CHECK;
/* Read router.safetensors and expert_<k>/ of a folder and build; used by clip_open with train = false. */
bool unified_load(struct clip *m, const char *dir, bool train, struct error *err) MUST_CHECK;
/* Write config.json, router.safetensors and expert_<k>/; model.safetensors (and the tokenizer) are the caller's: stages
 * link them to the seed's. names (K) for people. */
bool unified_save(const struct clip *m, const char *const *names, const char *seed_dir, const char *dir, struct error *err) MUST_CHECK;
/* see() for every trainable matrix: kind 'r' router, 'l' lambda, 'b' bias, 'a' adapter. */
void unified_each(struct clip *m, void (*see)(void *arg, char kind, const char *name, struct mat *w), void *arg);
#endif
