/* Expanding a sweep of 1,000 points over the quickstart's pipeline: bench_sweep [RUNS]. Prints one JSON line
 * a run. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/spec/spec.h"
#include "engine/spec/sweep.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char sweep[] = "sweep:\n"
                            "  lambda: { range: [0, 0.9, 0.1] }\n"
                            "  proxies: { range: [50, 500, 50] }\n"
                            "  seed: { range: [0, 9, 1] }\n"
                            "objective: score.average, max\n";

/* Where the example's own sweep begins. */
static size_t own_sweep(const char *text)
{
    const char *at = strstr(text, "\nsweep:");
    return at ? (size_t)(at + 1 - text) : strlen(text);
}

int main(int argc, char **argv)
{
    char *text, path[] = "/tmp/weft-sweep-XXXXXX";
    size_t n;
    struct error err = {0};
    int fd = mkstemp(path);
    if (fd < 0 || !fs_read_file("examples/quickstart.yaml", &text, &n, &err) ||
        !fs_write_all(fd, text, own_sweep(text), path, &err) ||
        !fs_write_all(fd, sweep, strlen(sweep), path, &err)) {
        fprintf(stderr, "bench_sweep: %s\n", err.text);
        return 1;
    }
    close(fd);
    free(text);
    for (long i = 0; i < (argc > 1 ? strtol(argv[1], NULL, 10) : 1); i++) {
        struct spec *s;
        struct error *errors;
        int n_errors;
        double start = clock_seconds();
        if (!spec_read(path, &(struct spec_options){.sweep = true}, &s, &errors, &n_errors)) {
            fprintf(stderr, "bench_sweep: %s\n", errors[0].text);
            return 1;
        }
        printf("{\"name\": \"expand a sweep of %d points\", \"value\": %.4f, \"unit\": \"s\", "
               "\"points\": %d, \"tasks\": %d, \"shared\": %ld}\n",
               s->sweep->n, clock_seconds() - start, s->sweep->n, s->n, (long)s->sweep->tasks - s->n);
        spec_free(s);
    }
    unlink(path);
    return 0;
}
