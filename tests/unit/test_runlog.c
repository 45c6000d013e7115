/* The runs' logs: names of any task as names of files, runs of one second, lines that were torn. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/runlog.h"
#include "tests/test.h"
#include <errno.h>
#include <string.h>

static char store[] = "/tmp/weft-runlog-XXXXXX";

static struct runlog *open_log(void)
{
    struct runlog *l;
    struct error err = {0};
    if (!runlog_open(store, &l, &err))
        fail_msg("%s", err.text);
    return l;
}

static void put(struct runlog *l, const char *name)
{
    json_out_text(runlog_begin(l, 0.5), "event", name);
    runlog_end(l, false);
}

static bool note(void *arg, const json_t *event)
{
    struct buf *seen = arg;
    const char *name = json_string_or(event, "event", "?");
    assert_int_equal(strlen(json_string_or(event, "time", "")), strlen("2026-01-01T00:00:00Z"));
    buf_printf(seen, "%s ", name);
    return strcmp(name, "stop") != 0;
}

static void expect_events(const char *id, const char *want)
{
    AUTO(buf) struct buf seen = {0};
    struct error err = {0};
    if (!runlog_read(store, id, note, &seen, &err))
        fail_msg("%s", err.text);
    assert_string_equal(buf_str(&seen), want);
}

/* A file with the log of any task's name can be made, lies in the run's folder, and is another for each
 * name. */
static void names(void **state)
{
    struct runlog *l = open_log();
    AUTO(mem) char *dir = xprintf("%s/runs/%s/log/", store, runlog_id(l));
    char *name[] = {xstrdup("seed"),        xstrdup("client[a/b]"), xstrdup("client[a%2Fb]"),
                    xstrdup("client[..]"),  xstrdup(".."),          xstrdup("client[\x01\n\t\x1b]"),
                    xstrdup("client[é 🐱]"), xstrdup("x[%]"),        xprintf("%0300d", 1),
                    xprintf("%0300d", 2),   xprintf("é%0299d/", 2), xprintf("%0200d", 1),
                    xprintf("%0201d", 1),   xprintf("%0199d/", 1),  xprintf("x[%0300d/../../../y]", 1)};
    enum { N = sizeof name / sizeof *name };
    char *path[N];
    for (size_t i = 0; i < N; i++) {
        path[i] = runlog_task_log(l, name[i]);
        AUTO(mem) char *same = runlog_path(store, runlog_id(l), name[i]);
        assert_string_equal(path[i], same);
        assert_memory_equal(path[i], dir, strlen(dir));
        const char *file = path[i] + strlen(dir);
        assert_null(strchr(file, '/'));
        for (const char *c = file; *c; c++)
            assert_true((unsigned char)*c >= ' ');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(path[i], path[k]);
        struct error err = {0};
        if (!fs_write_file(path[i], name[i], strlen(name[i]), &err))
            fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < N; i++) {
        AUTO(mem) char *text = NULL;
        assert_true(fs_read_file(path[i], &text, NULL, NULL));
        assert_string_equal(text, name[i]);
        free(path[i]);
        free(name[i]);
    }
    AUTO(mem) char *plain = runlog_path("/s", "ID", "client[pets]");
    assert_string_equal(plain, "/s/runs/ID/log/client[pets].log");
    AUTO(mem) char *odd = runlog_path("/s", "ID", "a/b%\x1f");
    assert_string_equal(odd, "/s/runs/ID/log/a%2Fb%25%1F.log");
    runlog_close(l);
}

static void newest_first(void **state)
{
    struct runlog *l[12];
    AUTO(mem) char *stray = xprintf("%s/runs/.hidden", store);
    assert_true(fs_write_file(stray, "", 0, NULL));
    for (int i = 0; i < 12; i++)
        l[i] = open_log();
    char **list;
    size_t n;
    struct error err = {0};
    assert_true(runlog_list(store, &list, &n, &err));
    assert_true(n >= 12);
    for (int i = 0; i < 12; i++)
        assert_string_equal(list[i], runlog_id(l[11 - i]));
    for (size_t i = 1; i < n; i++)
        assert_true(strcmp(list[i - 1], list[i]) > 0);
    fs_list_free(list, n);
    for (int i = 0; i < 12; i++)
        runlog_close(l[i]);
}

static void events(void **state)
{
    struct runlog *l = open_log();
    expect_events(runlog_id(l), "");
    put(l, "a");
    put(l, "é \n \"x\"");
    expect_events(runlog_id(l), "a é \n \"x\" ");
    put(l, "no \xc3 UTF-8");
    put(l, "stop");
    put(l, "after");
    expect_events(runlog_id(l), "a é \n \"x\" no \xef\xbf\xbd UTF-8 stop ");
    runlog_close(l);
    struct error err = {0};
    AUTO(buf) struct buf seen = {0};
    assert_false(runlog_read(store, "20200101T000000Z-000", note, &seen, &err));
    assert_non_null(strstr(err.text, "20200101T000000Z-000"));
}

/* The engine was killed in the middle of a line, the file system lost the end of the file: what is whole
 * counts. */
static void torn(void **state)
{
    static const char *const tail[] = {"",     "{",   "{\"event\":\"torn\"}", "{\"event\":\"b\\u00",
                                       "\xc3", "\n\n"};
    for (size_t i = 0; i < sizeof tail / sizeof *tail; i++) {
        struct runlog *l = open_log();
        put(l, "a");
        AUTO(mem) char *path = xprintf("%s/runs/%s/events.jsonl", store, runlog_id(l));
        AUTO(file) FILE *f = fopen(path, "a");
        assert_non_null(f);
        assert_true(fputs(tail[i], f) >= 0 && fflush(f) == 0);
        expect_events(runlog_id(l), "a ");
        runlog_close(l);
    }
    struct runlog *l = open_log();
    AUTO(mem) char *path = xprintf("%s/runs/%s/events.jsonl", store, runlog_id(l));
    static const char mixed[] = "{\"event\":\"a\",\"time\":\"2026-01-01T00:00:00Z\"}\nchatter\n[1]\n\0\0\0\n"
                                "{\"event\":\"b\",\"time\":\"2026-01-01T00:00:00Z\"}\n";
    assert_true(fs_write_file(path, mixed, sizeof mixed - 1, NULL));
    expect_events(runlog_id(l), "a b ");
    runlog_close(l);
}

/* The disk is full for a while: room for `room` bytes, then for everything. */
static size_t room;
static ssize_t small_write(int fd, const void *p, size_t n)
{
    size_t some = n < room ? n : room;
    if (n && !some) {
        errno = ENOSPC;
        return -1;
    }
    room -= some;
    return fs_real.write(fd, p, some);
}

static void full_disk(void **state)
{
    struct fs_ops full = fs_real;
    full.write = small_write;
    for (size_t cut = 0; cut < 40; cut += 13) {
        struct runlog *l = open_log();
        put(l, "a");
        fs = &full;
        room = cut;
        put(l, "lost");
        fs = &fs_real;
        put(l, "b"); /* must not end the line that was begun */
        put(l, "c");
        expect_events(runlog_id(l), "a b c ");
        runlog_close(l);
    }
}

static void no_store(void **state)
{
    struct runlog *l;
    struct error err = {0};
    char **list;
    size_t n;
    assert_false(runlog_open("/nonexistent/store", &l, &err));
    assert_non_null(strstr(err.text, "cannot create folder '/nonexistent/store/runs/"));
    assert_false(runlog_list("/nonexistent/store", &list, &n, &err));
    assert_non_null(strstr(err.text, "/nonexistent/store/runs"));
}

static int setup(void **state)
{
    if (!mkdtemp(store))
        return 1;
    AUTO(mem) char *runs = xprintf("%s/runs", store);
    return !fs_mkdirs(runs, NULL);
}
static int teardown(void **state)
{
    return !fs_remove_tree(store, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names),     cmocka_unit_test(newest_first),
                                       cmocka_unit_test(events),    cmocka_unit_test(torn),
                                       cmocka_unit_test(full_disk), cmocka_unit_test(no_store)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
