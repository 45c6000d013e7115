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

struct tokenizer {
    int64_t vocab;
    int32_t bos, eos;
    /* Append the ids of text, without bos and eos. */
    void (*encode)(const struct tokenizer *t, const char *text, size_t n, struct ids *out);
    int32_t byte_id[256]; /* byte-level: id of each byte */
    void *own;            /* the kind's tables */
    void (*done)(struct tokenizer *t);
};
/* The byte alphabet of byte-level tokenizers: a printable character for each byte, as UTF-8 with NUL. */
void byte_character(int byte, char out[4]);
/* tokenizer_bytes.c: is this tokenizer.json byte-level without merges? */
bool tokenizer_bytes_is(const json_t *j);
bool tokenizer_bytes_open(const json_t *j, const char *path, struct tokenizer *t,
                          struct error *err) MUST_CHECK;
#endif
