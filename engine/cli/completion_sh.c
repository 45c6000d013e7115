/* bash and zsh: the same tables and the same reading of the words before the cursor, in what both understand;
 * each presents the candidates by its own means. */
#include "engine/cli/completion.h"

static const struct completion_syntax syntax = {
    .quote = "'\\''",
    .item = " \\\n    ",
    .commands = "_weft_commands() {\n  printf '%s\\n'",
    .stages = "_weft_stages() {\n  printf '%s\\n'",
    .end = "\n}\n",
    .pattern = "  ",
    .between = "|",
    .blank = "\\ ",
    .answer = " ;;\n",
    .family = {.head = "_weft_family() { # WORD: second words behind it\n  case $1 in\n",
               .then = ") printf '%s\\n'",
               .tail = "  esac\n}\n"},
    .options = {.head = "_weft_options() { # COMMAND\n  case $1 in\n",
                .then = ") printf '%s\\n'",
                .tail = "  esac\n  printf '%s\\n'"},
    .option_kind =
        {.head = "_weft_option_kind() { # COMMAND OPTION: of its value; fails for one that takes none\n"
                 "  _weft_kind=\n  case $1:$2 in\n",
         .then = ") _weft_kind=",
         .tail = "  esac\n  [ -n \"$_weft_kind\" ]\n}\n"},
    .arg_kinds = {.head = "_weft_arg_kinds() { # COMMAND POSITION\n  _weft_kinds=\n  case $1:$2 in\n",
                  .then = ") _weft_kinds=",
                  .tail = "  esac\n}\n"}};

/* ---- the words before the cursor, and lists ---- */

static const char shared[] =
    "_weft_scan() { # WORDS, without quotes: sets what the other functions go by\n"
    "  _weft_cmd='' _weft_at=0 _weft_experiment='' _weft_store='' _weft_wants='' _weft_args_only=''\n"
    "  _weft_word=''\n"
    "  while [ $# -gt 0 ]; do\n"
    "    if [ -n \"$_weft_wants\" ]; then\n"
    "      [ \"$_weft_wants\" = --store ] && _weft_store=$1\n"
    "      _weft_wants=\n"
    "    elif [ -z \"$_weft_args_only\" ] && [ \"$1\" = -- ]; then\n"
    "      _weft_args_only=1\n"
    "    else\n"
    "      case $_weft_args_only$1 in\n"
    "      --store=*) _weft_store=${1#--store=} ;;\n"
    "      -?*) _weft_option_kind \"$_weft_cmd\" \"$1\" && _weft_wants=$1 ;;\n"
    "      *) if [ -z \"$_weft_cmd\" ]; then\n"
    "           _weft_cmd=$1 _weft_word=$1\n"
    "         elif [ $_weft_at = 0 ] && [ -n \"$(_weft_family \"$_weft_cmd\")\" ]; then\n"
    "           _weft_cmd=\"$_weft_cmd $1\"\n"
    "         else\n"
    "           _weft_arg_kinds \"$_weft_cmd\" $_weft_at\n"
    "           case \" $_weft_kinds \" in *' experiment '*) [ -f \"$1\" ] && _weft_experiment=$1 ;; esac\n"
    "           _weft_at=$((_weft_at + 1)) _weft_word=$1\n"
    "         fi ;;\n"
    "      esac\n"
    "    fi\n"
    "    shift\n"
    "  done\n"
    "}\n"
    "_weft_ask() { # COMMAND OPTION...: a list from weft itself\n"
    "  if [ -n \"$_weft_store\" ]; then set -- \"$@\" \"--store=$_weft_store\"; fi\n"
    "  if [ \"$1\" = tasks ] && [ -n \"$_weft_experiment\" ]; then set -- \"$@\" -- \"$_weft_experiment\"; "
    "fi\n"
    "  command \"$_weft_program\" \"$@\" 2>/dev/null\n"
    "}\n"
    "_weft_list() { # KIND: the candidates, one a line, with a tab and a description where there is one\n"
    "  case $1 in\n"
    "  task) _weft_ask tasks ;;\n"
    "  output) _weft_ask tasks --outputs ;;\n"
    "  run) _weft_ask runs ;;\n"
    "  subcommand) _weft_family \"$_weft_word\" ;;\n"
    "  stage) _weft_stages ;;\n"
    "  command) _weft_commands ;;\n"
    "  topic) _weft_commands; _weft_stages ;;\n"
    "  *'|'*) printf '%s\\n' \"$1\" | tr '|' '\\n' ;;\n"
    "  esac\n"
    "}\n";

static const char bash[] =
    "_weft_split() { # TEXT: its words without quotes into words, the last one, where the cursor is, into "
    "cur;\n"
    "  # raw is cur as it was written, quote the quote that is open in it. Nothing in TEXT is run.\n"
    "  local text=$1 c i any=\n"
    "  words=() cur= raw= quote=\n"
    "  for ((i = 0; i < ${#text}; i++)); do\n"
    "    c=${text:i:1}\n"
    "    if [[ -z $quote && $c == [$' \\t\\n'] ]]; then\n"
    "      [[ $any ]] && words+=(\"$cur\")\n"
    "      cur= raw= any=\n"
    "      continue\n"
    "    fi\n"
    "    any=1 raw+=$c\n"
    "    if [[ $c == \"$quote\" ]]; then quote=\n"
    "    elif [[ -z $quote && $c == [\\'\\\"] ]]; then quote=$c\n"
    "    elif [[ $c == \\\\ && $quote != \\' ]]; then\n"
    "      i=$((i + 1)) cur+=${text:i:1} raw+=${text:i:1}\n"
    "    else cur+=$c\n"
    "    fi\n"
    "    [[ -z $quote && $raw == '~/' ]] && cur=$HOME/\n"
    "  done\n"
    "}\n"
    "_weft_files() { # KIND\n"
    "  local f\n"
    "  while IFS= read -r f; do\n"
    "    case $1 in experiment) [[ -d $f || $f == *.yaml || $f == *.yml ]] || continue ;; esac\n"
    "    COMPREPLY+=(\"$f\")\n"
    "  done < <(if [[ $1 == dir ]]; then compgen -d -- \"$value\"; else compgen -f -- \"$value\"; fi)\n"
    "}\n"
    "_weft() {\n"
    "  local words cur raw quote value kinds kind line names= behind=\n"
    "  local _weft_cmd _weft_at _weft_experiment _weft_store _weft_wants _weft_args_only _weft_kind "
    "_weft_kinds\n"
    "  local _weft_program _weft_word\n"
    "  COMPREPLY=()\n"
    "  _weft_split \"${COMP_LINE:0:COMP_POINT}\"\n"
    "  _weft_program=${words[0]}\n"
    "  _weft_scan \"${words[@]:1}\"\n"
    "  value=$cur kinds=\n"
    "  if [[ $_weft_wants ]]; then\n"
    "    _weft_option_kind \"$_weft_cmd\" \"$_weft_wants\" && kinds=$_weft_kind\n"
    "  elif [[ -z $_weft_args_only && $cur == --*=* ]]; then\n"
    "    _weft_option_kind \"$_weft_cmd\" \"${cur%%=*}\" && kinds=$_weft_kind\n"
    "    value=${cur#*=}\n"
    "  elif [[ -z $_weft_args_only && $cur == -* ]]; then\n"
    "    while IFS=$'\\t' read -r line _; do\n"
    "      [[ $line == \"$cur\"* ]] && COMPREPLY+=(\"$line\")\n"
    "    done < <(_weft_options \"$_weft_cmd\")\n"
    "    return\n"
    "  elif [[ -z $_weft_cmd ]]; then\n"
    "    kinds=command\n"
    "  elif [[ $_weft_at == 0 && -n $(_weft_family \"$_weft_cmd\") ]]; then\n"
    "    kinds=subcommand\n"
    "  else\n"
    "    _weft_arg_kinds \"$_weft_cmd\" \"$_weft_at\"\n"
    "    kinds=$_weft_kinds\n"
    "  fi\n"
    "  for kind in $kinds; do\n"
    "    case $kind in\n"
    "    experiment|file|dir) compopt -o filenames 2>/dev/null; names=1; _weft_files \"$kind\" ;;\n"
    "    esac\n"
    "  done\n"
    "  # readline replaces only what is behind the last of these\n"
    "  [[ -z $quote && ${raw#--*=} == *[:=]* ]] && behind=${value%\"${value##*[:=]}\"}\n"
    "  [[ $kinds == run ]] && compopt -o nosort 2>/dev/null\n"
    "  for kind in $kinds; do\n"
    "    while IFS=$'\\t' read -r line _; do\n"
    "      [[ $line == \"$value\"* ]] || continue\n"
    "      line=${line#\"$behind\"}\n"
    "      case $names$quote in # among file names readline quotes\n"
    "      '') printf -v line %q \"$line\" ;;\n"
    "      \\') line=${line//\\'/\"'\\\\''\"} ;;\n"
    "      '\"') line=${line//\\\\/\\\\\\\\} line=${line//\\\"/\\\\\\\"} line=${line//\\$/\\\\\\$} "
    "line=${line//\\`/\\\\\\`} ;;\n"
    "      esac\n"
    "      COMPREPLY+=(\"$line\")\n"
    "    done < <(_weft_list \"$kind\")\n"
    "  done\n"
    "}\n"
    "complete -F _weft weft\n";

static const char zsh[] = "_weft_show() { # TITLE LINES...: offer what stands before the tabs\n"
                          "  local title=$1 line\n"
                          "  local -a names texts\n"
                          "  shift\n"
                          "  for line in \"$@\"; do\n"
                          "    names+=(\"${line%%$'\\t'*}\")\n"
                          "    [[ $line == *$'\\t'* ]] && line=\"${(r:16:)names[-1]} ${line#*$'\\t'}\"\n"
                          "    texts+=(\"$line\")\n"
                          "  done\n"
                          "  (( $#names )) || return 1\n"
                          "  if [[ $title == run ]]; then\n"
                          "    compadd -V run -l -d texts -a names # newest first\n"
                          "  elif [[ \"$texts\" == \"$names\" ]]; then\n"
                          "    compadd -J \"$title\" -a names\n"
                          "  else\n"
                          "    compadd -J \"$title\" -l -d texts -a names\n"
                          "  fi\n"
                          "}\n"
                          "_weft() {\n"
                          "  local kind kinds='' missed=1\n"
                          "  local _weft_cmd _weft_at _weft_experiment _weft_store _weft_wants "
                          "_weft_args_only _weft_kind _weft_kinds _weft_word\n"
                          "  local _weft_program=${(Q)words[1]}\n"
                          "  local -a before=(\"${(@Q)words[2,CURRENT-1]}\")\n"
                          "  before=(\"${(@)before/#\\~\\//$HOME/}\")\n"
                          "  _weft_program=${_weft_program/#\\~\\//$HOME/}\n"
                          "  _weft_scan \"${(@)before}\"\n"
                          "  if [[ -n $_weft_wants ]]; then\n"
                          "    _weft_option_kind \"$_weft_cmd\" \"$_weft_wants\" && kinds=$_weft_kind\n"
                          "  elif [[ -z $_weft_args_only && $PREFIX == --*=* ]]; then\n"
                          "    _weft_option_kind \"$_weft_cmd\" \"${PREFIX%%=*}\" && kinds=$_weft_kind\n"
                          "    compset -P 1 '*='\n"
                          "  elif [[ -z $_weft_args_only && $PREFIX == -* ]]; then\n"
                          "    _weft_show option \"${(@f)$(_weft_options \"$_weft_cmd\")}\"\n"
                          "    return\n"
                          "  elif [[ -z $_weft_cmd ]]; then\n"
                          "    kinds=command\n"
                          "  elif [[ -n $(_weft_family \"$_weft_cmd\") ]]; then\n"
                          "    kinds=subcommand\n"
                          "  else\n"
                          "    _weft_arg_kinds \"$_weft_cmd\" $_weft_at\n"
                          "    kinds=$_weft_kinds\n"
                          "  fi\n"
                          "  for kind in ${=kinds}; do\n"
                          "    case $kind in\n"
                          "    experiment) _files -g '*.(yaml|yml)(-.)' && missed=0 ;;\n"
                          "    file) _files && missed=0 ;;\n"
                          "    dir) _files -/ && missed=0 ;;\n"
                          "    text|number) ;;\n"
                          "    *) local -a lines=(\"${(@f)$(_weft_list \"$kind\")}\")\n"
                          "       lines=(${lines:#})\n"
                          "       _weft_show \"$kind\" \"${(@)lines}\" && missed=0 ;;\n"
                          "    esac\n"
                          "  done\n"
                          "  return missed\n"
                          "}\n"
                          "if [[ $funcstack[1] == _weft ]]; then _weft \"$@\"; else compdef _weft weft; fi\n";

static void put_shared(struct buf *out)
{
    completion_tables(&syntax, out);
    buf_puts(out, shared);
}

void completion_bash(struct buf *out)
{
    buf_puts(out, "# bash completion of weft; written by 'weft completion bash'\n");
    put_shared(out);
    buf_puts(out, bash);
}

void completion_zsh(struct buf *out)
{
    buf_puts(out, "#compdef weft\n# zsh completion of weft; written by 'weft completion zsh'\n");
    put_shared(out);
    buf_puts(out, zsh);
}
