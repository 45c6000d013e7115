/* Relevance-weighted greedy DPP MAP in feature space (paper 3.2, appendix B; REFERENCE section 4): each step
 * adds the item that maximises log det of diag(r) L diag(r), L = cosine kernel. No n x n matrix. */
#ifndef STAGES_ALGO_DPP_H
#define STAGES_ALGO_DPP_H
#include "base/arena.h"
#include "base/error.h"

/* An item whose squared distance to the span of the chosen unit rows is at most this adds nothing: float32
 * features cannot tell it from a member of the span. */
#define DPP_RANK_TOLERANCE 1e-10

enum dpp_fill { DPP_STOP, DPP_RELEVANCE, DPP_RESTART }; /* what to do when the rank is exhausted */
struct dpp_result {
    int64_t *order; /* (picked) item indices in pick order */
    double *gain;   /* (picked) marginal gain of log det: 2 log r + log rho at pick time; filled items: 0 */
    int64_t picked; /* <= m */
    int64_t determined; /* the first ones, chosen by the process before the rank was exhausted */
    int64_t restarts;
    double logdet; /* of the determined prefix */
};
/* features (n,d) rows need not be unit (they are normalised exactly here; a zero row is never chosen by the
 * process); relevance (n) >= 0; ties go to the lowest index. Items with relevance 0 are never chosen unless
 * fill needs them. Result arrays come from the arena. */
bool dpp_greedy(const float *features, const float *relevance, int64_t n, int64_t d, int64_t m,
                enum dpp_fill fill, struct arena *a, struct dpp_result *ret, struct error *err) MUST_CHECK;
#endif
