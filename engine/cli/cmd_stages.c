#include "engine/cli/cmd.h"
#include "stages/command.h"
#include <stdio.h>

static const struct opt opts[] = {OPT_ROW_JSON, {0}};

static json_t *ports_json(const struct port *p, bool output)
{
    json_t *list = json_array();
    for (; p && p->name; p++) {
        json_t *o = json_pack("{s:s, s:s, s:s}", "name", p->name, "type", artifact_name(p->type), "doc",
                              p->doc ? p->doc : "");
        if (p->also)
            json_object_set_new(o, "also", json_string(artifact_name(p->also)));
        if (output)
            json_object_set_new(o, "releases",
                                p->releases ? json_string(p->release ? p->release : "") : json_null());
        else
            json_object_update_new(o, json_pack("{s:b, s:b, s:b}", "many", p->many, "optional", p->optional,
                                                "private", p->private_ok));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *stage_json(const struct stage *s)
{
    json_t *params = json_object();
    for (const struct param *p = s->params; p && p->name; p++) {
        json_t *row = param_schema(p);
        if (p->def)
            json_object_set_new(row, "default", json_string(p->def));
        json_object_set_new(params, p->name, row);
    }
    for (const struct command_key *k = s->command ? command_keys : NULL; k && k->name; k++)
        json_object_set_new(params, k->name, command_key_schema(k));
    return json_pack("{s:s, s:i, s:s, s:o, s:o, s:o}", "name", s->name, "version", s->version, "doc", s->doc,
                     "inputs", ports_json(s->inputs, false), "outputs", ports_json(s->outputs, true),
                     "parameters", params);
}

static int run(const struct cmd_args *a)
{
    json_t *list = json_array();
    for (const struct stage *const *s = stage_registry; *s; s++)
        json_array_append_new(list, stage_json(*s));
    if (cmd_opt(a, "json")->set)
        return cmd_print_json(list);
    json_decref(list);
    for (const struct stage *const *s = stage_registry; *s; s++)
        printf("%-12s %s\n", (*s)->name, (*s)->doc);
    return 0;
}

const struct cmd cmd_stages = {.name = "stages",
                               .usage = "[--json]",
                               .doc = "List the stages; 'weft help STAGE' says all about one.",
                               .args_max = 0,
                               .opts = opts,
                               .run = run};
