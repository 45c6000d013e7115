#include "engine/cli/schema_sweep.h"

static json_t *variable(void)
{
    return json_pack("{s:s}", "$ref", "#/$defs/variable");
}

static json_t *number(void)
{
    return json_pack("{s:[{s:s}, o]}", "anyOf", "type", "number", variable());
}

/* n numbers, with words about them. */
static json_t *numbers(int n, const char *doc)
{
    return json_pack("{s:s, s:o, s:i, s:i, s:s}", "type", "array", "items", number(), "minItems", n,
                     "maxItems", n, "description", doc);
}

static json_t *values(void)
{
    return json_pack("{s:s, s:i}", "type", "array", "minItems", 1);
}

/* A list, a variable, or one key with its argument. */
static json_t *axis(void)
{
    static const struct {
        const char *name;
        int numbers;
        const char *doc;
    } form[] = {{"range", 3, "[from, to, step]; 'to' is one of the values"},
                {"logrange", 3, "[from, to, count]: equal factors between the values"},
                {"uniform", 2, "[least, greatest]; methods random and lhs"},
                {"loguniform", 2, "[least, greatest], uniform in the logarithm; methods random and lhs"},
                {"integer", 2, "[least, greatest], both included; methods random and lhs"}};
    json_t *p = json_object();
    for (size_t i = 0; i < sizeof form / sizeof *form; i++)
        json_object_set_new(p, form[i].name, numbers(form[i].numbers, form[i].doc));
    json_object_set_new(p, "choice", values());
    return json_pack("{s:[o, o, {s:s, s:o, s:b, s:i, s:i}]}", "anyOf", values(), variable(), "type", "object",
                     "properties", p, "additionalProperties", 0, "minProperties", 1, "maxProperties", 1);
}

static json_t *halving(void)
{
    json_t *rungs = json_pack("{s:[{s:s, s:i, s:{s:s}}, o], s:s}", "anyOf", "type", "array", "minItems", 2,
                              "items", "type", "number", variable(), "description", "its values, rising");
    json_t *keep = json_pack("{s:[{s:s, s:i, s:i}, o], s:s}", "anyOf", "type", "number", "exclusiveMinimum",
                             0, "exclusiveMaximum", 1, variable(), "description",
                             "the part of a rung that goes on; default 0.5");
    json_t *wait = json_pack("{s:[{s:s}, o], s:s}", "anyOf", "type", "boolean", variable(), "description",
                             "until all of a rung are done");
    json_t *over =
        json_pack("{s:s, s:s}", "type", "string", "description", "the variable that grows with the rung");
    return json_pack("{s:s, s:{s:o, s:o, s:o, s:o}, s:[s, s], s:b, s:s}", "type", "object", "properties",
                     "over", over, "rungs", rungs, "keep", keep, "wait", wait, "required", "over", "rungs",
                     "additionalProperties", 0, "description",
                     "successive halving: only the best points go on to the next rung");
}

static json_t *search(void)
{
    json_t *count =
        json_pack("{s:[{s:s, s:i, s:i}, o], s:s}", "anyOf", "type", "integer", "minimum", 1, "maximum", 10000,
                  variable(), "description", "points of the methods random and lhs");
    json_t *seed = json_pack("{s:[{s:s, s:i}, o], s:s}", "anyOf", "type", "integer", "minimum", 0, variable(),
                             "description", "of the methods random and lhs");
    json_t *where = json_pack("{s:[{s:s}, {s:s, s:{s:s}}], s:s}", "anyOf", "type", "string", "type", "array",
                              "items", "type", "string", "description",
                              "conditions that every point meets: \"proxies >= 200 and lambda != 0\"");
    json_t *method =
        json_pack("{s:[{s:[s, s, s, s]}, o], s:s}", "anyOf", "enum", "grid", "zip", "random", "lhs",
                  variable(), "description", "how points come from the axes; grid is the default");
    return json_pack("{s:s, s:{s:o, s:o, s:o, s:o, s:o}, s:b, s:s}", "type", "object", "properties",
                     "halving", halving(), "method", method, "count", count, "seed", seed, "where", where,
                     "additionalProperties", 0, "description", "how the sweep chooses its points");
}

void schema_sweep(json_t *properties)
{
    json_object_set_new(properties, "sweep",
                        json_pack("{s:s, s:i, s:o, s:s}", "type", "object", "minProperties", 1,
                                  "additionalProperties", axis(), "description",
                                  "values that variables take, for 'weft sweep'"));
    json_object_set_new(properties, "objective",
                        json_pack("{s:s, s:s, s:s}", "type", "string", "pattern",
                                  "\\$\\{|^[A-Za-z0-9_-]+(\\[[^\\]]+\\])?\\.[^.,]+ *, *(max|min)$",
                                  "description", "STAGE.METRIC, max or min; 'average' means all metrics"));
    json_object_set_new(properties, "search", search());
}
