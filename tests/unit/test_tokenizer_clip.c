/* CLIP's byte pairs with a small vocabulary: layouts, words, merging against a plain reference, bad files. */
#include "base/cleanup.h"
#include "base/rng.h"
#include "stages/io/tokenizer_bpe.h"
#include "tests/unit/tokenizer_make.h"

#include "tests/test.h"

#define SMALL                                                                                                \
    "h e\nl l\nhe ll\nhell o</w>\ni t</w>\n' s</w>\n' t</w>\nd o\ndo n</w>\n\u00c3 \u00a9</w>\n! !</w>\n"

static char dir[] = "/tmp/weft-tokenizer-XXXXXX";
static json_t *vocab; /* of SMALL */

static void empty_dir(void)
{
    assert_true(fs_remove_tree(dir, NULL) && fs_mkdirs(dir, NULL));
}
static struct tokenizer *open_it(void)
{
    struct tokenizer *t = NULL;
    struct error err = {0};
    if (!tokenizer_open(dir, &t, &err))
        fail_msg("%s", err.text);
    return t;
}
/* The tokens of a text, by name: "hello</w> !</w>". */
static void tokens_are(const struct tokenizer *t, const char *text, size_t n, const char *want)
{
    int32_t ids[64];
    AUTO(buf) struct buf got = {0};
    assert_true(tokenizer_encode(t, text, n, 64, false, ids, NULL));
    for (int i = 1; ids[i] != t->eos || ids[i + 1] != t->eos; i++) {
        const char *name;
        json_t *id;
        json_object_foreach(vocab, name, id)
        {
            if (json_integer_value(id) == ids[i])
                buf_printf(&got, "%s%s", got.len ? " " : "", name);
        }
    }
    if (strcmp(buf_str(&got), want) != 0)
        fail_msg("'%s' is '%s', not '%s'", text, buf_str(&got), want);
}
static void words_are(const struct tokenizer *t)
{
    static const struct {
        const char *text, *tokens;
    } all[] = {{"", ""},
               {"Hello, HELLO  hello!!", "hello</w> ,</w> hello</w> hello</w> !!</w>"},
               {"hell", "he l l</w>"},
               {"it's don't", "it</w> 's</w> don</w> 't</w>"},
               {"it'sh", "it</w> 's</w> h</w>"},
               {"it''s", "it</w> ' '</w> s</w>"},
               {"h12\u0663", "h</w> 1</w> 2</w> \u00d9 \u00a3</w>"},
               {"\u00e9", "\u00c3\u00a9</w>"},
               {"h <|endoftext|> h", "h</w> <|endoftext|> h</w>"},
               {"h<|StartOfText|>h", "h</w> <|startoftext|> h</w>"}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        tokens_are(t, all[i].text, strlen(all[i].text), all[i].tokens);
}
static void write_layout(int layout)
{
    if (layout == 0)
        make_gz(dir, SMALL);
    if (layout == 1)
        make_hub(dir, SMALL);
    if (layout >= 2) {
        AUTO_JSON j = make_tokenizer(SMALL, layout == 3);
        make_json(dir, "tokenizer.json", j);
    }
}
static void layouts(void **state)
{
    for (int layout = 0; layout < 4; layout++) {
        empty_dir();
        write_layout(layout);
        AUTO(tokenizer) struct tokenizer *t = open_it();
        assert_int_equal(tokenizer_vocab(t), json_object_size(vocab));
        words_are(t);
        for (int how = TOKENIZER_FILES; how <= TOKENIZER_HUGGINGFACE; how++) {
            tokenizer_clean(t, how);
            words_are(t);
            bool openai = how == TOKENIZER_OPENAI || (how == TOKENIZER_FILES && layout == 0);
            tokens_are(t, "&amp;h", 6, openai ? "&</w> h</w>" : "&</w> a m p</w> ;</w> h</w>");
            tokens_are(t, "h\0h", 3, openai ? "h h</w>" : "h</w> \u0100</w> h</w>");
            tokens_are(t, "!<|endoftext|>h", 15,
                       openai ? "! < |</w> e n do f t e x t</w> | ></w> h</w>" : "!</w> <|endoftext|> h</w>");
        }
    }
}
static void all_together(void **state)
{
    empty_dir();
    for (int layout = 0; layout < 3; layout++)
        write_layout(layout);
    AUTO(tokenizer) struct tokenizer *t = open_it();
    words_are(t);
    tokens_are(t, "&h", 2, "&</w> h</w>");
    tokens_are(t, "\u2019", 3, "\u00e2 \u0122 \u013b</w>"); /* tokenizer.json comes first: no repair */
}
static void rows(void **state)
{
    empty_dir();
    make_gz(dir, SMALL);
    AUTO(tokenizer) struct tokenizer *t = open_it();
    int32_t ids[5], bos = t->bos, eos = t->eos,
                    h = (int32_t)json_integer_value(json_object_get(vocab, "h</w>"));
    struct error err = {0};
    assert_true(tokenizer_encode(t, "h h", 3, 5, false, ids, &err));
    const int32_t fits[5] = {bos, h, h, eos, eos}, cut[5] = {bos, h, h, h, eos}, none[2] = {bos, eos};
    assert_memory_equal(ids, fits, sizeof fits);
    assert_true(tokenizer_encode(t, "h h h", 5, 5, false, ids, &err));
    assert_memory_equal(ids, cut, sizeof cut);
    assert_false(tokenizer_encode(t, "h h h h", 7, 5, false, ids, &err));
    assert_non_null(strstr(err.text, "'h h h h' has 6 tokens"));
    assert_true(tokenizer_encode(t, "h h h h", 7, 5, true, ids, &err));
    assert_memory_equal(ids, cut, sizeof cut);
    assert_true(tokenizer_encode(t, "h h h h", 7, 2, true, ids, &err));
    assert_memory_equal(ids, none, sizeof none);
    assert_false(tokenizer_encode(t, "caf\xe9 au lait", 12, 5, true, ids, &err));
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, "not UTF-8: byte 0xe9 after 'caf'"));
}
static void added_tokens(void **state)
{
    empty_dir();
    AUTO_JSON j = make_tokenizer(SMALL, false);
    json_t *added = json_object_get(j, "added_tokens");
    AUTO_JSON a = json_integer(2000);
    AUTO_JSON b = json_integer(2001);
    json_array_append_new(added, make_added(a, "<Cat>", false));
    json_array_append_new(added, make_added(b, "<Cat>s", true));
    AUTO_JSON d = json_integer(1999);
    json_array_append_new(added, make_added(d, "<dog>", false));
    make_json(dir, "tokenizer.json", j);
    AUTO(tokenizer) struct tokenizer *t = open_it();
    tokens_are(t, "<DOG>", 5, "<</w> do g</w> ></w>"); /* not as given */
    assert_int_equal(tokenizer_vocab(t), 2002);
    int32_t ids[8];
    assert_true(tokenizer_encode(t, "!<Cat>H <CAT>S", 14, 8, false, ids, NULL));
    assert_int_equal(ids[2], 2000); /* as given, anywhere */
    assert_int_equal(ids[4], 2001); /* in the prepared text */
    assert_int_equal(ids[5], t->eos);
    tokenizer_clean(t, TOKENIZER_OPENAI);
    assert_true(tokenizer_encode(t, "<cAt> <cat>s", 12, 8, false, ids, NULL));
    assert_true(ids[1] == 2000 && ids[2] == 2001 && ids[3] == t->eos);
}

/* tokenizer.json says what is done to a text. */
static void without_normalizer(void **state)
{
    empty_dir();
    AUTO_JSON j = make_tokenizer(SMALL, false);
    json_object_set_new(j, "normalizer", json_null());
    make_json(dir, "tokenizer.json", j);
    AUTO(tokenizer) struct tokenizer *t = open_it();
    tokens_are(t, "Hello e\u0301", 9, "H e ll o</w> e</w> \u00cc \u0123</w>");
    tokenizer_clean(t, TOKENIZER_OPENAI);
    tokens_are(t, "Hello e\u0301", 9, "hello</w> \u00c3\u00a9</w>");
}

/* ---- merging ---- */
struct plain {
    int32_t left, right, merged;
};
/* OpenAI's words: take the pair of least rank, merge it everywhere from left to right, until there is none.
 */
static size_t merge_plainly(int32_t *id, size_t n, const struct plain *p, int ranks)
{
    for (;;) {
        int best = ranks;
        size_t to = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (int r = 0; r < best; r++)
                if (id[i] == p[r].left && id[i + 1] == p[r].right)
                    best = r;
        if (best == ranks)
            return n;
        for (size_t i = 0; i < n; i++) {
            bool is = i + 1 < n && id[i] == p[best].left && id[i + 1] == p[best].right;
            id[to++] = is ? p[best].merged : id[i];
            i += is;
        }
        n = to;
    }
}
/* Also merges that make the same token twice, and pairs whose rank is less than those of their parts. */
static void merges_as_the_reference(void **state)
{
    enum { RANKS = 24, MOST = 60 };
    int32_t first[256], last[256];
    for (int i = 0; i < 256; i++)
        first[i] = i, last[i] = 256 + i;
    for (uint32_t seed = 0; seed < 300; seed++) {
        struct rng r = rng_at(rng_stream(seed, "test.merges"), 0, 0);
        struct plain p[RANKS];
        struct bpe *b = bpe_new(first, last), *twice = bpe_new(first, last);
        int ranks = 0;
        for (int k = 0; k < RANKS; k++) {
            int32_t pool[3] = {(int32_t)('a' + rng_below(&r, 3)), (int32_t)(512 + rng_below(&r, RANKS)),
                               (int32_t)(256 + 'a' + rng_below(&r, 3))};
            struct plain one = {pool[rng_below(&r, 2)], pool[rng_below(&r, 3)],
                                (int32_t)(512 + rng_below(&r, RANKS))};
            bool known = one.merged == one.left || one.merged == one.right;
            for (int i = 0; i < ranks; i++)
                known = known || (p[i].left == one.left && p[i].right == one.right);
            if (known)
                continue;
            p[ranks++] = one;
            if (k % 3 == 0) /* the later one counts */
                bpe_merge(twice, one.left, one.right, 700);
        }
        for (int i = 0; i < ranks; i++) {
            bpe_merge(b, p[i].left, p[i].right, p[i].merged);
            bpe_merge(twice, p[i].left, p[i].right, p[i].merged);
        }
        for (int w = 0; w < 40; w++) {
            char word[MOST];
            int32_t want[MOST];
            size_t n = 1 + rng_below(&r, MOST);
            struct ids got = {0};
            for (size_t i = 0; i < n; i++) {
                word[i] = (char)('a' + rng_below(&r, 3));
                want[i] = i + 1 < n ? word[i] : 256 + word[i];
            }
            size_t m = merge_plainly(want, n, p, ranks);
            for (int again = 0; again < 4; again++) { /* anew, and remembered */
                got.n = 0;
                bpe_word(again % 2 ? b : twice, word, n, &got);
                if (got.n != m || memcmp(got.id, want, m * sizeof *want) != 0)
                    fail_msg("seed %u: '%.*s'", seed, (int)n, word);
            }
            free(got.id);
        }
        bpe_free(b);
        bpe_free(twice);
    }
}
/* A word of half a million letters takes no more than it must; more words than are remembered. */
static void long_and_many(void **state)
{
    enum { N = 1 << 19 };
    empty_dir();
    make_gz(dir, "x x\nxx xx\nxxxx xxxx\n");
    AUTO(tokenizer) struct tokenizer *t = open_it();
    AUTO(mem) char *text = xmalloc(N + 1);
    AUTO(mem) int32_t *ids = xmalloc((N + 2) * sizeof *ids);
    memset(text, 'x', N);
    assert_true(tokenizer_encode(t, text, N, N + 2, false, ids, NULL));
    assert_true(ids[N / 8 - 1] == 514 && ids[N / 8] == 513 && ids[N / 8 + 4] == t->eos);
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < 40000; i++) {
            char word[4] = {(char)('a' + i / 12167), (char)('a' + i % 23), (char)('a' + i / 23 % 23),
                            (char)('a' + i / 529 % 23)};
            assert_true(tokenizer_encode(t, word, sizeof word, 8, false, ids, NULL));
            assert_true(ids[2] == word[1] - '!' && ids[3] == word[2] - '!' && ids[4] == word[3] - '!' + 256);
        }
}

/* ---- bad files ---- */
static void refused(const char *why)
{
    struct tokenizer *t = NULL;
    struct error err = {0};
    char message[4096];
    if (tokenizer_open(dir, &t, &err))
        fail_msg("taken, instead of '%s'", why);
    error_string(&err, message, sizeof message);
    if (err.code != ERROR_INPUT || !strstr(message, why))
        fail_msg("'%s' does not say '%s'", message, why);
}
static void refused_files(void **state)
{
    empty_dir();
    refused("has no tokenizer");
    make_file(dir, "vocab.json", "{}");
    refused("has no tokenizer");
    empty_dir();
    make_file(dir, "merges.txt", SMALL);
    refused("vocab.json");
    make_file(dir, "vocab.json", "{\"a\": 1}");
    refused("byte 0");
    make_hub(dir, SMALL);
    make_file(dir, "merges.txt", "#version: 0.2\nh e\nq zz\n");
    refused("merge 2 joins 'q' and 'zz'");
    make_file(dir, "merges.txt", "h e\nh e l\n");
    refused("'h e l'");
    make_file(dir, "merges.txt", "h e\n\nl l\n");
    refused("not ''");
    make_file(dir, "merges.txt", "h  e\n");
    refused("'h  e'");
    AUTO(mem) char *path = xprintf("%s/merges.txt", dir);
    assert_true(fs_write_file(path, "h e\nl\0 l\n", 9, NULL));
    refused("NUL");
    make_file(dir, "merges.txt", SMALL); /* without a header, with other line ends */
    tokenizer_free(open_it());
    make_file(dir, "merges.txt", "#version: 0.2\r\nh e\r\nl l\r\n\r\n");
    tokenizer_free(open_it());
}
static void different_files(void **state)
{
    empty_dir();
    make_hub(dir, SMALL);
    make_gz(dir, "l l\nh e\nhe ll\n");
    refused("'merges.txt' and 'bpe_simple_vocab_16e6.txt.gz' are different tokenizers");
    AUTO_JSON j = make_tokenizer(SMALL, false);
    make_json(dir, "tokenizer.json", j);
    refused("'tokenizer.json' and 'bpe_simple_vocab_16e6.txt.gz' are different");
    assert_true(tokenizer_save_bytes(dir, NULL));
    refused("'tokenizer.json' and 'merges.txt' are different");
    empty_dir(); /* the same merges, another order */
    make_hub(dir, "h e\nl l\n");
    AUTO_JSON k = make_tokenizer("h e\nl l\n", true);
    make_json(dir, "tokenizer.json", k);
    tokenizer_free(open_it());
    make_file(dir, "merges.txt", "l l\nh e\n");
    refused("different");
}
static void refused_lists(void **state)
{
    empty_dir();
    make_gz(dir, "h e\nq zz\n");
    refused("merge 2 joins 'q' and 'zz'");
    make_gz(dir, "h e\nl\n");
    refused("not 'l'");
    make_gz(dir, "h \xff\n");
    refused("a line of merges");
    make_gz(dir, SMALL);
    AUTO(mem) char *path = xprintf("%s/bpe_simple_vocab_16e6.txt.gz", dir), *bytes = NULL;
    size_t n;
    assert_true(fs_read_file(path, &bytes, &n, NULL));
    assert_true(fs_write_file(path, bytes, n / 2, NULL));
    refused("bpe_simple_vocab_16e6.txt.gz' cannot be unpacked");
    assert_true(fs_write_file(path, "", 0, NULL));
    refused("bpe_simple_vocab_16e6.txt.gz");
}
/* tokenizer.json with one thing changed: at "a.b.0.c" stands value. */
static void refused_json(const char *where, const char *value, const char *why)
{
    AUTO_JSON j = make_tokenizer(SMALL, false);
    AUTO_JSON v = json_loads(value, JSON_DECODE_ANY, NULL);
    AUTO(mem) char *path = xstrdup(where);
    json_t *at = j;
    char *rest = path, *key = strsep(&rest, ".");
    for (; rest; key = strsep(&rest, "."))
        at = json_is_array(at) ? json_array_get(at, (size_t)(*key - '0')) : json_object_get(at, key);
    if (json_is_array(at))
        json_array_set(at, (size_t)(*key - '0'), v);
    else
        json_object_set(at, key, v);
    make_json(dir, "tokenizer.json", j);
    refused(why);
}
static void refused_jsons(void **state)
{
    empty_dir();
    refused_json("model.type", "\"Unigram\"", "'type' \"Unigram\"");
    refused_json("model.end_of_word_suffix", "null", "'end_of_word_suffix'");
    refused_json("model.byte_fallback", "true", "byte_fallback");
    refused_json("model.vocab", "[]", "'vocab'");
    refused_json("model.vocab.h", "\"x\"", "byte 104");
    refused_json("model.vocab.h", "-1", "byte 104");
    refused_json("model.vocab.h", "99999999999", "byte 104");
    refused_json("model.merges", "{}", "'merges'");
    refused_json("model.merges.1", "\"h\"", "a merge \"h\"");
    refused_json("model.merges.1", "[\"h\"]", "a merge");
    refused_json("model.merges.1", "[\"h\",1]", "a merge");
    refused_json("model.merges.1", "[\"h\",\"zz\"]", "merge 2 joins 'h' and 'zz'");
    refused_json("normalizer.normalizers.0.type", "\"NFKC\"", "'normalizer'");
    refused_json("pre_tokenizer.pretokenizers.0.pattern.Regex", "\"\\\\w+\"", "'pre_tokenizer'");
    refused_json("pre_tokenizer.pretokenizers.0.invert", "false", "'pre_tokenizer'");
    refused_json("pre_tokenizer", "null", "'pre_tokenizer'");
    refused_json("added_tokens.0.id", "\"x\"", "an added token");
    refused_json("added_tokens.0.content", "\"\"", "an added token");
    refused_json("added_tokens.0.single_word", "true", "single_word");
}
static int setup(void **state)
{
    vocab = make_vocab(SMALL);
    return mkdtemp(dir) ? 0 : 1;
}
static int teardown(void **state)
{
    json_decref(vocab);
    return fs_remove_tree(dir, NULL) ? 0 : 1;
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(layouts),
                                       cmocka_unit_test(all_together),
                                       cmocka_unit_test(rows),
                                       cmocka_unit_test(added_tokens),
                                       cmocka_unit_test(without_normalizer),
                                       cmocka_unit_test(merges_as_the_reference),
                                       cmocka_unit_test(long_and_many),
                                       cmocka_unit_test(refused_files),
                                       cmocka_unit_test(different_files),
                                       cmocka_unit_test(refused_lists),
                                       cmocka_unit_test(refused_jsons)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
