#include "engine/cli/screen.h"
#include "base/fs.h"
#include "base/mem.h"
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define LEAST_COLUMNS 10

/* Set after a stop (Ctrl-Z, then fg): others wrote to the terminal meanwhile, the block is anywhere above. */
static volatile sig_atomic_t continued;

static void see_continue(int signal)
{
    (void)signal;
    continued = 1;
}

void screen_init(struct screen *s, int fd)
{
    struct sigaction action = {.sa_handler = see_continue, .sa_flags = SA_RESTART};
    *s = (struct screen){.fd = fd};
    sigaction(SIGCONT, &action, NULL);
    screen_measure(s);
}

void screen_measure(struct screen *s)
{
    struct winsize w;
    bool known = ioctl(s->fd, TIOCGWINSZ, &w) == 0;
    s->columns = known && w.ws_col >= LEAST_COLUMNS ? w.ws_col : known && w.ws_col ? LEAST_COLUMNS : 80;
    s->rows = known && w.ws_row ? w.ws_row : 24;
}

int screen_room(const struct screen *s)
{
    return s->rows > 3 ? s->rows - 2 : 1;
}

/* One character at s: its bytes and its columns, below 0 for what no terminal should get. */
static size_t character(const char *s, int *columns)
{
    mbstate_t state = {0};
    wchar_t c;
    size_t n = mbrtowc(&c, s, strlen(s), &state);
    bool broken = n == (size_t)-1 || n == (size_t)-2;
    *columns = broken ? -1 : wcwidth(c);
    return broken || n == 0 ? 1 : n;
}

int screen_cut(const char *text, int columns, struct buf *out)
{
    int used = 0, w;
    for (size_t n; *text; text += n) {
        n = character(text, &w);
        if (w < 0)
            continue; /* nothing that a terminal would obey */
        if (used + w > columns)
            break;
        buf_add(out, text, n);
        used += w;
    }
    return used;
}

int screen_width(const char *text)
{
    struct buf all = {0};
    int w = screen_cut(text, INT_MAX, &all);
    buf_done(&all);
    return w;
}

/* Back to the block's first line. Where the terminal became narrower since, it wrapped what stood there. */
static void go_up(const struct screen *s, struct buf *out)
{
    int rows = 0;
    for (int i = 0; i < s->drawn; i++)
        rows += s->width[i] > s->columns ? (s->width[i] + s->columns - 1) / s->columns : 1;
    if (rows > s->rows - 1)
        rows = s->rows - 1;
    if (rows)
        buf_printf(out, "\033[%dA\r", rows);
    /* A terminal remembers which rows it wrapped, or will wrap: only rows that were erased are new ones. */
    if (s->drawn && (s->above.len || s->columns != s->drawn_columns))
        buf_puts(out, "\033[J");
}

/* Another job has the terminal: what happens is told, nothing is drawn. */
static bool in_background(const struct screen *s)
{
    pid_t foreground = tcgetpgrp(s->fd);
    return foreground >= 0 && foreground != getpgrp(); /* below 0: not the terminal that we belong to */
}

void screen_draw(struct screen *s, const char *const *line, int n)
{
    struct buf frame = {0};
    screen_measure(s);
    if (continued || in_background(s))
        s->drawn = 0;
    continued = 0;
    bool over = s->drawn > 0;
    go_up(s, &frame);
    buf_add(&frame, buf_str(&s->above), s->above.len);
    buf_clear(&s->above);
    int room = screen_room(s), shown = in_background(s) ? 0 : n > room ? room : n;
    s->width = xrealloc(s->width, ((size_t)shown + 1) * sizeof *s->width);
    for (int i = 0; i < shown; i++) {
        const char *text = line[i == shown - 1 ? n - 1 : i];
        s->width[i] = screen_cut(text, s->columns - 1, &frame);
        buf_puts(&frame, over ? "\033[K\n" : "\n"); /* new text over old: nothing blinks */
    }
    if (over)
        buf_puts(&frame, "\033[J"); /* lines that there were more, and what was typed */
    s->drawn = shown;
    s->drawn_columns = s->columns;
    bool there = fs_write_all(s->fd, buf_str(&frame), frame.len, "terminal", NULL);
    s->drawn = there ? s->drawn : 0; /* a terminal that is gone has nobody to tell */
    buf_done(&frame);
}

void screen_done(struct screen *s)
{
    screen_draw(s, NULL, 0);
    buf_done(&s->above);
    free(s->width);
    *s = (struct screen){.fd = s->fd};
}
