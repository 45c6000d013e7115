/* What a task's inputs hold: the sizes that its stage's cost function goes by. */
#ifndef ENGINE_EXEC_SIZES_H
#define ENGINE_EXEC_SIZES_H
#include "engine/exec/resolve.h"

struct sizes {
    struct cost_input in;
    bool
        known; /* of all inputs: from what made them or what made them before, else as their stages foresee */
};
/* What an output of a task that has no result yet held when the task ran before; NULL: it never did. */
struct sizes_typical {
    const struct index_content *(*output)(void *arg, const struct task *t, int output);
    void *arg;
};
/* typical: NULL: such a task's outputs are as its stage foresees them. That is remembered in r until the task
 * is resolved. */
void sizes_of_inputs(const struct resolver *r, const struct task *t, const struct sizes_typical *typical,
                     struct sizes *ret);
/* What the stage's cost function says of the task; all 0 where there is none. */
struct record_cost cost_of(const struct task *t, const struct cost_input *in);
#endif
