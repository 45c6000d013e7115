/* Thin helpers over jansson. Objects keep insertion order on output where a key order is given, else sorted
 * keys. */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/buf.h"
#include "base/error.h"
#include <jansson.h>

static inline void json_auto_(json_t **j)
{
    json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(json_auto_))) json_t *

/* Parse a file or bytes; errors carry file:line:col. Duplicate keys are refused. */
json_t *json_read(const char *path, struct error *err) MUST_CHECK;
json_t *json_parse(const char *text, size_t n, const char *name, struct error *err) MUST_CHECK;
/* How a value is written; without any: compact, members in the order in which they were set. */
enum json_style { JSON_SORTED = 1, JSON_INDENTED = 2 };
/* Append a value's text, without a newline at its end: doubles with 17 digits. Byte for byte what jansson's
 * own writer makes of it, in two fifths of its instructions: an engine that writes records and events does
 * little else. */
void json_put(struct buf *out, const json_t *j, int style);
void json_put_string(struct buf *out, const char *text); /* a text as a JSON string */
/* Keys sorted: canonical. malloc'd. */
char *json_text(const json_t *j, bool indent);
/* Compact, in the order of the members: for lines that nobody compares. malloc'd. */
char *json_line(const json_t *j);
bool json_write(const char *path, const json_t *j, struct error *err) MUST_CHECK; /* plain write, indented */
/* Typed members with clear errors: "config.json: 'hidden_size' must be an integer". *_or: default when
 * absent. */
bool json_get_int(const json_t *o, const char *key, int64_t *ret, struct error *err) MUST_CHECK;
bool json_get_real(const json_t *o, const char *key, double *ret, struct error *err) MUST_CHECK;
bool json_get_string(const json_t *o, const char *key, const char **ret, struct error *err) MUST_CHECK;
int64_t json_int_or(const json_t *o, const char *key, int64_t def);
double json_real_or(const json_t *o, const char *key, double def);
const char *json_string_or(const json_t *o, const char *key, const char *def);
bool json_bool_or(const json_t *o, const char *key, bool def);
#endif
