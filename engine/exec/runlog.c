#include "engine/exec/runlog.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#define NAME_LONGEST 200
#define PENDING      65536 /* bytes of events that wait, at most */
#define WAIT         0.05  /* and seconds */

struct runlog {
    char *store, *id;
    int fd;
    bool torn; /* the last line may have no end */
    struct buf pending;
    struct json_out event; /* the last of them, while it is told */
    double since;          /* the first of them waits, seconds of the monotonic clock */
    time_t second;         /* of `when`: events come by the thousand in one */
    char when[32];
};

static void time_text(time_t now, const char *format, char *out, size_t n)
{
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(out, n, format, &tm);
}

/* Several runs may begin in one second: each takes the next free number. */
static bool make_folder(struct runlog *l, const char *stamp, struct error *err)
{
    for (int i = 0; i < 1000; i++) {
        free(l->id);
        l->id = xprintf("%s-%03d", stamp, i);
        AUTO(mem) char *dir = xprintf("%s/runs/%s", l->store, l->id);
        AUTO(mem) char *logs = xprintf("%s/log", dir);
        if (fs->mkdir(dir, 0777) == 0)
            return fs_mkdirs(logs, err);
        if (errno != EEXIST)
            return error_errno(err, "cannot create folder '%s'", dir);
    }
    return error_set(err, NULL, ERROR_SYSTEM, "cannot create a folder for this run in '%s/runs'", l->store);
}

bool runlog_open(const char *store, struct runlog **ret, struct error *err)
{
    char stamp[32];
    time_text(time(NULL), "%Y%m%dT%H%M%SZ", stamp, sizeof stamp);
    struct runlog *l = xcalloc(1, sizeof *l);
    *l = (struct runlog){.store = xstrdup(store), .fd = -1};
    if (!make_folder(l, stamp, err)) {
        runlog_close(l);
        return false;
    }
    AUTO(mem) char *events = xprintf("%s/runs/%s/events.jsonl", store, l->id);
    l->fd = fs_open(events, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (l->fd < 0) {
        error_errno(err, "cannot create '%s'", events);
        runlog_close(l);
        return false;
    }
    while (flock(l->fd, LOCK_EX) != 0 && errno == EINTR) /* a file system without locks: it looks dead */
        ;
    *ret = l;
    return true;
}

bool runlog_alive(const char *store, const char *id)
{
    AUTO(mem) char *events = xprintf("%s/runs/%s/events.jsonl", store, id);
    AUTO(fd) int fd = fs_open(events, O_RDONLY, 0);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

char *runlog_status_path(const char *store, const char *id)
{
    return xprintf("%s/runs/%s/status.json", store, id);
}

void runlog_close(struct runlog *l)
{
    if (!l)
        return;
    runlog_flush(l);
    buf_done(&l->pending);
    if (l->fd >= 0)
        fs->close(l->fd);
    free(l->store);
    free(l->id);
    free(l);
}

const char *runlog_id(const struct runlog *l)
{
    return l->id;
}

char *runlog_dir(const struct runlog *l)
{
    return xprintf("%s/runs/%s", l->store, l->id);
}

void runlog_flush(struct runlog *l)
{
    if (l->fd >= 0 && l->pending.len)
        l->torn = !fs_write_all(l->fd, l->pending.data, l->pending.len, "events.jsonl", NULL);
    l->pending.len = 0;
}

int runlog_due(const struct runlog *l)
{
    double left = l->since + WAIT - clock_seconds();
    return !l->pending.len ? -1 : left > 0 ? (int)(1000 * left) + 1 : 0;
}

const char *runlog_now(struct runlog *l)
{
    time_t now = time(NULL);
    if (now != l->second)
        time_text(now, "%Y-%m-%dT%H:%M:%SZ", l->when, sizeof l->when);
    l->second = now;
    return l->when;
}

struct json_out *runlog_begin(struct runlog *l, double at)
{
    l->since = l->pending.len ? l->since : clock_seconds();
    if (l->torn && !l->pending.len)
        buf_putc(&l->pending, '\n');
    l->event = (struct json_out){.to = &l->pending};
    json_out_object(&l->event, NULL);
    json_out_seconds(&l->event, "at", at);
    json_out_text(&l->event, "time", runlog_now(l));
    return &l->event;
}

void runlog_end(struct runlog *l, bool soon)
{
    json_out_end(&l->event);
    buf_putc(&l->pending, '\n');
    if (!soon || l->pending.len > PENDING)
        runlog_flush(l);
}

char *runlog_path(const char *store, const char *id, const char *task)
{
    AUTO(buf) struct buf name = {0};
    for (const char *c = task; *c; c++) /* a coordinate may hold any character but [ ] , * */
        if (*c == '/' || *c == '%' || (unsigned char)*c < ' ')
            buf_printf(&name, "%%%02X", (unsigned)*c);
        else
            buf_putc(&name, *c);
    struct digest d;
    char hex[DIGEST_HEX] = "";
    if (name.len > NAME_LONGEST) { /* more than a file's name can hold */
        hash_bytes(task, strlen(task), &d);
        digest_hex(&d, hex);
    }
    return xprintf("%s/runs/%s/log/%.*s%s.log", store, id, *hex ? 100 : NAME_LONGEST, buf_str(&name), hex);
}

char *runlog_task_log(const struct runlog *l, const char *task)
{
    return runlog_path(l->store, l->id, task);
}

static int newest_first(const void *a, const void *b)
{
    return -strcmp(*(char *const *)a, *(char *const *)b);
}

bool runlog_list(const char *store, char ***ret, size_t *ret_n, struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/runs", store);
    DIR *d = fs_opendir(path);
    if (!d)
        return error_errno(err, "cannot open folder '%s'", path);
    size_t n = 0, cap = 0;
    char **list = NULL;
    const struct dirent *e;
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        list = xgrow(list, &cap, n + 1, sizeof *list);
        list[n++] = xstrdup(e->d_name);
    }
    closedir(d);
    if (n)
        qsort(list, n, sizeof *list, newest_first);
    *ret = list;
    *ret_n = n;
    return true;
}

bool runlog_read(const char *store, const char *id, bool (*see)(void *arg, const json_t *event), void *arg,
                 struct error *err)
{
    AUTO(mem) char *path = xprintf("%s/runs/%s/events.jsonl", store, id);
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_read_file(path, &text, &n, err))
        return false;
    for (const char *at = text, *end; (end = memchr(at, '\n', (size_t)(text + n - at))); at = end + 1) {
        AUTO_JSON event = json_parse(at, (size_t)(end - at), path, NULL);
        if (json_is_object(event) && !see(arg, event))
            break;
    }
    return true;
}
