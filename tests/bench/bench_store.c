/* Objects in and out of the store, beside the zstd program; from file to file, and neither syncs.
 *   bench_store data FILE weights|embeddings   write FILE: STORE_MIB (1024) MiB of float32; FILE.zst by
 *                                              zstd -3; FILE.store, a store that has it
 *   bench_store put FILE [zstd THREADS]        compress it
 *   bench_store first FILE [zstd THREADS]      decompress it for the first time: digest and checksums
 *   bench_store again FILE [zstd THREADS]      decompress it once more: checksums
 * One JSON line: MB/s of content; "stored": bytes of content by bytes of the compressed file. To zstd a file
 * is one core's work when it decompresses: as many programs as THREADS do the same at once, and all that they
 * decompress counts. Most of the time may go where the first touch of a page of memory does: that is why
 * nothing but neighbours in time is compared. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cache/store.h"
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define ROW      512
#define CLUSTERS 100

static int fail(const struct error *err)
{
    char text[4096];
    fprintf(stderr, "bench_store: %s\n", error_string(err, text, sizeof text));
    return 1;
}

static int no_sync(int fd)
{
    return 0;
}

/* ---- the data ---- */

/* Weights as training leaves them: normal, each row of a scale of its own. */
static void weights(float *x, int64_t row)
{
    struct rng r = rng_at(rng_stream(1, "bench.weights"), (uint64_t)row, 0);
    float scale = 0.02f * (0.5f + rng_uniform(&r));
    for (int i = 0; i < ROW; i++)
        x[i] = scale * rng_normal(&r);
}

/* Rows of unit length around centres. */
static void embeddings(float *x, int64_t row)
{
    struct rng_stream s = rng_stream(1, "bench.embeddings");
    struct rng r = rng_at(s, (uint64_t)row, 0), centre = rng_at(s, rng_below(&r, CLUSTERS), 1);
    float square = 0;
    for (int i = 0; i < ROW; i++) {
        x[i] = rng_normal(&centre) + 0.6f * rng_normal(&r);
        square += x[i] * x[i];
    }
    for (int i = 0; i < ROW; i++)
        x[i] /= sqrtf(square);
}

static bool write_floats(const char *path, void (*fill)(float *x, int64_t row), int64_t bytes,
                         struct error *err)
{
    const int64_t rows = 8192;
    AUTO(mem) float *x = xmalloc((size_t)rows * ROW * sizeof *x);
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(err, "cannot create '%s'", path);
    for (int64_t done = 0; done < bytes; done += rows * ROW * (int64_t)sizeof *x) {
        int64_t first = done / (ROW * (int64_t)sizeof *x);
#pragma omp parallel for
        for (int64_t i = 0; i < rows; i++)
            fill(x + i * ROW, first + i);
        if (!fs_write_all(fd, x, (size_t)rows * ROW * sizeof *x, path, err))
            return false;
    }
    return true;
}

/* ---- runs ---- */

#define MOST 64 /* programs at once */

/* n programs at once; argv[k] are the words of one. */
static bool run(const char *argv[][9], int n, struct error *err)
{
    pid_t pid[MOST];
    int started = 0, status;
    bool ok = true;
    for (; ok && started < n && started < MOST; started += ok)
        ok = posix_spawnp(&pid[started], argv[started][0], NULL, NULL,
                          (char *const *)(uintptr_t)argv[started], environ) == 0;
    for (int k = 0; k < started; k++)
        ok = waitpid(pid[k], &status, 0) == pid[k] && status == 0 && ok;
    return ok || error_set(err, NULL, ERROR_SYSTEM, "'%s' failed", argv[0][0]);
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static int64_t stored_size(const char *store, const struct digest *d)
{
    char hex[DIGEST_HEX];
    digest_hex(d, hex);
    AUTO(mem) char *path = xprintf("%s/objects/%.2s/%s", store, hex, hex + 2);
    return size_of(path);
}

static bool put(const char *file, const char *path, double *ret_seconds, int64_t *ret_stored,
                struct error *err)
{
    AUTO(store) struct store *s = NULL;
    struct digest d;
    int64_t size;
    if (!store_open(path, &s, err))
        return false;
    double start = clock_seconds();
    if (!store_put_file(s, file, &d, &size, err) || !store_flush(s, err))
        return false;
    *ret_seconds = clock_seconds() - start;
    *ret_stored = stored_size(path, &d);
    return true;
}

static bool get(const char *file, const char *path, const char *to, bool first, double *ret_seconds,
                struct error *err)
{
    AUTO(store) struct store *s = NULL;
    AUTO(mem) char *verified = xprintf("%s/verified", path);
    struct digest d;
    int64_t size;
    if (!hash_file(file, &d, &size, err) || !store_open(path, &s, err))
        return false;
    if (first)
        unlink(verified);
    double start = clock_seconds();
    if (!store_get_file(s, &d, size, to, err))
        return false;
    *ret_seconds = clock_seconds() - start;
    return true;
}

/* Compress by one program with threads, decompress by as many programs. */
static bool zstd(const char *what, const char *file, const char *threads, double *ret_seconds,
                 int64_t *ret_stored, struct error *err)
{
    AUTO(mem) char *packed = xprintf("%s.zst", file);
    AUTO(mem) char *t = xprintf("-T%s", threads);
    char *out[MOST];
    const char *argv[MOST][9];
    bool is_put = strcmp(what, "put") == 0;
    long n = is_put ? 1 : strtol(threads, NULL, 10);
    n = n < 1 ? 1 : n > MOST ? MOST : n;
    for (int k = 0; k < n; k++) {
        out[k] = xprintf("%s.out%d", file, k);
        const char *const words[2][9] = {{"zstd", "-d", "-q", "-f", packed, "-o", out[k], NULL},
                                         {"zstd", "-3", "-q", "-f", t, file, "-o", out[k], NULL}};
        memcpy(argv[k], words[is_put], sizeof argv[k]);
    }
    double start = clock_seconds();
    bool ok = run(argv, (int)n, err);
    *ret_seconds = (clock_seconds() - start) / (double)n;
    *ret_stored = size_of(is_put ? out[0] : packed);
    for (int k = 0; k < n; k++) {
        unlink(out[k]);
        free(out[k]);
    }
    return ok;
}

static int measure(const char *what, const char *file, const char *threads)
{
    struct error err = {0};
    double seconds = 0;
    int64_t size = size_of(file), stored = 0;
    AUTO(mem) char *fresh = xprintf("%s.fresh", file);
    AUTO(mem) char *store = xprintf("%s.store", file);
    AUTO(mem) char *out = xprintf("%s.out", file);
    bool is_put = strcmp(what, "put") == 0;
    bool ok = threads  ? zstd(what, file, threads, &seconds, &stored, &err)
              : is_put ? put(file, fresh, &seconds, &stored, &err)
                       : get(file, store, out, strcmp(what, "first") == 0, &seconds, &err);
    fs_remove_tree(fresh, NULL);
    unlink(out);
    if (!ok)
        return fail(&err);
    const char *slash = strrchr(file, '/');
    printf("{\"name\": \"%s %s\", \"value\": %.1f, \"unit\": \"MB/s\"", what, slash ? slash + 1 : file,
           1e-6 * (double)size / seconds);
    if (is_put)
        printf(", \"stored\": %.4f", (double)size / (double)stored);
    puts("}");
    return 0;
}

static int make_data(const char *file, const char *kind)
{
    struct error err = {0};
    double seconds;
    int64_t stored;
    const char *mib = getenv("STORE_MIB");
    AUTO(mem) char *packed = xprintf("%s.zst", file);
    AUTO(mem) char *store = xprintf("%s.store", file);
    const char *argv[1][9] = {{"zstd", "-3", "-q", "-f", file, "-o", packed, NULL}};
    bool ok = write_floats(file, strcmp(kind, "weights") == 0 ? weights : embeddings,
                           (int64_t)(mib ? strtol(mib, NULL, 10) : 1024) << 20, &err) &&
              put(file, store, &seconds, &stored, &err) && run(argv, 1, &err);
    return ok ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
    struct fs_ops ops = fs_real;
    ops.fsync = no_sync;
    fs = &ops;
    if (argc == 4 && strcmp(argv[1], "data") == 0)
        return make_data(argv[2], argv[3]);
    if (argc == 3 || argc == 5)
        return measure(argv[1], argv[2], argc == 5 ? argv[4] : NULL);
    fprintf(stderr, "usage: bench_store data FILE KIND | put|first|again FILE [zstd THREADS]\n");
    return 2;
}
