/* MATLAB files of version 7 and before, by matio, which is loaded when it is first called. */
#ifndef STAGES_IO_MATFILE_H
#define STAGES_IO_MATFILE_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* The vector `name` of the file, whose elements must be whole numbers of any numeric class; malloc'd. Files
 * that cannot be read, other shapes and other elements are ERROR_INPUT naming the file. */
bool matfile_vector(const char *path, const char *name, int64_t **ret, size_t *ret_n,
                    struct error *err) MUST_CHECK;
#endif
