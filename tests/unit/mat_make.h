/* MATLAB files for tests, written by matio, which is loaded as the library under test loads it. */
#ifndef TESTS_UNIT_MAT_MAKE_H
#define TESTS_UNIT_MAT_MAKE_H
#include <dlfcn.h>
#include <matio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct mat_array {
    const char *name;
    enum matio_classes class; /* MAT_C_DOUBLE, MAT_C_UINT8, MAT_C_UINT16 */
    size_t rows, columns;
    const double *x;
};

static inline void *mat_symbol(const char *name)
{
    void *so = dlopen("libmatio.so.11", RTLD_NOW | RTLD_LOCAL);
    void *f = so ? dlsym(so, name) : NULL;
    if (!f) {
        fprintf(stderr, "no matio: %s\n", dlerror());
        abort();
    }
    return f;
}

#define MAT_FUNCTION(local, name)                                                                            \
    __typeof__(Mat_##name) *local;                                                                           \
    *(void **)&local = mat_symbol("Mat_" #name)

/* Elements of the class out of doubles. */
static inline void *mat_elements(const struct mat_array *a, enum matio_types *ret)
{
    size_t n = a->rows * a->columns;
    double *d = calloc(n, sizeof *d);
    for (size_t i = 0; i < n; i++)
        if (a->class == MAT_C_UINT8)
            ((uint8_t *)d)[i] = (uint8_t)a->x[i];
        else if (a->class == MAT_C_UINT16)
            ((uint16_t *)d)[i] = (uint16_t)a->x[i];
        else
            d[i] = a->x[i];
    *ret = a->class == MAT_C_UINT8 ? MAT_T_UINT8 : a->class == MAT_C_UINT16 ? MAT_T_UINT16 : MAT_T_DOUBLE;
    return d;
}

static inline void make_mat(const char *path, enum mat_ft version, enum matio_compression how,
                            const struct mat_array *a, size_t n)
{
    MAT_FUNCTION(create, CreateVer);
    MAT_FUNCTION(var_create, VarCreate);
    MAT_FUNCTION(var_write, VarWrite);
    MAT_FUNCTION(var_free, VarFree);
    MAT_FUNCTION(close_, Close);
    mat_t *m = create(path, NULL, version);
    if (!m)
        abort();
    for (size_t i = 0; i < n; i++) {
        enum matio_types type;
        size_t dims[] = {a[i].rows, a[i].columns};
        void *x = mat_elements(&a[i], &type);
        matvar_t *v = var_create(a[i].name, a[i].class, type, 2, dims, x, 0);
        if (!v || var_write(m, v, how) != 0)
            abort();
        var_free(v);
        free(x);
    }
    close_(m);
}
#endif
