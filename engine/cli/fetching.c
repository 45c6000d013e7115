#include "engine/cli/fetching.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/cli/color.h"
#include "engine/cli/screen.h"
#include "engine/cli/units.h"
#include "engine/exec/fetched.h"
#include "engine/exec/targets.h"
#include <string.h>
#include <unistd.h>

#define BAR       20
#define NAME      30  /* columns */
#define DRAW_EACH 0.1 /* seconds */

struct fetching {
    struct store *store;
    bool quiet, live;
    struct screen screen;
    const char *url;
    double began, drawn; /* of the URL's first byte, of the last frame; 0: not yet */
    int64_t had;         /* bytes that were there then */
};

struct fetching *fetching_new(struct store *store, bool quiet)
{
    struct fetching *f = xcalloc(1, sizeof *f);
    const char *term = getenv("TERM");
    f->store = store;
    f->quiet = quiet;
    f->live = !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    screen_init(&f->screen, STDERR_FILENO);
    return f;
}

void fetching_free(struct fetching *f)
{
    if (!f)
        return;
    screen_done(&f->screen);
    free(f);
}

/* "  model.safetensors  [#####.....]  52%, 23.1 MiB/s, 1:20 left, 1.2 GiB of 2.3 GiB": what is cut off on a
 * narrow terminal matters least. */
static void draw(struct fetching *f, const struct fetch_progress *p)
{
    AUTO(buf) struct buf line = {0};
    char done[UNITS_MAX], total[UNITS_MAX], rate[UNITS_MAX], left[UNITS_MAX];
    double now = clock_seconds(), spent = now - f->began;
    double speed = spent > 0.5 ? (double)(p->done - f->had) / spent : 0;
    double part = p->total > 0 ? (double)p->done / (double)p->total : 0;
    f->drawn = now;
    buf_puts(&line, "  ");
    screen_cut(p->file, NAME, &line);
    if (p->total > 0) {
        buf_puts(&line, "  [");
        for (int i = 0; i < BAR; i++)
            buf_putc(&line, i < (int)(BAR * part) ? '#' : '.');
        buf_printf(&line, "] %3d%%", (int)(100 * part));
    }
    if (speed > 0)
        buf_printf(&line, ", %s/s", bytes_text((int64_t)speed, rate));
    if (speed > 0 && p->total > p->done)
        buf_printf(&line, ", %s left", seconds_text((double)(p->total - p->done) / speed, left));
    buf_printf(&line, ", %s", bytes_text(p->done, done));
    if (p->total > 0)
        buf_printf(&line, " of %s", bytes_text(p->total, total));
    const char *const lines[] = {buf_str(&line)};
    screen_draw(&f->screen, lines, 1);
}

static void say(struct fetching *f, const char *line)
{
    AUTO(buf) struct buf clean = {0};
    screen_cut(line, 4096, &clean);
    buf_putc(&clean, '\n');
    if (f->live)
        buf_puts(&f->screen.above, buf_str(&clean));
    else
        fputs(buf_str(&clean), stderr);
}

static void see(void *arg, const struct fetch_progress *p)
{
    struct fetching *f = arg;
    char size[UNITS_MAX];
    if (!p->file) {
        AUTO(mem) char *line = xprintf("%s: another process fetches it, which is waited for", f->url);
        say(f, line);
        if (f->live)
            screen_draw(&f->screen, NULL, 0);
        return;
    }
    if (!f->began) {
        f->began = clock_seconds();
        f->had = p->done;
    }
    if (p->complete) {
        AUTO(mem) char *line = xprintf("fetched %s, %s", p->file, bytes_text(p->size, size));
        say(f, line);
    }
    if (f->live && (p->complete || clock_seconds() - f->drawn >= DRAW_EACH))
        draw(f, p);
}

bool fetching_one(struct fetching *f, const char *url, struct fetch_options o, struct fetch_result *ret,
                  struct error *err)
{
    char size[UNITS_MAX], spent[UNITS_MAX];
    double start = clock_seconds();
    f->url = url;
    f->began = f->drawn = 0;
    if (!f->quiet) {
        o.progress = see;
        o.arg = f;
    }
    bool ok = fetch_url(f->store, url, &o, ret, err);
    if (ok && ret->fetched && !f->quiet) {
        AUTO(mem)
        char *line =
            xprintf("%s: %d file%s, %s in %s", url, ret->fetched, ret->fetched == 1 ? "" : "s",
                    bytes_text(ret->fetched_bytes, size), seconds_text(clock_seconds() - start, spent));
        say(f, line);
    }
    if (f->live)
        screen_draw(&f->screen, NULL, 0);
    return ok;
}

/* One URL of an experiment, unless it is there. */
static bool fetch_missing(struct fetching *f, const struct fetched_url *u, int interrupts, struct error *err)
{
    struct error why = {0};
    struct fetch_result got;
    AUTO(mem) char *local = fetch_find(f->store, u->url, &why);
    if (local)
        return true;
    bool ok = fetching_one(f, u->url, (struct fetch_options){.interrupts = interrupts}, &got, err);
    fetch_result_done(&got);
    return ok || (err->code != ERROR_INTERRUPT && error_at(err, &u->pos));
}

bool fetching_all(const struct cmd_args *a, const struct spec *s, struct store *store, int interrupts,
                  struct error *err)
{
    const struct opt_value *targets = cmd_opt(a, "target");
    AUTO(mem) bool *wanted = xcalloc((size_t)s->n + 1, sizeof *wanted);
    AUTO(mem) struct fetched_url *url = NULL;
    if (!targets_choose(s, targets->list, targets->n, wanted, err))
        return false;
    size_t n = fetched_urls(s, wanted, &url);
    if (!n)
        return true;
    struct fetching *f = fetching_new(store, cmd_opt(a, "quiet")->set);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = fetch_missing(f, &url[i], interrupts, err);
    fetching_free(f);
    return ok;
}
