#!/bin/sh
# MoA, made of the settings of merge and router: its router finds each client's expert, and moves nothing but itself.
. "$(dirname "$0")/lib.sh"
try run "$here/moa.yaml"
exits "run" 0
for client in stripes blobs rings; do
    "$WEFT" show "score[$client]" --json >"$client.json" || wrong "$client" "no score"
    "$WEFT" export "expert[$client].adapter" "$client" >/dev/null || wrong "$client" "no expert"
done
"$WEFT" export moa model >/dev/null || wrong "moa" "no model"
cat >look.py <<'E2'
import glob, json, struct
def tensors(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    return {k: data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]] for k, v in head.items() if k != "__metadata__"}
def find(folder, name):
    return glob.glob(f"{folder}/**/{name}", recursive=True)[0]
for i, client in enumerate(["stripes", "blobs", "rings"]):
    for layer in json.load(open(client + ".json"))["metrics"]["routing"]:
        own = layer["class_token"]["share"][i]
        assert own > 0.8, f"{client}: {own} of the images go to their own expert in layer {layer['layer']}, by chance a third"
        assert layer["patches"]["share"] == layer["class_token"]["share"], f"{client}: an image's tokens go apart"
    assert tensors(find(client, "adapter_model.safetensors")) == tensors(find(f"model/**/expert_{i}", "adapter_model.safetensors")), client
router = tensors(find("model", "router.safetensors"))
assert all(struct.unpack("<f", router[k])[0] == 1 for k in router if k.endswith("lambda")), "lambda moved"
E2
python3 look.py || bad=1
exit $bad
