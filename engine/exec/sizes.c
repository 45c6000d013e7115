#include "engine/exec/sizes.h"
#include <math.h>

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

/* What t's stage says that t makes; found once for each key of t, or each time that it has none yet. */
static const struct cost_output *foresee(const struct resolver *r, const struct task *t,
                                         const struct sizes_typical *typical)
{
    struct resolved *x = &r->task[t->index];
    struct sizes s;
    struct cost c = {0};
    if (x->foreseen)
        return &x->makes;
    sizes_of_inputs(r, t, typical, &s);
    if (t->stage->cost)
        t->stage->cost(t->params, &s.in, &c);
    x->foreseen = true;
    x->makes = c.makes;
    return &x->makes;
}

/* Only of the first output is anything foreseen, the others count for nothing. */
static bool foreseen_content(const struct cost_output *m, int output, struct index_content *ret)
{
    *ret =
        output ? (struct index_content){0} : (struct index_content){.samples = m->samples, .bytes = m->bytes};
    return m->bytes > 0;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void add(const struct resolver *r, const struct task_ref *ref, int output, enum artifact type,
                bool private_ok, const struct sizes_typical *typical, struct sizes *ret)
{
    struct cost_input *in = &ret->in;
    struct index_content c;
    bool model = type == ARTIFACT_MODEL;
    if (model)
        in->forward = fmax(in->forward, foresee(r, ref->task, typical)->forward);
    if (!output_content(r, ref->task, output, typical, &c) &&
        !foreseen_content(foresee(r, ref->task, typical), output, &c)) {
        ret->known = false;
        return;
    }
    in->bytes = sum(in->bytes, c.bytes);
    if (type == ARTIFACT_SELECTION)
        in->chosen = sum(in->chosen, c.samples);
    else
        in->samples = larger(in->samples, c.samples);
    in->own = private_ok ? larger(in->own, c.samples) : in->own;
    in->model = model ? larger(in->model, c.bytes) : in->model;
}

void sizes_of_inputs(const struct resolver *r, const struct task *t, const struct sizes_typical *typical,
                     struct sizes *ret)
{
    *ret = (struct sizes){.in.bytes = r->task[t->index].outside, .known = true};
    for (int p = 0; p < stage_port_count(t->stage->inputs); p++)
        for (int i = 0; i < t->inputs[p].n; i++) {
            const struct port *port = &t->stage->inputs[p];
            const struct task_ref *ref = &t->inputs[p].ref[i];
            add(r, ref, ref->output, port->type, port->private_ok, typical, ret);
            if (ref->output_also >= 0)
                add(r, ref, ref->output_also, port->also, port->private_ok, typical, ret);
        }
}

struct record_cost cost_of(const struct task *t, const struct cost_input *in)
{
    struct cost c = {0};
    if (t->stage->cost)
        t->stage->cost(t->params, in, &c);
    return (struct record_cost){.flops = c.flops > 0 ? c.flops : 0,
                                .bytes = c.bytes > 0 ? c.bytes : 0,
                                .peak = c.peak > 0 ? c.peak : 0,
                                .rule = COST_RULE};
}
