/* Its files and their ages, what goes from it, and other processes that use it. */
#ifndef TESTS_STORE_ROOM_H
#define TESTS_STORE_ROOM_H
#include "cache/gc.h"
#include "cache/pin.h"
#include "tests/store/entries.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static inline char *file_of(const char *folder, const struct digest *d)
{
    AUTO(store) struct store *s = open_store();
    return store_file(s, folder, d);
}
/* Last used (a record) or written (an object) so many seconds ago. */
static inline void set_age(const char *folder, const struct digest *d, double seconds)
{
    AUTO(mem) char *file = file_of(folder, d);
    bool record = strcmp(folder, "records") == 0;
    const struct timespec then = {.tv_sec = time(NULL) - (time_t)seconds}, omit = {.tv_nsec = UTIME_OMIT};
    const struct timespec t[2] = {record ? then : omit, record ? omit : then};
    assert_int_equal(fs->utimens(file, t), 0);
}
static inline void set_used(const char *name, double days)
{
    struct digest key = key_of(name);
    set_age("records", &key, days * DAY);
}
/* Bytes of objects and records. */
static inline int64_t size_of_store(void)
{
    static const char *const folder[] = {"objects", "records"};
    int64_t bytes = 0;
    for (int i = 0; i < 2; i++) {
        AUTO(mem) char *dir = xprintf("%s/store/%s", root, folder[i]);
        char **list;
        size_t n;
        assert_true(fs_list_tree(dir, &list, &n, NULL));
        for (size_t k = 0; k < n; k++) {
            AUTO(mem) char *path = xprintf("%s/%s", dir, list[k]);
            struct stat st;
            bytes += lstat(path, &st) == 0 ? st.st_size : 0;
        }
        fs_list_free(list, n);
    }
    return bytes;
}

static inline struct gc_report gc_with(const struct gc_options *o)
{
    AUTO(store) struct store *s = open_store();
    struct gc_report r;
    struct error err = {0};
    if (!store_gc(s, o, &r, &err))
        fail_msg("%s", err.text);
    return r;
}
static inline struct gc_report gc_to(int64_t size)
{
    return gc_with(&(struct gc_options){.max_size = size});
}
static inline void pin(const char *name, const char *of)
{
    AUTO(store) struct store *s = open_store();
    AUTO(mem) char *own = xstrdup(name);
    struct digest key = key_of(of);
    struct error err = {0};
    if (!pin_put(s, &(struct pin){.name = own, .key = &key, .n = 1}, &err))
        fail_msg("%s", err.text);
}

/* Another process, which lives until it is ended: it says on a pipe when it has done `work`. */
static inline pid_t other_process(bool (*work)(struct store *s))
{
    int ready[2];
    char c = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct store *s = open_store();
        c = work(s) ? 'y' : 'n';
        (void)!write(ready[1], &c, 1);
        pause();
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    assert_int_equal(c, 'y');
    return pid;
}
static inline void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}
#endif
