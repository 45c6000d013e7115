/* A trace as text: one event a line, written by hand, as there may be many. */
#include "base/cleanup.h"
#include "base/json_out.h"
#include "engine/exec/trace.h"
#include <math.h>

static void put_member(struct buf *out, const char *name, const char *text)
{
    if (!*text)
        return;
    if (out->data[out->len - 1] != '{')
        buf_putc(out, ',');
    json_put_string(out, name);
    buf_putc(out, ':');
    json_put_string(out, text);
}

/* The names of the lanes, and their order. Processes count from 1: 0 is the idle one to Perfetto. */
static void put_lanes(const struct trace_lanes *l, struct buf *out)
{
    for (int i = 0; i < l->n_nodes; i++) {
        buf_printf(out, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":", i + 1);
        json_put_string(out, *l->node[i] ? l->node[i] : "this machine");
        buf_puts(out, "}},\n");
    }
    for (int i = 0; i < l->n; i++) {
        int pid = l->lane[i].node + 1, tid = l->lane[i].core;
        buf_printf(out,
                   "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":\"core "
                   "%d\"}},\n",
                   pid, tid, tid);
        buf_printf(out,
                   "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%d,\"tid\":%d,\"args\":{\"sort_"
                   "index\":%d}},\n",
                   pid, tid, tid);
    }
}

static void put_word(struct json_out *o, const char *name, const char *text)
{
    if (*text)
        json_out_text(o, name, text);
}

/* Times are whole microseconds, as events have them. */
static void put_bar(const struct trace_bar *b, const struct trace_lane *lane, struct buf *out)
{
    struct json_out o = {.to = out};
    int64_t start = llround(b->start * 1e6);
    json_out_object(&o, NULL);
    json_out_text(&o, "ph", "X");
    json_out_text(&o, "name", b->task);
    json_out_text(&o, "cat", b->stage);
    json_out_integer(&o, "pid", lane->node + 1);
    json_out_integer(&o, "tid", lane->core);
    json_out_integer(&o, "ts", start);
    json_out_integer(&o, "dur", llround(b->end * 1e6) - start);
    json_out_object(&o, "args");
    put_word(&o, "task", b->task);
    put_word(&o, "stage", b->stage);
    put_word(&o, "key", b->key);
    put_word(&o, "state", b->state);
    put_word(&o, "cpuset", b->cpuset);
    json_out_integer(&o, "cores", b->cores);
    json_out_end(&o);
    json_out_end(&o);
    buf_add(out, ",\n", 2);
}

/* On the task's first lane; of the run itself, over all. */
static void put_mark(const struct trace *t, const struct trace_lanes *l, const struct trace_mark *m,
                     struct buf *out)
{
    buf_puts(out, "{\"ph\":\"i\",\"name\":");
    json_put_string(out, m->name);
    buf_printf(out, ",\"ts\":%.1f,\"args\":{", m->at * 1e6);
    size_t before = out->len;
    if (m->bar != TRACE_NO_BAR)
        put_member(out, "task", t->bar[m->bar].task);
    put_member(out, "text", m->text);
    if (m->has_value)
        buf_printf(out, "%s\"value\":%.17g", out->len > before ? "," : "", m->value);
    if (m->step >= 0)
        buf_printf(out, "%s\"step\":%lld", out->len > before ? "," : "", (long long)m->step);
    if (m->bar == TRACE_NO_BAR) {
        buf_puts(out, "},\"s\":\"g\",\"pid\":1,\"tid\":0},\n");
        return;
    }
    const struct trace_lane *lane = &l->lane[l->of[l->first[m->bar]]];
    buf_printf(out, "},\"s\":\"t\",\"pid\":%d,\"tid\":%d},\n", lane->node + 1, lane->core);
}

void trace_write(const struct trace *t, struct buf *out)
{
    AUTO(trace_lanes) struct trace_lanes lanes;
    trace_lanes_find(t, &lanes);
    buf_puts(out, "{\"displayTimeUnit\":\"ms\",\"otherData\":{");
    put_member(out, "experiment", t->experiment);
    put_member(out, "run", t->run);
    buf_puts(out, "},\n\"traceEvents\":[\n");
    size_t before = out->len;
    put_lanes(&lanes, out);
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = lanes.first[i]; k < lanes.first[i + 1]; k++)
            put_bar(&t->bar[i], &lanes.lane[lanes.of[k]], out);
    for (size_t i = 0; i < t->n_marks; i++)
        put_mark(t, &lanes, &t->mark[i], out);
    if (out->len > before)
        out->len -= 2; /* the last comma, which JSON does not have */
    buf_puts(out, "\n]}\n");
}
