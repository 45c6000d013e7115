/* A table of texts, written as Markdown or CSV. Zero-initialise with .columns; the cells are copies. */
#ifndef ENGINE_CLI_GRID_H
#define ENGINE_CLI_GRID_H
#include "base/buf.h"
#include <stdbool.h>

struct grid {
    int columns;
    char **cell; /* (rows, columns), the heads first */
    size_t n, cap;
};
void grid_put(struct grid *g, const char *text); /* the next cell, row by row */
/* A column of numbers (but for its head and empty cells) is set to the right. */
void grid_markdown(const struct grid *g, struct buf *out);
void grid_csv(const struct grid *g, struct buf *out); /* RFC 4180 */
void grid_done(struct grid *g);
static inline void grid_auto(struct grid *g)
{
    grid_done(g);
}
#endif
