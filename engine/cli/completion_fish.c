/* fish: the tables of completion.c and the reading of the words in its own language. */
#include "engine/cli/completion.h"

static const struct completion_syntax syntax = {
    .quote = "\\'",
    .item = " \\\n        ",
    .commands = "function __weft_commands\n    printf '%s\\n'",
    .stages = "function __weft_stages\n    printf '%s\\n'",
    .end = "\nend\n",
    .pattern = "        case '",
    .between = "' '",
    .blank = " ",
    .answer = "\n",
    .family = {.head = "function __weft_family # WORD: second words behind it\n    switch \"$argv[1]\"\n",
               .then = "'\n            printf '%s\\n'",
               .tail = "    end\nend\n"},
    .options = {.head = "function __weft_options # COMMAND\n    switch \"$argv[1]\"\n",
                .then = "'\n            printf '%s\\n'",
                .tail = "    end\n    printf '%s\\n'"},
    .option_kind =
        {.head =
             "function __weft_option_kind # COMMAND OPTION: of its value; nothing for one that takes none\n"
             "    switch \"$argv[1]:$argv[2]\"\n",
         .then = "'\n            echo ",
         .tail = "    end\nend\n"},
    .arg_kinds = {.head = "function __weft_arg_kinds # COMMAND POSITION\n    switch \"$argv[1]:$argv[2]\"\n",
                  .then = "'\n            string split ' ' -- ",
                  .tail = "    end\nend\n"}};

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
    "            set -g __weft_family_of $word\n"
    "        else if test $__weft_at = 0; and test -n \"$(__weft_family $__weft_cmd)\"\n"
    "            set __weft_cmd \"$__weft_cmd $word\"\n"
    "        else\n"
    "            set word (string replace -r '^~/' \"$HOME/\" -- $word)\n"
    "            contains experiment (__weft_arg_kinds \"$__weft_cmd\" $__weft_at); and test -f \"$word\"\n"
    "            and set __weft_experiment $word\n"
    "            set __weft_at (math $__weft_at + 1)\n"
    "            set -g __weft_family_of $word\n"
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
    "        case subcommand\n"
    "            __weft_family \"$__weft_family_of\"\n"
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
    "        __weft_options \"$__weft_cmd\"\n"
    "    else if test -z \"$__weft_cmd\"\n"
    "        __weft_commands\n"
    "    else if test -n \"$(__weft_family $__weft_cmd)\"\n"
    "        __weft_family $__weft_cmd\n"
    "    else\n"
    "        for kind in (__weft_arg_kinds \"$__weft_cmd\" $__weft_at)\n"
    "            __weft_list $kind \"$current\"\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c weft -f -k -a '(__weft_complete)'\n";

void completion_fish(struct buf *out)
{
    buf_puts(out, "# fish completion of weft; written by 'weft completion fish'\n");
    completion_tables(&syntax, out);
    buf_puts(out, body);
}
