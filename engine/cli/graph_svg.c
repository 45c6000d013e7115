/* A graph drawn by graphviz: `dot -Tsvg` as a child, its input and output in anonymous files, so that nothing
 * can block but its own work, which has a limit: large irregular graphs take it minutes. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "engine/cli/graphview.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define LIMIT 20 /* seconds */

extern char **environ;

static int spawn_dot(pid_t *pid, int in, int out, int errors)
{
    static const char *const argv[] = {"dot", "-Tsvg", NULL};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
    int rc = posix_spawnp(pid, "dot", &files, NULL, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

/* Wait for the end, but not longer than the limit. */
static bool wait_for(pid_t pid, const struct graphview *g, int *status, struct error *err)
{
    AUTO(fd) int fd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready;
    while ((ready = poll(&p, 1, LIMIT * 1000)) < 0 && errno == EINTR)
        ;
    if (ready <= 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
    return ready > 0 ||
           error_set(err, NULL, ERROR_TASK,
                     "dot did not draw %d nodes and %d edges in %d s: --collapse draws one node a "
                     "stage; --format dot writes the text, for another program",
                     g->n, g->n_edges, LIMIT);
}

/* What is in an anonymous file, from its beginning. */
static bool read_back(int fd, struct buf *out, struct error *err)
{
    char chunk[65536];
    ssize_t n;
    if (lseek(fd, 0, SEEK_SET) != 0)
        return error_errno(err, "cannot read what dot wrote");
    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno != EINTR)
            return error_errno(err, "cannot read what dot wrote");
        if (n > 0)
            buf_add(out, chunk, (size_t)n);
    }
    return true;
}

bool graph_svg(const struct graphview *g, struct buf *out, struct error *err)
{
    AUTO(buf) struct buf text = {0};
    AUTO(buf) struct buf said = {0};
    AUTO(fd) int in = memfd_create("weft-dot", MFD_CLOEXEC);
    AUTO(fd) int svg = memfd_create("weft-svg", MFD_CLOEXEC);
    AUTO(fd) int errors = memfd_create("weft-dot-errors", MFD_CLOEXEC);
    pid_t pid;
    int status = 0;
    graph_dot(g, &text);
    if (in < 0 || svg < 0 || errors < 0 || !fs_write_all(in, text.data, text.len, "dot", err) ||
        lseek(in, 0, SEEK_SET) != 0)
        return error_errno(err, "cannot make a file for dot");
    errno = spawn_dot(&pid, in, svg, errors);
    if (errno == ENOENT)
        return error_set(
            err, NULL, ERROR_INPUT,
            "--format svg needs the program 'dot' of graphviz: install it (apt install graphviz), or "
            "use --format dot or mermaid");
    if (errno)
        return error_errno(err, "cannot start 'dot'");
    if (!wait_for(pid, g, &status, err))
        return false;
    if (!read_back(errors, &said, err) || !read_back(svg, out, err))
        return false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || out->len == 0)
        return error_set(err, NULL, ERROR_TASK, "dot failed: %.*s", (int)strcspn(buf_str(&said), "\n"),
                         buf_str(&said));
    return true;
}
