/* Is a folder an artifact of its type? For what programs make that are not ours: the files of
 * docs/artifacts.md must be there and be what their names say. */
#ifndef STAGES_JOB_ARTIFACT_CHECK_H
#define STAGES_JOB_ARTIFACT_CHECK_H
#include "stages/stage.h"

/* ERROR_TASK says which file is missing or wrong. An empty folder is no artifact of any type. */
bool artifact_check(enum artifact type, const char *dir, struct error *err) MUST_CHECK;
#endif
