/* Class texts as classifier weights. */
#ifndef STAGES_MODEL_PROMPT_H
#define STAGES_MODEL_PROMPT_H
#include "base/param.h"
#include "stages/io/tokenizer.h"
#include "stages/model/clip.h"

/* What all stages that read class texts can say; PROMPT_PARAMS gives the rows, PROMPT_TEMPLATES the first
 * two, for a struct `st` with a member `at` of this type. */
struct prompt_params {
    const char *template; /* one template a line: more than one is an ensemble */
    const char *class_names, *text_cleaning, *long_texts;
};
#define PROMPT_ROW(st, at, field, ...)                                                                       \
    {                                                                                                        \
        .name = #field, .type = PARAM_STRING, .offset = offsetof(st, at.field), __VA_ARGS__                  \
    }
#define PROMPT_TEMPLATES(st, at, what)                                                                       \
    PROMPT_ROW(st, at, template, .def = "This is a photo of a {}",                                           \
               .doc = "text of a class; {} is its name. Several, one a line: " what,                         \
               .source = "REFERENCE 1.1"),                                                                   \
        PROMPT_ROW(st, at, class_names, .def = "refined", .choices = "refined|raw",                          \
                   .doc = "names in the texts: refined: lower case, '_' and '-' as spaces; raw: as they "    \
                          "are in the data set",                                                             \
                   .source = "REFERENCE 1.1")
#define PROMPT_PARAMS(st, at)                                                                                \
    PROMPT_TEMPLATES(st, at, "the mean of their unit features, made unit again"),                            \
        PROMPT_ROW(st, at, text_cleaning, .def = "files", .choices = "files|openai|huggingface",             \
                   .doc = "how CLIP's byte-pair tokenizer prepares a text: openai: repair of broken text, "  \
                          "HTML entities, lower case; huggingface: composed characters, lower case; files: " \
                          "as whoever made the tokenizer's files does. Equal on ASCII without entities",     \
                   .source = "REFERENCE 2"),                                                                 \
        PROMPT_ROW(st, at, long_texts, .def = "error", .choices = "error|truncate",                          \
                   .doc = "a text longer than the text tower takes: an error, or cut off before the end "    \
                          "token",                                                                           \
                   .source = "REFERENCE 2")

/* What no single row can say: every template has its place for the name. */
bool prompt_check(const struct prompt_params *p, struct error *err) MUST_CHECK;
int64_t prompt_count(const struct prompt_params *p);                                     /* templates */
char *prompt_text(const struct prompt_params *p, int64_t which, const char *class_name); /* malloc'd */
/* Classifier weights (N,E) of class names into out: the unit text features of the template, or the mean of
 * those of all templates, made unit again. The tokenizer is set to prepare texts as the parameters say. */
bool prompt_features(const struct clip *m, struct tokenizer *t, const struct prompt_params *p,
                     const char *const *name, int64_t n, float *out, struct error *err) MUST_CHECK;
#endif
