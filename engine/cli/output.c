#include "engine/cli/output.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "engine/cli/screen.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS 100 /* where no terminal says */

bool output_text(const struct cmd_args *a, const struct buf *text, struct error *err)
{
    const struct opt_value *file = cmd_opt(a, "output");
    if (file->set)
        return fs_publish(file->string, buf_str(text), text->len, true, err);
    return fwrite(buf_str(text), 1, text->len, stdout) == text->len ||
           error_errno(err, "cannot write the output");
}

static int columns(const struct cmd_args *a)
{
    struct screen s = {.fd = STDOUT_FILENO};
    if (cmd_opt(a, "output")->set || !isatty(STDOUT_FILENO))
        return COLUMNS;
    screen_measure(&s);
    return s.columns;
}

static bool ends_in(const char *file, const char *ending)
{
    size_t n = strlen(file), e = ending ? strlen(ending) : 0;
    return e && n > e && strcmp(file + n - e, ending) == 0;
}

static const struct output_form *choose(const struct cmd_args *a, const struct output_form *rows)
{
    const char *name = cmd_opt(a, "format")->string, *file = cmd_opt(a, "output")->string;
    for (const struct output_form *r = rows; r->name; r++)
        if (strcmp(r->name, "json") == 0 && cmd_opt(a, "json")->set)
            name = r->name;
    for (const struct output_form *r = rows; r->name; r++)
        if (name ? strcmp(r->name, name) == 0 : file && ends_in(file, r->ending))
            return r;
    return rows;
}

bool output_draw(const struct cmd_args *a, const struct output_form *rows, const void *what,
                 struct error *err)
{
    AUTO(buf) struct buf out = {0};
    choose(a, rows)->draw(what, columns(a), &out);
    return output_text(a, &out, err);
}
