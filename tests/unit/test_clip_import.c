/* CLIP folders of others: OpenAI's names, shards, half types, old configurations, and what is wrong with a
 * folder. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/model/clip_parts.h"
#include "tests/test.h"
#include "tests/unit/clip_files.h"
#include "tests/unit/openai_names.h"
#include "tests/unit/stage_run.h"

extern const struct stage stage_model;

/* Heads of 64, as OpenAI's models have: their configuration follows from the shapes. */
static const struct clip_config small = {
    .vision = {.width = 128, .layers = 2, .heads = 2, .mlp = 96, .eps = 1e-5, .act = ACT_QUICK_GELU},
    .text = {.width = 64, .layers = 11, .heads = 1, .mlp = 40, .eps = 1e-5, .act = ACT_QUICK_GELU},
    .image_size = 12,
    .patch = 4,
    .channels = 3,
    .vocab = 20,
    .context = 6,
    .bos = 18,
    .eos = 19,
    .embed = 24};
static char root[] = "/tmp/weft-import-XXXXXX";
static char *hf; /* the folder of the model above, float32 */

static char *in(const char *dir, const char *name)
{
    return xprintf("%s/%s", dir, name);
}
static char *folder(const char *name)
{
    char *dir = in(root, name);
    assert_true(fs_mkdirs(dir, NULL));
    return dir;
}
static void put(const char *dir, const char *name, const char *text)
{
    AUTO(mem) char *path = in(dir, name);
    unlink(path);
    assert_true(fs_write_file(path, text, strlen(text), NULL));
}
static struct safetensors *weights(const char *dir)
{
    struct safetensors *s = NULL;
    struct error err = {0};
    if (!safetensors_open_model(dir, &s, &err))
        fail_msg("%s", err.text);
    return s;
}
static struct clip *opened(const char *dir)
{
    struct clip *m = NULL;
    struct error err = {0};
    if (!clip_open(dir, &m, &err))
        fail_msg("%s", err.text);
    return m;
}
/* The same numbers as `dir` under OpenAI's names, without config.json. */
static char *openai_folder(const char *name, const char *dir)
{
    char *to = folder(name);
    AUTO(mem) char *path = in(to, "model.safetensors");
    AUTO(safetensors) struct safetensors *s = weights(dir);
    unlink(path);
    assert_true(openai_write(s, path, NULL));
    return to;
}
struct outputs {
    float image[2 * 24], text[2 * 24];
};
static struct outputs outputs_of(const char *dir)
{
    static const int32_t ids[12] = {18, 3, 4, 19, 19, 19, 18, 7, 19, 19, 19, 19};
    AUTO(clip) struct clip *m = opened(dir);
    AUTO(arena) struct arena a;
    struct outputs o;
    float pixels[2 * 3 * 12 * 12];
    struct rng r = rng_at(rng_stream(1, "pixels"), 0, 0);
    arena_init(&a);
    for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
        pixels[i] = rng_normal(&r);
    struct pass p = {.batch = 2, .arena = &a};
    assert_true(clip_image_forward(m, &p, pixels, o.image, NULL, NULL, NULL));
    assert_true(clip_text_forward(m, &p, ids, 6, o.text, NULL, NULL));
    return o;
}
/* The stage's output folder, in r. */
static const char *import(struct stage_run *r, const char *dir)
{
    AUTO_JSON path = json_string(dir);
    AUTO(mem) char *text = json_dumps(path, JSON_ENCODE_ANY);
    stage_run_begin(r, &stage_model);
    stage_run_set(r, "path", text);
    if (!stage_run_go(r))
        fail_msg("%s", r->err.text);
    return r->outputs[0];
}
static void same_file(const char *a, const char *b, const char *name)
{
    AUTO(mem) char *x = in(a, name);
    AUTO(mem) char *y = in(b, name);
    AUTO(mem) char *p = NULL;
    AUTO(mem) char *q = NULL;
    size_t n, k;
    assert_true(fs_read_file(x, &p, &n, NULL) && fs_read_file(y, &q, &k, NULL));
    assert_int_equal(n, k);
    assert_memory_equal(p, q, n);
}

/* ---- OpenAI's names ---- */
static void openai_same_bits(void **state)
{
    AUTO(mem) char *dir = openai_folder("openai", hf);
    struct outputs want = outputs_of(hf), got = outputs_of(dir);
    assert_memory_equal(&got, &want, sizeof got);
}
/* Imported, it is the very Hugging Face folder, configuration included. */
static void openai_comes_out_renamed(void **state)
{
    struct stage_run r;
    AUTO(mem) char *dir = openai_folder("openai", hf);
    put(dir, "preprocessor_config.json", "{}");
    put(dir, "notes.txt", "no part of a model");
    const char *out = import(&r, dir);
    same_file(out, hf, "config.json");
    same_file(out, hf, "model.safetensors");
    same_file(out, dir, "preprocessor_config.json");
    AUTO(mem) char *notes = in(out, "notes.txt");
    assert_false(fs_exists(notes));
    stage_run_end(&r);
}
/* A vision tower alone. */
static void openai_without_text(void **state)
{
    struct stage_run r;
    AUTO(clip) struct clip *m = opened(hf);
    AUTO(mem) char *vision = folder("vision");
    m->text = NULL;
    assert_true(clip_save(m, vision, NULL));
    AUTO(mem) char *dir = openai_folder("openai-vision", vision);
    const char *out = import(&r, dir);
    same_file(out, vision, "model.safetensors");
    AUTO_JSON config = stage_run_json(&r, "model", "config.json");
    assert_string_equal(json_string_value(json_array_get(json_object_get(config, "architectures"), 0)),
                        "CLIPVisionModelWithProjection");
    AUTO(clip) struct clip *copy = opened(out);
    assert_null(copy->text);
    stage_run_end(&r);
}

/* ---- types and shards ---- */
struct saving {
    struct safetensors_writer *out[2];
    json_t *map; /* of the index; NULL: one file */
    enum dtype type;
    struct arena arena;
    int n;
};
static void save_weight(void *arg, const char *name, struct mat *w, int rank, const int64_t *shape)
{
    struct saving *s = arg;
    int64_t n = mat_size(w);
    int shard = s->map ? s->n++ % 2 : 0;
    uint16_t *h = arena_alloc(&s->arena, (size_t)n * sizeof *h);
    float *f = arena_floats(&s->arena, n);
    for (int64_t i = 0; i < n; i++) {
        f[i] = clip_rounded(w->w[i]);
        h[i] = s->type == DTYPE_F16 ? clip_half(f[i]) : clip_bfloat(f[i]);
    }
    safetensors_writer_add(s->out[shard], name, s->type, rank, shape, s->type == DTYPE_F32 ? (void *)f : h);
    if (s->map)
        json_object_set_new(s->map, name, json_string(shard ? "b.safetensors" : "a.safetensors"));
}
static char *typed_folder(const char *name, enum dtype type, bool shards)
{
    char *dir = folder(name);
    AUTO(clip) struct clip *m = opened(hf);
    AUTO_JSON config = clip_config_json(&m->config, true, type);
    AUTO_JSON index = json_pack("{s:{}}", "weight_map");
    AUTO(mem) char *first = in(dir, shards ? "a.safetensors" : "model.safetensors");
    AUTO(mem) char *second = in(dir, "b.safetensors");
    AUTO(mem) char *where = in(dir, "config.json");
    AUTO(mem) char *map = in(dir, "model.safetensors.index.json");
    struct saving s = {.out = {safetensors_writer_new(), shards ? safetensors_writer_new() : NULL},
                       .map = shards ? json_object_get(index, "weight_map") : NULL,
                       .type = type};
    arena_init(&s.arena);
    clip_each_weight(m, save_weight, &s);
    assert_true(json_write(where, config, NULL) && safetensors_write(s.out[0], first, NULL));
    assert_true(!shards || (safetensors_write(s.out[1], second, NULL) && json_write(map, index, NULL)));
    arena_done(&s.arena);
    return dir;
}
static void types_and_shards(void **state)
{
    AUTO(mem) char *full = typed_folder("f32", DTYPE_F32, false);
    AUTO(mem) char *f16 = typed_folder("f16", DTYPE_F16, true);
    AUTO(mem) char *bf16 = typed_folder("bf16", DTYPE_BF16, false);
    struct outputs want = outputs_of(full), x = outputs_of(f16), y = outputs_of(bf16);
    assert_memory_equal(&x, &want, sizeof want);
    assert_memory_equal(&y, &want, sizeof want);
}
/* OpenAI's archives are float16: so is what comes out, and its configuration says so. */
static void openai_keeps_type(void **state)
{
    struct stage_run r;
    AUTO(mem) char *f16 = typed_folder("one-f16", DTYPE_F16, false);
    AUTO(mem) char *dir = openai_folder("openai-f16", f16);
    const char *out = import(&r, dir);
    same_file(out, f16, "model.safetensors");
    same_file(out, f16, "config.json");
    stage_run_end(&r);
}
/* Hugging Face's folders stay where they are. */
static void links(void **state)
{
    struct stage_run r;
    AUTO(mem) char *dir = typed_folder("linked", DTYPE_BF16, true);
    const char *const names[] = {"config.json", "model.safetensors.index.json", "a.safetensors",
                                 "b.safetensors"};
    const char *out = import(&r, dir);
    for (int i = 0; i < 4; i++) {
        AUTO(mem) char *path = in(out, names[i]);
        struct stat st;
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
    }
    stage_run_end(&r);
}

/* ---- configurations ---- */
static struct clip_config parsed(const char *text)
{
    struct clip_config c;
    struct error err = {0};
    AUTO_JSON j = json_parse(text, strlen(text), "config.json", &err);
    if (!j || !clip_config_parse(j, "config.json", &c, &err))
        fail_msg("%s", err.text);
    return c;
}
static void configurations(void **state)
{
    struct clip_config c = parsed("{\"model_type\":\"clip\"}"); /* what is absent is B/32's */
    assert_int_equal(c.vision.width, 768);
    assert_int_equal(c.patch, 32);
    assert_int_equal(c.text.heads, 8);
    assert_int_equal(c.embed, 512);
    assert_int_equal(c.eos, 49407);
    /* ViT-L/14 at 336, in the words of its published file */
    c = parsed("{\"model_type\":\"clip\",\"projection_dim\":768,\"text_config\":{\"eos_token_id\":2,"
               "\"hidden_size\":768,\"intermediate_size\":3072,\"num_attention_heads\":12},"
               "\"text_config_dict\":null,\"vision_config\":{\"hidden_size\":1024,\"image_size\":336,"
               "\"intermediate_size\":4096,\"num_attention_heads\":16,\"num_hidden_layers\":24,"
               "\"patch_size\":14}}");
    assert_int_equal(c.vision.layers, 24);
    assert_int_equal(c.text.layers, 12);
    assert_int_equal(c.image_size / c.patch, 24);
    assert_int_equal(c.eos, 2);
    /* where the first versions of transformers kept it */
    c = parsed("{\"model_type\":\"clip\",\"text_config\":null,\"text_config_dict\":{\"hidden_size\":64},"
               "\"vision_config_dict\":{\"hidden_act\":\"gelu\",\"patch_size\":16}}");
    assert_int_equal(c.text.width, 64);
    assert_int_equal(c.patch, 16);
    assert_int_equal(c.vision.act, ACT_GELU);
}

/* ---- what is wrong ---- */
static void refused(const char *dir, const char *const *words)
{
    struct clip *m = NULL;
    struct error err = {0}, other = {0};
    char text[4096], again[4096];
    if (clip_open(dir, &m, &err))
        fail_msg("accepted '%s' (%s)", dir, words[0]);
    assert_int_equal(err.code, ERROR_INPUT);
    error_string(&err, text, sizeof text);
    for (int i = 0; words[i]; i++)
        if (!strstr(text, words[i]))
            fail_msg("'%s' does not say '%s'", text, words[i]);
    assert_null(strchr(text, '\n'));
    assert_false(clip_inspect(dir, &m, &other)); /* a look finds the same */
    assert_string_equal(text, error_string(&other, again, sizeof again));
}
#define REFUSED(dir, ...) refused(dir, (const char *const[]){__VA_ARGS__, NULL})

/* `from` with one tensor changed: left out, of another shape or type, or one more. */
enum change { LEFT_OUT, RESHAPED, INTEGERS, ADDED };
static char *changed(const char *name, const char *from, const char *tensor, enum change change)
{
    char *dir = folder(name);
    static float zeros[128 * 128];
    AUTO(safetensors) struct safetensors *s = weights(from);
    AUTO(mem) char *path = in(dir, "model.safetensors");
    AUTO(mem) char *config = in(from, "config.json");
    AUTO(mem) char *text = NULL;
    struct safetensors_writer *w = safetensors_writer_new();
    for (int i = 0; i < safetensors_count(s); i++) {
        const struct tensor *t = safetensors_at(s, i);
        if (strcmp(t->name, tensor) != 0)
            safetensors_writer_add(w, t->name, t->dtype, t->rank, t->shape, t->data);
    }
    if (change != LEFT_OUT)
        safetensors_writer_add(w, tensor, change == INTEGERS ? DTYPE_I32 : DTYPE_F32, 2,
                               (const int64_t[]){7, 5}, zeros);
    unlink(path);
    assert_true(safetensors_write(w, path, NULL));
    if (fs_exists(config)) {
        assert_true(fs_read_file(config, &text, NULL, NULL));
        put(dir, "config.json", text);
    }
    return dir;
}
static void wrong_tensors(void **state)
{
    const char *fc1 = "vision_model.encoder.layers.1.mlp.fc1.weight",
               *in_proj = "transformer.resblocks.10.attn.in_proj_weight";
    AUTO(mem) char *openai = openai_folder("openai", hf);
    char *dir[] = {changed("a", hf, fc1, LEFT_OUT),
                   changed("b", hf, fc1, RESHAPED),
                   changed("c", hf, fc1, INTEGERS),
                   changed("d", hf, "vision_model.encoder.layers.2.mlp.fc1.weight", ADDED),
                   changed("e", openai, in_proj, LEFT_OUT),
                   changed("f", openai, in_proj, RESHAPED),
                   changed("g", openai, "visual.proj", RESHAPED),
                   changed("h", openai, "text_projection", RESHAPED),
                   changed("i", openai, "visual.attnpool.c_proj.weight", ADDED),
                   changed("j", openai, "visual.positional_embedding", RESHAPED),
                   changed("k", openai, "extra", ADDED)};
    REFUSED(dir[0], dir[0], "no tensor", fc1);
    REFUSED(dir[1], dir[1], fc1, "[7, 5]", "[96, 128]", "model.safetensors");
    REFUSED(dir[2], fc1, "I32");
    REFUSED(dir[3], "layers.2.mlp.fc1.weight", "no part", "config.json", "model.safetensors");
    REFUSED(dir[4], "no tensor", in_proj);
    REFUSED(dir[5], in_proj, "[7, 5]", "[192, 64]");
    REFUSED(dir[6], "visual.proj", "[7, 5]", "[128, 5]"); /* 5 is then the width of the embedding */
    REFUSED(dir[7], "text_projection", "[7, 5]", "[64, 24]");
    REFUSED(dir[8], "ResNet");
    REFUSED(dir[9], "visual.positional_embedding", "[7, 5]", "[5, 128]");
    REFUSED(dir[10], "'extra'", "no part");
    for (size_t i = 0; i < sizeof dir / sizeof *dir; i++)
        free(dir[i]);
}
/* The file of a shard, not its folder alone. */
static void wrong_shards(void **state)
{
    AUTO(mem) char *dir = typed_folder("shards", DTYPE_F32, true);
    put(dir, "config.json", "{\"model_type\":\"clip\"}");
    REFUSED(dir, "b.safetensors", "vision_model.embeddings.class_embedding", "[128]", "[768]");
    AUTO(mem) char *second = in(dir, "b.safetensors");
    assert_int_equal(unlink(second), 0);
    REFUSED(dir, "b.safetensors");
}
static void wrong_configurations(void **state)
{
    AUTO(mem) char *dir = typed_folder("config", DTYPE_F32, false);
    put(dir, "config.json", "{\"model_type\":\"clip\",\"vision_config\":{\"layer_norm_eps\":NaN}}");
    REFUSED(dir, "config.json");
    put(dir, "config.json", "{\"model_type\":\"clip\",\"vision_config\":{\"layer_norm_eps\":1e999}}");
    REFUSED(dir, "config.json");
    put(dir, "config.json", "{\"model_type\":\"clip\",\"vision_config\":{\"hidden_size\":768.5}}");
    REFUSED(dir, "config.json", "'hidden_size'");
    AUTO(mem) char *config = in(dir, "config.json");
    assert_int_equal(unlink(config), 0);
    REFUSED(dir, dir, "config.json"); /* Hugging Face's names do not do without */
    AUTO(mem) char *openai = openai_folder("config-openai", hf);
    put(openai, "config.json", "{\"model_type\":\"clip\"}"); /* one that is there is believed */
    REFUSED(openai, "visual.class_embedding", "[128]", "[768]");
}
/* Up to three bytes of the header replaced, 400 times: one clear error, or a file that still means something.
 */
static void damaged_headers(void **state)
{
    AUTO(mem) char *dir = openai_folder("damaged", hf);
    AUTO(mem) char *path = in(dir, "model.safetensors");
    AUTO(fd) int fd = open(path, O_RDWR);
    uint64_t size;
    char good[1 << 16];
    int refusals = 0;
    assert_int_equal(pread(fd, &size, 8, 0), 8);
    size += 8;
    assert_true(size < sizeof good && pread(fd, good, size, 0) == (ssize_t)size);
    for (uint64_t i = 0; i < 400; i++) {
        struct rng r = rng_at(rng_stream(3, "damage"), i, 0);
        struct error err = {0};
        struct clip *m = NULL;
        for (uint64_t n = 1 + rng_below(&r, 3); n > 0; n--) {
            char c = "0123456789-[]{},:\"eE\0\xff Fx"[rng_below(&r, 26)];
            assert_int_equal(pwrite(fd, &c, 1, (off_t)rng_below(&r, i % 8 ? size : 8)), 1);
        }
        if (clip_inspect(dir, &m, &err)) {
            clip_free(m);
        } else {
            refusals++;
            assert_int_equal(err.code, ERROR_INPUT);
            assert_true(*err.text && !strchr(err.text, '\n'));
        }
        assert_int_equal(pwrite(fd, good, size, 0), (ssize_t)size);
    }
    assert_true(refusals > 300);
}
static void wrong_places(void **state)
{
    AUTO(mem) char *dir = folder("pickles");
    AUTO(mem) char *file = in(dir, "ViT-B-32.pt");
    AUTO(mem) char *text = in(dir, "notes.txt");
    put(dir, "notes.txt", "x");
    REFUSED(dir, "model.safetensors");
    put(dir, "ViT-B-32.pt", "PK");
    REFUSED(dir, file, "PyTorch", "docs/models.md");
    REFUSED(file, file, "PyTorch", "docs/models.md");
    REFUSED(text, text, "is no folder");
    REFUSED("/nowhere/at/all", "/nowhere/at/all");
}

static int setup(void **state)
{
    struct clip *m;
    if (!mkdtemp(root) || !clip_new(&small, 7, &m, NULL))
        return 1;
    hf = folder("hf");
    bool ok = clip_save(m, hf, NULL);
    clip_free(m);
    return !ok;
}
static int teardown(void **state)
{
    free(hf);
    return fs_remove_tree(root, NULL) ? 0 : 1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openai_same_bits),    cmocka_unit_test(openai_comes_out_renamed),
        cmocka_unit_test(openai_without_text), cmocka_unit_test(types_and_shards),
        cmocka_unit_test(openai_keeps_type),   cmocka_unit_test(links),
        cmocka_unit_test(configurations),      cmocka_unit_test(wrong_tensors),
        cmocka_unit_test(wrong_shards),        cmocka_unit_test(wrong_configurations),
        cmocka_unit_test(damaged_headers),     cmocka_unit_test(wrong_places),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
