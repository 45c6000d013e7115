/* Where the remote is, and what gets in: the URL and the environment. */
#include "base/http.h"
#include "cache/remote_impl.h"
#include "tests/test.h"
#include <string.h>

static const char *const variable[] = {"WEFT_REMOTE_USER",
                                       "WEFT_REMOTE_PASSWORD",
                                       "WEFT_REMOTE_TOKEN",
                                       "AWS_ACCESS_KEY_ID",
                                       "AWS_SECRET_ACCESS_KEY",
                                       "AWS_SESSION_TOKEN",
                                       "AWS_REGION",
                                       "AWS_DEFAULT_REGION",
                                       "WEFT_S3_ENDPOINT",
                                       "WEFT_CA_FILE",
                                       "CURL_CA_BUNDLE",
                                       "SSL_CERT_FILE",
                                       "NETRC"};
static void forget(void)
{
    for (size_t i = 0; i < sizeof variable / sizeof *variable; i++)
        unsetenv(variable[i]);
}
/* "NAME=VALUE" each. */
static void set(const char *const *env)
{
    forget();
    for (; *env; env++) {
        char name[64];
        const char *value = strchr(*env, '=');
        snprintf(name, sizeof name, "%.*s", (int)(value - *env), *env);
        setenv(name, value + 1, 1);
    }
}

#define KEYS "AWS_ACCESS_KEY_ID=AK", "AWS_SECRET_ACCESS_KEY=sesame"

static void places(void **state)
{
    static const struct {
        const char *url, *env[6], *want, *user, *password, *bearer, *region;
    } row[] = {
        {"http://h", {0}, "http://h", 0, 0, 0, 0},
        {"https://h:8443/a/b//", {0}, "https://h:8443/a/b", 0, 0, 0, 0},
        {"http://[::1]:80/a", {0}, "http://[::1]:80/a", 0, 0, 0, 0},
        {"http://me:ses%40me@h/", {0}, "http://h", "me", "ses@me", 0, 0},
        {"http://me:p@h/", {"WEFT_REMOTE_TOKEN=t"}, "http://h", "me", "p", 0, 0},
        {"http://me@h/", {"WEFT_REMOTE_PASSWORD=q"}, "http://h", "me", "q", 0, 0},
        {"http://me@h/", {0}, "http://h", "me", 0, 0, 0},
        {"http://h", {"WEFT_REMOTE_USER=u", "WEFT_REMOTE_PASSWORD=q"}, "http://h", "u", "q", 0, 0},
        {"http://h", {"WEFT_REMOTE_TOKEN=t"}, "http://h", 0, 0, "t", 0},
        {"http://h", {"WEFT_REMOTE_TOKEN="}, "http://h", 0, 0, 0, 0},
        {"s3://bucket",
         {KEYS, "AWS_REGION=eu-west-1"},
         "https://bucket.s3.eu-west-1.amazonaws.com",
         0,
         0,
         0,
         "eu-west-1"},
        {"s3://bucket/p/Q_1/",
         {KEYS, "AWS_DEFAULT_REGION=eu-west-1"},
         "https://bucket.s3.eu-west-1.amazonaws.com/p/Q_1",
         0,
         0,
         0,
         "eu-west-1"},
        {"s3://my.bucket/p",
         {KEYS, "AWS_REGION=r", "AWS_DEFAULT_REGION=x"},
         "https://s3.r.amazonaws.com/my.bucket/p",
         0,
         0,
         0,
         "r"},
        {"s3://bucket",
         {KEYS, "AWS_REGION=cn-north-1"},
         "https://bucket.s3.cn-north-1.amazonaws.com.cn",
         0,
         0,
         0,
         "cn-north-1"},
        {"s3://bucket/p",
         {KEYS, "WEFT_S3_ENDPOINT=http://localhost:9000/"},
         "http://localhost:9000/bucket/p",
         0,
         0,
         0,
         "us-east-1"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct arena a;
        struct http_options o;
        struct error err = {0};
        const char *url;
        arena_init(&a);
        set(row[i].env);
        if (!remote_place(row[i].url, &a, &url, &o, &err))
            fail_msg("%s: %s", row[i].url, err.text);
        assert_string_equal(url, row[i].want);
        const char *const want[] = {row[i].user, row[i].password, row[i].bearer, row[i].region};
        const char *const got[] = {o.user, o.password, o.bearer, o.region};
        for (int k = 0; k < 4; k++) {
            assert_int_equal(got[k] == NULL, want[k] == NULL);
            if (want[k])
                assert_string_equal(got[k], want[k]);
        }
        arena_done(&a);
    }
    forget();
}

/* ERROR_INPUT, with what to do; never the secret. */
static void wrong(void **state)
{
    static const struct {
        const char *url, *env[5], *says;
    } row[] = {{"", {0}, "http://HOST"},
               {"ftp://h", {0}, "s3://BUCKET"},
               {"h/path", {0}, "http://HOST"},
               {"http://", {0}, "http://HOST"},
               {"http://me:sesame@", {0}, "http://HOST"},
               {"http://me:sesame@h:port/", {0}, "http://HOST"},
               {"http://me:sesame%0a@h/", {0}, "http://HOST"},
               {"http://me:sesame@h/?a=b", {0}, "http://HOST"},
               {"http://me:sesame@h/#a", {0}, "http://HOST"},
               {"http://h h/", {0}, "http://HOST"},
               {"http://h", {"WEFT_REMOTE_USER=u"}, "WEFT_REMOTE_PASSWORD is not set"},
               {"http://h", {"WEFT_REMOTE_PASSWORD=sesame"}, "WEFT_REMOTE_USER is not set"},
               {"s3://", {KEYS, "AWS_REGION=r"}, "BUCKET"},
               {"s3:///p", {KEYS, "AWS_REGION=r"}, "BUCKET"},
               {"s3://Bucket", {KEYS, "AWS_REGION=r"}, "BUCKET"},
               {"s3://AK:sesame@bucket", {KEYS, "AWS_REGION=r"}, "BUCKET"},
               {"s3://bucket/a b", {KEYS, "AWS_REGION=r"}, "BUCKET"},
               {"s3://bucket/a//b", {KEYS, "AWS_REGION=r"}, "BUCKET"},
               {"s3://bucket/../b", {KEYS, "AWS_REGION=r"}, "BUCKET"},
               {"s3://bucket", {KEYS, "AWS_REGION=r/evil.test"}, "AWS_REGION"},
               {"s3://bucket", {KEYS}, "AWS_REGION"},
               {"s3://bucket", {"AWS_REGION=r", "AWS_ACCESS_KEY_ID=AK"}, "AWS_SECRET_ACCESS_KEY"},
               {"s3://bucket", {"AWS_REGION=r", "AWS_SECRET_ACCESS_KEY=sesame"}, "AWS_ACCESS_KEY_ID"},
               {"s3://bucket", {KEYS, "WEFT_S3_ENDPOINT=localhost"}, "WEFT_S3_ENDPOINT"},
               {"s3://bucket", {KEYS, "WEFT_S3_ENDPOINT=http://me:sesame@h"}, "WEFT_S3_ENDPOINT"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct arena a;
        struct http_options o;
        struct error err = {0};
        const char *url;
        arena_init(&a);
        set(row[i].env);
        if (remote_place(row[i].url, &a, &url, &o, &err))
            fail_msg("'%s' is taken", row[i].url);
        assert_int_equal(err.code, ERROR_INPUT);
        if (!strstr(err.text, row[i].says) || strstr(err.text, "sesame"))
            fail_msg("'%s': %s", row[i].url, err.text);
        arena_done(&a);
    }
    forget();
}

static void ca_file(void **state)
{
    static const char *const all[] = {"SSL_CERT_FILE=c", "CURL_CA_BUNDLE=b", "WEFT_CA_FILE=a", NULL};
    static const char *const want[] = {"a", "b", "c"};
    set(all);
    for (int i = 0; i < 4; i++) {
        struct arena a;
        struct http_options o;
        const char *url;
        arena_init(&a);
        assert_true(remote_place("https://h", &a, &url, &o, NULL));
        if (i < 3) {
            assert_string_equal(o.ca_file, want[i]);
            unsetenv(variable[9 + i]);
        } else
            assert_null(o.ca_file);
        arena_done(&a);
    }
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(places), cmocka_unit_test(wrong),
                                       cmocka_unit_test(ca_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
