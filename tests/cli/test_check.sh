#!/bin/sh
# weft check, stages and help: what they print, where errors point, exit status.
. "$(dirname "$0")/lib.sh"

"$WEFT" check "$here/tiny.yaml" >out 2>err; exits "check" 0 $?
same "check" out <<E
tiny: 18 tasks, ok
E
"$WEFT" check "$here/tiny.yaml" --set 'clients=[stripes, blobs, rings]' --json >out 2>err; exits "check --json" 0 $?
python3 - <<'P' || bad=1
import json
r = json.load(open("out"))
assert r["experiment"] == "tiny" and len(r["tasks"]) == 24, len(r["tasks"])
private = {t["task"]: t["private"] for t in r["tasks"]}
assert private["relevance[rings]"] == ["rings"] and private["router"] == [], private
P

# a file of variables, errors in it with their place
printf 'clients: [stripes, blobs, rings]\n' >vars.yaml
"$WEFT" check "$here/tiny.yaml" --vars vars.yaml >out 2>err; exits "vars" 0 $?
same "vars" out <<E
tiny: 24 tasks, ok
E
"$WEFT" check "$here/tiny.yaml" --vars vars.yaml --set 'clients=[rings]' >out 2>err; exits "vars below set" 0 $?
same "vars below set" out <<E
tiny: 12 tasks, ok
E
printf 'lamda: 1\n' >vars.yaml
"$WEFT" check "$here/tiny.yaml" --vars vars.yaml >out 2>err; exits "wrong vars" 2 $?
same "wrong vars" err <<'E0'
vars.yaml:1:1: error: the experiment has no variable 'lamda'; did you mean 'lambda'?
    lamda: 1
    ^
E0

# every error at once, in the order of the file, each with its line and a caret
printf '%s\n' 'experiment: broken' 'vars: {n: 1}' 'stages:' '  a:' '    uses: synthetic' \
    '    with: { domian: public, per_class: many }' '  b: { uses: embedding, in: { model: c, data: a } }' >case.yaml
"$WEFT" check case.yaml --set m=2 >out 2>err; exits "errors" 2 $?
sed -e "s/\('domain'\):.*/\1/" -e 's/between.*, not/..., not/' err >short
same "errors" short <<'E1'
weft: error: --set m=2: the experiment has no variable 'm'; did you mean 'n'?
case.yaml:4:3: error: stage 'synthetic' needs the parameter 'domain'
      a:
      ^
case.yaml:6:13: error: stage 'synthetic' has no parameter 'domian'; did you mean 'domain'?
        with: { domian: public, per_class: many }
                ^
case.yaml:6:40: error: stage 'synthetic': 'per_class' must be an integer ..., not "many"
        with: { domian: public, per_class: many }
                                           ^
case.yaml:7:38: error: there is no 'c' in stages:; did you mean 'a'?
      b: { uses: embedding, in: { model: c, data: a } }
                                         ^
5 errors
E1
[ -s out ] && { echo "errors: something on stdout"; bad=1; }

# what is defined twice: both places
printf '%s\n' 'experiment: twice' 'vars: { n: 1 }' 'stages:' '  a: {uses: table}' 'vars: {}' >case.yaml
"$WEFT" check case.yaml >out 2>err; exits "twice" 2 $?
same "twice" err <<'E2'
case.yaml:5:1: error: duplicate key 'vars'
    vars: {}
    ^
case.yaml:2:1: note: first defined here
    vars: { n: 1 }
    ^
E2

printf '%s\n' 'vars: { n: 1 }' 'stages:' '  a: {uses: table}' >part.yaml
mkdir more && printf '%s\n' 'include: ../part.yaml' 'stages:' '  a: {uses: table}' >more/part.yaml
printf '%s\n' 'experiment: twice' 'include: [more/part.yaml]' 'vars: { n: 2 }' >case.yaml
"$WEFT" check case.yaml >out 2>err; exits "included twice" 2 $?
same "included twice" err <<'E3'
more/../part.yaml:3:3: error: stage 'table' needs the input 'scores': metrics of evaluations, rows in this order; counts of compare
      a: {uses: table}
      ^
more/part.yaml:3:3: error: stage 'a' is defined twice
      a: {uses: table}
      ^
more/../part.yaml:3:3: note: first defined here
      a: {uses: table}
      ^
2 errors
E3

# the caret counts characters, and a tab in the line stays one
printf 'experiment: e # \303\251\303\251 \tx\nstages: {"\303\251": 1}\n' >case.yaml
"$WEFT" check case.yaml >out 2>err; exits "characters" 2 $?
grep -q '^             ^$' err || { echo "characters: caret"; cat err; bad=1; }

"$WEFT" check >out 2>err; exits "no file" 2 $?
"$WEFT" check nothing.yaml >out 2>err; exits "missing file" 2 $?
grep -q 'nothing.yaml' err || { echo "missing file"; cat err; bad=1; }
"$WEFT" check a b >out 2>err; exits "two files" 2 $?
"$WEFT" check --sett x=1 case.yaml >out 2>err; exits "option" 2 $?
grep -q "did you mean '--set'" err || { echo "option"; cat err; bad=1; }
"$WEFT" check case.yaml --set >out 2>err; exits "option without value" 2 $?
"$WEFT" check --json=1 case.yaml >out 2>err; exits "flag with value" 2 $?
"$WEFT" check -- --json >out 2>err; exits "after --" 2 $?
grep -q -- '--json.*No such file' err || { echo "after --"; cat err; bad=1; }
"$WEFT" chekc >out 2>err; exits "command" 2 $?
grep -q "did you mean 'check'" err || { echo "command"; cat err; bad=1; }
"$WEFT" >out 2>err; exits "no command" 2 $?

"$WEFT" help >out 2>err; exits "help" 0 $?
grep -q '^  check ' out || { echo "help"; cat out; bad=1; }
"$WEFT" --help | diff - out >/dev/null || { echo "--help differs from help"; bad=1; }
"$WEFT" help check >out 2>err; exits "help check" 0 $?
grep -q -- '--set NAME=VALUE' out || { echo "help check"; cat out; bad=1; }
"$WEFT" check --help | diff - out >/dev/null || { echo "check --help differs from help check"; bad=1; }
"$WEFT" help dpp >out 2>err; exits "help dpp" 0 $?
grep -q 'releases ids of public samples' out && grep -q '^  pool ' out || { echo "help dpp"; cat out; bad=1; }
"$WEFT" help dppp >out 2>err; exits "help of nothing" 2 $?
grep -q "did you mean 'dpp'" err || { echo "help of nothing"; cat err; bad=1; }
"$WEFT" stages >out 2>err; exits "stages" 0 $?
"$WEFT" stages --json >json 2>err; exits "stages --json" 0 $?
python3 - <<'P' || bad=1
import json
stages = {s["name"]: s for s in json.load(open("json"))}
assert [l.split()[0] for l in open("out")] == sorted(stages), "the list is not sorted or not whole"
assert stages["dpp"]["outputs"][0]["releases"] and stages["dpp"]["parameters"]["size"]["type"] == "integer"
P
"$WEFT" stages >/dev/full 2>err; exits "full disk" 1 $?
[ $bad = 0 ]
