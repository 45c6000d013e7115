#include "engine/exec/slurm_hold.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/slurm_impl.h"
#include "engine/exec/words.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>

#define TOUCH_EVERY 10 /* seconds */
#define END_TIME    30 /* seconds for the holder to cancel what is left */

/* Reading the file makes a network file system look whether it has changed. */
char *slurm_hold_script(const char *jobs, const char *program, double pause, int looks, struct arena *a)
{
    return arena_printf(
        a,
        "#!/bin/sh\n"
        "# Holds an allocation for weft, which touches a file; without that it ends by itself.\n"
        "jobs=%s\n"
        "[ -e \"$jobs\" ] || exit 3\n"
        "[ -x %s ] || exit 4\n"
        "before= silent=0\n"
        "while [ $silent -lt %d ]; do\n"
        "    sleep %g\n"
        "    cat \"$jobs\" >/dev/null 2>&1\n"
        "    now=$(stat -c %%y \"$jobs\" 2>/dev/null) || exit 0\n"
        "    if [ \"$now\" = \"$before\" ]; then silent=$((silent + 1)); else silent=0; fi\n"
        "    before=$now\n"
        "done\n",
        words_quote((const char *const[]){jobs, NULL}, a),
        words_quote((const char *const[]){program, NULL}, a), looks, pause);
}

/* ---- the engine's side ---- */

bool slurm_hold_note(struct launcher *l, struct error *err)
{
    const struct slurm *s = l->own;
    AUTO(buf) struct buf text = {0};
    for (int i = 0; i < l->n; i++)
        if (s->slot[i].state == SLURM_WAITS || s->slot[i].state == SLURM_GRANTED)
            buf_printf(&text, "%s\n", s->slot[i].job);
    return fs_publish(s->jobs, buf_str(&text), text.len, false, err);
}

bool slurm_hold_start(struct launcher *l, struct error *err)
{
    struct slurm *s = l->own;
    if (s->holder.pid > 0)
        return true;
    s->jobs = arena_printf(&l->arena, "%s/slurm.jobs", l->dir);
    const char *const argv[] = {
        l->self, "worker", "--hold", s->jobs, arena_printf(&l->arena, "%ld", (long)getpid()), NULL};
    return slurm_hold_note(l, err) && capture_start(&s->holder, argv, s->env, NULL, err);
}

void slurm_hold_end(struct launcher *l)
{
    struct slurm *s = l->own;
    if (s->holder.pid == 0)
        return;
    kill(s->holder.pid, SIGTERM);
    if (capture_end(&s->holder, END_TIME, NULL) && *s->holder.complaint)
        launcher_say(l, "%s", s->holder.complaint);
    capture_done(&s->holder);
    fs->unlink(s->jobs);
}

/* ---- the holder ---- */

static int cancel(const char *path)
{
    AUTO(arena) struct arena a;
    AUTO(mem) char *text = NULL;
    const char *const *job;
    size_t n = 0;
    struct error err = {0};
    arena_init(&a);
    if (!fs_read_file(path, &text, &n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (!words_split(text, &a, &job, NULL)) /* none */
        return 0;
    for (n = 0; job[n]; n++)
        ;
    const char **argv = arena_alloc(&a, (n + 3) * sizeof *argv);
    argv[0] = "scancel";
    argv[1] = "--quiet";
    memcpy(argv + 2, job, n * sizeof *argv);
    for (int i = 0;; i++) {
        struct capture c = CAPTURE_NONE;
        if (capture_run(&c, argv, NULL, NULL, SLURM_PATIENCE, &err)) {
            capture_done(&c);
            return 0;
        }
        if (i == 10) {
            fprintf(stderr, "jobs were not cancelled: %s\n", err.text);
            return 1;
        }
        sleep(1); /* Slurm's controller may be away for a moment */
    }
}

int slurm_hold_main(const char *path, pid_t parent)
{
    static const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct pollfd p[] = {{.fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN},
                         {.fd = pidfd_open(parent, 0), .events = POLLIN}};
    while (p[0].fd >= 0 && p[1].fd >= 0 && getppid() == parent && poll(p, 2, TOUCH_EVERY * 1000) == 0)
        fs->utimens(path, now);
    return cancel(path);
}
