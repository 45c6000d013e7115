#include "base/origin.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 1024
#define PART_MAX       255
#define HUB_NAME_MAX   96
#define FORM           "it is hf://[datasets/]OWNER/NAME[@REVISION][/FILE]"

bool origin_is_url(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return n > 0 && strncmp(text + n, "://", 3) == 0;
}

bool origin_is_commit(const char *revision)
{
    return strlen(revision) == 40 && strspn(revision, "0123456789abcdef") == 40;
}

bool origin_name_ok(const char *name)
{
    if (!*name || strlen(name) > NAME_MAX_BYTES)
        return false;
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127 || *c == '\\')
            return false;
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > PART_MAX || (n == 1 && part[0] == '.') || (n == 2 && !strncmp(part, "..", 2)))
            return false;
        part += n;
        if (!*part)
            return true;
    }
}

void origin_done(struct origin *o)
{
    free(o->url);
    free(o->owner);
    free(o->name);
    free(o->revision);
    free(o->file);
    *o = (struct origin){0};
}

/* ---- a file ---- */

static bool parse_digest(const char *fragment, struct origin *o, struct error *err)
{
    static const char want[] = "sha256=";
    AUTO(mem) char *hex = xstrdup(fragment);
    for (char *c = hex; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (strncmp(hex, want, strlen(want)) != 0 || !digest_parse(hex + strlen(want), &o->digest))
        return error_set(err, NULL, ERROR_INPUT,
                         "what follows '#' must be sha256= and 64 hexadecimal digits, not '%s'", fragment);
    return o->has_digest = true;
}

static bool parse_file(const char *text, struct origin *o, struct error *err)
{
    const char *host = strstr(text, "://") + 3;
    size_t authority = strcspn(host, "/?#");
    const char *hash = strchr(text, '#');
    o->kind = ORIGIN_FILE;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 127)
            return error_set(err, NULL, ERROR_INPUT, "a URL has no blanks and no control characters");
    if (memchr(host, '@', authority))
        return error_set(err, NULL, ERROR_INPUT,
                         "user and password do not belong into a URL that is kept; ~/.netrc is for them");
    if (!authority || host[0] == ':')
        return error_set(err, NULL, ERROR_INPUT, "the URL names no host");
    o->url = hash ? xstrndup(text, (size_t)(hash - text)) : xstrdup(text);
    return !hash || parse_digest(hash + 1, o, err);
}

/* ---- a hub ---- */

static bool hub_name_ok(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= HUB_NAME_MAX && *s != '.' && *s != '-' && !strstr(s, "..") &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static int hex_value(char c)
{
    const char *all = "0123456789abcdef", *at = c ? strchr(all, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - all) : -1;
}

/* "refs%2Fpr%2F1": a slash of a revision is written so. */
static bool parse_revision(const char *text, struct origin *o, struct error *err)
{
    char *to = o->revision = xstrdup(text);
    for (const char *c = text; *c; c++) {
        int hi = *c == '%' ? hex_value(c[1]) : -1, lo = hi >= 0 ? hex_value(c[2]) : -1;
        if (*c == '%' && lo < 0)
            return error_set(err, NULL, ERROR_INPUT, "'%s': two hexadecimal digits follow a '%%'", text);
        *to++ = *c == '%' ? (char)(hi * 16 + lo) : *c;
        c += *c == '%' ? 2 : 0;
    }
    *to = '\0';
    const char *odd = o->revision;
    odd += strspn(odd, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+");
    if (*odd || to != o->revision + strlen(o->revision) || !origin_name_ok(o->revision) ||
        o->revision[0] == '-')
        return error_set(err, NULL, ERROR_INPUT, "'%s' is no branch, tag or commit (%s)", text, FORM);
    o->has_revision = true;
    return true;
}

/* The text up to one of the characters in `end`; malloc'd. */
static char *take(const char **text, const char *end)
{
    size_t n = strcspn(*text, end);
    char *ret = xstrndup(*text, n);
    *text += n;
    return ret;
}

static bool parse_hub(const char *text, struct origin *o, struct error *err)
{
    static const char datasets[] = "datasets/", models[] = "models/";
    const char *c = strstr(text, "://") + 3;
    o->kind = ORIGIN_HUB;
    if ((o->datasets = strncmp(c, datasets, strlen(datasets)) == 0))
        c += strlen(datasets);
    else if (strncmp(c, models, strlen(models)) == 0)
        return error_set(err, NULL, ERROR_INPUT, "a model's repository has no 'models/' in front (%s)", FORM);
    o->owner = take(&c, "/");
    if (*c == '/')
        c++;
    o->name = take(&c, "/@");
    if (!hub_name_ok(o->owner) || !hub_name_ok(o->name))
        return error_set(err, NULL, ERROR_INPUT, "'%s%s%s' is no repository's name (%s)", o->owner,
                         *o->name ? "/" : "", o->name, FORM);
    if (*c == '@') {
        c++;
        AUTO(mem) char *revision = take(&c, "/");
        if (!parse_revision(revision, o, err))
            return false;
    } else
        o->revision = xstrdup("main");
    o->is_commit = origin_is_commit(o->revision);
    if (!*c)
        return true;
    o->file = xstrdup(c + 1);
    return origin_name_ok(o->file) ||
           error_set(err, NULL, ERROR_INPUT, "'%s' is no file's name in a repository (%s)", o->file, FORM);
}

/* The text without user and password, for messages; malloc'd. */
static char *without_user(const char *text)
{
    const char *host = strstr(text, "://");
    if (!host)
        return xstrdup(text);
    host += 3;
    const char *end = host + strcspn(host, "/?#"), *from = host;
    for (const char *c = host; c < end; c++)
        if (*c == '@')
            from = c + 1;
    return xprintf("%.*s%s", (int)(host - text), text, from);
}

bool origin_parse(const char *text, struct origin *ret, struct error *err)
{
    AUTO(mem) char *told = without_user(text);
    *ret = (struct origin){0};
    bool ok;
    if (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0)
        ok = parse_file(text, ret, err);
    else if (strncmp(text, "hf://", 5) == 0)
        ok = parse_hub(text, ret, err);
    else
        return error_set(err, NULL, ERROR_INPUT, "'%s': URLs here begin with hf://, https:// or http://",
                         told);
    if (ok)
        return true;
    origin_done(ret);
    return error_context(err, "'%s'", told);
}

bool origin_check(const char *text, struct error *err)
{
    AUTO(origin) struct origin o = {0};
    if (!origin_parse(text, &o, err))
        return false;
    return o.kind != ORIGIN_FILE || o.has_digest ||
           error_set(err, NULL, ERROR_INPUT,
                     "'%s' does not say which content it means: 'weft fetch %s' prints it with #sha256=...",
                     text, text);
}
