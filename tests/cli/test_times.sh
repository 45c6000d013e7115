#!/bin/sh
# weft times: the numbers of a run's own account, and what it says of what has not run.
. "$(dirname "$0")/lib.sh"
cp "$here/tiny.yaml" tiny.yaml
try times tiny.yaml; exits "times of nothing" 0; prints "times of nothing" '^| unified | – | not evaluated | – |$'
"$WEFT" run tiny.yaml --json >run.json 2>err || { cat err; exit 1; }
try times tiny.yaml --json; exits "times" 0; cp out times.json
try times tiny.yaml --json --stages merge; exits "times of merge" 0; cp out merge.json
check "times" <<'P'
import json, math
run = {t["task"]: t["seconds"] for t in json.load(open("run.json"))["tasks"]}
def row(file):
    rows = json.load(open(file))["rows"]
    assert len(rows) == 1 and rows[0]["system"] == "unified", rows
    return rows[0]
r = row("times.json")
scores = run["score[stripes]"] + run["score[blobs]"]
assert math.isclose(r["unify_seconds"], run["unified"] + run["router"], rel_tol=1e-3), (r, run)
assert math.isclose(r["samples_per_second"], (32 + 28) / scores, rel_tol=1e-3), (r, scores)
assert r["evaluations"] == 2 and r["missing"] == 0 and 1 <= r["threads"][0] <= r["threads"][1]
assert math.isclose(row("merge.json")["unify_seconds"], run["unified"], rel_tol=1e-3)
P
try times tiny.yaml; exits "times for people" 0; prints "times for people" '^| unified | [0-9.]* | [0-9.]* | [0-9-]* |$'
try times tiny.yaml --set lambda=0.75; prints "another lambda" '^| unified | – | not evaluated | – |$'
try times tiny.yaml --stages merge,rooter; exits "a wrong stage" 2; says "a wrong stage" "no stage 'rooter'"
cat >none.yaml <<'Y'
experiment: none
stages: { a: { uses: synthetic, with: { domain: stripes, per_class: 2, size: 16 } } }
Y
try times none.yaml; exits "nothing is evaluated" 2; says "nothing is evaluated" "'none.yaml' evaluates nothing"
exit $bad
