/* Windows: the random resized crop against torchvision's steps written down anew, its distribution, and the
 * frames that windows lie in. */
#include "stages/io/transform.h"
#include "tests/test.h"
#include <math.h>
#include <stdlib.h>

static struct rng draws(uint32_t k)
{
    return rng_at(rng_stream(3, "test.transform"), k, 1);
}

/* RandomResizedCrop.get_params(scale=(0.08, 1), ratio=(3/4, 4/3)), with our numbers for its. */
static struct image_box reference(int width, int height, struct rng *r)
{
    double area = (double)height * width, low = log(3. / 4), high = log(4. / 3);
    for (int i = 0; i < 10; i++) {
        double target = area * (0.08 + rng_uniform_double(r) * (1.0 - 0.08));
        double aspect = exp(low + rng_uniform_double(r) * (high - low));
        int w = (int)nearbyint(sqrt(target * aspect)), h = (int)nearbyint(sqrt(target / aspect));
        if (0 < w && w <= width && 0 < h && h <= height) {
            int y = (int)rng_below(r, (uint64_t)(height - h + 1));
            int x = (int)rng_below(r, (uint64_t)(width - w + 1));
            return (struct image_box){x, y, w, h};
        }
    }
    double in_ratio = (double)width / height;
    int w = width, h = height;
    if (in_ratio < 3. / 4)
        h = (int)nearbyint(w / (3. / 4));
    else if (in_ratio > 4. / 3)
        w = (int)nearbyint(h * (4. / 3));
    return (struct image_box){(width - w) / 2, (height - h) / 2, w, h};
}

static void random_resized_as_torchvision(void **state)
{
    const int size[][2] = {{500, 375}, {64, 64}, {1, 1}, {3, 2}, {40, 300}, {300, 40}, {7, 90}, {2000, 3}};
    struct transform t = transform_resized(32);
    int central = 0;
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (uint32_t k = 0; k < 500; k++) {
            struct rng a = draws(k), b = a;
            bool flip;
            struct image_box got = transform_window(&t, size[i][0], size[i][1], &a, &flip);
            struct image_box want = reference(size[i][0], size[i][1], &b);
            assert_memory_equal(&got, &want, sizeof got);
            assert_int_equal(flip, rng_uniform(&b) < .5f);
            assert_true(got.x >= 0 && got.y >= 0 && got.x + got.width <= size[i][0] &&
                        got.y + got.height <= size[i][1]);
            central += size[i][0] == 2000 && got.width == 4 && got.height == 3 && got.x == 998;
        }
    assert_in_range(central, 450, 500); /* a strip: hardly a box fits */
}

/* Area uniform over [.08, 1] where every box fits, ratio within its bounds, all sides flipped and not. */
static void random_resized_distribution(void **state)
{
    enum { N = 4000, SIDE = 400 };
    struct transform t = transform_resized(32);
    int flips = 0, third[3] = {0};
    double left = 0;
    for (uint32_t k = 0; k < N; k++) {
        struct rng r = draws(k);
        bool flip;
        struct image_box b = transform_window(&t, SIDE, SIDE, &r, &flip);
        double area = (double)b.width * b.height / (SIDE * SIDE), ratio = (double)b.width / b.height;
        assert_true(area > .078 && area <= 1);
        assert_true(ratio > .74 && ratio < 1.35);
        if (area < .56) /* above, some shapes do not fit */
            third[(int)((area - .0799) / .1601)]++;
        left += b.width == SIDE ? .5 : (double)b.x / (SIDE - b.width);
        flips += flip;
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(third[i], N * .1739 * .85, N * .1739 * 1.3);
    assert_true(fabs(left / N - .5) < .02);
    assert_in_range(flips, N * .46, N * .54);
}

static void frames(void **state)
{
    struct transform t = transform_train(224), e = transform_eval(224), r = transform_resized(224);
    int w, h;
    assert_true(transform_frame(&t, 500, 375, &w, &h, NULL));
    assert_int_equal(w, 256 * 500 / 375);
    assert_int_equal(h, 256);
    assert_true(transform_frame(&e, 375, 500, &w, &h, NULL));
    assert_int_equal(w, 224);
    assert_int_equal(h, 224 * 500 / 375);
    assert_true(transform_frame(&r, 500, 375, &w, &h, NULL));
    assert_int_equal(w, 500);
    assert_int_equal(h, 375);
    struct error err = {0};
    assert_false(transform_frame(&e, 1 << 20, 1, &w, &h, &err)); /* too large, resized */
    assert_int_equal(err.code, ERROR_INPUT);
}

static void centre_rounds_half_to_even(void **state)
{
    struct transform e = transform_eval(224);
    const int c[][2] = {{224, 0}, {225, 0}, {226, 1}, {227, 2}, {229, 2}, {231, 4}, {289, 32}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct rng r = draws(0);
        bool flip = true;
        struct image_box b = transform_window(&e, c[i][0], 224, &r, &flip);
        assert_int_equal(b.x, c[i][1]);
        assert_int_equal(b.y, 0);
        assert_false(flip);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_resized_as_torchvision),
        cmocka_unit_test(random_resized_distribution),
        cmocka_unit_test(frames),
        cmocka_unit_test(centre_rounds_half_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
