/* The commit of a folder, read out of git's files in all the forms that these have. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/environment.h"
#include "tests/test.h"
#include <string.h>

static char root[] = "/tmp/weft-environment-XXXXXX";
#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void put(const char *path, const char *text)
{
    AUTO(mem) char *whole = xprintf("%s/%s", root, path);
    AUTO(mem) char *folder = xstrndup(whole, (size_t)(strrchr(whole, '/') - whole));
    struct error err = {0};
    if (!fs_mkdirs(folder, &err) || !fs_write_file(whole, text, strlen(text), &err))
        fail_msg("%s", err.text);
}

static void is(const char *folder, const char *want)
{
    AUTO(mem) char *whole = xprintf("%s/%s", root, folder);
    AUTO(mem) char *got = environment_commit(whole);
    if (want)
        assert_string_equal(got, want);
    else
        assert_null(got);
}

static void commits(void **state)
{
    is(".", NULL);
    is("absent", NULL);
    put("loose/.git/HEAD", "ref: refs/heads/main\n");
    put("loose/deep/er/x", "");
    is("loose", NULL); /* no commit yet */
    put("loose/.git/refs/heads/main", A "\n");
    is("loose", A);
    is("loose/deep/er", A);
    put("packed/.git/HEAD", "ref: refs/heads/x\n");
    put("packed/.git/packed-refs",
        "# pack-refs with: peeled\n" A " refs/heads/xx\n^" A "\n" B " refs/heads/x\n");
    is("packed", B);
    put("detached/.git/HEAD", B "\n");
    is("detached", B);
    put("tree/.git", "gitdir: ../loose/.git/worktrees/tree\n");
    put("loose/.git/worktrees/tree/HEAD", "ref: refs/heads/main\n");
    put("loose/.git/worktrees/tree/commondir", "../..\n");
    is("tree", A);
    put("broken/.git/HEAD", "ref: refs/heads/main\n");
    put("broken/.git/refs/heads/main", "no commit\n");
    is("broken", NULL);
    put("empty/.git/HEAD", "");
    is("empty", NULL);
}

static void whole(void **state)
{
    struct topo *topo;
    struct error err = {0};
    if (!topo_open(&(struct topo_options){.source = "pack:2 core:3 pu:2"}, &topo, &err))
        fail_msg("%s", err.text);
    struct machine_node node = {.name = (char *)(uintptr_t) "n", .topo = topo, .cores = 4, .memory = 7};
    AUTO_JSON o = environment_json(&(struct machine){.node = &node, .n = 1}, "exp.yaml");
    static const char *const members[] = {"weft",       "libraries",    "blis_kernels", "host",
                                          "kernel",     "architecture", "memory",       "nodes",
                                          "experiment", "command",      "variables"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!json_object_get(o, members[i]))
            fail_msg("no member '%s'", members[i]);
    const json_t *n = json_array_get(json_object_get(o, "nodes"), 0);
    assert_int_equal(json_int_or(n, "cores", 0), 4);
    const json_t *topology = json_object_get(n, "topology");
    assert_int_equal(json_int_or(topology, "package", 0), 2);
    assert_int_equal(json_int_or(topology, "core", 0), 6);
    assert_int_equal(json_int_or(topology, "hardware thread", 0), 12);
    topo_close(topo);
}

static int make_root(void **state)
{
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    return fs_remove_tree(root, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(commits), cmocka_unit_test(whole)};
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
