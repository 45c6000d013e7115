/* Scalars that are not what they look like: numbers that a double or an integer cannot hold as written, and
 * words that YAML 1.1 or another language took for booleans and numbers. */
#include "base/cleanup.h"
#include "engine/spec/spec_impl.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DIGITS_MAX 60 /* of a number that is looked at closely */

/* ---- is anything lost? ---- */

struct decimal { /* d.ddd... * 10^exp, without zeros at either end */
    char digit[DIGITS_MAX];
    int n; /* 0: zero; DIGITS_MAX: that or more */
    long exp;
};

static struct decimal decimal_of(const char *s)
{
    struct decimal d = {.n = 0};
    bool point = false;
    for (s += *s == '-' || *s == '+'; *s && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        bool leading = d.n == 0 && *s == '0';
        if (!leading && d.n < DIGITS_MAX)
            d.digit[d.n++] = *s;
        if (!leading && !point)
            d.exp++;
        if (leading && point)
            d.exp--;
    }
    if (*s)
        d.exp += strtol(s + 1, NULL, 10);
    while (d.n > 0 && d.n < DIGITS_MAX && d.digit[d.n - 1] == '0')
        d.n--;
    if (d.n == 0)
        d.exp = 0;
    return d;
}

/* Does x, printed with as many digits as the text has, read as the text? */
static bool is_kept(const char *text, double x)
{
    size_t n = strcspn(text, "eE");
    if (n <= 15 && !text[n]) /* nothing so short is lost */
        return true;
    const struct decimal want = decimal_of(text);
    char printed[DIGITS_MAX + 16];
    if (want.n == DIGITS_MAX)
        return false;
    snprintf(printed, sizeof printed, "%.*e", want.n > 0 ? want.n - 1 : 0, fabs(x));
    const struct decimal got = decimal_of(printed);
    return want.n == got.n && memcmp(want.digit, got.digit, (size_t)want.n) == 0 && want.exp == got.exp;
}

/* [-+]? digits. */
static bool is_whole(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t n = strspn(s, "0123456789");
    return n > 0 && !s[n];
}

/* A decimal number in YAML's sense, whatever its size. */
static bool is_decimal(const char *s)
{
    char *end;
    const char *digits = s + (*s == '-' || *s == '+');
    size_t n = strspn(digits, "0123456789.eE+-");
    strtod(s, &end);
    return n > 0 && !digits[n] && end != s && !*end &&
           !(digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9');
}

bool number_kept(const struct param *row, const struct yaml_node *v, struct error *err)
{
    bool number = row->type == PARAM_INT || row->type == PARAM_REAL;
    if (!number || v->kind != YAML_SCALAR || v->quoted || !is_decimal(v->text))
        return true;
    const char *s = v->text;
    errno = 0;
    if (row->type == PARAM_INT && is_whole(s)) {
        (void)strtoll(s, NULL, 10);
        if (errno == ERANGE)
            return error_set(err, NULL, ERROR_INPUT,
                             "'%s' cannot be %.200s: integers go from %" PRId64 " to %" PRId64, row->name, s,
                             INT64_MIN, INT64_MAX);
    }
    double x = strtod(s, NULL);
    if (row->type != PARAM_REAL || is_kept(s, x))
        return true;
    if (isinf(x) || x == 0)
        return error_set(err, NULL, ERROR_INPUT, "'%s' cannot be %.200s: numbers go from 4.9e-324 to 1.8e308",
                         row->name, s);
    return error_set(err, NULL, ERROR_INPUT,
                     "'%s' would lose digits: %.200s is kept as %.17g; write that, or fewer digits",
                     row->name, s, x);
}

/* ---- what was meant? ---- */

static const struct {
    const char *word, *means;
} booleans[] = {{"yes", "true"}, {"on", "true"},   {"y", "true"},  {"true", "true"},   {"1", "true"},
                {"no", "false"}, {"off", "false"}, {"n", "false"}, {"false", "false"}, {"0", "false"}};

static const char *boolean_hint(struct arena *a, const struct yaml_node *v)
{
    const char *s = v->text;
    if (v->quoted && (strcmp(s, "true") == 0 || strcmp(s, "false") == 0))
        return arena_printf(a, "in quotes it is text: write %s", s);
    for (size_t i = 0; i < sizeof booleans / sizeof *booleans; i++)
        if (strcasecmp(booleans[i].word, s) == 0)
            return arena_printf(a, "YAML 1.2 has true and false alone: write %s", booleans[i].means);
    return NULL;
}

/* "1_000" and "1,000" without what separates thousands, "1,5" with a point; NULL: no number. */
static const char *separated(struct arena *a, const char *s)
{
    char *out = arena_strdup(a, s), *to = out;
    const char *comma = strchr(s, ',');
    bool point = comma && !strchr(comma + 1, ',') && strlen(comma + 1) != 3;
    for (; *s; s++)
        if (*s == ',' && point)
            *to++ = '.';
        else if (*s != '_' && *s != ',')
            *to++ = *s;
    *to = '\0';
    return is_decimal(out) ? out : NULL;
}

/* "0x1F", "0o17", "0b11" and YAML 1.1's "017"; *ret in any case decimal. */
static bool of_other_base(const char *s, long long *ret)
{
    bool minus = *s == '-';
    s += *s == '-' || *s == '+';
    if (s[0] != '0' || !s[1])
        return false;
    char kind = s[1] | ('a' ^ 'A'), *end;
    int base = kind == 'x' ? 16 : kind == 'b' ? 2 : 8;
    const char *digits = kind == 'x' || kind == 'b' || kind == 'o' ? s + 2 : s + 1;
    errno = 0;
    *ret = strtoll(digits, &end, base) * (minus ? -1 : 1);
    return digits[0] != '-' && digits[0] != '+' && end != digits && !*end && errno == 0;
}

/* YAML 1.1's "1:30" is 90. */
static bool sexagesimal(const char *s, long long *ret)
{
    int parts = 0;
    for (*ret = 0; parts < 4; parts++) {
        size_t n = strspn(s, "0123456789");
        if (n == 0 || n > 6)
            return false;
        *ret = 60 * *ret + strtoll(s, NULL, 10);
        s += n;
        if (!*s)
            return parts > 0;
        if (*s++ != ':')
            return false;
    }
    return false;
}

static bool is_infinite(const char *s)
{
    s += *s == '-' || *s == '+';
    s += *s == '.';
    return strcasecmp(s, "inf") == 0 || strcasecmp(s, "infinity") == 0 || strcasecmp(s, "nan") == 0;
}

static const char *number_hint(struct arena *a, const struct param *row, const struct yaml_node *v)
{
    const char *s = v->text, *plain;
    long long x;
    if (v->quoted)
        return is_decimal(s) ? arena_printf(a, "in quotes it is text: write %s", s) : NULL;
    if (is_infinite(s))
        return "it has to be finite";
    if (is_whole(s) && strspn(s, "+-0") > 0 && of_other_base(s, &x)) /* 0777 */
        return arena_printf(a, "YAML 1.1 took this for octal: write %lld, or %lld", x, strtoll(s, NULL, 10));
    if (of_other_base(s, &x))
        return arena_printf(a, "numbers are decimal: write %lld", x);
    if (sexagesimal(s, &x))
        return arena_printf(a, "YAML 1.1 took this for base 60: write %lld, or a time in seconds", x);
    double d = strtod(s, NULL);
    if (row->type == PARAM_INT && is_decimal(s) && !is_whole(s) && d == floor(d) && fabs(d) < 9e15)
        return arena_printf(a, "write %.0f", d);
    if (strpbrk(s, "_,") && (plain = separated(a, s)) && (row->type == PARAM_REAL || is_whole(plain)))
        return arena_printf(a, "write %s", plain);
    return NULL;
}

static bool is_null(const struct yaml_node *v)
{
    return !v->quoted && (!*v->text || strcmp(v->text, "~") == 0 || strcmp(v->text, "null") == 0);
}

void number_explain(struct error *err, const struct param *row, const struct yaml_node *written,
                    const struct yaml_node *v)
{
    AUTO(arena) struct arena a;
    arena_init(&a);
    if (v->kind != YAML_SCALAR || strlen(v->text) > 200)
        return;
    const char *hint = NULL, *in = written->kind == YAML_SCALAR ? strstr(written->text, "${") : NULL;
    bool parts = in && (in != written->text || strchr(in, '}')[1]);
    if (is_null(v))
        hint = row->def ? "leave it out to have its default" : NULL;
    else if (row->type == PARAM_STRING && !v->quoted && !row->choices)
        hint = arena_printf(&a, "write \"%s\", in quotes it is text", v->text);
    else if (row->type == PARAM_BOOL)
        hint = boolean_hint(&a, v);
    else if (row->type != PARAM_STRING && parts && v->quoted)
        hint = "what is put together in quotes is text: put the whole number into one variable";
    else if (row->type != PARAM_STRING)
        hint = number_hint(&a, row, v);
    size_t n = strlen(err->text);
    if (hint)
        snprintf(err->text + n, sizeof err->text - n, " (%s)", hint);
}
