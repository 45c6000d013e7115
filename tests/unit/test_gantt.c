/* Pictures of traces: well-formed, nothing over anything else, all that was there is there. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/cli/gantt.h"
#include "tests/test.h"
#include "tests/unit/xml_check.h"
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int count(const char *s, const char *what)
{
    int n = 0;
    for (; (s = strstr(s, what)); s += strlen(what))
        n++;
    return n;
}

struct box {
    double x, y, w, h;
};

/* The bars' rectangles. */
static size_t boxes(const char *svg, struct box *ret, size_t most)
{
    size_t n = 0;
    for (const char *at = svg; (at = strstr(at, "<g><rect ")); at++) {
        assert_true(n < most);
        struct box *b = &ret[n++];
        assert_int_equal(sscanf(at, "<g><rect x=\"%lf\" y=\"%lf\" width=\"%lf\" height=\"%lf\"", &b->x, &b->y,
                                &b->w, &b->h),
                         4);
        assert_true(b->w > 0 && b->h > 0);
    }
    return n;
}

static void expect_no_overlap(const char *svg, size_t want)
{
    enum { MOST = 4000 };
    AUTO(mem) struct box *b = xcalloc(MOST, sizeof *b);
    size_t n = boxes(svg, b, MOST);
    assert_int_equal(n, want);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (fmin(b[i].x + b[i].w, b[k].x + b[k].w) - fmax(b[i].x, b[k].x) > 0.35 &&
                fmin(b[i].y + b[i].h, b[k].y + b[k].h) - fmax(b[i].y, b[k].y) > 0.02)
                fail_msg("a bar at %g,%g and one at %g,%g overlap", b[i].x, b[i].y, b[k].x, b[k].y);
}

/* Rounds of tasks that fill a machine from the left, of varying widths. */
static int fill(struct trace *t, int nodes, int cores, int rounds)
{
    int bars = 0;
    trace_init(t, "r");
    for (int r = 0; r < rounds; r++)
        for (int node = 0; node < nodes; node++)
            for (int at = 0, i = r; at < cores; i++) {
                int width = 1 + i * 7 % 5;
                width = at + width > cores ? cores - at : width;
                AUTO(mem) char *task = xprintf("st<a>ge%d[\"%d\" & co]", i % 20, bars);
                AUTO(mem) char *set = xprintf("%d-%d", at, at + width - 1);
                AUTO(mem) char *name = nodes > 1 ? xprintf("n%d", node) : xstrdup("");
                trace_add(t, &(struct trace_bar){.task = task,
                                                 .stage = "command",
                                                 .node = name,
                                                 .cpuset = set,
                                                 .cores = width,
                                                 .start = r * 10,
                                                 .end = r * 10 + 5 + i % 6,
                                                 .state = i % 9 == 4   ? "failed"
                                                          : i % 9 == 7 ? "cut off"
                                                                       : "ran"});
                at += width;
                bars++;
            }
    return bars;
}

static void svg(void **state)
{
    static const struct {
        int nodes, cores, rounds;
    } shape[] = {{1, 1, 1}, {1, 4, 5}, {2, 8, 3}, {1, 64, 3}, {1, 65, 3}, {3, 128, 2}, {1, 1024, 2}};
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        AUTO(trace) struct trace t;
        AUTO(gantt) struct gantt g;
        AUTO(buf) struct buf out = {0};
        int bars = fill(&t, shape[i].nodes, shape[i].cores, shape[i].rounds);
        int lanes = shape[i].nodes * shape[i].cores;
        gantt_init(&g, &t);
        gantt_svg(&g, "a <title> & more", &out);
        const char *text = buf_str(&out);
        check_xml(text);
        assert_null(strstr(text, "nan"));
        assert_null(strstr(text, "inf"));
        expect_no_overlap(text, (size_t)bars);
        assert_int_equal(count(text, "</title></g>") + count(text, "</text></g>"), bars);
        if (lanes <= 64)
            assert_int_equal(count(text, ">core "), lanes);
        else
            assert_true(count(text, ">core") <= 64 + shape[i].nodes);
        double height = 0;
        assert_int_equal(sscanf(strstr(text, " height=\""), " height=\"%lf\"", &height), 1);
        assert_true(height < 1600);
    }
}

/* Cores that are no neighbours are rectangles of their own; nothing at all is a picture, too. */
static void svg_odd(void **state)
{
    AUTO(trace) struct trace t, none;
    AUTO(gantt) struct gantt g, nothing;
    AUTO(buf) struct buf out = {0}, empty = {0};
    trace_init(&t, "r");
    trace_add(&t, &(struct trace_bar){.task = "a", .cpuset = "0,2", .cores = 2, .start = 0, .end = 4});
    trace_add(&t, &(struct trace_bar){.task = "b", .cpuset = "1", .cores = 1, .start = 1, .end = 1});
    gantt_init(&g, &t);
    gantt_svg(&g, "t", &out);
    check_xml(buf_str(&out));
    expect_no_overlap(buf_str(&out), 3);
    trace_init(&none, "");
    gantt_init(&nothing, &none);
    gantt_svg(&nothing, "t", &empty);
    check_xml(buf_str(&empty));
    buf_clear(&empty);
    gantt_text(&nothing, 1, 100, &empty);
    assert_int_equal(count(buf_str(&empty), "\n"), 2);
}

static void text(void **state)
{
    AUTO(trace) struct trace t;
    AUTO(gantt) struct gantt g;
    AUTO(buf) struct buf out = {0};
    trace_init(&t, "r");
    trace_add(&t, &(struct trace_bar){.task = "x[1]", .cpuset = "0-3", .cores = 4, .start = 0, .end = 10});
    trace_add(&t,
              &(struct trace_bar){.task = "y@seed=1", .cpuset = "0-1", .cores = 2, .start = 10, .end = 20});
    trace_add(&t,
              &(struct trace_bar){.task = "x[2]@seed=1", .cpuset = "2", .cores = 1, .start = 10, .end = 15});
    gantt_init(&g, &t);
    gantt_text(&g, 4, 38, &out); /* 20 columns of a second each */
    assert_string_equal(buf_str(&out), "stage      tasks  0         10.0 s\n"
                                       "x              2  ██████████▂▂▂▂▂\n"
                                       "y              1            ▄▄▄▄▄▄▄▄▄▄\n"
                                       "all cores    81%  ██████████▆▆▆▆▆▄▄▄▄▄\n");
}

static void steps(void **state)
{
    static const double want[][2] = {{0.37, 0.05}, {9.6, 1},       {11, 2},       {140, 15},
                                     {700, 120},   {90000, 10800}, {1e7, 1036800}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (fabs(gantt_step(want[i][0], 10) - want[i][1]) > 1e-9)
            fail_msg("a step of %g for %g", gantt_step(want[i][0], 10), want[i][0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(svg), cmocka_unit_test(svg_odd),
                                       cmocka_unit_test(text), cmocka_unit_test(steps)};
    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
