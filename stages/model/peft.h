/* LoRA adapters of the vision tower's feed-forwards as PEFT folders (adapter_config.json,
 * adapter_model.safetensors). Keys:
 * base_model.model.vision_model.encoder.layers.<l>.mlp.{fc1,fc2}.lora_{A,B}.weight. */
#ifndef STAGES_MODEL_PEFT_H
#define STAGES_MODEL_PEFT_H
#include "base/rng.h"
#include "stages/model/clip.h"

struct adapter_set {
    int layers;
    struct adapter *layer; /* (layers) */
    int64_t rank;
    double alpha;
};
/* A ~ U(+-1/sqrt(in)), B = 0, from stream "lora.init" of seed; gradients allocated when train. */
bool adapter_new(const struct clip *m, int64_t rank, double alpha, uint64_t seed, bool train, struct arena *a,
                 struct adapter_set **ret, struct error *err) MUST_CHECK;
/* Shapes are checked against m. Honours use_rslora, refuses DoRA and unknown target modules. */
bool peft_load(const char *dir, const struct clip *m, bool train, struct arena *a, struct adapter_set **ret,
               struct error *err) MUST_CHECK;
/* base_model: its name for people and PEFT, or NULL. */
bool peft_save(const struct adapter_set *s, const char *base_model, const char *dir,
               struct error *err) MUST_CHECK;
/* Every layer's feed-forward uses the adapter (or none for NULL). */
void clip_attach(struct clip *m, const struct adapter_set *s);
/* see() for each of the 4*layers matrices with its PEFT key. */
void adapter_each(struct adapter_set *s, void (*see)(void *arg, const char *name, struct mat *w), void *arg);
#endif
