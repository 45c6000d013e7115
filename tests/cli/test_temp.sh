#!/bin/sh
# temp: true: content goes once all that needs it is done, and comes back only for a task that has to run.
. "$(dirname "$0")/lib.sh"

cat >exp.yaml <<'Y'
experiment: temp
vars: { word: one, end: x }
stages:
  first:  { uses: command, temp: true, with: { argv: ["sh", "-c", "echo ${word} >$WEFT_OUT_A/f"] }, outputs: { a: files } }
  second: { uses: command, temp: true, in: { x: first }, with: { argv: ["sh", "-c", "cat $WEFT_IN_X/f >$WEFT_OUT_B/f; echo 2 >>$WEFT_OUT_B/f"] }, outputs: { b: files } }
  third:  { uses: command, in: { x: second }, with: { argv: ["sh", "-c", "cat $WEFT_IN_X/f >$WEFT_OUT_C/f; echo ${end} >>$WEFT_OUT_C/f"] }, outputs: { c: files } }
  last:   { uses: command, temp: true, in: { x: third }, with: { argv: ["sh", "-c", "cp $WEFT_IN_X/f $WEFT_OUT_D/f"] }, outputs: { d: files } }
Y
objects() { find store/objects -type f | wc -l; }
freed() { grep -l '"freed": true' -r store/records | wc -l; }

try run exp.yaml --json; exits run 0
became run "first=ran last=ran second=ran third=ran"
[ "$(objects)" = 1 ] || wrong run "$(objects) objects are left, wanted 1 (third and last have the same content)"
[ "$(freed)" = 2 ] || wrong run "$(freed) records are freed, wanted those of first and second"
grep -h '"freed"' store/runs/*/events.jsonl | grep -c '"first"\|"second"' >count
[ "$(cat count)" = 2 ] || wrong run "the run's log does not tell what was freed"
find store/hot -type f | wc -l >count
[ "$(cat count)" -le 1 ] || wrong run "plain files of what was freed are left"

# All there: nothing runs, nothing is needed.
try run exp.yaml --json; exits again 0
became again "first=hit last=hit second=hit third=hit"

# Another end needs second, which needs first.
try run exp.yaml --set end=y --json; exits needed 0
became needed "first=ran last=ran second=ran third=ran"
[ "$(freed)" = 2 ] || wrong needed "$(freed) records are freed after all"
try export third third.out; exits needed 0
printf 'one\n2\ny\n' | same needed third.out/f

# A target's content stays; that of what it needs goes.
try run exp.yaml --set word=two --target second --json; exits target 0
try export second second.out; exits target 0
printf 'two\n2\n' | same target second.out/f
try export first first.out
[ $rc != 0 ] || wrong target "the content of first is still there"

try run exp.yaml --set word=six --target second --target third; exits targets 0
try export second both.out; exits targets 0

# Without its consumer's success it stays.
sed 's/cat .*OUT_B/exit 3; &/' exp.yaml >fails.yaml
try run fails.yaml --set word=three --json; exits failed 1
try export first three.out; exits failed 0
printf 'three\n' | same failed three.out/f

# A pin keeps it.
try run exp.yaml --set word=pinned --target first --json; exits pinned 0
"$WEFT" cache pin "$(python3 -c 'import json; print(json.load(open("out"))["run"])')" --name kept >pin.out || wrong pinned "cannot pin"
try run exp.yaml --set word=pinned; exits pinned 0
try export first pinned.out; exits pinned 0
printf 'pinned\n' | same pinned pinned.out/f
"$WEFT" cache unpin kept

# A task of the same key that is not temporary keeps it.
sed 's/^  third/  twin: { uses: command, with: { argv: ["sh", "-c", "echo ${word} >$WEFT_OUT_A\/f"] }, outputs: { a: files } }\n&/' exp.yaml >twin.yaml
try run twin.yaml --set word=four --json; exits twin 0
try export twin twin.out; exits twin 0
printf 'four\n' | same twin twin.out/f

# Words that are no booleans.
sed 's/temp: true, with/temp: yes, with/' exp.yaml >bad.yaml
try check bad.yaml; exits bad 2; says bad 'bad.yaml:4:.*temp: takes true or false'
exit $bad
