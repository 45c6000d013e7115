#!/bin/sh
# What becomes of results: show, export, log, why and plan, for people and for programs, and how they say no.
. "$(dirname "$0")/lib.sh"
PYTHONPATH=$here; PYTHONDONTWRITEBYTECODE=1; export PYTHONPATH PYTHONDONTWRITEBYTECODE
cp "$here/tiny.yaml" tiny.yaml
refused() { # STATUS PATTERN ARGS...: nothing on stdout
    status=$1; pattern=$2; shift 2
    try "$@"; exits "$*" "$status"; says "$*" "$pattern"; [ ! -s out ] || wrong "$*" "prints on stdout"
}

# -- before there is anything
refused 2 "no task 'table' has come to an end in any run" show table
refused 2 "no task 'table' has come to an end in any run" export table x
refused 2 "no task 'table'" log table
refused 2 "no task 'table'" why table
try plan tiny.yaml; exits "plan" 0
prints "plan" '^run   public  '; prints "plan" '^wait  unified .* for seed, expert\[stripes\], expert\[blobs\]$'
prints "plan" '^tiny: 18 tasks: 0 hit (worth 0.00 s), 5 to run, 13 waiting for these$'

"$WEFT" run tiny.yaml --json >first.json 2>err || { cat err; exit 1; }
"$WEFT" run tiny.yaml --json --set lambda=0.75 >second.json 2>err || { cat err; exit 1; }
first=$(python3 -c 'import json; print(json.load(open("first.json"))["run"])')

# -- names that name nothing
refused 2 "did you mean 'table'?" show tabel
refused 2 "did you mean 'expert\[blobs\]'?" export 'expert[blob]' x
refused 2 "did you mean 'expert\[stripes\]'?" show expert
refused 2 "did you mean 'features'?" log featurs
refused 2 "no task 'feature' .*; did you mean 'features'?" why feature
refused 2 "no task 'tabel' in 'tiny.yaml'; did you mean 'table'?" why tiny.yaml tabel
refused 2 "no output 'adaptor'; did you mean 'adapter'?" show 'expert[blobs].adaptor'
refused 2 "no output 'x'; did you mean 'adapter'?" export 'expert[blobs].x' x
refused 2 "the store '$tmp/store' has no run '2020'" show table --run 2020
refused 2 "has no run '2020'" export table x --run 2020
refused 2 "has no run '2020'" log table -r 2020
refused 2 "no task 'tabel' in run '$first'; did you mean 'table'?" show tabel --run "$first"
refused 2 "cannot open 'none.yaml'" plan none.yaml
refused 2 "cannot open 'none.yaml'" why none.yaml table
refused 2 "no variable 'lamda'; did you mean 'lambda'?" plan tiny.yaml --set lamda=1
[ ! -e x ] || wrong "refused exports" "left a folder"

# -- show: the JSON of each artifact type against the files of the export
for task in public seed features 'relevance[blobs]' 'proxy[blobs]' 'expert[blobs]' unified router 'score[blobs].metrics' table; do
    name=$(echo "${task%.metrics}" | tr -d '[]')
    try show "$task" --json; exits "show $task --json" 0; cp out "show.$name"
    try show "$task"; exits "show $task" 0; [ -s out ] || wrong "show $task" "prints nothing"
    try export "$task" "all/$name"; exits "export $task" 0; echo "all/$name" | cmp -s - out || wrong "export $task" "prints"
done
refused 2 "output 'predictions' carries private data of 'blobs'" export 'score[blobs]' x
try show 'expert[blobs].router' --json; exits "show of an output" 0; cp out show.only
check "artifacts" <<'P'
import json, math, os
from read_safetensors import read
def shown(name): return json.load(open("show." + name))
def exported(path): return json.load(open("all/" + path))
def shapes(path): return {k: {"dtype": d, "shape": s} for k, (d, s, _) in read("all/" + path).items()}

images = shown("public")
assert images == exported("public/dataset.json") and images["count"] == 150 and len(images["classes"]) == 25, images
samples = [json.loads(line) for line in open("all/public/samples.jsonl")]
assert len(samples) == 150 and all(0 <= s["label"] < 25 for s in samples)
size = os.path.getsize("all/public/source")
assert all(0 <= s["offset"] < s["offset"] + s["size"] <= size for s in samples)
with open("all/public/source", "rb") as f:
    for s in samples:
        f.seek(s["offset"])
        assert f.read(4) == b"\x89PNG", s

seed = shown("seed")
assert set(seed) == {"config.json", "model.safetensors", "tokenizer.json"} and seed["config.json"]["model_type"] == "clip"
assert seed["model.safetensors"] == shapes("seed/model.safetensors")

features, relevance, proxy = shown("features"), shown("relevanceblobs"), shown("proxyblobs")
assert features["features.safetensors"] == {"features": {"dtype": "F32", "shape": [150, 32]}}, features.keys()
ids = features["ids.json"]
assert ids == [s["id"] for s in samples]
assert relevance == {"relevance.safetensors": {"relevance": {"dtype": "F32", "shape": [150]}}}, relevance
r = read("all/relevanceblobs/relevance.safetensors")["relevance"][2]
assert all(0 < x < 1 for x in r)
at = proxy["indices"]
assert proxy == exported("proxyblobs/selection.json") and len(set(at)) == 12
assert proxy["ids"] == [ids[i] for i in at] and all(math.isclose(x, r[i], rel_tol=1e-6) for x, i in zip(proxy["relevance"], at))
assert {"gain", "logdet", "determined", "restarts"} <= set(proxy)
pool = sorted(r)[-40:]
assert all(r[i] >= pool[0] for i in at), "outside the pool of the 40 most relevant"

expert = shown("expertblobs")
assert set(expert) == {"adapter", "router"} and expert["router"] == shown("only")
assert expert["adapter"]["adapter_model.safetensors"] == shapes("expertblobs/adapter/adapter_model.safetensors")
assert expert["router"]["router.safetensors"]["mean.1"] == {"dtype": "F32", "shape": [32]}

unified = shown("unified")
assert unified["config.json"]["model_type"] == "weft_moe" and unified["config.json"]["num_experts"] == 2
assert {"router.safetensors", "expert_0/adapter_config.json", "expert_1/adapter_model.safetensors"} <= set(unified)

score, table = shown("scoreblobs"), shown("table")
accuracy = next(row for row in score["rows"] if row["metric"] == "accuracy")
right, n = (sum(c[k] for c in score["per_class"]) for k in ("correct", "n"))
assert n == accuracy["n"] == 28 and math.isclose(accuracy["value"], right / n), accuracy
rows = {row["domain"]: row for row in table["rows"]}
assert rows["blobs"]["value"] == accuracy["value"] and rows["blobs"]["system"] == "unified"
assert math.isclose(rows["Average"]["value"], (rows["stripes"]["value"] + rows["blobs"]["value"]) / 2)
assert table == exported("table/table.json")
P

# -- an exported adapter is what PEFT reads, and the unified model is made of seed and adapters, bit for bit
"$WEFT" export 'expert[stripes]' all/expertstripes >/dev/null
try export unified all/first --run "$first"; exits "export of a run" 0
check "adapter" <<'P'
import json, math
from read_safetensors import read
folder = "all/expertblobs/adapter/"
config = json.load(open(folder + "adapter_config.json"))
assert config["peft_type"] == "LORA" and config["r"] == 4 and config["lora_alpha"] == 8 and config["bias"] == "none"
assert config["fan_in_fan_out"] is False and config["use_rslora"] is False and config["lora_dropout"] == 0
modules = [f"vision_model.encoder.layers.{l}.mlp.fc{k}" for l in (0, 1) for k in (1, 2)]
assert config["target_modules"] == modules, config["target_modules"]
tensors = read(folder + "adapter_model.safetensors")
assert set(tensors) == {f"base_model.model.{m}.lora_{x}.weight" for m in modules for x in "AB"}
seed = read("all/seed/model.safetensors")
for m in modules:
    out, into = seed[m + ".weight"][1]
    for x, shape in ("A", [4, into]), ("B", [out, 4]):
        dtype, got, values = tensors[f"base_model.model.{m}.lora_{x}.weight"]
        assert dtype == "F32" and got == shape and all(map(math.isfinite, values)) and any(values), (m, x)
    # B began at 0 and its output meets only layer norms, which take no mean: every gradient of a column sums to 0
    if m.endswith("fc2"):
        assert all(abs(math.fsum(values[j::4])) < 1e-6 * math.fsum(map(abs, values[j::4])) for j in range(4)), m
def same(a, b): return open(a, "rb").read() == open(b, "rb").read()
for run, share in ("unified", 0.75), ("first", 0.5):
    router = read(f"all/{run}/router.safetensors")
    for k, client in enumerate(("stripes", "blobs")):
        assert same(f"all/{run}/expert_{k}/adapter_model.safetensors", f"all/expert{client}/adapter/adapter_model.safetensors")
        mean = read(f"all/expert{client}/router/router.safetensors")
        for l in (0, 1):
            assert router[f"layers.{l}.router.weight"][2][32 * k:32 * k + 32] == mean[f"mean.{l}"][2], (k, l)
            assert router[f"layers.{l}.router.lambda"][2] == (share,), router[f"layers.{l}.router.lambda"]
    assert same(f"all/{run}/model.safetensors", "all/seed/model.safetensors")
P

# -- export: into a new or an empty folder, all of it or nothing
mkdir full empty; echo mine >full/file; echo mine >plain
ls -lR full >before
refused 2 "'full' exists and is no empty folder" export table full
refused 2 "'full' exists and is no empty folder" export table full//
refused 2 "'plain' exists and is no empty folder" export table plain
refused 2 "'.' exists and is no empty folder" export table .
refused 2 "cannot create folder 'plain': Not a directory" export table plain/below
ls -lR full | diff before - >out || wrong "full folder" "was touched"
[ "$(cat plain)" = mine ] || wrong "a file as the target" "was touched"
try export table empty/; exits "empty folder" 0; [ -s empty/table.md ] || wrong "empty folder" "holds no table"
try export 'expert[blobs].adapter' new/er/est; exits "folders above" 0
[ "$(ls new/er/est)" = "adapter_config.json
adapter_model.safetensors" ] || wrong "one output" "is not what lies in the folder"
ls -A | grep weft- && wrong "export" "left a temporary folder"

lose() { # TASK FILE: damage the object of a file of the task's newest record; prints where it is
    python3 - "$@" <<'P'
import json, os, sys
records = [os.path.join(d, n) for d, _, names in os.walk("store/records") for n in names]
found = [r for r in map(lambda p: json.load(open(p)), records) if r["task"] == sys.argv[1]]
r = max(found, key=lambda r: r["when"])
sha = next(f["sha256"] for o in r["outputs"] for f in o["files"] if f["name"] == sys.argv[2])
path = f"store/objects/{sha[:2]}/{sha[2:]}"
raw = bytearray(open(path, "rb").read())
raw[-5] ^= 16
os.unlink(path)
open(path, "wb").write(raw)
P
}
lose 'expert[blobs]' router.safetensors # the second output: the first is written by then
refused 1 "export of 'expert\[blobs\]': .*output 'router': object .* is damaged" export 'expert[blobs]' lost
[ ! -e lost ] && ! ls -A | grep weft- || wrong "damaged" "left a folder"
refused 1 "an object is missing" export 'expert[blobs]' lost
try show 'expert[blobs]' --json; exits "show of damage" 1; [ ! -s out ] || wrong "show of damage" "prints half of it"
try export 'expert[blobs].adapter' whole; exits "the other output" 0
try why 'expert[blobs]'; exits "why damaged" 0; prints "why damaged" "would run: the store has lost a part of the result"
try run tiny.yaml -q; exits "heal" 0; says "heal" "warning: .*'expert\[blobs\]' is no longer whole"
try export 'expert[blobs]' lost; exits "healed" 0
diff -r lost all/expertblobs || wrong "healed" "is not what it was"

# -- images: by reference in the store, copied by an export, and no longer to be had when they change
python3 - <<'P'
import os, struct, zlib
def png(path, shade):
    def chunk(t, d): return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    raw = b"".join(b"\0" + bytes([shade, 90, 200 - shade]) * 16 for _ in range(16))
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)) +
                           chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
for c in ("cat", "dog"):
    for i in range(3): png(f"set/train/{c}/{i}.png", 20 * i + (c == "dog"))
png("other.png", 99)
P
tar cf set.tar set
cat >images.yaml <<'Y'
experiment: images
vars: { data: set }
stages:
  data: { uses: images, with: { path: "${data}" } }
  packed: { uses: images, with: { path: set.tar } }
  seed: { uses: model, with: { path: all/seed } }
  features: { uses: embedding, in: { model: seed, data: data } }
Y
try run images.yaml -q; exits "images" 0
for task in data packed seed; do try export $task out.$task; exits "export $task" 0; done
diff -r set/train out.data/source >diff || diff -r set out.data/source >diff || wrong "images" "were not copied: $(cat diff)"
cmp -s set.tar out.packed/source || wrong "archive" "was not copied"
diff -r all/seed out.seed || wrong "imported model" "was not copied"
[ -z "$(find out.data out.packed out.seed -type l)" ] || wrong "export" "has links"
try show data --json; exits "show images" 0
python3 -c 'import json
d = json.load(open("out")); assert d["classes"] == ["cat", "dog"] and d["count"] == 6, d' || wrong "images" "show"
cp other.png set/train/cat/1.png
refused 1 "outside data changed or is gone: '$tmp/set" export data again
[ ! -e again ] || wrong "changed images" "left a folder"
try why images.yaml features; exits "why wait" 0
prints "why wait" "^features would wait: what it needs is not known before these ran:"
prints "why wait" "^data would run: the store has no result"
prints "why wait" "    import path: [0-9a-f]\{12\} -> [0-9a-f]\{12\} (images.yaml:4:39)"
try why images.yaml features --json; exits "why wait --json" 0; cp out wait.json
try run images.yaml -q -t data; exits "changed images" 0
try why images.yaml features; exits "why changed input" 0
prints "why changed input" "^features would run: "
prints "why changed input" "    input data\[0\]: [0-9a-f]\{12\} -> [0-9a-f]\{12\} (from task 'data')$"
[ "$(grep -c '^    ' out)" = 1 ] || wrong "why changed input" "names more than that"
try why images.yaml features --json; cp out input.json

# -- log
try log 'expert[blobs]'; exits "log" 0; says "log" "^expert\[blobs\] ran at "
prints "log" '^going on after pass 2$' # it was lost, and its last state was not
try log 'expert[stripes]'; exits "log of a run before" 0; prints "log" '^loss [0-9.e-]* (step 1)$'; says "log of a run before" "run $first"
refused 2 "was a hit in run '$(ls store/runs | sed -n 2p)': no worker, no log" log seed --run "$(ls store/runs | sed -n 2p)"
mkdir -p broken/train/cat; echo x >broken/train/cat/x.png
try run images.yaml -q --set data=broken -t data; exits "bad image" 2
try log data; exits "log of a failure" 0; says "log of a failure" "^data failed at "; prints "log of a failure" "x.png"
rm -rf set.tar
refused 1 "outside data changed or is gone: '$tmp/set.tar'" show packed
refused 1 "task 'data' failed in run .* ('weft log' has its last words)" show data

# -- why: a hit, a changed parameter; and with no file: the last run, from anywhere
try why tiny.yaml seed; exits "why hit" 0; prints "why hit" "^seed is a hit: made 20..-..-..T..:..:..Z on .* as task 'seed' in"
prints "why hit" "  no earlier record of stage 'pretrain' to compare with"
try why tiny.yaml unified --set lambda=0.1; exits "why parameter" 0
column=$(awk '/uses: merge/ { print index($0, "\"${lambda}\"") }' tiny.yaml)
line=$(grep -n 'uses: merge' tiny.yaml | cut -d: -f1)
prints "why parameter" "^    param lambda: 0.5 -> 0.1 (tiny.yaml:$line:$column)$\|^    param lambda: 0.75 -> 0.1 (tiny.yaml:$line:$column)$"
[ "$(grep -c '^    ' out)" = 1 ] || wrong "why parameter" "names more than that"
try why tiny.yaml unified --set lambda=0.1 --json; cp out param.json
try why tiny.yaml seed --json; cp out hit.json
try why tiny.yaml table --set lambda=0.1 --json; cp out far.json
(cd / && "$WEFT" why unified >"$tmp/out" 2>"$tmp/err"); rc=$?; exits "why of the last run" 0
prints "why of the last run" "^unified was a hit in run .* of tiny.yaml, "
try plan tiny.yaml --set lambda=0.1 --json; exits "plan --json" 0; cp out plan.json
# a run with --vars is explained with its --vars, from anywhere
mkdir varied && printf 'size: 24\n' >varied/v.yaml
(cd varied && "$WEFT" run ../tiny.yaml -q --vars v.yaml --target public --store "$tmp/varied/store") >out 2>err; rc=$?; exits "run --vars" 0
(cd / && "$WEFT" why public --store "$tmp/varied/store" >"$tmp/out" 2>"$tmp/err"); rc=$?; exits "why after --vars" 0
prints "why after --vars" "^public is a hit: "
line=$line column=$column check "why and plan" <<'P'
import json, os, re
def load(name): return json.load(open(name + ".json"))
line, column = int(os.environ["line"]), int(os.environ["column"])
hit, param, wait, far, changed = map(load, ("hit", "param", "wait", "far", "input"))
for a in hit, param, wait, far, changed:
    assert {"task", "state", "key", "waits_for"} <= set(a) <= {"task", "state", "key", "waits_for", "made", "nearest"}, a
    assert a["key"] is None if a["state"] == "wait" else re.fullmatch("[0-9a-f]{64}", a["key"])
assert hit["state"] == "hit" and hit["made"]["task"] == "seed" and "nearest" not in hit
assert set(hit["made"]) == {"task", "when", "host", "seconds", "threads", "peak_rss"}
assert hit["made"]["seconds"] > 0 and hit["made"]["threads"] >= 1 and hit["made"]["peak_rss"] > 1 << 20
assert param["state"] == "run" and "made" not in param and param["nearest"]["task"] == "unified"
(change,) = param["nearest"]["changes"]
assert change.pop("before") in ("0.5", "0.75")
assert change == {"field": "param lambda", "now": "0.1", "file": "tiny.yaml", "line": line, "col": column}, change
assert wait["state"] == "wait" and wait["waits_for"] == ["data"]
assert far["state"] == "wait" and far["waits_for"] == ["unified"]
(change,) = changed["nearest"]["changes"]
assert change["field"] == "input data[0]" and change["from"] == "data" and change["before"] != change["now"], change
plan = load("plan")
assert set(plan) == {"experiment", "tasks", "totals"} and plan["experiment"] == "tiny" and len(plan["tasks"]) == 18
states = {}
for t in plan["tasks"]:
    more = {"hit": set(), "run": {"source", "nearest"}, "wait": {"source", "waits_for"}}[t["state"]]
    assert set(t) == {"task", "stage", "state", "key", "seconds", "cores", "memory", "why"} | more, t
    assert (t["key"] is None) == (t["state"] == "wait")
    states.setdefault(t["state"], []).append(t["task"])
assert states["run"] == ["unified"] and states["wait"] == ["router", "score[stripes]", "score[blobs]", "table"], states
keys = {t["task"]: t["key"] for t in load("first")["tasks"]}
assert all(t["key"] == keys[t["task"]] for t in plan["tasks"] if t["state"] == "hit")
P
mv tiny.yaml moved.yaml
refused 2 "cannot open 'tiny.yaml'" why unified --json
[ $bad = 0 ]
