/* The part of the schema that describes sweep:, objective: and search:. */
#ifndef ENGINE_CLI_SCHEMA_SWEEP_H
#define ENGINE_CLI_SCHEMA_SWEEP_H
#include <jansson.h>

void schema_sweep(json_t *properties); /* adds the three keys to those of an experiment */
#endif
