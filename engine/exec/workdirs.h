/* The folders that attempts work in: private, one at a time, below the run's temporary folder. One that is
 * left as it was made is used again: to make and remove folders in quick succession is dear (ext4 looks at
 * all inodes that were freed within the last minutes before it makes a new one). */
#ifndef ENGINE_EXEC_WORKDIRS_H
#define ENGINE_EXEC_WORKDIRS_H
#include "base/error.h"

struct workdirs;
struct workdirs *workdirs_new(const char *dir); /* below dir, which exists */
void workdirs_free(struct workdirs *w);         /* leaves the files to the owner of dir */
/* A folder without files, valid until workdirs_give. There may be empty folders in it, as workdirs_sub makes
 * them. */
const char *workdirs_take(struct workdirs *w, struct error *err) MUST_CHECK;
/* There is an empty folder of that name in it. */
bool workdirs_sub(struct workdirs *w, const char *path, const char *name, struct error *err) MUST_CHECK;
/* Back: what is in it goes. NULL is allowed. tidied: workdirs_tidy was there, nobody since, and only the
 * other folders are to be looked at. */
void workdirs_give(struct workdirs *w, const char *path, bool tidied);
/* Empty the folder `scratch`, and see that nothing but folders is beside it. */
bool workdirs_tidy(const char *scratch);
#endif
