/* A trace as text: one event a line, written by hand, as there may be many. */
#include "base/cleanup.h"
#include "base/json.h"
#include "engine/exec/trace.h"

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

static void put_bar(const struct trace_bar *b, const struct trace_lane *lane, struct buf *out)
{
    buf_puts(out, "{\"ph\":\"X\",\"name\":");
    json_put_string(out, b->task);
    buf_puts(out, ",\"cat\":");
    json_put_string(out, b->stage);
    buf_printf(out, ",\"pid\":%d,\"tid\":%d,\"ts\":%.1f,\"dur\":%.1f,\"args\":{", lane->node + 1, lane->core,
               b->start * 1e6, (b->end - b->start) * 1e6);
    put_member(out, "task", b->task);
    put_member(out, "stage", b->stage);
    put_member(out, "key", b->key);
    put_member(out, "state", b->state);
    put_member(out, "cpuset", b->cpuset);
    buf_printf(out, ",\"cores\":%d}},\n", b->cores);
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
