#include "engine/cli/progress.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/units.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW  0.1  /* seconds between two drawings of the bottom line */
#define TELL    10.0 /* seconds between two lines about one task in a pipe */
#define LOG_END 12   /* lines of a failed task's log to show */

struct work { /* a running task; name NULL: none */
    const char *name;
    double start, told, done, total;
    char unit[24];
};
struct progress {
    bool terminal, quiet, drawn;
    double last_draw;
    struct work *work; /* by task index */
    int tasks, finished, count, hits;
};

struct progress *progress_new(int tasks, bool quiet)
{
    struct progress *p = xcalloc(1, sizeof *p);
    const char *term = getenv("TERM");
    p->terminal = !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    p->quiet = quiet;
    p->tasks = tasks;
    p->work = xcalloc((size_t)tasks + 1, sizeof *p->work);
    return p;
}

static void clear(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    clear(p);
    free(p->work);
    free(p);
}

/* "seed 1200/3000 steps, 41.2/s, 44 s left" */
static void describe(const struct work *w, double t, struct buf *out)
{
    char rate[UNITS_MAX], left[UNITS_MAX];
    double spent = t - w->start;
    buf_puts(out, w->name);
    if (w->total <= 0) {
        buf_printf(out, " %s", seconds_text(spent, left));
        return;
    }
    buf_printf(out, " %.0f/%.0f %s", w->done, w->total, w->unit);
    if (spent > 0.5 && w->done > 0)
        buf_printf(out, ", %s/s, %s left", rate_text(w->done / spent, rate),
                   seconds_text(spent * (w->total - w->done) / w->done, left));
}

static int columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void draw(struct progress *p)
{
    double t = clock_seconds();
    if (!p->terminal || t - p->last_draw < REDRAW)
        return;
    AUTO(buf) struct buf line = {0};
    buf_printf(&line, "[%d/%d]", p->finished, p->count);
    for (int i = 0; i < p->tasks; i++)
        if (p->work[i].name) {
            buf_puts(&line, "  ");
            describe(&p->work[i], t, &line);
        }
    fprintf(stderr, "\r\033[K%.*s", columns() - 1, buf_str(&line));
    fflush(stderr);
    p->drawn = true;
    p->last_draw = t;
}

static void show_log_end(const char *path)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_read_file(path, &text, &n, NULL) || n == 0)
        return;
    const char *at = text + n;
    for (int lines = 0; at > text; at--)
        if (at[-1] == '\n' && at != text + n && ++lines == LOG_END)
            break;
    for (const char *c = at; *c;) {
        size_t len = strcspn(c, "\n");
        fprintf(stderr, "    | %.*s\n", (int)len, c);
        c += len + (c[len] == '\n');
    }
    fprintf(stderr, "    log: %s\n", path);
}

static void see_progress(struct progress *p, const struct build_event *e)
{
    struct work *w = &p->work[e->task->index];
    double t = clock_seconds();
    w->done = e->done;
    w->total = e->total;
    snprintf(w->unit, sizeof w->unit, "%s", e->text);
    if (p->terminal || t - w->told < TELL || e->done >= e->total)
        return;
    AUTO(buf) struct buf line = {0};
    describe(w, t, &line);
    fprintf(stderr, "[%d/%d] at    %s\n", e->finished, e->count, buf_str(&line));
    w->told = t;
}

void progress_see(void *arg, const struct build_event *e)
{
    struct progress *p = arg;
    const char *name = e->task ? e->task->name : "";
    struct work *w = e->task ? &p->work[e->task->index] : NULL;
    char spent[UNITS_MAX];
    p->finished = e->finished;
    p->count = e->count;
    if (p->quiet && e->kind != BUILD_FAILED && e->kind != BUILD_RETRY && e->kind != BUILD_WARN &&
        e->kind != BUILD_HEAL)
        return;
    if (e->kind != BUILD_PROGRESS && e->kind != BUILD_METRIC)
        clear(p);
    switch (e->kind) {
    case BUILD_HIT:
        fprintf(stderr, "[%d/%d] hit   %s\n", e->finished, e->count, name);
        break;
    case BUILD_START:
        *w = (struct work){.name = name, .start = clock_seconds(), .told = clock_seconds()};
        fprintf(stderr, "[%d/%d] start %s (cores %s)\n", e->finished, e->count, name, e->text);
        break;
    case BUILD_PROGRESS:
        see_progress(p, e);
        break;
    case BUILD_METRIC:
        break; /* in the log */
    case BUILD_WARN:
        fprintf(stderr, "warning: %s: %s\n", name, e->text);
        break;
    case BUILD_DONE:
        w->name = NULL;
        fprintf(stderr, "[%d/%d] ran   %s, %s\n", e->finished, e->count, name,
                seconds_text(e->result->seconds, spent));
        break;
    case BUILD_RETRY:
        w->name = NULL;
        fprintf(stderr, "warning: %s: %s\n", name, e->text);
        break;
    case BUILD_FAILED:
        w->name = NULL; /* it may have failed before it started */
        fprintf(stderr, "[%d/%d] FAILED %s: %s\n", e->finished, e->count, name, e->result->error.text);
        show_log_end(e->text);
        break;
    case BUILD_SKIPPED:
        break; /* the summary counts them */
    case BUILD_HEAL:
        fprintf(stderr, "warning: %s; making it again\n", e->text);
        break;
    case BUILD_INTERRUPT:
        fprintf(stderr,
                strcmp(e->text, "finishing") == 0
                    ? "interrupted: waiting for %d running task(s); Ctrl-C again stops them now\n"
                    : "interrupted: stopping %d running task(s)\n",
                e->running);
        break;
    }
    draw(p);
}
