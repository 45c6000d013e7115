/* Entries of the store as commands print them. */
#ifndef ENGINE_CLI_ENTRYVIEW_H
#define ENGINE_CLI_ENTRYVIEW_H
#include "base/buf.h"
#include "cache/entries.h"
#include <jansson.h>

const char *entry_state(const struct entry *e); /* "whole", "freed" or "lost" */
json_t *entry_json(const struct entry *e);
/* A task's name without what would break a line. */
void entry_task(const struct entry *e, struct buf *out);

/* Orders in which entries are listed: value as gc has it, core-seconds, bytes stored, last use: what is most
 * first; names of tasks. */
#define ENTRY_ORDERS "value|time|size|used|task"
void entries_sort(struct entries *e, const char *order); /* one of these */
#endif
