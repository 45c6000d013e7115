#include "engine/cli/schema_resources.h"

#define NUMBER "[0-9]+(\\.[0-9]+)?"

static json_t *variable(void)
{
    return json_pack("{s:s}", "$ref", "#/$defs/variable");
}

static json_t *or_variable(json_t *schema)
{
    return json_pack("{s:[o, o]}", "anyOf", schema, variable());
}

/* A number from least to greatest, or a variable. */
static json_t *count(int least, int greatest)
{
    return or_variable(
        json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", least, "maximum", greatest));
}

static json_t *text(const char *pattern)
{
    return json_pack("{s:s, s:i, s:s}", "type", "string", "minLength", 1, "pattern", pattern);
}

static json_t *cores(void)
{
    return json_pack("{s:[{s:s, s:i, s:i}, o, o]}", "anyOf", "type", "integer", "minimum", 1, "maximum",
                     100000, text("^([1-9][0-9]*(\\.\\.([1-9][0-9]*)?)?|auto)$"), variable());
}

static json_t *memory(void)
{
    return json_pack("{s:[{s:s, s:i}, o, o]}", "anyOf", "type", "number", "exclusiveMinimum", 0,
                     text("^([0-9]+(\\.[0-9]+)?([KMGT](i?B)?|B)?|auto)$"), variable());
}

static json_t *seconds(void)
{
    return json_pack(
        "{s:[{s:s, s:i, s:f}, o, o]}", "anyOf", "type", "number", "exclusiveMinimum", 0, "maximum", 1e9,
        text("^(" NUMBER "|(" NUMBER "d)?(" NUMBER "h)?(" NUMBER "m)?(" NUMBER "s)?)$"), variable());
}

static json_t *place(void)
{
    return or_variable(json_pack("{s:[s, s]}", "enum", "compact", "spread"));
}

static json_t *exclusive(void)
{
    return or_variable(json_pack("{s:s}", "type", "boolean"));
}

static json_t *units(void)
{
    return or_variable(json_pack("{s:s, s:{s:s}, s:o}", "type", "object", "propertyNames", "pattern",
                                 "^[A-Za-z][A-Za-z0-9_-]{0,99}$", "additionalProperties", count(1, 10000)));
}

static void add(json_t *properties, const char *name, json_t *schema, const char *doc)
{
    json_object_set_new(schema, "description", json_string(doc));
    json_object_set_new(properties, name, schema);
}

static json_t *map_of(json_t *properties)
{
    return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties",
                     0);
}

static json_t *retries(void)
{
    json_t *p = json_object(), *number = count(0, 100);
    add(p, "times", json_deep_copy(number), "how many more attempts");
    add(p, "backoff", seconds(),
        "how long to wait before the first of them; twice as long before each further");
    add(p, "memory", or_variable(text("^x[0-9]+(\\.[0-9]+)?$")),
        "by which factor, such as x2 or x1.5, each asks for more memory than the one before");
    json_t *map = map_of(p);
    json_object_set_new(map, "required", json_pack("[s]", "times"));
    json_array_append_new(json_object_get(number, "anyOf"), map);
    return number;
}

json_t *schema_resources(void)
{
    json_t *p = json_object();
    add(p, "cores", cores(), "a number, \"2..8\", \"4..\", or auto: weft chooses");
    add(p, "memory", memory(), "a size such as 6GiB, or auto");
    add(p, "exclusive", exclusive(), "true: no other task on the node meanwhile");
    add(p, "place", place(),
        "compact: cores close together, sharing caches; spread: far apart, sharing little");
    add(p, "units", units(), "of named resources, such as { gpu: 1, licence: 2 }, so many each");
    add(p, "timeout", seconds(), "how long it may run: 90s, 30m, 1h30m or seconds");
    add(p, "retries", retries(), "more attempts after one that failed");
    return or_variable(map_of(p));
}
