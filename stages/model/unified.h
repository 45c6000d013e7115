/* The unified model on disk: a weft_moe folder.
 *   config.json        "model_type": "weft_moe", the seed's config under "seed_config", "num_experts",
 *                      "expert_names", "seed_experts", "top_k", "gate", "context", "shared", "temperature"
 *   model.safetensors  the seed's weights
 *   expert_<k>/        one PEFT folder an expert; none for those in "seed_experts" (the seed's own)
 *   router.safetensors layers.<l>.router.<part>, the parts below
 * docs/unified-model.md defines the forward pass. */
#ifndef STAGES_MODEL_UNIFIED_H
#define STAGES_MODEL_UNIFIED_H
#include "stages/model/peft.h"

struct unified_options {
    int top_k;
    enum moe_gate gate;
    enum moe_context context;
    enum moe_shared shared;
    double temperature;
};
#define UNIFIED_GATES    "raw|renorm|straight|soft|smear"
#define UNIFIED_CONTEXTS "self|seed|class|patches|causal|batch"
/* The values of a router, in the order in which training sees them. */
enum unified_part {
    UNIFIED_ROUTER,       /* weight (K,C) */
    UNIFIED_LAMBDA,       /* lambda () */
    UNIFIED_BIAS,         /* bias (K), may be absent, as all that follow; in all layers or in none */
    UNIFIED_CLASS_ROUTER, /* class_weight (K,C): class tokens have rows of their own */
    UNIFIED_CLASS_BIAS,   /* class_bias (K) */
    UNIFIED_NEGATIVE,     /* negative_bias (K) */
    UNIFIED_BALANCE,      /* balance_bias (K) */
    UNIFIED_PARTS
};
struct unified_values {
    const float **part[UNIFIED_PARTS]; /* (layers) each, or NULL */
};
/* Names as in config.json; false: no such name. */
bool unified_gate_parse(const char *name, enum moe_gate *ret);
bool unified_context_parse(const char *name, enum moe_context *ret);

/* Build m->moe over seed m from n adapters and per-layer router values; weights are copied into m's arena;
 * gradients for router, lambda, bias and adapters when train. experts[k] NULL: the seed's own feed-forward.
 * What was attached to m before is replaced. Options that cannot go together are ERROR_INPUT. */
bool unified_build(struct clip *m, struct adapter_set *const *experts, int n,
                   const struct unified_values *values, const struct unified_options *o, bool train,
                   struct error *err) MUST_CHECK;
/* Give a model that has none a bias of the selection, of zeros. */
bool unified_add_balance(struct clip *m, struct error *err) MUST_CHECK;
/* Read config.json, router.safetensors and expert_<k>/ of a folder and build; clip_open uses it with train
 * false. */
bool unified_load(struct clip *m, const char *dir, bool train, struct error *err) MUST_CHECK;
/* Write config.json, router.safetensors and expert_<k>/; model.safetensors (and the tokenizer) are the
 * caller's: stages link them to the seed's. names (K) are for people, NULL: "0", "1", ... seed_dir: the
 * folder of the seed, or of a unified model over it. */
bool unified_save(const struct clip *m, const char *const *names, const char *seed_dir, const char *dir,
                  struct error *err) MUST_CHECK;
/* The same without expert_<k>/, for those who link these. */
bool unified_save_router(const struct clip *m, const char *const *names, const char *seed_dir,
                         const char *dir, struct error *err) MUST_CHECK;
/* Link the files of folder `from` (not of folders in it) into folder `to`, but for those that
 * unified_save_router writes: a seed's weights and tokenizer, or an adapter. */
bool unified_link(const char *from, const char *to, struct error *err) MUST_CHECK;
/* The same without a seed's weights: for those who write others. */
bool unified_link_tokenizer(const char *from, const char *to, struct error *err) MUST_CHECK;
/* see() for every matrix that training may move: kind 'r' router, 'l' lambda, 'b' bias, 's' bias of the
 * selection, which no gradient moves, 'a' adapter. Names:
 * "layers.<l>.router.weight", ..., "expert.<k>.<PEFT key>". */
void unified_each(struct clip *m, void (*see)(void *arg, char kind, const char *name, struct mat *w),
                  void *arg);
#endif
