/* One try: a handle of libcurl with all that it has to know. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/http_impl.h"
#include "base/mem.h"
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define REDIRECTS 10
#define EMPTY     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* SHA-256 of nothing */

static void set_credentials(struct http_transfer *t, struct curl_slist **header)
{
    const struct http_options *o = &t->http->o;
    CURL *e = t->easy;
    if (o->region) {
        AUTO(mem) char *how = xprintf("aws:amz:%s:s3", o->region);
        curl_easy_setopt(e, CURLOPT_AWS_SIGV4, how);
        curl_easy_setopt(e, CURLOPT_USERNAME, o->access_key);
        curl_easy_setopt(e, CURLOPT_PASSWORD, o->secret_key);
        AUTO(mem)
        char *token = o->session_token ? xprintf("x-amz-security-token: %s", o->session_token) : NULL;
        if (token)
            *header = curl_slist_append(*header, token);
        return;
    }
    if (o->bearer) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(e, CURLOPT_XOAUTH2_BEARER, o->bearer);
        return;
    }
    curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    if (o->user) {
        curl_easy_setopt(e, CURLOPT_USERNAME, o->user);
        curl_easy_setopt(e, CURLOPT_PASSWORD, o->password ? o->password : "");
        return;
    }
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
    if (o->netrc)
        curl_easy_setopt(e, CURLOPT_NETRC_FILE, o->netrc);
}

static void set_connection(struct http_transfer *t)
{
    struct http *h = t->http;
    CURL *e = t->easy;
    bool tls = strncasecmp(t->q.url, "https:", 6) == 0;
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, h->o.region ? 0L : 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(e, CURLOPT_UNRESTRICTED_AUTH, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, tls ? 1L : 0L); /* plain HTTP has nothing to wait for */
    curl_easy_setopt(e, CURLOPT_USERAGENT, "weft");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, lround(h->o.connect_timeout * 1000));
    if (h->o.total_timeout > 0) {
        long rest = lround((t->start + h->o.total_timeout - clock_seconds()) * 1000);
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, rest > 1 ? rest : 1);
    }
    if (h->o.ca_file)
        curl_easy_setopt(e, CURLOPT_CAINFO, h->o.ca_file);
    if (h->o.unix_socket) {
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, h->o.unix_socket);
        curl_easy_setopt(e, CURLOPT_PROXY, "");
    }
}

static void set_callbacks(struct http_transfer *t)
{
    CURL *e = t->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, http_on_head);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, http_on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, http_on_progress);
    curl_easy_setopt(e, CURLOPT_XFERINFODATA, t);
}

static bool open_file(struct http_transfer *t, const char *path, int flags, int64_t *size)
{
    struct stat st;
    if (t->fd < 0)
        t->fd = fs_open(path, flags, 0666);
    if (t->fd < 0 || fstat(t->fd, &st) != 0)
        return error_errno(&t->reply.err, "cannot open '%s'", path);
    *size = st.st_size;
    return true;
}

/* A download goes on where the file ends. */
static bool set_download(struct http_transfer *t, struct curl_slist **header)
{
    t->at = 0;
    buf_clear(&t->body);
    if (!t->q.to_file)
        return true;
    if (!open_file(t, t->q.to_file, O_WRONLY | O_CREAT, &t->at))
        return false;
    if (t->at && (t->restart || (t->q.max > 0 && t->at > t->q.max))) {
        if (fs->ftruncate(t->fd, 0) != 0)
            return error_errno(&t->reply.err, "cannot shorten '%s'", t->q.to_file);
        t->at = 0;
    }
    if (!t->at)
        return true;
    AUTO(mem) char *range = xprintf("%lld-", (long long)t->at);
    curl_easy_setopt(t->easy, CURLOPT_RANGE, range);
    AUTO(mem) char *same = t->etag ? xprintf("If-Range: %s", t->etag) : NULL;
    if (same)
        *header = curl_slist_append(*header, same);
    return true;
}

static bool set_upload(struct http_transfer *t, char hash[DIGEST_HEX])
{
    struct digest d;
    t->sent = 0;
    t->body_n = (int64_t)t->q.body_n;
    if (t->q.body_file && !open_file(t, t->q.body_file, O_RDONLY, &t->body_n))
        return false;
    if (t->http->o.region) {
        if (!t->q.body_file)
            hash_bytes(t->q.body, t->q.body_n, &d);
        else if (!hash_file(t->q.body_file, &d, NULL, &t->reply.err))
            return false;
        digest_hex(&d, hash);
    }
    curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->body_n);
    curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, http_on_send);
    curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, http_on_seek);
    curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
    return true;
}

static struct curl_slist *copy_list(const struct curl_slist *l)
{
    struct curl_slist *ret = NULL;
    for (; l; l = l->next)
        ret = curl_slist_append(ret, l->data);
    return ret;
}

/* A handle for the next try. False: reply.err says why not. */
bool http_prepare(struct http_transfer *t, struct curl_slist **header)
{
    char hash[DIGEST_HEX] = EMPTY;
    t->easy = curl_easy_init();
    if (!t->easy)
        return error_set(&t->reply.err, NULL, ERROR_SYSTEM, "libcurl has no memory");
    set_connection(t);
    set_callbacks(t);
    if (curl_easy_setopt(t->easy, CURLOPT_URL, t->q.url) != CURLE_OK)
        return error_set(&t->reply.err, NULL, ERROR_INPUT, "not a URL");
    *header = copy_list(t->header);
    if (http_is(t, "HEAD"))
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    else if (http_is(t, "PUT") ? !set_upload(t, hash) : !set_download(t, header))
        return false;
    set_credentials(t, header);
    if (t->http->o.region) {
        AUTO(mem) char *sum = xprintf("x-amz-content-sha256: %s", hash);
        *header = curl_slist_append(*header, sum);
    }
    return true;
}
