/* Traces: bars out of a run's events, their lanes, and what is written of them. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/exec/trace.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void event(struct trace *t, const char *text)
{
    struct error err = {0};
    AUTO_JSON o = json_parse(text, strlen(text), "event", &err);
    if (!o)
        fail_msg("%s", err.text);
    trace_take(t, o);
}

static void expect_bar(const struct trace *t, size_t i, const char *want)
{
    const struct trace_bar *b = &t->bar[i];
    AUTO(mem)
    char *got = xprintf("%s %s %s [%s] x%d %g-%g %s %s", b->task, b->stage, b->node, b->cpuset, b->cores,
                        b->start, b->end, b->state, b->key);
    assert_string_equal(got, want);
}

static void run_of_events(struct trace *t)
{
    trace_init(t, "run");
    event(t, "{\"event\":\"begin\",\"experiment\":\"e\",\"host\":\"h\",\"cores\":4,\"at\":0}");
    event(t, "{\"event\":\"hit\",\"task\":\"z\",\"stage\":\"s\",\"at\":0}");
    event(t, "{\"event\":\"start\",\"task\":\"a\",\"stage\":\"s\",\"node\":\"h\",\"cpuset\":\"0-1,3\","
             "\"cores\":3,\"at\":1}");
    event(t, "{\"event\":\"start\",\"task\":\"b\",\"stage\":\"q\",\"cpuset\":\"2\",\"cores\":1,\"at\":1.5}");
    event(t, "{\"event\":\"metric\",\"task\":\"b\",\"name\":\"loss \\\"x\\\"\",\"value\":0.5,\"step\":3,"
             "\"at\":2}");
    event(t, "{\"event\":\"retry\",\"task\":\"b\",\"text\":\"no\",\"at\":2.5}");
    event(t, "{\"event\":\"start\",\"task\":\"b\",\"stage\":\"q\",\"cpuset\":\"2\",\"cores\":1,\"at\":3}");
    event(t, "{\"event\":\"ran\",\"task\":\"a\",\"stage\":\"s\",\"key\":\"ab\",\"at\":4}");
    event(t, "{\"event\":\"failed\",\"task\":\"never\",\"stage\":\"s\",\"at\":4}");
    event(t, "{\"event\":\"checkpoint\",\"task\":\"b\",\"step\":2,\"at\":4.5}");
    event(t, "{\"event\":\"start\",\"task\":\"c\",\"stage\":\"s\",\"cpuset\":\"0\",\"cores\":1,\"at\":4.5}");
    event(t, "{\"event\":\"heal\",\"text\":\"gone\",\"at\":5}");
    event(t, "{\"event\":\"start\",\"task\":\"c\",\"stage\":\"s\",\"cpuset\":\"1\",\"cores\":1,\"at\":5}");
    event(t, "{\"event\":\"stopped\",\"task\":\"b\",\"step\":4,\"at\":6}");
    event(t, "{\"event\":\"metric\",\"task\":\"c\",\"name\":\"last\",\"value\":null,\"step\":1,\"at\":7}");
}

static void from_events(void **state)
{
    AUTO(trace) struct trace t;
    run_of_events(&t);
    trace_end(&t);
    assert_int_equal(t.n, 5);
    expect_bar(&t, 0, "a s h [0-1,3] x3 1-4 ran ab");
    expect_bar(&t, 1, "b q h [2] x1 1.5-2.5 retry ");
    expect_bar(&t, 2, "b q h [2] x1 3-6 stopped ");
    expect_bar(&t, 3, "c s h [0] x1 4.5-5 cut off ");
    expect_bar(&t, 4, "c s h [1] x1 5-7 cut off ");
    assert_int_equal(t.n_marks, 5); /* of the retry's text none: it is the bar's end */
    assert_int_equal(t.mark[0].bar, 1);
    assert_int_equal(t.mark[1].bar, 2);
    assert_int_equal(t.mark[2].bar, TRACE_NO_BAR);
    assert_int_equal(t.cores, 4);
}

/* Events of any kind, out of order, of other versions: no crash, and no bar without a start. */
static void strange_events(void **state)
{
    AUTO(trace) struct trace t;
    trace_init(&t, "");
    event(&t, "{}");
    event(&t, "{\"event\":7,\"at\":1}");
    event(&t, "{\"event\":\"start\",\"task\":\"old\",\"stage\":\"s\",\"text\":\"0\"}"); /* no time */
    event(&t, "{\"event\":\"start\",\"at\":1}");
    event(&t, "{\"event\":\"ran\",\"task\":\"x\",\"at\":1}");
    event(&t, "{\"event\":\"start\",\"task\":\"x\",\"cores\":-5,\"cpuset\":\"9-1,,\",\"at\":2}");
    event(&t, "{\"event\":\"ran\",\"task\":\"x\",\"at\":1}"); /* a clock that went back */
    trace_end(&t);
    assert_int_equal(t.n, 1);
    expect_bar(&t, 0, "x   [9-1,,] x1 2-2 ran ");
    AUTO(trace_lanes) struct trace_lanes l;
    trace_lanes_find(&t, &l);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.lane[0].core, 0);
}

/* Bars without a cpuset have lanes that nothing else is on. */
static void lanes(void **state)
{
    static const struct trace_bar bar[] = {
        {.task = "a", .node = "m", .cpuset = "1", .cores = 1, .start = 0, .end = 4},
        {.task = "b", .node = "m", .cpuset = NULL, .cores = 2, .start = 1, .end = 3},
        {.task = "c", .node = "n", .cpuset = "1-2", .cores = 2, .start = 1, .end = 3},
        {.task = "d", .node = "m", .cpuset = "bad", .cores = 1, .start = 3, .end = 5},
        {.task = "e", .node = "m", .cpuset = "0-70000", .cores = 1, .start = 3, .end = 5},
    };
    static const char *const want[] = {"m1 ", "m0 m2 ", "n1 n2 ", "m0 ", "m2 "};
    AUTO(trace) struct trace t;
    trace_init(&t, "");
    for (size_t i = 0; i < sizeof bar / sizeof *bar; i++)
        trace_add(&t, &bar[i]);
    AUTO(trace_lanes) struct trace_lanes l;
    trace_lanes_find(&t, &l);
    assert_int_equal(l.n_nodes, 2);
    assert_int_equal(l.n, 5);
    for (size_t i = 0; i < t.n; i++) {
        AUTO(buf) struct buf got = {0};
        for (size_t k = l.first[i]; k < l.first[i + 1]; k++)
            buf_printf(&got, "%s%d ", l.node[l.lane[l.of[k]].node], l.lane[l.of[k]].core);
        assert_string_equal(buf_str(&got), want[i]);
    }
}

static json_t *written(const struct trace *t)
{
    AUTO(buf) struct buf text = {0};
    struct error err = {0};
    trace_write(t, &text);
    json_t *o = json_parse(buf_str(&text), text.len, "trace", &err);
    if (!o)
        fail_msg("%s in %s", err.text, buf_str(&text));
    return o;
}

static int count_kind(const json_t *events, const char *kind, int pid, int tid)
{
    int n = 0;
    size_t i;
    const json_t *e;
    json_array_foreach(events, i, e) n += strcmp(json_string_or(e, "ph", ""), kind) == 0 &&
                                          (pid < 0 || json_int_or(e, "pid", -1) == pid) &&
                                          (tid < 0 || json_int_or(e, "tid", -1) == tid);
    return n;
}

/* A task on three cores is on three lanes; each lane has its name; what is written is JSON. */
static void as_json(void **state)
{
    AUTO(trace) struct trace t;
    run_of_events(&t);
    event(&t, "{\"event\":\"start\",\"task\":\"q[\\\"\\\\\\u0001é]\",\"stage\":\"s\",\"node\":\"n2\","
              "\"cpuset\":\"5\",\"cores\":1,\"at\":8}");
    trace_end(&t);
    AUTO_JSON o = written(&t);
    const json_t *events = json_object_get(o, "traceEvents"), *e;
    assert_string_equal(json_string_or(json_object_get(o, "otherData"), "run", ""), "run");
    assert_int_equal(count_kind(events, "X", -1, -1), 3 + 2 + 2 + 1);
    assert_int_equal(count_kind(events, "X", 1, 0), 2);
    assert_int_equal(count_kind(events, "X", 1, 1), 2);
    assert_int_equal(count_kind(events, "X", 1, 2), 2);
    assert_int_equal(count_kind(events, "X", 1, 3), 1);
    assert_int_equal(count_kind(events, "X", 2, 5), 1);
    assert_int_equal(count_kind(events, "M", -1, -1), 2 + 2 * 5);
    assert_int_equal(count_kind(events, "i", -1, -1), 5);
    size_t i;
    bool strange = false, metric = false;
    json_array_foreach(events, i, e)
    {
        const json_t *args = json_object_get(e, "args");
        if (strcmp(json_string_or(e, "name", ""), "a") == 0) {
            assert_true(json_real_or(e, "ts", 0) == 1e6 && json_real_or(e, "dur", 0) == 3e6);
            assert_string_equal(json_string_or(args, "key", ""), "ab");
            assert_string_equal(json_string_or(args, "state", ""), "ran");
            assert_int_equal(json_int_or(args, "cores", 0), 3);
        }
        strange = strange || strcmp(json_string_or(e, "name", ""), "q[\"\\\x01é]") == 0;
        if (strcmp(json_string_or(e, "name", ""), "loss \"x\"") == 0) {
            metric = true;
            assert_true(json_real_or(args, "value", 0) == 0.5 && json_int_or(args, "step", 0) == 3);
            assert_int_equal(json_int_or(e, "tid", -1), 2);
        }
    }
    assert_true(strange && metric);
}

static void empty(void **state)
{
    AUTO(trace) struct trace t;
    trace_init(&t, "");
    trace_end(&t);
    AUTO_JSON o = written(&t);
    assert_int_equal(json_array_size(json_object_get(o, "traceEvents")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_events), cmocka_unit_test(strange_events),
                                       cmocka_unit_test(lanes), cmocka_unit_test(as_json),
                                       cmocka_unit_test(empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
