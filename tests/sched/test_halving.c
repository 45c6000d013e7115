#include "base/rng.h"
#include "engine/sched/halving.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

enum { TRIALS = 27, RUNGS = 4 };

static void expect(struct halving *h, int trial, int rung)
{
    int t = -1, r = -1;
    bool got = halving_next(h, &t, &r);
    assert_int_equal(got, trial >= 0);
    if (got) {
        assert_int_equal(t, trial);
        assert_int_equal(r, rung);
    }
}

/* Nine trials, three rungs, a third goes on; worked by hand. */
static void by_hand(void **state)
{
    struct halving *h = halving_new(9, 3, 1.0 / 3, false);
    expect(h, -1, 0);
    halving_done(h, 4, 0, 0.5);
    halving_done(h, 2, 0, 0.3);
    expect(h, -1, 0); /* two finished: none of them yet */
    halving_done(h, 7, 0, 0.4);
    expect(h, 4, 1);
    expect(h, -1, 0);
    halving_done(h, 0, 0, 0.9);
    halving_done(h, 1, 0, 0.1);
    expect(h, 0, 1); /* the best of five now; 4 went on too early: what ASHA pays for not waiting */
    expect(h, -1, 0);
    halving_done(h, 3, 0, 0.8);
    expect(h, 3, 1); /* of six the best two are 0 and 3 */
    expect(h, -1, 0);
    halving_done(h, 4, 1, 0.6);
    halving_done(h, 3, 1, NAN);
    expect(h, -1, 0);
    halving_done(h, 0, 1, 0.55);
    halving_done(h, 5, 0, 0.85);
    halving_done(h, 6, 0, 0.2);
    halving_done(h, 8, 0, 0.7);
    expect(h, 4, 2); /* the failed one counts among three; the highest rung promotes first */
    expect(h, 5, 1);
    expect(h, -1, 0);
    halving_done(h, 4, 2, 1);
    expect(h, -1, 0); /* the last rung leads nowhere */
    halving_free(h);
}

static void edges(void **state)
{
    struct halving *h = halving_new(2, 2, 0.5, false);
    halving_done(h, 0, 1, 9); /* not promoted into it */
    halving_done(h, 0, 5, 9);
    halving_done(h, 1, 0, 3);
    halving_done(h, 1, 0, 4); /* a second time */
    expect(h, -1, 0);
    halving_done(h, 0, 0, 3);
    expect(h, 0, 1); /* equal: the lower number */
    halving_done(h, 0, 0, 7);
    expect(h, -1, 0);
    halving_free(h);
    h = halving_new(100, 2, 0.29, true);
    for (int i = 0; i < 100; i++) {
        expect(h, -1, 0);
        halving_done(h, i, 0, i % 2 ? NAN : i);
    }
    int n = 0, t, r;
    for (; halving_next(h, &t, &r); n++)
        assert_int_equal(t, 98 - 2 * n);
    assert_int_equal(n, 29);
    halving_free(h);
    h = halving_new(3, 1, 0.5, true);
    halving_done(h, 0, 0, 1);
    expect(h, -1, 0);
    halving_free(h);
    halving_free(NULL);
}

struct world {
    struct halving *h;
    double value[RUNGS][TRIALS]; /* NAN: fails there */
    bool started[RUNGS][TRIALS], done[RUNGS][TRIALS];
    int finished[RUNGS], promoted[RUNGS];
    double keep;
    bool wait;
};

/* How many with a value finished this rung before and are better. */
static int better(const struct world *w, int trial, int rung)
{
    int n = 0;
    for (int i = 0; i < TRIALS; i++)
        if (w->done[rung][i] && !isnan(w->value[rung][i]))
            n += w->value[rung][i] > w->value[rung][trial] ||
                 (w->value[rung][i] == w->value[rung][trial] && i < trial);
    return n;
}

static void take_promotions(struct world *w)
{
    int trial, rung;
    while (halving_next(w->h, &trial, &rung)) {
        assert_true(rung > 0 && rung < RUNGS);
        assert_true(w->done[rung - 1][trial]);
        assert_false(isnan(w->value[rung - 1][trial]));
        assert_false(w->started[rung][trial]); /* never twice */
        w->started[rung][trial] = true;
        int may = (int)floor(w->finished[rung - 1] * w->keep + 1e-9);
        assert_true(better(w, trial, rung - 1) < may);
        w->promoted[rung]++;
        if (w->wait)
            assert_true(w->promoted[rung] <= may);
    }
}

/* Completions in random order, promotions taken at random moments, until nothing is left. */
static void run(struct world *w, struct rng *r)
{
    w->h = halving_new(TRIALS, RUNGS, w->keep, w->wait);
    for (int i = 0; i < TRIALS; i++)
        w->started[0][i] = true;
    for (;;) {
        int open[RUNGS * TRIALS], n = 0;
        for (int k = 0; k < RUNGS * TRIALS; k++)
            if (w->started[k / TRIALS][k % TRIALS] && !w->done[k / TRIALS][k % TRIALS])
                open[n++] = k;
        if (n == 0)
            break;
        int k = open[rng_below(r, (uint64_t)n)], rung = k / TRIALS, trial = k % TRIALS;
        halving_done(w->h, trial, rung, w->value[rung][trial]);
        w->done[rung][trial] = true;
        w->finished[rung]++;
        if (n == 1 || rng_below(r, 3) == 0)
            take_promotions(w);
    }
    int t, rung;
    assert_false(halving_next(w->h, &t, &rung));
    halving_free(w->h);
}

/* Whatever comes, in the end the best floor(n * keep) of a rung have gone on. */
static void best_went_on(const struct world *w)
{
    for (int k = 0; k + 1 < RUNGS; k++)
        for (int i = 0; i < TRIALS; i++)
            if (w->done[k][i] && !isnan(w->value[k][i]) &&
                better(w, i, k) < (int)floor(w->finished[k] * w->keep + 1e-9))
                assert_true(w->done[k + 1][i]);
}

/* Plain successive halving by its definition. */
static void plain(const struct world *w, bool in[RUNGS][TRIALS])
{
    memset(in, 0, sizeof(bool[RUNGS][TRIALS]));
    for (int i = 0; i < TRIALS; i++)
        in[0][i] = true;
    for (int k = 0; k + 1 < RUNGS; k++) {
        int n = 0;
        for (int i = 0; i < TRIALS; i++)
            n += in[k][i];
        for (int go = (int)floor(n * w->keep + 1e-9); go > 0; go--) {
            int best = -1;
            for (int i = 0; i < TRIALS; i++)
                if (in[k][i] && !in[k + 1][i] && !isnan(w->value[k][i]) &&
                    (best < 0 || w->value[k][i] > w->value[k][best]))
                    best = i;
            if (best >= 0)
                in[k + 1][best] = true;
        }
    }
}

static void random_orders(void **state)
{
    static const double keep[] = {1.0 / 2, 1.0 / 3, 1.0 / 4, 0.7, 1};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct rng r = rng_at(rng_stream(seed, "halving"), 0, 0);
        struct world w = {.keep = keep[seed % 5], .wait = seed % 2};
        for (int k = 0; k < RUNGS; k++)
            for (int i = 0; i < TRIALS; i++)
                w.value[k][i] = rng_below(&r, 8) == 0 ? NAN : (double)rng_below(&r, 20);
        run(&w, &r);
        best_went_on(&w);
        if (!w.wait)
            continue;
        bool in[RUNGS][TRIALS];
        plain(&w, in);
        assert_memory_equal(in, w.started, sizeof in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(edges),
                                       cmocka_unit_test(random_orders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
