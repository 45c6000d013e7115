#include "engine/cli/meter.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/cli/units.h"
#include <string.h>

#define REDRAW 0.1 /* seconds between two drawings */
#define BAR    20

void meter_init(struct meter *m, const char *what)
{
    const char *term = getenv("TERM");
    *m = (struct meter){.what = what, .began = clock_seconds()};
    m->live = isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    if (m->live)
        screen_init(&m->screen, STDERR_FILENO);
}

void meter_show(struct meter *m, int64_t done, int64_t of)
{
    double now = clock_seconds(), spent = now - m->began, share = of > 0 ? (double)done / (double)of : 0;
    AUTO(buf) struct buf line = {0};
    char size[UNITS_MAX], all[UNITS_MAX], rate[UNITS_MAX], left[UNITS_MAX];
    if (!m->live || now - m->drawn < REDRAW)
        return;
    m->drawn = now;
    int full = (int)(BAR * share);
    buf_printf(&line, "%s  [%.*s%.*s] %3d%%  %s of %s", m->what, full, "####################", BAR - full,
               "....................", (int)(100 * share), bytes_text(done, size), bytes_text(of, all));
    if (spent > 0.5 && done > 0)
        buf_printf(&line, ", %s/s, %s left", bytes_text((int64_t)((double)done / spent), rate),
                   seconds_text(spent * (1 - share) / share, left));
    screen_draw(&m->screen, (const char *const[]){buf_str(&line)}, 1);
}

void meter_hide(struct meter *m)
{
    if (m->live)
        screen_draw(&m->screen, NULL, 0);
}

void meter_done(struct meter *m)
{
    if (m->live)
        screen_done(&m->screen);
}
