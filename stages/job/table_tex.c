/* A table as LaTeX in the layout of the paper's: booktabs, the best of a column bold, the second underlined.
 */
#include "stages/job/table.h"
#include <string.h>

/* What TeX takes for a command, and the signs that tables use. */
static const struct sign {
    const char *from, *to;
} signs[] = {{"&", "\\&"},
             {"%", "\\%"},
             {"$", "\\$"},
             {"#", "\\#"},
             {"_", "\\_"},
             {"{", "\\{"},
             {"}", "\\}"},
             {"~", "\\textasciitilde{}"},
             {"^", "\\textasciicircum{}"},
             {"\\", "\\textbackslash{}"},
             {"\n", " "},
             {"✓", "\\checkmark"},
             {"✗", "$\\times$"},
             {"×", "$\\times$"},
             {"–", "--"}};

static void put_text(struct buf *b, const char *text)
{
    while (*text) {
        size_t i = 0, n = sizeof signs / sizeof *signs;
        while (i < n && strncmp(text, signs[i].from, strlen(signs[i].from)) != 0)
            i++;
        if (i < n)
            buf_puts(b, signs[i].to);
        else
            buf_putc(b, *text);
        text += i < n ? strlen(signs[i].from) : 1;
    }
}
static void put_cell(const struct table *t, int r, int k, struct buf *b)
{
    const struct cell *c = table_cell(t, t->row[r].system, t->column[k].domain);
    int n = (int)t->p->decimals, rank = table_rank(t, r, k);
    if (c->runs == 0) {
        buf_puts(b, "--");
        return;
    }
    buf_printf(b, rank == 1 ? "\\textbf{%.*f}" : rank == 2 ? "\\underline{%.*f}" : "%.*f", n, 100 * c->mean);
    if (!strcmp(t->p->cells, "interval") && c->sure)
        buf_printf(b, " {\\scriptsize [%.*f, %.*f]}", n, 100 * c->at.low, n, 100 * c->at.high);
    else if (!strcmp(t->p->cells, "spread") && c->runs > 1)
        buf_printf(b, " {\\scriptsize $\\pm$ %.*f}", n, 100 * c->sd);
}
/* Labels that a row shares with the one above are left out, as far as all before them are shared too. */
static void put_labels(const struct table *t, int r, struct buf *b)
{
    bool same = r > 0 && t->heads > 1;
    for (int h = 0; h < t->heads; h++) {
        same = same && h + 1 < t->heads && !strcmp(t->row[r].label[h], t->row[r - 1].label[h]);
        buf_puts(b, h ? " & " : "");
        if (!same)
            put_text(b, t->row[r].label[h]);
    }
}
/* A line where groups or those that stand apart end. */
static bool has_line_above(const struct table *t, int r)
{
    return r > 0 && (t->row[r].apart != t->row[r - 1].apart ||
                     (t->heads > 1 && strcmp(t->row[r].label[0], t->row[r - 1].label[0]) != 0));
}
void table_tex(const struct table *t, struct buf *out)
{
    buf_puts(out, "% \\usepackage{booktabs,amssymb}\n\\begin{table}\n\\centering\n");
    if (*t->p->title) {
        buf_puts(out, "\\caption{");
        put_text(out, t->p->title);
        buf_puts(out, "}\n");
    }
    buf_puts(out, "\\begin{tabular}{");
    for (int h = 0; h < t->heads; h++)
        buf_putc(out, 'l');
    for (int k = 0; k < t->columns; k++)
        buf_putc(out, 'c');
    buf_puts(out, "}\n\\toprule\n");
    for (int h = 0; h < t->heads; h++) {
        buf_puts(out, h ? " & " : "");
        put_text(out, t->head[h]);
    }
    for (int k = 0; k < t->columns; k++) {
        buf_puts(out, " & ");
        put_text(out, t->column[k].label);
    }
    buf_puts(out, " \\\\\n\\midrule\n");
    for (int r = 0; r < t->rows; r++) {
        buf_puts(out, has_line_above(t, r) ? "\\midrule\n" : "");
        put_labels(t, r, out);
        for (int k = 0; k < t->columns; k++) {
            buf_puts(out, " & ");
            put_cell(t, r, k, out);
        }
        buf_puts(out, " \\\\\n");
    }
    buf_puts(out, "\\bottomrule\n\\end{tabular}\n\\end{table}\n");
}
