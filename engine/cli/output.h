/* What a command makes goes to stdout, or whole or not at all to the file of --output. */
#ifndef ENGINE_CLI_OUTPUT_H
#define ENGINE_CLI_OUTPUT_H
#include "base/buf.h"
#include "engine/cli/cmd.h"

#define OPT_ROW_OUTPUT                                                                                       \
    {                                                                                                        \
        "output", 'o', OPT_STRING, "FILE", "write there instead of to stdout"                                \
    }
bool output_text(const struct cmd_args *a, const struct buf *text, struct error *err) MUST_CHECK;
/* A form of what a command shows. */
struct output_form {
    const char *name, *ending; /* for --format; of a file that gets it unless --format says else, or NULL */
    void (*draw)(const void *what, int columns, struct buf *out);
};
/* In the form of --format, of what FILE ends in, or in the first; --json means the one called so. The rows
 * are {0}-ended. */
bool output_draw(const struct cmd_args *a, const struct output_form *rows, const void *what,
                 struct error *err) MUST_CHECK;
#endif
