/* Which files of an imported path are not what they were when a record was made. */
#ifndef ENGINE_CLI_IMPORTDIFF_H
#define ENGINE_CLI_IMPORTDIFF_H
#include "base/buf.h"
#include "cache/store.h"
#include "engine/cli/keydiff.h"
#include "engine/spec/spec.h"

/* For a change "import NAME" of t's key against the record of the key text `before`: a list of {"file",
 * "what"} with what "changed" or "gone" where the record names the file's digest, "newer" where only its time
 * tells; empty when nothing is known. New reference. */
json_t *importdiff_files(struct store *store, const struct task *t, const struct key_change *c,
                         const char *before);
/* The same in words: "(changed: config.json, a/b.png and 3 more)". Nothing for an empty list. */
void importdiff_text(const json_t *files, struct buf *out);
#endif
