/* The byte-level tokenizer. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "stages/io/tokenizer.h"

#include "tests/test.h"

static char dir[] = "/tmp/weft-tokenizer-XXXXXX";

static void encodes(void **state)
{
    AUTO(tokenizer) struct tokenizer *t = NULL;
    struct error err = {0};
    int32_t ids[8];
    assert_true(tokenizer_save_bytes(dir, &err));
    assert_true(tokenizer_open(dir, &t, &err));
    assert_int_equal(tokenizer_vocab(t), TOKENIZER_BYTES_VOCAB);
    assert_true(tokenizer_encode(t, "aZ \xc3\xa9\n", strlen("aZ \xc3\xa9\n"), 8, false, ids, &err));
    const int32_t want[8] = {256, 'a', 'Z', ' ', 0xc3, 0xa9, '\n', 257};
    assert_memory_equal(ids, want, sizeof want);
    assert_true(tokenizer_encode(t, "", strlen(""), 4, false, ids, &err));
    const int32_t none[4] = {256, 257, 257, 257};
    assert_memory_equal(ids, none, sizeof none);
    assert_false(tokenizer_encode(t, "abcdefg", strlen("abcdefg"), 8, false, ids, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, "'abcdefg' has 9 tokens"));
}
/* The vocabulary's characters are those of every byte-level tokenizer: 'G' with a dot for the space, 'C' for
 * newline. */
static void alphabet(void **state)
{
    AUTO(mem) char *path = xprintf("%s/tokenizer.json", dir);
    AUTO_JSON j = json_read(path, NULL);
    const json_t *vocab = json_object_get(json_object_get(j, "model"), "vocab");
    assert_int_equal(json_object_size(vocab), TOKENIZER_BYTES_VOCAB);
    assert_int_equal(json_integer_value(json_object_get(vocab, "\xc4\xa0")), ' ');
    assert_int_equal(json_integer_value(json_object_get(vocab, "\xc4\x8a")), '\n');
    assert_int_equal(json_integer_value(json_object_get(vocab, "a")), 'a');
    assert_int_equal(json_integer_value(json_object_get(vocab, "\xc3\xbf")), 255);
    assert_int_equal(json_integer_value(json_object_get(vocab, "\xc5\x83")), 0xad);
    assert_int_equal(json_integer_value(json_object_get(vocab, "<|endoftext|>")), 257);
}
static void refused(const char *text, const char *why)
{
    AUTO(mem) char *path = xprintf("%s/tokenizer.json", dir);
    struct tokenizer *t = NULL;
    struct error err = {0};
    assert_true(fs_write_file(path, text, strlen(text), NULL));
    assert_false(tokenizer_open(dir, &t, &err));
    char message[4096];
    error_string(&err, message, sizeof message);
    if (err.code != ERROR_INPUT || !strstr(message, why))
        fail_msg("'%s' does not say '%s'", message, why);
}
static void bad_files(void **state)
{
    struct tokenizer *t = NULL;
    struct error err = {0};
    refused("{", "tokenizer.json");
    refused("[]", "tokenizer.json");
    refused("{\"model\":{\"type\":\"WordPiece\"}}", "tokenizer.json");
    refused("{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{\"a\":1}},\"pre_tokenizer\":{\"type\":"
            "\"ByteLevel\"}}",
            "byte 0");
    assert_false(tokenizer_open("/nowhere", &t, &err));
    assert_non_null(strstr(err.text, "/nowhere"));
}
static int setup(void **state)
{
    return mkdtemp(dir) ? 0 : 1;
}
static int teardown(void **state)
{
    return fs_remove_tree(dir, NULL) ? 0 : 1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(encodes), cmocka_unit_test(alphabet),
                                       cmocka_unit_test(bad_files)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
