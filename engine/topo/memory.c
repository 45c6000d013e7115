/* How much memory a process may use: what the kernel has, and the limits of its control groups, of which
 * there are two versions, often both at once. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/topo/topo_impl.h"
#include <string.h>

/* A number at the start of a small file; INT64_MAX: no such file, or no number, as "max". */
static int64_t file_number(const char *path)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    char *end;
    if (!fs_read_file(path, &text, &n, NULL))
        return INT64_MAX;
    unsigned long long x = strtoull(text, &end, 10);
    return end == text || x > INT64_MAX ? INT64_MAX : (int64_t)x;
}

/* The least number that `file` has in the folder `group` of the control groups at `mount`, or in one above
 * it. Inside a container the mount may show a part only, to which the path does not lead; what there is
 * counts. */
static int64_t least_up(const char *mount, const char *group, const char *file)
{
    AUTO(mem) char *path = xstrdup(group);
    for (int64_t least = INT64_MAX;;) {
        AUTO(mem) char *name = xprintf("%s%s/%s", mount, path, file);
        int64_t limit = file_number(name);
        least = limit < least ? limit : least;
        char *slash = strrchr(path, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* Is `word` one of a list that commas part? */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (strncmp(at, word, n) == 0 && (at[n] == ',' || !at[n]))
            return true;
    return false;
}

/* "\040" is a blank in the kernel's lists of mounts. */
static void unescape(char *path)
{
    char *to = path;
    for (const char *at = path; *at; to++)
        if (at[0] == '\\' && at[1] && at[2] && at[3]) {
            *to = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 4;
        } else {
            *to = *at++;
        }
    *to = '\0';
}

/* Where the control groups of version 2, or those of version 1 that count memory, are mounted; malloc'd. */
static char *mount_of(const char *mounts, bool v2)
{
    AUTO(mem) char *text = xstrdup(mounts);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *more = NULL, *path, *type, *options; /* of "device path type options 0 0" */
        if (!strtok_r(line, " ", &more) || !(path = strtok_r(NULL, " ", &more)) ||
            !(type = strtok_r(NULL, " ", &more)) || !(options = strtok_r(NULL, " ", &more)))
            continue;
        if (v2 ? strcmp(type, "cgroup2") != 0 : strcmp(type, "cgroup") != 0 || !has_word(options, "memory"))
            continue;
        unescape(path);
        return xstrdup(path);
    }
    return NULL;
}

int64_t memory_of_cgroups(const char *cgroup, const char *mounts)
{
    AUTO(mem) char *text = xstrdup(cgroup);
    char *rest = NULL;
    int64_t least = INT64_MAX;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) /* of "id:controllers:/group" */
            continue;
        *group++ = '\0';
        bool v2 = !controllers[1];
        if (!v2 && !has_word(controllers + 1, "memory"))
            continue;
        AUTO(mem) char *mount = mount_of(mounts, v2);
        int64_t limit =
            mount ? least_up(mount, group, v2 ? "memory.max" : "memory.limit_in_bytes") : INT64_MAX;
        least = limit < least ? limit : least;
    }
    return least;
}

/* A line of /proc/meminfo such as "MemTotal:"; INT64_MAX when it is not there. */
static int64_t kernel_memory(const char *line)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_read_file("/proc/meminfo", &text, &n, NULL))
        return INT64_MAX;
    const char *at = strstr(text, line);
    long long kib = at ? strtoll(at + strlen(line), NULL, 10) : 0;
    return kib > 0 ? (int64_t)kib * 1024 : INT64_MAX;
}

static int64_t cgroups_of_self(void)
{
    AUTO(mem) char *cgroup = NULL;
    AUTO(mem) char *mounts = NULL;
    size_t n;
    if (!fs_read_file("/proc/self/cgroup", &cgroup, &n, NULL) ||
        !fs_read_file("/proc/self/mounts", &mounts, &n, NULL))
        return INT64_MAX;
    return memory_of_cgroups(cgroup, mounts);
}

/* The sum over all nodes is the kernel's number, or less where memory was added since it started: then the
 * nodes' numbers are old. */
int64_t memory_of_machine(int64_t nodes, bool all)
{
    int64_t kernel = kernel_memory("MemTotal:"), limit = cgroups_of_self();
    int64_t usable = kernel == INT64_MAX || (!all && nodes < kernel) ? nodes : kernel;
    return limit < usable ? limit : usable;
}

int64_t topo_memory_free(void)
{
    return kernel_memory("MemAvailable:");
}
