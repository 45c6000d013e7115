/* Placeholders in the words of argv: "{in:data}", "--out={out:model}", "{{" for a brace. Braces that begin no
 * {name} or {name:...} stand for themselves, so that shell, awk and JSON can be written as they are. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/command.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct place {
    const char *name;
    enum command_place place;
    const char *takes; /* what stands behind the colon; NULL: nothing does */
} places[] = {{"in", COMMAND_IN, "NAME"},
              {"out", COMMAND_OUT, "NAME"},
              {"file", COMMAND_FILE, "PATH"},
              {"threads", COMMAND_THREADS, NULL},
              {"scratch", COMMAND_SCRATCH, NULL}};
#define PLACES  (sizeof places / sizeof *places)
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

const struct command_word command_placeholders[] = {
    {"{in:NAME}", "folder of the input; a word that is just this becomes one word for each of several"},
    {"{in:NAME:2}", "folder of the third of several artifacts of the input"},
    {"{out:NAME}", "folder of the output: exists, is empty"},
    {"{file:PATH}", "a declared file, or a file below a declared folder, where it lies"},
    {"{threads}", "cores of this task"},
    {"{scratch}", "a folder for the task alone, removed afterwards; the program starts there"},
    {"{{", "a brace, where what follows would be a placeholder; other braces stand for themselves"},
    {0}};

const struct command_word command_variables[] = {
    {"WEFT_IN_NAME", "folder of the input; of several, one a line. NAME in capitals, - as _"},
    {"WEFT_OUT_NAME", "folder of the output"},
    {"WEFT_THREADS", "cores of this task; so does OMP_NUM_THREADS, unless set"},
    {"WEFT_SCRATCH", "the folder {scratch}; so do HOME and TMPDIR, unless set or passed on"},
    {"WEFT_UNIT_NAME",
     "devices of this task by number, 0,2, where resources.units asks for some and they have "
     "numbers; of gpu CUDA_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES say the same"},
    {"PATH, LANG", "/usr/local/bin:/usr/bin:/bin and C.UTF-8, unless set or passed on"},
    {0}};

/* Not ROCR_VISIBLE_DEVICES: ROCm would count the others' numbers among what it leaves. */
const char *const command_gpu_variables[] = {"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", NULL};

static const struct place *find_place(const char *at, size_t n)
{
    for (size_t i = 0; i < PLACES; i++)
        if (strlen(places[i].name) == n && strncmp(places[i].name, at, n) == 0)
            return &places[i];
    return NULL;
}

static bool unknown_place(const char *at, size_t name, size_t n, struct error *err)
{
    const char *names[PLACES];
    for (size_t i = 0; i < PLACES; i++)
        names[i] = places[i].name;
    AUTO(mem) char *key = xstrndup(at, name);
    const char *near = nearest_name(names, PLACES, key);
    return error_set(err, NULL, ERROR_INPUT, "there is no placeholder '{%.*s}' ('{{' writes a brace)%s%s%s",
                     (int)(n > 100 ? 100 : n), at, near ? "; did you mean '{" : "", near ? near : "",
                     near ? "...}'?" : "");
}

/* What stands between two braces. */
static bool read_place(const char *at, size_t n, struct arena *a, struct command_piece *ret,
                       struct error *err)
{
    size_t name = strcspn(at, ":}");
    const struct place *p = find_place(at, name);
    if (!p)
        return unknown_place(at, name, n, err);
    *ret = (struct command_piece){.place = p->place, .index = -1};
    if (!p->takes)
        return name == n ||
               error_set(err, NULL, ERROR_INPUT, "'{%.*s}': '{%s}' takes nothing", (int)n, at, p->name);
    if (name >= n || n - name < 2)
        return error_set(err, NULL, ERROR_INPUT, "'{%.*s}': write '{%s:%s}'", (int)n, at, p->name, p->takes);
    char *rest = arena_printf(a, "%.*s", (int)(n - name - 1), at + name + 1);
    char *index = p->place == COMMAND_IN ? strchr(rest, ':') : NULL;
    ret->text = rest;
    if (!index)
        return true;
    *index++ = '\0';
    char *end;
    errno = 0;
    long i = strtol(index, &end, 10);
    if (*index < '0' || *index > '9' || *end || errno || i > INT_MAX)
        return error_set(err, NULL, ERROR_INPUT, "'{%.*s}': '%s' is no number from 0 on", (int)n, at, index);
    ret->index = (int)i;
    return true;
}

static void end_text(struct buf *text, struct arena *a, struct command_piece *piece, int *n)
{
    if (text->len)
        piece[(*n)++] = (struct command_piece){.text = arena_strdup(a, buf_str(text)), .index = -1};
    buf_clear(text);
}

/* Length of "name" in "{name}" and "{name:...", 0: another brace, as of awk, JSON or a shell's ${name}. */
static size_t place_name(const char *word, const char *brace)
{
    size_t n = brace > word && brace[-1] == '$' ? 0 : strspn(brace + 1, LETTERS);
    return brace[1 + n] == '}' || brace[1 + n] == ':' ? n : 0;
}

bool command_split(const char *word, struct arena *a, struct command_piece **ret, int *ret_n,
                   struct error *err)
{
    AUTO(buf) struct buf text = {0};
    *ret_n = 0;
    *ret = arena_alloc(a, (strlen(word) + 1) * sizeof **ret); /* no more pieces than characters */
    for (const char *c = word; *c;) {
        size_t name = *c == '{' ? place_name(word, c) : 0;
        if (!name) {
            buf_putc(&text, *c);
            c += c[0] == '{' && c[1] == '{' ? 2 : 1;
            continue;
        }
        size_t n = strcspn(++c, "}");
        if (!c[n])
            return error_set(err, NULL, ERROR_INPUT, "'{' without '}' in \"%.200s\"; '{{' writes a brace",
                             word);
        end_text(&text, a, *ret, ret_n);
        if (!read_place(c, n, a, &(*ret)[*ret_n], err))
            return false;
        ++*ret_n;
        c += n + 1;
    }
    end_text(&text, a, *ret, ret_n);
    return true;
}

/* `path` below the folder `dir`, both as written: what is left of it; NULL when it is not. */
static const char *below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

static bool leads_up(const char *path)
{
    for (const char *c = path; c; c = strchr(c, '/') ? strchr(c, '/') + 1 : NULL)
        if (strncmp(c, "..", 2) == 0 && (c[2] == '/' || !c[2]))
            return true;
    return false;
}

const char *command_file(const struct command *c, const char *path, struct arena *a)
{
    const struct command_item *f = command_find(c, COMMAND_FILES, path);
    if (f)
        return f->value;
    for (int i = 0; i < c->part[COMMAND_FILES].n; i++) {
        f = &c->part[COMMAND_FILES].item[i];
        const char *rest = below(path, f->name);
        if (rest && !leads_up(rest))
            return arena_printf(a, "%s/%s", f->value, rest);
    }
    return NULL;
}

static bool not_declared(const struct command *c, enum command_part part, const char *what, const char *name,
                         struct error *err)
{
    const struct command_list *list = &c->part[part];
    AUTO(mem) const char **names = xcalloc((size_t)list->n + 1, sizeof *names);
    for (int i = 0; i < list->n; i++)
        names[i] = list->item[i].name;
    const char *near = list->n == 1 ? names[0] : nearest_name(names, (size_t)list->n, name);
    return error_set(err, NULL, ERROR_INPUT, "%s '%s'%s%s%s", what, name, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}

static bool check_piece(const struct command *c, const int *count, const struct command_piece *p,
                        struct arena *a, struct error *err)
{
    if (p->place == COMMAND_OUT && !command_find(c, COMMAND_OUTPUTS, p->text))
        return not_declared(c, COMMAND_OUTPUTS, "outputs: has no", p->text, err);
    if (p->place == COMMAND_FILE && !command_file(c, p->text, a))
        return not_declared(c, COMMAND_FILES, "files: has no", p->text, err);
    if (p->place != COMMAND_IN)
        return true;
    const struct command_item *in = command_find(c, COMMAND_INPUTS, p->text);
    if (!in)
        return not_declared(c, COMMAND_INPUTS, "in: has no", p->text, err);
    int n = count[in - c->part[COMMAND_INPUTS].item];
    return n == 0 || p->index < n || /* 0: why it is empty was said */
           error_set(err, NULL, ERROR_INPUT, "input '%s' has %d artifact%s, counted from 0: there is no %d",
                     p->text, n, n == 1 ? "" : "s", p->index);
}

bool command_check_word(const struct command *c, const int *count, const char *word, struct error *err)
{
    AUTO(arena) struct arena a;
    struct command_piece *piece;
    int n;
    arena_init(&a);
    if (!command_split(word, &a, &piece, &n, err))
        return false;
    for (int i = 0; i < n; i++)
        if (!check_piece(c, count, &piece[i], &a, err))
            return false;
    return true;
}
