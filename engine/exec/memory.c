#include "engine/exec/memory.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define BACKSTOP       4 /* times the limit: data of one process, where it is only looked at */
#define BACKSTOP_LEAST ((int64_t)1 << 30) /* and this more: programs reserve what they never touch */

/* ---- control groups ---- */

static const struct memory_row {
    const char *name;
    const char *controller;   /* in /proc/self/cgroup; "" for the one tree of v2 */
    const char *kind;         /* of file system */
    const char *limit, *swap; /* files that take a limit; swap follows where the kernel has it */
    const char *swap_value;   /* NULL: the same limit, of both together */
    const char *whole;        /* takes "1": one that is over ends all; NULL: not to be had */
    const char *counts;       /* has a line "oom_kill N" */
    const char *most;         /* bytes at the peak, with cached files */
} rows[] = {
    {"cgroup v2", "", "cgroup2", "memory.max", "memory.swap.max", "0", "memory.oom.group", "memory.events",
     "memory.peak"},
    {"cgroup v1", "memory", "cgroup", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", NULL, NULL,
     "memory.oom_control", "memory.max_usage_in_bytes"},
};
#define N_ROWS (sizeof rows / sizeof *rows)

/* A file of the kernel: one write, which has to be taken whole. */
static bool put(const char *dir, const char *name, const char *text)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The number behind `label` in a file of the kernel; "": the file's first. */
static int64_t number(const char *dir, const char *name, const char *label)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_read_file(path, &text, &n, NULL))
        return 0;
    const char *at = strstr(text, label);
    return at ? strtoll(at + strlen(label), NULL, 10) : 0;
}

/* Is word one of the list a,b,c? */
static bool among(const char *list, size_t n, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list, *end = list + n; at <= end; at += strcspn(at, ",:\n") + 1)
        if (strcspn(at, ",:\n") == len && strncmp(at, word, len) == 0)
            return true;
    return false;
}

/* Our own group's path in the row's tree, as /proc/self/cgroup has it ("4:memory:/path", "0::/path"). */
static char *own_path(const struct memory_row *row)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_read_file("/proc/self/cgroup", &text, &n, NULL))
        return NULL;
    for (const char *line = text; *line; line += strcspn(line, "\n") + (strchr(line, '\n') != NULL)) {
        const char *list = line + strcspn(line, ":\n") + 1, *path = list + strcspn(list, ":\n") + 1;
        if (among(list, (size_t)(path - 1 - list), row->controller))
            return xstrndup(path, strcspn(path, "\n"));
    }
    return NULL;
}

/* Where the row's tree is mounted, and which part of it: mountinfo has "... ROOT MOUNT ... - KIND DEV
 * OPTIONS". */
static char *own_folder(const struct memory_row *row)
{
    AUTO(mem) char *path = own_path(row);
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!path || !fs_read_file("/proc/self/mountinfo", &text, &n, NULL))
        return NULL;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char root[1024], mount[1024], kind[64], options[1024];
        const char *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*s %*s %*s %1023s %1023s", root, mount) != 2 ||
            sscanf(dash, " - %63s %*s %1023s", kind, options) != 2 || strcmp(kind, row->kind) != 0 ||
            (*row->controller && !among(options, strlen(options), row->controller)))
            continue;
        size_t skip = strcmp(root, "/") != 0 && strncmp(path, root, strlen(root)) == 0 ? strlen(root) : 0;
        return xprintf("%s%s", mount, strcmp(path + skip, "/") == 0 ? "" : path + skip);
    }
    return NULL;
}

/* A group of our own in dir, with the limit; NULL when dir does not let us. */
static char *make_group(const struct memory_row *row, const char *dir, int64_t limit, unsigned long n)
{
    char *group = xprintf("%s/weft-%d-%" PRIu64 "-%lu", dir, (int)getpid(), procs_start(getpid()), n);
    AUTO(mem) char *text = xprintf("%" PRId64, limit);
    if (mkdir(group, 0755) == 0) {
        if (put(group, row->limit, text) && (!row->whole || put(group, row->whole, "1"))) {
            (void)put(group, row->swap, row->swap_value ? row->swap_value : text);
            return group;
        }
        rmdir(group);
    }
    free(group);
    return NULL;
}

/* Below our own group or beside it: in v2 a group with processes has none below. */
static bool find_group(struct memory *m, const struct memory_row *row, unsigned long n)
{
    AUTO(mem) char *dir = own_folder(row);
    if (!dir)
        return false;
    if (!(m->group = make_group(row, dir, m->limit, n))) {
        AUTO(mem) char *above = xprintf("%s/..", dir);
        m->group = make_group(row, above, m->limit, n);
    }
    m->row = m->group ? row : NULL;
    return m->group != NULL;
}

void memory_begin(struct memory *m, int64_t limit, unsigned long n)
{
    *m = (struct memory){.limit = limit};
    for (size_t i = 0; limit > 0 && i < N_ROWS && !find_group(m, &rows[i], n); i++)
        ;
}

void memory_join(const struct memory *m)
{
    if (m->group && put(m->group, "cgroup.procs", "0"))
        return;
    const rlim_t most = (rlim_t)(BACKSTOP * m->limit + BACKSTOP_LEAST);
    struct rlimit now;
    if (m->limit > 0 && getrlimit(RLIMIT_DATA, &now) == 0 && most < now.rlim_cur) {
        now.rlim_cur = most;
        setrlimit(RLIMIT_DATA, &now);
    }
}

/* ---- looking ---- */

/* What the worker's tree holds. Pages that several of it hold would count for each: their shares are looked
 * at where the sum matters. */
static int64_t held(const struct memory *m, pid_t worker)
{
    AUTO(mem) struct proc *tree;
    size_t n = procs_below(worker, procs_are_told(), &tree);
    int64_t sum = 0, shares = 0;
    for (size_t i = 0; i < n; i++)
        sum += tree[i].rss;
    if (!m->limit || sum <= m->limit)
        return sum;
    for (size_t i = 0; i < n; i++) {
        int64_t share = procs_share(tree[i].pid);
        shares += share ? share : tree[i].rss;
    }
    return shares;
}

/* Did the kernel kill for it? */
static bool kernel_killed(const struct memory *m)
{
    return m->group && number(m->group, m->row->counts, "oom_kill ") > 0;
}

bool memory_look(struct memory *m, pid_t worker)
{
    int64_t now = held(m, worker);
    m->peak = now > m->peak ? now : m->peak;
    m->over = m->over || (m->group ? kernel_killed(m) : m->limit > 0 && now > m->limit);
    return m->over;
}

static void remove_group(const char *group)
{
    for (int i = 0; rmdir(group) != 0 && errno == EBUSY && i < 200; i++)
        usleep(1000); /* those who are dead leave it a little later */
}

void memory_end(struct memory *m)
{
    if (!m->group)
        return;
    m->over = m->over || kernel_killed(m);
    int64_t most = m->over ? number(m->group, m->row->most, "") : 0;
    m->peak = most > m->peak ? most : m->peak;
    remove_group(m->group);
    free(m->group);
    m->group = NULL;
}

const char *memory_means(const struct memory *m)
{
    return m->row ? m->row->name : "resident size";
}

/* ---- what others left ---- */

/* End whoever is in it, then the group. */
static void end_group(const char *group)
{
    AUTO(mem) char *path = xprintf("%s/cgroup.procs", group);
    AUTO(mem) char *text = NULL;
    size_t n;
    if (fs_read_file(path, &text, &n, NULL))
        for (char *at = text, *end; (errno = 0, strtol(at, &end, 10)) > 1 && end > at; at = end)
            kill((pid_t)strtol(at, NULL, 10), SIGKILL);
    remove_group(group);
}

static void sweep_folder(const char *dir)
{
    const struct dirent *e;
    DIR *d = opendir(dir);
    while (d && (e = readdir(d))) {
        int pid;
        uint64_t start;
        if (sscanf(e->d_name, "weft-%d-%" SCNu64 "-", &pid, &start) != 2 || procs_start(pid) == start)
            continue;
        AUTO(mem) char *group = xprintf("%s/%s", dir, e->d_name);
        end_group(group);
    }
    if (d)
        closedir(d);
}

void memory_sweep(void)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        AUTO(mem) char *dir = own_folder(&rows[i]);
        if (!dir)
            continue;
        AUTO(mem) char *above = xprintf("%s/..", dir);
        sweep_folder(dir);
        sweep_folder(above);
    }
}
