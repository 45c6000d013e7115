#!/bin/sh
# resources: timeout and retries. A task past its time is killed; a failed attempt is made again, bad input is not.
. "$(dirname "$0")/lib.sh"
lines() { [ "$(grep -c -- "$2" err)" = "$3" ] || wrong "$1" "not $3 times '$2'"; } # NAME PATTERN COUNT

# `long` never ends by itself
cat >slow.yaml <<'Y'
experiment: slow
vars: { epochs: 10000, timeout: 0.4, retries: 0 }
stages:
  data: { uses: synthetic, with: { domain: public, per_class: 6, size: 16 } }
  long:
    uses: pretrain
    in: { public: data }
    with: { image_size: 16, width: 16, layers: 1, heads: 1, embed: 8, text_width: 8, text_layers: 1, text_heads: 1, epochs: "${epochs}" }
    resources: { cores: 1, timeout: "${timeout}", retries: "${retries}" }
  features: { uses: embedding, in: { model: long, data: data } }
Y
"$WEFT" run slow.yaml --json >out 2>err; exits "timeout" 1 $?
says "timeout" "FAILED long: timed out after 0.4 s"; says "timeout" "error: task 'long': timed out after 0.4 s"
python3 - <<'P' || bad=1
import json
t = {t["task"]: t for t in json.load(open("out"))["tasks"]}
assert [t[n]["state"] for n in ("data", "long", "features")] == ["ran", "failed", "skipped"], t
assert t["long"]["error"] == "timed out after 0.4 s", t["long"]
P

# each attempt has its time; the log of the run has them all
"$WEFT" run slow.yaml --set retries=2 --set timeout=0.3 >out 2>err; exits "retries" 1 $?
says "retries" "^warning: long: attempt 1 of 3 failed: timed out after 0.3 s; trying again$"
says "retries" "^warning: long: attempt 2 of 3 failed: timed out after 0.3 s; trying again$"
lines "retries" "trying again" 2; lines "retries" "start long" 3; lines "retries" "FAILED long: timed out" 1
python3 - <<'P' || bad=1
import glob, json
run = sorted(glob.glob("store/runs/*/events.jsonl"))[-1]
kinds = [e["event"] for e in map(json.loads, open(run)) if e.get("task") == "long"]
kinds = [k for k in kinds if k != "metric"]
assert kinds == ["start", "retry", "start", "retry", "start", "failed"], kinds
P
"$WEFT" run slow.yaml --quiet --set retries=1 --set timeout=0.3 >out 2>err; exits "quiet retries" 1 $?
lines "quiet retries" "trying again" 1

# a worker that something kills: the next attempt makes what the first would have made; nothing of it changes the key
# Sets worker: that of engine $1 that runs task long.
at_work() {
    worker=
    while [ -z "$worker" ]; do
        alive "$1" || { wrong "$name" "the engine is gone"; return 1; }
        for child in $(workers "$1"); do
            case $(readlink "/proc/$child/fd/2" 2>/dev/null) in */long.log) worker=$child ;; esac
        done
    done
}
name="killed once"
"$WEFT" run slow.yaml --json --set epochs=60 --set retries=1 --set timeout=1h >out 2>err & engine=$!
at_work $engine && kill -9 "$worker"; wait $engine; exits "killed once" 0 $?
says "killed once" "attempt 1 of 2 failed: the worker was killed by signal 9"
alive "$worker" && wrong "killed once" "worker lives on"
mv out once.json
"$WEFT" run slow.yaml --json --set epochs=60 >out 2>err; exits "same key" 0 $?
"$WEFT" run slow.yaml --json --set epochs=60 --set timeout=1h --store "$tmp/other" >other.json 2>err; exits "undisturbed" 0 $?
python3 - <<'P' || bad=1
import json
once, again, other = ({t["task"]: t for t in json.load(open(f))["tasks"]} for f in ("once.json", "out", "other.json"))
assert again["long"]["state"] == "hit" and once["long"]["state"] == "ran"
assert once["long"]["outputs"] == other["long"]["outputs"] and once["long"]["key"] == other["long"]["key"]
P

# bad input stays bad, however often it is read
mkdir -p folder/train/class && echo no image >folder/train/class/a.jpg
printf '%s\n' 'experiment: e' 'stages:' '  a: { uses: images, with: { path: folder }, resources: { retries: 3 } }' >bad.yaml
"$WEFT" run bad.yaml >out 2>err; exits "bad input" 2 $?
lines "bad input" "trying again" 0; lines "bad input" "start a" 1

# Ctrl-C is no reason to try again
"$WEFT" run slow.yaml --set retries=5 --set timeout=1 >out 2>err & engine=$!
name=interrupted
at_work $engine && kill -INT $engine; wait $engine; exits "interrupted" 130 $?
lines "interrupted" "trying again" 0
[ $bad = 0 ]
