/* reference: numbers from elsewhere, for example a paper's table, that are shown beside the measured ones. */
#include "engine/spec/spec_impl.h"
#include <string.h>

static const char *const keys[] = {"name", "source", "rows", NULL};

/* {SYSTEM: {DOMAIN: number}}: how many numbers there are. */
static int count(const struct yaml_node *rows)
{
    int n = 0;
    for (int i = 0; i < rows->n; i++)
        n += rows->item[i]->kind == YAML_MAP ? rows->item[i]->n : 0;
    return n;
}

static void read_number(struct experiment *e, struct reference *r, const char *system,
                        const struct yaml_node *domain, const struct yaml_node *value)
{
    json_t *j = yaml_json(value);
    if (json_is_number(j))
        r->row[r->n++] = (struct reference_row){system, domain->text, json_number_value(j)};
    else
        diag_add(e->diag, &value->pos, "a reference is a number, not %s%s%s",
                 value->kind == YAML_SCALAR ? "'"
                 : value->kind == YAML_LIST ? "a list"
                                            : "a map",
                 value->kind == YAML_SCALAR ? value->text : "", value->kind == YAML_SCALAR ? "'" : "");
    json_decref(j);
}

static void read_rows(struct experiment *e, struct reference *r, const struct yaml_node *rows)
{
    if (rows->kind != YAML_MAP || rows->n == 0) {
        diag_add(e->diag, &rows->pos, "rows: takes a map SYSTEM: {DOMAIN: number}");
        return;
    }
    r->row = arena_alloc(e->arena, ((size_t)count(rows) + 1) * sizeof *r->row);
    for (int i = 0; i < rows->n; i++) {
        const struct yaml_node *of = rows->item[i];
        if (of->kind != YAML_MAP || of->n == 0)
            diag_add(e->diag, &of->pos, "the numbers of '%s' are a map DOMAIN: number", rows->key[i]->text);
        for (int k = 0; of->kind == YAML_MAP && k < of->n; k++)
            read_number(e, r, rows->key[i]->text, of->key[k], of->item[k]);
    }
}

/* The text of `key`, "" when it is not there; one that is no text is reported. */
static const char *text_of(struct experiment *e, const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = yaml_get(map, key);
    if (n && (n->kind != YAML_SCALAR || !*n->text))
        diag_add(e->diag, &n->pos, "%s: takes text", key);
    return n && n->kind == YAML_SCALAR ? n->text : "";
}

static void read_one(struct experiment *e, const struct yaml_node *node, struct spec *s)
{
    if (!spec_check_map(e, node, keys, "a reference"))
        return;
    struct reference *r = &s->reference[s->n_references++];
    const struct yaml_node *name = yaml_get(node, "name"), *rows = yaml_get(node, "rows");
    *r = (struct reference){.name = text_of(e, node, "name"), .source = text_of(e, node, "source")};
    r->pos = name ? name->pos : node->pos;
    if (!name || !rows)
        diag_add(e->diag, &node->pos, "a reference needs %s", !name ? "a 'name'" : "'rows'");
    if (rows)
        read_rows(e, r, rows);
    for (int i = 0; name && i < s->n_references - 1; i++)
        if (strcmp(s->reference[i].name, r->name) == 0)
            diag_again(e->diag, &r->pos, &s->reference[i].pos, "reference '%s' is defined twice", r->name);
}

void reference_read(struct experiment *e, struct spec *s)
{
    int n = 0;
    for (int i = 0; i < e->all_references->n; i++)
        n += e->all_references->item[i]->n;
    s->reference = arena_alloc(e->arena, ((size_t)n + 1) * sizeof *s->reference);
    for (int i = 0; i < e->all_references->n; i++) {
        const struct yaml_node *list = e->all_references->item[i];
        if (list->kind != YAML_LIST)
            diag_add(e->diag, &list->pos, "reference: takes a list of {name: ..., source: ..., rows: {...}}");
        for (int k = 0; list->kind == YAML_LIST && k < list->n; k++)
            read_one(e, list->item[k], s);
    }
}
