#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/units.h"
#include "engine/exec/resolve.h"
#include <stdio.h>
#include <string.h>

static const struct opt opts[] = {OPT_ROW_SET, OPT_ROW_VARS, OPT_ROW_STORE, OPT_ROW_JSON, {0}};

static const char *const state_name[] = {
    [RESOLVE_ERROR] = "error", [RESOLVE_WAIT] = "wait", [RESOLVE_MISS] = "run", [RESOLVE_HIT] = "hit"};

/* The tasks right before t that have no result yet: "unified, proxy[a]". */
static void waits_for(const struct task *t, const enum resolution *state, struct buf *out)
{
    int ports = stage_port_count(t->stage->inputs);
    const char *separator = "";
    for (int p = 0; p < ports; p++)
        for (int i = 0; i < t->inputs[p].n; i++) {
            const struct task *in = t->inputs[p].ref[i].task;
            if (state[in->index] == RESOLVE_HIT)
                continue;
            buf_printf(out, "%s%s", separator, in->name);
            separator = ", ";
        }
}

static void print_people(const struct spec *s, const struct resolver *r, const enum resolution *state)
{
    int count[RESOLVE_HIT + 1] = {0};
    double saved = 0;
    char text[UNITS_MAX];
    for (int i = 0; i < s->n; i++) {
        const struct resolved *x = &r->task[i];
        AUTO(buf) struct buf detail = {0};
        count[state[i]]++;
        if (state[i] == RESOLVE_HIT) {
            struct record_summary made;
            record_summary_of(x->entry, &made);
            buf_printf(&detail, "made %s in %s", made.when, seconds_text(made.seconds, text));
            saved += made.seconds;
        } else if (state[i] == RESOLVE_MISS) {
            buf_puts(&detail, x->lost ? "a part of the result is no longer in the store"
                                      : "no result of this key ('weft why' compares it with earlier ones)");
        } else {
            buf_puts(&detail, "for ");
            waits_for(s->task[i], state, &detail);
        }
        printf("%-5s %-28s %-11s %s\n", state_name[state[i]], s->task[i]->name, s->task[i]->stage->name,
               buf_str(&detail));
    }
    printf("%s: %d tasks: %d hit (worth %s), %d to run, %d waiting for these\n", s->experiment, s->n,
           count[RESOLVE_HIT], seconds_text(saved, text), count[RESOLVE_MISS], count[RESOLVE_WAIT]);
}

static json_t *plan_json(const struct spec *s, const struct resolver *r, const enum resolution *state)
{
    json_t *tasks = json_array();
    for (int i = 0; i < s->n; i++) {
        const struct resolved *x = &r->task[i];
        char hex[DIGEST_HEX];
        json_t *o = json_pack("{s:s, s:s, s:s}", "task", s->task[i]->name, "stage", s->task[i]->stage->name,
                              "state", state_name[state[i]]);
        json_object_set_new(o, "key", x->has_key ? json_string(digest_hex(&x->key, hex)) : json_null());
        if (x->entry)
            json_object_set_new(o, "seconds", json_real(x->entry->seconds));
        json_array_append_new(tasks, o);
    }
    return json_pack("{s:s, s:o}", "experiment", s->experiment, "tasks", tasks);
}

static int plan(const struct cmd_args *a, const struct spec *s)
{
    AUTO(store) struct store *store = NULL;
    AUTO(mem) enum resolution *state = xcalloc((size_t)s->n + 1, sizeof *state);
    struct resolver r;
    struct error err = {0};
    if (!cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    resolver_init(&r, s, store);
    int status = 0;
    if (!resolve_all(&r, s, state, &err))
        status = cmd_fail(&err);
    else if (cmd_opt(a, "json")->set)
        status = cmd_print_json(plan_json(s, &r, state));
    else
        print_people(s, &r, state);
    resolver_done(&r, s);
    return status;
}

static int run(const struct cmd_args *a)
{
    struct spec *s;
    int status = cmd_read_spec(a, a->arg[0], &s);
    if (status)
        return status;
    cmd_print_all(s->warning, s->n_warnings);
    status = plan(a, s);
    spec_free(s);
    return status;
}

const struct cmd cmd_plan = {
    .name = "plan",
    .group = "Run experiments",
    .doc = "Show what would run, before it does.",
    .details = "Nothing runs. A task is a hit when the store has its result, would run when it has "
               "not, and waits when what it needs is not known yet: its key then follows from "
               "results still to be made, and it may turn out to be a hit.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft plan exp.yaml --set 'clients=[a, b]'",
                                          "what two clients more would cost"},
                                         {"weft plan exp.yaml --json", "the same for programs"},
                                         {0}},
    .run = run};
