#!/bin/sh
# weft status and weft log -f: of a run at work, one that ended, one that was killed.
. "$(dirname "$0")/lib.sh"
until_true() { n=600; until eval "$1"; do n=$((n - 1)); [ $n -gt 0 ] || { wrong "$1" "does not come true"; kill -9 "$engine" 2>/dev/null; exit 1; }; sleep 0.02; done; }

try status; exits "empty" 0; prints "empty" '^no run is at work$'
try status --json; tr -d ' \n' <out | grep -q '^{"newest":null,"runs":\[\]}$' || wrong "empty" "JSON"
try log slow -f; exits "log, empty" 2; says "log, empty" "no task 'slow'"

# -- at work: a task that would take long, after a short run that left its times
"$WEFT" run "$here/slow.yaml" -q --set epochs=50 2>err || wrong "a short run" "exit $?"
mv store/runs store/earlier; mkdir store/runs
"$WEFT" run "$here/slow.yaml" -q --set epochs=10000 2>/dev/null & engine=$!
until_true '"$WEFT" status 2>/dev/null | grep -q "^  slow .*steps"'
run=$(ls store/runs)
try status; exits "at work" 0
prints "at work" "^$run  slow  at work for .* (pid $engine on .*): 4 of 6 tasks, 4 hit, 1 of [0-9]* cores* in use, about .* left$"
prints "at work" '^  slow  .* on cores [0-9]*, .*% ([0-9]*/10000 steps), last progress .* ago$'
try status --json; cp out status.json
"$WEFT" log slow -f >followed 2>err.follow & follower=$!
"$WEFT" log features -f >/dev/null 2>err.waits & waiter=$!
until_true '[ -s followed ] && [ -s err.waits ]'
try log slow; exits "log" 0; says "log" "^slow start at 20.*, run $run$\|^slow running at 20.*, run $run$"
try log slow -n 1; [ "$(wc -l <out)" -le 2 ] || wrong "log -n" "more than the last line"
kill -0 $follower || wrong "log -f" "does not follow"
cp err.waits err; says "log -f of what waits" "features has not begun in run $run; waiting"
"$WEFT" status --watch >watched & watcher=$!
TERM=xterm script -qefc "'$WEFT' status --watch" seen >/dev/null 2>&1 & viewer=$!
until_true 'grep -q steps watched && { [ "$(grep -c "steps" seen)" -ge 2 ] || ! kill -0 $viewer; }'
kill -TERM $engine; wait $engine
wait $watcher; rc=$?; cp watched out; exits "watch" 0; prints "watch" "^no run is at work; the newest, $run of slow, "
grep -q "$(printf '\033')" watched && wrong "watch" "control sequences where there is no terminal"
if command -v script >/dev/null; then
    wait $viewer; rc=$?; cp seen out; exits "watch on a terminal" 0; prints "watch on a terminal" "no run is at work; the newest"
    grep -q "$(printf '\033\\[2J')" seen && wrong "watch on a terminal" "clears the screen, which flickers"
fi
wait $follower; rc=$?; cp err.follow err; exits "log -f" 0
"$WEFT" log slow >whole 2>err; says "log of what was stopped" "slow was cut off, begun at\|slow failed at"
cmp followed whole || wrong "log -f" "is not what the log has"
wait $waiter; rc=$?; cp err.waits err; exits "log -f of what never began" 1; says "log -f of what never began" "and task 'features' had no worker"
[ ! -e "store/runs/$run/status.json" ] || wrong "ended" "status.json is still there"
try status; exits "ended" 0; prints "ended" "^no run is at work; the newest, $run of slow, 20.*: interrupted in "
run=$run engine=$engine python3 - >out 2>err <<'P' || wrong "JSON" "not as it should be"
import json, os
s = json.load(open("status.json"))
(r,) = s["runs"]
assert s["newest"] is None and r["run"] == os.environ["run"] and r["pid"] == int(os.environ["engine"])
assert r["finished"] == 4 and r["count"] == 6 and r["hit"] == 4 and r["ran"] == r["failed"] == 0 and r["left"] > 0
(t,) = r["tasks"]
assert t["task"] == "slow" and t["stage"] == "pretrain" and t["cores"] == 1 and t["node"] == "" and t["total"] == 10000 and t["unit"] == "steps"
assert 0 < t["done"] < t["total"] and 0 <= t["silent"] <= t["seconds"] <= r["seconds"]
P

# -- killed: its status.json lies about, and nobody believes it
"$WEFT" run "$here/slow.yaml" -q --set epochs=10000 2>/dev/null & engine=$!
until_true '[ -e store/runs/*-00[0-9]/status.json ] 2>/dev/null'
kill -9 $engine; wait $engine 2>/dev/null
try status; exits "killed" 0; prints "killed" '^no run is at work; the newest, .* of slow, .*: unfinished in '
try log slow -f; exits "log of a killed run" 0; says "log of a killed run" "^slow was cut off, begun at 20"

# -- done: -f comes back at once, lines are counted from the end
"$WEFT" run "$here/slow.yaml" -q --set epochs=20 || exit 1
"$WEFT" log slow -f >whole 2>err; says "done" "^slow ran at "
[ "$(wc -l <whole)" -gt 3 ] || wrong "done" "too short a log for this test"
for n in 0 1 3 100000; do "$WEFT" log slow -n $n >out 2>err; tail -n $n whole | cmp - out || wrong "-n $n" "not the last lines"; done
try log slow -n -1; exits "-n -1" 2
try log slow --run last; exits "--run last" 0
try status extra; exits "argument" 2
"$WEFT" status >/dev/full 2>err; rc=$?; exits "full disk" 1
[ $bad = 0 ]
