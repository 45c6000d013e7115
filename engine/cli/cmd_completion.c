/* weft completion: a script for the user's shell. */
#include "base/cleanup.h"
#include "engine/cli/completion.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*write)(struct buf *out);
} shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

static int run(const struct cmd_args *a)
{
    struct error err = {0};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(a->arg[0], shells[i].name) == 0) {
            AUTO(buf) struct buf out = {0};
            shells[i].write(&out);
            fputs(buf_str(&out), stdout);
            return 0;
        }
    error_set(&err, NULL, ERROR_INPUT, "no completion for '%s': bash, zsh, fish", a->arg[0]);
    return cmd_fail(&err);
}

const struct cmd cmd_completion = {
    .name = "completion",
    .group = "About weft",
    .doc = "Print a shell's completion script.",
    .details =
        "Commands, options, files, and the names of tasks, stages and runs are completed. Names of tasks are "
        "those of the experiment on the line, else of the newest runs; brackets and commas in them come out "
        "quoted as the shell wants it. 'make install' puts the scripts where the shells look for them.",
    .args = (const struct arg[]){{.name = "bash|zsh|fish", .doc = "the shell"}, {0}},
    .examples =
        (const struct example[]){
            {"weft completion bash >~/.local/share/bash-completion/completions/weft",
             "bash with bash-completion"},
            {"weft completion zsh >~/.zfunc/_weft", "zsh, with ~/.zfunc in fpath before compinit"},
            {"weft completion fish >~/.config/fish/completions/weft.fish", "fish"},
            {0}},
    .run = run};
