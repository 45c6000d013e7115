#include "tests/fault/power.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct dirty { /* a file with bytes that were never synced */
    dev_t dev;
    ino_t inode;
    int fd;      /* of our own, to spoil it by */
    off_t whole; /* what stands for sure: up to here */
};
enum change { MADE, REMOVED, RENAMED };
struct step { /* a change of names, durable once its folder was synced */
    enum change change;
    bool durable;
    char *path, *to; /* to: of a rename */
    char *kept;      /* a hard link to what was replaced or removed; NULL: nothing, or a folder */
    bool folder;     /* what was removed or made */
    ino_t inode;     /* of what has the new name */
    dev_t dev;       /* of the folders */
    ino_t dir,
        from;  /* that of the new name, or of the name that went; of a rename, also that of the old name */
    bool left; /* the old name is gone for good */
};
static char *below, *spare;
static struct dirty *dirty;
static struct step *steps;
static size_t n_dirty, cap_dirty, n_steps, cap_steps;
static struct rng chance;
static unsigned long n_kept;
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP; /* power_off removes files, too */
static bool off;

void power_begin(const char *store, const char *aside, uint64_t seed, uint64_t call)
{
    below = xstrdup(store);
    spare = xstrdup(aside);
    mkdir(aside, 0777);
    chance = rng_at(rng_stream(seed, "power"), call, 0);
}

void power_lock(void)
{
    pthread_mutex_lock(&mutex);
}
void power_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static bool ours(const char *path)
{
    size_t n = strlen(below);
    return !off && strncmp(path, below, n) == 0 && (path[n] == '/' || !path[n]);
}

/* ---- what is in files ---- */

static struct dirty *find_dirty(const struct stat *st)
{
    for (size_t i = 0; i < n_dirty; i++)
        if (dirty[i].dev == st->st_dev && dirty[i].inode == st->st_ino)
            return &dirty[i];
    return NULL;
}

static void spoils_from(int fd, off_t whole)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    struct dirty *d = find_dirty(&st);
    if (!d) {
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        int own = open(name, O_WRONLY | O_CLOEXEC);
        dirty = xgrow(dirty, &cap_dirty, n_dirty + 1, sizeof *dirty);
        d = &dirty[n_dirty++];
        *d = (struct dirty){st.st_dev, st.st_ino, own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 0), st.st_size};
    }
    d->whole = whole < d->whole ? whole : d->whole;
}

static bool fd_ours(int fd)
{
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return ours(path);
}

void power_writes(int fd, off_t at)
{
    struct stat st;
    if (!fd_ours(fd) || fstat(fd, &st) != 0)
        return;
    if (at < 0)
        at = fcntl(fd, F_GETFL) & O_APPEND ? st.st_size : lseek(fd, 0, SEEK_CUR);
    spoils_from(fd, at);
}

/* ---- names ---- */

static struct step *add_step(enum change change, const char *path, const char *dir_of)
{
    steps = xgrow(steps, &cap_steps, n_steps + 1, sizeof *steps);
    struct step *s = &steps[n_steps++];
    *s = (struct step){.change = change, .path = xstrdup(path)};
    AUTO(mem) char *copy = xstrdup(dir_of);
    struct stat st;
    if (stat(dirname(copy), &st) == 0) {
        s->dev = st.st_dev;
        s->dir = st.st_ino;
    }
    return s;
}

static void look(struct step *s, const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0) {
        s->inode = st.st_ino;
        s->folder = S_ISDIR(st.st_mode);
    }
}

static void keep(struct step *s, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0 || S_ISDIR(st.st_mode))
        return;
    s->kept = xprintf("%s/%lu", spare, n_kept++);
    if (link(path, s->kept) != 0) {
        free(s->kept);
        s->kept = NULL;
    }
}

void power_made(const char *path)
{
    if (ours(path))
        look(add_step(MADE, path, path), path);
}

void power_opened(int fd, const char *path, bool created, bool truncated)
{
    if (!ours(path))
        return;
    if (created)
        power_made(path);
    if (created || truncated)
        spoils_from(fd, 0);
}

void power_removes(const char *path)
{
    if (off)
        return;
    struct step *s = add_step(REMOVED, path, path);
    look(s, path);
    if (ours(path))
        keep(s, path);
    else
        s->durable = true;
}

void power_renames(const char *from, const char *to)
{
    struct step *s = add_step(RENAMED, from, to);
    s->to = xstrdup(to);
    AUTO(mem) char *copy = xstrdup(from);
    struct stat st;
    s->from = stat(dirname(copy), &st) == 0 ? st.st_ino : 0;
    s->durable = !ours(to) || !ours(from);
    look(s, from);
    if (!s->durable)
        keep(s, to);
}

void power_forget(void)
{
    if (off)
        return;
    struct step *s = &steps[--n_steps];
    if (s->kept)
        unlink(s->kept);
    free(s->kept);
    free(s->path);
    free(s->to);
}

void power_synced(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return;
    struct dirty *d = find_dirty(&st);
    if (d) {
        close(d->fd);
        *d = dirty[--n_dirty];
    }
    for (size_t i = 0; S_ISDIR(st.st_mode) && i < n_steps; i++)
        if (steps[i].dev == st.st_dev) {
            steps[i].durable = steps[i].durable || steps[i].dir == st.st_ino;
            steps[i].left = steps[i].left || steps[i].from == st.st_ino;
        }
}

/* ---- the end ---- */

static bool has(const char *path, ino_t inode)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_ino == inode;
}

static void undo(const struct step *s)
{
    if (s->change == MADE && has(s->path, s->inode)) {
        fs_remove_tree(s->path, NULL); /* of a folder that never was also what was durable in it */
    } else if (s->change == REMOVED && s->folder) {
        mkdir(s->path, 0777);
    } else if (s->change == REMOVED && s->kept) {
        (void)!link(s->kept, s->path); /* a name that was given anew for good stays with that */
    } else if (s->change == RENAMED && has(s->to, s->inode)) {
        if (s->left || access(s->path, F_OK) == 0 || rename(s->to, s->path) != 0)
            unlink(s->to); /* the old name is gone for good: now it has none */
        if (s->kept)
            (void)!link(s->kept, s->to);
    }
}

/* Never written; cut short; zeros; anything. From `whole` on. */
static void spoil(int fd, off_t whole)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < whole)
        return;
    int how = (int)rng_below(&chance, 5);
    off_t size = st.st_size, cut = whole + (off_t)rng_below(&chance, (uint64_t)(size - whole) + 1);
    if (how == 0) /* it happened to reach the disk */
        return;
    if (how <= 2) {
        (void)!ftruncate(fd, how == 1 ? whole : cut);
        return;
    }
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags & ~O_APPEND);
    for (off_t at = cut; at < size; at++) {
        unsigned char c = how == 3 ? 0 : (unsigned char)rng_below(&chance, 256);
        (void)!pwrite(fd, &c, 1, at);
    }
}

static void spoil_tree(const char *name)
{
    AUTO(mem) char *root = xprintf("%s/%s", below, name);
    char **list;
    size_t n;
    if (!fs_is_dir(root) || !fs_list_tree(root, &list, &n, NULL))
        return;
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *path = xprintf("%s/%s", root, list[i]);
        struct stat st;
        AUTO(fd)
        int fd = lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? open(path, O_WRONLY | O_CLOEXEC) : -1;
        if (rng_below(&chance, 2))
            spoil(fd, 0);
    }
    fs_list_free(list, n);
}

/* They lose power with us. */
static void kill_children(void)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/task/%d/children", (int)getpid());
    AUTO(file) FILE *f = fopen(name, "re");
    for (int pid; f && fscanf(f, "%d", &pid) == 1;) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

void power_off(void)
{
    power_lock(); /* for good: other threads change nothing any more */
    off = true;
    kill_children();
    /* A journal of a file system keeps an order, at least of what it forgets; or all that it may forget is
     * gone. */
    size_t from = rng_below(&chance, 2) ? 0 : (size_t)rng_below(&chance, n_steps + 1);
    for (size_t i = 0; i < n_dirty; i++)
        spoil(dirty[i].fd, dirty[i].whole);
    for (size_t i = n_steps; i-- > from;)
        if (!steps[i].durable)
            undo(&steps[i]);
    spoil_tree("tmp");
    spoil_tree("hot");
    fs_remove_tree(spare, NULL);
    _exit(77);
}
