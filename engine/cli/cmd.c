/* The commands, and what they share. */
#include "engine/cli/cmd.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/param.h"
#include "cache/store.h"
#include "engine/cli/color.h"
#include "engine/spec/spec.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Every command, in the order of the help. One line here, one file cmd_NAME.c. */
#define COMMANDS(X)                                                                                          \
    X(run)                                                                                                   \
    X(sweep)                                                                                                 \
    X(plan)                                                                                                  \
    X(simulate)                                                                                              \
    X(graph)                                                                                                 \
    X(check)                                                                                                 \
    X(fetch)                                                                                                 \
    X(why)                                                                                                   \
    X(show)                                                                                                  \
    X(export)                                                                                                \
    X(status)                                                                                                \
    X(log)                                                                                                   \
    X(topo)                                                                                                  \
    X(history)                                                                                               \
    X(trace)                                                                                                 \
    X(diff)                                                                                                  \
    X(audit)                                                                                                 \
    X(times)                                                                                                 \
    X(cache)                                                                                                 \
    X(cache_stats)                                                                                           \
    X(cache_ls)                                                                                              \
    X(cache_verify)                                                                                          \
    X(cache_gc)                                                                                              \
    X(cache_pin)                                                                                             \
    X(cache_unpin)                                                                                           \
    X(cache_pins)                                                                                            \
    X(cache_export)                                                                                          \
    X(cache_import)                                                                                          \
    X(cache_path)                                                                                            \
    X(cache_config)                                                                                          \
    X(stages)                                                                                                \
    X(schema)                                                                                                \
    X(help)                                                                                                  \
    X(version)                                                                                               \
    X(completion)                                                                                            \
    X(man)                                                                                                   \
    X(tasks)                                                                                                 \
    X(runs)                                                                                                  \
    X(worker)

#define DECLARE(name) extern const struct cmd cmd_##name;
COMMANDS(DECLARE)
#define ROW(name) &cmd_##name,
const struct cmd *const cmd_table[] = {COMMANDS(ROW) NULL};

const struct cmd *cmd_find(const char *const *word, int n, int *ret_words)
{
    for (int words = n < 2 ? n : 2; words > 0; words--) {
        AUTO(mem) char *name = words > 1 ? xprintf("%s %s", word[0], word[1]) : xstrdup(word[0]);
        *ret_words = words;
        for (const struct cmd *const *c = cmd_table; *c; c++)
            if (strcmp((*c)->name, name) == 0)
                return *c;
    }
    return NULL;
}

const char *cmd_in_family(const struct cmd *c, const struct cmd *family)
{
    size_t n = strlen(family->name);
    return strncmp(c->name, family->name, n) == 0 && c->name[n] == ' ' ? c->name + n + 1 : NULL;
}

bool cmd_is_family(const struct cmd *c)
{
    for (const struct cmd *const *other = cmd_table; *other; other++)
        if (cmd_in_family(*other, c))
            return true;
    return false;
}

bool cmd_is_top(const struct cmd *c)
{
    return !strchr(c->name, ' ');
}

/* The line of a file, malloc'd; NULL when it cannot be had. */
static char *source_line(const char *path, int line)
{
    AUTO(file) FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t cap = 0;
    for (int i = 1, c; f && i < line && (c = getc(f)) != EOF;) {
        int next = c == '\r' ? getc(f) : EOF; /* YAML's lines end in LF, CR LF or CR */
        if (next != '\n')
            ungetc(next, f);
        i += c == '\n' || c == '\r';
    }
    if (!f || getline(&text, &cap, f) < 0) {
        free(text);
        return NULL;
    }
    text[strcspn(text, "\r\n")] = '\0';
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' && *c != '\t')
            *c = '?'; /* nothing that a terminal would obey */
    return text;
}

static const char *next_character(const char *c)
{
    for (c++; (*c & 0xC0) == 0x80; c++)
        ;
    return c;
}

/* What is shown of a line: of a long one what stands around the column, which moves. */
static char *shown(const char *line, int *column)
{
    const char *begin = line, *end;
    int skipped = 0, n = 0;
    if (strncmp(line, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark is no column */
        begin = line += 3;
    if (strlen(line) <= 200)
        return xstrdup(line);
    for (; *begin && skipped + 1 < *column - 80; skipped++)
        begin = next_character(begin);
    for (end = begin; *end && n < 160; n++)
        end = next_character(end);
    *column -= skipped ? skipped - 4 : 0;
    return xprintf("%s%.*s%s", skipped ? "... " : "", (int)(end - begin), begin, *end ? " ..." : "");
}

/* The source line and a caret below the column; tabs stay tabs so that the caret stands right. Columns count
 * characters, not bytes. */
static void print_source(const char *file, int number, int column)
{
    AUTO(mem) char *whole = source_line(file, number);
    AUTO(mem) char *line = whole ? shown(whole, &column) : NULL;
    if (!line)
        return;
    fprintf(stderr, "    %s\n    ", line);
    int col = 1;
    for (const char *c = line; *c && col < column; c++) {
        if ((*c & 0xC0) == 0x80)
            continue;
        fputc(*c == '\t' ? '\t' : ' ', stderr);
        col++;
    }
    fprintf(stderr, "%s^%s\n", color_text(COLOR_CARET), color_text(COLOR_OFF));
}

int cmd_fail(const struct error *err)
{
    char text[sizeof err->text + sizeof err->file + 64];
    bool placed = err->file[0] && err->line;
    AUTO(mem) char *line = xprintf("%s%s", placed ? "" : "weft: ", error_string(err, text, sizeof text));
    color_message(line);
    if (placed)
        print_source(err->file, err->line, err->col);
    if (err->note.line) {
        AUTO(mem)
        char *note =
            xprintf("%s:%d:%d: note: %s", err->note.file, err->note.line, err->note.col, err->note.text);
        color_message(note);
        print_source(err->note.file, err->note.line, err->note.col);
    }
    return err->code == ERROR_INPUT ? 2 : err->code == ERROR_INTERRUPT ? 130 : 1;
}

char *cmd_store_path(const struct cmd_args *a)
{
    const struct opt_value *o = cmd_opt(a, "store");
    const char *path = o->set ? o->string : getenv("WEFT_STORE");
    if (path && *path)
        return xstrdup(path);
    path = getenv("XDG_CACHE_HOME");
    if (path && *path)
        return xprintf("%s/weft", path);
    path = getenv("HOME");
    return xprintf("%s/.cache/weft", path && *path ? path : ".");
}

bool cmd_open_store(const struct cmd_args *a, struct store **ret, struct error *err)
{
    AUTO(mem) char *path = cmd_store_path(a);
    return store_open(path, ret, err);
}

struct spec_options cmd_spec_options(const struct cmd_args *a)
{
    const struct opt_value *set = cmd_opt(a, "set"), *vars = cmd_opt(a, "vars");
    return (struct spec_options){.set = set->list,
                                 .n_set = set->n,
                                 .vars = vars->list,
                                 .n_vars = vars->n,
                                 .sweep = cmd_opt(a, "sweep")->set};
}

int cmd_print_all(const struct error *list, int n)
{
    int status = 0, errors = 0;
    for (int i = 0; i < n; i++) {
        int s = cmd_fail(&list[i]);
        if (list[i].code == ERROR_WARNING)
            continue;
        status = s;
        errors++;
    }
    if (errors > 1)
        fprintf(stderr, "%d errors\n", errors);
    return status;
}

int cmd_read_spec(const struct cmd_args *a, const char *path, struct spec **ret)
{
    const struct spec_options options = cmd_spec_options(a);
    return cmd_read_spec_with(path, &options, ret);
}

int cmd_with_spec(const struct cmd_args *a, int (*work)(const struct cmd_args *a, const struct spec *s))
{
    struct spec *s;
    int status = cmd_read_spec(a, a->arg[0], &s);
    if (status)
        return status;
    cmd_print_all(s->warning, s->n_warnings);
    status = work(a, s);
    spec_free(s);
    return status;
}

int cmd_read_spec_with(const char *path, const struct spec_options *opt, struct spec **ret)
{
    struct error *errors;
    int n;
    if (spec_read(path, opt, ret, &errors, &n))
        return 0;
    int status = cmd_print_all(errors, n);
    free(errors);
    return status;
}

const char *cmd_near_task(const char *const *names, size_t n, const char *name)
{
    const char *near = nearest_name(names, n, name);
    size_t len = strlen(name);
    for (size_t i = 0; i < n && !near; i++)
        if (strncmp(names[i], name, len) == 0 && names[i][len] == '[')
            near = names[i];
    return near;
}

int cmd_print_json(json_t *j)
{
    AUTO_JSON owned = j;
    AUTO(mem) char *text = json_text(owned, true);
    struct error err = {0};
    if (puts(text) < 0 || fflush(stdout) != 0) {
        error_errno(&err, "cannot write the output");
        return cmd_fail(&err);
    }
    return 0;
}

/* Of all commands, or of those of a family; `name` is whole. The second word alone means its command. */
static int unknown_command(const struct cmd *family, const char *name)
{
    size_t n = 0;
    const char *names[sizeof cmd_table / sizeof *cmd_table], *near = NULL;
    for (size_t i = 0; cmd_table[i]; i++) {
        const char *c = cmd_table[i]->name, *rest = strchr(c, ' ');
        if (!cmd_table[i]->hidden && (!family || cmd_in_family(cmd_table[i], family)))
            names[n++] = c;
        if (!family && rest && strcmp(rest + 1, name) == 0)
            near = c;
    }
    near = near ? near : nearest_name(names, n, name);
    struct error err = {0};
    error_set(&err, NULL, ERROR_INPUT, "there is no command '%s'%s%s%s ('weft help%s%s' lists them)", name,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", family ? " " : "",
              family ? family->name : "");
    return cmd_fail(&err);
}

/* --help before any "--" asks for the command's help, whatever else is there. */
static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* Where descriptors 0 to 2 are closed, no file of ours may become anybody's stdout. */
static void open_standard(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) /* the lowest that is free; a write to stdout has to fail */
            (void)!open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

/* The status, unless what was printed got lost and nobody has said so. */
static int flush_stdout(int status)
{
    struct error err = {0};
    bool lost = ferror(stdout);
    if (fflush(stdout) != 0)
        error_errno(&err, "cannot write the output");
    else if (lost)
        error_set(&err, NULL, ERROR_SYSTEM, "cannot write the output");
    return status || !err.text[0] ? status : cmd_fail(&err);
}

const struct opt cmd_global[] = {{"color", 0, OPT_STRING, "auto|always|never", "colours in messages"},
                                 {"help", 'h', OPT_FLAG, NULL, "say what the command does"},
                                 {"version", 0, OPT_FLAG, NULL, "say which weft this is"},
                                 {0}};

/* The command with what follows its name. */
static int run_command(const struct cmd *c, int argc, char **argv)
{
    struct cmd_args args;
    struct error err = {0};
    if (wants_help(argc, argv)) {
        cmd_help_of(c);
        return 0;
    }
    bool ok = opt_parse(c, argc, argv, &args, &err);
    color_choose(cmd_opt(&args, "color")->string);
    bool version = cmd_opt(&args, "version")->set; /* whatever is missing */
    int status = version ? cmd_version.run(&args) : ok ? c->run(&args) : cmd_fail(&err);
    opt_done(&args);
    return status;
}

/* What follows "weft" and everybody's options: a command's name, or nothing. */
static int run_line(const struct cmd_args *global, int argc, char **argv)
{
    color_choose(cmd_opt(global, "color")->string);
    if (cmd_opt(global, "version")->set)
        return cmd_version.run(global);
    if (cmd_opt(global, "help")->set || argc < 1) {
        int status = run_command(&cmd_help, argc, argv);
        return cmd_opt(global, "help")->set ? status : 2;
    }
    int words;
    const struct cmd *c = cmd_find((const char *const *)argv, argc, &words);
    if (!c)
        return unknown_command(NULL, argv[0]);
    if (cmd_is_family(c) && argc > words && argv[words][0] != '-') {
        AUTO(mem) char *name = xprintf("%s %s", c->name, argv[words]);
        return unknown_command(c, name);
    }
    return run_command(c, argc - words, argv + words);
}

int cmd_main(int argc, char **argv)
{
    open_standard();
    struct cmd_args global;
    struct error err = {0};
    int n = argc > 1 ? argc - 1 : 0, skip;
    bool ok = opt_parse_global(n, argv + argc - n, &global, &skip, &err);
    int status = ok ? run_line(&global, n - skip, argv + argc - n + skip) : cmd_fail(&err);
    opt_done(&global);
    return flush_stdout(status);
}
