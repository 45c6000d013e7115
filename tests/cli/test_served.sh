#!/bin/sh
# Short programs take turns in one worker: each has a log, a peak of memory and an end of its own, and a worker that worked
# long, failed or died serves no other. A program without outputs passes or fails.
. "$(dirname "$0")/lib.sh"
# chain NAME SCRIPT...: tasks t1, t2, ... one after the other; $0 is the file for what one says
chain() {
    echo "experiment: $1"; echo "stages:"; shift
    n=0
    for script; do
        n=$((n + 1))
        printf '  t%d:\n    uses: command\n    outputs: { o: files }\n' $n
        [ $n = 1 ] || printf '    in: { before: t%d }\n' $((n - 1))
        printf "    with: { argv: [sh, -c, '%s', \"{out:o}/x\"] }\n    resources: { cores: 1 }\n" "$script"
    done
}
worker() { "$WEFT" export "$1" "got.$1" >/dev/null 2>err && cat "got.$1/x"; } # TASK whose file holds $PPID

# -- one worker for all of them, and another where one took long
chain turns 'echo $PPID >"$0"; echo first' 'echo $PPID >"$0"; echo second' 'echo $PPID >"$0"; sleep 0.4' \
    'echo $PPID >"$0"' >turns.yaml
try run turns.yaml --cores 1; exits turns 0
for i in 1 2 3 4; do eval "w$i=\$(worker t$i)"; done
[ "$w1" = "$w2" ] && [ "$w2" = "$w3" ] || wrong turns "workers $w1, $w2 and $w3 in place of one"
[ -n "$w4" ] && [ "$w3" != "$w4" ] || wrong turns "worker $w4 went on after a long task"
try log t1; prints "its log" first
try log t2; prints "its log" second; grep -q first out && wrong "its log" "has what another said"

# -- one that fails, and one that ends its worker: the others run all the same
cat >ends.yaml <<'Y'
experiment: ends
stages:
  a: { uses: command, outputs: {}, with: { argv: [sh, -c, "exit 3"] }, resources: { cores: 1 } }
  b: { uses: command, outputs: {}, with: { argv: [sh, -c, "kill -9 $PPID; sleep 9"] }, resources: { cores: 1 } }
  c: { foreach: [1, 2, 3, 4], uses: command, outputs: {}, with: { argv: ["true", "${item}"] }, resources: { cores: 1 } }
Y
try run ends.yaml --cores 1 --keep-going --json; exits ends 1
became ends "a=failed b=failed c[1]=ran c[2]=ran c[3]=ran c[4]=ran"
says ends "exit status 3"; says ends "killed by signal 9"

# -- without outputs that it passed is what is kept
try run ends.yaml --cores 1 --keep-going --json; exits again 1
became again "a=failed b=failed c[1]=hit c[2]=hit c[3]=hit c[4]=hit"

try export 'c[1]' made; exits "no outputs" 2; says "no outputs" "it has no outputs: it only passes or fails"
[ -e made ] && wrong "no outputs" "left a folder"
cat >needs.yaml <<'Y'
experiment: needs
stages:
  c: { uses: command, outputs: {}, with: { argv: ["true"] } }
  d: { uses: command, outputs: {}, in: { x: c }, with: { argv: ["true", "{in:x}"] } }
Y
try check needs.yaml; exits "no output to take" 2; says "no output to take" "'c' has no outputs, and input 'x' of stage command needs one"

# -- what one held is not put down to the next
cat >peak.yaml <<'Y'
experiment: peak
stages:
  big:
    uses: command
    outputs: { o: files }
    with: { argv: [python3, -c, "import sys; b = bytearray(300 << 20); open(sys.argv[1] + '/x', 'w')", "{out:o}"] }
    resources: { cores: 1 }
  small: { uses: command, in: { big: big }, outputs: {}, with: { argv: ["true"] }, resources: { cores: 1 } }
Y
try run peak.yaml --cores 1 --json; exits peak 0; cp out result
check peak <<'P'
import json
peak = {t["task"]: t["peak_rss"] for t in json.load(open("result"))["tasks"]}
assert peak["big"] > 300 << 20 and 0 < peak["small"] < 150 << 20, peak
P

# -- a job ahead. each NAME CORES SCRIPT: tasks q[01] to q[40], of which each runs the script with its number as $1
each() {
    cat >"$1.yaml" <<Y
experiment: $1
stages:
  q:
    foreach: [$(seq -s ', ' -f '"%02g"' 40)]
    uses: command
    outputs: {}
    with: { argv: [sh, -c, '$3', sh, "\${item}", "$tmp/$1.did"] }
    resources: { cores: 1${4-} }
Y
    : >"$1.did"
    WEFT_STORE=$tmp/store.$1
    try run "$1.yaml" --cores "$2" --keep-going --json
}
ran() { sort "$1.did" | tr '\n' ' '; } # NAME: what they wrote
all=$(seq -s ' ' -f '%02g' 40)' '
events() { cat "$tmp/store.$1"/runs/*/events.jsonl; }

# quick ones that follow one another: each is told to start once another has ended, and no two hold one core at a time
each quick 2 'echo $1 >>$2'; exits quick 0
[ "$(ran quick)" = "$all" ] || wrong quick "did $(ran quick)"
events quick >log; check quick <<'P'
import json
events = [json.loads(l) for l in open("log")]
at = [e["at"] for e in events]
assert at == sorted(at), at
busy, since = {}, {}
for e in events:
    if e["event"] == "start":
        assert e["cpuset"] not in busy.values(), e
        busy[e["task"]] = e["cpuset"]
        since[e["task"]] = e["at"]
    elif e["event"] == "ran":
        del busy[e["task"]]
        assert e["at"] >= since[e["task"]]
assert len(since) == 40 and not busy
P
cp "$tmp"/store.quick/runs/*/trace.json trace; check "quick: trace" <<'P'
import json
bars = [e for e in json.load(open("trace"))["traceEvents"] if e["ph"] == "X"]
assert len(bars) == 40
for lane in {b["tid"] for b in bars}:
    at = sorted((b["ts"], b["ts"] + b["dur"]) for b in bars if b["tid"] == lane)
    assert all(a[1] <= b[0] for a, b in zip(at, at[1:])), at
P

# nothing waits behind one that takes long while there is room
each long 2 'echo $1 >>$2; [ $1 != 20 ] || sleep 2'; exits long 0
[ "$(ran long)" = "$all" ] || wrong long "did $(ran long)"
events long >log; check long <<'P'
import json
ran = [e["task"] for e in map(json.loads, open("log")) if e["event"] == "ran"]
assert ran[-1] == "q[20]" and len(ran) == 40, ran
P

# one that fails, one that ends its worker, one past its time: all others run, each once
each fails 1 'echo $1 >>$2; [ $1 != 20 ] || exit 3; [ $1 != 25 ] || { kill -9 $PPID; sleep 9; }; [ $1 != 30 ] || sleep 9' ', timeout: 0.4'
exits fails 1; [ "$(ran fails)" = "$all" ] || wrong fails "did $(ran fails)"
[ "$(states | tr ' ' '\n' | grep -vc '=ran$')" = 3 ] || wrong fails "$(states)"
for t in 20 25 30; do states | grep -q "q\[$t\]=failed" || wrong fails "q[$t] has not failed"; done
says fails "exit status 3"; says fails "killed by signal 9"; says fails "timed out after 0.4 s"

# the first failure is the end, unless told otherwise: nothing begins that waited behind another
WEFT_STORE=$tmp/store.stops; : >fails.did
try run fails.yaml --cores 1 --json; exits stops 1
[ "$(ran fails)" = "$(seq -s ' ' -f '%02g' 20) " ] || wrong stops "did $(ran fails)"

# nor what waited behind one that goes on
sed 's/experiment: fails/experiment: beside/; s/exit 3/{ sleep 0.01; exit 3; }/; s/\[ $1 != 25 \].*sleep 9/[ $1 -le 20 ] || sleep 0.4/; s/, timeout: 0.4//' fails.yaml >beside.yaml
WEFT_STORE=$tmp/store.beside; : >fails.did
try run beside.yaml --cores 2 --json; exits beside 1
[ "$(ran fails | wc -w)" -le 21 ] || wrong beside "did $(ran fails)"

# neither does anything after an interrupt; the next run does the rest
sed 's/sleep 9/sleep 0.5/g; s/, timeout: 0.4//; s/exit 3/sleep 1/; s/kill -9 $PPID/:/' fails.yaml >stopped.yaml
WEFT_STORE=$tmp/store.stopped; : >fails.did
"$WEFT" run stopped.yaml --cores 1 -q >out 2>err & engine=$!
wait_until 20 grep -q 20 fails.did || wrong stopped "did not come to the long one"
kill -INT $engine; wait $engine; exits stopped 130 $?; says stopped interrupted
[ "$(ran fails)" = "$(seq -s ' ' -f '%02g' 20) " ] || wrong stopped "did $(ran fails)"
try run stopped.yaml --cores 1 -q; exits "the rest" 0
[ "$(ran fails)" = "$all" ] || wrong "the rest" "did $(ran fails)"
exit $bad
