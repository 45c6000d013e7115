#include "engine/spec/yaml.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "engine/spec/lookup.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 100
#define NODES_MAX 1000000 /* aliases count each time they are used */
#define KEYS_MAX  20000   /* of one map */
#define KEYS_FEW  32      /* so many are looked through one by one */

struct anchor {
    const char *name;
    struct yaml_node *node;
    int size; /* nodes below it, itself included */
    struct anchor *next;
};
struct reader {
    yaml_parser_t parser;
    const char *file, *text;
    size_t size;
    struct arena *arena;
    struct anchor *anchors;
    int depth, nodes;
    struct error *err;
};

static struct pos pos_of(const struct reader *r, yaml_mark_t m)
{
    return (struct pos){r->file, (int)m.line + 1, (int)m.column + 1};
}

static bool complain(struct reader *r, struct pos pos, const char *text)
{
    return error_set(r->err, &pos, ERROR_INPUT, "%s", text);
}

/* The place of a byte of the text: libyaml decodes ahead of what it parses, and knows no more of bad bytes.
 */
static struct pos pos_of_byte(const struct reader *r, size_t offset)
{
    struct pos pos = {r->file, 1, 1};
    size_t i = r->size >= 3 && memcmp(r->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (; i < offset && i < r->size; i++) {
        bool end = r->text[i] == '\n' || (r->text[i] == '\r' && !(i + 1 < r->size && r->text[i + 1] == '\n'));
        pos.line += end;
        pos.col = end ? 1 : pos.col + ((r->text[i] & 0xC0) != 0x80);
    }
    return pos;
}

static bool complain_of_bytes(struct reader *r)
{
    const struct pos pos = pos_of_byte(r, r->parser.problem_offset);
    return error_set(r->err, &pos, ERROR_INPUT, "%s: a file is UTF-8 text", r->parser.problem);
}

/* A character that YAML keeps for itself, or a tab. */
static bool complain_of_start(struct reader *r, struct pos pos)
{
    char c = (char)*r->parser.buffer.pointer;
    return complain(r, pos,
                    c == '\t' ? "a tab cannot stand here: YAML indents with spaces"
                              : "this character cannot start anything here: put the value in quotes");
}

static bool next_event(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->parser, e))
        return true;
    const yaml_parser_t *p = &r->parser;
    const struct pos pos = pos_of(r, p->problem_mark), begin = pos_of(r, p->context_mark);
    const char *what = p->problem ? p->problem : "not valid YAML";
    memset(e, 0, sizeof *e);
    if (p->error == YAML_READER_ERROR)
        return complain_of_bytes(r);
    if (strstr(what, "cannot start any token"))
        return complain_of_start(r, pos);
    bool flow = p->context && strstr(p->context, "flow") && memmem(r->text, r->size, "${", 2);
    error_set(r->err, &pos, ERROR_INPUT, "%s%s%s%s", what, p->context ? ", " : "",
              p->context ? p->context : "", flow ? " (inside { } and [ ] write \"${x}\" with quotes)" : "");
    if (p->context && (begin.line != pos.line || begin.col != pos.col))
        error_note(r->err, &begin, "which begins here");
    return false;
}

static bool read_node(struct reader *r, yaml_event_t *e, struct yaml_node **ret);

static struct yaml_node *new_node(struct reader *r, enum yaml_kind kind, yaml_mark_t m)
{
    struct yaml_node *n = arena_alloc(r->arena, sizeof *n);
    *n = (struct yaml_node){.kind = kind, .pos = pos_of(r, m)};
    return n;
}

struct children {
    struct yaml_node **item, **key;
    int n, cap;
    struct lookup seen; /* of a map with many keys: the first `entered` of them */
    int entered;
};

static void children_auto(struct children *c)
{
    lookup_auto(&c->seen);
}

static void append(struct reader *r, struct children *c, struct yaml_node *key, struct yaml_node *item)
{
    if (c->n == c->cap) {
        int cap = c->cap ? 2 * c->cap : 8;
        struct yaml_node **items = arena_alloc(r->arena, (size_t)cap * sizeof *items);
        struct yaml_node **keys = arena_alloc(r->arena, (size_t)cap * sizeof *keys);
        if (c->n) {
            memcpy(items, c->item, (size_t)c->n * sizeof *items);
            memcpy(keys, c->key, (size_t)c->n * sizeof *keys);
        }
        c->item = items;
        c->key = keys;
        c->cap = cap;
    }
    c->item[c->n] = item;
    c->key[c->n++] = key;
}

static int find_key(struct children *c, const char *key)
{
    if (c->n <= KEYS_FEW) {
        for (int i = 0; i < c->n; i++)
            if (strcmp(c->key[i]->text, key) == 0)
                return i;
        return -1;
    }
    if (2 * (size_t)c->n > c->seen.mask) {
        lookup_auto(&c->seen);
        lookup_init(&c->seen, 2 * (size_t)c->n);
        c->entered = 0;
    }
    for (; c->entered < c->n; c->entered++)
        lookup_add(&c->seen, c->key[c->entered]->text, c->entered);
    return lookup_get(&c->seen, key);
}

static bool read_list(struct reader *r, struct yaml_node *n)
{
    struct children c = {0};
    for (;;) {
        yaml_event_t e;
        if (!next_event(r, &e))
            return false;
        bool end = e.type == YAML_SEQUENCE_END_EVENT;
        struct yaml_node *item = NULL;
        bool ok = end || read_node(r, &e, &item);
        yaml_event_delete(&e);
        if (!ok)
            return false;
        if (end)
            break;
        append(r, &c, NULL, item);
    }
    n->item = c.item;
    n->n = c.n;
    return true;
}

/* `<<: *base` or a list of them: keys that the map does not set itself. */
static bool merge(struct reader *r, struct children *c, const struct yaml_node *from)
{
    if (from->kind == YAML_LIST) {
        for (int i = 0; i < from->n; i++) {
            if (from->item[i]->kind != YAML_MAP)
                return complain(r, from->item[i]->pos, "a merge key '<<' takes a map or a list of maps");
            if (!merge(r, c, from->item[i]))
                return false;
        }
        return true;
    }
    if (from->kind != YAML_MAP)
        return complain(r, from->pos, "a merge key '<<' takes a map or a list of maps");
    for (int i = 0; i < from->n; i++)
        if (find_key(c, from->key[i]->text) < 0)
            append(r, c, from->key[i], from->item[i]);
    return c->n <= KEYS_MAX || complain(r, from->pos, "too many keys in one map");
}

/* One "key: value"; *end at the map's end. A merge is kept in *merged until the map's own keys are known. */
static bool read_pair(struct reader *r, struct children *c, struct children *merged, bool *end)
{
    yaml_event_t e;
    if (!next_event(r, &e))
        return false;
    *end = e.type == YAML_MAPPING_END_EVENT;
    struct yaml_node *key = NULL, *value = NULL;
    bool ok = *end || read_node(r, &e, &key);
    yaml_event_delete(&e);
    if (*end || !ok)
        return ok;
    if (key->kind != YAML_SCALAR)
        return complain(r, key->pos, "a key must be a plain word");
    int first = find_key(c, key->text);
    if (c->n == KEYS_MAX)
        return complain(r, key->pos, "too many keys in one map");
    if (first >= 0) {
        error_set(r->err, &key->pos, ERROR_INPUT, "duplicate key '%s'", key->text);
        return error_note(r->err, &c->key[first]->pos, "first defined here");
    }
    if (!next_event(r, &e))
        return false;
    ok = read_node(r, &e, &value);
    yaml_event_delete(&e);
    if (!ok)
        return false;
    append(r, !key->quoted && strcmp(key->text, "<<") == 0 ? merged : c, key, value);
    return true;
}

static bool read_map(struct reader *r, struct yaml_node *n)
{
    AUTO(children) struct children c = {0};
    AUTO(children) struct children merged = {0};
    for (bool end = false; !end;)
        if (!read_pair(r, &c, &merged, &end))
            return false;
    for (int i = 0; i < merged.n; i++)
        if (!merge(r, &c, merged.item[i]))
            return false;
    n->item = c.item;
    n->key = c.key;
    n->n = c.n;
    return true;
}

static bool read_alias(struct reader *r, const yaml_event_t *e, struct yaml_node **ret)
{
    struct pos pos = pos_of(r, e->start_mark);
    const char *name = (const char *)e->data.alias.anchor;
    for (const struct anchor *a = r->anchors; a; a = a->next)
        if (strcmp(a->name, name) == 0) {
            if (!a->node)
                return error_set(r->err, &pos, ERROR_INPUT, "anchor '%s' contains itself", name);
            r->nodes += a->size;
            if (r->nodes > NODES_MAX)
                return complain(r, pos, "too many nodes: aliases of aliases?");
            *ret = a->node;
            return true;
        }
    return error_set(r->err, &pos, ERROR_INPUT, "unknown anchor '%s'", name);
}

static const char *anchor_of(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)e->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static const char *tag_of(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return (const char *)e->data.mapping_start.tag;
    default:
        return NULL;
    }
}

static bool read_content(struct reader *r, const yaml_event_t *e, struct yaml_node **ret)
{
    if (e->type == YAML_SCALAR_EVENT) {
        struct yaml_node *n = *ret = new_node(r, YAML_SCALAR, e->start_mark);
        if (strlen((const char *)e->data.scalar.value) != e->data.scalar.length)
            return complain(r, n->pos, "text must not hold a NUL character");
        n->text = arena_strdup(r->arena, (const char *)e->data.scalar.value);
        n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        return true;
    }
    bool list = e->type == YAML_SEQUENCE_START_EVENT;
    *ret = new_node(r, list ? YAML_LIST : YAML_MAP, e->start_mark);
    if (++r->depth > DEPTH_MAX)
        return complain(r, (*ret)->pos, "nested too deeply");
    bool ok = list ? read_list(r, *ret) : read_map(r, *ret);
    r->depth--;
    return ok;
}

static bool read_node(struct reader *r, yaml_event_t *e, struct yaml_node **ret)
{
    struct pos pos = pos_of(r, e->start_mark);
    if (e->type == YAML_ALIAS_EVENT)
        return read_alias(r, e, ret);
    if (e->type != YAML_SCALAR_EVENT && e->type != YAML_SEQUENCE_START_EVENT &&
        e->type != YAML_MAPPING_START_EVENT)
        return complain(r, pos, "not valid YAML here");
    if (tag_of(e))
        return error_set(r->err, &pos, ERROR_INPUT, "tags such as '%s' are not used here", tag_of(e));
    struct anchor *a = NULL;
    if (anchor_of(e)) {
        a = arena_alloc(r->arena, sizeof *a);
        *a = (struct anchor){.name = arena_strdup(r->arena, anchor_of(e)), .next = r->anchors};
        r->anchors = a;
    }
    int before = r->nodes++;
    if (r->nodes > NODES_MAX)
        return complain(r, pos, "too many nodes");
    if (!read_content(r, e, ret))
        return false;
    if (a) {
        a->node = *ret;
        a->size = r->nodes - before;
    }
    return true;
}

/* stream-start, document-start, the root, document-end, stream-end. */
static bool read_document(struct reader *r, struct yaml_node **ret)
{
    for (bool root = false;;) {
        yaml_event_t e;
        if (!next_event(r, &e))
            return false;
        bool ok = true, end = e.type == YAML_STREAM_END_EVENT;
        struct pos pos = pos_of(r, e.start_mark);
        if (e.type == YAML_DOCUMENT_START_EVENT && root)
            ok = complain(r, pos, "one document a file");
        else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
                 e.type != YAML_DOCUMENT_END_EVENT && !end)
            root = ok = read_node(r, &e, ret);
        yaml_event_delete(&e);
        if (!ok)
            return false;
        if (end)
            return root || complain(r, (struct pos){r->file, 1, 1}, "the file is empty");
    }
}

bool yaml_parse(const char *text, size_t n, const char *name, struct arena *a, struct yaml_node **ret,
                struct error *err)
{
    struct error mine = {0};
    struct reader r = {.file = arena_strdup(a, name), .text = text, .size = n, .arena = a, .err = &mine};
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, NULL, ERROR_SYSTEM, "out of memory");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    bool ok = read_document(&r, ret);
    yaml_parser_delete(&r.parser);
    if (!ok && err)
        *err = mine;
    return ok;
}

bool yaml_read(const char *path, struct arena *a, struct yaml_node **ret, struct error *err)
{
    AUTO(mem) char *text = NULL;
    size_t n;
    return fs_read_file(path, &text, &n, err) && yaml_parse(text, n, path, a, ret, err);
}

int yaml_find(const struct yaml_node *map, const char *key)
{
    for (int i = 0; map && map->kind == YAML_MAP && i < map->n; i++)
        if (strcmp(map->key[i]->text, key) == 0)
            return i;
    return -1;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    int i = yaml_find(map, key);
    return i < 0 ? NULL : map->item[i];
}

/* [-+]? digits without a leading zero: YAML 1.1 would read 0777 as octal and 1_000, 1:30 as numbers; here
 * they are text. */
static bool is_integer(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t n = strspn(s, "0123456789");
    return n > 0 && !s[n] && (n == 1 || s[0] != '0');
}

static bool is_real(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, "0123456789"), part = 0;
    if (whole > 1 && s[0] == '0')
        return false;
    s += whole;
    if (*s == '.')
        part = strspn(++s, "0123456789");
    s += part;
    if (whole + part == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+';
        if (!isdigit((unsigned char)*s))
            return false;
        s += strspn(s, "0123456789");
    }
    return !*s;
}

static json_t *scalar_json(const struct yaml_node *n)
{
    const char *s = n->text;
    if (n->quoted)
        return json_string(s);
    if (!*s || strcmp(s, "~") == 0 || strcmp(s, "null") == 0)
        return json_null();
    if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)
        return json_boolean(*s == 't');
    errno = 0;
    long long i = is_integer(s) ? strtoll(s, NULL, 10) : 0;
    if (is_integer(s) && errno == 0)
        return json_integer(i);
    double x = is_real(s) ? strtod(s, NULL) : 0;
    if (is_real(s) && isfinite(x))
        return json_real(x);
    return json_string(s);
}

json_t *yaml_json(const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR)
        return scalar_json(n);
    json_t *j = n->kind == YAML_LIST ? json_array() : json_object();
    for (int i = 0; i < n->n; i++) {
        if (n->kind == YAML_LIST)
            json_array_append_new(j, yaml_json(n->item[i]));
        else
            json_object_set_new(j, n->key[i]->text, yaml_json(n->item[i]));
    }
    return j;
}
