#include "stages/stage.h"
#include <string.h>

#define STAGE(name) extern const struct stage stage_##name;
#include "stages/registry.def"
#undef STAGE

const struct stage *const stage_registry[] = {
#define STAGE(name) &stage_##name,
#include "stages/registry.def"
#undef STAGE
    NULL,
};

const struct stage *stage_find(const char *name)
{
    for (const struct stage *const *s = stage_registry; *s; s++)
        if (strcmp((*s)->name, name) == 0)
            return *s;
    return NULL;
}

int64_t cost_count(double x)
{
    return x >= 0x1p62 ? (int64_t)1 << 62 : x > 0 ? (int64_t)x : 0;
}
