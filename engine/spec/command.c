/* uses: command: what a task declares of its program (with:, outputs:, the names in in:), read and checked,
 * and the row that follows from it. Afterwards such a task is like any other. */
#include "stages/command.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/varname.h"
#include "engine/spec/spec_impl.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader { /* of one task */
    struct experiment *e;
    const struct decl *decl;
    const struct instance *instance;
    struct command *command;
};

static bool is_variable(const char *s)
{
    bool ok = isalpha((unsigned char)*s) || *s == '_';
    for (const char *c = s; *c; c++)
        ok = ok && (isalnum((unsigned char)*c) || *c == '_');
    return ok;
}

/* Room for n more items in a part. */
static void reserve(struct reader *r, enum command_part part, int n)
{
    struct command_list *list = &r->command->part[part];
    struct command_item *more = arena_alloc(r->e->arena, (size_t)(list->n + n + 1) * sizeof *more);
    if (list->n)
        memcpy(more, list->item, (size_t)list->n * sizeof *more);
    list->item = more;
}

static void add(struct reader *r, enum command_part part, struct command_item item)
{
    struct command_list *list = &r->command->part[part];
    list->item[list->n++] = item;
}

/* A list of scalars; false after a diagnostic. */
static bool is_list(struct reader *r, const struct yaml_node *n, const char *what)
{
    bool ok = n->kind == YAML_LIST;
    for (int i = 0; ok && i < n->n; i++)
        ok = n->item[i]->kind == YAML_SCALAR;
    return ok || diag_add(r->e->diag, &n->pos, "%s", what);
}

/* ---- with: ---- */

static void read_argv(struct reader *r, const struct yaml_node *n)
{
    static const char what[] = "argv: takes the program and its arguments as a list of words";
    if (!is_list(r, n, what))
        return;
    if (n->n == 0 || !*n->item[0]->text) {
        diag_add(r->e->diag, &n->pos, "%s", what);
        return;
    }
    reserve(r, COMMAND_ARGV, n->n);
    for (int i = 0; i < n->n; i++)
        add(r, COMMAND_ARGV, (struct command_item){.value = n->item[i]->text, .pos = n->item[i]->pos});
}

/* A file or folder of the program, as written and where it lies. */
static void add_file(struct reader *r, const char *name, const struct pos *pos)
{
    AUTO(mem) char *path = *name ? realpath(name, NULL) : NULL;
    bool odd = false;
    for (const char *c = name; *c; c++)
        odd = odd || iscntrl((unsigned char)*c) || strchr("{}", *c);
    AUTO_JSON text = path ? json_string(path) : NULL;
    if (!path)
        diag_add(r->e->diag, pos, "files: cannot find '%s' (%s; paths are relative to the current folder)",
                 name, *name ? strerror(errno) : "empty");
    else if (odd || !text)
        diag_add(r->e->diag, pos, "files: a path of odd characters: '%s'", name);
    else if (command_find(r->command, COMMAND_FILES, name))
        diag_add(r->e->diag, pos, "files: '%s' is there twice", name);
    else
        add(r, COMMAND_FILES,
            (struct command_item){.name = name, .value = arena_strdup(r->e->arena, path), .pos = *pos});
}

static void read_files(struct reader *r, const struct yaml_node *n)
{
    if (!is_list(r, n, "files: takes a list of paths"))
        return;
    reserve(r, COMMAND_FILES, n->n);
    for (int i = 0; i < n->n; i++)
        add_file(r, n->item[i]->text, &n->item[i]->pos);
}

static bool check_variable(struct reader *r, const char *key, const char *name, const struct pos *pos)
{
    if (!is_variable(name))
        return diag_add(r->e->diag, pos, "%s: '%s' cannot name a variable of the environment", key, name);
    if (strncmp(name, "WEFT_", 5) == 0)
        return diag_add(r->e->diag, pos, "%s: names that begin with WEFT_ are weft's own: '%s'", key, name);
    if (command_find(r->command, COMMAND_ENV, name) || command_find(r->command, COMMAND_SET, name))
        return diag_add(r->e->diag, pos, "%s: '%s' is in env: or set: already", key, name);
    return true;
}

static void read_env(struct reader *r, const struct yaml_node *n)
{
    if (!is_list(r, n, "env: takes a list of names"))
        return;
    reserve(r, COMMAND_ENV, n->n);
    for (int i = 0; i < n->n; i++)
        if (check_variable(r, "env", n->item[i]->text, &n->item[i]->pos))
            add(r, COMMAND_ENV, (struct command_item){.name = n->item[i]->text, .pos = n->item[i]->pos});
}

static void read_set(struct reader *r, const struct yaml_node *n)
{
    if (n->kind != YAML_MAP) {
        diag_add(r->e->diag, &n->pos, "set: takes a map of variables and their texts");
        return;
    }
    reserve(r, COMMAND_SET, n->n);
    for (int i = 0; i < n->n; i++) {
        const char *name = n->key[i]->text;
        if (n->item[i]->kind != YAML_SCALAR)
            diag_add(r->e->diag, &n->item[i]->pos, "set: '%s' takes text", name);
        else if (check_variable(r, "set", name, &n->key[i]->pos))
            add(r, COMMAND_SET,
                (struct command_item){.name = name, .value = n->item[i]->text, .pos = n->item[i]->pos});
    }
}

static void read_version(struct reader *r, const struct yaml_node *n)
{
    AUTO_JSON v = yaml_json(n);
    if (!json_is_integer(v) || json_integer_value(v) < 1)
        diag_add(r->e->diag, &n->pos, "version: takes a number from 1 on");
    else
        r->command->version = json_integer_value(v);
    r->command->version_pos = n->pos;
}

static const struct {
    const char *key;
    void (*read)(struct reader *r, const struct yaml_node *n);
} readers[] = {{"argv", read_argv},
               {"files", read_files},
               {"env", read_env},
               {"set", read_set},
               {"version", read_version}};
#define READERS (sizeof readers / sizeof *readers)

static void read_with(struct reader *r, const struct yaml_node *with)
{
    const char *keys[READERS + 1] = {NULL};
    for (size_t i = 0; i < READERS; i++)
        keys[i] = readers[i].key;
    if (with && !spec_check_map(r->e, with, keys, "with: of a command"))
        return;
    for (const struct command_key *k = command_keys; k->name; k++)
        if (k->required && !yaml_get(with, k->name))
            diag_add(r->e->diag, with ? &with->pos : &r->decl->pos, "a command needs '%s': %s", k->name,
                     k->doc);
    for (size_t i = 0; i < READERS; i++) {
        const struct yaml_node *n = yaml_get(with, readers[i].key);
        struct yaml_node *value = n ? vars_resolve(r->e->arena, r->e->diag, &r->instance->scope, n) : NULL;
        if (value)
            readers[i].read(r, value);
    }
}

/* ---- ports ---- */

/* A name for a port that is free; its variable of the environment must be, too: a-b and a_b share one. */
static bool check_port(struct reader *r, enum command_part part, const char *what,
                       const struct yaml_node *key)
{
    if (!varname_ok(key->text))
        return diag_add(r->e->diag, &key->pos, "%s '%.100s' of a command: " VARNAME_HELP, what, key->text);
    for (int i = 0; i < r->command->part[part].n; i++) {
        if (varname_same(key->text, r->command->part[part].item[i].name))
            return diag_add(r->e->diag, &key->pos, "%s '%s' of a command: '%s' has the same variable", what,
                            key->text, r->command->part[part].item[i].name);
    }
    return true;
}

static const char *read_type(struct reader *r, const char *output, const struct yaml_node *type)
{
    const char *names[ARTIFACT_ANY], *text = type->kind == YAML_SCALAR ? type->text : "";
    if (artifact_find(text))
        return text;
    for (int a = ARTIFACT_NONE + 1; a < ARTIFACT_ANY; a++)
        names[a - 1] = artifact_name((enum artifact)a);
    diag_unknown(r->e->diag, &type->pos, nearest_name(names, ARTIFACT_ANY - 1, text),
                 "output '%s' takes a type of artifact, or files for anything else, not '%s'", output, text);
    return "";
}

/* "name: type" or "name: { type: ..., releases: ... }". weft cannot see what a program writes, so that only
 * the file's author can answer for what leaves. */
static struct command_item read_output(struct reader *r, const struct yaml_node *key,
                                       const struct yaml_node *value)
{
    static const char *const keys[] = {"type", "releases", NULL};
    struct command_item item = {.name = key->text, .value = "", .pos = value->pos};
    if (value->kind != YAML_MAP) {
        item.value = read_type(r, key->text, value);
        return item;
    }
    const struct yaml_node *type = yaml_get(value, "type"), *releases = yaml_get(value, "releases");
    spec_check_map(r->e, value, keys, "an output");
    if (type)
        item.value = read_type(r, key->text, type);
    else
        diag_add(r->e->diag, &value->pos, "output '%s' needs 'type: TYPE'", key->text);
    if (!releases)
        return item;
    if (releases->kind != YAML_SCALAR || !*releases->text)
        diag_add(r->e->diag, &releases->pos, "releases: says in words what leaves");
    else if (!privacy_allows(r->e, r->decl))
        diag_add(r->e->diag, &releases->pos,
                 "output '%s' would release private data, and nothing can check what a program writes: name "
                 "'%s' in "
                 "privacy: {allow: [...]} to answer for it",
                 key->text, r->decl->name);
    else
        item.release = releases->text;
    return item;
}

static void read_outputs(struct reader *r, const struct yaml_node *node)
{
    static const char what[] =
        "a command needs 'outputs: { NAME: TYPE }': what it makes; {} when it only passes or fails";
    struct yaml_node *n = node ? vars_resolve(r->e->arena, r->e->diag, &r->instance->scope, node) : NULL;
    if (!node || (n && n->kind != YAML_MAP))
        diag_add(r->e->diag, n ? &n->pos : &r->decl->pos, what);
    if (!n || n->kind != YAML_MAP)
        return;
    reserve(r, COMMAND_OUTPUTS, n->n);
    for (int i = 0; i < n->n; i++)
        if (check_port(r, COMMAND_OUTPUTS, "output", n->key[i]))
            add(r, COMMAND_OUTPUTS, read_output(r, n->key[i], n->item[i]));
}

/* Names alone; what they refer to is resolved as for any stage. */
static void read_inputs(struct reader *r, const struct yaml_node *in)
{
    if (!in || in->kind != YAML_MAP)
        return;
    reserve(r, COMMAND_INPUTS, in->n);
    for (int i = 0; i < in->n; i++)
        if (check_port(r, COMMAND_INPUTS, "input", in->key[i]))
            add(r, COMMAND_INPUTS, (struct command_item){.name = in->key[i]->text, .pos = in->key[i]->pos});
}

/* ---- the program ---- */

/* Written as text: "./tool", "/bin/tool"; NULL when it is looked up in PATH or is a placeholder. */
static const char *program_path(const struct command *c)
{
    const char *word = c->part[COMMAND_ARGV].n ? c->part[COMMAND_ARGV].item[0].value : "";
    return strchr(word, '/') && !strchr(word, '{') ? word : NULL;
}

/* A program at a relative path is the user's own: one of the files. */
static void add_program(struct reader *r)
{
    const char *word = program_path(r->command);
    if (!word || *word == '/' || command_file(r->command, word, r->e->arena))
        return;
    reserve(r, COMMAND_FILES, 1);
    add_file(r, word, &r->command->part[COMMAND_ARGV].item[0].pos);
}

/* The file that argv begins with, where that is known before it runs. */
static const char *program_file(struct reader *r)
{
    struct command_piece *piece;
    int n;
    const struct command_list *argv = &r->command->part[COMMAND_ARGV];
    const char *word = program_path(r->command);
    if (word)
        return *word == '/' ? word : command_file(r->command, word, r->e->arena);
    if (!argv->n || !command_split(argv->item[0].value, r->e->arena, &piece, &n, NULL) || n != 1 ||
        piece->place != COMMAND_FILE)
        return NULL;
    return command_file(r->command, piece->text, r->e->arena);
}

static void check_program(struct reader *r)
{
    const char *path = program_file(r);
    if (!path)
        return;
    const struct command_item *word = &r->command->part[COMMAND_ARGV].item[0];
    if (!fs_exists(path))
        diag_add(r->e->diag, &word->pos, "there is no program '%s'", word->value);
    else if (fs_is_dir(path))
        diag_add(r->e->diag, &word->pos, "'%s' is a folder, not a program", word->value);
    else if (access(path, X_OK) != 0)
        diag_add(r->e->diag, &word->pos,
                 "'%s' is not executable: chmod +x, or name the program that runs it first", word->value);
}

/* A file below a declared folder must be there, too. */
static bool check_file(const struct command *c, const char *word, struct error *err)
{
    AUTO(arena) struct arena a;
    struct command_piece *piece;
    int n;
    arena_init(&a);
    if (!command_split(word, &a, &piece, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (piece[i].place == COMMAND_FILE && !fs_exists(command_file(c, piece[i].text, &a)))
            return error_set(err, NULL, ERROR_INPUT, "there is no file '%s'", piece[i].text);
    return true;
}

static void check_words(struct experiment *e, const struct command *c, enum command_part part,
                        const int *count)
{
    for (int i = 0; i < c->part[part].n; i++) {
        const struct command_item *word = &c->part[part].item[i];
        struct error err = {0};
        if (!command_check_word(c, count, word->value, &err) || !check_file(c, word->value, &err))
            diag_take(e->diag, &err, &word->pos);
    }
}

void command_declare(struct experiment *e, const struct decl *d, struct instance *in)
{
    struct task *t = in->task;
    const void *params;
    struct reader r = {e, d, in, arena_alloc(e->arena, sizeof *r.command)};
    r.command->version = 1;
    read_with(&r, d->with);
    add_program(&r);
    check_program(&r);
    read_inputs(&r, yaml_get(d->node, "in"));
    read_outputs(&r, yaml_get(d->node, "outputs"));
    t->stage = command_stage(d->stage, r.command, e->arena, &params, &t->param_pos);
    t->params = (void *)(uintptr_t)params;
}

void command_check(struct experiment *e, const struct instance *in)
{
    const struct task *t = in->task;
    const struct command *c = t->stage->command;
    AUTO(mem) int *count = xcalloc((size_t)c->part[COMMAND_INPUTS].n + 1, sizeof *count);
    for (int i = 0; i < c->part[COMMAND_INPUTS].n; i++)
        count[i] = t->inputs[i].n;
    check_words(e, c, COMMAND_ARGV, count);
    check_words(e, c, COMMAND_SET, count);
}
