#include "base/svg.h"
#include "base/cleanup.h"
#include <stdio.h>
#include <string.h>

void svg_escape(struct buf *out, const char *s)
{
    for (; *s; s++) {
        const char *name = *s == '&'   ? "&amp;"
                           : *s == '<' ? "&lt;"
                           : *s == '>' ? "&gt;"
                           : *s == '"' ? "&quot;"
                                       : NULL;
        if (name)
            buf_puts(out, name);
        else
            buf_putc(out,
                     (unsigned char)*s < ' ' || *s == 127 ? ' ' : *s); /* XML has no control characters */
    }
}

/* Bytes of the character at s. */
static int length(const char *s)
{
    int n = 1;
    while ((s[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* Three bytes and more: mostly East Asian, which are wide. */
static double advance(const char *s)
{
    if ((unsigned char)*s >= 0xE3)
        return 12;
    return strchr("mwMW@%", *s)              ? 10.5
           : strchr("iljtf.,:;'|!() []", *s) ? 4.5
           : *s >= 'A' && *s <= 'Z'          ? 8.5
                                             : 7.2;
}

double svg_width(const char *s)
{
    double sum = 0;
    for (; *s; s += length(s))
        sum += advance(s);
    return sum;
}

/* As many characters as `most` holds, taken in turn from the start and the end. */
static void put_fitting(struct buf *out, const char *s, double most)
{
    const char *head = s, *tail = s + strlen(s);
    double used = 12; /* the ellipsis */
    for (int turn = 0; head < tail; turn++) {
        const char *last = tail - 1;
        while (last > head && (*last & 0xC0) == 0x80)
            last--;
        const char *next = turn % 2 ? last : head;
        if ((used += advance(next)) > most)
            break;
        if (turn % 2)
            tail = last;
        else
            head += length(head);
    }
    AUTO(buf) struct buf start = {0};
    buf_add(&start, s, (size_t)(head - s));
    svg_escape(out, buf_str(&start));
    buf_puts(out, "…");
    svg_escape(out, tail);
}

void svg_text(struct buf *out, double x, double y, const char *class, double most, const char *text)
{
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
    if (svg_width(text) <= most) {
        svg_escape(out, text);
    } else {
        put_fitting(out, text, most);
        buf_puts(out, "<title>");
        svg_escape(out, text);
        buf_puts(out, "</title>");
    }
    buf_puts(out, "</text>\n");
}

void svg_open(struct buf *out, double width, double height, const char *title)
{
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
               "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>",
               width, height, width, height);
    svg_escape(out, title);
    buf_puts(out, "</title>\n<style>"
                  "text{font:12px \"DejaVu Sans\",Verdana,sans-serif;fill:#222;stroke:#fff;stroke-width:3px;"
                  "stroke-linejoin:round;paint-order:stroke}"
                  ".left{text-anchor:start}.middle{text-anchor:middle}.right{text-anchor:end}"
                  ".head{text-anchor:middle;font-weight:bold}.best{font-weight:bold;fill:#000}"
                  ".title{font-size:16px;font-weight:bold}"
                  ".axis{stroke:#555;fill:none}.grid{stroke:#e4e4e4;fill:none}"
                  ".line{fill:none;stroke-linejoin:round}.none{stroke:#aaa;stroke-dasharray:4 3}"
                  ".mean{stroke:#777;stroke-dasharray:6 3;stroke-width:1.5;fill:none}"
                  "</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    svg_text(out, 20, 28, "left title", (width - 40) * 0.62, title);
}

struct svg_colour svg_colour(double x)
{
    static const unsigned char map[][3] = {{94, 201, 98},  {53, 183, 121}, {31, 158, 137}, {38, 130, 142},
                                           {49, 104, 142}, {62, 74, 137},  {72, 40, 120},  {68, 1, 84}};
    enum { LAST = sizeof map / sizeof *map - 1 };
    x = x < 0 ? 0 : x > 1 ? LAST : x * LAST;
    int i = x < LAST ? (int)x : LAST - 1, rgb[3];
    for (int k = 0; k < 3; k++)
        rgb[k] = (int)(map[i][k] + (map[i + 1][k] - map[i][k]) * (x - i) + 0.5);
    struct svg_colour c;
    snprintf(c.s, sizeof c.s, "#%02x%02x%02x", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
    return c;
}
