/* uses: command: words and placeholders, what a declaration may say, its key, and its way to the worker. */
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/job.h"
#include "stages/command.h"
#include "tests/test.h"
#include "tests/unit/spec_folder.h"
#include <sys/stat.h>

/* ---- words ---- */

static void split(void **state)
{
    static const struct {
        const char *word, *pieces; /* "PLACE:TEXT:INDEX|"; or the error, after a ! */
    } rows[] = {
        {"", ""},
        {"plain", "0:plain:-1|"},
        {"a}b", "0:a}b:-1|"},
        {"{{\"a\": {{}}", "0:{\"a\": {}}:-1|"},
        {"{in:x}", "1:x:-1|"},
        {"{in:x:2}", "1:x:2|"},
        {"--x={in:x}/f,{out:y}", "0:--x=:-1|1:x:-1|0:/f,:-1|2:y:-1|"},
        {"{file:lib/a b:c.py}", "3:lib/a b:c.py:-1|"},
        {"{threads}{scratch}", "4::-1|5::-1|"},
        {"{{{threads}", "0:{:-1|4::-1|"},
        {"{{threads}", "0:{threads}:-1|"},
        {"{threads", "0:{threads:-1|"},
        {"{in:x", "!'{' without '}' in \"{in:x\"; '{{' writes a brace"},
        {"{", "0:{:-1|"},
        {"{}", "0:{}:-1|"},
        {"awk '{print $1}'", "0:awk '{print $1}':-1|"},
        {"{\"a\": {\"b\": 1}}", "0:{\"a\": {\"b\": 1}}:-1|"},
        {"${x}${in:x}${x%.y}$", "0:${x}${in:x}${x%.y}$:-1|"},
        {"{print}", "!there is no placeholder '{print}' ('{{' writes a brace)"},
        {"{in_x}", "!there is no placeholder '{in_x}' ('{{' writes a brace); did you mean '{in...}'?"},
        {"{inn:x}", "!there is no placeholder '{inn:x}' ('{{' writes a brace); did you mean '{in...}'?"},
        {"{in}", "!'{in}': write '{in:NAME}'"},
        {"{in:}", "!'{in:}': write '{in:NAME}'"},
        {"{file}", "!'{file}': write '{file:PATH}'"},
        {"{threads:2}", "!'{threads:2}': '{threads}' takes nothing"},
        {"{in:x:}", "!'{in:x:}': '' is no number from 0 on"},
        {"{in:x:-1}", "!'{in:x:-1}': '-1' is no number from 0 on"},
        {"{in:x: 1}", "!'{in:x: 1}': ' 1' is no number from 0 on"},
        {"{in:x:1x}", "!'{in:x:1x}': '1x' is no number from 0 on"},
        {"{in:x:99999999999999999999}",
         "!'{in:x:99999999999999999999}': '99999999999999999999' is no number from 0 on"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(arena) struct arena a;
        AUTO(buf) struct buf got = {0};
        struct command_piece *piece;
        struct error err = {0};
        int n;
        arena_init(&a);
        if (!command_split(rows[i].word, &a, &piece, &n, &err))
            buf_printf(&got, "!%s", err.text);
        else
            for (int k = 0; k < n; k++)
                buf_printf(&got, "%d:%s:%d|", (int)piece[k].place, piece[k].text ? piece[k].text : "",
                           piece[k].index);
        assert_string_equal(buf_str(&got), rows[i].pieces);
    }
}

static void files(void **state)
{
    struct command_item item[] = {{.name = "run.py", .value = "/abs/run.py"},
                                  {.name = "lib/", .value = "/abs/lib"},
                                  {.name = "/x", .value = "/x"}};
    const struct command c = {.part[COMMAND_FILES] = {item, 3}};
    static const struct {
        const char *path, *found;
    } rows[] = {{"run.py", "/abs/run.py"},
                {"lib/", "/abs/lib"},
                {"lib/a.py", "/abs/lib/a.py"},
                {"lib/b/a.py", "/abs/lib/b/a.py"},
                {"/x/y", "/x/y"},
                {"lib/..a", "/abs/lib/..a"},
                {"lib/../etc", NULL},
                {"lib/b/..", NULL},
                {"library", NULL},
                {"other", NULL},
                {"/xy", NULL},
                {"", NULL}};
    AUTO(arena) struct arena a;
    arena_init(&a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *found = command_file(&c, rows[i].path, &a);
        assert_int_equal(found != NULL, rows[i].found != NULL);
        if (found)
            assert_string_equal(found, rows[i].found);
    }
}

/* ---- what is wrong ---- */

/* A file with one command, of which these are the lines after `uses: command` (line 5 on). */
static void refuse(const char *lines, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text, "experiment: e\nstages:\n  s: {uses: source}\n  c:\n    uses: command\n%s", lines);
    folder_write("main.yaml", buf_str(&text));
    spec_free(folder_read(&(struct spec_options){.n_set = 0}, want));
}

#define WITH(x) "    outputs: {o: files}\n    with: {argv: [sh], " x "}\n"
#define ARGV(x)                                                                                              \
    "    in: {i: s, j: [s, s]}\n    outputs: {o: files}\n    with: {files: [run.sh, lib], argv: [sh, " x     \
    "]}\n"

static void errors(void **state)
{
    static const struct {
        const char *lines, *want;
    } rows[] = {
        {"", "main.yaml:4:3 a command needs 'argv': the program and its arguments, with placeholders; no "
             "shell is "
             "between\nmain.yaml:4:3 a command needs 'outputs: { NAME: TYPE }': what it makes; {} when it "
             "only passes or fails\n"},
        {"    outputs: []\n    with: {argv: [sh]}\n", "main.yaml:6:14 a command needs 'outputs: { NAME: TYPE "
                                                      "}': what it makes; {} when it only passes or fails\n"},
        {"    outputs: {o: files}\n    with: {argv: []}\n",
         "main.yaml:7:18 argv: takes the program and its arguments as a list of words\n"},
        {"    outputs: {o: files}\n    with: {argv: sh -c x}\n",
         "main.yaml:7:18 argv: takes the program and its arguments as a list of words\n"},
        {"    outputs: {o: files}\n    with: {argv: [[sh]]}\n",
         "main.yaml:7:18 argv: takes the program and its arguments as a list of words\n"},
        {WITH("argvv: 1"), "main.yaml:7:24 with: of a command has no key 'argvv'; did you mean 'argv'?\n"},
        {WITH("files: [nothing.py]"),
         "main.yaml:7:32 files: cannot find 'nothing.py' (No such file or directory; "
         "paths are relative to the current folder)\n"},
        {WITH("files: [run.sh, run.sh]"), "main.yaml:7:40 files: 'run.sh' is there twice\n"},
        {WITH("files: run.sh"), "main.yaml:7:31 files: takes a list of paths\n"},
        {WITH("env: [A=1]"), "main.yaml:7:30 env: 'A=1' cannot name a variable of the environment\n"},
        {WITH("env: [WEFT_X]"), "main.yaml:7:30 env: names that begin with WEFT_ are weft's own: 'WEFT_X'\n"},
        {WITH("env: [A], set: {A: 1}"), "main.yaml:7:40 set: 'A' is in env: or set: already\n"},
        {WITH("set: {A: [1]}"), "main.yaml:7:33 set: 'A' takes text\n"},
        {WITH("set: {A: \"{file:x}\"}"), "main.yaml:7:33 files: has no 'x'\n"},
        {WITH("version: 0"), "main.yaml:7:33 version: takes a number from 1 on\n"},
        {WITH("version: two"), "main.yaml:7:33 version: takes a number from 1 on\n"},
        {ARGV("\"{in:other}\""), "main.yaml:8:45 in: has no 'other'\n"},
        {ARGV("\"{in:i:1}\""), "main.yaml:8:45 input 'i' has 1 artifact, counted from 0: there is no 1\n"},
        {ARGV("\"{in:j:2}\""), "main.yaml:8:45 input 'j' has 2 artifacts, counted from 0: there is no 2\n"},
        {ARGV("\"{out:oo}\""), "main.yaml:8:45 outputs: has no 'oo'; did you mean 'o'?\n"},
        {ARGV("\"{file:run.py}\""), "main.yaml:8:45 files: has no 'run.py'; did you mean 'run.sh'?\n"},
        {ARGV("\"{file:lib/none}\""), "main.yaml:8:45 there is no file 'lib/none'\n"},
        {ARGV("a, \"{thread}\""),
         "main.yaml:8:48 there is no placeholder '{thread}' ('{{' writes a brace); did you "
         "mean '{threads...}'?\n"},
        {"    outputs: {o: files}\n    with: {argv: [./none.sh]}\n",
         "main.yaml:7:19 files: cannot find './none.sh' (No such file or directory; paths are relative to "
         "the "
         "current folder)\n"},
        {"    outputs: {o: files}\n    with: {argv: [/none/sh]}\n",
         "main.yaml:7:19 there is no program '/none/sh'\n"},
        {"    outputs: {o: files}\n    with: {argv: [/usr]}\n",
         "main.yaml:7:19 '/usr' is a folder, not a program\n"},
        {"    outputs: {a b: files}\n    with: {argv: [sh]}\n",
         "main.yaml:6:15 output 'a b' of a command: a name has letters, digits, - and _ and begins with a "
         "letter\n"},
        {"    outputs: {a-b: files, A_b: files}\n    with: {argv: [sh]}\n",
         "main.yaml:6:27 output 'A_b' of a command: 'a-b' has the same variable\n"},
        {"    outputs: {o: metric}\n    with: {argv: [sh]}\n  d: {uses: list, in: {all: c}}\n",
         "main.yaml:6:18 output 'o' takes a type of artifact, or files for anything else, not 'metric'; did "
         "you mean "
         "'metrics'?\n"},
        {"    outputs: {o: {typ: files}}\n    with: {argv: [sh]}\n",
         "main.yaml:6:18 output 'o' needs 'type: TYPE'\nmain.yaml:6:19 an output has no key 'typ'; did you "
         "mean "
         "'type'?\n"},
        {"    outputs: {o: {type: files, releases: counts}}\n    with: {argv: [sh]}\n",
         "main.yaml:6:42 output 'o' would release private data, and nothing can check what a program writes: "
         "name 'c' "
         "in privacy: {allow: [...]} to answer for it\n"},
        {"    outputs: {o: files}\n    with: {argv: [sh]}\n  d: {uses: step, in: {data: c}}\n",
         "main.yaml:8:30 'c' (stage command) makes no images, which input 'data' of stage step takes\n"},
        {"    outputs: {o: images, p: files}\n    with: {argv: [sh]}\n  d: {uses: command, in: {x: c}, "
         "outputs: {o: "
         "files}, with: {argv: [sh]}}\n",
         "main.yaml:8:30 'c' (stage command) has several outputs: name one as c.OUTPUT\n"},
        {"    outputs: {o: files}\n    with: {argv: [sh]}\n  d: {uses: source, outputs: {o: files}}\n",
         "main.yaml:8:30 outputs: is for 'uses: command'; stage 'source' has its own\n"},
        {"    in: {i: {a: s}}\n    outputs: {o: files}\n    with: {argv: [sh, \"{in:i}\"]}\n",
         "main.yaml:6:13 a reference looks like name, name[item], name[*] or name.output\n"},
    };
    folder_write("run.sh", "#!/bin/sh\n");
    assert_int_equal(mkdir("lib", 0777), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refuse(rows[i].lines, rows[i].want);
    refuse("    outputs: {o: files}\n    with: {argv: [./run.sh]}\n",
           "main.yaml:7:19 './run.sh' is not executable: chmod +x, or name the program that runs it first\n");
}

static void labels(void **state)
{
    static const char head[] =
        "experiment: e\nprivacy: {allow: [%s]}\nstages:\n  s: {foreach: [a, b], uses: source, "
        "private: '${item}'}\n  c: {uses: command, in: {x: 's[a]'}, outputs: {o: %s}, with: "
        "{argv: [sh]}}\n  d: {uses: command, in: {x: [c, 's[b]']}, outputs: {o: files}, with: "
        "{argv: [sh]}}\n";
    AUTO(buf) struct buf text = {0};
    buf_printf(&text, head, "", "files");
    folder_write("main.yaml", buf_str(&text));
    spec_free(folder_read(
        &(struct spec_options){.n_set = 0},
        "main.yaml:6:3 'd' would see private data of 'a' and of 'b': s[a] -> c -> d; s[b] -> d (an "
        "exception is named in privacy: {allow: [...]})\n"));
    buf_clear(&text);
    buf_printf(&text, head, "c", "{type: files, releases: counts}");
    folder_write("main.yaml", buf_str(&text));
    struct spec *s = folder_read(&(struct spec_options){.n_set = 0}, "");
    assert_int_equal(spec_find(s, "c")->n_labels, 1);
    assert_int_equal(spec_find(s, "d")->n_labels, 1); /* of s[b] alone */
    assert_string_equal(spec_find(s, "d")->labels[0], "b");
    spec_free(s);
}

/* ---- keys ---- */

static bool output(void *arg, const struct task *t, int index, struct digest *ret)
{
    AUTO(buf) struct buf b = {0};
    buf_printf(&b, "%s:%d", t->stage->name, index);
    hash_bytes(b.data, b.len, ret);
    return true;
}

static bool import(void *arg, const char *path, struct digest *ret, struct error *err)
{
    return hash_file(path, ret, NULL, err);
}

/* The key text of the command task `name` in a file of these stages. */
static char *key_of(const char *stages, const char *name)
{
    AUTO(buf) struct buf text = {0};
    const struct key_source src = {output, import, NULL};
    struct digest key;
    struct error err = {0};
    char *ret;
    buf_printf(&text, "experiment: e\nvars: {v: 1}\nstages:\n  s: {uses: source}\n%s", stages);
    folder_write("main.yaml", buf_str(&text));
    struct spec *s = folder_read(&(struct spec_options){.n_set = 0}, "");
    assert_true(task_key(spec_find(s, name), &src, &key, &ret, &err));
    spec_free(s);
    return ret;
}

#define COMMAND(name, more, with)                                                                            \
    "  " name ": {uses: command, in: {x: s, y: [s, s]}, outputs: {m: metrics, o: files}, " more              \
    "with: {argv: [python3, '{file:a.py}', '--x={in:x}'], files: [a.py], set: {B: 2, A: 1}" with "}}\n"

static void key_text(void **state)
{
    folder_write("a.py", "print(1)\n");
    AUTO(mem) char *text = key_of(COMMAND("c", "", ", env: [HOME], version: 3"), "c");
    struct digest file, in;
    char hex_file[DIGEST_HEX], hex_in[DIGEST_HEX];
    hash_bytes("print(1)\n", 9, &file);
    hash_bytes("source:0", 8, &in);
    digest_hex(&file, hex_file);
    digest_hex(&in, hex_in);
    AUTO(buf) struct buf want = {0};
    buf_printf(&want,
               "weft-key 1\nstage command 1\nparam argv.0 = \"python3\"\nparam argv.1 = "
               "\"{file:a.py}\"\nparam argv.2 = "
               "\"--x={in:x}\"\nparam outputs.m = \"metrics\"\nparam outputs.o = \"files\"\nparam set.A = "
               "\"1\"\nparam "
               "set.B = \"2\"\nparam version = 3\nimport files.a.py = %s\ninput x[0] = %s\ninput y[0] = "
               "%s\ninput y[1] = "
               "%s\n",
               hex_file, hex_in, hex_in, hex_in);
    assert_string_equal(text, buf_str(&want));
    assert_int_equal(command_output_type(text, "m"), ARTIFACT_METRICS);
    assert_int_equal(command_output_type(text, "o"), ARTIFACT_FILES);
    assert_int_equal(command_output_type(text, "n"), ARTIFACT_NONE);
}

static void same(const char *before, const char *after, bool equal)
{
    if ((strcmp(before, after) == 0) != equal)
        fail_msg("%s\n%s\nare%s the same", before, after, equal ? " not" : "");
}

static void key_changes(void **state)
{
    static const struct {
        const char *stages;
        bool equal;
    } rows[] = {
        {COMMAND("c", "", ", env: [HOME, PATH]"), true},
        {COMMAND("c", "resources: {cores: 2}, private: p, description: other words, ", ""), true},
        {COMMAND("c", "", ", version: 1"), true},
        {"  c:\n    outputs: {o: files, m: metrics} # words\n    with:\n      set: {A: '${v}', B: '2'}\n     "
         " files: [a.py]\n"
         "      argv: ['python${three}', '{file:a.py}', '--x={in:x}']\n    in: {y: [s, s], x: [s]}\n    "
         "uses: command\n",
         true},
        {COMMAND("c", "", ", version: 2"), false},
        {"  c: {uses: command, in: {x: s, y: [s]}, outputs: {m: metrics, o: files}, with: {argv: [python3, "
         "'{file:a.py}', '--x={in:x}'], files: [a.py], set: {A: 1, B: 2}}}\n",
         false},
        {"  c: {uses: command, in: {x: s, z: [s, s]}, outputs: {m: metrics, o: files}, with: {argv: "
         "[python3, "
         "'{file:a.py}', '--x={in:x}'], files: [a.py], set: {A: 1, B: 2}}}\n",
         false},
        {"  c: {uses: command, in: {x: s, y: [s, s]}, outputs: {m: files, o: files}, with: {argv: [python3, "
         "'{file:a.py}', '--x={in:x}'], files: [a.py], set: {A: 1, B: 2}}}\n",
         false},
        {"  c: {uses: command, in: {x: s, y: [s, s]}, outputs: {m: metrics, o: files}, with: {argv: "
         "[python3, "
         "'{file:a.py}', '--x={in:y}'], files: [a.py], set: {A: 1, B: 2}}}\n",
         false},
        {"  c: {uses: command, in: {x: s, y: [s, s]}, outputs: {m: metrics, o: files}, with: {argv: "
         "[python3, "
         "'{file:a.py}', '--x={in:x}'], files: [a.py], set: {A: 1, B: 3}}}\n",
         false},
        {"  c: {uses: command, in: {x: s, y: [s, s]}, outputs: {m: metrics, o: files}, with: {argv: "
         "[python3, "
         "'{file:a.py}', '--x={in:x}'], files: [a.py, b.py], set: {A: 1, B: 2}}}\n",
         false},
    };
    folder_write("a.py", "print(1)\n");
    folder_write("b.py", "");
    AUTO(mem) char *first = key_of(COMMAND("c", "", ""), "c");
    AUTO(mem) char *renamed = key_of(COMMAND("other", "", ""), "other");
    same(first, renamed, true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buf) struct buf text = {0};
        const char *three = strstr(rows[i].stages, "${three}"); /* a variable in a word is its value */
        if (three)
            buf_printf(&text, "%.*s3%s", (int)(three - rows[i].stages), rows[i].stages, three + 8);
        else
            buf_puts(&text, rows[i].stages);
        AUTO(mem) char *now = key_of(buf_str(&text), "c");
        same(first, now, rows[i].equal);
    }
    /* the folder moves, and the same content is another file: all the same; a changed byte is not */
    assert_int_equal(mkdir("moved", 0777), 0);
    assert_int_equal(chdir("moved"), 0);
    folder_write("a.py", "print(1)\n");
    AUTO(mem) char *moved = key_of(COMMAND("c", "", ""), "c");
    same(first, moved, true);
    folder_write("a.py", "print(2)\n");
    AUTO(mem) char *changed = key_of(COMMAND("c", "", ""), "c");
    same(first, changed, false);
    assert_int_equal(chdir(".."), 0);
}

/* ---- to the worker ---- */

static struct job job_of(const struct task *t, struct arena *a)
{
    struct job j = {.task = t->name,
                    .stage = t->stage,
                    .params = t->params,
                    .scratch = "/scratch",
                    .cpuset = "0",
                    .nodes = "",
                    .threads = 2,
                    .parent = 7};
    int ins = stage_port_count(t->stage->inputs), outs = stage_port_count(t->stage->outputs);
    j.inputs = arena_alloc(a, ((size_t)ins + 1) * sizeof *j.inputs);
    j.outputs = arena_alloc(a, ((size_t)outs + 1) * sizeof *j.outputs);
    for (int p = 0; p < ins; p++) {
        j.inputs[p].item = arena_alloc(a, (size_t)t->inputs[p].n * sizeof *j.inputs[p].item);
        for (; j.inputs[p].n < t->inputs[p].n; j.inputs[p].n++)
            j.inputs[p].item[j.inputs[p].n].dir =
                arena_printf(a, "/in/%s/%d", t->stage->inputs[p].name, j.inputs[p].n);
    }
    for (int p = 0; p < outs; p++)
        j.outputs[p] = arena_printf(a, "/out/%s", t->stage->outputs[p].name);
    return j;
}

static void same_part(const struct command *x, const struct command *y, enum command_part part)
{
    assert_int_equal(x->part[part].n, y->part[part].n);
    for (int i = 0; i < x->part[part].n; i++) {
        const struct command_item *u = &x->part[part].item[i], *v = &y->part[part].item[i];
        if (u->name) /* maps arrive in an order of their own */
            v = command_find(y, part, u->name);
        assert_non_null(v);
        assert_int_equal(u->value != NULL, v->value != NULL);
        if (u->value)
            assert_string_equal(u->value, v->value);
    }
}

static void job(void **state)
{
    AUTO(arena) struct arena a;
    struct job back;
    struct error err = {0};
    arena_init(&a);
    folder_write("a.py", "print(1)\n");
    AUTO(mem) char *key = key_of(COMMAND("c", "", ", env: [HOME], version: 3"), "c");
    struct spec *s = folder_read(&(struct spec_options){.n_set = 0}, "");
    struct job j = job_of(spec_find(s, "c"), &a);
    AUTO(mem) char *text = job_write(&j);
    if (!job_read(text, strlen(text), &a, &back, &err))
        fail_msg("%s", err.text);
    const struct command *x = j.stage->command, *y = back.stage->command;
    assert_int_equal(x->version, y->version);
    for (int p = 0; p < COMMAND_PARTS; p++)
        same_part(x, y, (enum command_part)p);
    assert_ptr_equal(back.stage->run, stage_find("command")->run);
    int in = stage_port_index(back.stage->inputs, "y"), out = stage_port_index(back.stage->outputs, "m");
    assert_int_equal(back.inputs[in].n, 2);
    assert_string_equal(back.inputs[in].item[1].dir, "/in/y/1");
    assert_string_equal(back.outputs[out], "/out/m");
    assert_int_equal(back.stage->outputs[out].type, ARTIFACT_METRICS);

    AUTO_JSON whole = json_parse(text, strlen(text), "job", NULL);
    json_t *params = json_object_get(whole, "params");
    static const char *const members[] = {"argv", "files", "env", "set", "outputs", "inputs", "version"};
    assert_int_equal(json_object_size(params), sizeof members / sizeof *members);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *name = members[i];
        json_t *value = json_incref(json_object_get(params, name));
        for (int wrong = 0; wrong < 3; wrong++) {
            if (wrong == 0)
                json_object_del(params, name);
            else
                json_object_set_new(params, name, wrong == 1 ? json_true() : json_pack("[i]", 1));
            AUTO(mem) char *spoilt = json_text(whole, false);
            assert_false(job_read(spoilt, strlen(spoilt), &a, &back, &err));
            assert_non_null(strstr(err.text, name));
        }
        json_object_set_new(params, name, value);
    }
    json_object_set_new(json_object_get(params, "outputs"), "m", json_string("no such type"));
    AUTO(mem) char *spoilt = json_text(whole, false);
    assert_false(job_read(spoilt, strlen(spoilt), &a, &back, &err));
    spec_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(split),    cmocka_unit_test(files),
                                       cmocka_unit_test(errors),   cmocka_unit_test(labels),
                                       cmocka_unit_test(key_text), cmocka_unit_test(key_changes),
                                       cmocka_unit_test(job)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
