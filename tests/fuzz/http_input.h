/* One input of the fuzzer of what servers say. The first four bytes are options; by the first of them the
 * rest is
 *   odd   the text of a record; where it is a JSON object, key and seal are put right
 *   even  up to three answers, each ending at a NUL, for the tries of one transfer, with what the file has
 *         already when it goes to one
 * A transfer ends once and in time, its content is within its limit and the file's, and no error tells a
 * secret. A record that is taken names nothing that could hurt. */
#ifndef TESTS_FUZZ_HTTP_INPUT_H
#define TESTS_FUZZ_HTTP_INPUT_H
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "cache/remote_impl.h"
#include "cache/store_impl.h"
#include "tests/http_wire.h"

#define HTTP_INPUT_HEAD   4
#define HTTP_INPUT_SECRET "open-sesame"

static char http_input_root[] = "/tmp/weft-fuzz-XXXXXX";

static inline void http_input_leave(void)
{
    wire_close();
    fs_remove_tree(http_input_root, NULL);
}

static inline void http_input_enter(void)
{
    wire_must(mkdtemp(http_input_root) != NULL);
    wire_open(http_input_root);
    atexit(http_input_leave);
}

/* ---- records ---- */

static inline void http_input_name(const char *name)
{
    AUTO(mem) char *slashes = xprintf("/%s/", name);
    wire_must(*name && !strstr(slashes, "//") && !strstr(slashes, "/./") && !strstr(slashes, "/../"));
}

static inline void http_input_parse(const char *text, size_t n, const struct digest *key)
{
    const char *why;
    int64_t bytes = 0;
    struct record *r = remote_record(text, n, key, &why);
    wire_must((r != NULL) != (why != NULL));
    for (size_t i = 0; r && i < r->n; i++)
        for (size_t k = 0; k < r->output[i].n; k++) {
            const struct record_file *f = &r->output[i].file[k];
            http_input_name(f->name);
            wire_must(!f->source && f->size >= 0 && !__builtin_add_overflow(bytes, f->size, &bytes));
        }
    wire_must(!r || (!r->freed && digest_equal(&r->key, key)));
    record_free(r);
}

static inline void http_input_record(const uint8_t *option, const uint8_t *data, size_t n)
{
    char hex[DIGEST_HEX];
    struct digest key;
    AUTO_JSON j = json_parse((const char *)data, n, "input", NULL);
    const char *of = json_string_or(j, "text", "");
    hash_bytes(of, strlen(of), &key);
    if (json_is_object(j)) {
        json_object_set_new(j, "key", json_string(digest_hex(&key, hex)));
        json_object_del(j, "sha256");
        store_seal(j);
        AUTO(mem) char *text = json_text(j, option[1] % 16 != 1);
        key.byte[5] ^= option[2] == 1;
        http_input_parse(text, strlen(text), &key);
    }
    http_input_parse((const char *)data, n, &key);
}

/* ---- answers ---- */

struct http_input_end {
    const struct http_request *q;
    int times;
    bool ok, guessed; /* the server names the secret, as a place to go to */
    int64_t size;
};

static inline void http_input_done(void *arg, struct http_reply *r)
{
    struct http_input_end *end = arg;
    end->times++;
    end->ok = r->ok;
    end->size = r->size;
    wire_must(r->ok || r->err.text[0]);
    wire_must(!strstr(r->err.text, HTTP_INPUT_SECRET) && !strchr(r->err.text, '\n'));
    wire_must(end->guessed || !strstr(r->url, HTTP_INPUT_SECRET));
    (void)http_header(r, "ETag");
    if (r->ok && !end->q->to_file && strcmp(end->q->method, "GET") == 0) {
        wire_must(r->body && strlen(r->body) <= r->n && (int64_t)r->n == r->size);
        wire_must((int64_t)r->n <= end->q->max);
        struct digest key;
        hash_bytes("", 0, &key);
        http_input_parse(r->body, r->n, &key);
    }
}

static inline void http_input_answers(const uint8_t *data, size_t n)
{
    for (int i = 0; i < 3 && n; i++) {
        const uint8_t *nul = i < 2 ? memchr(data, 0, n) : NULL;
        size_t len = nul ? (size_t)(nul - data) : n;
        wire_answer(data, len);
        data += nul ? len + 1 : n;
        n -= nul ? len + 1 : n;
    }
}

static inline void http_input_transfer(const uint8_t *option, const uint8_t *data, size_t n)
{
    static const char *const method[] = {"GET", "GET", "GET", "HEAD", "PUT", "GET", "GET", "GET"};
    AUTO(mem) char *file = xprintf("%s/file", http_input_root);
    struct stat st;
    struct http_request q = {.method = method[option[0] / 2 % 8],
                             .url = "http://me:" HTTP_INPUT_SECRET "@host.test/ac/x",
                             .max = 1 + option[1] * 4,
                             .body = "body",
                             .body_n = 4};
    struct http_input_end end = {.q = &q,
                                 .guessed = memmem(data, n, HTTP_INPUT_SECRET, strlen(HTTP_INPUT_SECRET))};
    bool get = strcmp(q.method, "GET") == 0;
    if (get && option[2] % 2) {
        q.to_file = file;
        wire_must(fs_write_file(file, "0123456789abcdef", option[2] / 2 % 16, NULL));
    }
    q.done = http_input_done;
    q.arg = &end;
    http_input_answers(data, n);
    struct http *h = http_new(&(struct http_options){.unix_socket = wire_socket,
                                                     .tries = 3,
                                                     .pause = 1e-6,
                                                     .total_timeout = 0.5,
                                                     .bearer = option[3] % 2 ? HTTP_INPUT_SECRET : NULL},
                              NULL);
    wire_must(h != NULL);
    http_add(h, &q);
    wire_serve(h);
    http_free(h);
    wire_hear();
    wire_must(end.times == 1);
    if (q.to_file) {
        wire_must(stat(file, &st) == 0 && (!end.ok || st.st_size == end.size));
        wire_must(st.st_size <= q.max || st.st_size <= 16);
        unlink(file);
    }
    wire_forget();
}

static inline void http_input_run(const uint8_t *data, size_t n)
{
    if (n < HTTP_INPUT_HEAD)
        return;
    if (data[0] % 2)
        http_input_record(data, data + HTTP_INPUT_HEAD, n - HTTP_INPUT_HEAD);
    else
        http_input_transfer(data, data + HTTP_INPUT_HEAD, n - HTTP_INPUT_HEAD);
}
#endif
