#!/bin/sh
# Completion in real shells: a line and a tab, typed on a pseudo terminal, give the command the right arguments,
# whatever characters are in the names; the lists that are offered; nothing of the line is run.
. "$(dirname "$0")/lib.sh"
mkdir bin home folder && ln -s "$WEFT" bin/weft && cp "$here/names.yaml" . && echo text >notes.txt
PATH=$tmp/bin:$PATH HOME=$tmp/home; export PATH HOME

# what the scripts ask of weft
weft tasks names.yaml >out 2>err || fail "tasks: exit $?"
[ "$(wc -l <out)" = 12 ] && grep -qx 'grid\[rings,16\]' out && grep -qx "odd\[it's\]" out || { fail "tasks"; cat out; }
weft tasks nothing.yaml >out 2>err; [ $? = 2 ] && [ ! -s out ] && [ ! -s err ] || fail "tasks of no file are silent"
echo 'stages: [' >wrong.yaml; weft tasks wrong.yaml >out 2>err; [ $? = 2 ] && [ ! -s err ] || fail "tasks of a wrong file are silent"
weft tasks >out 2>err; [ $? = 2 ] && [ ! -s err ] && [ ! -e store ] || fail "tasks of no store"
weft runs >out 2>err; [ $? = 2 ] && [ ! -s err ] && [ ! -e store ] || fail "runs of no store"
rm wrong.yaml
weft run names.yaml --quiet --target 'grid[blobs,8]' || fail "run"
weft run names.yaml --quiet --target "odd[it's]" || fail "second run"
weft runs >runs; weft history --json | python3 -c 'import json, sys
for r in json.load(sys.stdin)["runs"]: print(r["run"])' | diff runs - || fail "runs: not those of history"
printf '%s\n' "odd[it's]" "odd[it's].images" 'grid[blobs,8]' 'grid[blobs,8].images' >want
weft tasks --outputs | diff want - || fail "tasks of the newest runs"
weft completion tcsh 2>err; [ $? = 2 ] || fail "completion tcsh"
weft completion bash >weft.bash && weft completion zsh >_weft && weft completion fish >weft.fish || fail "completion"

# typed: every shell gives the command the same
cat >lines.json <<'J'
["weft ru", "weft run na", "weft check --js", "weft run names.yaml --targ", "weft run names.yaml -t tab",
 "weft run names.yaml -t grid\\[rings,1", "weft run names.yaml -t odd\\[i", "weft run names.yaml -t odd\\[a",
 "weft run names.yaml -t odd\\[c", "weft run names.yaml -t odd\\[e", "weft run names.yaml -t 'odd[$",
 "weft run names.yaml -t \"odd[b", "weft run names.yaml --target=see", "weft run names.yaml --target=grid\\[rings,1",
 "weft why names.yaml odd\\[a", "weft show odd\\[it\\'s\\].", "weft --color=al", "weft help synth",
 "weft run names.yaml --color ne", "weft export x fo", "weft completion f", "weft cac", "weft cache pa", "weft help cache pat",
 "weft cache path --sto", "weft cache path odd\\[i", "weft cache path -r 2", "weft cache ver", "weft cache verify --rep", "weft cache ls --sort val", "weft cache pin odd\\[i",
 "weft cache export fo", "weft cache ls --stage synth"]
J
cat >want <<'J'
["run"]
["run", "names.yaml"]
["check", "--json"]
["run", "names.yaml", "--target"]
["run", "names.yaml", "-t", "table-less"]
["run", "names.yaml", "-t", "grid[rings,16]"]
["run", "names.yaml", "-t", "odd[it's]"]
["run", "names.yaml", "-t", "odd[a b]"]
["run", "names.yaml", "-t", "odd[c:d]"]
["run", "names.yaml", "-t", "odd[e=f]"]
["run", "names.yaml", "-t", "odd[$HOME]"]
["run", "names.yaml", "-t", "odd[back`tick]"]
["run", "names.yaml", "--target=seed"]
["run", "names.yaml", "--target=grid[rings,16]"]
["why", "names.yaml", "odd[a b]"]
["show", "odd[it's].images"]
["--color=always"]
["help", "synthetic"]
["run", "names.yaml", "--color", "never"]
["export", "x", "folder"]
["completion", "fish"]
["cache"]
["cache", "path"]
["help", "cache", "path"]
["cache", "path", "--store"]
["cache", "path", "odd[it's]"]
["cache", "path", "-r", "RUN"]
["cache", "verify"]
["cache", "verify", "--repair"]
["cache", "ls", "--sort", "value"]
["cache", "pin", "odd[it's]"]
["cache", "export", "folder"]
["cache", "ls", "--stage", "synthetic"]
J
tested=
for shell in bash zsh fish; do
    command -v $shell >/dev/null || continue
    python3 "$here/complete_keys.py" $shell <lines.json >$shell.out || fail "$shell: keys"
    sed -i 's|folder/"|folder"|' $shell.out # zsh takes the slash away again
    sed -i 's|"-r", "2[0-9TZ-]*"|"-r", "RUN"|' $shell.out # of two the newest, or what they share
    diff want $shell.out >diff || { fail "$shell: keys (wanted <, got >)"; cat diff; }
    tested="$tested $shell"
done
[ -n "$tested" ] || { echo "none of bash, zsh and fish is here"; exit 77; }

# lists
offers() { # SHELL LINE: what it offers, one a line
    case $1 in
    bash) bash -c '. ./weft.bash; COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=0; _weft; printf "%s\n" "${COMPREPLY[@]}"' x "$2" ;;
    fish) fish --no-config -c 'source ./weft.fish; complete -C "$argv[1]"' "$2" | cut -f 1 ;;
    esac
}
for shell in bash fish; do
    command -v $shell >/dev/null || continue
    weft help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort >want
    offers $shell 'weft ' | sort | diff want - || fail "$shell: commands"
    weft help run | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p' | sort >want
    offers $shell 'weft run names.yaml --' | sort | diff want - || fail "$shell: options of run"
    offers $shell 'weft show seed --run ' | sed 's/ *$//' | diff runs - || fail "$shell: runs, newest first"
    weft help cache | sed -n '/^commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p' | sort >want
    [ -s want ] || fail "the commands of cache"
    offers $shell 'weft cache ' | sort | diff want - || fail "$shell: commands of cache"
    weft help cache path | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p' | sort >want
    offers $shell 'weft cache path seed --' | sort | diff want - || fail "$shell: options of cache path"
    { weft runs; weft tasks; } | sort >want
    offers $shell 'weft cache pin ' | sed 's/ *$//; s/[\\]//g' | sort | diff want - || fail "$shell: runs and tasks to pin"
    printf '%s\n' always auto never >want
    offers $shell 'weft --color ' | sort | diff want - || fail "$shell: choices"
    offers $shell 'weft check ' >out
    grep -q names.yaml out || fail "$shell: experiments"
    grep -q notes.txt out && fail "$shell: a text file is no experiment"
    offers $shell 'weft export seed ' >out
    grep -q folder out && ! grep -q notes.txt out || fail "$shell: folders"
    offers $shell 'weft history --limit ' | grep . && fail "$shell: offers for a number"
    offers $shell 'weft run $(touch ran) `touch ran` -t ' >out 2>&1
    [ -e ran ] && { fail "$shell: ran a part of the line"; rm ran; }
    mv store other
    offers $shell 'weft show --store other see' | grep . && fail "$shell: seed never ran"
    offers $shell 'weft show --store other grid' | grep -q grid || fail "$shell: --store"
    mv other store
done
[ $bad = 0 ] && echo "tested:$tested"
[ $bad = 0 ]
