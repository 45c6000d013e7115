/* What a task costs that does nothing: `true`, N times, two at a time. For ninja and parallel it is one of
 * the shell's own commands; weft and make start the program. bench_true data DIR N          write
 * DIR/experiment.yaml, DIR/build.ninja, DIR/Makefile bench_true weft DIR N WEFT     run it in a fresh store;
 * value: wall time for a task, with the worker, the program and the record bench_true ninja|make|parallel DIR
 * N With OWN=1 the value is CPU time for a task of that one process alone, as /proc/PID/stat has it at its
 * end.
 *
 * One JSON line a run. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static bool write_file(const char *dir, const char *name, const char *head, const char *row, const char *tail,
                       int n)
{
    AUTO(mem) char *path = xprintf("%s/%s", dir, name);
    AUTO(file) FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fputs(head, f);
    for (int i = 0; i < n; i++) {
        for (const char *c = row; *c; c++)
            if (*c == '#')
                fprintf(f, "%d", i);
            else
                fputc(*c, f);
    }
    fputs(tail, f);
    return !ferror(f);
}

static int make_data(const char *dir, int n)
{
    struct error err = {0};
    return fs_mkdirs(dir, &err) &&
                   write_file(dir, "experiment.yaml", "experiment: truth\nstages:\n  t:\n    foreach: [",
                              "#, ",
                              "x]\n    uses: command\n    outputs: {}\n"
                              "    with: { argv: ['true'], set: { N: '${item}' } }\n"
                              "    resources: { cores: 1 }\n",
                              n - 1) &&
                   write_file(dir, "build.ninja", "rule t\n  command = true\n", "build out/#: t\n", "", n) &&
                   write_file(dir, "Makefile", "all:", " out/#", "\nout/%:\n\ttrue\n", n)
               ? 0
               : 1;
}

/* Wall seconds of argv with its output thrown away, and CPU seconds of its own process; below 0: it failed.
 */
static double time_run(char *const *argv, double *ret_own)
{
    posix_spawn_file_actions_t files;
    pid_t pid;
    siginfo_t info;
    char path[64], text[1024] = "";
    unsigned long user = 0, sys = 0;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    double start = clock_seconds();
    bool ok = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&files);
    if (!ok || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0)
        return -1;
    double wall = clock_seconds() - start;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    AUTO(file) FILE *f = fopen(path, "r");
    if (f && fgets(text, sizeof text, f) && strrchr(text, ')'))
        sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
    *ret_own = (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
    int status;
    return waitpid(pid, &status, 0) == pid && status == 0 ? wall : -1;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench_true data DIR N | weft DIR N WEFT | ninja|make|parallel DIR N\n");
        return 2;
    }
    const char *what = argv[1], *dir = argv[2];
    int n = (int)strtol(argv[3], NULL, 10);
    if (strcmp(what, "data") == 0)
        return make_data(dir, n);
    AUTO(mem) char *store = xprintf("%s/store", dir);
    AUTO(mem) char *out = xprintf("%s/out", dir);
    AUTO(mem)
    char *weft = xprintf("exec %s run %s/experiment.yaml -q --cores 2 --store %s", argc > 4 ? argv[4] : "",
                         dir, store);
    AUTO(mem)
    char *peer = strcmp(what, "parallel") == 0 ? xprintf("cd %s && seq %d | parallel -j2 -n1 true", dir, n)
                                               : xprintf("exec %s -j2 -C %s", what, dir);
    bool ours = argc > 4;
    char *const run[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", ours ? weft : peer, NULL};
    fs_remove_tree(store, NULL);
    fs_remove_tree(out, NULL);
    double own, seconds = fs_mkdirs(out, NULL) ? time_run(run, &own) : -1;
    if (seconds < 0) {
        fprintf(stderr, "bench_true: %s failed\n", what);
        return 1;
    }
    bool cpu = getenv("OWN") != NULL;
    printf("{\"name\": \"%s, %d tasks\", \"value\": %.2f, \"unit\": \"us\"}\n",
           cpu ? "true: its own CPU" : "true", n, 1e6 * (cpu ? own : seconds) / n);
    fs_remove_tree(store, NULL);
    fs_remove_tree(out, NULL);
    return 0;
}
