#include "engine/exec/sizes.h"
#include "engine/exec/targets.h"

static int64_t sum(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* From the record in memory, which may not be in the index yet; else from the index; else as it was before.
 */
static bool output_content(const struct resolver *r, const struct task *t, int output,
                           const struct sizes_typical *typical, struct index_content *ret)
{
    const struct resolved *x = &r->task[t->index];
    const char *port = t->stage->outputs[output].name;
    const struct record_output *o = record_find_output(x->record, port);
    const struct index_content *c = !o && x->entry ? index_content(x->entry, port) : NULL;
    if (!o && !c && typical)
        c = typical->output(typical->arg, t, output);
    if (!o && !c)
        return false;
    *ret = c ? *c : (struct index_content){.samples = o->samples};
    for (size_t i = 0; !c && i < o->n; i++)
        ret->bytes = sum(ret->bytes, o->file[i].size);
    return true;
}

static void add(const struct resolver *r, const struct task *t, int output,
                const struct sizes_typical *typical, struct sizes *ret)
{
    struct index_content c;
    if (!output_content(r, t, output, typical, &c)) {
        ret->known = false;
        return;
    }
    ret->in.bytes = sum(ret->in.bytes, c.bytes);
    ret->in.samples = c.samples > ret->in.samples ? c.samples : ret->in.samples;
}

void sizes_of_inputs(const struct resolver *r, const struct task *t, const struct sizes_typical *typical,
                     struct sizes *ret)
{
    const struct task_ref *ref;
    *ret = (struct sizes){.in.bytes = r->task[t->index].outside, .known = true};
    for (int k = 0; (ref = task_input_at(t, k)); k++) {
        add(r, ref->task, ref->output, typical, ret);
        if (ref->output_also >= 0)
            add(r, ref->task, ref->output_also, typical, ret);
    }
}

struct record_cost cost_of(const struct task *t, const struct cost_input *in)
{
    struct cost c = {0};
    if (t->stage->cost)
        t->stage->cost(t->params, in, &c);
    return (struct record_cost){.flops = c.flops > 0 ? c.flops : 0,
                                .bytes = c.bytes > 0 ? c.bytes : 0,
                                .peak = c.peak > 0 ? c.peak : 0};
}
