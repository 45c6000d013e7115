/* The part of the JSON Schema that is about what tasks need of the machine. */
#ifndef ENGINE_CLI_SCHEMA_RESOURCES_H
#define ENGINE_CLI_SCHEMA_RESOURCES_H
#include <jansson.h>

json_t *schema_resources(void); /* of resources: a map, or a variable; new reference */
#endif
