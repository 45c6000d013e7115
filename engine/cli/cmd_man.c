/* weft man: the manual pages' source; `make docs` and `make install` write it to files. */
#include "base/cleanup.h"
#include "engine/cli/cmd.h"
#include "engine/cli/manual.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*write)(struct buf *out);
} pages[] = {{"weft.1", manual_weft}, {"weft-experiment.5", manual_experiment}};
#define PAGES (sizeof pages / sizeof *pages)

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    for (size_t i = 0; i < PAGES; i++)
        if (strcmp(a->arg[0], pages[i].name) == 0) {
            AUTO(buf) struct buf out = {0};
            pages[i].write(&out);
            fputs(buf_str(&out), stdout);
            return 0;
        }
    error_set(&err, NULL, ERROR_INPUT, "there is no manual page '%s': weft.1, weft-experiment.5", a->arg[0]);
    return cmd_fail(&err);
}

const struct cmd cmd_man = {
    .name = "man",
    .doc = "Print a manual page's mdoc source.",
    .args = (const struct arg[]){{.name = "weft.1|weft-experiment.5", .doc = "the page"}, {0}},
    .run = run,
    .hidden = true};
