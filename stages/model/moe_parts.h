/* What the moe*.c files share. A (row, expert) pair is one token's visit to one expert; pairs are numbered
 * expert by expert, within an expert by row. P pairs = R rows * slots. */
#ifndef STAGES_MODEL_MOE_PARTS_H
#define STAGES_MODEL_MOE_PARTS_H
#include "stages/model/moe.h"

struct moe_route {
    int64_t rows, width;  /* R, C */
    int64_t experts;      /* K */
    int64_t slots;        /* experts a row visits */
    float l;              /* clamped lambda */
    const float *context; /* (B,C) */
    float *score;         /* (R,K) z.e */
    float *context_score; /* (B,K) c.e */
    float *prob;          /* (R,K) pi */
    float *lse;           /* (R) log sum exp of what the softmax saw; NULL: no loss asks for it */
    float *weight;        /* (R,K) w; 0 where not selected */
    int64_t *pair;        /* (R,K) the pair's number, -1 where not selected */
    int64_t *first;       /* (K+1) expert k has the pairs first[k] .. first[k+1]-1 */
    int64_t *row;         /* (P) */
};
struct moe_tape {
    struct moe_route route;
    int64_t rank;   /* largest of all experts: room of a row of u1, u2 */
    float *h;       /* (P,F) input of the activation */
    float *u1, *u2; /* (P,rank) z A1^T and g A2^T; expert k's rows start at first[k]*rank and lie densely */
};

bool moe_no_memory(struct error *err);
/* Everything of the route, from the pass' arena. */
bool moe_route(const struct moe *m, const struct pass *p, int layer, int64_t t, const float *z,
               const float *z_all, struct moe_route *ret, struct error *err) MUST_CHECK;
/* dw (R,K): gradient of the weights of selected pairs, other entries unused; overwritten. += into router,
 * bias, lambda, and into dz, dz_all (as in moe_backward) where these are not NULL. */
bool moe_route_backward(const struct moe *m, const struct pass *p, int layer, int64_t t,
                        const struct moe_route *r, const float *z, float *dw, float *dz, float *dz_all,
                        struct error *err) MUST_CHECK;

/* moe_loss.c */
bool moe_loss_active(const struct pass *p); /* some loss has a weight */
void moe_loss_count(const struct pass *p, int layer, const struct moe_route *r);
float moe_loss_lse(const float *x, int64_t n); /* log sum exp x */
/* dx (R,K), gradient of what the softmax saw: += that of all losses; their values are added up. */
bool moe_loss_backward(const struct pass *p, int layer, int64_t t, const struct moe_route *r, float *dx,
                       struct error *err) MUST_CHECK;

/* to (n,width) = from[index[i]] */
void moe_gather(float *to, const float *from, const int64_t *index, int64_t n, int64_t width);
/* to (R,width): row r gets the sum over its pairs, by rising expert, of (weighted ? w : 1) * from[pair]; from
 * (P,width). */
void moe_combine(float *to, const float *from, const struct moe_route *r, bool weighted, int64_t width);
/* With one slot the base runs over rows in pair order, so that an expert's rows lie together without a copy
 * of the wide hidden layer; with more it runs over rows as they come. */
static inline int64_t moe_base_row(const struct moe_route *r, int64_t row)
{
    const int64_t *pair = r->pair + row * r->experts;
    if (r->slots > 1)
        return row;
    for (int64_t k = 0;; k++)
        if (pair[k] >= 0)
            return pair[k];
}
#endif
