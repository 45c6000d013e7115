/* A pipeline with recorded times on a machine of two packages, eight memory nodes and 128 cores: how near the
 * schedule comes to what no schedule can be shorter than, with first in, first out at fixed widths beside it.
 * tests/sched/pipeline.tsv says how it was recorded. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/sched/simulate.h"
#include "tests/test.h"
#include <stdlib.h>
#include <string.h>

enum { TASKS = 1000, EDGES = 10000 };
#define RECORDED "tests/sched/pipeline.tsv"
#define WITHIN   1.10

struct pipeline {
    struct simulate_task task[TASKS];
    struct simulate_edge edge[EDGES];
    char *name[TASKS];
    int n, n_edges;
};

static int find(const struct pipeline *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->name[i], name) == 0)
            return i;
    fail_msg("'%s' is needed before it stands in " RECORDED, name);
    return -1;
}

/* TASK, seconds that no second core shortens, core-seconds that all share, most cores, what it needs. */
static void add(struct pipeline *p, char *line)
{
    char *rest = NULL, *more = NULL, *field[5];
    for (int i = 0; i < 5; i++)
        field[i] = strtok_r(i ? NULL : line, "\t", &rest);
    assert_non_null(field[3]);
    assert_true(p->n < TASKS);
    p->name[p->n] = field[0];
    p->task[p->n] = (struct simulate_task){.wanted = true,
                                           .ask = {.work = {strtod(field[1], NULL), strtod(field[2], NULL)},
                                                   .cores_max = (int)strtol(field[3], NULL, 10)}};
    for (char *need = field[4] ? strtok_r(field[4], " ", &more) : NULL; need;
         need = strtok_r(NULL, " ", &more)) {
        assert_true(p->n_edges < EDGES);
        p->edge[p->n_edges++] = (struct simulate_edge){find(p, need), p->n};
    }
    p->n++;
}

static char *load(struct pipeline *p)
{
    char *text, *rest = NULL;
    size_t n;
    struct error err = {0};
    if (!fs_read_file(RECORDED, &text, &n, &err))
        fail_msg("%s", err.text);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (*line != '#')
            add(p, line);
    assert_true(p->n > 100);
    return text;
}

static void show(const char *how, const struct simulate *s, double bound)
{
    print_message("%-28s %8.2f s, %5.1f %% above the bound, %5.1f %% of the cores busy\n", how, s->makespan,
                  100 * (s->makespan / bound - 1), 100 * s->utilisation);
}

static void near_the_bound(bool imported)
{
    AUTO(mem) struct pipeline *p = xcalloc(1, sizeof *p);
    AUTO(mem) char *text = load(p);
    for (int i = 0; imported && i < p->n; i++)
        if (strncmp(p->name[i], "seed[", 5) == 0)
            p->task[i].ask.work = (struct work){.serial = 0.01};
    struct machine m;
    struct error err = {0};
    const struct machine_options o = {.topo.source = "pack:2 numa:4 l3:2 core:8"};
    if (!machine_open(&o, &m, &err))
        fail_msg("%s", err.text);
    struct simulate s, fifo;
    simulate(p->task, p->n, p->edge, p->n_edges, &m, &s);
    double bound = s.path_bound > s.work_bound ? s.path_bound : s.work_bound;
    print_message("%d tasks; longest path at best widths %.2f s, work over all cores %.2f s\n", p->n,
                  s.path_bound, s.work_bound);
    show("weft", &s, bound);
    for (int width = 1; width <= 128; width *= 4) {
        struct simulate_task *task = xcalloc((size_t)p->n, sizeof *task);
        AUTO(mem) char *how = xprintf("first in, first out, %d core%s", width, width == 1 ? "" : "s");
        memcpy(task, p->task, (size_t)p->n * sizeof *task);
        simulate_fifo(task, p->n, p->edge, p->n_edges, &m, width, &fifo);
        show(how, &fifo, bound);
        assert_true(s.makespan <= fifo.makespan + 1e-9);
        simulate_done(task, p->n, &fifo);
        free(task);
    }
    assert_true(s.makespan <= WITHIN * bound);
    simulate_done(p->task, p->n, &s);
    machine_done(&m);
}

static void as_recorded(void **state)
{
    near_the_bound(false);
}

/* As in the paper's experiments, whose seed models are not trained but imported. */
static void with_models_imported(void **state)
{
    near_the_bound(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_recorded), cmocka_unit_test(with_models_imported)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
