#!/bin/sh
# What holds for every command: options of everybody, their short forms, colours, help and version.
. "$(dirname "$0")/lib.sh"
unset NO_COLOR
printf 'experiment: e\nstages: { a: { uses: tabel } }\n' >wrong.yaml

# options of everybody stand before and behind the command's name, cut short where it is clear which is meant
for line in "--version" "version" "run --version" "--color never version" "version --colo=never" "--vers"; do
    "$WEFT" $line >out 2>err || fail "$line: exit $?"
    grep -q '^weft, commit' out && grep -q '^compiler ' out && grep -q '^libyaml  *[0-9]' out || { fail "$line"; cat out err; }
done
"$WEFT" version --json | python3 -c 'import json, sys; v = json.load(sys.stdin); assert v["commit"] and len(v["libraries"]) >= 8, v' ||
    fail "version --json"
"$WEFT" run --help | diff - /dev/fd/3 3<<H || fail "help of run"
$("$WEFT" help run)
H
"$WEFT" --help run | head -n 1 | grep -qx 'weft run EXPERIMENT \[options\]' || fail "--help run"
"$WEFT" stages --js >out || fail "stages --js"
python3 -m json.tool out >/dev/null || fail "stages --js is no JSON"
"$WEFT" run x.yaml --s 1 2>err; [ $? = 2 ] && grep -q "'--s' may mean any of --set, --store" err || { fail "ambiguous"; cat err; }
"$WEFT" run x.yaml --color blue 2>err; [ $? = 2 ] && grep -q "'--color' is one of auto|always|never, not 'blue'" err || fail "choice"
"$WEFT" --json 2>err; [ $? = 2 ] && grep -q "weft has no option '--json'" err || { fail "option of nothing"; cat err; }
"$WEFT" --color never >out 2>err; [ $? = 2 ] && grep -q '^Run experiments' out || fail "no command"
"$WEFT" check -- --color 2>err; [ $? = 2 ] && grep -q "cannot open '--color'" err || { fail "behind --"; cat err; }

# help: every command under a heading; hidden ones only for who asks
"$WEFT" help >out
grep -q '^  worker' out && fail "help shows a hidden command"
"$WEFT" help -a >all
grep -q '^  worker' all || fail "help -a"
[ "$(grep -c '^[A-Z]' out)" -ge 4 ] || fail "headings"
sed -n 's/^  \([a-z]*\) .*/\1/p' all | while read -r name; do
    "$WEFT" help "$name" >one || echo "help $name"
    head -n 1 one | grep -q "^weft $name" || echo "help $name: first line"
done >wrong; [ -s wrong ] && { fail "help of each"; cat wrong; }

# commands of two words: their family lists them; one error for a second word that is none
"$WEFT" cache >out 2>err; [ $? = 2 ] || fail "cache alone: exit"
"$WEFT" help cache | diff out - || fail "help cache"
"$WEFT" cache --help | diff out - || fail "cache --help"
"$WEFT" cache path --help >one; "$WEFT" help cache path | diff one - || fail "cache path --help"
"$WEFT" --color never cache path --store there >one && grep -qx there one && [ ! -e there ] || { fail "cache path"; cat one; }
sed -n '/^commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' out >names; [ -s names ] || fail "commands of cache"
while read -r name; do
    "$WEFT" help cache "$name" | head -n 1 | grep -q "^weft cache $name" || fail "help cache $name"
done <names
refuses() { what=$1; shift; "$WEFT" "$@" >out 2>err; [ $? = 2 ] && [ ! -s out ] && grep -qF -e "$what" err &&
    [ "$(wc -l <err)" = 1 ] || { fail "$* (wanted: $what)"; cat out err; }; }
refuses "there is no command 'cache pth'; did you mean 'cache path'? ('weft help cache' lists them)" cache pth --store x
refuses "there is no command 'cache zzzzzzzz' ('weft help cache' lists them)" cache zzzzzzzz
refuses "there is no command 'path'; did you mean 'cache path'? ('weft help' lists them)" path
refuses "there is no stage and no command 'cache pth'; did you mean 'cache path'?" help cache pth
refuses "there is no stage and no command 'dpp path'" help dpp path
refuses "weft cache has no option '--store'" cache --store x path

# colours: on a terminal, or when asked for
esc=$(printf '\033')
plain() { grep -q "$esc" err && { fail "$1: colours"; cat -v err; }; }
coloured() { grep -q "$esc\[1;31merror: " err && grep -q "$esc\[1;32m^" err || { fail "$1: no colours"; cat -v err; }; }
terminal() { # what the command writes to a terminal
    python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$@" </dev/null >err
}
TERM=xterm; export TERM
"$WEFT" check wrong.yaml 2>err; plain "pipe"
"$WEFT" check wrong.yaml --color always 2>err; coloured "always"
NO_COLOR=1 "$WEFT" check wrong.yaml --color=always 2>err; coloured "always with NO_COLOR"
sed "s/$esc\[[0-9;]*m//g" err >without; "$WEFT" check wrong.yaml 2>err; diff err without || fail "the text is the same"
terminal "$WEFT" check wrong.yaml; coloured "terminal"
terminal "$WEFT" check wrong.yaml --color never; plain "never"
NO_COLOR=1 terminal "$WEFT" check wrong.yaml; plain "NO_COLOR"
NO_COLOR= terminal "$WEFT" check wrong.yaml; coloured "empty NO_COLOR"
TERM=dumb terminal "$WEFT" check wrong.yaml; plain "dumb"
[ $bad = 0 ]
