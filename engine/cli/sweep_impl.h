/* What the files behind sweep_view.h share. */
#ifndef ENGINE_CLI_SWEEP_IMPL_H
#define ENGINE_CLI_SWEEP_IMPL_H
#include "engine/cli/sweep_view.h"

struct sweep_text {
    char s[40];
};
/* For people: at most 4 decimals, no zeros at the end; very small and very large ones with an exponent. Empty
 * for NAN. */
struct sweep_text sweep_short(double x);
/* For programs: the shortest of 15 and 17 digits that reads back as the same bits. Empty for NAN. */
struct sweep_text sweep_exact(double x);
const char *sweep_state_name(enum trial_state s); /* "open", "done", "failed", "paused" */
/* The fidelity that the trial has reached; NAN: none, or no halving. */
double sweep_fidelity(const struct sweep_view *v, const struct sweep_trial *t);
#endif
