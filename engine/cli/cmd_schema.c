/* weft schema: the experiment language as a JSON Schema (draft 2020-12), for editors and other programs. What
 * no schema can say (does a reference name a task, do private labels stay apart) is left to `weft check`. */
#include "engine/cli/cmd.h"
#include "engine/cli/manual.h"
#include "engine/cli/schema_resources.h"
#include "engine/cli/schema_sweep.h"
#include "stages/command.h"
#include <stdio.h>
#include <string.h>

/* What one YAML value may look like; names of entries of $defs. */
#define DEF(name) json_pack("{s:s}", "$ref", "#/$defs/" name)

static json_t *def_of(const char *kind, const char *stage)
{
    char ref[160];
    snprintf(ref, sizeof ref, "#/$defs/%s.%s", stage, kind);
    return json_pack("{s:s}", "$ref", ref);
}

static json_t *described(json_t *schema, const char *doc)
{
    json_object_set_new(schema, "description", json_string(doc));
    return schema;
}

/* The value, or a text that holds a variable. */
static json_t *or_variable(json_t *schema)
{
    return json_pack("{s:[o, o]}", "anyOf", schema, DEF("variable"));
}

/* A map with these keys and no others. */
static json_t *map_of(json_t *properties, json_t *required)
{
    json_t *o =
        json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
    if (json_array_size(required))
        json_object_set(o, "required", required);
    json_decref(required);
    return o;
}

/* A map that has this key; strict validators want the key known where it is asked for. */
static json_t *needs(const char *key)
{
    return json_pack("{s:{s:b}, s:[s]}", "properties", key, 1, "required", key);
}

/* ---- what follows from a stage's row ---- */

static json_t *param_value(const struct param *p)
{
    json_t *row = param_schema(p), *doc = json_object_get(row, "description"),
           *def = json_object_get(row, "default");
    char text[1024];
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s", p->doc ? p->doc : "", p->unit ? " [" : "",
             p->unit ? p->unit : "", p->unit ? "]" : "", p->source ? " (" : "", p->source ? p->source : "",
             p->source ? ")" : "");
    json_incref(def);
    if (doc)
        json_object_del(row, "description");
    json_object_del(row, "default");
    json_t *o = p->type == PARAM_STRING && !p->choices ? row : or_variable(row); /* any text may hold one */
    if (def)
        json_object_set_new(o, "default", def);
    return described(o, text);
}

static json_t *with_of(const struct stage *s)
{
    json_t *properties = json_object();
    for (const struct param *p = s->params; p && p->name; p++)
        json_object_set_new(properties, p->name, param_value(p));
    for (const struct command_key *k = s->command ? command_keys : NULL; k && k->name; k++) {
        json_t *value = command_key_schema(k), *doc = json_incref(json_object_get(value, "description"));
        json_object_del(value, "description");
        json_object_set_new(properties, k->name, described(or_variable(value), json_string_value(doc)));
        json_decref(doc);
    }
    return map_of(properties, NULL);
}

/* The parameters that must be given; NULL: none. */
static json_t *needed(const struct stage *s)
{
    json_t *names = json_array();
    for (const struct param *p = s->params; p && p->name; p++)
        if (p->flags & PARAM_REQUIRED)
            json_array_append_new(names, json_string(p->name));
    for (const struct command_key *k = s->command ? command_keys : NULL; k && k->name; k++)
        if (k->required)
            json_array_append_new(names, json_string(k->name));
    if (json_array_size(names))
        return names;
    json_decref(names);
    return NULL;
}

static json_t *port_value(const struct port *p)
{
    json_t *list = json_pack("{s:s, s:o, s:i}", "type", "array", "items", DEF("reference"), "minItems", 1);
    if (!p->many)
        json_object_set_new(list, "maxItems", json_integer(1));
    char text[1024];
    snprintf(text, sizeof text, "%s (%s%s%s%s)", p->doc ? p->doc : p->name, artifact_name(p->type),
             p->also ? " and " : "", p->also ? artifact_name(p->also) : "", p->many ? ", one or more" : "");
    return described(json_pack("{s:[o, o]}", "anyOf", DEF("reference"), list), text);
}

#define PORT_NAME "^[A-Za-z][A-Za-z0-9_-]{0,99}$"

/* The inputs of a program: any names. */
static json_t *declared_in(void)
{
    json_t *list = json_pack("{s:s, s:o, s:i}", "type", "array", "items", DEF("reference"), "minItems", 1);
    return json_pack("{s:s, s:{}, s:{s:s}, s:{s:[o, o]}}", "type", "object", "properties", "propertyNames",
                     "pattern", PORT_NAME, "additionalProperties", "anyOf", DEF("reference"), list);
}

/* outputs: of a program: a type each, and in words what of private data leaves. */
static json_t *outputs(void)
{
    json_t *types = json_array();
    for (int a = ARTIFACT_NONE + 1; a < ARTIFACT_ANY; a++)
        json_array_append_new(types, json_string(artifact_name((enum artifact)a)));
    json_t *type = or_variable(json_pack("{s:o}", "enum", types));
    json_t *words = json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
    json_t *full = map_of(json_pack("{s:O, s:o}", "type", type, "releases", words), json_pack("[s]", "type"));
    return json_pack("{s:s, s:{s:s}, s:{s:[o, o]}}", "type", "object", "propertyNames", "pattern", PORT_NAME,
                     "additionalProperties", "anyOf", type, full);
}

static json_t *in_of(const struct stage *s)
{
    if (s->command)
        return declared_in();
    json_t *properties = json_object(), *required = json_array();
    for (const struct port *p = s->inputs; p && p->name; p++) {
        json_object_set_new(properties, p->name, port_value(p));
        if (!p->optional)
            json_array_append_new(required, json_string(p->name));
    }
    return map_of(properties, required);
}

/* What holds for an entry that says `uses: NAME`. */
static json_t *rule_of(const struct stage *s, json_t *then)
{
    return json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:o}", "if", "properties", "uses", "const", s->name,
                     "required", "uses", "then", then);
}

/* The stage decides what with:, in: and outputs: hold, and which of the latter may be left out. */
static json_t *parts_of(const struct stage *s, const json_t *in)
{
    json_t *required = json_array();
    if (json_object_get(in, "required"))
        json_array_append_new(required, json_string("in"));
    if (s->command)
        json_array_append_new(required, json_string("outputs"));
    json_t *properties =
        json_pack("{s:o, s:o}", "with", def_of("with", s->name), "in", def_of("in", s->name));
    if (!s->command)
        json_object_set_new(properties, "outputs", json_false());
    return json_pack("{s:o, s:o}", "properties", properties, "required", required);
}

/* Where no default can give them, the parameters that the stage needs are there. */
static json_t *whole(json_t *names)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < json_array_size(names); i++)
        json_object_set_new(properties, json_string_value(json_array_get(names, i)), json_true());
    return json_pack("{s:{s:{s:s, s:o, s:o}}, s:[s]}", "properties", "with", "type", "object", "properties",
                     properties, "required", names, "required", "with");
}

/* ---- what holds for every stage ---- */

static json_t *scalar(void)
{
    return json_pack("{s:[{s:s}, {s:s}, {s:s}]}", "anyOf", "type", "string", "type", "number", "type",
                     "boolean");
}

static json_t *list_of(json_t *items)
{
    return json_pack("{s:s, s:o}", "type", "array", "items", items);
}

/* What foreach and each axis of a matrix go over. */
static json_t *series(void)
{
    return json_pack("{s:[{s:s, s:i}, {s:s, s:i}, o]}", "anyOf", "type", "array", "minItems", 1, "type",
                     "object", "minProperties", 1, DEF("variable"));
}

static json_t *stage_names(void)
{
    json_t *names = json_array();
    for (const struct stage *const *s = stage_registry; *s; s++)
        json_array_append_new(names, json_pack("{s:s, s:s}", "const", (*s)->name, "description", (*s)->doc));
    return json_pack("{s:o}", "oneOf", names);
}

/* defaults: what each stage's declarations start from. */
static json_t *defaults(void)
{
    json_t *properties = json_object();
    for (const struct stage *const *s = stage_registry; *s; s++)
        json_object_set_new(
            properties, (*s)->name,
            map_of(json_pack("{s:o, s:o}", "with", def_of("with", (*s)->name), "resources", DEF("resources")),
                   NULL));
    return map_of(properties, NULL);
}

/* reference: numbers from elsewhere. */
static json_t *references(void)
{
    json_t *numbers = json_pack("{s:s, s:i, s:{s:s}}", "type", "object", "minProperties", 1,
                                "additionalProperties", "type", "number");
    json_t *rows =
        json_pack("{s:s, s:i, s:o}", "type", "object", "minProperties", 1, "additionalProperties", numbers);
    json_t *p = json_pack("{s:o, s:o, s:o}", "name", described(scalar(), "what the numbers are"), "source",
                          described(scalar(), "where they are from"), "rows",
                          described(rows, "SYSTEM: {DOMAIN: number}, in the units of the table"));
    return list_of(map_of(p, json_pack("[s, s]", "name", "rows")));
}

/* matrix.exclude: some coordinates of the combinations that are not wanted. */
static json_t *exclusions(void)
{
    json_t *one =
        json_pack("{s:s, s:i, s:o}", "type", "object", "minProperties", 1, "additionalProperties", scalar());
    return or_variable(list_of(or_variable(one)));
}

static json_t *stage_properties(void)
{
    json_t *p = json_object();
    json_object_set_new(p, "uses", described(stage_names(), "the stage: 'weft stages' lists them"));
    json_object_set_new(p, "with", described(json_pack("{s:s}", "type", "object"), "its parameters"));
    json_object_set_new(p, "in",
                        described(json_pack("{s:s}", "type", "object"), "its inputs: PORT: REFERENCE"));
    json_object_set_new(p, "outputs", described(outputs(), "of uses: command: NAME: TYPE of what it makes"));
    json_object_set_new(p, "foreach", described(series(), "one task an item: NAME[item]"));
    json_t *axes =
        json_pack("{s:s, s:i, s:{s:o}, s:o}", "type", "object", "minProperties", 1, "properties", "exclude",
                  described(exclusions(), "combinations to leave out"), "additionalProperties", series());
    json_object_set_new(p, "matrix", described(or_variable(axes), "one task a combination: NAME[x,y]"));
    json_object_set_new(
        p, "rounds",
        described(
            or_variable(json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 1, "maximum", 10000)),
            "so many times, one after the other: NAME[round]; inputs may name ${previous}"));
    json_object_set_new(p, "first", described(declared_in(), "inputs of the first round"));
    json_object_set_new(p, "private", described(scalar(), "the client whose data this task's output is"));
    json_object_set_new(p, "temp",
                        described(or_variable(json_pack("{s:s}", "type", "boolean")),
                                  "let its content go once all that needs it is done"));
    json_object_set_new(p, "resources", described(DEF("resources"), "what the task needs of the machine"));
    json_object_set_new(p, "tags", described(list_of(scalar()), "words for people"));
    json_object_set_new(p, "description", described(scalar(), "text for people"));
    return p;
}

/* One entry of stages:, and the parts that the stages' rules name. */
static json_t *definitions(void)
{
    json_t *defs = json_object(), *rules = json_array(), *wholes = json_array();
    for (const struct stage *const *s = stage_registry; *s; s++) {
        char name[160];
        json_t *with = with_of(*s), *in = in_of(*s), *names = needed(*s);
        json_array_append_new(rules, rule_of(*s, parts_of(*s, in)));
        if (names)
            json_array_append_new(wholes, rule_of(*s, whole(names)));
        snprintf(name, sizeof name, "%s.with", (*s)->name);
        json_object_set_new(defs, name, described(with, "parameters"));
        snprintf(name, sizeof name, "%s.in", (*s)->name);
        json_object_set_new(defs, name, described(in, "inputs"));
    }
    json_t *stage = map_of(stage_properties(), json_pack("[s]", "uses"));
    json_object_set_new(stage, "not",
                        json_pack("{s:[o, o], s:s}", "allOf", needs("foreach"), needs("matrix"),
                                  "description", "foreach and matrix exclude each other"));
    json_object_set_new(stage, "dependentRequired", json_pack("{s:[s]}", "first", "rounds"));
    json_object_set_new(stage, "allOf", rules);
    json_object_set_new(defs, "stage", stage);
    json_object_set_new(defs, "whole", json_pack("{s:s, s:o}", "type", "object", "allOf", wholes));
    json_object_set_new(defs, "resources", schema_resources());
    json_object_set_new(defs, "variable",
                        json_pack("{s:s, s:s, s:s}", "type", "string", "pattern", "\\$\\{", "description",
                                  "${...}: a variable"));
    json_object_set_new(defs, "reference",
                        json_pack("{s:s, s:s, s:s}", "type", "string", "pattern",
                                  "\\$\\{|^[A-Za-z0-9_-]+(\\[[^\\]]+\\])?(\\.[A-Za-z0-9_-]+)?$",
                                  "description",
                                  "name, name[item], name[*], name[axis=value] or name.output"));
    return defs;
}

json_t *schema_experiment(void)
{
    json_t *p = json_object();
    json_object_set_new(
        p, "experiment",
        described(json_pack("{s:[{s:s, s:s, s:i}, {s:s}]}", "anyOf", "type", "string", "pattern",
                            "^[A-Za-z0-9_-]+$", "maxLength", 100, "type", "integer"),
                  "the experiment's name"));
    json_object_set_new(p, "description", described(scalar(), "text for people"));
    json_object_set_new(p, "vars",
                        json_pack("{s:s, s:s}", "type", "object", "description",
                                  "variables: ${name} inserts one, --set name=value replaces one"));
    json_object_set_new(p, "defaults",
                        described(defaults(), "by stage: what its declarations start from, below their own"));
    json_object_set_new(p, "reference",
                        described(references(), "numbers from elsewhere, shown beside the measured ones"));
    json_t *path = json_pack("{s:s, s:i}", "type", "string", "minLength", 1);
    json_object_set_new(p, "include",
                        described(json_pack("{s:[o, o]}", "anyOf", json_incref(path), list_of(path)),
                                  "files whose vars and stages belong to this one; relative to this file"));
    json_t *allow = described(list_of(scalar()), "stages of this file that may see several clients' data");
    json_object_set_new(p, "privacy",
                        described(map_of(json_pack("{s:o}", "allow", allow), NULL), "exceptions to labels"));
    json_t *stages =
        json_pack("{s:s, s:i, s:{s:s}, s:o}", "type", "object", "minProperties", 1, "propertyNames",
                  "pattern", "^[A-Za-z0-9_-]{1,100}$", "additionalProperties", DEF("stage"));
    json_object_set_new(p, "stages", described(stages, "what there is to do, by name"));
    schema_sweep(p);
    json_t *o = map_of(p, json_pack("[s]", "experiment"));
    json_object_set_new(o, "anyOf", json_pack("[o, o]", needs("stages"), needs("include")));
    json_object_set_new(o, "if",
                        json_pack("{s:{s:[o, o]}}", "not", "anyOf", needs("defaults"), needs("include")));
    json_object_set_new(o, "then",
                        json_pack("{s:s, s:{s:{s:s, s:o}}}", "type", "object", "properties", "stages", "type",
                                  "object", "additionalProperties", DEF("whole")));
    json_object_set_new(o, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(o, "title", json_string("weft experiment"));
    json_object_set_new(o, "$defs", definitions());
    return o;
}

static int run(const struct cmd_args *a)
{
    return cmd_print_json(schema_experiment());
}

const struct cmd cmd_schema = {
    .name = "schema",
    .group = "Write experiments",
    .doc = "Print a JSON Schema of experiment files, for editors.",
    .details = "It is a JSON Schema of draft 2020-12. An editor with a YAML language server "
               "completes and checks by it when the file's first line is \"# yaml-language-server: "
               "$schema=weft.schema.json\". It cannot see whether a reference names a task or private "
               "labels stay apart: 'weft check' does.",
    .args = (const struct arg[]){{0}},
    .examples =
        (const struct example[]){{"weft schema >weft.schema.json", "write it beside the experiments"}, {0}},
    .run = run};
