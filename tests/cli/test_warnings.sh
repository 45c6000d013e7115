#!/bin/sh
# Warnings: on stderr with their places, and exit status 0; as data they are apart from the errors.
. "$(dirname "$0")/lib.sh"

printf '%s\n' 'experiment: odd' 'vars: { n: 1, m: 2 }' 'stages:' '  a: { uses: synthetic, with: { domain: public, split: train } }' \
    '  b: { uses: synthetic, with: { domain: blobs, seed: "${m}" }, tags: [x, x] }' '  s: { uses: pretrain, in: { public: a } }' \
    '  e: { uses: evaluate, in: { model: s, data: a } }' >odd.yaml
"$WEFT" check odd.yaml >out 2>err; exits "warnings" 0 $?
same "warnings" out <<E
odd: 4 tasks, ok
E
cat >want <<'E'
odd.yaml:2:9: warning: variable 'n' is not used
    vars: { n: 1, m: 2 }
            ^
odd.yaml:5:3: warning: no stage reads what 'b' makes
      b: { uses: synthetic, with: { domain: blobs, seed: "${m}" }, tags: [x, x] }
      ^
odd.yaml:5:74: warning: tag 'x' is there twice
      b: { uses: synthetic, with: { domain: blobs, seed: "${m}" }, tags: [x, x] }
                                                                             ^
E
same "warnings" err <want
"$WEFT" plan odd.yaml --store store >out 2>err; exits "warnings of plan" 0 $?
same "warnings of plan" err <want
"$WEFT" check odd.yaml --pedantic >out 2>err; exits "pedantic" 0 $?
grep -q "^odd.yaml:4:56: warning: 'split' is \"train\" by default: no need to say it$" err ||
    { echo "pedantic"; cat err; bad=1; }

# run says them first, unless it is to be quiet
printf '%s\n' 'experiment: quick' 'vars: { n: 1 }' 'stages:' \
    '  a: { uses: synthetic, with: { domain: public, per_class: 1, size: 16 } }' >quick.yaml
"$WEFT" run quick.yaml --store store >out 2>err; exits "warnings of run" 0 $?
head -n 1 err >first; same "warnings of run" first <<E
quick.yaml:2:9: warning: variable 'n' is not used
E
"$WEFT" run quick.yaml --store store --quiet >out 2>err; exits "quiet run" 0 $?
same "quiet run" err </dev/null

"$WEFT" check odd.yaml --json >good.json 2>err; exits "warnings as data" 0 $?
same "warnings as data" err <want
"$WEFT" check odd.yaml --json --set k=1 --set 'm=[1]' >out 2>err; exits "errors as data" 2 $?
tail -n 1 err | grep -q '^2 errors$' || { echo "errors as data"; cat err; bad=1; }
python3 - <<'P' || bad=1
import json
r = json.load(open("good.json"))
assert [(w["file"], w["line"], w["col"], w["text"]) for w in r["warnings"]] == [
    ("odd.yaml", 2, 9, "variable 'n' is not used"), ("odd.yaml", 5, 3, "no stage reads what 'b' makes"),
    ("odd.yaml", 5, 74, "tag 'x' is there twice")], r["warnings"]
assert r["experiment"] == "odd" and len(r["tasks"]) == 4
r = json.load(open("out"))
assert sorted(r) == ["errors", "warnings"] and [w["line"] for w in r["warnings"]] == [5], r
assert [(e["file"], e["line"], e["col"]) for e in r["errors"]] == [(None, None, None), ("odd.yaml", 5, 54)], r
assert r["errors"][0]["text"] == "--set k=1: the experiment has no variable 'k'; did you mean 'n'?", r
P
printf '%s\n' 'experiment: twice' 'vars: { n: 1 }' 'vars: {}' >case.yaml
"$WEFT" check case.yaml --json >out 2>err; exits "note as data" 2 $?
python3 -c 'import json; e, = json.load(open("out"))["errors"]
assert e["note"] == {"file": "case.yaml", "line": 2, "col": 1, "text": "first defined here"}, e' || bad=1

# the shipped examples have none (their data need only be there)
mkdir data && for set in cifar10 pets flowers eurosat; do : >data/$set.tar; done
"$WEFT" check "$here/../../examples/quickstart.yaml" >out 2>err; exits "quickstart" 0 $?
same "quickstart" err </dev/null
"$WEFT" check "$here/../../examples/small-vision.yaml" --set data=data >out 2>err; exits "small-vision" 0 $?
same "small-vision" err </dev/null
[ $bad = 0 ]
