#include "engine/exec/words.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <string.h>

/* One word from *at, which moves behind it; false: a quote has no end. */
static bool take_word(const char **at, struct buf *word)
{
    char quote = 0;
    for (; **at && (quote || !strchr(" \t\n", **at)); ++*at) {
        if (quote ? **at == quote : **at == '\'' || **at == '"')
            quote = quote ? 0 : **at;
        else if (**at == '\\' && quote != '\'' && (*at)[1])
            buf_putc(word, *++*at);
        else
            buf_putc(word, **at);
    }
    return !quote;
}

bool words_split(const char *text, struct arena *a, const char *const **ret, struct error *err)
{
    size_t n = 0, cap = 0;
    AUTO(mem) const char **list = NULL;
    for (const char *at = text; *(at += strspn(at, " \t\n"));) {
        AUTO(buf) struct buf word = {0};
        if (!take_word(&at, &word))
            return error_set(err, NULL, ERROR_INPUT, "a quote has no end in: %s", text);
        list = xgrow(list, &cap, n + 1, sizeof *list);
        list[n++] = arena_strdup(a, buf_str(&word));
    }
    if (n == 0)
        return error_set(err, NULL, ERROR_INPUT, "there is no command");
    const char **all = arena_alloc(a, (n + 1) * sizeof *all);
    memcpy(all, list, n * sizeof *list);
    *ret = all;
    return true;
}

static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
    return *word && word[strspn(word, plain)] == '\0';
}

char *words_quote(const char *const *word, struct arena *a)
{
    AUTO(buf) struct buf out = {0};
    for (; *word; word++) {
        if (out.len)
            buf_putc(&out, ' ');
        if (is_plain(*word)) {
            buf_puts(&out, *word);
            continue;
        }
        buf_putc(&out, '\'');
        for (const char *c = *word; *c; c++)
            *c == '\'' ? buf_puts(&out, "'\\''") : buf_putc(&out, *c);
        buf_putc(&out, '\'');
    }
    return arena_strdup(a, buf_str(&out));
}
