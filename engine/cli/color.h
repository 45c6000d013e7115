/* Colours of what people read on stderr: only on a terminal, unless --color says otherwise; none with
 * NO_COLOR. */
#ifndef ENGINE_CLI_COLOR_H
#define ENGINE_CLI_COLOR_H
#include "base/buf.h"

enum color {
    COLOR_OFF,
    COLOR_ERROR,
    COLOR_WARNING,
    COLOR_NOTE,
    COLOR_CARET,
    COLOR_BOLD,
    COLOR_DONE,
    COLOR_DIM
};
void color_choose(const char *when);  /* "auto", "always" or "never"; NULL changes nothing */
const char *color_text(enum color c); /* the escape sequence, "" without colours */
void color_message(const char *line); /* "file:1:2: error: text" and a newline; also warning and note */
/* The same into a buffer. */
void color_put(struct buf *out, const char *line);
#endif
