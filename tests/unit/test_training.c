/* Training that goes on from a kept state: bit for bit what one run without a stop makes, for every stage
 * that keeps one; states that do not fit or cannot be written cost a warning and nothing else. */
#include "tests/fault/fault.h"
#include "tests/unit/stage_world.h"

extern const struct stage stage_pretrain, stage_expert, stage_merge, stage_router;

static struct stage_run seed, expert, merged; /* what the stages below start from; their folders stay */
static const char *public, *private, *selection;

/* One case: a stage with its inputs and parameters. */
struct kind {
    const char *name, *params;
    const struct stage *stage;
    bool prefix;
};
static void connect(struct stage_run *r)
{
    const struct stage *s = r->ctx.stage;
    if (s != &stage_pretrain)
        stage_run_connect(r, "model", (s == &stage_router ? &merged : &seed)->outputs[0]);
    stage_run_connect(r, "public", public);
    if (s == &stage_expert)
        stage_run_connect(r, "private", private);
    if (s != &stage_pretrain)
        stage_run_connect(r, s == &stage_expert ? "proxy" : "proxies", selection);
}
static const struct kind kinds[] = {
    {"pretrain", "{" WORLD_SEED ", \"texts\": 2}", &stage_pretrain, false},
    {"expert", "{\"rank\": 2, \"batch\": 6}", &stage_expert, true},
    {"expert without momentum", "{\"rank\": 2, \"batch\": 6, \"momentum\": 0, \"clip\": 1}", &stage_expert,
     true},
    {"expert with AdamW", "{\"rank\": 2, \"batch\": 6, \"optimizer\": \"adamw\"}", &stage_expert, true},
    {"expert with a schedule", "{\"rank\": 2, \"batch\": 6, \"schedule\": \"cosine\"}", &stage_expert, false},
    {"expert with a warm-up", "{\"rank\": 2, \"batch\": 6, \"warmup\": 0.5}", &stage_expert, false},
    {"router", "{\"batch\": 3, \"nesterov\": true}", &stage_router, true},
    {"router with losses",
     "{\"batch\": 3, \"micro_batch\": 2, \"balance_loss\": 0.5, \"z_loss\": 0.1, "
     "\"balance_rate\": 0.01}",
     &stage_router, true},
    {"router alone", "{\"batch\": 3, \"train\": \"router\", \"optimizer\": \"adamw\"}", &stage_router, true},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* ---- a run that is watched ---- */
struct watch {
    struct stage_run r;
    int64_t keep_at, stop_at, fault; /* passes after which; file call that fails while a state is written */
    int64_t kept;                    /* the last */
    double first_done, last_done, total;
    struct buf metrics; /* "loss@3 0x1.8p+0\n" */
};
static enum stage_due due(struct stage_context *ctx, int64_t step)
{
    struct watch *w = ctx->engine;
    if (step != w->keep_at && step != w->stop_at && !w->fault)
        return STAGE_GO_ON;
    if (w->fault) {
        countdown = (int)w->fault;
        fault_errno = ENOSPC;
        fs = &faulty;
    }
    return step == w->stop_at ? STAGE_KEEP_AND_STOP : STAGE_KEEP;
}
static void checkpoint(struct stage_context *ctx, int64_t step, const char *name)
{
    struct watch *w = ctx->engine;
    char path[256];
    fs = &fs_real;
    snprintf(path, sizeof path, "%s/%s", ctx->scratch, name);
    assert_true(!strchr(name, '/') && fs_exists(path));
    w->kept = step;
}
static void warn(struct stage_context *ctx, const char *text)
{
    struct watch *w = ctx->engine;
    fs = &fs_real;
    w->r.warnings++;
}
static void metric(struct stage_context *ctx, const char *name, double value, int64_t step)
{
    struct watch *w = ctx->engine;
    fs = &fs_real; /* that of a fault of which a warning was told before */
    buf_printf(&w->metrics, "%s@%lld %a\n", name, (long long)step, value);
}
static void progress(struct stage_context *ctx, double done, double total, const char *unit)
{
    struct watch *w = ctx->engine;
    fs = &fs_real;
    w->first_done = w->first_done > 0 ? w->first_done : done;
    w->last_done = done;
    w->total = total;
}
static void begin(struct watch *w, const struct kind *k, int64_t epochs)
{
    char text[32];
    *w = (struct watch){0};
    stage_run_begin(&w->r, k->stage);
    world_set(&w->r, k->params);
    snprintf(text, sizeof text, "%lld", (long long)epochs);
    stage_run_set(&w->r, "epochs", text);
    connect(&w->r);
    assert_int_equal(stage_passes(k->stage, w->r.params), epochs);
    assert_int_equal(k->stage->prefix && k->stage->prefix(w->r.params), k->prefix);
    w->r.ctx.due = due;
    w->r.ctx.checkpoint = checkpoint;
    w->r.ctx.warn = warn;
    w->r.ctx.metric = metric;
    w->r.ctx.progress = progress;
    w->r.ctx.engine = w;
}
static void end(struct watch *w)
{
    fs = &fs_real;
    buf_done(&w->metrics);
    stage_run_end(&w->r);
}
static void resume(struct watch *w, const struct watch *from, int64_t step)
{
    w->r.ctx.resume =
        arena_printf(&w->r.arena, "%s/checkpoint.%lld", from->r.ctx.scratch, (long long)from->kept);
    w->r.ctx.resume_step = step;
}
/* All files of all outputs. */
static void outputs(struct watch *w, struct buf *out)
{
    for (int p = 0; p < stage_port_count(w->r.ctx.stage->outputs); p++)
        world_bytes(&w->r, p, out);
}
static void same_outputs(struct watch *w, const struct buf *want)
{
    AUTO(buf) struct buf got = {0};
    outputs(w, &got);
    assert_int_equal(got.len, want->len);
    assert_memory_equal(got.data, want->data, want->len);
}
/* What a whole run of four passes makes and tells. */
static void straight(const struct kind *k, struct buf *out, struct buf *metrics, double *total)
{
    struct watch w;
    begin(&w, k, 4);
    world_go(&w.r);
    outputs(&w, out);
    buf_puts(metrics, buf_str(&w.metrics));
    assert_true(w.last_done == w.total);
    *total = w.total;
    assert_int_equal(w.r.warnings, 0);
    end(&w);
}

/* ---- tests ---- */
/* From the state of `first`, which has made `passes`, to the end: as a run without a stop, and its metrics
 * are the last ones of that. */
static void go_on(const struct kind *k, struct watch *first, const struct buf *want,
                  const struct buf *metrics, double total)
{
    struct watch w;
    begin(&w, k, 4);
    resume(&w, first, first->kept);
    w.r.ctx.threads = 3;
    world_go(&w.r);
    assert_int_equal(w.r.warnings, 0);
    same_outputs(&w, want);
    assert_true(w.metrics.len > 0 && w.metrics.len < metrics->len);
    assert_string_equal(buf_str(&w.metrics), buf_str(metrics) + metrics->len - w.metrics.len);
    assert_true(w.total == total && w.last_done == total && w.first_done > first->last_done * 0.5);
    end(&w);
}
static void stopped_and_continued(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct kind *k = &kinds[i];
        AUTO(buf) struct buf want = {0};
        AUTO(buf) struct buf metrics = {0};
        double total;
        print_message("  %s\n", k->name);
        straight(k, &want, &metrics, &total);
        for (int64_t stop = 1; stop <= 3; stop += 2) {
            struct watch w;
            begin(&w, k, 4);
            w.stop_at = stop;
            assert_false(stage_run_go(&w.r));
            assert_int_equal(w.r.err.code, ERROR_INTERRUPT);
            assert_int_equal(w.kept, stop);
            go_on(k, &w, &want, &metrics, total);
            end(&w);
        }
    }
}
/* With fewer passes asked for from the start. */
static void raised(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        AUTO(buf) struct buf want = {0};
        AUTO(buf) struct buf metrics = {0};
        double total;
        struct watch w;
        if (!kinds[i].prefix)
            continue;
        straight(&kinds[i], &want, &metrics, &total);
        begin(&w, &kinds[i], 2);
        w.keep_at = 2;
        world_go(&w.r);
        assert_int_equal(w.kept, 2);
        w.last_done = 0;
        go_on(&kinds[i], &w, &want, &metrics, total);
        end(&w);
    }
}
/* A state at the very end: no pass is left, the outputs are made. */
static void nothing_left(void **state)
{
    AUTO(buf) struct buf want = {0};
    struct watch w, again;
    begin(&w, &kinds[1], 2);
    w.keep_at = 2;
    world_go(&w.r);
    outputs(&w, &want);
    begin(&again, &kinds[1], 2);
    resume(&again, &w, 2);
    world_go(&again.r);
    same_outputs(&again, &want);
    assert_int_equal(again.metrics.len, 0);
    end(&again);
    end(&w);
}
static void misfits(void **state)
{
    const struct kind *k = &kinds[1], *other = &kinds[3], rank = {"", "{\"rank\": 3}", &stage_expert, true};
    AUTO(buf) struct buf want = {0};
    AUTO(buf) struct buf metrics = {0};
    double total;
    straight(k, &want, &metrics, &total);
    const struct kind *from[] = {other, &rank, k, k};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        struct watch w, again;
        begin(&w, from[i], 2);
        w.keep_at = 2;
        world_go(&w.r);
        begin(&again, k, 4);
        resume(&again, &w, i == 2 ? 3 : 2); /* the third: of another pass; the last: spoilt */
        if (i == 3)
            assert_true(fs_write_file(again.r.ctx.resume, "x", 1, NULL));
        world_go(&again.r);
        assert_int_equal(again.r.warnings, 1);
        same_outputs(&again, &want);
        end(&again);
        end(&w);
    }
}
/* Every file call of the writing of states fails once: one warning, and the result is what it is. */
static void full_disk(void **state)
{
    const struct kind *k = &kinds[1];
    AUTO(buf) struct buf want = {0};
    AUTO(buf) struct buf metrics = {0};
    double total;
    straight(k, &want, &metrics, &total);
    int failed = 0;
    for (int64_t call = 1;; call++) {
        struct watch w;
        begin(&w, k, 4);
        w.fault = call;
        world_go(&w.r);
        same_outputs(&w, &want);
        bool kept = w.kept > 0;
        if (!kept)
            assert_int_equal(w.r.warnings, 1);
        failed += !kept;
        end(&w);
        assert_true(call < 100);
        if (kept && call > failed + 2)
            break;
    }
    assert_true(failed >= 2);
}

static int setup(void **state)
{
    stage_run_begin(&seed, &stage_pretrain);
    public = stage_run_input(&seed, "public");
    private = arena_printf(&seed.arena, "%s/private", seed.dir);
    selection = arena_printf(&seed.arena, "%s/selection", seed.dir);
    assert_true(fs_mkdirs(private, NULL) && fs_mkdirs(selection, NULL));
    world_data(public, 4, 0, 5);
    world_data(private, 2, 5, 5);
    stage_run_file(&seed, selection, "selection.json",
                   "{\"ids\": [\"c0/1.png\", \"c1/0.png\", \"c1/3.png\", \"c2/2.png\", \"c3/4.png\"]}");
    world_set(&seed, "{" WORLD_SEED ", \"epochs\": 1}");
    world_go(&seed);
    stage_run_begin(&expert, &stage_expert);
    world_set(&expert, "{\"rank\": 2, \"epochs\": 1}");
    connect(&expert);
    world_go(&expert);
    stage_run_begin(&merged, &stage_merge);
    stage_run_connect(&merged, "model", seed.outputs[0]);
    for (int i = 0; i < 2; i++)
        stage_run_connect(&merged, "experts", expert.outputs[0]);
    for (int i = 0; i < 2; i++)
        merged.inputs[stage_port_index(stage_merge.inputs, "experts")].item[i].also_dir = expert.outputs[1];
    world_go(&merged);
    return 0;
}
static int teardown(void **state)
{
    stage_run_end(&merged);
    stage_run_end(&expert);
    stage_run_end(&seed);
    return 0;
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stopped_and_continued), cmocka_unit_test(raised),
                                       cmocka_unit_test(nothing_left), cmocka_unit_test(misfits),
                                       cmocka_unit_test(full_disk)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
