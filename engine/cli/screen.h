/* A block of lines at the bottom of a terminal that is drawn again in place, and text that scrolls by above
 * it. Each frame is one write, so that nothing flickers; no mode of the terminal is changed and the cursor
 * always rests below the block, so that a process that dies in the middle leaves nothing to restore. */
#ifndef ENGINE_CLI_SCREEN_H
#define ENGINE_CLI_SCREEN_H
#include "base/buf.h"

struct screen {
    int fd;
    struct buf above;  /* text that waits for the next frame */
    int *width, drawn; /* of the lines that stand there now, in columns */
    int columns, rows; /* as screen_measure found them */
    int drawn_columns; /* of the terminal when the block was drawn */
};
void screen_init(struct screen *s, int fd);
void screen_done(struct screen *s); /* erases the block */
void screen_measure(struct screen *s);
int screen_room(const struct screen *s); /* lines that a block can have */
/* Write what waits in `above`, then the n lines below it; each is cut to the width of the terminal, and lines
 * that do not fit its height are left out from the end of the list's middle: the last one always stays. */
void screen_draw(struct screen *s, const char *const *line, int n);

/* Columns that a text takes on a terminal, as the locale's LC_CTYPE has it; what is no character or cannot be
 * printed counts none. */
int screen_width(const char *text);
/* Append text, cut to at most `columns` columns, without control characters; the columns it takes. */
int screen_cut(const char *text, int columns, struct buf *out);
#endif
