/* Texts on a terminal: cut by the columns that characters take, and what a frame writes. */
#include "engine/cli/screen.h"
#include "tests/test.h"
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void check_cut(const char *text, int columns, const char *expected, int width)
{
    struct buf out = {0};
    assert_int_equal(screen_cut(text, columns, &out), width);
    assert_string_equal(buf_str(&out), expected);
    buf_done(&out);
}

static void test_cut(void **state)
{
    check_cut("expert[pets]", 80, "expert[pets]", 12);
    check_cut("expert[pets]", 6, "expert", 6);
    check_cut("", 5, "", 0);
    check_cut("caf\xc3\xa9s", 4, "caf\xc3\xa9", 4);                           /* two bytes, one column */
    check_cut("\xe6\x95\xb0\xe6\x8d\xae!", 4, "\xe6\x95\xb0\xe6\x8d\xae", 4); /* two columns each */
    check_cut("\xe6\x95\xb0\xe6\x8d\xae!", 3, "\xe6\x95\xb0", 2);             /* no half character */
    check_cut("e\xcc\x81x", 2, "e\xcc\x81x", 2);                              /* a combining accent */
    check_cut("a\033[31mb\n\tc\177", 80, "a[31mbc", 7);                       /* nothing to obey */
    check_cut("a\xff\xc3z", 80, "az", 2);                                     /* no UTF-8 */
    assert_int_equal(screen_width("\xe6\x95\xb0z"), 3);
}

/* What is read back from the pipe that stands for a terminal of 80 x 24. */
static const char *drawn(int fd, char *out, size_t size)
{
    ssize_t n = read(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    return out;
}

static void test_frames(void **state)
{
    int fds[2];
    char out[8192];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    struct screen s;
    screen_init(&s, fds[1]);
    const char *line[40] = {"first", "second"};
    buf_puts(&s.above, "event\n");
    screen_draw(&s, line, 2);
    assert_string_equal(drawn(fds[0], out, sizeof out), "event\nfirst\nsecond\n");
    screen_draw(&s, line, 1); /* two lines up, one line over the old one, the rest is erased */
    assert_string_equal(drawn(fds[0], out, sizeof out), "\033[2A\rfirst\033[K\n\033[J");
    buf_puts(&s.above, "event\n"); /* may be wrapped: onto rows that were erased */
    screen_draw(&s, line, 1);
    assert_string_equal(drawn(fds[0], out, sizeof out), "\033[1A\r\033[Jevent\nfirst\033[K\n\033[J");
    s.drawn_columns = 40; /* the terminal was resized: its rows are laid out anew */
    screen_draw(&s, line, 1);
    assert_string_equal(drawn(fds[0], out, sizeof out), "\033[1A\r\033[Jfirst\033[K\n\033[J");
    raise(SIGCONT); /* others wrote meanwhile: nothing of theirs is drawn over */
    screen_draw(&s, line, 1);
    assert_string_equal(drawn(fds[0], out, sizeof out), "first\n");
    for (int i = 0; i < 40; i++)
        line[i] = i == 39 ? "last" : "x";
    screen_draw(&s, line, 40); /* higher than the terminal: the last line stays, two rows are left */
    drawn(fds[0], out, sizeof out);
    int lines = 0;
    for (const char *c = out; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 22);
    assert_non_null(strstr(out, "x\033[K\nlast\033[K\n"));
    screen_done(&s); /* erases */
    assert_string_equal(drawn(fds[0], out, sizeof out), "\033[22A\r\033[J");
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut), cmocka_unit_test(test_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
