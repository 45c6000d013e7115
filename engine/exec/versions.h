/* Which weft this is, and on what libraries: for `weft version` and for the records of a run. */
#ifndef ENGINE_EXEC_VERSIONS_H
#define ENGINE_EXEC_VERSIONS_H
#include <jansson.h>

/* Of the source, with "-dirty" behind it where files were changed; main sets them. "": not known. */
extern const char *versions_commit, *versions_commit_date;
/* {"hwloc": "2.9.0", ...}: as they are loaded now, but libjpeg, which does not say. */
json_t *versions_libraries(void);
#endif
