#include "tests/golden/oracle.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "stages/model/clip.h"
#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <sys/stat.h>

static void die(const struct oracle_case *c, const char *what, const char *name)
{
    printf("%s: %s '%s'\n", c->name, what, name);
    exit(1);
}
void oracle_fail(struct oracle_case *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("FAIL %s: ", c->name);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    c->failed++;
}
bool oracle_ok(struct oracle_case *c, bool ok, const struct error *err)
{
    char text[4096];
    if (!ok)
        oracle_fail(c, "%s", error_string(err, text, sizeof text));
    return ok;
}

/* ---- finding cases ---- */
struct found {
    char **dir;
    size_t n, cap;
};
static void scan(const char *dir, struct found *f)
{
    char *file = xprintf("%s/case.json", dir);
    if (fs_exists(file)) {
        f->dir = xgrow(f->dir, &f->cap, f->n + 1, sizeof *f->dir);
        f->dir[f->n++] = xstrdup(dir);
    }
    free(file);
    struct dirent **entry;
    int n = scandir(dir, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char *sub = xprintf("%s/%s", dir, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && fs_is_dir(sub))
            scan(sub, f);
        free(sub);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}
static bool is_kind(const char *name, const char *kind)
{
    size_t n = strlen(kind);
    return !strncmp(name, kind, n) && (name[n] == 0 || name[n] == '/');
}
bool oracle_is_clip(const struct oracle_case *c)
{
    AUTO(mem) char *path = xprintf("%s/%s", c->dir, json_string_or(c->json, "config", "config.json"));
    AUTO_JSON config = json_read(path, NULL);
    return config && !strcmp(json_string_or(config, "model_type", ""), "clip");
}

/* ---- one case ---- */
static bool link_file(struct oracle_case *c, const char *name, const char *as, struct error *err)
{
    AUTO(mem) char *to = xprintf("%s/%s", c->model, as);
    AUTO(mem) char *from = realpath(oracle_path(c, name), NULL);
    return (from && !symlink(from, to)) || error_errno(err, "cannot link '%s' to '%s'", to, name);
}
static bool link_shards(struct oracle_case *c, const char *index, struct error *err)
{
    AUTO_JSON j = json_read(oracle_path(c, index), err);
    AUTO_JSON linked = json_object();
    const char *tensor, *shard;
    json_t *v;
    json_object_foreach(json_object_get(j, "weight_map"), tensor, v)
    {
        shard = json_string_value(v);
        if (!shard || json_object_get(linked, shard))
            continue;
        if (!link_file(c, shard, shard, err))
            return false;
        json_object_set_new(linked, shard, json_true());
    }
    return j != NULL;
}
/* Under the names that a Hugging Face folder has. */
static bool link_model(struct oracle_case *c, struct error *err)
{
    char folder[] = "/tmp/weft-oracle-XXXXXX";
    if (!mkdtemp(folder))
        return error_errno(err, "cannot make a folder in /tmp");
    c->model = xstrdup(folder);
    const char *model = json_string_or(c->json, "model", "model.safetensors");
    const char *end = strstr(model, ".index.json");
    return (!end || link_shards(c, model, err)) &&
           link_file(c, model, end ? "model.safetensors.index.json" : "model.safetensors", err) &&
           link_file(c, json_string_or(c->json, "config", "config.json"), "config.json", err);
}
bool oracle_clip(struct oracle_case *c, struct clip **ret)
{
    struct error err = {0};
    bool ok = c->model || link_model(c, &err);
    return oracle_ok(c, ok && clip_open(c->model, ret, &err), &err);
}
static bool open_tensors(struct oracle_case *c, const char *part, struct safetensors **ret, struct error *err)
{
    const json_t *o = json_object_get(c->json, part);
    const char *file = json_is_object(o) ? json_string_or(o, "file", NULL) : NULL;
    return !file || safetensors_open(oracle_path(c, file), ret, err);
}
/* name: of a case that does not say its own. */
static bool case_open(struct oracle_case *c, const char *dir, const char *name, struct error *err)
{
    *c = (struct oracle_case){.dir = dir, .name = name};
    arena_init(&c->arena);
    c->seen = json_object();
    c->json = json_read(oracle_path(c, "case.json"), err);
    if (!c->json)
        return false;
    c->name = json_string_or(c->json, "case", name);
    return true;
}
static void case_done(struct oracle_case *c)
{
    if (c->model)
        fs_remove_tree(c->model, NULL);
    free(c->model);
    safetensors_close(c->inputs);
    safetensors_close(c->expected);
    json_decref(c->json);
    json_decref(c->seen);
    arena_done(&c->arena);
}
static json_t *rules(const struct oracle_case *c)
{
    return json_object_get(json_object_get(c->json, "expected"), "tensors");
}
static void report_unseen(struct oracle_case *c)
{
    const char *name;
    json_t *v;
    json_object_foreach(rules(c), name, v) if (!json_object_get(c->seen, name))
        oracle_fail(c, "expected tensor '%s' was not checked", name);
    json_object_foreach(json_object_get(c->json, "scalars"), name, v) if (!json_object_get(c->seen, name))
        oracle_fail(c, "expected scalar '%s' was not checked", name);
}
static int run_case(const char *dir, const char *name, const char *kind,
                    bool (*wanted)(const struct oracle_case *c), void (*run)(struct oracle_case *c),
                    int *ret_failed)
{
    struct oracle_case c;
    struct error err = {0};
    int ran = 0;
    bool ok = case_open(&c, dir, name, &err);
    if (!ok || (is_kind(c.name, kind) && (!wanted || wanted(&c)))) {
        ran = 1;
        if (oracle_ok(&c,
                      ok && open_tensors(&c, "inputs", &c.inputs, &err) &&
                          open_tensors(&c, "expected", &c.expected, &err),
                      &err)) {
            run(&c);
            report_unseen(&c);
        }
        printf("%s %s: %d checked, %d skipped, %d failed\n", c.failed ? "FAIL" : "ok  ", c.name, c.checked,
               c.skipped, c.failed);
        *ret_failed += c.failed;
    }
    case_done(&c);
    return ran;
}
int oracle_main(const char *kind, bool (*wanted)(const struct oracle_case *c),
                void (*run)(struct oracle_case *c))
{
    static const char *const whole = "../shared/oracle", *const small = "tests/golden/cases";
    const char *root = getenv("WEFT_ORACLE");
    if (!root || !*root)
        root = fs_is_dir(whole) ? whole : small;
    bool complete = root == whole;
    if (!fs_is_dir(root)) {
        printf("no oracle cases: folder '%s' is absent; set WEFT_ORACLE\n", root);
        return 77;
    }
    struct found f = {0};
    scan(root, &f);
    int ran = 0, failed = 0;
    for (size_t i = 0; i < f.n; i++) {
        const char *name = f.dir[i] + strlen(root);
        ran += run_case(f.dir[i], name + strspn(name, "/"), kind, wanted, run, &failed);
        free(f.dir[i]);
    }
    free(f.dir);
    if (!ran)
        printf("%sno case of kind '%s' below '%s'\n", complete ? "FAIL " : "", kind, root);
    return !ran && !complete ? 77 : !ran || failed;
}

/* ---- access ---- */
const char *oracle_path(struct oracle_case *c, const char *rel)
{
    return arena_printf(&c->arena, "%s/%s", c->dir, rel);
}
static const struct tensor *input(const struct oracle_case *c, const char *name, int64_t *shape, int *rank)
{
    const struct tensor *t = c->inputs ? safetensors_find(c->inputs, name) : NULL;
    if (!t)
        die(c, "no input tensor", name);
    for (int i = 0; shape && i < t->rank; i++)
        shape[i] = t->shape[i];
    if (rank)
        *rank = t->rank;
    return t;
}
const float *oracle_floats(struct oracle_case *c, const char *name, int64_t *shape, int *rank)
{
    const float *x = tensor_floats(input(c, name, shape, rank), &c->arena);
    if (!x)
        die(c, "not a float tensor, or no memory for it:", name);
    return x;
}
const int64_t *oracle_ints(struct oracle_case *c, const char *name, int64_t *shape, int *rank)
{
    const int64_t *x = tensor_ints(input(c, name, shape, rank), &c->arena);
    if (!x)
        die(c, "not an integer tensor, or no memory for it:", name);
    return x;
}
const struct tensor *oracle_expected(const struct oracle_case *c, const char *name)
{
    return c->expected ? safetensors_find(c->expected, name) : NULL;
}
bool oracle_has_scalar(const struct oracle_case *c, const char *name)
{
    return json_object_get(json_object_get(c->json, "scalars"), name) != NULL;
}
double oracle_number(const struct oracle_case *c, const char *path)
{
    const json_t *v = c->json;
    char key[128];
    for (const char *p = path; v && *p;) {
        size_t n = strcspn(p, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, p);
        v = json_object_get(v, key);
        p += n + (p[n] == '.');
    }
    if (!json_is_number(v))
        die(c, "case.json has no number", path);
    return json_number_value(v);
}

/* ---- checks ---- */
static double element(const struct tensor *t, int64_t i)
{
    const char *p = (const char *)t->data + i * dtype_size(t->dtype);
    float f;
    double d;
    int64_t l;
    int32_t w;
    switch (t->dtype) {
    case DTYPE_F32:
        memcpy(&f, p, sizeof f);
        return f;
    case DTYPE_F64:
        memcpy(&d, p, sizeof d);
        return d;
    case DTYPE_I64:
        memcpy(&l, p, sizeof l);
        return (double)l;
    case DTYPE_I32:
        memcpy(&w, p, sizeof w);
        return w;
    case DTYPE_U8:
    case DTYPE_BOOL:
        return *(const unsigned char *)p;
    default:
        return NAN;
    }
}
static void mark(struct oracle_case *c, const char *name)
{
    json_object_set_new(c->seen, name, json_true());
}
/* The two values of one comparison: largest difference and largest magnitude; any NaN makes the difference
 * NaN. */
static void compare(const struct tensor *t, double (*get)(const void *, int64_t), const void *got,
                    double *ret_diff, double *ret_max)
{
    double diff = 0, max = 0;
    for (int64_t i = 0; i < t->n; i++) {
        double want = element(t, i), d = fabs(get(got, i) - want);
        diff = isnan(d) || isnan(diff) ? NAN : d > diff ? d : diff;
        max = fabs(want) > max ? fabs(want) : max;
    }
    *ret_diff = diff;
    *ret_max = max;
}
static void check(struct oracle_case *c, const char *name, double (*get)(const void *, int64_t),
                  const void *got, int64_t n, double slack)
{
    const json_t *rule = json_object_get(rules(c), name);
    const struct tensor *t = oracle_expected(c, name);
    if (!rule || !t) {
        oracle_fail(c, "the case expects no tensor '%s'", name);
        return;
    }
    mark(c, name);
    c->checked++;
    if (n != t->n) {
        oracle_fail(c, "'%s' has %lld values, expected %lld", name, (long long)n, (long long)t->n);
        return;
    }
    double diff, max;
    compare(t, get, got, &diff, &max);
    bool exact = json_bool_or(rule, "exact", false);
    double limit = json_real_or(rule, "tol", 0) * max + json_real_or(rule, "atol", 0);
    limit = exact ? 0 : slack >= 0 ? slack : limit;
    if (!(diff <= limit))
        oracle_fail(c, "'%s' differs by %.3g, allowed %.3g (largest expected magnitude %.3g)", name, diff,
                    limit, max);
    else if (getenv("WEFT_ORACLE_VERBOSE"))
        printf("     %s %s: %.3g of allowed %.3g\n", c->name, name, diff, limit);
}
static double get_float(const void *p, int64_t i)
{
    return ((const float *)p)[i];
}
static double get_double(const void *p, int64_t i)
{
    return ((const double *)p)[i];
}
static double get_int(const void *p, int64_t i)
{
    return (double)((const int64_t *)p)[i];
}
void oracle_check(struct oracle_case *c, const char *name, const float *got, int64_t n)
{
    check(c, name, get_float, got, n, -1);
}
void oracle_check_double(struct oracle_case *c, const char *name, const double *got, int64_t n)
{
    check(c, name, get_double, got, n, -1);
}
void oracle_check_ints(struct oracle_case *c, const char *name, const int64_t *got, int64_t n)
{
    check(c, name, get_int, got, n, -1);
}
void oracle_check_atol(struct oracle_case *c, const char *name, const double *got, int64_t n, double slack)
{
    check(c, name, get_double, got, n, slack);
}
void oracle_check_scalar_atol(struct oracle_case *c, const char *name, double got, double slack)
{
    const json_t *rule = json_object_get(json_object_get(c->json, "scalars"), name);
    if (!rule) {
        oracle_fail(c, "the case expects no scalar '%s'", name);
        return;
    }
    mark(c, name);
    c->checked++;
    double want = json_real_or(rule, "value", NAN);
    double limit = json_real_or(rule, "tol", 0) * fabs(want) + json_real_or(rule, "atol", 0);
    limit = slack >= 0 ? slack : limit;
    if (!(fabs(got - want) <= limit))
        oracle_fail(c, "scalar '%s' is %.9g, expected %.9g, allowed difference %.3g", name, got, want, limit);
}
void oracle_check_scalar(struct oracle_case *c, const char *name, double got)
{
    oracle_check_scalar_atol(c, name, got, -1);
}
static void skip_in(struct oracle_case *c, json_t *group, const char *prefix, int *count)
{
    const char *name;
    json_t *v;
    json_object_foreach(group, name,
                        v) if (!strncmp(name, prefix, strlen(prefix)) && !json_object_get(c->seen, name))
    {
        mark(c, name);
        ++*count;
    }
}
void oracle_skip(struct oracle_case *c, const char *prefix, const char *why)
{
    int count = 0;
    skip_in(c, rules(c), prefix, &count);
    skip_in(c, json_object_get(c->json, "scalars"), prefix, &count);
    c->skipped += count;
    printf("skip %s: %d expected values '%s*': %s\n", c->name, count, prefix, why);
}
