/* Manual pages in mdoc(7), derived from rows: weft(1) from those of the commands, weft-experiment(5) from the
 * schema and the stages. */
#ifndef ENGINE_CLI_MANUAL_H
#define ENGINE_CLI_MANUAL_H
#include "base/buf.h"
#include "stages/stage.h"
#include <jansson.h>

void manual_weft(struct buf *out);
void manual_experiment(struct buf *out);
json_t *schema_experiment(void); /* what `weft schema` prints; a new reference */
/* "model and adapter, one or more; may be private": what a port takes or makes. */
void port_text(const struct port *p, struct buf *out);

/* ---- writing mdoc: text can be any text, macros are only ours ---- */
void mdoc_head(struct buf *out, const char *name, int section, const char *doc);
/* A line "MACRO ARG ARG...", each argument as one word whatever is in it; ended by NULL. */
void mdoc_line(struct buf *out, const char *macro, ...) __attribute__((sentinel));
/* Running text; an empty line begins a paragraph, a sentence a line. */
void mdoc_text(struct buf *out, const char *text);
void mdoc_literal(struct buf *out, const char *text); /* a display of lines as they are */
#endif
