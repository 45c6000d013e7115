/* libyaml -> a tree of nodes that know where they stand. Anchors, aliases and merge keys are resolved;
 * duplicate keys, several documents and tags are errors. Scalars keep their text and whether they were
 * quoted; typing is the reader's. */
#ifndef ENGINE_SPEC_YAML_H
#define ENGINE_SPEC_YAML_H
#include "base/arena.h"
#include "base/error.h"
#include <jansson.h>

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };
struct yaml_node {
    enum yaml_kind kind;
    struct pos pos;
    const char *text; /* scalar */
    bool quoted;      /* scalar in quotes: always a string */
    bool used;        /* of a variable: a ${...} took it */
    struct yaml_node **item;
    struct yaml_node **key; /* map: key[i] (scalar) -> item[i] */
    int n;
};
bool yaml_read(const char *path, struct arena *a, struct yaml_node **ret, struct error *err) MUST_CHECK;
bool yaml_parse(const char *text, size_t n, const char *name, struct arena *a, struct yaml_node **ret,
                struct error *err) MUST_CHECK;
int yaml_find(const struct yaml_node *map, const char *key);              /* index, -1 when absent */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL when absent */
/* Core-schema typing of a scalar: null, true/false, integers, reals, else string; YAML 1.1 oddities (no,
 * 1:30, 0777, 1_000) stay strings. Lists and maps recurse. New reference. */
json_t *yaml_json(const struct yaml_node *n);
#endif
