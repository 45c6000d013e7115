/* The stage router's losses on the routers themselves, and loss-free balancing, from its parameters and
 * inputs. */
#ifndef STAGES_JOB_ROUTER_LOSSES_H
#define STAGES_JOB_ROUTER_LOSSES_H
#include "stages/model/train.h"
#include "stages/stage.h"

struct router_losses {
    double balance_loss, z_loss, domain_loss; /* weights */
    double balance_rate;
};
/* t->loss, and t->target where the domain loss wants it, t->balance where the rate is not 0; all in the run's
 * arena. t has its samples and its model. ERROR_INPUT: a loss that cannot do anything here. */
bool router_losses_set(struct stage_context *ctx, const struct router_losses *p, struct clip *m,
                       struct train *t, struct error *err) MUST_CHECK;

#define ROUTER_LOSS(st, field, ...)                                                                          \
    {                                                                                                        \
        .name = #field, .type = PARAM_REAL, .offset = offsetof(st, losses.field), .def = "0", .min = 0,      \
        .max = 1e6, __VA_ARGS__                                                                              \
    }
/* Rows for a struct `st` with a member `struct router_losses losses`. */
#define ROUTER_LOSSES(st)                                                                                    \
    ROUTER_LOSS(st, balance_loss,                                                                            \
                .doc = "weight of the balance loss, E times the sum of an expert's share of visits and its " \
                       "mean probability, over a whole batch and the mean of all layers",                    \
                .source = "Switch; BTX has 0.01"),                                                           \
        ROUTER_LOSS(st, z_loss, .doc = "weight of the mean squared log-sum-exp of the router's scores",      \
                    .source = "ST-MoE; FlexOlmo has 0.001"),                                                 \
        ROUTER_LOSS(st, domain_loss,                                                                         \
                    .doc = "weight of the cross-entropy between the router's probabilities and the clients " \
                           "whose proxies, or own, a sample is; inputs in the order of the experts",         \
                    .source = "MoA: 1"),                                                                     \
        ROUTER_LOSS(st, balance_rate,                                                                        \
                    .doc = "loss-free balancing: after each step, an expert with more than the mean of "     \
                           "visits loses this much in the selection, one with less gains it",                \
                    .source = "loss-free balancing: 0.001")
#endif
