#include "base/varname.h"
#include "base/arena.h"
#include <ctype.h>
#include <string.h>

bool varname_ok(const char *name)
{
    bool ok = isalpha((unsigned char)*name) && strlen(name) <= VARNAME_MAX;
    for (const char *c = name; *c; c++)
        ok = ok && (isalnum((unsigned char)*c) || *c == '_' || *c == '-');
    return ok;
}

static char in_variable(char c)
{
    return c == '-' ? '_' : (char)toupper((unsigned char)c);
}

bool varname_same(const char *a, const char *b)
{
    while (*a && in_variable(*a) == in_variable(*b))
        a++, b++;
    return !*a && !*b;
}

const char *varname_variable(struct arena *a, const char *prefix, const char *name)
{
    char *text = arena_printf(a, "%s%s", prefix, name);
    for (char *c = text + strlen(prefix); *c; c++)
        *c = in_variable(*c);
    return text;
}
