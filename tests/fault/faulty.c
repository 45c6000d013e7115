/* weft-faulty: weft with a table of file calls of which one goes wrong. Told by the environment:
 *   WEFT_FAULT      KIND:N[:SEED], the N-th call from 1 that can go wrong so: a row of `kind`
 *   WEFT_FAULT_IN   engine, worker, or both (default): whose calls count
 *   WEFT_FAULT_OUT  a file of counters, made by the campaign: struct counters. All processes count in it.
 *   WEFT_FAULT_STORE, WEFT_FAULT_ASIDE   power alone: the store's path, and a folder beside it
 * fsync does nothing here: the kernel outlives every process that dies, and power is the journal's matter. */
#include "base/fs.h"
#include "engine/cli/cmd.h"
#include "tests/fault/power.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct counters {
    atomic_ullong calls, struck; /* that could go wrong; that did */
    char name[16];               /* of the call that did first */
    atomic_ullong of_kind[8];    /* calls by kind, in the order of kinds */
};
static struct counters nowhere, *counters = &nowhere;

enum call {
    OPEN,
    CREATE,
    READ,
    PREAD,
    WRITE,
    PWRITE,
    FSYNC,
    CLOSE,
    RENAME,
    LINK,
    SYMLINK,
    UNLINK,
    MKDIR,
    RMDIR,
    FTRUNCATE,
    CLONE,
    UTIMENS
};
static const char *const call_name[] = {"open",  "create", "read",      "pread", "write",   "pwrite",
                                        "fsync", "close",  "rename",    "link",  "symlink", "unlink",
                                        "mkdir", "rmdir",  "ftruncate", "clone", "utimens"};
#define BIT(c)  (1u << (c))
#define READS   (BIT(READ) | BIT(PREAD))
#define WRITES  (BIT(WRITE) | BIT(PWRITE))
#define NAMES   (BIT(RENAME) | BIT(LINK) | BIT(SYMLINK) | BIT(MKDIR))
#define CHANGES (WRITES | NAMES | BIT(CREATE) | BIT(UNLINK) | BIT(RMDIR) | BIT(FTRUNCATE) | BIT(CLONE))

#define NEEDS_SPACE (WRITES | NAMES | BIT(CREATE) | BIT(FTRUNCATE) | BIT(CLONE))

enum { SHORT = -1, CRASH = -2, POWER = -3, NOTHING = -4 };
static const struct kind {
    const char *name;
    int what; /* an errno, or one of the above */
    bool on;  /* all calls from the N-th on */
    unsigned calls;
} kinds[] = {
    {"none", NOTHING, false, ~0u},
    {"eio", EIO, false, ~0u},
    {"enospc", ENOSPC, false, NEEDS_SPACE | BIT(FSYNC) | BIT(CLOSE)},
    {"full", ENOSPC, true, NEEDS_SPACE},
    {"eintr", EINTR, false, READS | WRITES | BIT(OPEN) | BIT(CREATE) | BIT(FSYNC) | BIT(CLOSE)},
    {"short", SHORT, false, READS | WRITES},
    {"crash", CRASH, false, CHANGES | BIT(FSYNC)},
    {"power", POWER, false, CHANGES | BIT(FSYNC)},
};
static const struct kind *kind = &kinds[0];
static bool worker;
static unsigned long long at;

/* Is it this call's turn? */
static bool strike(enum call c)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        if (kinds[k].calls & BIT(c) && !(worker && kinds[k].what == POWER))
            atomic_fetch_add(&counters->of_kind[k], 1);
    if (!(kind->calls & BIT(c)))
        return false;
    unsigned long long n = atomic_fetch_add(&counters->calls, 1) + 1;
    if (n != at && !(kind->on && n > at && at))
        return false;
    if (atomic_fetch_add(&counters->struck, 1) == 0)
        snprintf(counters->name, sizeof counters->name, "%s", call_name[c]);
    return true;
}

/* True: the call is to fail, errno says how. Those that end the process end it here. */
static bool fails(enum call c)
{
    if (!strike(c) || kind->what == NOTHING)
        return false;
    if (kind->what == CRASH)
        _exit(77);
    if (kind->what == POWER)
        power_off();
    errno = kind->what;
    return true;
}

/* Bytes that go through of n; 0: it fails. A process that dies writing has written half. */
static size_t part(enum call c, size_t n)
{
    if (!strike(c) || kind->what == NOTHING)
        return n;
    if (kind->what > 0) {
        errno = kind->what;
        return 0;
    }
    return n > 1 ? n / 2 : n;
}

static void end_here(size_t asked, size_t given)
{
    if (given == asked && asked > 1)
        return;
    if (kind->what == CRASH && counters->struck)
        _exit(77);
    if (kind->what == POWER && counters->struck)
        power_off();
}

static bool journal; /* power */

static int f_open(const char *path, int flags, mode_t mode)
{
    bool created = flags & O_CREAT && access(path, F_OK) != 0;
    if (fails(created ? CREATE : OPEN))
        return -1;
    power_lock();
    int fd = fs_real.open(path, flags, mode);
    if (journal && fd >= 0)
        power_opened(fd, path, created, flags & O_TRUNC);
    power_unlock();
    return fd;
}

static ssize_t f_read(int fd, void *p, size_t n)
{
    n = n ? part(READ, n) : n;
    return n ? fs_real.read(fd, p, n) : -1;
}

static ssize_t f_pread(int fd, void *p, size_t n, off_t from)
{
    n = n ? part(PREAD, n) : n;
    return n ? fs_real.pread(fd, p, n, from) : -1;
}

static ssize_t put(enum call c, int fd, const void *p, size_t n, off_t to)
{
    size_t given = part(c, n);
    if (n && !given)
        return -1;
    power_lock();
    if (journal)
        power_writes(fd, c == WRITE ? -1 : to);
    ssize_t done = c == WRITE ? fs_real.write(fd, p, given) : fs_real.pwrite(fd, p, given, to);
    if (done > 0)
        end_here(n, given);
    power_unlock();
    return done;
}
static ssize_t f_write(int fd, const void *p, size_t n)
{
    return put(WRITE, fd, p, n, 0);
}
static ssize_t f_pwrite(int fd, const void *p, size_t n, off_t to)
{
    return put(PWRITE, fd, p, n, to);
}

static int f_fsync(int fd)
{
    if (fails(FSYNC))
        return -1;
    power_lock();
    if (journal)
        power_synced(fd);
    power_unlock();
    return 0;
}

static int f_close(int fd)
{
    int rc = fs_real.close(fd);
    return fails(CLOSE) ? -1 : rc;
}

/* A call that gives `path` its name. */
static int made(int rc, const char *path)
{
    if (journal && rc == 0)
        power_made(path);
    power_unlock();
    return rc;
}
static int f_link(const char *from, const char *to)
{
    if (fails(LINK))
        return -1;
    power_lock();
    return made(fs_real.link(from, to), to);
}
static int f_symlink(const char *target, const char *path)
{
    if (fails(SYMLINK))
        return -1;
    power_lock();
    return made(fs_real.symlink(target, path), path);
}
static int f_mkdir(const char *path, mode_t mode)
{
    if (fails(MKDIR))
        return -1;
    power_lock();
    return made(fs_real.mkdir(path, mode), path);
}

/* A call of which the journal was told beforehand. */
static int told(int rc)
{
    int saved = errno;
    if (journal && rc != 0)
        power_forget();
    power_unlock();
    errno = saved;
    return rc;
}
static int f_rename(const char *from, const char *to)
{
    if (fails(RENAME))
        return -1;
    power_lock();
    if (journal)
        power_renames(from, to);
    return told(fs_real.rename(from, to));
}
static int f_unlink(const char *path)
{
    if (fails(UNLINK))
        return -1;
    power_lock();
    if (journal)
        power_removes(path);
    return told(fs_real.unlink(path));
}
static int f_rmdir(const char *path)
{
    if (fails(RMDIR))
        return -1;
    power_lock();
    if (journal)
        power_removes(path);
    return told(fs_real.rmdir(path));
}

static int f_ftruncate(int fd, off_t n)
{
    if (fails(FTRUNCATE))
        return -1;
    power_lock();
    if (journal)
        power_writes(fd, n);
    power_unlock();
    return fs_real.ftruncate(fd, n);
}
static int f_clone(int to, int from)
{
    if (fails(CLONE))
        return -1;
    power_lock();
    if (journal)
        power_writes(to, 0);
    power_unlock();
    return fs_real.clone(to, from);
}
static int f_utimens(const char *path, const struct timespec t[2])
{
    return fails(UTIMENS) ? -1 : fs_real.utimens(path, t);
}
/* Another than that of the run after it: a machine that lost power has booted since. */
static const char *f_boot_id(void)
{
    return journal ? "before-the-power-loss" : fs_real.boot_id();
}

static const struct fs_ops faulty = {.open = f_open,
                                     .read = f_read,
                                     .write = f_write,
                                     .pread = f_pread,
                                     .pwrite = f_pwrite,
                                     .fsync = f_fsync,
                                     .close = f_close,
                                     .rename = f_rename,
                                     .link = f_link,
                                     .symlink = f_symlink,
                                     .unlink = f_unlink,
                                     .mkdir = f_mkdir,
                                     .rmdir = f_rmdir,
                                     .ftruncate = f_ftruncate,
                                     .clone = f_clone,
                                     .utimens = f_utimens,
                                     .boot_id = f_boot_id};

static _Noreturn void refuse(const char *why)
{
    fprintf(stderr, "weft-faulty: %s\n", why);
    _exit(3);
}

static void open_counters(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof *counters) != 0)
        refuse("WEFT_FAULT_OUT cannot be opened");
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (counters == MAP_FAILED)
        refuse("WEFT_FAULT_OUT cannot be mapped");
}

static void read_fault(const char *text)
{
    char name[16];
    unsigned long long n, seed = 0;
    if (sscanf(text, "%15[a-z]:%llu:%llu", name, &n, &seed) < 2)
        refuse("WEFT_FAULT is KIND:N[:SEED]");
    for (kind = kinds; strcmp(kind->name, name) != 0;)
        if (++kind == kinds + sizeof kinds / sizeof *kinds)
            refuse("WEFT_FAULT: no such kind");
    at = n;
    journal = kind->what == POWER;
    const char *store = getenv("WEFT_FAULT_STORE"), *aside = getenv("WEFT_FAULT_ASIDE");
    if (journal && (!store || !aside))
        refuse("power needs WEFT_FAULT_STORE and WEFT_FAULT_ASIDE");
    if (journal)
        power_begin(store, aside, seed, at);
}

int main(int argc, char **argv)
{
    const char *in = getenv("WEFT_FAULT_IN"), *fault = getenv("WEFT_FAULT"), *out = getenv("WEFT_FAULT_OUT");
    worker = argc > 1 && strcmp(argv[1], "worker") == 0;
    const char *role = worker ? "worker" : "engine";
    setlocale(LC_CTYPE, "C.UTF-8");
    if (fault && (!in || strcmp(in, "both") == 0 || strcmp(in, role) == 0)) {
        if (out)
            open_counters(out);
        read_fault(fault);
        fs = &faulty;
    }
    return cmd_main(argc, argv);
}
