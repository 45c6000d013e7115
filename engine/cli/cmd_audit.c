/* weft audit: the privacy ledger of an experiment. Per client: which tasks see its data, and what leaves it,
 * through which output, how many bytes and to whom. Only declared flow is listed: labels and releases. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/cmd.h"
#include "engine/cli/units.h"
#include "engine/exec/resolve.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct opt opts[] = {OPT_ROW_SET, OPT_ROW_VARS, OPT_ROW_STORE, OPT_ROW_SWEEP, OPT_ROW_JSON, {0}};

struct ledger {
    const struct spec *spec;
    struct resolver *resolver;
    const char **label; /* of all clients, sorted */
    int n;
};

static bool sees(const struct task *t, const char *label)
{
    for (int i = 0; i < t->n_labels; i++)
        if (strcmp(t->labels[i], label) == 0)
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void find_labels(struct ledger *l, struct arena *a)
{
    int all = 0;
    for (int i = 0; i < l->spec->n; i++)
        all += l->spec->task[i]->n_labels;
    const char **label = arena_alloc(a, ((size_t)all + 1) * sizeof *label);
    int n = 0;
    for (int i = 0; i < l->spec->n; i++)
        for (int k = 0; k < l->spec->task[i]->n_labels; k++)
            label[n++] = l->spec->task[i]->labels[k];
    if (n)
        qsort(label, (size_t)n, sizeof *label, by_text);
    for (int i = 0; i < n; i++)
        if (i == 0 || strcmp(label[i], label[l->n - 1]) != 0)
            label[l->n++] = label[i];
    l->label = label;
}

/* Bytes of an output, -1 while it is not made. */
static int64_t output_bytes(const struct ledger *l, const struct task *t, const char *port)
{
    const struct record_output *o = record_find_output(resolve_record(l->resolver, t), port);
    int64_t sum = 0;
    for (size_t i = 0; o && i < o->n; i++)
        sum += o->file[i].size;
    return o ? sum : -1;
}

static bool takes(const struct task_ref *r, const struct task *from, int output)
{
    return r->task == from && (r->output == output || r->output_also == output);
}

/* The names of the tasks that an output goes to. */
static json_t *takers(const struct ledger *l, const struct task *from, int output)
{
    json_t *list = json_array();
    for (int i = from->index + 1; i < l->spec->n; i++) { /* users come after what they use */
        const struct task *t = l->spec->task[i];
        bool found = false;
        for (int p = 0; p < stage_port_count(t->stage->inputs) && !found; p++)
            for (int k = 0; k < t->inputs[p].n && !found; k++)
                found = takes(&t->inputs[p].ref[k], from, output);
        if (found)
            json_array_append_new(list, json_string(t->name));
    }
    return list;
}

static json_t *release_json(const struct ledger *l, const struct task *t, int output)
{
    const struct port *p = &t->stage->outputs[output];
    int64_t bytes = output_bytes(l, t, p->name);
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "task", t->name, "output", p->name, "releases",
                     p->release ? p->release : "", "bytes", bytes < 0 ? json_null() : json_integer(bytes),
                     "to", takers(l, t, output));
}

static json_t *client_json(const struct ledger *l, const char *label)
{
    json_t *seen = json_array(), *leaves = json_array();
    for (int i = 0; i < l->spec->n; i++) {
        const struct task *t = l->spec->task[i];
        if (!sees(t, label))
            continue;
        json_array_append_new(seen, json_string(t->name));
        for (int p = 0; p < stage_port_count(t->stage->outputs); p++)
            if (t->stage->outputs[p].releases)
                json_array_append_new(leaves, release_json(l, t, p));
    }
    return json_pack("{s:s, s:o, s:o}", "client", label, "seen_by", seen, "leaves", leaves);
}

/* Tasks that see several clients' data because privacy.allow names their stage. */
static json_t *exceptions_json(const struct ledger *l)
{
    json_t *list = json_array();
    for (int i = 0; i < l->spec->n; i++) {
        const struct task *t = l->spec->task[i];
        if (!spec_allows(l->spec, t) || t->n_labels == 0)
            continue;
        json_t *labels = json_array();
        for (int k = 0; k < t->n_labels; k++)
            json_array_append_new(labels, json_string(t->labels[k]));
        json_array_append_new(list, json_pack("{s:s, s:o}", "task", t->name, "sees", labels));
    }
    return list;
}

static json_t *ledger_json(const struct ledger *l)
{
    json_t *clients = json_array();
    for (int i = 0; i < l->n; i++)
        json_array_append_new(clients, client_json(l, l->label[i]));
    return json_pack("{s:s, s:o, s:o}", "experiment", l->spec->experiment, "clients", clients, "exceptions",
                     exceptions_json(l));
}

/* ---- for people ---- */

/* "a, b, c and 4 more" */
static void print_names(const json_t *list)
{
    size_t n = json_array_size(list), shown = n > 8 ? 6 : n;
    for (size_t i = 0; i < shown; i++)
        printf("%s%s", i ? ", " : "", json_string_value(json_array_get(list, i)));
    if (n > shown)
        printf(" and %zu more", n - shown);
    printf("\n");
}

static void print_client(const json_t *client)
{
    const json_t *leaves = json_object_get(client, "leaves"), *seen = json_object_get(client, "seen_by");
    char size[UNITS_MAX];
    int64_t sum = 0;
    printf("\nclient %s\n  seen by  ", json_string_value(json_object_get(client, "client")));
    print_names(seen);
    for (size_t i = 0; i < json_array_size(leaves); i++) {
        const json_t *x = json_array_get(leaves, i), *bytes = json_object_get(x, "bytes");
        AUTO(buf) struct buf name = {0};
        buf_printf(&name, "%s.%s", json_string_value(json_object_get(x, "task")),
                   json_string_value(json_object_get(x, "output")));
        sum += json_integer_value(bytes);
        printf("  leaves   %-32s %10s  %s\n", buf_str(&name),
               json_is_null(bytes) ? "not made" : bytes_text(json_integer_value(bytes), size),
               json_string_value(json_object_get(x, "releases")));
        if (json_array_size(json_object_get(x, "to"))) {
            printf("             to ");
            print_names(json_object_get(x, "to"));
        }
    }
    printf("  in all   %zu output%s, %s\n", json_array_size(leaves), json_array_size(leaves) == 1 ? "" : "s",
           bytes_text(sum, size));
}

static void print_ledger(const json_t *ledger)
{
    const json_t *clients = json_object_get(ledger, "clients"),
                 *exceptions = json_object_get(ledger, "exceptions");
    size_t n = json_array_size(clients);
    printf("%s: %zu client%s with private data\n", json_string_value(json_object_get(ledger, "experiment")),
           n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++)
        print_client(json_array_get(clients, i));
    for (size_t i = 0; i < json_array_size(exceptions); i++) {
        const json_t *x = json_array_get(exceptions, i);
        printf("\nexception, named in privacy.allow: %s sees ",
               json_string_value(json_object_get(x, "task")));
        print_names(json_object_get(x, "sees"));
    }
    if (n)
        printf("\nBy declaration nothing else leaves a client. What a release may still tell of the data: "
               "docs/privacy.md.\n");
}

/* ---- the command ---- */

static int audit(const struct cmd_args *a, const struct spec *s)
{
    AUTO(store) struct store *store = NULL;
    AUTO(mem) enum resolution *state = xcalloc((size_t)s->n + 1, sizeof *state);
    AUTO(arena) struct arena mem;
    struct resolver r;
    struct error err = {0};
    arena_init(&mem);
    if (!cmd_open_store(a, &store, &err))
        return cmd_fail(&err);
    resolver_init(&r, s, store);
    int status = 0;
    if (!resolve_all(&r, s, state, &err)) {
        status = cmd_fail(&err);
    } else {
        struct ledger l = {.spec = s, .resolver = &r};
        find_labels(&l, &mem);
        json_t *ledger = ledger_json(&l);
        if (cmd_opt(a, "json")->set) {
            status = cmd_print_json(ledger);
        } else {
            print_ledger(ledger);
            json_decref(ledger);
        }
    }
    resolver_done(&r, s);
    return status;
}

static int run(const struct cmd_args *a)
{
    return cmd_with_spec(a, audit);
}

const struct cmd cmd_audit = {
    .name = "audit",
    .group = "Look at results",
    .doc = "Show what leaves each client: through which output, to whom, how many bytes.",
    .details =
        "For each label of a 'private:' task: the tasks that see the data, and every output that releases "
        "something of it, with the bytes where the result is in the store. Then the exceptions that "
        "privacy.allow names. Nothing else leaves a client by declaration; what a release may still "
        "tell of the data is said in docs/privacy.md.",
    .args = (const struct arg[]){{.name = "EXPERIMENT", .doc = "the experiment, a YAML file"}, {0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft audit exp.yaml", "the ledger of all clients"}, {0}},
    .run = run};
