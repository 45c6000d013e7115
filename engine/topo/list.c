/* Lists of CPUs and memory nodes as Linux writes them: "0-3,8". hwloc's parser takes "1x2" for one, and its
 * writer a microsecond for four numbers. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "engine/topo/topo_impl.h"

/* The digits at *at, which moves past them; -1 when there are none; at most `end`. */
static int read_number(const char **at, int end)
{
    int n = -1;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        n = (n < 0 ? 0 : n) * 10 + (**at - '0');
        if (n > end)
            n = end;
    }
    return n;
}

bool list_read(const char *text, const char *what, int end, void (*see)(void *arg, int first, int last),
               void *arg, struct error *err)
{
    const char *at = text;
    do {
        int first = read_number(&at, end), last = first;
        if (*at == '-') {
            at++;
            last = read_number(&at, end);
        }
        if (first < 0 || last < first || (*at && *at != ','))
            return error_set(err, NULL, ERROR_INPUT, "'%s' is no list of %ss such as '0-3,8'", text, what);
        if (last >= end)
            return error_set(err, NULL, ERROR_INPUT, "'%s' has %s numbers of %d and more", text, what, end);
        see(arg, first, last);
    } while (*at++ == ',');
    return true;
}

static char *put_number(char *end, int n)
{
    do
        *--end = (char)('0' + n % 10);
    while (n /= 10);
    return end;
}

char *list_text(hwloc_const_bitmap_t set)
{
    AUTO(buf) struct buf out = {0};
    for (int first = hwloc_bitmap_first(set), last; first >= 0; first = hwloc_bitmap_next(set, last)) {
        char text[32], *const end = text + sizeof text;
        last = hwloc_bitmap_next_unset(set, first) - 1;
        char *at = put_number(end, last); /* from its end */
        if (last > first) {
            *--at = '-';
            at = put_number(at, first);
        }
        if (out.len)
            *--at = ',';
        buf_add(&out, at, (size_t)(end - at));
    }
    return buf_take(&out);
}
