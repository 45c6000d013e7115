/* References by the names of a matrix's axes. */
#include "tests/unit/spec_folder.h"

static const struct spec_options plain = {.n_set = 0};
static const char matrix[] =
    "experiment: e\nstages:\n"
    "  d: {matrix: {seed: [0, 1], domain: [pets, cars], exclude: [{seed: 1, domain: cars}]}, uses: source}\n"
    "  e: {matrix: {lr: ['lr=1', 'lr=2', '2'], k: [1]}, uses: source}\n"
    "  g: {foreach: [p, 'x=y'], uses: source}\n  long: {matrix: {n: [1, 2, 3, 4, 5, 6, 7]}, uses: source}\n";

static struct spec *read_with(const char *line, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_printf(&text, "%s%s", matrix, line);
    folder_write("main.yaml", buf_str(&text));
    return folder_read(&plain, want);
}

static void chosen(const char *in, const char *want)
{
    AUTO(buf) struct buf line = {0}, got = {0};
    buf_printf(&line, "  l: {foreach: [pets, cars], uses: list, in: {all: %s}}\n", in);
    struct spec *s = read_with(buf_str(&line), "");
    assert_non_null(s);
    const struct task_inputs *all = &spec_find(s, "l[cars]")->inputs[0];
    for (int i = 0; i < all->n; i++)
        buf_printf(&got, "%s%s", i ? " " : "", all->ref[i].task->name);
    spec_free(s);
    assert_string_equal(buf_str(&got), want);
}

static void named(void **state)
{
    chosen("'d[seed=0]'", "d[0,pets] d[0,cars]");
    chosen("'d[domain=pets]'", "d[0,pets] d[1,pets]");
    chosen("'d[domain=pets,seed=1].images'", "d[1,pets]");
    chosen("['d[seed=*,domain=${item}]', 'd[ domain = pets , seed=* ]']", "d[0,cars] d[0,pets] d[1,pets]");
    chosen("'d[seed=*]'", "d[0,pets] d[0,cars] d[1,pets]");
    /* coordinates with a '=' of their own */
    chosen("['e[lr=2,1]', 'e[lr=1,*]', 'e[lr=2]', 'e[lr=lr=2]']", "e[lr=2,1] e[lr=1,1] e[2,1] e[lr=2,1]");
    chosen("'g[x=y]'", "g[x=y]");
}

static void wrong(void **state)
{
    static const struct {
        const char *in, *want;
    } row[] = {
        {"'d[domian=pets]'", "'d' has no axis 'domian': there is seed, domain; did you mean 'domain'?"},
        {"'d[x=pets]'", "'d' has no axis 'x': there is seed, domain"},
        {"'d[domain=pests]'",
         "axis 'domain' of 'd' has no 'pests': there is pets, cars; did you mean 'pets'?"},
        {"'long[n=80]'", "axis 'n' of 'long' has no '80': there is 1, 2, 3, 4, 5, 6, ..."},
        {"'d[seed=0,seed=1]'", "axis 'seed' is named twice"},
        {"'d[seed=0,pets]'", "name all coordinates of 'd' or none: 'pets' has no 'AXIS='"},
        {"'d[domain=]'", "axis 'domain' of 'd' has no '': there is pets, cars"},
        {"'d[=]'", "'d' has no axis '': there is seed, domain"},
        {"'d[seed=1,domain=cars]'",
         "'d[seed=1,domain=cars]' matches no task: there is d[0,pets], d[0,cars], d[1,pets]"},
        {"'g[item=p]'", "'g[item=p]' matches no task: there is g[p], g[x=y]"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(buf) struct buf line = {0}, want = {0};
        buf_printf(&line, "  l: {uses: list, in: {all: %s}}\n", row[i].in);
        buf_printf(&want, "main.yaml:7:29 %s\n", row[i].want);
        assert_null(read_with(buf_str(&line), buf_str(&want)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(named), cmocka_unit_test(wrong)};
    return cmocka_run_group_tests(tests, folder_enter, folder_leave);
}
