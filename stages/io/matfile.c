/* matio brings HDF5 and libcurl along, some thirty libraries; linked as the others are, each process of ours
 * would map them, for one data set that somebody may import. See base/curl.c. */
#include "stages/io/matfile.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <dlfcn.h>
#include <matio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ELEMENTS_MAX (1 << 26)

#define NAMES(X)                                                                                             \
    X(Open)                                                                                                  \
    X(Close)                                                                                                 \
    X(VarReadInfo)                                                                                           \
    X(VarReadDataAll)                                                                                        \
    X(VarFree)

#define POINTER(name) __typeof__(Mat_##name) *name;
static struct {
    NAMES(POINTER)
    bool whole;
} lib;

static void load(void)
{
    static const char *const file[] = {"libmatio.so.11", "libmatio.so"}; /* Debian 12's, and any */
    void *so = NULL;
    for (size_t i = 0; i < 2 && !so; i++)
        so = dlopen(file[i], RTLD_NOW | RTLD_LOCAL);
    lib.whole = so != NULL;
#define FIND(name)                                                                                           \
    *(void **)&lib.name = so ? dlsym(so, "Mat_" #name) : NULL;                                               \
    lib.whole = lib.whole && lib.name;
    NAMES(FIND)
}

static void mat_auto(mat_t **m)
{
    if (*m)
        lib.Close(*m);
}

static void var_auto(matvar_t **v)
{
    lib.VarFree(*v);
}

/* Files of version 7.3 are HDF5, which writes on stderr what it does not like: refused before matio sees
 * them. From version 5 on the first four bytes are text, and the version is at 124 in the order of bytes of
 * the writer. */
static bool check_version(const char *path, struct error *err)
{
    AUTO(map) struct map m = {0};
    if (!map_open(&m, path, err))
        return false;
    if (m.size < 128 || !m.data[0] || !m.data[1] || !m.data[2] || !m.data[3] ||
        (m.data[124] != 2 && m.data[125] != 2))
        return true;
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s' is a MATLAB file of version 7.3 (HDF5), which is not supported: save it with -v7",
                     path);
}

/* As a double, which holds whole numbers up to 2^53; false: no numeric class. */
static bool element(const matvar_t *v, size_t i, double *ret)
{
#define ELEMENT(class, type)                                                                                 \
    case class:                                                                                              \
        *ret = (double)((const type *)v->data)[i];                                                           \
        return true;
    switch (v->class_type) {
        ELEMENT(MAT_C_DOUBLE, double)
        ELEMENT(MAT_C_SINGLE, float)
        ELEMENT(MAT_C_INT8, int8_t)
        ELEMENT(MAT_C_UINT8, uint8_t)
        ELEMENT(MAT_C_INT16, int16_t)
        ELEMENT(MAT_C_UINT16, uint16_t)
        ELEMENT(MAT_C_INT32, int32_t)
        ELEMENT(MAT_C_UINT32, uint32_t)
        ELEMENT(MAT_C_INT64, int64_t)
        ELEMENT(MAT_C_UINT64, uint64_t)
    default:
        return false;
    }
}

static bool vector_length(const matvar_t *v, size_t *ret, struct error *err)
{
    size_t longest = 1, all = 1;
    for (int i = 0; i < v->rank && all && all <= ELEMENTS_MAX; i++) {
        longest = v->dims[i] > longest ? v->dims[i] : longest;
        all = v->dims[i] > ELEMENTS_MAX ? v->dims[i] : all * v->dims[i];
    }
    *ret = all;
    if (!all || all > ELEMENTS_MAX || all != longest || v->isComplex)
        return error_set(err, NULL, ERROR_INPUT, "it must be a vector of real numbers, of 1 to %d elements",
                         ELEMENTS_MAX);
    return true;
}

static bool whole_numbers(const matvar_t *v, size_t n, int64_t **ret, struct error *err)
{
    AUTO(mem) int64_t *x = xcalloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        double d;
        if (!element(v, i, &d))
            return error_set(err, NULL, ERROR_INPUT, "it must be a vector of numbers");
        if (!(d >= -9007199254740992.0 && d <= 9007199254740992.0) || d != (double)(int64_t)d)
            return error_set(err, NULL, ERROR_INPUT, "element %zu is %g, no whole number", i + 1, d);
        x[i] = (int64_t)d;
    }
    *ret = x;
    x = NULL;
    return true;
}

static bool read_vector(const char *path, const char *name, int64_t **ret, size_t *ret_n, struct error *err)
{
    if (!check_version(path, err))
        return false;
    AUTO(mat) mat_t *m = lib.Open(path, MAT_ACC_RDONLY);
    if (!m)
        return error_set(err, NULL, ERROR_INPUT, "'%s' is not a MATLAB file, or is damaged", path);
    AUTO(var) matvar_t *v = lib.VarReadInfo(m, name);
    if (!v)
        return error_set(err, NULL, ERROR_INPUT, "'%s' has no array '%s', or is damaged", path, name);
    if (!vector_length(v, ret_n, err))
        return error_context(err, "'%s': array '%s'", path, name);
    if (lib.VarReadDataAll(m, v) != 0 || !v->data || v->nbytes / *ret_n != (size_t)v->data_size)
        return error_set(err, NULL, ERROR_INPUT, "'%s': array '%s' is damaged", path, name);
    return whole_numbers(v, *ret_n, ret, err) || error_context(err, "'%s': array '%s'", path, name);
}

bool matfile_vector(const char *path, const char *name, int64_t **ret, size_t *ret_n, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!lib.whole)
        return error_set(err, NULL, ERROR_SYSTEM,
                         "cannot read '%s': matio cannot be loaded (on Debian, install libmatio11)", path);
    return read_vector(path, name, ret, ret_n, err);
}
