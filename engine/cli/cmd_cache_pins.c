/* weft cache pins: what is kept from removal. */
#include "base/cleanup.h"
#include "cache/pin.h"
#include "engine/cli/cmd.h"
#include <stdio.h>

static const struct opt opts[] = {OPT_ROW_STORE, OPT_ROW_JSON, {0}};

static json_t *pin_json(const struct pin *p)
{
    json_t *keys = json_array();
    for (size_t i = 0; i < p->n; i++) {
        char hex[DIGEST_HEX];
        json_array_append_new(keys, json_string(digest_hex(&p->key[i], hex)));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "name", p->name, "what", p->what, "when", p->when, "keys", keys);
}

static int run(const struct cmd_args *a)
{
    AUTO(store) struct store *s = NULL;
    struct error err = {0};
    struct pin *p;
    size_t n;
    if (!cmd_open_store(a, &s, &err) || !pins_read(s, &p, &n, &err))
        return cmd_fail(&err);
    json_t *list = cmd_opt(a, "json")->set ? json_array() : NULL;
    bool person = isatty(STDOUT_FILENO);
    for (size_t i = 0; i < n; i++)
        if (list)
            json_array_append_new(list, pin_json(&p[i]));
        else
            printf(person ? "%-24s  %6zu  %-20s  %s\n" : "%s\t%zu\t%s\t%s\n", p[i].name, p[i].n, p[i].when,
                   p[i].what);
    pins_free(p, n);
    return list ? cmd_print_json(json_pack("{s:o}", "pins", list)) : 0;
}

const struct cmd cmd_cache_pins = {
    .name = "cache pins",
    .group = "The store",
    .doc = "List the pins: name, how many results, since when, of what.",
    .details = "What a pin names is not removed, whatever room is needed, until 'weft cache unpin'.",
    .args = (const struct arg[]){{0}},
    .opts = opts,
    .examples = (const struct example[]){{"weft cache pins", "what is kept"}, {0}},
    .run = run};
