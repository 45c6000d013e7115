#include "engine/exec/environment.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/versions.h"
#include "stages/tensor/gemm.h"
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

/* ---- the commit, without git ---- */

/* The first line of a file; malloc'd, NULL: it cannot be read. */
static char *first_line(const char *path)
{
    char *text;
    size_t n;
    if (!fs_exists(path) || !fs_read_file(path, &text, &n, NULL))
        return NULL;
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

/* A path that a file of git gives, which may be relative to the file's folder. */
static char *beside(const char *folder, const char *path)
{
    return *path == '/' ? xstrdup(path) : xprintf("%s/%s", folder, path);
}

/* .git of a folder: itself, or where the file of a worktree or submodule points; NULL: there is none. */
static char *git_folder(const char *folder)
{
    AUTO(mem) char *git = xprintf("%s/.git", folder);
    if (fs_is_dir(git))
        return xstrdup(git);
    AUTO(mem) char *line = first_line(git);
    return line && strncmp(line, "gitdir: ", 8) == 0 ? beside(folder, line + 8) : NULL;
}

/* A name that is in no file of its own: lines "HEX NAME". */
static char *packed_ref(const char *git, const char *name)
{
    AUTO(mem) char *path = xprintf("%s/packed-refs", git);
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_exists(path) || !fs_read_file(path, &text, &n, NULL))
        return NULL;
    for (char *line = text, *next; line; line = next) {
        if ((next = strchr(line, '\n')))
            *next++ = '\0';
        const char *space = strchr(line, ' ');
        if (space && strcmp(space + 1, name) == 0)
            return xstrndup(line, (size_t)(space - line));
    }
    return NULL;
}

static char *resolve_head(const char *git)
{
    AUTO(mem) char *head_path = xprintf("%s/HEAD", git);
    AUTO(mem) char *common_path = xprintf("%s/commondir", git);
    AUTO(mem) char *head = first_line(head_path);
    AUTO(mem) char *common_name = first_line(common_path);
    AUTO(mem) char *common = beside(git, common_name ? common_name : ".");
    if (!head || strncmp(head, "ref: ", 5) != 0)
        return head ? xstrdup(head) : NULL;
    AUTO(mem) char *own = xprintf("%s/%s", git, head + 5);
    AUTO(mem) char *shared = xprintf("%s/%s", common, head + 5);
    char *commit = first_line(own);
    commit = commit ? commit : first_line(shared);
    return commit ? commit : packed_ref(common, head + 5);
}

char *environment_commit(const char *folder)
{
    char path[4096];
    if (!realpath(*folder ? folder : ".", path))
        return NULL;
    for (;;) {
        AUTO(mem) char *git = git_folder(path);
        char *commit = git ? resolve_head(git) : NULL;
        size_t n = commit ? strlen(commit) : 0;
        if (n && strspn(commit, "0123456789abcdef") == n)
            return commit;
        free(commit);
        char *slash = strrchr(path, '/');
        if (git || !slash || slash == path)
            return NULL;
        *slash = '\0';
    }
}

/* ---- this machine ---- */

/* "model name : AMD EPYC" of /proc/cpuinfo, of which the first page is read: the kernel makes it as it is
 * read, for each CPU anew. */
static json_t *cpu_model(void)
{
    char text[4096];
    AUTO(fd) int fd = fs_open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = fd >= 0 ? fs->read(fd, text, sizeof text - 1) : 0;
    text[n > 0 ? n : 0] = '\0';
    char *at = strstr(text, "model name");
    if (!at || !(at = strchr(at, ':')))
        return NULL;
    at += 1 + strspn(at + 1, " \t");
    return json_stringn(at, strcspn(at, "\n"));
}

/* {"package": 2, "L3": 8, "core": 64, "hardware thread": 128}: how many objects of each type. */
static void count_objects(const struct topo_object *o, json_t *count)
{
    for (; o; o = o->next) {
        json_object_set_new(count, o->type, json_integer(json_int_or(count, o->type, 0) + 1));
        if (!o->child)
            json_object_set_new(count, "hardware thread",
                                json_integer(json_int_or(count, "hardware thread", 0) + o->threads));
        count_objects(o->child, count);
    }
}

static json_t *machines(const struct machine *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->n; i++) {
        json_t *count = json_object();
        if (m->node[i].topo)
            count_objects(topo_root(m->node[i].topo), count);
        json_array_append_new(list, json_pack("{s:s, s:i, s:I, s:o}", "name", m->node[i].name, "cores",
                                              m->node[i].cores, "memory", (json_int_t)m->node[i].memory,
                                              "topology", count));
    }
    return list;
}

/* ---- what was asked for ---- */

/* Text without the user and password of a URL in it. */
static char *without_password(const char *text)
{
    const char *from = strstr(text, "://"), *end = from ? from + 3 + strcspn(from + 3, "/ ") : NULL;
    const char *at = from ? memrchr(from, '@', (size_t)(end - from)) : NULL;
    return at ? xprintf("%.*s%s", (int)(from + 3 - text), text, at + 1) : xstrdup(text);
}

static json_t *text_json(const char *text)
{
    AUTO(mem) char *plain = without_password(text);
    json_t *j = json_string(plain);
    return j ? j : json_string("(not UTF-8)");
}

static json_t *command_line(void)
{
    AUTO(mem) char *text = NULL;
    size_t n = 0;
    json_t *list = json_array();
    if (!fs_read_file("/proc/self/cmdline", &text, &n, NULL))
        return list;
    for (const char *word = text; word < text + n; word += strlen(word) + 1)
        json_array_append_new(list, text_json(word));
    return list;
}

/* Those of OpenMP, BLIS and weft itself, and which job of Slurm this is. */
static json_t *variables(void)
{
    static const char *const families[] = {"OMP", "GOMP", "BLIS", "WEFT"};
    json_t *o = json_object();
    for (char **v = environ; *v; v++) {
        size_t family = strcspn(*v, "_="), name = strcspn(*v, "=");
        bool ours = strncmp(*v, "SLURM_JOB_ID=", 13) == 0;
        for (size_t i = 0; i < sizeof families / sizeof *families; i++)
            ours = ours || ((*v)[family] == '_' && strlen(families[i]) == family &&
                            strncmp(*v, families[i], family) == 0);
        if (!ours || (*v)[name] != '=')
            continue;
        AUTO(mem) char *key = xstrndup(*v, name);
        json_object_set_new(o, key, text_json(*v + name + 1));
    }
    return o;
}

static json_t *experiment_json(const char *file)
{
    const char *slash = strrchr(file, '/');
    AUTO(mem) char *folder = slash ? xstrndup(file, (size_t)(slash - file) + 1) : xstrdup(".");
    AUTO(mem) char *commit = environment_commit(folder);
    return json_pack("{s:s, s:s*}", "file", file, "commit", commit);
}

json_t *environment_json(const struct machine *m, const char *experiment)
{
    struct utsname u = {0};
    uname(&u);
    AUTO(mem) char *kernel = xprintf("%s %s", u.sysname, u.release);
    json_t *o = json_object();
    const struct {
        const char *name;
        json_t *value;
    } member[] = {
        {"weft", json_pack("{s:s, s:s, s:s}", "commit", versions_commit, "date", versions_commit_date,
                           "compiler", __VERSION__)},
        {"libraries", versions_libraries()},
        {"blis_kernels", json_string(gemm_kernels())},
        {"host", json_string(u.nodename)},
        {"kernel", json_string(kernel)},
        {"architecture", json_string(u.machine)},
        {"cpu", cpu_model()},
        {"memory", json_integer((json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE))},
        {"nodes", machines(m)},
        {"experiment", experiment_json(experiment)},
        {"command", command_line()},
        {"variables", variables()},
    };
    for (size_t i = 0; i < sizeof member / sizeof *member; i++)
        if (member[i].value)
            json_object_set_new(o, member[i].name, member[i].value);
    return o;
}
