#include "base/hash.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

/* Found once: to look the algorithm up costs more than to hash a short text. */
static const EVP_MD *sha256(void)
{
    static _Atomic(EVP_MD *) found;
    EVP_MD *md = atomic_load(&found), *none = NULL;
    if (md)
        return md;
    md = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (!md)
        xmalloc(SIZE_MAX); /* libcrypto fails here only for want of memory */
    if (atomic_compare_exchange_strong(&found, &none, md))
        return md;
    EVP_MD_free(md);
    return none;
}

static void start(EVP_MD_CTX *ctx)
{
    if (!ctx || !EVP_DigestInit_ex2(ctx, sha256(), NULL))
        xmalloc(SIZE_MAX);
}

void hasher_init(struct hasher *h)
{
    h->ctx = EVP_MD_CTX_new();
    start(h->ctx);
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
    EVP_DigestUpdate(h->ctx, p, n);
}

void hasher_finish(struct hasher *h, struct digest *ret)
{
    EVP_DigestFinal_ex(h->ctx, ret->byte, NULL);
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

void hash_bytes(const void *p, size_t n, struct digest *ret)
{
    struct hasher h;
    hasher_init(&h);
    hasher_add(&h, p, n);
    hasher_finish(&h, ret);
}

/* All of a file into a digest that has begun. */
static bool add_file(EVP_MD_CTX *ctx, int fd, const char *path, int64_t *ret_size, struct error *err)
{
    char chunk[65536];
    for (int64_t size = 0;;) {
        ssize_t n = fs->read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "cannot read '%s'", path);
        if (n == 0) {
            *ret_size = size;
            return true;
        }
        EVP_DigestUpdate(ctx, chunk, (size_t)n);
        size += n;
    }
}

bool hash_file(const char *path, struct digest *ret, int64_t *ret_size, struct error *err)
{
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    return fd >= 0 ? hash_open_file(fd, path, ret, ret_size, err)
                   : error_errno(err, "cannot open '%s'", path);
}

bool hash_open_file(int fd, const char *path, struct digest *ret, int64_t *ret_size, struct error *err)
{
    struct hasher h;
    struct digest d;
    int64_t size = 0;
    hasher_init(&h);
    bool ok = add_file(h.ctx, fd, path, &size, err);
    hasher_finish(&h, &d);
    if (!ok)
        return false;
    *ret = d;
    if (ret_size)
        *ret_size = size;
    return true;
}

bool hash_file_git(const char *path, char ret[GIT_HEX], int64_t *ret_size, struct error *err)
{
    AUTO(fd) int fd = fs_open(path, O_RDONLY, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_errno(err, "cannot open '%s'", path);
    AUTO(mem) char *head = xprintf("blob %lld", (long long)st.st_size);
    uint8_t byte[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex2(ctx, EVP_sha1(), NULL);
    if (!ok)
        error_set(err, NULL, ERROR_SYSTEM, "libcrypto has no SHA-1 here, by which a hub names small files");
    ok = ok && EVP_DigestUpdate(ctx, head, strlen(head) + 1) && add_file(ctx, fd, path, ret_size, err);
    ok = ok && EVP_DigestFinal_ex(ctx, byte, &n) && n == 20;
    EVP_MD_CTX_free(ctx);
    for (unsigned i = 0; ok && i < n; i++)
        snprintf(ret + (size_t)2 * i, 3, "%02x", byte[i]);
    return ok;
}

const char *digest_hex(const struct digest *d, char out[DIGEST_HEX])
{
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digit[d->byte[i] >> 4];
        out[2 * i + 1] = digit[d->byte[i] & 15];
    }
    out[64] = '\0';
    return out;
}

/* One more than the value of a hexadecimal digit, 0 for all else: lists of many names are read through this.
 */
static const uint8_t nibble[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

bool digest_parse(const char *hex, struct digest *ret)
{
    struct digest d;
    for (int i = 0; i < 32; i++) {
        int hi = nibble[(uint8_t)hex[2 * i]], lo = hi ? nibble[(uint8_t)hex[2 * i + 1]] : 0;
        if (!lo)
            return false;
        d.byte[i] = (uint8_t)((hi - 1) << 4 | (lo - 1));
    }
    if (hex[64])
        return false;
    *ret = d;
    return true;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->byte, b->byte, sizeof a->byte) == 0;
}
