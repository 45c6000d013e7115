/* The words that stand for values, and what they mean. */
#include "engine/cli/cmd.h"
#include <string.h>

static const struct {
    const char *word;
    enum arg_kind kind;
} words[] = {
    {"EXPERIMENT", ARG_EXPERIMENT}, {"FILE", ARG_FILE},     {"DIR", ARG_DIR},     {"TASK", ARG_TASK},
    {"TASK[.OUTPUT]", ARG_OUTPUT},  {"RUN", ARG_RUN},       {"STAGE", ARG_STAGE}, {"COMMAND", ARG_COMMAND},
    {"SUBCOMMAND", ARG_SUBCOMMAND}, {"RESULT", ARG_RESULT}, {"TOPIC", ARG_TOPIC}, {"N", ARG_NUMBER},
    {"SOURCE", ARG_EXPERIMENT},
};

enum arg_kind arg_kind_of(const char *word)
{
    if (!word)
        return ARG_TEXT;
    if (strchr(word, '|'))
        return ARG_CHOICE;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        const char *rest = word + n;
        if (strncmp(word, words[i].word, n) == 0 && rest[strspn(rest, "0123456789")] == '\0')
            return words[i].kind;
    }
    return ARG_TEXT;
}
