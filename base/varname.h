/* Names of users' own making that become variables of a program's environment: ports of a command, named
 * resources. */
#ifndef BASE_VARNAME_H
#define BASE_VARNAME_H
#include <stdbool.h>

struct arena;
#define VARNAME_MAX  100
#define VARNAME_HELP "a name has letters, digits, - and _ and begins with a letter"
bool varname_ok(const char *name); /* and is no longer than VARNAME_MAX */
/* Would both be the same variable? a-b and A_B would. */
bool varname_same(const char *a, const char *b);
/* "WEFT_IN_TEST_SET" for prefix WEFT_IN_ and name test-set. */
const char *varname_variable(struct arena *a, const char *prefix, const char *name);
#endif
