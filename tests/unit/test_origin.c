/* URLs of outside data: which are right, what they say, and what is wrong with the others. */
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/origin.h"
#include "tests/test.h"

#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void hub(void **state)
{
    static const struct {
        const char *text, *owner, *name, *revision, *file;
        bool datasets, commit;
    } row[] = {
        {"hf://openai/clip-vit-base-patch32", "openai", "clip-vit-base-patch32", "main", NULL, false, false},
        {"hf://a/b@v1.0", "a", "b", "v1.0", NULL, false, false},
        {"hf://a/b@refs%2Fpr%2f1/x/y.json", "a", "b", "refs/pr/1", "x/y.json", false, false},
        {"hf://datasets/a_b/c.d/data/train 1.tar", "a_b", "c.d", "main", "data/train 1.tar", true, false},
        {"hf://a/b@0123456789abcdef0123456789abcdef01234567", "a", "b",
         "0123456789abcdef0123456789abcdef01234567", NULL, false, true}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        AUTO(origin) struct origin o;
        assert_true(origin_parse(row[i].text, &o, NULL));
        assert_true(origin_check(row[i].text, NULL));
        assert_int_equal(o.kind, ORIGIN_HUB);
        assert_string_equal(o.owner, row[i].owner);
        assert_string_equal(o.name, row[i].name);
        assert_string_equal(o.revision, row[i].revision);
        assert_int_equal(o.datasets, row[i].datasets);
        assert_int_equal(o.is_commit, row[i].commit);
        assert_true(row[i].file ? o.file && !strcmp(o.file, row[i].file) : !o.file);
    }
}

static void file(void **state)
{
    AUTO(origin) struct origin o;
    assert_true(origin_parse("https://h.test/a.tar?x=1#sha256=" ABC, &o, NULL));
    assert_int_equal(o.kind, ORIGIN_FILE);
    assert_string_equal(o.url, "https://h.test/a.tar?x=1");
    struct digest d;
    hash_bytes("abc", 3, &d);
    assert_true(o.has_digest && digest_equal(&o.digest, &d));
    assert_true(origin_check("http://h.test:80/#sha256=" ABC, NULL));
    assert_true(
        origin_check("https://h.test/a#sha256=BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61"
                     "F20015AD",
                     NULL));
    struct origin without;
    assert_true(origin_parse("https://h.test/a", &without, NULL));
    assert_false(without.has_digest);
    origin_done(&without);
}

static void wrong(void **state)
{
    static const struct {
        const char *text, *says;
    } row[] = {{"ftp://h/a", "begin with hf://"},
               {"ftp://me:secret@h/a", "begin with hf://"},
               {"HTTPS://h/a", "begin with hf://"},
               {"https://", "no host"},
               {"https:///a", "no host"},
               {"https://:80/a", "no host"},
               {"https://me:secret@h/a", "do not belong"},
               {"https://h/a b", "no blanks"},
               {"https://h/a\n", "no blanks"},
               {"https://h/a", "weft fetch https://h/a"},
               {"https://h/a#" ABC, "must be sha256="},
               {"https://h/a#sha256=12", "must be sha256="},
               {"https://h/a#sha256=" ABC "0", "must be sha256="},
               {"https://h/a#sha1=" ABC, "must be sha256="},
               {"hf://", "no repository's name"},
               {"hf://gpt2", "no repository's name"},
               {"hf:///b", "no repository's name"},
               {"hf://a/", "no repository's name"},
               {"hf://../b", "no repository's name"},
               {"hf://a/..", "no repository's name"},
               {"hf://.a/b", "no repository's name"},
               {"hf://a/-b", "no repository's name"},
               {"hf://a/b?c", "no repository's name"},
               {"hf://datasets/a", "no repository's name"},
               {"hf://models/a/b", "no 'models/'"},
               {"hf://a/b@", "no branch"},
               {"hf://a/b@../x", "no branch"},
               {"hf://a/b@x%2", "hexadecimal"},
               {"hf://a/b@x%zz", "hexadecimal"},
               {"hf://a/b@%2e%2e%2Fx", "no branch"},
               {"hf://a/b@x%00", "no branch"},
               {"hf://a/b@-x", "no branch"},
               {"hf://a/b@a b", "no branch"},
               {"hf://a/b/", "no file's name"},
               {"hf://a/b/../c", "no file's name"},
               {"hf://a/b//c", "no file's name"},
               {"hf://a/b/c\\d", "no file's name"}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct error err = {0};
        assert_true(origin_is_url(row[i].text));
        assert_null(strstr(row[i].says, "secret"));
        if (origin_check(row[i].text, &err) || strstr(err.text, "secret") || !strstr(err.text, row[i].says) ||
            err.code != ERROR_INPUT)
            fail_msg("'%s': wanted '%s', got '%s'", row[i].text, row[i].says, err.text);
    }
    static const char *const path[] = {"",        "a",    "/a/b",    "./hf:/x",
                                       "a b://c", "://a", "hf:/a/b", "données://x"};
    for (size_t i = 0; i < sizeof path / sizeof *path; i++)
        assert_false(origin_is_url(path[i]));
}

/* Names that come from outside, and where they would lead. */
static void names(void **state)
{
    static const char *const good[] = {"a",         "a/b/c",           "..a", "a..", "...",
                                       ".hidden/x", "mit Leerzeichen", "é"};
    static const char *const bad[] = {"",     "/",   "/a",   "a/",     "a//b", ".",    "..",    "./a",
                                      "../a", "a/.", "a/..", "a/../b", "a\nb", "a\tb", "a\177", "a\\b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(origin_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(origin_name_ok(bad[i]));
    char longest[2000];
    memset(longest, 'a', sizeof longest);
    longest[255] = 0;
    assert_true(origin_name_ok(longest));
    longest[255] = 'a';
    longest[256] = 0;
    assert_false(origin_name_ok(longest));
    for (int i = 0; i < 1025; i++)
        longest[i] = i % 2 ? '/' : 'a';
    longest[1025] = 0;
    assert_false(origin_name_ok(longest));
    longest[1023] = 0;
    assert_true(origin_name_ok(longest));
}

/* As `git hash-object` says. */
static void git(void **state)
{
    char path[] = "/tmp/weft-origin-XXXXXX", hex[GIT_HEX];
    int64_t size;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(hash_file_git(path, hex, &size, NULL));
    assert_string_equal(hex, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    assert_int_equal(write(fd, "hello\n", 6), 6);
    assert_true(hash_file_git(path, hex, &size, NULL));
    assert_string_equal(hex, "ce013625030ba8dba906f756967f9e9ca394464a");
    assert_int_equal(size, 6);
    close(fd);
    unlink(path);
    assert_false(hash_file_git(path, hex, &size, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hub), cmocka_unit_test(file), cmocka_unit_test(wrong),
                                       cmocka_unit_test(names), cmocka_unit_test(git)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
