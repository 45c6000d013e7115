#!/bin/sh
# weft diff: configuration, tasks, results of two runs.
. "$(dirname "$0")/lib.sh"
cp "$here/tiny.yaml" tiny.yaml
last() { ls store/runs | sort | tail -n 1; }

try diff last last; exits "no runs" 2
"$WEFT" run tiny.yaml -q || exit 1; a=$(last)
"$WEFT" run tiny.yaml -q --set lambda=0.1 --set proxies=10 || exit 1; b=$(last)
cp tiny.yaml other.yaml; printf '  more: { uses: synthetic, with: { domain: rings, split: train, per_class: 2, size: 16 } }\n' >>other.yaml
"$WEFT" run other.yaml -q --target more --target seed || exit 1; c=$(last)

try diff "$a" "$a"; exits "itself" 0; prints "itself" '^the runs do not differ: 18 tasks the same$'
try diff "$a" "$b"; exits "diff" 0; [ ! -s err ] || wrong "diff" "says something"
prints "diff" "^- $a  20.* tiny.yaml, ok in "; prints "diff" "^+ $b  20"
sed -n '/^configuration/,/^results/p' out | sed '/^results/d' >got
diff - got <<'T' || wrong "diff" "other differences"
configuration
  set: new: ["lambda=0.1","proxies=10"]
  variable lambda: 0.5 -> 0.1
  variable proxies: 12 -> 10
tasks
  proxy[*], 2 tasks
    param size: 12 -> 10
  unified
    param lambda: 0.5 -> 0.1
  6 tasks differ only through these: expert[blobs], expert[stripes], router, score[blobs], score[stripes], table
  9 the same
T
try diff "$a" "$c"; exits "other file" 0
prints "other file" '^  file: tiny.yaml -> other.yaml$'; prints "other file" '^  text of other.yaml: new: [0-9a-f]\{12\}$'
prints "other file" '^  16 tasks only in the first run: '; prints "other file" '^  1 task only in the second run: more$'
prints "other file" '^  2 the same$'
prints "other file" '^  table  *unified  *Average  *accuracy  *[0-9.]*  *-  *-$'
"$WEFT" run tiny.yaml -q --set seed=2 || exit 1; d=$(last)
try diff "$a" "$d"; prints "results" '^  table  *unified  *Average  *accuracy  *[0-9.]*  *[0-9.]*  *[-+][0-9.e-]*$'
try diff "$a" "$b" --json; cp out ab.json; try diff "$a" "$d" --json; cp out ad.json; try diff "$c" "$b" --json; cp out cb.json
try show table --run "$a" --json; cp out ta.json; try show table --run "$d" --json; cp out td.json
python3 - >out 2>err <<'P' || wrong "JSON" "not as it should be"
import json
def load(name): return json.load(open(name + ".json"))
ab, ad, cb = load("ab"), load("ad"), load("cb")
assert set(ab) == {"before", "now", "configuration", "tasks", "results", "same_results"}
kinds = {t["task"]: t["difference"] for t in ab["tasks"]}
assert len(kinds) == 18 and kinds["unified"] == kinds["proxy[blobs]"] == "changed" and kinds["table"] == "consequence" and kinds["seed"] == "same"
(change,) = [t["changes"] for t in ab["tasks"] if t["task"] == "proxy[blobs]"]
assert change == [{"field": "param size", "before": "12", "now": "10"}], change
rows = lambda name: {(r["system"], r["domain"], r["metric"]): r["value"] for r in load(name)["rows"]}
was, now = rows("ta"), rows("td")
differ = {k for k in was if was[k] != now[k]}
got = {(r["system"], r["domain"], r["metric"]): r for r in ad["results"] if r["task"] == "table"}
assert differ and set(got) == differ, (set(got), differ)
for k, r in got.items():
    assert r["before"] == was[k] and r["now"] == now[k] and abs(r["difference"] - (now[k] - was[k])) < 1e-12
for p in ab, ad:
    assert p["same_results"] + len(p["results"]) == len(was) + 2
kinds = {t["task"]: t["difference"] for t in cb["tasks"]}
assert kinds["more"] == "only before" and kinds["table"] == "only now" and kinds["public"] == "same"
P
# records that are gone say so; runs that failed or hold nothing do no harm
rm -rf store/records
try diff "$a" "$b"; exits "no records" 0; prints "no records" '^  9 tasks differ, without records to say how: '
mkdir store/runs/99990101T000000Z-000
try diff "$a" 9999; exits "empty run" 2
try diff "$a"; exits "one run" 2
"$WEFT" diff "$a" "$b" >/dev/full 2>err; rc=$?; exits "full disk" 1
[ $bad = 0 ]
