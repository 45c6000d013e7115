/* SHA-256 by libcrypto. A digest is of uncompressed content. */
#ifndef BASE_HASH_H
#define BASE_HASH_H
#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct digest {
    uint8_t byte[32];
};
#define DIGEST_HEX 65 /* bytes of a hex digest with its NUL */

struct hasher {
    void *ctx; /* EVP_MD_CTX */
};
void hasher_init(struct hasher *h);
void hasher_add(struct hasher *h, const void *p, size_t n);
void hasher_finish(struct hasher *h, struct digest *ret); /* also frees */
void hash_bytes(const void *p, size_t n, struct digest *ret);
/* Content of a file, streamed; *ret_size may be NULL. */
bool hash_file(const char *path, struct digest *ret, int64_t *ret_size, struct error *err) MUST_CHECK;
/* The rest of one that is open. */
bool hash_open_file(int fd, const char *path, struct digest *ret, int64_t *ret_size,
                    struct error *err) MUST_CHECK;
/* Content of a file as git names a blob: SHA-1 of "blob SIZE\0" and the content, in hex. Only to compare with
 * what a git server says. */
#define GIT_HEX 41
bool hash_file_git(const char *path, char ret[GIT_HEX], int64_t *ret_size, struct error *err) MUST_CHECK;
const char *digest_hex(const struct digest *d, char out[DIGEST_HEX]);
bool digest_parse(const char *hex, struct digest *ret); /* exactly 64 lower-case hex digits */
bool digest_equal(const struct digest *a, const struct digest *b);
#endif
