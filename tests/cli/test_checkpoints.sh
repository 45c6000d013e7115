#!/bin/sh
# States that tasks keep: a run that was killed or interrupted goes on where it was, more epochs go on from fewer, and
# nothing of that changes a bit of a result, nor does a state that is damaged or cannot be kept.
. "$(dirname "$0")/lib.sh"
cat >train.yaml <<'Y'
experiment: train
vars: { epochs: 60, schedule: constant, passes: 1, retries: 0 }
stages:
  data: { uses: synthetic, with: { domain: public, split: train, per_class: 2, size: 16 } }
  client: { uses: synthetic, with: { domain: stripes, split: train, per_class: 20, size: 16 } }
  seed:
    uses: pretrain
    in: { public: data }
    with: { image_size: 16, patch: 8, width: 32, layers: 2, heads: 2, epochs: "${passes}", batch: 16 }
    resources: { cores: 1 }
  expert:
    uses: expert
    in: { model: seed, private: client }
    with: { rank: 4, epochs: "${epochs}", batch: 16, schedule: "${schedule}" }
    resources: { cores: 1, retries: "${retries}" }
  unified: { uses: merge, in: { model: seed, experts: [expert] } }
Y
# "ran 10" of task expert: its state and the pass after which it went on
outcome() { python3 -c 'import json
t = {t["task"]: t for t in json.load(open("out"))["tasks"]}["expert"]
print(t["state"], t.get("resumed", 0))'; }
want() { [ "$(outcome)" = "$2" ] || wrong "$1" "became '$(outcome)', wanted '$2'"; } # NAME "STATE PASS"
run() { # NAME ARGS...: it must succeed
    name=$1; shift
    "$WEFT" run train.yaml --json "$@" >out 2>err; exits "$name" 0 $?
}
same() { digests out | diff "$2" - >diff || wrong "$1" "other digests: $(cat diff)"; } # NAME FILE
# The steps of all states in the store, and the number of states kept so far by the task in the newest run
steps() { find "$WEFT_STORE/checkpoints" -type f 2>/dev/null | sed 's|.*/||' | sort -n | tr '\n' ' '; }
highest() { steps | awk '{ print $NF }'; } # killed between one and the next: both are there
kept() { [ "$(cat "$WEFT_STORE"/runs/*/events.jsonl 2>/dev/null | grep -c '"event":"checkpoint".*expert')" -ge "$1" ]; }
child() { workers "$1" | head -n 1; } # PID
# Begin a run in a fresh store, in the background; its worker of task expert stands still after two passes or more, before
# its last. Sets engine and worker.
catch() { # NAME ARGS...
    name=$1; shift
    for try in 1 2 3 4 5 6 7 8; do
        rm -rf "$WEFT_STORE"
        "$WEFT" run train.yaml --json --checkpoint-every 0 "$@" >out 2>err & engine=$!
        wait_until 20 kept 2; worker=$(child $engine)
        [ -n "$worker" ] && kill -STOP "$worker" 2>/dev/null &&
            [ "$(grep -c '^loss' "$WEFT_STORE"/runs/*/log/expert.log)" -lt 58 ] && return 0
        kill -9 $engine; wait $engine 2>/dev/null
    done
    wrong "$name" "keeps no states, or is too quick"
}
holds() { [ "$(steps)" = "$2" ] || wrong "$1" "the store has states '$(steps)', wanted '$2'"; } # NAME "STEP STEP "

# -- what a run without a stop makes; its states change nothing
WEFT_STORE=$tmp/pure; export WEFT_STORE
run "pure"; want "pure" "ran 0"; digests out >pure.txt; holds "pure" "60 "
WEFT_STORE=$tmp/often
run "often" --checkpoint-every 0; want "often" "ran 0"; same "often" pure.txt; holds "often" "60 "

# -- the engine is killed at some pass: the next run goes on there, with the same result
WEFT_STORE=$tmp/killed
catch "killed"
kill -9 $engine; wait $engine; exits "killed" 137 $?
at=$(highest)
before=$(python3 - "$WEFT_STORE"/checkpoints/*/*/"$at" <<'P'
import json, sys
raw = open(sys.argv[1], "rb").read()
print(json.loads(raw[8:8 + int.from_bytes(raw[4:8], "little")])["seconds"])
P
)
run "killed, again" --checkpoint-every 0
want "killed, again" "ran $at"; same "killed, again" pure.txt; holds "killed, again" "60 "
says "killed, again" "on    expert, after pass $at of 60"; says "killed, again" "ran   expert, .* in all"
cat "$WEFT_STORE"/runs/*/events.jsonl >events
python3 - "$at" "$WEFT_STORE" "$before" <<'P' || bad=1
import glob, json, sys
at, events = int(sys.argv[1]), [json.loads(line) for line in open("events")]
of = [e for e in events if e.get("task") == "expert"]
second = of[next(i for i, e in enumerate(of) if e["event"] == "resumed"):]
assert 2 <= at < 60 and second[0]["step"] == at, (at, second[0])
loss = [e["step"] for e in second if e["event"] == "metric" and e["name"] == "loss"]
assert loss == list(range(at + 1, 61)), loss  # the passes that were left, and no other
ran = next(e for e in second if e["event"] == "ran")
assert ran["resumed"] == at, ran
records = [json.load(open(p)) for p in glob.glob(sys.argv[2] + "/records/*/*")]
record = next(r for r in records if r["task"] == "expert")
assert record["resumed"] == at and all("resumed" not in r for r in records if r is not record)
assert record["seconds"] == ran["seconds"] > float(sys.argv[3]) > 0  # of both runs
P
run "killed, at last"; want "killed, at last" "hit 0"; same "killed, at last" pure.txt

# -- a worker is killed that may try again: it goes on, too
WEFT_STORE=$tmp/retried
catch "retried" --set retries=1
kill -9 "$worker"; wait $engine; exits "retried" 0 $?; same "retried" pure.txt
says "retried" "attempt 1 of 2 failed"; says "retried" "on    expert, after pass"
[ "$(outcome)" != "ran 0" ] || wrong "retried" "began anew"

# -- more epochs go on from fewer; what others may go on from stays
WEFT_STORE=$tmp/raised
run "10 epochs" --set epochs=10; want "10 epochs" "ran 0"; holds "10 epochs" "10 "
run "60 epochs" --checkpoint-every 0; want "60 epochs" "ran 10"; same "60 epochs" pure.txt; holds "60 epochs" "10 60 "
run "12 epochs" --set epochs=12; want "12 epochs" "ran 10"; digests out >twelve.txt; holds "12 epochs" "10 12 60 "
run "4 epochs" --set epochs=4; want "4 epochs" "ran 0"; holds "4 epochs" "4 10 12 60 "
rm -rf "$WEFT_STORE/checkpoints" # nothing depends on them
run "12 epochs again" --set epochs=12; want "12 epochs again" "hit 0"; same "12 epochs again" twelve.txt

# -- a schedule that looks at the end has no use for them
WEFT_STORE=$tmp/cosine
run "cosine 10" --set epochs=10 --set schedule=cosine --checkpoint-every 0; want "cosine 10" "ran 0"; holds "cosine 10" ""
run "cosine" --set schedule=cosine; want "cosine" "ran 0"; digests out >cosine.txt

# -- Ctrl-C once: the task keeps its state and stops; the next run goes on there
for schedule in constant cosine; do
    WEFT_STORE=$tmp/stopped-$schedule
    catch "interrupt" --set schedule=$schedule
    kill -INT $engine; wait_until 5 grep -q "waiting for 1 running task" err || wrong "interrupt" "not taken"
    kill -CONT "$worker"; wait $engine; exits "interrupt" 130 $?
    want "interrupt" "skipped 0"; at=$(highest)
    says "interrupt" "stop  expert, after pass $at of 60"
    [ "$(ls -A "$WEFT_STORE/tmp")" = .lock ] || wrong "interrupt" "left in tmp: $(ls -A "$WEFT_STORE/tmp")"
    "$WEFT" log expert >log 2>err.log && grep -q "^stopped after pass $at" log || wrong "interrupt" "no log: $(cat err.log)"
    grep -q FAILED err && wrong "interrupt" "a failure"
    run "after the interrupt" --set schedule=$schedule; want "after the interrupt" "ran $at"
    [ $schedule = constant ] && same "after the interrupt" pure.txt || same "after the interrupt" cosine.txt
done
holds "after the interrupt" "" # of a schedule that looks at the end

# -- a state that is damaged is none
WEFT_STORE=$tmp/damaged
run "before damage" --set epochs=10
python3 - "$WEFT_STORE"/checkpoints/*/*/10 <<'P'
import os, sys
raw = bytearray(open(sys.argv[1], "rb").read())
os.unlink(sys.argv[1])
raw[len(raw) // 2] ^= 1
open(sys.argv[1], "wb").write(raw)
P
run "damage"; want "damage" "ran 0"; same "damage" pure.txt
ls "$WEFT_STORE"/quarantine/checkpoint-* >/dev/null || wrong "damage" "nothing in quarantine"

# -- states that cannot be kept cost a warning, and nothing else
WEFT_STORE=$tmp/unkept
mkdir "$WEFT_STORE" && echo no folder >"$WEFT_STORE/checkpoints"
run "not kept" --checkpoint-every 0; want "not kept" "ran 0"; same "not kept" pure.txt
says "not kept" "^warning: expert: cannot keep the state after pass 1: "
[ "$(grep -c "expert: cannot keep" err)" = 1 ] || wrong "not kept" "says it more than once"

WEFT_STORE=$tmp/full; export WEFT_STORE # what the task makes fits on the disk, its states, three times as large, do not
run "fits" -t seed --set passes=3; digests out >seed.txt
size=$("$WEFT" export seed seed.out >/dev/null && wc -c <seed.out/model.safetensors)
rm -rf "$WEFT_STORE"
(ulimit -f $((size * 3 / 2 / 512)); exec "$WEFT" run train.yaml --json -t seed --set passes=3 --checkpoint-every 0 >out 2>err)
exits "full disk" 0 $?; same "full disk" seed.txt
says "full disk" "^warning: seed: cannot keep the state after pass 1: .*File too large"
[ "$(grep -c "cannot keep" err)" = 1 ] || wrong "full disk" "says it more than once"

"$WEFT" run train.yaml --checkpoint-every -1 >out 2>err; exits "option" 2 $?
says "option" "checkpoint-every takes a number of seconds from 0 on"
[ $bad = 0 ]
