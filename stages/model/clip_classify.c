/* Zero-shot classification by cosine similarity.
 *   u = img / |img|;  logits = scale u text^T;  dimg through u. */
#include "stages/model/clip_parts.h"
#include "stages/tensor/gemm.h"

bool clip_classify(const float *img, const float *text, float scale, const int64_t *label, int64_t batch,
                   int64_t classes, int64_t embed, struct arena *a, float *logits, float *dimg, float *loss,
                   struct error *err)
{
    struct arena_mark mark = arena_mark(a);
    float *u = arena_floats(a, batch * embed), *norm = arena_floats(a, batch);
    float *dlogits = dimg ? arena_floats(a, batch * classes) : NULL;
    if (!u || !norm || (dimg && !dlogits))
        return clip_no_memory(err);
    unit_forward(img, batch, embed, u, norm);
    gemm(false, true, batch, classes, embed, scale, u, embed, text, embed, 0, logits, classes);
    if (label) {
        float value = cross_entropy(logits, label, batch, classes, dlogits);
        if (loss)
            *loss = value;
    }
    if (dimg && label) {
        gemm(false, false, batch, embed, classes, scale, dlogits, classes, text, embed, 0, dimg,
             embed); /* du */
        unit_backward(u, norm, dimg, batch, embed, dimg);
    }
    arena_release(a, mark);
    return true;
}
