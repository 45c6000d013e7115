#!/bin/sh
# The pipeline end to end: run, hits, one changed variable, why, show, export and an independent reader.
. "$(dirname "$0")/lib.sh"
set -e
counts() { python3 -c 'import json,sys,collections
r = json.load(sys.stdin); print(" ".join("%s=%d" % kv for kv in sorted(collections.Counter(t["state"] for t in r["tasks"]).items())))'; }
expect() { [ "$1" = "$2" ] || { echo "expected '$2', got '$1' ($3)"; exit 1; }; }

expect "$("$WEFT" run "$here/tiny.yaml" --json 2>"$tmp/log" | counts)" "ran=18" "first run"
expect "$("$WEFT" run "$here/tiny.yaml" --json 2>"$tmp/log" | counts)" "hit=18" "second run"
"$WEFT" show table >"$tmp/table1"
grep -q unified "$tmp/table1"
"$WEFT" plan "$here/tiny.yaml" --set lambda=0.25 >"$tmp/plan"
expect "$("$WEFT" run "$here/tiny.yaml" --set lambda=0.25 --json 2>"$tmp/log" | counts)" "hit=13 ran=5" "another lambda"
"$WEFT" run "$here/tiny.yaml" >/dev/null 2>&1
"$WEFT" show table | diff "$tmp/table1" -

# the reason of a miss names the parameter, both values and the line
"$WEFT" why "$here/tiny.yaml" unified --set lambda=0.75 >"$tmp/why"
grep -q lambda "$tmp/why" && grep -q 0.75 "$tmp/why" || { cat "$tmp/why"; exit 1; }

# artifacts are plain files that others read
"$WEFT" export 'expert[blobs]' "$tmp/expert" >/dev/null
find "$tmp/expert" -name adapter_config.json | grep -q . || { find "$tmp/expert"; exit 1; }
python3 "$here/read_safetensors.py" $(find "$tmp/expert" -name '*.safetensors') >"$tmp/tensors"
grep -q '^base_model.model.vision_model.encoder.layers.1.mlp.fc2.lora_B.weight F32 \[32, 4\]' "$tmp/tensors" || { cat "$tmp/tensors"; exit 1; }
"$WEFT" export features "$tmp/features" >/dev/null
python3 "$here/read_safetensors.py" $(find "$tmp/features" -name '*.safetensors') | grep -q '^features F32'
"$WEFT" export seed "$tmp/seed" >/dev/null
python3 "$here/read_safetensors.py" $(find "$tmp/seed" -name '*.safetensors') | grep -q 'visual_projection.weight F32'
"$WEFT" show 'proxy[blobs]' --json | python3 -c 'import json,sys; json.load(sys.stdin)'
"$WEFT" show table --json | python3 -c 'import json,sys
rows = json.load(sys.stdin)["rows"]
assert rows and all(set(r) >= {"system", "domain", "metric", "value", "n"} for r in rows), rows'
"$WEFT" log 'expert[blobs]' >/dev/null
