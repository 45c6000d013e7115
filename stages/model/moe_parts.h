/* What the moe*.c files share. A (row, expert) pair is one token's visit to one expert; pairs are numbered
 * expert by expert, within an expert by row. P pairs = R rows * slots. */
#ifndef STAGES_MODEL_MOE_PARTS_H
#define STAGES_MODEL_MOE_PARTS_H
#include "stages/model/moe.h"

struct moe_tokens { /* of a sequence: the context is the mean over tokens from .. to-1 of the `stride` there
                       are */
    int64_t from, to, stride;
};
struct moe_route {
    int64_t rows, t;         /* R = B t: rows a sequence; with the gate smear one */
    int64_t width;           /* C */
    int64_t experts;         /* K */
    int64_t scored;          /* experts from this one on have scores: moe_first_scored */
    int64_t slots;           /* experts a row visits */
    float l;                 /* clamped lambda; with the gate smear 1 */
    const float *context;    /* (B,C) c, where it is one a sequence; else NULL */
    struct moe_tokens which; /* that it is the mean of */
    float *score;            /* (R,K) z.e */
    float *context_score;    /* (R,K) c.e */
    float *prob;             /* (R,K) pi */
    float *lse;              /* (R) log sum exp of what the softmax saw; NULL: no loss asks for it */
    float *weight;           /* (R,K) w; 0 where not selected */
    int64_t *pair;           /* (R,K) the pair's number, -1 where not selected */
    int64_t *first;          /* (K+1) expert k has the pairs first[k] .. first[k+1]-1 */
    int64_t *row;            /* (P) */
};
struct moe_tape {
    struct moe_route route;
    int64_t rank;   /* largest of all experts: room of a row of u1, u2; with the gate smear their sum */
    float *h;       /* (P,F) input of the activation; smear: (R,F) */
    float *u1, *u2; /* (P,rank) z A1^T and g A2^T; expert k's rows start at first[k]*rank and lie densely */
};

bool moe_no_memory(struct error *err);
/* Everything of the route, from the pass' arena. */
bool moe_route(const struct moe *m, const struct pass *p, int layer, int64_t t, const float *z,
               const float *z_all, struct moe_route *ret, struct error *err) MUST_CHECK;
/* dw (R,K): gradient of the weights of selected pairs, other entries unused; overwritten. += into router,
 * bias, lambda, and into dz, dz_all (as in moe_backward) where these are not NULL. */
bool moe_route_backward(const struct moe *m, const struct pass *p, int layer, const struct moe_route *r,
                        const float *z, const float *z_all, float *dw, float *dz, float *dz_all,
                        struct error *err) MUST_CHECK;

/* moe_context.c: the context where it is one vector a sequence (c, (B,C)), and where it is a mean of other
 * rows' scores, for z.e is linear. */
bool moe_context_is_vector(const struct moe *m);
struct moe_tokens moe_context_tokens(const struct moe *m, const struct pass *p, int64_t t, bool all_given);
bool moe_context_vector(const struct moe *m, const struct pass *p, int layer, const float *z_all,
                        struct moe_tokens which, const float **ret, struct error *err) MUST_CHECK;
/* v (B t,K): means over rows of s, causal or over the batch. */
void moe_context_scores(const struct moe *m, const float *s, int64_t batch, int64_t t, int64_t n, float *v);
/* ds (B t,K) = (1-l) g + l times the transpose of that mean, applied to g. */
void moe_context_scores_backward(const struct moe *m, const float *g, int64_t batch, int64_t t, int64_t n,
                                 float l, float *ds);
/* dz_all += dc (B,C) / (to - from) on those tokens; dc has that factor already. */
void moe_context_spread(const float *dc, struct moe_tokens which, int64_t batch, int64_t c, float *dz_all);

/* moe_smear.c: in place of moe_forward and moe_backward. */
bool smear_forward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                   const float *z, const float *z_all, float *y, struct moe_tape **tape,
                   struct error *err) MUST_CHECK;
bool smear_backward(const struct moe *m, const struct ffn *f, const struct pass *p, int layer, int64_t t,
                    const float *z, const float *z_all, const struct moe_tape *tape, const float *dy,
                    float *dz, float *dz_all, struct error *err) MUST_CHECK;
/* Tells the pass' observer, if there is one. y (B,t,C) */
bool moe_report(const struct moe_route *r, const struct pass *p, int layer, int64_t t, const float *y,
                struct error *err) MUST_CHECK;

/* moe_loss.c */
bool moe_loss_active(const struct pass *p); /* some loss has a weight */
void moe_loss_count(const struct pass *p, int layer, const struct moe_route *r);
float moe_loss_lse(const float *x, int64_t n); /* log sum exp x */
/* dx (R,K), gradient of what the softmax saw: += that of all losses; their values are added up. */
bool moe_loss_backward(const struct pass *p, int layer, const struct moe_route *r, float *dx,
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
