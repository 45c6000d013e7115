/* `temp: true`: the content of a result goes once all that needs it in this run is done; its record stays, so
 * that the next run still knows its digests. Results that nothing needs, or that a target names, stay. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/hot.h"
#include "cache/pin.h"
#include "engine/exec/build_report.h"
#include "engine/exec/targets.h"

#define FREE_EVERY 1.0 /* seconds: each time all records are looked through */

bool temp_begin(struct build *b, struct error *err)
{
    AUTO(mem) bool *named = xcalloc((size_t)b->spec->n + 1, sizeof *named);
    bool any = false;
    for (int i = 0; i < b->spec->n; i++)
        any = any || b->spec->task[i]->temp;
    if (!any)
        return true;
    if (!targets_find(b->spec, b->opt.targets, b->opt.n_targets, named, err))
        return false;
    b->temp = xcalloc((size_t)b->spec->n + 1, sizeof *b->temp);
    temp_plan(b);
    for (int i = 0; i < b->spec->n; i++)
        b->temp[i].may_go = b->spec->task[i]->temp && b->temp[i].needed > 0 && !named[i];
    return true;
}

void temp_plan(struct build *b)
{
    const struct task_ref *ref;
    for (int i = 0; b->temp && i < b->spec->n; i++)
        b->temp[i].needed = 0;
    for (int i = 0; b->temp && i < b->spec->n; i++)
        for (int k = 0; b->result[i].wanted && (ref = task_input_at(b->spec->task[i], k)); k++)
            b->temp[ref->task->index].needed++;
}

void temp_finished(struct build *b, const struct task *t)
{
    const struct task_ref *ref;
    for (int k = 0; b->temp && (ref = task_input_at(t, k)); k++) {
        struct build_temp *x = &b->temp[ref->task->index];
        if (--x->needed == 0 && x->may_go)
            b->temp_due = true;
    }
}

/* Is it done with, in this run? */
static bool is_over(const struct build *b, int i)
{
    const struct build_temp *x = &b->temp[i];
    enum task_state s = b->result[i].state;
    return x->may_go && x->needed == 0 && !x->gone && (s == TASK_HIT || s == TASK_DONE);
}

/* Those of pins; and another task of this run may have the same key. */
static json_t *keys_that_stay(const struct build *b, struct error *err)
{
    char hex[DIGEST_HEX];
    struct pin *pin;
    size_t pins;
    if (!pins_read(b->store, &pin, &pins, err))
        return NULL;
    json_t *stay = json_object();
    for (size_t i = 0; i < pins; i++)
        for (size_t k = 0; k < pin[i].n; k++)
            json_object_set_new(stay, digest_hex(&pin[i].key[k], hex), json_true());
    pins_free(pin, pins);
    for (int i = 0; i < b->spec->n; i++)
        if (b->result[i].wanted && b->resolver.task[i].has_key && !b->temp[i].gone && !is_over(b, i))
            json_object_set_new(stay, digest_hex(&b->resolver.task[i].key, hex), json_true());
    return stay;
}

/* Plain files that lie ready go too, but those that others use. */
static void forget_files(struct build *b, int i)
{
    const struct record *r = resolve_record(&b->resolver, b->spec->task[i]);
    for (size_t k = 0; r && k < r->n; k++) {
        artifacts_forget(b->artifacts, &r->output[k].digest);
        for (size_t f = 0; f < r->output[k].n; f++)
            if (!r->output[k].file[f].source)
                store_hot_forget(b->store, &r->output[k].file[f].digest);
    }
}

static bool free_all(struct build *b, struct error *err)
{
    char hex[DIGEST_HEX];
    AUTO_JSON stay = keys_that_stay(b, err);
    AUTO(mem) struct digest *key = xcalloc((size_t)b->spec->n + 1, sizeof *key);
    size_t n = 0;
    if (!stay)
        return false;
    for (int i = 0; i < b->spec->n; i++) {
        if (!is_over(b, i) || json_object_get(stay, digest_hex(&b->resolver.task[i].key, hex)))
            continue;
        key[n++] = b->resolver.task[i].key;
        b->temp[i].gone = true;
        forget_files(b, i);
        report(b, BUILD_FREED, b->spec->task[i], NULL);
    }
    return n == 0 || (store_flush(b->store, err) && store_free(b->store, key, n, err));
}

void temp_free(struct build *b, bool at_end)
{
    struct error err = {0};
    double now = clock_seconds();
    if (!b->temp_due || (!at_end && (now < b->temp_freed + FREE_EVERY || tier_uploads(b) > 0)))
        return;
    b->temp_due = false;
    b->temp_freed = now;
    if (!free_all(b, &err)) { /* it only takes more room than it should */
        error_context(&err, "temporary results stay in the store");
        report(b, BUILD_WARN, NULL, err.text);
    }
}
