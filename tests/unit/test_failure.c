/* Workers that go wrong in ways that ours do not, played by a script that stands for weft: what the task's
 * failure says. Where the script is asked to be a keeper it ends, so that each worker is started by itself.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/build.h"
#include "tests/test.h"
#include <string.h>
#include <sys/stat.h>

static char dir[] = "/tmp/weft-failure-XXXXXX";

static char *at(const char *name)
{
    return xprintf("%s/%s", dir, name);
}

static void see(void *arg, const struct build_event *e)
{
    if (e->kind == BUILD_WARN && !e->task)
        buf_printf(arg, "%s|", e->text);
}

/* Runs the one task with a script as weft; its failure. */
static void play(const char *script, enum failure want, const char *text)
{
    AUTO(mem) char *self = at("weft");
    AUTO(mem) char *experiment = at("e.yaml");
    AUTO(mem) char *path = at("store");
    AUTO(store) struct store *store = NULL;
    AUTO(buf) struct buf warned = {0};
    struct error err = {0}, *errors;
    struct spec *s;
    struct build *b = NULL;
    int n;
    static const char yaml[] =
        "experiment: e\nstages:\n  t: { uses: synthetic, with: { domain: blobs, per_class: 2, size: 16 }, "
        "resources: { cores: 1, timeout: 5 } }\n";
    if (script) {
        AUTO(mem)
        char *all = xprintf("#!/bin/sh\n[ \"$2\" = --serve ] && exit 0\ncat >/dev/null\n%s\n", script);
        assert_true(fs_write_file(self, all, strlen(all), &err) && chmod(self, 0755) == 0);
    } else {
        unlink(self);
    }
    assert_true(fs_write_file(experiment, yaml, sizeof yaml - 1, &err));
    assert_true(spec_read(experiment, NULL, &s, &errors, &n));
    assert_true(store_open(path, &store, &err));
    const struct build_options opt = {.cores = 1, .self = self, .interrupts = -1, .see = see, .arg = &warned};
    assert_false(build_run(s, store, &opt, &b, &err));
    assert_non_null(b);
    const struct build_result *r = build_result_of(b, 0);
    assert_int_equal(r->state, TASK_FAILED);
    if (!strstr(r->error, text))
        fail_msg("'%s' instead of '%s'", r->error, text);
    assert_string_equal(failure_name(r->cause), failure_name(want));
    assert_non_null(strstr(buf_str(&warned), "keeper of the workers"));
    build_free(b);
    spec_free(s);
}

static void garbage(void **state)
{
    play("echo hello; echo '[1]'; exit 0", FAILURE_PROTOCOL,
         "the worker wrote what are no events, and ended with exit status 0 without the last one");
    play("head -c 3000000 /dev/zero | tr '\\0' x; exit 3", FAILURE_PROTOCOL, "ended with exit status 3");
}

static void silent(void **state)
{
    play("exit 0", FAILURE_SILENT, "the worker ended with exit status 0 and no reason");
    play("exit 9", FAILURE_SILENT, "the worker ended with exit status 9 and no reason");
    play("printf '{\"event\":\"done\"'", FAILURE_SILENT, "exit status 0 and no reason"); /* torn */
}

static void crashes(void **state)
{
    play("kill -SEGV $$", FAILURE_SIGNAL, "killed by signal 11");
    play("kill -KILL $$", FAILURE_SIGNAL, "killed by signal 9 (Killed): by hand, or by the kernel");
}

static void says(void **state)
{
    play("echo '{\"event\":\"error\",\"code\":4,\"text\":\"no\"}'; exit 1", FAILURE_STAGE, "no");
    play("echo '{\"event\":\"error\",\"code\":1,\"text\":\"no\"}'; exit 1", FAILURE_INPUT, "no");
    play("echo '{\"event\":\"done\",\"seconds\":1}'; exit 1", FAILURE_SILENT, "ended with exit status 1");
    /* a launcher's keeper says that its worker took too much, whatever the worker said before */
    play("echo '{\"event\":\"memory\",\"peak\":5000,\"over\":true}'; exit 1", FAILURE_MEMORY,
         "out of memory: it took more");
}

static void not_started(void **state)
{
    play(NULL, FAILURE_START, "cannot start '");
}

/* Every cause has a name of its own. */
static void names(void **state)
{
    assert_null(failure_name(FAILURE_NONE));
    for (int i = FAILURE_NONE + 1; i < FAILURE_COUNT; i++)
        for (int k = FAILURE_NONE + 1; k < i; k++)
            assert_string_not_equal(failure_name((enum failure)i), failure_name((enum failure)k));
}

static int enter(void **state)
{
    return !mkdtemp(dir);
}

static int leave(void **state)
{
    return !fs_remove_tree(dir, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(garbage),     cmocka_unit_test(silent),
                                       cmocka_unit_test(crashes),     cmocka_unit_test(says),
                                       cmocka_unit_test(not_started), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, enter, leave);
}
