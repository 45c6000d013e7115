/* Artifacts as folders of links to plain files, which lie ready in the store's hot area and are shared with
 * all other runs. The folders lie in the run's temporary folder, made at the first need and shared by all
 * tasks; the files of a task's fresh output move to the hot area instead of being unpacked again. */
#ifndef ENGINE_EXEC_ARTIFACTS_H
#define ENGINE_EXEC_ARTIFACTS_H
#include "cache/store.h"

struct artifacts;
struct artifacts *artifacts_new(struct store *store, const char *dir); /* below dir, which exists */
void artifacts_free(struct artifacts *a); /* leaves the files to the owner of dir */
/* Folder with the files of o; in use until artifacts_release of its digest, called as often. ERROR_DAMAGE:
 * the store lost an object; it is a miss now.
 */
bool artifacts_folder(struct artifacts *a, const struct record_output *o, const char **ret,
                      struct error *err) MUST_CHECK;
void artifacts_release(struct artifacts *a, const struct digest *d);
void artifacts_forget(struct artifacts *a, const struct digest *d); /* its folder goes, unless in use */
/* Is the folder of o what it was made as? A program that is not ours may write where it should only read.
 * False: it was changed now, or since artifacts_spoilt counted `since`; the next artifacts_folder makes it
 * anew. */
bool artifacts_unchanged(struct artifacts *a, const struct record_output *o, size_t since);
size_t artifacts_spoilt(const struct artifacts *a); /* how many folders were changed so far */
/* Put the files of an output folder into the store and describe them in *ret (port and files, malloc'd as in
 * a record). A symbolic link to an artifact's file or to outside data refers to that content; one to anything
 * else in the run's temporary folder is refused. ready: a task will read it, so its plain files move to the
 * hot area; else they stay where they are. */
bool artifacts_collect(struct artifacts *a, const char *dir, const char *port, bool ready,
                       struct record_output *ret, struct error *err) MUST_CHECK;
/* Write the files of o below the existing folder dir. Outside data is linked to, or copied. */
bool artifacts_write(struct store *store, const struct record_output *o, const char *dir, bool copy_imports,
                     struct error *err) MUST_CHECK;
#endif
