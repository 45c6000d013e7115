/* bash and zsh: the same tables and the same reading of the words before the cursor, in what both understand;
 * each presents the candidates by its own means. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "engine/cli/completion.h"
#include "stages/stage.h"

#define ESCAPE "'\\''" /* a quote inside quotes */

/* ---- tables ---- */

/* A function that prints "NAME<tab>TEXT" lines. */
static void put_pair(struct buf *out, const char *dashes, const char *name, const char *doc)
{
    AUTO(buf) struct buf pair = {0};
    buf_printf(&pair, "%s%s\t%s", dashes, name, doc);
    buf_puts(out, " \\\n    ");
    completion_quote(out, buf_str(&pair), ESCAPE);
}

static void put_names(struct buf *out)
{
    buf_puts(out, "_weft_commands() {\n  printf '%s\\n'");
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden)
            put_pair(out, "", (*c)->name, (*c)->doc);
    buf_puts(out, "\n}\n_weft_stages() {\n  printf '%s\\n'");
    for (const struct stage *const *s = stage_registry; *s; s++)
        put_pair(out, "", (*s)->name, (*s)->doc);
    buf_puts(out, "\n}\n");
}

static void put_options(struct buf *out)
{
    buf_puts(out, "_weft_options() { # COMMAND\n  case $1 in\n");
    for (const struct cmd *const *c = cmd_table; *c; c++) {
        if ((*c)->hidden || !(*c)->opts || !(*c)->opts->name)
            continue;
        buf_printf(out, "  %s) printf '%%s\\n'", (*c)->name);
        for (const struct opt *o = (*c)->opts; o->name; o++)
            put_pair(out, "--", o->name, o->doc);
        buf_puts(out, " ;;\n");
    }
    buf_puts(out, "  esac\n  printf '%s\\n'");
    for (const struct opt *o = cmd_global; o->name; o++)
        put_pair(out, "--", o->name, o->doc);
    buf_puts(out, "\n}\n");
}

static void put_option_kinds(struct buf *out, const char *command, const struct opt *o)
{
    for (; o && o->name; o++) {
        if (o->type == OPT_FLAG)
            continue;
        buf_printf(out, "  %s:--%s", command, o->name);
        if (o->letter)
            buf_printf(out, "|%s:-%c", command, o->letter);
        buf_printf(out, ") _weft_kind='%s' ;;\n", completion_kind(o->arg));
    }
}

/* What an option's value names, and what a positional argument does. */
static void put_kinds(struct buf *out)
{
    buf_puts(out, "_weft_option_kind() { # COMMAND OPTION: of its value; fails for one that takes none\n"
                  "  _weft_kind=\n  case $1:$2 in\n");
    for (const struct cmd *const *c = cmd_table; *c; c++)
        if (!(*c)->hidden)
            put_option_kinds(out, (*c)->name, (*c)->opts);
    put_option_kinds(out, "*", cmd_global);
    buf_puts(out, "  esac\n  [ -n \"$_weft_kind\" ]\n}\n"
                  "_weft_arg_kinds() { # COMMAND POSITION\n  _weft_kinds=\n  case $1:$2 in\n");
    for (const struct cmd *const *c = cmd_table; *c; c++) {
        bool many;
        int n = completion_positions(*c, &many);
        for (int i = 0; i < n + many && !(*c)->hidden; i++) {
            AUTO(buf) struct buf kinds = {0};
            if (!completion_kinds_at(*c, i, &kinds))
                continue;
            if (i < n)
                buf_printf(out, "  %s:%d) _weft_kinds='%s' ;;\n", (*c)->name, i, buf_str(&kinds));
            else
                buf_printf(out, "  %s:*) _weft_kinds='%s' ;;\n", (*c)->name, buf_str(&kinds));
        }
    }
    buf_puts(out, "  esac\n}\n");
}

/* ---- the words before the cursor, and lists ---- */

static const char shared[] =
    "_weft_scan() { # WORDS, without quotes: sets what the other functions go by\n"
    "  _weft_cmd='' _weft_at=0 _weft_experiment='' _weft_store='' _weft_wants='' _weft_args_only=''\n"
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
    "           _weft_cmd=$1\n"
    "         else\n"
    "           _weft_arg_kinds \"$_weft_cmd\" $_weft_at\n"
    "           case \" $_weft_kinds \" in *' experiment '*) [ -f \"$1\" ] && _weft_experiment=$1 ;; esac\n"
    "           _weft_at=$((_weft_at + 1))\n"
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
    "  local _weft_program\n"
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
                          "_weft_args_only _weft_kind _weft_kinds\n"
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
    put_names(out);
    put_options(out);
    put_kinds(out);
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
