/* weft-experiment(5): the experiment file. Its keys are those of the schema, so that what `weft schema` gains
 * stands here too; stages come from their rows. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/cli/manual.h"
#include "stages/command.h"
#include <string.h>

static const char example[] = "experiment: compare\n"
                              "vars: { clients: [stripes, blobs], lambda: 0.3 }\n"
                              "stages:\n"
                              "  public: { uses: synthetic, with: { domain: public } }\n"
                              "  client:\n"
                              "    foreach: ${clients}\n"
                              "    uses: synthetic\n"
                              "    with: { domain: \"${item}\" }\n"
                              "    private: ${item}\n"
                              "  seed: { uses: pretrain, in: { public: public } }\n"
                              "  expert:\n"
                              "    foreach: ${clients}\n"
                              "    uses: expert\n"
                              "    in: { model: seed, private: \"client[${item}]\", public: public }\n"
                              "  unified:\n"
                              "    uses: merge\n"
                              "    in: { model: seed, experts: \"expert[*]\" }\n"
                              "    with: { lambda: \"${lambda}\" }";

/* What no row says. */
static const struct {
    const char *title, *text;
} prose[] = {
    {"VALUES",
     "${a.b} inserts a variable. A value that is just ${x} keeps its type, lists included; inside "
     "longer text it "
     "becomes text; $${ writes ${. --set a.b=value replaces a variable, the value is YAML. --vars "
     "FILE lays a YAML "
     "map over the variables, below --set.\n\n"
     "In a foreach, ${item} is the item and ${key} its key; an item that is a map is named by its "
     "member name, else "
     "by its position, and ${item.x} is its member. In a matrix, ${item.x} is the coordinate x.\n\n"
     "With rounds, ${round} is the number of a task's round, from 1, and ${previous}, in in: alone, that of "
     "the "
     "round before. Inputs that name ${previous} are not connected in round 1 unless first says "
     "otherwise.\n\n"
     "Booleans are true and false, numbers decimal; words such as no, 0777 and 1:30 are text. A number "
     "that could not be kept to its last digit is an error. Anchors, aliases and merge keys work; "
     "duplicate keys and tabs are errors.\n\n"
     "defaults gives all stages that use a stage values for with and resources, below what they say "
     "themselves."},
    {"RESOURCES",
     "They never change a key. Of each, what a stage says replaces what defaults say, as a whole. units are "
     "named resources; what there is of them weft run --unit says, and GPUs are found. A task that has "
     "devices is told which: WEFT_UNIT_GPU=0,2, and for gpu CUDA_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES.\n\n"
     "timeout bounds each attempt. retries counts attempts after the first; as a map, { times: 3, backoff: "
     "10s, memory: x2 }, they wait 10, 20 and 40 seconds, and each asks for twice the memory of the one "
     "before."},
    {"REFERENCES", "name, name[item], name[x,y]; * stands for all: name[*], name[0,*], in the order of the "
                   "file. Of a matrix, name[y=b] are all tasks with that coordinate; name[round=3] those of "
                   "a round. A port that takes "
                   "many accepts a list. Which output of the named task is meant follows from the port's "
                   "artifact type; name.port "
                   "says it where two would fit."},
    {"PATHS", "They are relative to the current directory, as in a shell; those of include to the file that "
              "names them. "
              "What a path holds is part of the key, where it lies is not. Outside data may also be a URL, "
              "hf://OWNER/NAME of the Hugging Face hub or https://HOST/PATH#sha256=HEX, which weft run "
              "fetches when it is not there yet."},
    {"LABELS", "What a private task makes carries its label, and so does everything made from it, except "
               "through output ports "
               "that declare what they release. A task that would see two labels, or a port not meant for "
               "private data that "
               "would receive some, is an error."},
};

void port_text(const struct port *p, struct buf *out)
{
    buf_puts(out, artifact_name(p->type));
    if (p->also)
        buf_printf(out, " and %s", artifact_name(p->also));
    if (p->many)
        buf_puts(out, ", one or more");
    if (p->optional)
        buf_puts(out, ", optional");
    if (p->private_ok)
        buf_puts(out, "; may be private");
    if (p->releases)
        buf_printf(out, "; releases %s", p->release ? p->release : "it");
}

/* ---- the schema's keys ---- */

/* The entry of $defs that a schema refers to, else itself. */
static const json_t *resolve(const json_t *root, const json_t *schema)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    const char *name = ref ? strrchr(ref, '/') : NULL;
    return name ? json_object_get(json_object_get(root, "$defs"), name + 1) : schema;
}

/* Keys inside a key: those of the schema or of an alternative of it. */
static const json_t *inner(const json_t *root, const json_t *schema)
{
    const json_t *s = resolve(root, schema), *found = json_object_get(s, "properties");
    const json_t *any = json_object_get(s, "anyOf"), *alternative;
    size_t i;
    json_array_foreach(any, i, alternative) if (!found) found =
        json_object_get(resolve(root, alternative), "properties");
    return found;
}

static void put_doc(struct buf *out, const json_t *schema)
{
    const char *doc = json_string_value(json_object_get(schema, "description"));
    if (doc)
        mdoc_text(out, doc);
}

/* One entry a key, "resources.cores" for keys inside keys. */
static void put_keys(struct buf *out, const json_t *root, const json_t *properties, const char *prefix)
{
    const char *key;
    json_t *schema;
    json_object_foreach((json_t *)properties, key, schema)
    {
        AUTO(mem) char *name = xprintf("%s%s", prefix, key);
        AUTO(mem) char *deeper = xprintf("%s.", name);
        mdoc_line(out, "It Ic", name, NULL);
        put_doc(out, schema);
        bool by_stage = strcmp(name, "defaults") == 0; /* with and resources of each stage, once more */
        if (!by_stage && inner(root, schema))
            put_keys(out, root, inner(root, schema), deeper);
    }
}

static void put_schema(struct buf *out)
{
    AUTO_JSON root = schema_experiment();
    const json_t *stage = json_object_get(json_object_get(root, "$defs"), "stage");
    buf_puts(out, ".Sh KEYS OF THE FILE\n.Bl -tag -width indent\n");
    put_keys(out, root, json_object_get(root, "properties"), "");
    buf_puts(out, ".El\n.Sh KEYS OF A STAGE\nEach entry of\n.Ic stages\nhas a name and these keys:\n"
                  ".Bl -tag -width indent\n");
    put_keys(out, root, json_object_get(stage, "properties"), "");
    buf_puts(out, ".El\n");
}

/* ---- stages ---- */

static void put_ports(struct buf *out, const char *title, const struct port *p)
{
    if (!p || !p->name)
        return;
    buf_printf(out, ".Pp\n%s:\n.Bl -tag -width indent\n", title);
    for (; p->name; p++) {
        AUTO(buf) struct buf type = {0};
        port_text(p, &type);
        mdoc_line(out, "It Ic", p->name, NULL);
        if (p->doc)
            mdoc_text(out, p->doc);
        mdoc_line(out, "Pq", buf_str(&type), NULL);
    }
    buf_puts(out, ".El\n");
}

static void put_params(struct buf *out, const struct param *p)
{
    if (!p || !p->name)
        return;
    buf_puts(out, ".Pp\nParameters\n.Pq Ic with :\n.Bl -tag -width indent\n");
    for (; p->name; p++) {
        AUTO(buf) struct buf kind = {0};
        param_describe(p, &kind);
        mdoc_line(out, "It Ic", p->name, NULL);
        if (p->doc)
            mdoc_text(out, p->doc);
        mdoc_line(out, "Pq", buf_str(&kind), NULL);
    }
    buf_puts(out, ".El\n");
}

/* What a program of the user's own declares, in place of parameters. */
static void put_command(struct buf *out)
{
    buf_puts(out, ".Pp\nParameters\n.Pq Ic with :\n.Bl -tag -width indent\n");
    for (const struct command_key *k = command_keys; k->name; k++) {
        mdoc_line(out, "It Ic", k->name, NULL);
        mdoc_text(out, k->doc);
    }
    buf_puts(out, ".El\n.Pp\nPlaceholders in its words:\n.Bl -tag -width indent\n");
    for (const struct command_word *w = command_placeholders; w->name; w++) {
        mdoc_line(out, "It Ic", w->name, NULL);
        mdoc_text(out, w->doc);
    }
    buf_puts(out, ".El\n");
}

static void put_stage(struct buf *out, const struct stage *s)
{
    AUTO(mem) char *title = xprintf("%s, version %d", s->name, s->version);
    mdoc_line(out, "Ss", title, NULL);
    mdoc_text(out, s->doc);
    put_ports(out, "Inputs\n.Pq Ic in ", s->inputs);
    put_ports(out, "Outputs", s->outputs);
    if (s->command)
        put_command(out);
    else
        put_params(out, s->params);
}

void manual_experiment(struct buf *out)
{
    mdoc_head(out, "weft-experiment", 5, "the experiment file of weft");
    buf_puts(out, ".Sh DESCRIPTION\n");
    mdoc_text(
        out,
        "An experiment is a YAML file. Each of its stages becomes a task, or several with foreach or matrix; "
        "a task takes what others make, and its result is kept under a key of all that it depends on. weft "
        "check finds all errors of a file before anything runs.");
    put_schema(out);
    for (size_t i = 0; i < sizeof prose / sizeof *prose; i++) {
        mdoc_line(out, "Sh", prose[i].title, NULL);
        mdoc_text(out, prose[i].text);
    }
    buf_puts(out, ".Sh STAGES\n");
    for (const struct stage *const *s = stage_registry; *s; s++)
        put_stage(out, *s);
    buf_puts(out, ".Sh EXAMPLES\n");
    mdoc_literal(out, example);
    buf_puts(out, ".Sh SEE ALSO\n.Xr weft 1\n");
}
