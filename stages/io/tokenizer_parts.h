/* What the tokenizer_*.c files share and nobody else needs. */
#ifndef STAGES_IO_TOKENIZER_PARTS_H
#define STAGES_IO_TOKENIZER_PARTS_H
#include "stages/io/tokenizer.h"
#include <jansson.h>
#include <stddef.h>

struct ids { /* a growing list */
    int32_t *id;
    size_t n, cap;
};
void ids_add(struct ids *l, int32_t id);

#define BOS_TEXT        "<|startoftext|>"
#define EOS_TEXT        "<|endoftext|>"
#define TOKENIZER_LIMIT (1 << 24) /* ids are below */

struct tokenizer {
    int64_t vocab;
    int32_t bos, eos;
    /* Append the ids of text, without bos and eos. */
    void (*encode)(const struct tokenizer *t, const char *text, size_t n, struct ids *out);
    int32_t byte_id[256];     /* byte-level: id of each byte */
    struct byte_pairs *pairs; /* CLIP's, else NULL */
};
bool tokenizer_id(const json_t *vocab, const char *token, int32_t *ret); /* valid and there */

/* tokenizer_bytes.c. The byte alphabet of byte-level tokenizers: a printable character for each byte, as
 * UTF-8 with NUL. */
void byte_character(int byte, char out[4]);
/* Is this tokenizer.json byte-level without merges? */
bool tokenizer_bytes_is(const json_t *j);
bool tokenizer_bytes_open(const json_t *j, const char *path, struct tokenizer *t,
                          struct error *err) MUST_CHECK;

/* tokenizer_clip.c: CLIP's byte pairs, how its texts are prepared and cut into words, and its added tokens.
 */
struct added_token {
    char *text, *form; /* as given; as it is looked for */
    int32_t id;
    bool prepared; /* looked for in the prepared text, not in the one given */
};
struct byte_pairs {
    struct bpe *bpe;
    struct added_token *added;
    size_t added_n, added_cap;
    bool from_openai; /* whose files these are */
    bool nfc, lower;  /* what tokenizer.json says of the text */
    bool openai;      /* whose preparation is used */
};
struct byte_pairs *byte_pairs_new(struct bpe *owned);
void byte_pairs_free(struct byte_pairs *p);
void byte_pairs_add(struct byte_pairs *p, const char *text, int32_t id, bool prepared);
/* All tokens are there: fill in their forms. Again after a change of `openai`. */
void byte_pairs_ready(struct byte_pairs *p);
void byte_pairs_encode(const struct tokenizer *t, const char *text, size_t n, struct ids *out);

/* tokenizer_files.c: the three layouts; each fills vocab, bos, eos and pairs. Errors name the file. */
bool byte_pairs_open_json(const json_t *j, const char *path, struct tokenizer *t,
                          struct error *err) MUST_CHECK;
bool byte_pairs_open_hub(const char *dir, struct tokenizer *t, struct error *err) MUST_CHECK;
bool byte_pairs_open_openai(const char *path, struct tokenizer *t, struct error *err) MUST_CHECK;
#endif
