/* Well-formed: tags nest, entities are the five that XML knows, nothing else has & or <. */
#ifndef TESTS_UNIT_XML_CHECK_H
#define TESTS_UNIT_XML_CHECK_H
#include "tests/test.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void check_xml(const char *s)
{
    char open[16][16];
    int depth = 0;
    bool closed = false;
    for (; *s; s++) {
        if (*s == '&')
            assert_true(!strncmp(s, "&amp;", 5) || !strncmp(s, "&lt;", 4) || !strncmp(s, "&gt;", 4) ||
                        !strncmp(s, "&quot;", 6));
        assert_true((unsigned char)*s >= ' ' || *s == '\n');
        if (*s != '<')
            continue;
        bool end = s[1] == '/';
        const char *name = s + 1 + end, *stop = strchr(s, '>');
        size_t n = strcspn(name, " />\n");
        assert_non_null(stop);
        assert_true(n > 0 && n < sizeof open[0] && !closed);
        assert_null(memchr(name, '<', (size_t)(stop - name)));
        if (end) {
            assert_true(depth > 0 && strlen(open[depth - 1]) == n && !strncmp(open[depth - 1], name, n));
            closed = --depth == 0;
        } else if (stop[-1] != '/') {
            assert_true(depth < 16);
            snprintf(open[depth++], sizeof open[0], "%.*s", (int)n, name);
        }
        s = stop;
    }
    assert_true(closed && depth == 0);
}
#endif
