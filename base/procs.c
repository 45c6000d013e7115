#include "base/procs.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ROUNDS 1000 /* of killing those that a kill handed to us: a chain has no more links */

/* Begin of a file of /proc/PID, NUL-ended; false: the process is gone. */
static bool read_file(pid_t pid, const char *name, char *text, size_t room)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, room - 1) : -1;
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool read_one(pid_t pid, struct proc *ret)
{
    char text[1024];
    int parent;
    int64_t pages;
    *ret = (struct proc){.pid = pid};
    if (!read_file(pid, "stat", text, sizeof text))
        return false;
    const char *behind = strrchr(text, ')'); /* of the name, which may hold anything */
    if (!behind || sscanf(behind,
                          ") %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                          "%" SCNu64 " %*u %" SCNd64,
                          &ret->state, &parent, &ret->start, &pages) != 4)
        return false;
    ret->parent = parent;
    ret->rss = pages * sysconf(_SC_PAGESIZE);
    return true;
}

size_t procs_read(struct proc **ret)
{
    size_t n = 0, cap = 0;
    const struct dirent *e;
    DIR *d = opendir("/proc");
    *ret = NULL;
    while (d && (e = readdir(d))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        *ret = xgrow(*ret, &cap, n + 1, sizeof **ret);
        n += pid > 0 && read_one(pid, &(*ret)[n]);
    }
    if (d)
        closedir(d);
    return n;
}

/* ---- a tree ---- */

struct list {
    struct proc *item;
    size_t n, cap;
};

static void list_add(struct list *l, pid_t pid)
{
    l->item = xgrow(l->item, &l->cap, l->n + 1, sizeof *l->item);
    l->n += read_one(pid, &l->item[l->n]);
}

/* Those that thread tid of pid has started, or was given. */
static void add_children_of(struct list *l, pid_t pid, const char *tid)
{
    char path[64];
    AUTO(mem) char *text = NULL;
    size_t n;
    snprintf(path, sizeof path, "/proc/%d/task/%.16s/children", (int)pid, tid);
    if (!fs_read_file(path, &text, &n, NULL))
        return; /* gone */
    for (char *at = text, *end; strtol(at, &end, 10) > 0 && end > at; at = end)
        list_add(l, (pid_t)strtol(at, NULL, 10));
}

static void add_children(struct list *l, pid_t pid)
{
    char path[64];
    const struct dirent *e;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *d = opendir(path);
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            add_children_of(l, pid, e->d_name);
    if (d)
        closedir(d);
}

/* Without the kernel's help: who of all has a parent that is among them, until nobody comes any more. */
static void add_from_all(struct list *l)
{
    AUTO(mem) struct proc *all;
    size_t n = procs_read(&all);
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < n; k++)
            if (all[k].parent == l->item[i].pid)
                list_add(l, all[k].pid);
}

bool procs_are_told(void)
{
    return access("/proc/thread-self/children", R_OK) == 0;
}

size_t procs_below(pid_t root, bool told, struct proc **ret)
{
    struct list l = {0};
    list_add(&l, root);
    for (size_t i = 0; told && i < l.n; i++)
        add_children(&l, l.item[i].pid);
    if (!told)
        add_from_all(&l);
    *ret = l.item;
    return l.n;
}

uint64_t procs_start(pid_t pid)
{
    struct proc p;
    return read_one(pid, &p) && p.state != 'Z' ? p.start : 0;
}

int64_t procs_share(pid_t pid)
{
    char text[2048];
    int64_t kib = 0;
    const char *at = read_file(pid, "smaps_rollup", text, sizeof text) ? strstr(text, "\nPss:") : NULL;
    return at && sscanf(at, "\nPss: %" SCNd64, &kib) == 1 ? kib * 1024 : 0;
}

void procs_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static bool is_among(pid_t pid, const pid_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == pid)
            return true;
    return false;
}

/* Whether one was ended, whose children are ours now. One that cannot be killed (it is another user's) is
 * left. */
static bool end_round(const pid_t *spare, size_t n_spare)
{
    AUTO(mem) struct proc *all;
    size_t n = procs_read(&all);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (all[i].parent != getpid() || is_among(all[i].pid, spare, n_spare) ||
            kill(all[i].pid, SIGKILL) != 0)
            continue;
        while (waitpid(all[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
        any = true;
    }
    return any;
}

void procs_end_children(const pid_t *spare, size_t n)
{
    siginfo_t info;
    if (n == 0 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD)
        return;
    for (int i = 0; i < ROUNDS && end_round(spare, n); i++)
        ;
}
