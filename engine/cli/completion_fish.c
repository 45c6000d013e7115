/* fish: the tables of completion_sh.c in its own language. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "engine/cli/completion.h"
#include "stages/stage.h"

#define ESCAPE "\\'"

static void put_pair(struct buf *out, const char *dashes, const char *name, const char *doc)
{
    AUTO(buf) struct buf pair = {0};
    buf_printf(&pair, "%s%s\t%s", dashes, name, doc);
    buf_puts(out, " \\\n        ");
    completion_quote(out, buf_str(&pair), ESCAPE);
}

static void put_names(struct buf *out)
{
    buf_puts(out, "function __weft_commands\n    printf '%s\\n'");
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden)
            put_pair(out, "", (*c)->name, (*c)->doc);
    buf_puts(out, "\nend\nfunction __weft_stages\n    printf '%s\\n'");
    for (const struct stage *const *s = stage_registry; *s; s++)
        put_pair(out, "", (*s)->name, (*s)->doc);
    buf_puts(out, "\nend\n");
}

static void put_options(struct buf *out)
{
    buf_puts(out, "function __weft_options # COMMAND\n    switch \"$argv[1]\"\n");
    for (const struct cmd *const *c = cmd_table; *c; c++) {
        if ((*c)->hidden || !(*c)->opts || !(*c)->opts->name)
            continue;
        buf_printf(out, "        case %s\n            printf '%%s\\n'", (*c)->name);
        for (const struct opt *o = (*c)->opts; o->name; o++)
            put_pair(out, "--", o->name, o->doc);
        buf_puts(out, "\n");
    }
    buf_puts(out, "    end\n    printf '%s\\n'");
    for (const struct opt *o = cmd_global; o->name; o++)
        put_pair(out, "--", o->name, o->doc);
    buf_puts(out, "\nend\n");
}

static void put_option_kinds(struct buf *out, const char *command, const struct opt *o)
{
    for (; o && o->name; o++) {
        if (o->type == OPT_FLAG)
            continue;
        buf_printf(out, "        case '%s:--%s'", command, o->name);
        if (o->letter)
            buf_printf(out, " '%s:-%c'", command, o->letter);
        buf_printf(out, "\n            echo '%s'\n", completion_kind(o->arg));
    }
}

static void put_kinds(struct buf *out)
{
    buf_puts(out,
             "function __weft_option_kind # COMMAND OPTION: of its value; nothing for one that takes none\n"
             "    switch \"$argv[1]:$argv[2]\"\n");
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden)
            put_option_kinds(out, (*c)->name, (*c)->opts);
    put_option_kinds(out, "*", cmd_global);
    buf_puts(
        out,
        "    end\nend\nfunction __weft_arg_kinds # COMMAND POSITION\n    switch \"$argv[1]:$argv[2]\"\n");
    for (const struct cmd *const *c = cmd_table; *c; c++) {
        bool many;
        int n = completion_positions(*c, &many);
        for (int i = 0; i < n + many && !(*c)->hidden; i++) {
            AUTO(buf) struct buf kinds = {0};
            if (!completion_kinds_at(*c, i, &kinds))
                continue;
            if (i < n)
                buf_printf(out, "        case '%s:%d'\n", (*c)->name, i);
            else
                buf_printf(out, "        case '%s:*'\n", (*c)->name);
            buf_printf(out, "            string split ' ' -- '%s'\n", buf_str(&kinds));
        }
    }
    buf_puts(out, "    end\nend\n");
}

static const char body[] =
    "function __weft_scan # WORDS: sets what the other functions go by\n"
    "    set -g __weft_cmd\n"
    "    set -g __weft_at 0\n"
    "    set -g __weft_experiment\n"
    "    set -g __weft_store\n"
    "    set -g __weft_wants\n"
    "    set -g __weft_args_only\n"
    "    for word in $argv\n"
    "        if test -n \"$__weft_wants\"\n"
    "            test \"$__weft_wants\" = --store; and set __weft_store --store=$word\n"
    "            set __weft_wants\n"
    "        else if test -z \"$__weft_args_only\"; and test \"$word\" = --\n"
    "            set __weft_args_only 1\n"
    "        else if test -z \"$__weft_args_only\"; and string match -q -- '-?*' $word\n"
    "            string match -q -- '--store=*' $word; and set __weft_store $word\n"
    "            test -n \"$(__weft_option_kind \"$__weft_cmd\" $word)\"; and set __weft_wants $word\n"
    "        else if test -z \"$__weft_cmd\"\n"
    "            set __weft_cmd $word\n"
    "        else\n"
    "            set word (string replace -r '^~/' \"$HOME/\" -- $word)\n"
    "            contains experiment (__weft_arg_kinds $__weft_cmd $__weft_at); and test -f \"$word\"\n"
    "            and set __weft_experiment $word\n"
    "            set __weft_at (math $__weft_at + 1)\n"
    "        end\n"
    "    end\n"
    "end\n"
    "function __weft_list # KIND WRITTEN: the candidates, one a line\n"
    "    set -l experiment\n"
    "    test -n \"$__weft_experiment\"; and set experiment -- $__weft_experiment\n"
    "    switch $argv[1]\n"
    "        case experiment\n"
    "            for f in (__fish_complete_path $argv[2])\n"
    "                string match -qr -- '(/|[.]ya?ml)(\\t.*)?$' $f; and printf '%s\\n' $f\n"
    "            end\n"
    "        case file\n"
    "            __fish_complete_path $argv[2]\n"
    "        case dir\n"
    "            __fish_complete_directories $argv[2] ''\n"
    "        case task\n"
    "            command $__weft_program tasks $__weft_store $experiment 2>/dev/null\n"
    "        case output\n"
    "            command $__weft_program tasks --outputs $__weft_store $experiment 2>/dev/null\n"
    "        case run\n"
    "            command $__weft_program runs $__weft_store 2>/dev/null\n"
    "        case stage\n"
    "            __weft_stages\n"
    "        case command\n"
    "            __weft_commands\n"
    "        case topic\n"
    "            __weft_commands\n"
    "            __weft_stages\n"
    "        case '*|*'\n"
    "            string split '|' -- $argv[1]\n"
    "    end\n"
    "end\n"
    "function __weft_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l current (commandline -ct)\n"
    "    set -g __weft_program (string replace -r '^~/' \"$HOME/\" -- $words[1])\n"
    "    __weft_scan $words[2..]\n"
    "    if test -n \"$__weft_wants\"\n"
    "        __weft_list (__weft_option_kind \"$__weft_cmd\" $__weft_wants) \"$current\"\n"
    "    else if test -z \"$__weft_args_only\"; and string match -q -- '--*=*' $current\n"
    "        set -l parts (string split -m 1 = -- $current)\n"
    "        set -l kind (__weft_option_kind \"$__weft_cmd\" $parts[1])\n"
    "        test -n \"$kind\"; and __weft_list $kind $parts[2] | string replace -r -- '^' \"$parts[1]=\"\n"
    "    else if test -z \"$__weft_args_only\"; and string match -q -- '-*' $current\n"
    "        __weft_options $__weft_cmd\n"
    "    else if test -z \"$__weft_cmd\"\n"
    "        __weft_commands\n"
    "    else\n"
    "        for kind in (__weft_arg_kinds $__weft_cmd $__weft_at)\n"
    "            __weft_list $kind \"$current\"\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c weft -f -k -a '(__weft_complete)'\n";

void completion_fish(struct buf *out)
{
    buf_puts(out, "# fish completion of weft; written by 'weft completion fish'\n");
    put_names(out);
    put_options(out);
    put_kinds(out);
    buf_puts(out, body);
}
