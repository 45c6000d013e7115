#!/bin/sh
# weft sweep: what points share runs once; kill -9 and the next run goes on to the same table; conditions, drawn points,
# failures; successive halving against an independent ASHA.
. "$(dirname "$0")/lib.sh"

# -- a real pipeline: four points, one seed model a seed, one table
sed 's/^stages:/objective: "score.average, max"\nsweep: { lambda: [0, 1], seed: [0, 1] }\nstages:/' "$here/tiny.yaml" >exp.yaml
try check exp.yaml; exits check 0
prints check '^sweep: 4 points: 72 tasks, of which 41 exist and 31 are shared$'
try plan exp.yaml --sweep; exits "plan --sweep" 0
prints "plan --sweep" '^sweep: 4 points: 72 tasks, of which 41 exist and 31 are shared$'
try sweep exp.yaml --dry-run; exits "dry run" 0
printf 'lambda=0,seed=0\nlambda=0,seed=1\nlambda=1,seed=0\nlambda=1,seed=1\n' | cmp -s - out || wrong "dry run" "other points"
try sweep exp.yaml --out whole; exits sweep 0; cp out table.md
says sweep '^point 4/4  lambda=[01],seed=[01]: score.average 0\.[0-9]*'
check "shared tasks run once" <<'E'
import collections, glob, json
events = [json.loads(l) for l in open(glob.glob('store/runs/*/events.jsonl')[0])]
ran = collections.Counter(e['task'] for e in events if e['event'] == 'ran')
assert len(ran) == 41 and set(ran.values()) == {1}, ran
kinds = collections.Counter(name.split('@')[0].split('[')[0] for name in ran)
# two seeds: seed model, features, relevance, proxies, experts; four points: unified, router, scores, table
assert kinds == {'public': 1, 'client': 2, 'test': 2, 'seed': 2, 'features': 2, 'relevance': 4, 'proxy': 4, 'expert': 4,
                 'unified': 4, 'router': 4, 'score': 8, 'table': 4}, kinds
E
for f in md csv json svg; do [ -s "whole/sweep.$f" ] || wrong sweep "no sweep.$f"; done
cmp -s table.md whole/sweep.md || wrong sweep "stdout is not sweep.md"
python3 -c 'import sys, xml.dom.minidom as x; x.parse("whole/sweep.svg")' || wrong sweep "the picture is no XML"
try sweep exp.yaml --out again; exits "again" 0; says "again" ': 41 tasks: 41 hit in '
diff -r whole again >out || wrong "again" "another table"
try why 'unified@lambda=1,seed=0'; exits "why of a point" 0; prints "why of a point" ' is a hit: '
try show 'table@lambda=1,seed=0'; exits "show of a point" 0

# -- killed half way, in another store; then it goes on and ends alike
: >killed
WEFT_STORE=$tmp/other "$WEFT" sweep exp.yaml >out 2>killed & pid=$!
while kill -0 $pid 2>/dev/null && [ "$(grep -c '\] ran ' killed)" -lt 15 ]; do sleep 0.01; done
kill -9 $pid 2>/dev/null || wrong killed "it was too quick to be killed"
wait $pid 2>/dev/null
WEFT_STORE=$tmp/other "$WEFT" sweep exp.yaml --out resumed >out 2>err || wrong resumed "exit $?"
grep -q ' hit, ' err || wrong resumed "started from nothing"
diff -r whole resumed >out || wrong resumed "another table"

# -- a program of one's own, so that the rest is quick: error = (x - 3)^2 + 1 / epochs
cat >trial.py <<'P'
import json, os, sys
x, y, epochs = float(sys.argv[1]), sys.argv[2], float(sys.argv[3])
if y == 'bad': sys.exit('this one fails')
value = (x - 3) ** 2 + 1 / epochs
rows = [{'system': 's', 'domain': 'd', 'metric': 'error', 'value': value, 'n': 1}]
json.dump({'rows': rows}, open(os.path.join(os.environ['WEFT_OUT_METRICS'], 'metrics.json'), 'w'))
P
cat >own.yaml <<'Y'
experiment: own
vars: { x: 1, y: a, epochs: 1 }
stages:
  trial:
    uses: command
    outputs: { metrics: metrics }
    with: { argv: [python3, "{file:trial.py}", "${x}", "${y}", "${epochs}"], files: [trial.py] }
objective: "trial.error, min"
Y
sweep() { cat own.yaml; echo "sweep: $1"; [ -z "${2:-}" ] || echo "search: $2"; } # AXES SEARCH
points() { sweep "$@" >s.yaml; try sweep s.yaml --dry-run; [ "$rc" = 0 ] || wrong "$*" "exit $rc"; }
is() { # EXPECTED (words): the points
    [ "$(tr '\n' ' ' <out)" = "$1 " ] || wrong "points" "not $1"
}
sweep '{ x: [1, 2.5] }' >s.yaml
try sweep s.yaml -q; exits "a value with a dot" 0
try show 'trial@x=2.5' --json; exits "show of a name with a dot" 0; prints "show of a name with a dot" '"value": 1.25'
try export 'trial@x=2.5.metrics' dotted; exits "export of its output" 0; [ -s dotted/metrics.json ] || wrong dotted "no file"
points '{ x: { range: [0, 0.5, 0.1] } }'; is 'x=0 x=0.1 x=0.2 x=0.3 x=0.4 x=0.5'
points '{ x: { range: [5, 1, -2] } }'; is 'x=5 x=3 x=1'
points '{ x: { logrange: [0.001, 1, 4] } }'; is 'x=0.001 x=0.01 x=0.1 x=1'
points '{ x: [1, 2], y: [a, b] }' '{ method: zip }'; is 'x=1,y=a x=2,y=b'
points '{ "x, y": [[1, a], [2, b]], epochs: [1, 2] }'
is 'x=1,y=a,epochs=1 x=1,y=a,epochs=2 x=2,y=b,epochs=1 x=2,y=b,epochs=2'
points '{ x: [1, 2, 3], y: [a, b] }' '{ where: ["x >= 2 and not (y == '"'b'"')", "x * 2 != 6 or epochs > 1"] }'; is 'x=2,y=a'
points '{ x: { uniform: [0, 1] }, y: [a, b], epochs: { integer: [1, 4] } }' '{ method: random, count: 50, seed: 7 }'
cp out drawn; points '{ x: { uniform: [0, 1] }, y: [a, b], epochs: { integer: [1, 4] } }' '{ method: random, count: 50, seed: 7 }'
cmp -s out drawn || wrong "random" "not the same twice"
points '{ x: { uniform: [0, 1] }, y: [a, b], epochs: { integer: [1, 4] } }' '{ method: random, count: 50, seed: 8 }'
cmp -s out drawn && wrong "random" "the seed does not count"
points '{ x: { uniform: [0, 1] }, epochs: { integer: [1, 20] } }' '{ method: lhs, count: 20 }'; cp out lhs
check "one point a stratum" <<'E'
points = [dict(kv.split('=') for kv in l.strip().split(',')) for l in open('lhs')]
assert sorted(int(float(p['x']) * 20) for p in points) == list(range(20)), points
assert sorted(int(p['epochs']) for p in points) == list(range(1, 21)), points
E

try sweep exp.yaml --dry-run --set seed=5; exits "an axis fixed" 0
printf 'lambda=0\nlambda=1\n' | cmp -s - out || wrong "an axis fixed" "other points"

# -- what is wrong is said, all of it, where it is
refused() { sweep "$2" "${3:-}" >s.yaml; try check s.yaml; exits "$2" 2; says "$2" "$1"; }
refused "s.yaml:9:10: error: the experiment has no variable 'xx' to sweep; did you mean 'x'?" '{ xx: [1] }'
refused "error: this range never gets from 1 to 3 in steps of -1" '{ x: { range: [1, 3, -1] } }'
refused "error: a sweep has no 'rang'; did you mean 'range'?" '{ x: { rang: [1, 3, 1] } }'
refused "error: 'x' has a whole interval: give values" '{ x: { uniform: [0, 1] } }'
refused "error: a zip needs lists of equal length: 'y' has 1 values, 'x' 2" '{ x: [1, 2], y: [a] }' '{ method: zip }'
refused "error: method random needs a count" '{ x: [1, 2] }' '{ method: random }'
refused "error: none of the sweep's 2 points is allowed by 'where'" '{ x: [1, 2] }' '{ where: ["x > 2"] }'
refused 'error: condition "z > 2": unknown variable .z.' '{ x: [1, 2] }' '{ where: ["z > 2"] }'
refused 'error: condition "x >": something is missing at its end' '{ x: [1, 2] }' '{ where: ["x >"] }'
refused "error: the sweep has 1000000 points: at most 10000" '{ x: { range: [1, 1000, 1] }, epochs: { range: [1, 1000, 1] } }'
refused "error: 'epochs' is swept already" '{ epochs: [1, 2] }' '{ halving: { over: epochs, rungs: [1, 2] } }'
{ cat own.yaml; echo 'search: { method: lhs }'; } >s.yaml
try check s.yaml; exits "search alone" 2; says "search alone" "'search:' belongs to a sweep, and the file has none"
sed '/^objective/d' own.yaml >plain.yaml
try sweep plain.yaml; exits "no sweep" 2; says "no sweep" "the file has no 'sweep:'"
{ sed 's/trial.error, min/trail.error, min/' own.yaml; echo 'sweep: { x: [1] }'; } >s.yaml
try check s.yaml; exits objective 2; says objective "objective: there is no 'trail' in stages:; did you mean 'trial'?"
sed 's/^stages:/sweep: { lambda: [0, 7] }\nstages:/' "$here/tiny.yaml" >s.yaml
try check s.yaml; exits "bad value" 2; says "bad value" "'lambda' must be a number between 0 and 1, not 7"
says "bad value" "^s.yaml:4:10: note: at the sweep's point lambda=7$"

# -- a point that fails costs that point, with --keep-going
sweep '{ x: [2, 3], y: [a, bad] }' >s.yaml
try sweep s.yaml --keep-going --json; exits "failure" 1; says failure '^point ./4  x=2,y=bad: FAILED$'; cp out failed.json
check failure <<'E'
import json
points = json.load(open('failed.json'))['points']
assert [p['state'] for p in points] == ['done', 'failed', 'done', 'failed'], points
assert [p['objective'] for p in points] == [2.0, None, 1.0, None] and [p['rank'] for p in points][::2] == [2, 1], points
E

# -- successive halving: 9 trials, rungs 1 2 4 8; decisions and epochs as ASHA makes them
sweep '{ x: [0, 6, 1, 5, 2, 4, 3, 7, 8] }' '{ halving: { over: epochs, rungs: [1, 2, 4, 8], keep: 0.5 } }' >asha.yaml
try sweep asha.yaml --json; exits asha 0; says asha ' ran, [0-9]* paused in '; cp out asha.json
cat >asha.py <<'E'
# ASHA (Li et al. 2020), written from the paper: replay the completions, compare each promotion and the work done.
import json, math, sys
rungs, keep = [1, 2, 4, 8], 0.5
got = json.load(open(sys.argv[1]))
done = [{} for _ in rungs]; promoted = [set() for _ in rungs]
epochs = 0
for d in got['decisions']:
    done[d['rung']][d['point']] = d['value']
    epochs += rungs[d['rung']] - (rungs[d['rung'] - 1] if d['rung'] else 0)
    expected = []
    while True:
        for k in range(len(rungs) - 2, -1, -1):
            top = sorted(done[k], key=lambda t: (done[k][t], t))[:math.floor(len(done[k]) * keep)]
            able = [t for t in top if t not in promoted[k]]
            if able:
                promoted[k].add(able[0]); expected.append({'point': able[0], 'rung': k + 1}); break
        else:
            break
    assert d['promoted'] == expected, (d, expected)
ran = len(got['decisions'])
assert ran == sum(len(r) for r in done)
reached = [max(k for k in range(4) if p in done[k]) for p in range(9)]
assert [p['rung'] for p in got['points']] == reached, (reached, got['points'])
print(epochs, [len(r) for r in done])
E
python3 asha.py asha.json >out 2>err || wrong "ASHA" "decisions differ"
try sweep asha.yaml --json; exits "ASHA again" 0; cp out asha.json # hits come in another order: others may go on
python3 asha.py asha.json >out 2>err || wrong "ASHA again" "decisions differ"
sed 's/keep: 0.5/keep: 0.5, wait: true/' asha.yaml >sha.yaml
try sweep sha.yaml --json; exits "halving that waits" 0; cp out sha.json
check "halving that waits: 9, 4, 2, 1" <<'E'
import json
points = json.load(open('sha.json'))['points']
assert sorted((p['rung'] for p in points), reverse=True) == [3, 2, 1, 1, 0, 0, 0, 0, 0], points
best = max(points, key=lambda p: p['rung'])
assert best['values'] == {'x': 3} and best['rank'] == 1, best
E
sed 's/keep: 0.5, wait: true/keep: 0.75, wait: true/' sha.yaml >more.yaml # paused trials go on later
try sweep more.yaml --json; exits "more go on" 0; says "more go on" ' hit, [0-9]* ran, [0-9]* paused in '
exit $bad
