#include "engine/cli/reason.h"
#include <stdlib.h>
#include <string.h>

/* The parameter that a field "param NAME" or "import NAME" is of; -1: none. */
static int param_of(const struct task *t, const char *field)
{
    const struct param *rows = t->stage->params;
    const char *name = strchr(field, ' ');
    bool param = strncmp(field, "param ", 6) == 0 || strncmp(field, "import ", 7) == 0;
    for (int i = 0; param && rows && rows[i].name; i++)
        if (strcmp(rows[i].name, name + 1) == 0)
            return i;
    return -1;
}

/* The task behind a field "input PORT[i]" or "also PORT[i]"; NULL: none. */
static const struct task *input_of(const struct task *t, const char *field)
{
    const struct port *ports = t->stage->inputs;
    const char *name = strchr(field, ' ');
    if (!name++)
        return NULL;
    size_t n = strcspn(name, "[");
    for (int p = 0; name[n] == '[' && p < stage_port_count(ports); p++)
        if (strlen(ports[p].name) == n && strncmp(ports[p].name, name, n) == 0) {
            long at = strtol(name + n + 1, NULL, 10);
            return at >= 0 && at < t->inputs[p].n ? t->inputs[p].ref[at].task : NULL;
        }
    return NULL;
}

/* Digests are long and say nothing: their first digits are enough to see that they differ. */
static void add_value(const char *value, struct buf *out)
{
    struct digest d;
    buf_printf(out, "%.*s", digest_parse(value, &d) ? 12 : 200, value);
}

static void add_place(const struct task *t, const struct key_change *c, struct buf *out)
{
    int p = param_of(t, c->field);
    const struct task *from = input_of(t, c->field);
    if (from)
        buf_printf(out, " (from task '%s')", from->name);
    else if (p >= 0 && t->param_pos[p].line)
        buf_printf(out, " (%s:%d:%d)", t->param_pos[p].file, t->param_pos[p].line, t->param_pos[p].col);
    else if (p >= 0 && c->now)
        buf_puts(out, " (the default)");
}

void reason_text(const struct task *t, const struct key_change *c, struct buf *out)
{
    buf_printf(out, "%s: ", c->field);
    if (c->before)
        add_value(c->before, out);
    buf_puts(out, c->before && c->now ? " -> " : c->before ? " (no longer there)" : "new: ");
    if (c->now)
        add_value(c->now, out);
    if (t)
        add_place(t, c, out);
}

json_t *reason_json(const struct task *t, const struct key_change *c)
{
    json_t *o = json_pack("{s:s, s:s?, s:s?}", "field", c->field, "before", c->before, "now", c->now);
    int p = t ? param_of(t, c->field) : -1;
    const struct task *from = t ? input_of(t, c->field) : NULL;
    if (from)
        json_object_set_new(o, "from", json_string(from->name));
    if (p >= 0 && t->param_pos[p].line)
        json_object_update_new(o, json_pack("{s:s, s:i, s:i}", "file", t->param_pos[p].file, "line",
                                            t->param_pos[p].line, "col", t->param_pos[p].col));
    return o;
}

json_t *reasons_json(const struct task *t, const struct key_diff *d)
{
    json_t *list = json_array();
    for (int i = 0; i < d->n; i++)
        json_array_append_new(list, reason_json(t, &d->change[i]));
    return list;
}
