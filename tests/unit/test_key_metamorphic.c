/* Texts that mean the same have the same keys, whatever they look like. */
#include "tests/unit/key_flow.h"

#define HEAD                                                                                                 \
    "experiment: e\nvars: { clients: [stripes, blobs], size: 16, lambda: 0.5, six: 6, title: all "           \
    "}\nstages:\n"
#define STAGES 13
/* The pipeline of the paper. N_ begins every name, so that it can be replaced. */
static const char *const stage_text[STAGES] = {
    "  N_photos: { uses: images, with: { path: ., split: test, limit: 7 } }\n",
    "  N_hub: { uses: model, with: { path: . } }\n",
    "  N_public: { uses: synthetic, with: { domain: public, per_class: 6, size: \"${size}\" } }\n",
    "  N_client:\n    foreach: ${clients}\n    uses: synthetic\n"
    "    with: { domain: \"${item}\", per_class: 5, size: \"${size}\" }\n    private: ${item}\n",
    "  N_seed: { uses: pretrain, in: { public: N_public }, with: { image_size: 16, patch: 8, lr: 0.3 } }\n",
    "  N_features: { uses: embedding, in: { model: N_seed, data: N_public } }\n",
    "  N_relevance:\n    foreach: ${clients}\n    uses: classifier\n"
    "    in: { model: N_seed, public: N_features, private: \"N_client[${item}]\" }\n    with: { epochs: 2 "
    "}\n",
    "  N_proxy:\n    foreach: ${clients}\n    uses: dpp\n"
    "    in: { features: N_features, relevance: \"N_relevance[${item}]\" }\n"
    "    with: { pool: 40, size: 12 }\n",
    "  N_expert:\n    foreach: ${clients}\n    uses: expert\n    in:\n      model: N_seed\n"
    "      private: N_client[${item}]\n      public: N_public\n      proxy: N_proxy[${item}]\n"
    "    with: { rank: 4, alpha: 8 }\n",
    "  N_unified: { uses: merge, in: { model: N_seed, experts: \"N_expert[*]\" }, with: { lambda: "
    "\"${lambda}\" } "
    "}\n",
    "  N_router: { uses: router, in: { model: N_unified, public: N_public, proxies: \"N_proxy[*]\" } }\n",
    "  N_score:\n    foreach: ${clients}\n    uses: evaluate\n"
    "    in: { model: N_router, data: \"N_client[${item}]\" }\n    with: { domain: \"${item}\" }\n",
    "  N_table: { uses: table, in: { scores: \"N_score[*]\" }, with: { title: \"${title}\" } }\n"};

static char *whole_text(void)
{
    struct buf b = {0};
    buf_puts(&b, HEAD);
    for (int i = 0; i < STAGES; i++)
        buf_puts(&b, stage_text[i]);
    return buf_take(&b);
}

/* A copy of text with every `from` replaced; there must be one. */
static char *replaced(const char *text, const char *from, const char *to)
{
    struct buf b = {0};
    int n = 0;
    for (const char *at; (at = strstr(text, from)); n++) {
        buf_add(&b, text, (size_t)(at - text));
        buf_puts(&b, to);
        text = at + strlen(from);
    }
    if (n == 0)
        fail_msg("the text has no '%s'", from);
    buf_puts(&b, text);
    return buf_take(&b);
}

/* main.yaml, as it is now, has the keys of the whole text, all of them and no other. */
static void same_with(const struct spec_options *opt, const char *what)
{
    AUTO(mem) char *now = NULL;
    AUTO(mem) char *text = whole_text();
    struct error err = {0};
    int n, n_now;
    assert_true(fs_read_file("main.yaml", &now, NULL, &err));
    AUTO(mem) struct digest *keys = flow_sorted(opt, what, &n_now);
    folder_write("main.yaml", text);
    AUTO(mem) struct digest *want = flow_sorted(NULL, "the whole text", &n);
    assert_int_equal(n, 18);
    if (n != n_now || memcmp(keys, want, (size_t)n * sizeof *want) != 0)
        fail_msg("%s: the keys differ in\n%s", what, now);
}

static void same(const char *text, const char *what)
{
    folder_write("main.yaml", text);
    same_with(NULL, what);
}

static void spelling(void **state)
{
    static const struct {
        const char *what, *from, *to;
    } change[] = {
        {"the experiment's name", "experiment: e", "experiment: another"},
        {"the tasks' names", "N_", "other-"},
        {"comments and empty lines", "\n  N_", " # words\n\n# more words\n  N_"},
        {"descriptions", "uses: merge", "description: \"words: more\", uses: merge"},
        {"a description of all", "experiment: e", "description: words\nexperiment: e"},
        {"tags", "uses: merge", "tags: [x, y], uses: merge"},
        {"resources", "uses: merge", "resources: { cores: 2, memory: 1GiB }, uses: merge"},
        {"a range of cores", "uses: merge", "resources: { cores: \"2..4\" }, uses: merge"},
        {"a timeout and retries", "uses: merge", "resources: { timeout: 1h, retries: 2 }, uses: merge"},
        {"cores left to weft", "uses: merge", "resources: { cores: auto }, uses: merge"},
        {"units", "uses: merge", "resources: { units: { gpu: 2, licence: 1 } }, uses: merge"},
        {"a node of its own", "uses: merge", "resources: { exclusive: true, place: spread }, uses: merge"},
        {"patient retries", "uses: merge",
         "resources: { memory: 1GiB, retries: { times: 3, backoff: 10s, memory: x2 } }, uses: merge"},
        {"a private label", "uses: images", "private: me, uses: images"},
        {"exceptions", "experiment: e", "experiment: e\nprivacy: { allow: [N_photos] }"},
        {"single quotes", "domain: public", "domain: 'public'"},
        {"double quotes", "domain: public", "domain: \"p\\u0075blic\""},
        {"quoted keys", "domain: public", "\"domain\": public"},
        {"a folded scalar", "    private: ${item}\n", "    private: >-\n      ${item}\n"},
        {"0.50", "lambda: 0.5", "lambda: 0.50"},
        {"5e-1", "lambda: 0.5", "lambda: 5e-1"},
        {".5", "lambda: 0.5", "lambda: .5"},
        {"0.30 for 0.3", "lr: 0.3", "lr: 0.30"},
        {"0.3 in many digits", "lr: 0.3", "lr: 0.299999999999999988898"},
        {"30e-2", "lr: 0.3", "lr: +30E-02"},
        {"8.0 for 8", "alpha: 8", "alpha: 8.0"},
        {"8e0 for 8", "alpha: 8", "alpha: 8e0"},
        {"+4 for 4", "rank: 4", "rank: +4"},
        {"a variable for a number", "per_class: 6", "per_class: \"${six}\""},
        {"a variable inside text", "domain: public", "domain: \"pub${lic}\""},
        {"a number for a variable", "size: \"${size}\"", "size: 16"},
        {"a literal for a variable", "\"${title}\"", "all"},
        {"an anchor", "domain: public", "domain: &x public"},
        {"the order of parameters", "rank: 4, alpha: 8", "alpha: 8, rank: 4"},
        {"the order of inputs", "model: N_seed, data: N_public", "data: N_public, model: N_seed"},
        {"block style", "with: { rank: 4, alpha: 8 }", "with:\n      rank: 4\n      alpha: 8"},
        {"another indentation", "    with: { rank: 4, alpha: 8 }", "    with: {\n  rank: 4,\n alpha: 8 }"},
        {"a default, spelled out", "pool: 40", "method: dpp, kernel: cosine, pool: 40"},
        {"another default", "patch: 8", "heads: 4, warmup: 0.1, augment: true, patch: 8"},
        {"a list for a variable", "foreach: ${clients}", "foreach: [stripes, blobs]"},
        {"a list in block style", "foreach: ${clients}", "foreach:\n    - stripes\n    - blobs"},
        {"a map for a list", "foreach: ${clients}", "foreach: { stripes: stripes, blobs: blobs }"},
        {"outputs by name", "model: N_seed,", "model: N_seed.model,"},
        {"references one by one", "\"N_expert[*]\"", "[\"N_expert[stripes]\", \"N_expert[blobs]\"]"},
        {"a list of one", "proxies: \"N_proxy[*]\"", "proxies: [\"N_proxy[*]\"]"},
        {"the way to a path", "path: .", "path: ././"},
        {"where a path is", "path: .", "path: /"},
        {"line ends", "\n", "\r\n"},
        {"a document's marks", "experiment: e", "---\nexperiment: e"},
        {"a byte order mark", "experiment: e",
         "\xEF\xBB\xBF"
         "experiment: e"},
    };
    AUTO(mem) char *base = whole_text();
    AUTO(mem) char *text = replaced(base, "six: 6", "six: 6, lic: lic");
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        AUTO(mem) char *changed = replaced(text, change[i].from, change[i].to);
        same(changed, change[i].what);
    }
}

static void order(void **state)
{
    for (int step = 1; step < STAGES; step++) { /* 13 is prime: every step visits all */
        AUTO(buf) struct buf b = {0};
        for (int i = 0; i < STAGES; i++)
            buf_puts(&b, stage_text[(i * step + step) % STAGES]);
        buf_puts(&b, "experiment: e\nvars: { six: 6, title: all, lambda: 0.5, size: 16, clients: [stripes, "
                     "blobs] }\n");
        AUTO(mem) char *text = NULL;
        text = xprintf("stages:\n%s", buf_str(&b));
        same(text, "the order of stages");
    }
}

static void anchors(void **state)
{
    AUTO(mem) char *base = whole_text();
    AUTO(mem)
    char *vars = replaced(base, "title: all }",
                          "title: all,\n  set: &set { per_class: 6, size: 16 }, m: &m { model: N_seed } }");
    AUTO(mem)
    char *with =
        replaced(vars, "{ domain: public, per_class: 6, size: \"${size}\" }", "{ <<: *set, domain: public }");
    same(with, "a merge key");
    AUTO(mem) char *in = replaced(vars, "{ model: N_seed, data: N_public }", "{ data: N_public, <<: [*m] }");
    same(in, "a merge key with a list");
    AUTO(mem)
    char *own = replaced(vars, "{ domain: public, per_class: 6, size: \"${size}\" }",
                         "{ size: 16, <<: { size: 99, per_class: 6 }, domain: public }");
    same(own, "own keys before merged ones");
    AUTO(mem) char *list = replaced(base, "clients: [stripes, blobs]", "clients: &c [stripes, blobs]");
    AUTO(mem) char *alias = replaced(list, "foreach: ${clients}", "foreach: *c");
    same(alias, "an alias for a list");
    AUTO(mem)
    char *stage = replaced(base, "  N_hub: { uses: model, with: { path: . } }\n",
                           "  N_hub: &hub\n    uses: model\n    with: &w { path: . }\n");
    same(stage, "anchors that nobody uses");
}

static void defaults(void **state)
{
    AUTO(mem) char *base = whole_text();
    AUTO(mem) char *without = replaced(base, "    with: { rank: 4, alpha: 8 }\n", "");
    AUTO(mem)
    char *text = replaced(
        without, "experiment: e",
        "experiment: e\ndefaults: { expert: { with: { rank: 4, alpha: 8 }, resources: { retries: 1 } } }");
    same(text, "defaults of a stage");
    AUTO(mem)
    char *rank =
        replaced(base, "experiment: e", "experiment: e\ndefaults: { expert: { with: { rank: 9 } } }");
    same(rank, "a default that all its tasks replace");
}

/* foreach, matrix and stages one by one. */
static void groups(void **state)
{
    static const char each[] =
        "  N_client:\n    foreach: ${clients}\n    uses: synthetic\n"
        "    with: { domain: \"${item}\", per_class: 5, size: \"${size}\" }\n    private: ${item}\n";
    AUTO(mem) char *base = whole_text();
    AUTO(mem)
    char *single = replaced(
        base, each,
        "  N_stripes: { uses: synthetic, with: { domain: stripes, per_class: 5, size: 16 }, private: stripes "
        "}\n"
        "  N_blobs: { uses: synthetic, with: { domain: blobs, per_class: 5, size: 16 }, private: blobs }\n");
    AUTO(mem) char *used = replaced(single, "N_client[${item}]", "N_${item}");
    same(used, "stages one by one");
    AUTO(mem)
    char *matrix = replaced(
        base, each,
        "  N_client:\n    matrix: { d: \"${clients}\", n: [5, 9], exclude: [{ n: 9 }] }\n    uses: "
        "synthetic\n"
        "    with: { domain: \"${item.d}\", per_class: \"${item.n}\", size: 16 }\n    private: ${item.d}\n");
    AUTO(mem) char *by_both = replaced(matrix, "N_client[${item}]", "N_client[${item},5]");
    same(by_both, "a matrix");
    AUTO(mem) char *by_axis = replaced(matrix, "N_client[${item}]", "N_client[d=${item},n=5]");
    same(by_axis, "a matrix, by the names of its axes");
    AUTO(mem)
    char *map = replaced(
        base, each,
        "  N_client:\n    foreach: { stripes: { n: 5 }, blobs: { n: 5 } }\n    uses: synthetic\n"
        "    with: { domain: \"${key}\", per_class: \"${item.n}\", size: 16 }\n    private: ${key}\n");
    same(map, "foreach over a map");
}

static void files(void **state)
{
    AUTO(buf) struct buf first = {0}, main = {0};
    buf_puts(&first, "vars: { clients: [stripes, blobs], size: 99 }\nstages:\n");
    buf_puts(&main,
             "experiment: e\ninclude: first.yaml\nvars: { size: 16, lambda: 0.5, title: all }\nstages:\n");
    for (int i = 0; i < STAGES; i++)
        buf_puts(i < 8 ? &first : &main, stage_text[i]);
    folder_write("first.yaml", buf_str(&first));
    same(buf_str(&main), "an included file, which has another size");
    AUTO(mem) char *base = whole_text();
    AUTO(mem) char *other = replaced(base, "size: 16, lambda: 0.5", "size: 1, lambda: 0");
    const char *const set[] = {"size=16", "lambda=0.50"}, *const over[] = {"over.yaml"};
    folder_write("main.yaml", other);
    same_with(&(struct spec_options){.set = set, .n_set = 2}, "--set");
    folder_write("over.yaml", "lambda: 5e-1\nsize: 16\n");
    folder_write("main.yaml", other);
    same_with(&(struct spec_options){.vars = over, .n_vars = 1}, "--vars");
    folder_write("over.yaml", "lambda: 0.9\nsize: 16\n");
    folder_write("main.yaml", other);
    same_with(&(struct spec_options){.vars = over, .n_vars = 1, .set = set + 1, .n_set = 1},
              "--set over --vars");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(spelling), cmocka_unit_test(order),
                                       cmocka_unit_test(anchors),  cmocka_unit_test(defaults),
                                       cmocka_unit_test(groups),   cmocka_unit_test(files)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
