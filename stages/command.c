#include "stages/command.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json_out.h"
#include "base/mem.h"
#include <string.h>

#define NAMES "\"type\": \"array\", \"items\": {\"type\": \"string\", \"minLength\": 1}"

const struct command_key command_keys[] = {
    {"argv", true,
     "{\"type\": \"array\", \"minItems\": 1, \"items\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": "
     "\"number\"}, {\"type\": \"boolean\"}]}}",
     "the program and its arguments, with placeholders; no shell is between"},
    {"files", false, "{" NAMES "}",
     "the program's own files and folders; relative to the current folder; their content counts"},
    {"env", false, "{" NAMES "}",
     "variables that pass from the caller's environment; all others stay outside; never counts"},
    {"set", false,
     "{\"type\": \"object\", \"additionalProperties\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": "
     "\"number\"}, {\"type\": \"boolean\"}]}}",
     "variables that are set for the program, with placeholders; they count"},
    {"version", false, "{\"type\": \"integer\", \"minimum\": 1, \"default\": 1}",
     "raise it when the program changes in ways that its files do not show"},
    {0}};

json_t *command_key_schema(const struct command_key *k)
{
    json_t *o = json_loads(k->schema, 0, NULL);
    json_object_set_new(o, "description", json_string(k->doc));
    return o;
}

/* What of a part stands in the row, and what it looks like in JSON. */
static const struct part {
    const char *name;
    enum { LIST_OF_VALUES, LIST_OF_NAMES, MAP } shape;
    unsigned flags; /* of its parameters */
    bool row;
} parts[COMMAND_PARTS] = {
    [COMMAND_ARGV] = {"argv", LIST_OF_VALUES, .row = true},
    [COMMAND_FILES] = {"files", MAP, PARAM_IMPORT, .row = true},
    [COMMAND_ENV] = {"env", LIST_OF_NAMES},
    [COMMAND_SET] = {"set", MAP, .row = true},
    [COMMAND_OUTPUTS] = {"outputs", MAP, .row = true},
    [COMMAND_INPUTS] = {"inputs", LIST_OF_NAMES},
};

const struct command_item *command_find(const struct command *c, enum command_part part, const char *name)
{
    for (int i = 0; i < c->part[part].n; i++)
        if (strcmp(c->part[part].item[i].name, name) == 0)
            return &c->part[part].item[i];
    return NULL;
}

/* ---- the row ---- */

struct params { /* of a task's row: as many texts as it has words */
    int64_t version;
    const char *text[];
};

static int count_rows(const struct command *c)
{
    int n = 0;
    for (int p = 0; p < COMMAND_PARTS; p++)
        n += parts[p].row ? c->part[p].n : 0;
    return n;
}

static struct port *make_ports(const struct command_list *list, bool output, struct arena *a)
{
    struct port *port = arena_alloc(a, (size_t)(list->n + 1) * sizeof *port);
    for (int i = 0; i < list->n; i++) {
        const struct command_item *item = &list->item[i];
        port[i] =
            output
                ? (struct port){.name = item->name,
                                .type = artifact_find(item->value),
                                .releases = item->release != NULL,
                                .release = item->release}
                : (struct port){.name = item->name, .type = ARTIFACT_ANY, .many = true, .private_ok = true};
        if (output && !port[i].type)
            port[i].type = ARTIFACT_ANY; /* a type that was reported: no second message where it is used */
    }
    return port;
}

const struct stage *command_stage(const struct stage *row, const struct command *c, struct arena *a,
                                  const void **ret_params, const struct pos **ret_pos)
{
    int n = count_rows(c), k = 0;
    struct stage *s = arena_alloc(a, sizeof *s);
    struct param *param = arena_alloc(a, (size_t)(n + 2) * sizeof *param);
    struct params *params = arena_alloc(a, sizeof *params + (size_t)n * sizeof *params->text);
    struct pos *pos = arena_alloc(a, (size_t)(n + 2) * sizeof *pos);
    for (int p = 0; p < COMMAND_PARTS; p++)
        for (int i = 0; parts[p].row && i < c->part[p].n; i++, k++) {
            const struct command_item *item = &c->part[p].item[i];
            param[k] =
                (struct param){.name = item->name ? arena_printf(a, "%s.%s", parts[p].name, item->name)
                                                  : arena_printf(a, "%s.%d", parts[p].name, i),
                               .type = PARAM_STRING,
                               .offset = offsetof(struct params, text) + (size_t)k * sizeof *params->text,
                               .flags = parts[p].flags | PARAM_REQUIRED};
            params->text[k] = item->value;
            pos[k] = item->pos;
        }
    param[k] = (struct param){.name = "version", .type = PARAM_INT, .offset = 0, .flags = PARAM_REQUIRED};
    params->version = c->version;
    pos[k] = c->version_pos;
    *s = *row;
    s->params = param;
    s->params_size = sizeof *params + (size_t)n * sizeof *params->text;
    s->inputs = make_ports(&c->part[COMMAND_INPUTS], false, a);
    s->outputs = make_ports(&c->part[COMMAND_OUTPUTS], true, a);
    s->command = c;
    *ret_params = params;
    if (ret_pos)
        *ret_pos = pos;
    return s;
}

enum artifact command_output_type(const char *key_text, const char *output)
{
    AUTO(mem) char *field = xprintf("\nparam %s.%s = \"", parts[COMMAND_OUTPUTS].name, output);
    const char *at = strstr(key_text, field);
    if (!at)
        return ARTIFACT_NONE;
    at += strlen(field);
    AUTO(mem) char *type = xstrndup(at, strcspn(at, "\"\n"));
    return artifact_find(type);
}

/* ---- JSON ---- */

static void put_part(struct json_out *o, const struct command_list *list, const struct part *part)
{
    bool map = part->shape == MAP;
    (map ? json_out_object : json_out_list)(o, part->name);
    for (int i = 0; i < list->n; i++) {
        const struct command_item *item = &list->item[i];
        json_out_text(o, map ? item->name : NULL, part->shape == LIST_OF_NAMES ? item->name : item->value);
    }
    json_out_end(o);
}

void command_write(struct json_out *o, const char *name, const struct command *c)
{
    json_out_object(o, name);
    json_out_integer(o, "version", c->version);
    for (int p = 0; p < COMMAND_PARTS; p++)
        put_part(o, &c->part[p], &parts[p]);
    json_out_end(o);
}

static bool wrong(const char *name, struct error *err)
{
    return error_set(err, NULL, ERROR_INPUT, "'%s' is not what a command has there", name);
}

static bool read_part(const json_t *o, const struct part *part, struct arena *a, struct command_list *ret,
                      struct error *err)
{
    const json_t *all = json_object_get(o, part->name), *value;
    size_t n = part->shape == MAP ? json_object_size(all) : json_array_size(all), i;
    const char *name;
    if (!all || (part->shape == MAP ? !json_is_object(all) : !json_is_array(all)))
        return wrong(part->name, err);
    ret->item = arena_alloc(a, (n + 1) * sizeof *ret->item);
    json_t *map = part->shape == MAP ? (json_t *)(uintptr_t)all : NULL;
    json_object_foreach(map, name, value)
    {
        if (!json_is_string(value))
            return wrong(part->name, err);
        ret->item[ret->n++] = (struct command_item){.name = arena_strdup(a, name),
                                                    .value = arena_strdup(a, json_string_value(value))};
    }
    for (i = 0; !map && i < n; i++) {
        const char *text = json_string_value(json_array_get(all, i));
        if (!text)
            return wrong(part->name, err);
        text = arena_strdup(a, text);
        ret->item[ret->n++] = part->shape == LIST_OF_NAMES ? (struct command_item){.name = text}
                                                           : (struct command_item){.value = text};
    }
    return true;
}

bool command_read(const json_t *o, struct arena *a, struct command **ret, struct error *err)
{
    struct command *c = arena_alloc(a, sizeof *c);
    if (!json_get_int(o, "version", &c->version, err))
        return false;
    for (int p = 0; p < COMMAND_PARTS; p++)
        if (!read_part(o, &parts[p], a, &c->part[p], err))
            return false;
    for (int i = 0; i < c->part[COMMAND_OUTPUTS].n; i++)
        if (!artifact_find(c->part[COMMAND_OUTPUTS].item[i].value))
            return error_set(err, NULL, ERROR_INPUT, "there is no artifact type '%s'",
                             c->part[COMMAND_OUTPUTS].item[i].value);
    if (c->part[COMMAND_ARGV].n == 0)
        return error_set(err, NULL, ERROR_INPUT, "'argv' is empty");
    *ret = c;
    return true;
}
