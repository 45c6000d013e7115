/* The last lines of a task's log: what is shown of a task that failed. */
#ifndef ENGINE_CLI_LOGTAIL_H
#define ENGINE_CLI_LOGTAIL_H
#include <stddef.h>

#define LOGTAIL_LINES 12
/* At most so many lines, of at most 500 bytes each (what is beyond is cut), without their ends; how many.
 * Free with fs_list_free. None when the log cannot be read. */
size_t logtail_read(const char *path, char ***ret);
#endif
