#include "engine/cli/hindsight.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/gantt.h"
#include "engine/cli/runname.h"
#include <math.h>
#include <string.h>

static bool is_ran(const struct trace_bar *b)
{
    return strcmp(b->state, "ran") == 0;
}

bool hindsight_read(struct hindsight *h, const struct spec *s, const char *store, const char *run,
                    struct error *err)
{
    AUTO(arena) struct arena mem;
    const char *id;
    *h = (struct hindsight){.ran = xcalloc((size_t)s->n + 1, sizeof *h->ran)};
    arena_init(&mem);
    if (!runname_find(store, run, &mem, &id, err))
        return false;
    trace_init(&h->trace, id);
    h->run = h->trace.run;
    if (!trace_read(&h->trace, store, id, err))
        return false;
    h->cores = h->trace.cores;
    for (size_t i = 0; i < h->trace.n; i++) {
        const struct trace_bar *b = &h->trace.bar[i];
        const struct task *t = is_ran(b) ? spec_find(s, b->task) : NULL;
        h->tasks += is_ran(b);
        h->unknown += is_ran(b) && !t;
        if (t)
            h->ran[t->index] = true;
    }
    if (h->tasks == h->unknown)
        return error_set(err, NULL, ERROR_INPUT, "run %s ran no task of experiment '%s'", h->run,
                         s->experiment);
    return true;
}

static struct hindsight_stage *stage_of(struct hindsight *h, size_t *cap, const char *task)
{
    size_t n = gantt_stage_length(task);
    for (int i = h->n - 1; i >= 0; i--)
        if (strlen(h->stage[i].name) == n && strncmp(h->stage[i].name, task, n) == 0)
            return &h->stage[i];
    h->stage = xgrow(h->stage, cap, (size_t)h->n + 1, sizeof *h->stage);
    h->stage[h->n] = (struct hindsight_stage){.name = xstrndup(task, n)};
    return &h->stage[h->n++];
}

void hindsight_compare(struct hindsight *h, const struct forecast *f)
{
    size_t cap = 0;
    double first = INFINITY, last = 0;
    for (size_t i = 0; i < h->trace.n; i++) {
        const struct trace_bar *b = &h->trace.bar[i];
        const struct task *t = is_ran(b) ? spec_find(f->spec, b->task) : NULL;
        if (!t)
            continue;
        struct hindsight_stage *s = stage_of(h, &cap, b->task);
        s->tasks++;
        s->was += b->end - b->start;
        s->predicted += f->task[t->index].end - f->task[t->index].start;
        first = fmin(first, b->start);
        last = fmax(last, b->end);
    }
    h->was = last - first;
    h->predicted = f->found.makespan;
}

void hindsight_done(struct hindsight *h)
{
    for (int i = 0; i < h->n; i++)
        free(h->stage[i].name);
    free(h->stage);
    free(h->ran);
    trace_done(&h->trace);
    *h = (struct hindsight){0};
}

const char *hindsight_error(double predicted, double was, char out[HINDSIGHT_MAX])
{
    snprintf(out, HINDSIGHT_MAX, was > 0 ? "%+.0f %%" : "-", 100 * (predicted / was - 1));
    return out;
}
