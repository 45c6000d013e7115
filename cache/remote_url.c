/* Where the server is and how to get in: the URL, and the environment. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "cache/remote_impl.h"
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#define WANTED "the remote must be http://HOST/PATH, https://HOST/PATH or s3://BUCKET/PREFIX"

static const char *env(const char *name)
{
    const char *s = getenv(name);
    return s && *s ? s : NULL;
}

static bool is_https(const char *url)
{
    return strncasecmp(url, "https://", 8) == 0;
}

/* A decoded part of the URL; NULL: it has none, or *bad. */
static const char *part(CURLU *u, CURLUPart what, unsigned flags, struct arena *a, bool *bad)
{
    char *s = NULL;
    CURLUcode rc = curl_url_get(u, what, &s, flags);
    const char *ret = rc == CURLUE_OK ? arena_strdup(a, s) : NULL;
    *bad = *bad || (rc != CURLUE_OK && rc != CURLUE_NO_USER && rc != CURLUE_NO_PASSWORD &&
                    rc != CURLUE_NO_QUERY && rc != CURLUE_NO_FRAGMENT);
    curl_free(s);
    return ret;
}

/* Split off what must not be seen. False: not a URL. */
static bool split(CURLU *u, const char *url, struct arena *a, const char **ret_url, const char **user,
                  const char **password)
{
    bool bad = false;
    if ((strncasecmp(url, "http://", 7) != 0 && !is_https(url)) ||
        curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
        return false;
    *user = part(u, CURLUPART_USER, CURLU_URLDECODE, a, &bad);
    *password = part(u, CURLUPART_PASSWORD, CURLU_URLDECODE, a, &bad);
    if (part(u, CURLUPART_QUERY, 0, a, &bad) || part(u, CURLUPART_FRAGMENT, 0, a, &bad) || bad ||
        curl_url_set(u, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK)
        return false;
    char *s = (char *)(uintptr_t)part(u, CURLUPART_URL, 0, a, &bad);
    for (size_t n = s ? strlen(s) : 0; n && s[n - 1] == '/'; n--)
        s[n - 1] = 0;
    *ret_url = s;
    return s && !bad;
}

static bool parse(const char *url, struct arena *a, const char **ret_url, const char **user,
                  const char **password)
{
    CURLU *u = curl_url();
    bool ok = u && split(u, url, a, ret_url, user, password);
    curl_url_cleanup(u);
    return ok;
}

static bool web(const char *url, struct arena *a, const char **ret_url, struct http_options *o,
                struct error *err)
{
    const char *user, *password;
    if (!parse(url, a, ret_url, &user, &password))
        return error_set(err, NULL, ERROR_INPUT, WANTED);
    o->netrc = env("NETRC");
    if (user) {
        o->user = user;
        o->password = password ? password : env("WEFT_REMOTE_PASSWORD");
        return true;
    }
    o->bearer = env("WEFT_REMOTE_TOKEN");
    o->user = env("WEFT_REMOTE_USER");
    o->password = env("WEFT_REMOTE_PASSWORD");
    if (!o->bearer && !o->user != !o->password)
        return error_set(err, NULL, ERROR_INPUT,
                         "the remote needs both WEFT_REMOTE_USER and WEFT_REMOTE_PASSWORD; %s is not set",
                         o->user ? "WEFT_REMOTE_PASSWORD" : "WEFT_REMOTE_USER");
    return true;
}

/* Of names that need no encoding, so that all sign the same text. */
static bool is_plain(const char *s, size_t n, const char *more)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.", s[i]) && !strchr(more, s[i]))
            return false;
    return true;
}

static bool s3_credentials(struct http_options *o, bool endpoint, struct error *err)
{
    const char *region = env("AWS_REGION") ? env("AWS_REGION") : env("AWS_DEFAULT_REGION");
    o->region = region ? region : endpoint ? "us-east-1" : NULL;
    o->access_key = env("AWS_ACCESS_KEY_ID");
    o->secret_key = env("AWS_SECRET_ACCESS_KEY");
    o->session_token = env("AWS_SESSION_TOKEN");
    if (o->region && o->access_key && o->secret_key)
        return is_plain(o->region, strlen(o->region), "") ||
               error_set(err, NULL, ERROR_INPUT, "AWS_REGION is not the name of a region");
    return error_set(err, NULL, ERROR_INPUT, "an s3:// remote needs %s%s%s in the environment",
                     o->access_key ? "" : "AWS_ACCESS_KEY_ID ", o->secret_key ? "" : "AWS_SECRET_ACCESS_KEY ",
                     o->region ? "" : "AWS_REGION");
}

static bool s3(const char *url, struct arena *a, const char **ret_url, struct http_options *o,
               struct error *err)
{
    const char *bucket = url + strlen("s3://"), *user, *password, *base = NULL;
    int n = (int)strcspn(bucket, "/");
    size_t end = strlen(bucket);
    while (end > (size_t)n && bucket[end - 1] == '/')
        end--;
    const char *prefix = arena_printf(a, "%.*s", (int)end - n, bucket + n);
    if (n < 3 || n > 63 || !is_plain(bucket, (size_t)n, "") || strstr(prefix, "//") || strstr(prefix, "/.") ||
        !is_plain(prefix, strlen(prefix), "/_ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        return error_set(err, NULL, ERROR_INPUT,
                         "the remote's bucket and prefix, s3://BUCKET/PREFIX, may have letters, digits, '-', "
                         "'.', and in the prefix '_' and '/'");
    const char *endpoint = env("WEFT_S3_ENDPOINT");
    if (endpoint && (!parse(endpoint, a, &base, &user, &password) || user))
        return error_set(err, NULL, ERROR_INPUT, "WEFT_S3_ENDPOINT must be http://HOST or https://HOST");
    if (!s3_credentials(o, endpoint != NULL, err))
        return false;
    const char *of = strncmp(o->region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
    if (!endpoint && memchr(bucket, '.', (size_t)n)) /* no certificate is for such a host */
        base = arena_printf(a, "https://s3.%s.%s", o->region, of);
    *ret_url = base ? arena_printf(a, "%s/%.*s%s", base, n, bucket, prefix)
                    : arena_printf(a, "https://%.*s.s3.%s.%s%s", n, bucket, o->region, of, prefix);
    return true;
}

bool remote_place(const char *url, struct arena *a, const char **ret_url, struct http_options *ret,
                  struct error *err)
{
    static const char *const ca[] = {"WEFT_CA_FILE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
    *ret = (struct http_options){0};
    for (size_t i = 0; i < sizeof ca / sizeof *ca && !ret->ca_file; i++)
        ret->ca_file = env(ca[i]);
    if (strncmp(url, "s3://", 5) == 0)
        return s3(url, a, ret_url, ret, err);
    return web(url, a, ret_url, ret, err);
}
