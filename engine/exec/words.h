/* A command line split into words as a shell does it, without a shell: blanks separate, 'single' and "double"
 * quotes and \ keep them. Nothing else is special. */
#ifndef ENGINE_EXEC_WORDS_H
#define ENGINE_EXEC_WORDS_H
#include "base/arena.h"
#include "base/error.h"

/* NULL-ended, in the arena. False: a quote has no end, or there is no word. */
bool words_split(const char *text, struct arena *a, const char *const **ret, struct error *err) MUST_CHECK;
/* The words as one line that a shell splits into the same again. */
char *words_quote(const char *const *word, struct arena *a);
#endif
