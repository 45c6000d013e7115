#!/bin/sh
# weft history: runs that ended well, failed, were interrupted or killed; their counts; limits.
. "$(dirname "$0")/lib.sh"

try history; exits "empty store" 0; [ ! -s out ] || wrong "empty store" "prints"
try history --json; exits "empty store" 0; tr -d ' \n' <out | grep -q '^{"runs":\[\]}$' || wrong "empty store" "JSON"

cat >data.yaml <<'Y'
experiment: data
vars: { folder: . }
stages:
  a: { uses: synthetic, with: { domain: public, split: train, per_class: 1, size: 16 } }
  b: { uses: synthetic, with: { domain: blobs, split: train, per_class: 1, size: 16 } }
  seed:
    uses: pretrain
    in: { public: a }
    with: { image_size: 16, patch: 8, width: 16, layers: 1, heads: 1, embed: 8, text_width: 8, text_layers: 1,
            text_heads: 1, epochs: 1 }
Y
sed '$ s/$/\n  no: { uses: model, with: { path: empty } }\n  after: { uses: embedding, in: { model: no, data: a } }/' data.yaml >fails.yaml
mkdir empty
"$WEFT" run data.yaml --quiet || exit 1
"$WEFT" run data.yaml --quiet --target b || exit 1
"$WEFT" run fails.yaml --quiet --keep-going 2>/dev/null && { echo "it should fail"; bad=1; }
"$WEFT" run "$here/slow.yaml" --quiet 2>/dev/null & engine=$!
n=500
until grep -qs '"start".*"slow"' store/runs/*-00*/events.jsonl; do
    n=$((n - 1)); [ $n -gt 0 ] || { echo "the task does not start"; kill -9 $engine; exit 1; }; sleep 0.02
done
kill -TERM $engine; wait $engine; [ $? = 130 ] || { echo "not interrupted"; bad=1; }
# one that was killed: what it wrote until then, its last line torn
mkdir store/runs/99990101T000000Z-000 store/runs/99990101T000000Z-001
cat >store/runs/99990101T000000Z-000/events.jsonl <<'J'
{"event":"begin","experiment":"late","file":"late.yaml","time":"9999-01-01T00:00:00Z"}
{"event":"hit","task":"a","stage":"s","time":"9999-01-01T00:00:01Z"}
{"event":"heal","text":"x","time":"9999-01-01T00:00:02Z"}
{"event":"ran","task":"a","stage":"s","time":"9999-01-01T01:00:03Z"}
{"event":"ran","task":"b",
J
truncate -s -1 store/runs/99990101T000000Z-000/events.jsonl

try history; exits "history" 0; [ ! -s err ] || wrong "history" "says something"
awk '{ print $3, $4 }' out >got
printf '%s\n' "late unfinished" "slow interrupted" "data failed" "data ok" "data ok" | diff - got || wrong "history" "states"
head -n 1 out | grep -q '^99990101T000000Z-000  9999-01-01T00:00:00Z .* 1 ran in 1:00:03$' || wrong "history" "first line"
tail -n 1 out | grep -q ' ok  *3 ran in ' || wrong "history" "last line"
sed -n 4p out | grep -q ' ok  *1 hit in ' || wrong "history" "targets"
cp out all
try history -n 2; exits "limit" 0; head -n 2 all | diff - out || wrong "limit" "not the first two"
try history --limit 100; diff all out || wrong "large limit" "not all"
try history --json; exits "json" 0; cp out json
python3 - >out 2>err <<'P' || wrong "json" "not as it should be"
import json, os
runs = json.load(open("json"))["runs"]
assert [r["run"] for r in runs] == sorted((d for d in os.listdir("store/runs") if not d.endswith("Z-001") or d[:4] != "9999"), reverse=True)
assert [l.split()[0] for l in open("all")] == [r["run"] for r in runs]
counts = [[r[k] for k in ("hit", "ran", "failed", "skipped")] for r in runs]
assert counts[0] == [0, 1, 0, 0] and counts[3] == [1, 0, 0, 0] and counts[4] == [0, 3, 0, 0], counts
assert counts[2] == [3, 0, 1, 1] and counts[1][3] >= 1, counts
assert runs[0]["seconds"] == 3603 and runs[0]["state"] == "unfinished" and runs[0]["file"] == "late.yaml", runs[0]
assert all(r["time"] and r["experiment"] for r in runs)
P
# -- of the stages: what the records of these runs say
try history --stages; exits "stages" 0
prints "stages" '^stage  *runs  *time  *GFLOP/s  *parallel  *error  *memory$'
prints "stages" '^pretrain  *1 .* 75 % assumed  *-  *[0-9.]* MiB$'; prints "stages" '^synthetic  *[0-9]* '
try history --stages --json; exits "stages" 0; cp out json
check "stages" <<'P'
import glob, json, socket
rows = {r["stage"]: r for r in json.load(open("json"))["stages"]}
records = [json.load(open(f)) for f in glob.glob("store/records/*/*")]
assert sorted(rows) == sorted({r["stage"] for r in records}) and list(rows) == sorted(rows)
seed, = (r for r in records if r["stage"] == "pretrain")
row = rows["pretrain"]
assert row["runs"] == 1 and row["seconds"] == seed["seconds"] and row["memory"] == seed["peak_rss"] and not row["widths"]
alone = seed["seconds"] / (row["serial"] + (1 - row["serial"]) / seed["threads"])
assert abs(row["flops"] * alone / seed["cost"]["flops"] - 1) < 1e-6
# what the record says of where it ran, and of what went in
a, = (r for r in records if r["task"] == "a")
assert seed["node"] == socket.gethostname() == seed["host"] and seed["cpuset"]
assert seed["read"] == sum(f["size"] for o in a["outputs"] for f in o["files"]) > 0
assert seed["samples"] == a["outputs"][0]["samples"] > 0
assert "read" not in a and "samples" not in a and a["cost"]["flops"] > 0
P
try history --limit 0; exits "no limit" 2; grep -q "1 or more, not 0" err || wrong "no limit" "message"
try history --limit many; exits "limit of text" 2
try history tiny; exits "argument" 2
"$WEFT" history >/dev/full 2>err; rc=$?; exits "full disk" 1
[ $bad = 0 ]
