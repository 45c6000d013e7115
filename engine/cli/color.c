#include "engine/cli/color.h"
#include "base/cleanup.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *chosen = "auto";

void color_choose(const char *when)
{
    if (when)
        chosen = when;
}

static bool wanted(void)
{
    if (strcmp(chosen, "auto") != 0)
        return strcmp(chosen, "always") == 0;
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(no && *no) && isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

const char *color_text(enum color c)
{
    static const char *const sequence[] = {
        [COLOR_OFF] = "\033[0m",     [COLOR_ERROR] = "\033[1;31m", [COLOR_WARNING] = "\033[1;35m",
        [COLOR_NOTE] = "\033[1;36m", [COLOR_CARET] = "\033[1;32m", [COLOR_BOLD] = "\033[1m",
        [COLOR_DONE] = "\033[32m",   [COLOR_DIM] = "\033[2m"};
    return wanted() ? sequence[c] : "";
}

void color_put(struct buf *out, const char *line)
{
    static const struct {
        const char *word;
        enum color color;
    } kinds[] = {{"error: ", COLOR_ERROR}, {"warning: ", COLOR_WARNING}, {"note: ", COLOR_NOTE}};
    const char *at = NULL;
    size_t kind = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) { /* the leftmost */
        const char *found = strstr(line, kinds[i].word);
        if (found && (!at || found < at)) {
            at = found;
            kind = i;
        }
    }
    if (!at || !wanted()) {
        buf_printf(out, "%s\n", line);
        return;
    }
    const char *text = at + strlen(kinds[kind].word), *off = color_text(COLOR_OFF);
    const char *bold = color_text(kinds[kind].color == COLOR_NOTE ? COLOR_OFF : COLOR_BOLD);
    buf_printf(out, "%s%.*s%s%s%.*s%s%s%s%s\n", color_text(COLOR_BOLD), (int)(at - line), line, off,
               color_text(kinds[kind].color), (int)(text - at), at, off, bold, text, off);
}

void color_message(const char *line)
{
    AUTO(buf) struct buf out = {0};
    color_put(&out, line);
    fputs(buf_str(&out), stderr);
}
