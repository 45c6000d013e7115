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
exit $bad
