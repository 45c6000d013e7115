/* CLIP's tokenizer with its real vocabulary: $WEFT_DATA, else ../shared/data, has tokenizers/clip; the
 * strings are those of the oracle case clip_bpe and of the data's own expected.json. Every layout of the
 * files must give every id. */
#include "base/fs.h"
#include "base/mem.h"
#include "stages/io/tokenizer_parts.h"
#include "stages/io/tokenizer_text.h"
#include "tests/golden/oracle.h"
#include "tests/unit/tokenizer_make.h"

#define FILE_NAME "tokenizers/clip/bpe_simple_vocab_16e6.txt.gz"
#define MERGES    48894

static const char *root;
static char *merges; /* of the real vocabulary */

/* What ids of a text must be; NULL in want: any. */
static bool ids_are(const struct tokenizer *t, const char *text, size_t n, const json_t *want)
{
    int32_t ids[1024];
    struct error err = {0};
    size_t size = json_array_size(want);
    if (!tokenizer_encode(t, text, n, 1024, false, ids, &err) || ids[size + 1] != t->eos || ids[0] != t->bos)
        return false;
    for (size_t i = 0; i < size; i++)
        if (json_integer_value(json_array_get(want, i)) != ids[i + 1])
            return false;
    return true;
}
static void check_strings(struct oracle_case *c, const json_t *all, const struct tokenizer *t,
                          const char *layout)
{
    size_t i, wrong = 0;
    json_t *v;
    json_array_foreach((json_t *)all, i, v)
    {
        const json_t *text = json_object_get(v, "text");
        if (!ids_are(t, json_string_value(text), json_string_length(text), json_object_get(v, "ids")) &&
            ++wrong < 5)
            oracle_fail(c, "%s: wrong ids of '%s'", layout, json_string_value(text));
    }
    if (wrong)
        oracle_fail(c, "%s: %zu of %zu strings have wrong ids", layout, wrong, json_array_size(all));
}
static void check_cleaned(struct oracle_case *c, const json_t *all)
{
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)all, i, v)
    {
        AUTO(buf) struct buf b = {0};
        const json_t *text = json_object_get(v, "text");
        text_openai(json_string_value(text), json_string_length(text), &b);
        if (strcmp(buf_str(&b), json_string_or(v, "cleaned", "")) != 0)
            oracle_fail(c, "'%s' became '%s', not '%s'", json_string_value(text), buf_str(&b),
                        json_string_or(v, "cleaned", ""));
    }
}
/* Hugging Face's preparation composes characters, but repairs nothing else, reads no HTML, knows no sigma at
 * a word's end, and finds the end token in the text as given. */
static void check_huggingface(struct oracle_case *c, const json_t *all, const struct tokenizer *t)
{
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)all, i, v)
    {
        const json_t *text = json_object_get(v, "text"), *raw = json_object_get(v, "ids_without_repair");
        const char *s = json_string_value(text);
        AUTO(buf) struct buf nfc = {0};
        text_nfc(s, strlen(s), &nfc);
        bool composed = strcmp(buf_str(&nfc), s) != 0;
        bool differs = strchr(s, '&') || strstr(s, "\u039f\u0394\u039f\u03a3") || !strcmp(s, "<|ENDOFTEXT|>");
        if (!differs &&
            !ids_are(t, s, json_string_length(text), raw && !composed ? raw : json_object_get(v, "ids")))
            oracle_fail(c, "Hugging Face's preparation: wrong ids of '%s'", s);
    }
}
static void check_rows(struct oracle_case *c, const struct tokenizer *t)
{
    AUTO_JSON all =
        json_read(oracle_path(c, json_string_or(c->json, "context_file", "context77.json")), NULL);
    size_t i;
    json_t *v;
    if (!json_array_size(all))
        oracle_fail(c, "no rows of 77");
    json_array_foreach(all, i, v)
    {
        int32_t ids[77];
        const json_t *text = json_object_get(v, "text"), *want = json_object_get(v, "ids77");
        const char *s = json_string_value(text);
        bool cut = json_is_true(json_object_get(v, "truncated")), ended = false;
        struct error err = {0};
        if (tokenizer_encode(t, s, strlen(s), 77, false, ids, &err) == cut ||
            !tokenizer_encode(t, s, strlen(s), 77, true, ids, &err))
            oracle_fail(c, "'%.60s' is%s too long", s, cut ? "" : " not");
        for (size_t k = 0; k < 77; k++) { /* behind the end token: 0 there, the end token here */
            json_int_t id = json_integer_value(json_array_get(want, k));
            if (ids[k] != (ended ? t->eos : id))
                oracle_fail(c, "entry %zu of '%.60s' is %d, not %lld", k, s, ids[k], (long long)id);
            ended = ended || id == t->eos;
        }
    }
}
static void each_layout(struct oracle_case *c, const json_t *all)
{
    AUTO_JSON strings = make_tokenizer(merges, false);
    AUTO_JSON pairs = make_tokenizer(merges, true);
    for (int layout = 0; layout < 4; layout++) {
        static const char *const name[] = {"list", "vocab and merges", "tokenizer.json",
                                           "tokenizer.json of pairs"};
        char dir[] = "/tmp/weft-tokenizer-XXXXXX";
        AUTO(tokenizer) struct tokenizer *t = NULL;
        struct error err = {0};
        if (!mkdtemp(dir))
            abort();
        if (layout == 0)
            make_gz(dir, merges);
        else if (layout == 1)
            make_hub(dir, merges);
        else
            make_json(dir, "tokenizer.json", layout == 2 ? strings : pairs);
        bool ok = oracle_ok(c, tokenizer_open(dir, &t, &err), &err);
        fs_remove_tree(dir, NULL);
        if (!ok)
            continue;
        if (tokenizer_vocab(t) != (int64_t)oracle_number(c, "vocab_size"))
            oracle_fail(c, "%s: %lld tokens", name[layout], (long long)tokenizer_vocab(t));
        if (layout)
            check_huggingface(c, all, t);
        tokenizer_clean(t, TOKENIZER_OPENAI);
        check_strings(c, all, t, name[layout]);
        check_rows(c, t);
    }
}
static void run(struct oracle_case *c)
{
    AUTO_JSON all = json_read(oracle_path(c, json_string_or(c->json, "file", "strings.json")), NULL);
    if (json_array_size(all) != (size_t)oracle_number(c, "count"))
        oracle_fail(c, "%zu strings", json_array_size(all));
    check_cleaned(c, all);
    each_layout(c, all);
    AUTO(mem)
    char *path = xprintf("%s/tokenizers/expected.json", root), *dir = xprintf("%s/tokenizers/clip", root);
    AUTO_JSON expected = json_read(path, NULL);
    AUTO(tokenizer) struct tokenizer *t = NULL;
    struct error err = {0};
    if (oracle_ok(c, tokenizer_open(dir, &t, &err), &err)) /* the folder itself */
        check_strings(c, json_object_get(json_object_get(expected, "clip"), "cases"), t, "expected.json");
    c->checked++;
}
int main(void)
{
    root = getenv("WEFT_DATA");
    root = root && *root ? root : "../shared/data";
    AUTO(mem) char *command = xprintf("gzip -dc '%s/" FILE_NAME "' | sed -n '2,%dp'", root, MERGES + 1);
    AUTO(mem) char *path = xprintf("%s/" FILE_NAME, root);
    AUTO(buf) struct buf text = {0};
    char part[4096];
    if (!fs_exists(path)) {
        printf("no vocabulary: '%s' is absent; set WEFT_DATA\n", path);
        return 77;
    }
    FILE *f = popen(command, "r");
    for (size_t n; f && (n = fread(part, 1, sizeof part, f)) > 0;)
        buf_add(&text, part, n);
    if (!f || pclose(f) != 0 || !text.len)
        abort();
    merges = text.data;
    return oracle_main("clip_bpe", NULL, run);
}
