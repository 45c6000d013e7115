#include "engine/cli/progress.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/cli/color.h"
#include "engine/cli/logtail.h"
#include "engine/cli/screen.h"
#include "engine/cli/units.h"
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REDRAW       0.1  /* seconds between two drawings of the block */
#define TELL         10.0 /* seconds between two lines about one task in a pipe */
#define NAME_COLUMNS 32   /* at most */
#define BAR          20

struct shown_work { /* a running task */
    const struct task *task;
    double start, told, done, total;
    double from; /* done when it went on where an earlier run had stopped; below 0: about to be known */
    char unit[24], cores[48];
};
struct progress {
    bool live, quiet;
    double began, last_draw, left, seconds; /* seconds: that the tasks took which ran */
    struct screen screen;
    struct shown_work *work; /* in the order of their starts */
    size_t running, cap;
    int finished, count, hits, ran, failed;
    char **board; /* lines below them */
    int n_board;
};

struct progress *progress_new(bool quiet)
{
    struct progress *p = xcalloc(1, sizeof *p);
    const char *term = getenv("TERM");
    p->live = !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    p->quiet = quiet;
    p->began = clock_seconds();
    p->left = -1;
    screen_init(&p->screen, STDERR_FILENO);
    return p;
}

bool progress_is_live(const struct progress *p)
{
    return p->live;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    screen_done(&p->screen);
    progress_board(p, NULL, 0);
    free(p->work);
    free(p);
}

/* ---- the block ---- */

/* " 41%  1200/3000 samples, 412/s, 0:44 left", or how long it is at work where it says nothing of its way. */
static void describe(const struct shown_work *w, double t, struct buf *out)
{
    char rate[UNITS_MAX], left[UNITS_MAX];
    double spent = t - w->start;
    if (w->total <= 0) {
        buf_printf(out, " %s", seconds_text(spent, left));
        return;
    }
    buf_printf(out, " %.0f/%.0f %s", w->done, w->total, w->unit);
    double made = w->done - w->from;
    if (spent > 0.5 && made > 0)
        buf_printf(out, ", %s/s, %s left", rate_text(made / spent, rate),
                   seconds_text(spent * (w->total - w->done) / made, left));
}

static void draw_bar(const struct shown_work *w, struct buf *out)
{
    double share = w->total > 0 ? w->done / w->total : 0;
    int full = (int)(BAR * (share < 0 ? 0 : share > 1 ? 1 : share));
    buf_printf(out, "[%.*s%.*s]", full, "####################", BAR - full, "....................");
    if (w->total > 0)
        buf_printf(out, " %3d%%", (int)(100 * share));
    else
        buf_puts(out, "     ");
}

/* "  expert[rings]  [########............]  41% 1200/3000 samples, 412/s, 0:44 left  cores 0-1" */
static char *task_line(const struct progress *p, const struct shown_work *w, int name_columns, double t)
{
    AUTO(buf) struct buf line = {0};
    buf_puts(&line, "  ");
    for (int used = screen_cut(w->task->name, name_columns, &line); used < name_columns; used++)
        buf_putc(&line, ' ');
    if (p->screen.columns >= 60) {
        buf_puts(&line, "  ");
        draw_bar(w, &line);
    }
    describe(w, t, &line);
    buf_printf(&line, "  %s%s", where_word(w->cores), w->cores);
    return buf_take(&line);
}

/* Seconds to the run's end where history does not tell: tasks that wait take as long as those known so far,
 * as many beside each other as now. Below 0: nothing to go by. */
static double estimate(const struct progress *p, double t)
{
    double longest = 0, rest = 0, all = p->seconds;
    int known = p->ran, waiting = p->count - p->finished - (int)p->running;
    for (size_t i = 0; i < p->running; i++) {
        const struct shown_work *w = &p->work[i];
        double spent = t - w->start;
        if (w->total <= 0 || w->done <= 0 || spent <= 0.5)
            continue;
        double left = w->done < w->total ? spent * (w->total - w->done) / w->done : 0;
        longest = left > longest ? left : longest;
        rest += left;
        all += spent + left;
        known++;
    }
    if (!p->running || !known)
        return -1;
    double together = (rest + waiting * all / known) / (double)p->running;
    return together > longest ? together : longest;
}

/* "[12/36] 3 hit, 9 ran, 2 running, 22 waiting; 1:23, 2:10 left" */
static char *count_line(const struct progress *p, double t)
{
    const struct {
        int n;
        const char *what;
    } part[] = {{p->hits, "hit"},
                {p->ran, "ran"},
                {p->failed, "FAILED"},
                {(int)p->running, "running"},
                {p->count - p->finished - (int)p->running, "waiting"}};
    AUTO(buf) struct buf line = {0};
    char text[UNITS_MAX];
    buf_printf(&line, "[%d/%d]", p->finished, p->count);
    const char *separator = " ";
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i].n > 0) {
            buf_printf(&line, "%s%d %s", separator, part[i].n, part[i].what);
            separator = ", ";
        }
    buf_printf(&line, "; %s", seconds_text(t - p->began, text));
    double left = p->left >= 0 ? p->left : estimate(p, t);
    if (left >= 0)
        buf_printf(&line, ", about %s left", seconds_text(left, text));
    return buf_take(&line);
}

static int name_columns(const struct progress *p)
{
    int columns = 0, most = p->screen.columns / 3;
    for (size_t i = 0; i < p->running; i++) {
        int w = screen_width(p->work[i].task->name);
        columns = w > columns ? w : columns;
    }
    if (most > NAME_COLUMNS)
        most = NAME_COLUMNS;
    return columns > most ? most : columns;
}

/* Text that scrolls by waits for the next frame too: thousands of hits a second are a few frames. */
static void draw(struct progress *p)
{
    double t = clock_seconds();
    if (t - p->last_draw < REDRAW)
        return;
    screen_measure(&p->screen);
    char **line = xcalloc(p->running + (size_t)p->n_board + 2, sizeof *line);
    int n = 0, columns = name_columns(p), room = screen_room(&p->screen), running = (int)p->running;
    int shown = running < room ? running : room > 2 ? room - 2 : 0; /* beside the counts and "and more" */
    for (int i = 0; i < shown; i++)
        line[n++] = task_line(p, &p->work[i], columns, t);
    if (shown < running && room > 1)
        line[n++] = xprintf("  ... and %d more", running - shown);
    for (int i = 0; i < p->n_board && n + 1 < room; i++)
        line[n++] = xstrdup(p->board[i]);
    line[n++] = count_line(p, t);
    screen_draw(&p->screen, (const char *const *)line, n);
    for (int i = 0; i < n; i++)
        free(line[i]);
    free(line);
    p->last_draw = t;
}

static void flush(struct progress *p)
{
    if (p->live)
        draw(p);
    else if (p->screen.above.len)
        screen_draw(&p->screen, NULL, 0);
}

void progress_say(struct progress *p, const char *text)
{
    buf_printf(&p->screen.above, "%s\n", text);
    flush(p);
}

void progress_board(struct progress *p, char *const *line, int n)
{
    for (int i = 0; i < p->n_board; i++)
        free(p->board[i]);
    free(p->board);
    p->board = n ? xcalloc((size_t)n, sizeof *p->board) : NULL;
    p->n_board = n;
    for (int i = 0; i < n; i++)
        p->board[i] = xstrdup(line[i]);
}

/* ---- one line an event ---- */

static void show_log_end(const char *path, struct buf *out)
{
    char **line;
    size_t n = logtail_read(path, &line);
    for (size_t i = 0; i < n; i++) {
        for (char *tab = line[i]; (tab = strchr(tab, '\t')) != NULL;)
            *tab = ' ';
        buf_puts(out, "    | ");
        screen_cut(line[i], INT_MAX, out);
        buf_putc(out, '\n');
    }
    if (n)
        buf_printf(out, "    log: %s\n", path);
    fs_list_free(line, n);
}

static void show_hint(enum failure cause, struct buf *out)
{
    const char *hint = failure_hint(cause);
    if (hint)
        buf_printf(out, "    hint: %s\n", hint);
}

static struct shown_work *find_work(struct progress *p, const struct task *t)
{
    for (size_t i = 0; i < p->running; i++)
        if (p->work[i].task == t)
            return &p->work[i];
    return NULL;
}

static void see_progress(struct progress *p, const struct build_event *e, struct buf *out)
{
    struct shown_work *w = find_work(p, e->task);
    double t = clock_seconds();
    if (!w)
        return;
    if (w->from < 0) {
        w->from = e->done;
        w->start = t;
    }
    w->done = e->done;
    w->total = e->total;
    snprintf(w->unit, sizeof w->unit, "%s", e->text);
    if (p->live || p->quiet || t - w->told < TELL || e->done >= e->total)
        return;
    buf_printf(out, "[%d/%d] at    %s", e->finished, e->count, e->task->name);
    describe(w, t, out);
    buf_putc(out, '\n');
    w->told = t;
}

static void begin_work(struct progress *p, const struct build_event *e)
{
    double t = clock_seconds();
    p->work = xgrow(p->work, &p->cap, p->running + 1, sizeof *p->work);
    struct shown_work *w = &p->work[p->running++];
    *w = (struct shown_work){.task = e->task, .start = t, .told = t};
    snprintf(w->cores, sizeof w->cores, "%s", e->text);
}

static void go_on(struct progress *p, const struct task *t)
{
    struct shown_work *w = find_work(p, t);
    if (w)
        w->from = -1;
}

static void end_work(struct progress *p, const struct task *t)
{
    struct shown_work *w = find_work(p, t); /* none where it failed before it started */
    if (w)
        memmove(w, w + 1, (size_t)(&p->work[p->running--] - (w + 1)) * sizeof *w);
}

/* "[3/18] ran   seed, 1.2 s": of names and details nothing that a terminal would obey. */
static void tell_task(const struct build_event *e, enum color color, const char *what, struct buf *out,
                      const char *fmt, ...) PRINTF(5, 6);
static void tell_task(const struct build_event *e, enum color color, const char *what, struct buf *out,
                      const char *fmt, ...)
{
    AUTO(buf) struct buf text = {0};
    char detail[sizeof((struct error *)0)->text + 64];
    const char *on = color == COLOR_OFF ? "" : color_text(color), *off = *on ? color_text(COLOR_OFF) : "";
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    buf_printf(&text, "%s%s", e->task->name, detail);
    buf_printf(out, "[%d/%d] %s%-5s%s ", e->finished, e->count, on, what, off);
    screen_cut(buf_str(&text), INT_MAX, out);
    buf_putc(out, '\n');
}

static void warn(const char *task, const char *text, const char *tail, struct buf *out)
{
    AUTO(buf) struct buf line = {0}, clean = {0};
    buf_printf(&line, "warning: %s%s%s%s", task, *task ? ": " : "", text, tail);
    screen_cut(buf_str(&line), INT_MAX, &clean);
    color_put(out, buf_str(&clean));
}

/* ", 52.0 MiB of 64 MiB", taken and asked for, where it asked. */
static const char *memory_text(const struct build_result *r, char out[2 * UNITS_MAX + 8])
{
    char taken[UNITS_MAX], asked[UNITS_MAX];
    *out = '\0';
    if (r->memory > 0 && r->peak_rss > 0)
        snprintf(out, 2 * UNITS_MAX + 8, ", %s of %s", bytes_text(r->peak_rss, taken),
                 bytes_text(r->memory, asked));
    return out;
}

/* The event as lines; nothing for what only the block shows. */
static void tell(struct progress *p, const struct build_event *e, struct buf *out)
{
    char spent[UNITS_MAX], memory[2 * UNITS_MAX + 8];
    switch (e->kind) {
    case BUILD_HIT:
        tell_task(e, COLOR_DIM, "hit", out, "%s", e->result->remote ? ", from the remote tier" : "");
        break;
    case BUILD_START:
        tell_task(e, COLOR_OFF, "start", out, " (%s%s)", where_word(e->text), e->text);
        break;
    case BUILD_WARN:
    case BUILD_RETRY:
        warn(e->task ? e->task->name : "", e->text, "", out);
        break;
    case BUILD_DONE:
        tell_task(e, COLOR_DONE, "ran", out, ", %s%s%s", seconds_text(e->result->seconds, spent),
                  e->result->resumed ? " in all" : "", memory_text(e->result, memory));
        break;
    case BUILD_FAILED:
        tell_task(e, COLOR_ERROR, "FAILED", out, ": %s", e->result->error);
        show_log_end(e->text, out);
        show_hint(e->result->cause, out);
        break;
    case BUILD_HEAL:
        warn("", e->text, "; making it again", out);
        break;
    case BUILD_RESUME:
    case BUILD_STOP:
        tell_task(e, COLOR_OFF, e->kind == BUILD_STOP ? "stop" : "on", out, ", after pass %.0f of %.0f",
                  e->done, e->total);
        break;
    case BUILD_ELSEWHERE:
        tell_task(e, COLOR_DIM, "wait", out, ", another run computes it%s", "");
        break;
    case BUILD_INTERRUPT:
        buf_printf(
            out,
            strcmp(e->text, "finishing") == 0
                ? "interrupted: waiting for %d running task(s) to end, or to keep their state and stop; "
                  "Ctrl-C again stops them now\n"
                : "interrupted: stopping %d running task(s)\n",
            e->running);
        break;
    case BUILD_NODE:
        screen_cut(e->text, INT_MAX, out);
        buf_putc(out, '\n');
        break;
    case BUILD_UPLOAD:
        buf_printf(out, "%s\n", e->text);
        break;
    case BUILD_PROGRESS: /* see_progress */
    case BUILD_METRIC:   /* in the log */
    case BUILD_CHECKPOINT:
    case BUILD_FREED:
    case BUILD_SKIPPED: /* the summary counts them */
    case BUILD_TICK:
        break;
    }
}

static void count(struct progress *p, const struct build_event *e)
{
    p->finished = e->finished;
    p->count = e->count;
    p->left = e->left;
    p->hits += e->kind == BUILD_HIT;
    p->ran += e->kind == BUILD_DONE;
    p->seconds += e->kind == BUILD_DONE ? e->result->seconds : 0;
    p->failed += e->kind == BUILD_FAILED;
    if (e->kind == BUILD_START)
        begin_work(p, e);
    else if (e->kind == BUILD_DONE || e->kind == BUILD_RETRY || e->kind == BUILD_FAILED ||
             e->kind == BUILD_STOP)
        end_work(p, e->task);
    else if (e->kind == BUILD_RESUME)
        go_on(p, e->task);
}

void progress_see(void *arg, const struct build_event *e)
{
    struct progress *p = arg;
    struct buf *out = &p->screen.above;
    count(p, e);
    if (e->kind == BUILD_PROGRESS)
        see_progress(p, e, out);
    else if (!p->quiet || e->kind == BUILD_FAILED || e->kind == BUILD_RETRY || e->kind == BUILD_WARN ||
             e->kind == BUILD_HEAL)
        tell(p, e, out);
    flush(p);
}
