/* libcurl, loaded when it is first called. It brings some twenty libraries along; linked as the others are,
 * they were mapped in each process of ours, and copied and thrown away with each worker, which is a fork:
 * a tenth of what a trivial task costs (bench_true weft). Nothing here is seen by callers: they include
 * curl/curl.h. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

#define SONAME "libcurl.so.4"

#define NAMES(X)                                                                                             \
    X(global_init)                                                                                           \
    X(version_info)                                                                                          \
    X(easy_init)                                                                                             \
    X(easy_cleanup)                                                                                          \
    X(easy_setopt)                                                                                           \
    X(easy_getinfo)                                                                                          \
    X(easy_strerror)                                                                                         \
    X(multi_init)                                                                                            \
    X(multi_cleanup)                                                                                         \
    X(multi_add_handle)                                                                                      \
    X(multi_remove_handle)                                                                                   \
    X(multi_perform)                                                                                         \
    X(multi_poll)                                                                                            \
    X(multi_info_read)                                                                                       \
    X(slist_append)                                                                                          \
    X(slist_free_all)                                                                                        \
    X(url)                                                                                                   \
    X(url_cleanup)                                                                                           \
    X(url_get)                                                                                               \
    X(url_set)                                                                                               \
    X(free)

#define POINTER(name) __typeof__(curl_##name) *name;
static struct {
    NAMES(POINTER)
    bool whole;
} lib;

/* All of it or nothing. */
static void load(void)
{
    void *so = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    lib.whole = so != NULL;
#define FIND(name)                                                                                           \
    *(void **)&lib.name = so ? dlsym(so, "curl_" #name) : NULL;                                              \
    lib.whole = lib.whole && lib.name;
    NAMES(FIND)
}

static bool is_there(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return lib.whole;
}

/* ---- what begins something: says when there is no libcurl ---- */

CURLcode curl_global_init(long flags)
{
    return is_there() ? lib.global_init(flags) : CURLE_FAILED_INIT;
}

const char *curl_easy_strerror(CURLcode code)
{
    return is_there() ? lib.easy_strerror(code) : SONAME " cannot be loaded";
}

curl_version_info_data *curl_version_info(CURLversion which)
{
    static curl_version_info_data none = {.version = "none"};
    return is_there() ? lib.version_info(which) : &none;
}

CURL *curl_easy_init(void)
{
    return is_there() ? lib.easy_init() : NULL;
}

CURLM *curl_multi_init(void)
{
    return is_there() ? lib.multi_init() : NULL;
}

CURLU *curl_url(void)
{
    return is_there() ? lib.url() : NULL;
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
    return is_there() ? lib.slist_append(list, text) : NULL;
}

/* ---- what takes a thing that was made above; NULL is no more than libcurl itself allows ---- */

void curl_easy_cleanup(CURL *h)
{
    if (h)
        lib.easy_cleanup(h);
}

void curl_slist_free_all(struct curl_slist *list)
{
    if (list)
        lib.slist_free_all(list);
}

void curl_url_cleanup(CURLU *u)
{
    if (u)
        lib.url_cleanup(u);
}

void curl_free(void *p)
{
    if (p)
        lib.free(p);
}

/* The number of an option tells the type of its value. */
CURLcode curl_easy_setopt(CURL *h, CURLoption option, ...)
{
    va_list arg;
    CURLcode ret;
    va_start(arg, option);
    if (option < CURLOPTTYPE_OBJECTPOINT)
        ret = lib.easy_setopt(h, option, va_arg(arg, long));
    else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
        ret = lib.easy_setopt(h, option, va_arg(arg, curl_off_t));
    else
        ret = lib.easy_setopt(h, option, va_arg(arg, void *));
    va_end(arg);
    return ret;
}

CURLcode curl_easy_getinfo(CURL *h, CURLINFO info, ...)
{
    va_list arg;
    va_start(arg, info);
    CURLcode ret = lib.easy_getinfo(h, info, va_arg(arg, void *));
    va_end(arg);
    return ret;
}

CURLMcode curl_multi_cleanup(CURLM *m)
{
    return m ? lib.multi_cleanup(m) : CURLM_BAD_HANDLE;
}

CURLMcode curl_multi_add_handle(CURLM *m, CURL *h)
{
    return lib.multi_add_handle(m, h);
}

CURLMcode curl_multi_remove_handle(CURLM *m, CURL *h)
{
    return m ? lib.multi_remove_handle(m, h) : CURLM_BAD_HANDLE;
}

CURLMcode curl_multi_perform(CURLM *m, int *running)
{
    return lib.multi_perform(m, running);
}

CURLMcode curl_multi_poll(CURLM *m, struct curl_waitfd *fd, unsigned n, int wait, int *ready)
{
    return lib.multi_poll(m, fd, n, wait, ready);
}

CURLMsg *curl_multi_info_read(CURLM *m, int *left)
{
    return lib.multi_info_read(m, left);
}

/* By its symbol alone: u points to const in newer headers. */
CURLUcode url_get(CURLU *u, CURLUPart what, char **ret, unsigned flags) __asm__("curl_url_get");
CURLUcode url_get(CURLU *u, CURLUPart what, char **ret, unsigned flags)
{
    return u ? lib.url_get(u, what, ret, flags) : CURLUE_BAD_HANDLE;
}

CURLUcode curl_url_set(CURLU *u, CURLUPart what, const char *text, unsigned flags)
{
    return u ? lib.url_set(u, what, text, flags) : CURLUE_BAD_HANDLE;
}
