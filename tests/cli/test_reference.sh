#!/bin/sh
# reference: numbers beside the measured ones in `weft show`; never part of a key.
. "$(dirname "$0")/lib.sh"
cat >plain.yaml <<'Y'
experiment: numbers
stages:
  data: { uses: synthetic, with: { domain: public, per_class: 1, size: 16 } }
  seed:
    uses: pretrain
    in: { public: data }
    with: { image_size: 16, width: 16, layers: 1, heads: 1, embed: 8, text_width: 8, text_layers: 1, text_heads: 1, epochs: 1 }
  score: { foreach: [b, a], uses: evaluate, in: { model: seed, data: data }, with: { system: zero-shot, domain: "${item}" } }
  table: { uses: table, in: { scores: "score[*]" } }
Y
"$WEFT" run plain.yaml --json >plain.json 2>err; exits "plain" 0 $?
"$WEFT" show table >plain.md 2>err; exits "show plain" 0 $?
"$WEFT" show table --json >table.json 2>err; exits "show plain as data" 0 $?
cat - plain.yaml >paper.yaml <<'Y'
reference:
  - name: paper, table 2
    source: "arXiv 1234"
    rows: { zero-shot: { a: 85.5, x|y: 1, b: 5, Average: 70.25 }, unified: { b: 90 } }
  - { name: other, rows: { nobody: { a: 1 } } }
Y
"$WEFT" run paper.yaml --json >out 2>err; exits "paper" 0 $?
python3 - <<'P' || bad=1
import json
plain, paper = ({t["task"]: t for t in json.load(open(f))["tasks"]} for f in ("plain.json", "out"))
assert all(t["state"] == "hit" and t["key"] == plain[n]["key"] for n, t in paper.items()), paper
P
"$WEFT" show table >out 2>err; exits "show" 0 $?
python3 - <<'P' || bad=1
import json
rows = {(r["system"], r["domain"]): 100 * r["value"] for r in json.load(open("table.json"))["rows"]}
assert sorted(d for _, d in rows) == ["Average", "a", "b"], rows
diff = lambda domain, number: "%+.2f" % (rows["zero-shot", domain] - number)
want = open("plain.md").read() + f"""
paper, table 2 (arXiv 1234): reference (measured minus reference)

| system | b | a | Average | x\\|y |
|---|---:|---:|---:|---:|
| zero-shot | 5 ({diff("b", 5)}) | 85.5 ({diff("a", 85.5)}) | 70.25 ({diff("Average", 70.25)}) | 1 |
| unified | 90 | – | – | – |

other: reference (measured minus reference)

| system | a |
|---|---:|
| nobody | 1 |
"""
got = open("out").read()
assert got == want, got
P
"$WEFT" show table --json >out 2>err; exits "show as data" 0 $?
python3 - <<'P' || bad=1
import json
plain, r = json.load(open("table.json")), json.load(open("out"))
reference = r.pop("reference")
assert r == plain
assert [(x["name"], x.get("source")) for x in reference] == [("paper, table 2", "arXiv 1234"), ("other", None)]
a, xy, b, average, unified = reference[0]["rows"]
value = next(x["value"] for x in plain["rows"] if x["domain"] == "a")
assert a == {"system": "zero-shot", "domain": "a", "reference": 85.5, "measured": 100 * value, "difference": 100 * value - 85.5}, a
assert xy == {"system": "zero-shot", "domain": "x|y", "reference": 1.0}, xy
P
# an older run has the numbers that it had; another output has none
"$WEFT" show table --run "$(ls store/runs | head -n 1)" >out 2>err; exits "older run" 0 $?
cmp out plain.md || bad=1
"$WEFT" show 'score[a]' >out 2>err; exits "metrics" 0 $?
grep -q reference out && { echo "metrics: reference"; bad=1; }
[ $bad = 0 ]
