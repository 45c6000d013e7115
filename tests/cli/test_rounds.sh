#!/bin/sh
# Rounds on the command line: examples/comigs.yaml, more rounds from fewer, a run that is stopped between rounds, and what
# may not leave a client.
. "$(dirname "$0")/lib.sh"
example=$here/../../examples/comigs.yaml
counts() { python3 -c 'import json, sys, collections
r = json.load(open("out")); print(" ".join("%s=%d" % kv for kv in sorted(collections.Counter(t["state"] for t in r["tasks"]).items())))'; }
ran() { python3 -c 'import json
print(" ".join(t["task"] for t in json.load(open("out"))["tasks"] if t["state"] == "ran"))'; }
is() { [ "$2" = "$3" ] || wrong "$1" "'$2', wanted '$3'"; } # NAME GOT WANTED
small="--set clients=[stripes,blobs]"

# -- two rounds, then one more: the first two stand
try run "$example" $small --set rounds=2 --json
exits "two rounds" 0
is "two rounds" "$(counts)" "ran=19"
try run "$example" $small --set rounds=3 --json
exits "one more" 0
is "one more" "$(ran)" "local[stripes,3] local[blobs,3] average[3] final[stripes] final[blobs] score[stripes] score[blobs] table"
cp out whole
try run "$example" $small --set rounds=3 --json
is "again" "$(counts)" "hit=22"
try show table
prints "table" "CoMiGS"

# -- what the third round is does not depend on how many there are, nor on a stop after the first average
WEFT_STORE=$tmp/other; export WEFT_STORE
"$WEFT" run "$example" $small --target 'average[3]' --json >out 2>err & run=$!
wait_until 60 grep -q 'ran *average\[1\]' err && kill -INT $run
wait $run; rc=$?
exits "stopped" 130
try run "$example" $small --target 'average[3]' --json
exits "continued" 0
grep -q hit out && grep -q ran out || wrong "continued" "nothing of the stopped run was used, or nothing was left"
digests whole >want
digests >got
[ "$(wc -l <got)" = 13 ] || wrong "continued" "$(wc -l <got) tasks"
grep -vxFf want got && wrong "continued" "these differ from a run without a stop"
WEFT_STORE=$tmp/store; export WEFT_STORE

# -- a client's model is not for other clients' data, nor for anybody's disk
sed 's/data: "test\[${item}\]" }$/data: "test[blobs]" }/' "$example" >leak.yaml
try check leak.yaml $small
exits "another client's images" 2
says "another client's images" "'score\[stripes\]' would see private data of 'blobs' and of 'stripes'"
sed 's/state: "local\[${item},${previous}\]"/state: "local[blobs,${previous}]"/' "$example" >mixed.yaml
try check mixed.yaml $small
exits "another client's state" 2
says "another client's state" "'local\[stripes,2\]' would see private data of 'blobs' and of 'stripes'"
try export 'local[blobs,1].model' to
[ $rc != 0 ] || wrong "export" "a client's model leaves"
try audit "$example" $small --set rounds=2
prints "audit" 'leaves   local\[blobs,2\].generalist .* LoRA weights of the generalist'
! grep -q 'leaves.*\.model' out || wrong "audit" "a client's model leaves"
exit $bad
