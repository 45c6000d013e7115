/* What the stage expert learns from: proxies alone, those of several clients, with and without private
 * images. Experts of equal samples are the same bit for bit, whichever inputs these came through. */
#include "base/json.h"

#include "tests/unit/moe_stages.h"

static void begin_without(struct stage_run *r)
{
    begin_expert(r, "one", NULL, 2);
    r->inputs[stage_port_index(stage_expert.inputs, "private")].n = 0;
}
static void connect_public(struct stage_run *r, const char *proxy, const char *more)
{
    if (stage_in_count(&r->ctx, "public") == 0)
        stage_run_connect(r, "public", path("public"));
    stage_run_connect(r, "proxy", path(proxy));
    if (more)
        stage_run_connect(r, "proxy", path(more));
}
static void same_expert(struct stage_run *a, struct stage_run *b)
{
    go(a);
    go(b);
    same_file(stage_out_file(&a->ctx, "adapter", "adapter_model.safetensors"),
              stage_out_file(&b->ctx, "adapter", "adapter_model.safetensors"));
    same_file(stage_out_file(&a->ctx, "router", "router.safetensors"),
              stage_out_file(&b->ctx, "router", "router.safetensors"));
    stage_run_end(a);
    stage_run_end(b);
}
static void counts(struct stage_run *r, int private, int proxies)
{
    AUTO_JSON info = stage_run_json(r, "router", "router.json");
    if (json_int_or(info, "private", -1) != private || json_int_or(info, "proxies", -1) != proxies ||
        json_int_or(info, "samples", -1) != private + proxies)
        fail_msg("%d private samples and %d proxies are not in router.json", private, proxies);
}
/* All public images as proxies are all public images as a client's: the labels are the public classes. */
static void proxies_alone(void **state)
{
    AUTO(dataset) struct dataset *d = NULL;
    AUTO(buf) struct buf ids = {0};
    struct stage_run a, b;
    assert_true(dataset_open(path("public"), &d, NULL));
    for (int64_t i = 0; i < dataset_count(d); i++)
        buf_printf(&ids, "%s\"%s\"", i ? ", " : "{\"ids\": [", dataset_id(d, i));
    buf_puts(&ids, "]}");
    write_selection("proxy.all", buf_str(&ids));
    begin_without(&a);
    connect_public(&a, "proxy.all", NULL);
    begin_expert(&b, "public", NULL, 3);
    same_expert(&a, &b);
    begin_without(&a);
    connect_public(&a, "proxy.one", NULL);
    go(&a);
    assert_true(last_loss < 0.9 * first_loss);
    assert_int_equal(a.warnings, 0);
    counts(&a, 0, 3);
    stage_run_end(&a);
}
/* blue/0 is a proxy of both. */
static void several_selections(void **state)
{
    struct stage_run a, b;
    write_selection("proxy.union", "{\"ids\": [\"red/1.png\", \"blue/0.png\", \"green/2.png\", "
                                   "\"yellow/1.png\", \"red/4.png\"]}");
    begin_without(&a);
    connect_public(&a, "proxy.one", "proxy.two");
    begin_without(&b);
    connect_public(&b, "proxy.union", NULL);
    same_expert(&a, &b);
    begin_expert(&a, "two", "proxy.one", 1);
    connect_public(&a, "proxy.two", NULL);
    begin_expert(&b, "two", "proxy.union", 2);
    go(&a);
    counts(&a, 12, 5);
    same_expert(&a, &b);
}
static void refusals(void **state)
{
    struct stage_run r;
    begin_without(&r);
    fails(&r, "nothing to train on: connect 'private'");
    begin_without(&r);
    connect_public(&r, "proxy.one", NULL);
    stage_run_set(&r, "labels", "\"private\"");
    fails(&r, "'labels: private' needs the input 'private'");
    begin_without(&r);
    connect_public(&r, "proxy.one", NULL);
    stage_run_set(&r, "e_data", "\"private\"");
    fails(&r, "'e_data: private' needs the input 'private'");
    begin_without(&r);
    connect_public(&r, "proxy.one", "proxy.bad");
    fails(&r, "nowhere.png");
    write_selection("proxy.none", "{\"ids\": []}");
    begin_without(&r);
    connect_public(&r, "proxy.none", NULL);
    fails(&r, "the proxies are empty");
    begin_without(&r);
    stage_run_connect(&r, "public", path("public"));
    fails(&r, "'public' and 'proxy' belong together");
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(proxies_alone), cmocka_unit_test(several_selections),
                                       cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(tests, make_world, end_world);
}
