#!/bin/sh
# weft plan: what would run, why, for how long; totals; targets and other machines.
. "$(dirname "$0")/lib.sh"
cp "$here/tiny.yaml" tiny.yaml

# -- nothing in the store: estimates
try plan tiny.yaml; exits "empty" 0
prints "empty" '^state task  *stage  *time cores  *memory  why$'
prints "empty" "^run   public .* new: no earlier result of stage 'synthetic'$"
prints "empty" '^wait  expert\[blobs\] .* for seed, client\[blobs\], public and 1 more$'
prints "empty" '^predicted: .* on [0-9]* core'
prints "empty" '^predicted: about .*, 18 estimates$'; prints "empty" '^work: .* core-hours, [0-9]* % of the cores in use, at most '
prints "empty" '^no less than .* (longest path at its widest .*, work over cores .*); bound by '
prints "empty" '^longest path, .*: public > seed > .* > table$'
try plan tiny.yaml --json -c 1; cp out empty.json
[ -d store/runs ] && [ -z "$(ls store/runs)" ] || wrong "empty" "a plan leaves a run behind"

"$WEFT" run tiny.yaml -q || exit 1
try plan tiny.yaml; exits "all hits" 0
prints "all hits" '^tiny: 18 tasks: 18 hit (worth .*), 0 to run, 0 waiting for these$'
grep -q predicted out && wrong "all hits" "predicts"
try plan tiny.yaml --json; cp out hits.json
try plan tiny.yaml --set lambda=0.25 --set epochs=3 --json --cores 2; exits "changed" 0; cp out changed.json
try plan tiny.yaml --set lambda=0.25 --set epochs=3; prints "changed" '^predicted: about .*, within [0-9]* % by [0-9]* tasks of the history$'
try plan tiny.yaml --set lambda=0.25 -t score; exits "target" 0
line=$(grep -n 'uses: merge' tiny.yaml | cut -d: -f1)
prints "target" "^run   unified .* param lambda: 0.5 -> 0.25 (tiny.yaml:$line:[0-9]*)$"
prints "target" '^tiny: 17 tasks: 13 hit '; prints "target" '^longest path, .*: unified > router > score\[[a-z]*\]$'
try plan tiny.yaml -t scor; exits "no target" 2; grep -q "did you mean 'score'" err || wrong "no target" "message"
try plan tiny.yaml -c 0; exits "no cores" 2
check "JSON" <<'P'
import json
def load(name): return json.load(open(name + ".json"))
empty, hits, changed = load("empty"), load("hits"), load("changed")
total = {"hit", "run", "wait", "saved_seconds", "cores", "seconds", "core_hours", "memory", "longest_path", "longest_path_seconds",
         "error", "by_history", "by_estimate", "utilisation", "path_bound", "work_bound", "bound"}
for p in empty, hits, changed:
    assert set(p["totals"]) == total and len(p["tasks"]) == 18
t = empty["totals"]
assert (t["hit"], t["run"], t["wait"], t["cores"]) == (0, 5, 13, 1) and t["saved_seconds"] == 0
assert all(x["source"] == "estimate" and x["cores"] == 1 and x["seconds"] > 0 for x in empty["tasks"])
# on one core the tasks follow each other, and no two are there at a time
seconds = sum(x["seconds"] for x in empty["tasks"])
assert abs(seconds - t["seconds"]) < 1e-6 * seconds and abs(seconds / 3600 - t["core_hours"]) < 1e-6 * seconds
assert t["memory"] == max(x["memory"] for x in empty["tasks"])
assert t["longest_path"][0] == "public" and t["longest_path"][-1] == "table" and t["longest_path_seconds"] < t["seconds"]
t = hits["totals"]
assert (t["hit"], t["run"], t["wait"], t["seconds"], t["longest_path"]) == (18, 0, 0, 0, [])
assert abs(t["saved_seconds"] - sum(x["seconds"] for x in hits["tasks"])) < 1e-9
assert all(x["why"].startswith("made 2") and x["key"] for x in hits["tasks"])
was, now = ({x["task"]: x for x in p["tasks"]} for p in (hits, changed))
seed = now["seed"]
assert seed["state"] == "run" and seed["source"] == "history of this task" and "param epochs: 2 -> 3" in seed["why"]
assert seed["nearest"]["changes"][0]["field"] == "param epochs" and seed["nearest"]["task"] == "seed"
# half as many epochs again, on the cores it gets now; a quarter of it on one core is taken to be serial
share = lambda cores: 0.25 + 0.75 / cores
want = was["seed"]["seconds"] * 1.5 * share(seed["cores"]) / share(was["seed"]["cores"])
assert abs(seed["seconds"] - want) < 1e-6 * want, (seed, want)
# both domains of the two stages below ran, so that these tell how far off they are
t = changed["totals"]
assert t["by_history"] == 13 and t["by_estimate"] == 0 and t["error"] > 0
assert max(t["path_bound"], t["work_bound"]) <= t["seconds"] * 1.000001 and t["longest_path_seconds"] <= t["seconds"] * 1.000001
assert abs(t["utilisation"] - t["core_hours"] * 3600 / t["seconds"] / 2) < 1e-6 and t["bound"]
t = empty["totals"]
assert t["by_history"] == 0 and t["by_estimate"] == 18 and t["error"] == 0 and abs(t["utilisation"] - 1) < 1e-6
assert abs(t["work_bound"] - t["seconds"]) < 1e-6 * t["seconds"] and t["path_bound"] == t["longest_path_seconds"]
assert now["public"]["state"] == "hit" and now["features"]["waits_for"] == ["seed"]
P

# -- two tasks with one key: one runs for both; history of the stage serves a task that is new
cat >twins.yaml <<'Y'
experiment: twins
stages:
  a: { uses: synthetic, with: { domain: rings, split: train, per_class: 6, size: 16 } }
  b: { uses: synthetic, with: { domain: rings, split: train, per_class: 6, size: 16 } }
Y
try plan twins.yaml; exits "twins" 0
prints "twins" '^run   b  *synthetic  *-  *-  *-  the same as a, which runs for both$'
try plan twins.yaml --json
[ "$(grep -c '"source": "history of the stage"' out)" = 1 ] || wrong "twins" "no history of the stage"

# the makespan of a task alone is off by as much as predictions of its stage are
cp out alone.json; try history --stages --json; cp out stages.json
check "error" <<'P'
import json
t = json.load(open("alone.json"))["totals"]
row, = (r for r in json.load(open("stages.json"))["stages"] if r["stage"] == "synthetic")
assert t["by_history"] == 1 and row["error"] > 0 and abs(t["error"] / row["error"] - 1) < 1e-6, (t, row)
P

# -- machines: more cores than there are, several nodes, named resources; what a task cannot have is said once
cat >machine.yaml <<'Y'
experiment: machine
stages:
  a:
    foreach: [1, 2, 3, 4]
    uses: command
    outputs: { made: files }
    with: { argv: [sh, -c, 'echo $0 >$1/x', "${item}", "{out:made}"] }
    resources: { cores: 4, units: { licence: 2 } }
Y
try plan machine.yaml; exits "no licence" 2; says "no licence" "task 'a\[1\]' asks for 2 of 'licence'; there are 0"
[ "$(grep -c error err)" = 1 ] || wrong "no licence" "not one error"
try plan machine.yaml --json --unit licence=2 --cores 4097; exits "more cores" 0; cp out more.json
for unit in 8 2; do
    try plan machine.yaml --json --unit licence=$unit --topology core:4 --nodes 4; exits "nodes" 0; cp out nodes$unit.json
    try simulate machine.yaml --json --unit licence=$unit --topology core:4 --nodes 4; cp out simulated$unit.json
done
try plan machine.yaml --json --unit licence=2 --topology 'core:2 pu:2' --threads; exits "threads" 0; cp out threads.json
try plan machine.yaml --unit licence=2 --topology core:2 --cores 3; exits "too many cores" 2
try plan machine.yaml --nodes 0; exits "no nodes" 2
check "machines" <<'P'
import json
def load(name): return json.load(open(name + ".json"))
assert load("more")["totals"]["cores"] == 4097 and load("more")["totals"]["bound"] == "a named resource"
assert load("threads")["totals"]["cores"] == 4 and {t["cores"] for t in load("threads")["tasks"]} == {4}
wide, one = load("nodes8"), load("nodes2")
one_time = wide["tasks"][0]["seconds"]
assert wide["totals"]["cores"] == 16 and abs(wide["totals"]["seconds"] - one_time) < 1e-9
assert abs(one["totals"]["seconds"] - 4 * one_time) < 1e-9 and one["totals"]["bound"] == "a named resource"
for n in "82": # both commands foretell the same
    a, b = load("nodes" + n)["totals"], load("simulated" + n)["totals"]
    assert a["seconds"] == b["seconds"] and a["utilisation"] == b["utilisation"] and a["bound"] == b["bound_by"]
P

# -- what was lost says so; many misses: the first 50 are compared
rm -f store/objects/*/*
try plan tiny.yaml; exits "lost" 0; prints "lost" '^run   public .* a part of the result is no longer in the store$'
{ echo "experiment: many"; echo "stages:"; for i in $(seq 60); do
    echo "  s$i: { uses: synthetic, with: { domain: rings, split: train, per_class: $i, size: 24 } }"; done; } >many.yaml
try plan many.yaml; exits "many" 0
[ "$(grep -c ' param ' out)" = 50 ] || wrong "many" "not 50 reasons"
grep -q '^10 more misses were not compared with earlier results; --all does$' err || wrong "many" "does not say so"
try plan many.yaml --all
[ "$(grep -c ' param ' out)" = 60 ] && [ ! -s err ] || wrong "--all" "not 60 reasons"

# -- an imported model is foreseen by its shape: half the patch is four times the tokens in a folder of the same size
cat >shape.yaml <<'Y'
experiment: shape
vars: { patch: 8, images: 1000 }
stages:
  public: { uses: synthetic, with: { domain: public, split: train, per_class: "${images}", size: 16 } }
  made: { uses: pretrain, in: { public: public }, with: { image_size: 16, patch: "${patch}", width: 256, epochs: 1 } }
  taken: { uses: model, with: { path: "folder-${patch}" } }
  features: { uses: embedding, in: { model: taken, data: public } }
Y
mkdir folder-8 folder-4
for patch in 8 4; do
    "$WEFT" run shape.yaml --set patch=$patch --set images=1 -q -t made && rmdir folder-$patch &&
        "$WEFT" export made folder-$patch >/dev/null && "$WEFT" plan shape.yaml --set patch=$patch --store fresh --json >shape-$patch.json ||
        fail "shape, patch $patch"
done
check "shape" <<'P'
import json
a, b = (next(t["seconds"] for t in json.load(open(f"shape-{p}.json"))["tasks"] if t["task"] == "features") for p in (8, 4))
assert b > 2 * a, (a, b)
P
[ $bad = 0 ]
