/* What a task computes, as text, and the digest of that text. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "engine/spec/spec.h"
#include <stdlib.h>
#include <string.h>

static int by_port(const void *a, const void *b)
{
    return strcmp((*(const struct port *const *)a)->name, (*(const struct port *const *)b)->name);
}

static int by_param(const void *a, const void *b)
{
    return strcmp((*(const struct param *const *)a)->name, (*(const struct param *const *)b)->name);
}

/* "import NAME = DIGEST" for each path that was given, in order of names. */
static bool add_imports(const struct task *t, const struct key_source *src, struct buf *out,
                        struct error *err)
{
    size_t n = 0, cap = 0;
    AUTO(mem) const struct param **row = NULL;
    for (const struct param *r = t->stage->params; r && r->name; r++)
        if (r->flags & PARAM_IMPORT) {
            row = xgrow(row, &cap, n + 1, sizeof *row);
            row[n++] = r;
        }
    if (n)
        qsort(row, n, sizeof *row, by_param);
    for (size_t i = 0; i < n; i++) {
        const char *path = *(const char *const *)((const char *)t->params + row[i]->offset);
        if (!path || !*path)
            continue;
        struct digest d;
        char hex[DIGEST_HEX];
        if (!src->import(src->arg, path, &d, err))
            return err && err->code ? error_context(err, "task '%s', parameter '%s'", t->name, row[i]->name)
                                    : false;
        buf_printf(out, "import %s = %s\n", row[i]->name, digest_hex(&d, hex));
    }
    return true;
}

static void add_line(const char *what, const char *port, int i, const struct digest *d, struct buf *out)
{
    char hex[DIGEST_HEX];
    buf_puts(out, what);
    buf_putc(out, ' ');
    buf_puts(out, port);
    i == 0 ? buf_puts(out, "[0] = ") : buf_printf(out, "[%d] = ", i);
    buf_puts(out, digest_hex(d, hex));
    buf_putc(out, '\n');
}

static bool add_input(const struct task_ref *r, const char *port, int i, const struct key_source *src,
                      struct buf *out)
{
    struct digest d;
    if (!src->output(src->arg, r->task, r->output, &d))
        return false;
    add_line("input", port, i, &d, out);
    if (r->output_also < 0)
        return true;
    if (!src->output(src->arg, r->task, r->output_also, &d))
        return false;
    add_line("also", port, i, &d, out);
    return true;
}

/* "input PORT[i] = DIGEST", and "also PORT[i] = DIGEST" where the port takes a second artifact; ports by
 * name. */
static bool add_inputs(const struct task *t, const struct key_source *src, struct buf *out)
{
    size_t n = (size_t)stage_port_count(t->stage->inputs);
    AUTO(mem) const struct port **port = xcalloc(n + 1, sizeof *port);
    for (size_t i = 0; i < n; i++)
        port[i] = &t->stage->inputs[i];
    if (n > 1)
        qsort(port, n, sizeof *port, by_port);
    for (size_t i = 0; i < n; i++) {
        const struct task_inputs *in = &t->inputs[port[i] - t->stage->inputs];
        for (int k = 0; k < in->n; k++)
            if (!add_input(&in->ref[k], port[i]->name, k, src, out))
                return false;
    }
    return true;
}

static bool has_imports(const struct stage *s)
{
    for (const struct param *r = s->params; r && r->name; r++)
        if (r->flags & PARAM_IMPORT)
            return true;
    return false;
}

bool task_key(const struct task *t, const struct key_source *src, struct digest *ret, char **ret_text,
              struct error *err)
{
    AUTO(buf) struct buf b = {0};
    if (err)
        err->code = ERROR_NONE;
    buf_printf(&b, "weft-key 1\nstage %s %d\n", t->stage->name, t->stage->version);
    param_canonical(t->stage->params, t->params, &b);
    if (has_imports(t->stage)) {
        /* inputs first: an import may be expensive to read, and is useless while an input is not known */
        AUTO(buf) struct buf inputs = {0};
        if (!add_inputs(t, src, &inputs) || !add_imports(t, src, &b, err))
            return false;
        buf_puts(&b, buf_str(&inputs));
    } else if (!add_inputs(t, src, &b)) {
        return false;
    }
    hash_bytes(b.data, b.len, ret);
    *ret_text = buf_take(&b);
    return true;
}
