/* An experiment's reference numbers beside a measured table. */
#ifndef ENGINE_CLI_REFERENCE_H
#define ENGINE_CLI_REFERENCE_H
#include <jansson.h>

/* `reference` as a run's begin event has it, `table` as table.json has it: [{name[, source], rows: [{system,
 * domain, reference[, measured, difference]}]}], percentages all. New reference. */
json_t *reference_compare(const json_t *reference, const json_t *table);
/* For people: a table each, the difference in parentheses. */
void reference_print(const json_t *reference, const json_t *table);
#endif
