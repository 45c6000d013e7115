#!/bin/sh
# A seed under OpenAI's names: imported, an expert trained on it, a soup made of that, and everything exported as folders that
# transformers and PEFT read: their names, shapes, types and configuration keys.
. "$(dirname "$0")/lib.sh"
PYTHONPATH=$here; PYTHONDONTWRITEBYTECODE=1; export PYTHONPATH PYTHONDONTWRITEBYTECODE
cat >make.yaml <<'Y'
experiment: make
stages:
  public: { uses: synthetic, with: { domain: public, per_class: 2, size: 16 } }
  seed:
    uses: pretrain
    in: { public: public }
    with: { image_size: 16, patch: 8, width: 64, layers: 2, heads: 1, text_width: 64, text_heads: 1, embed: 16, epochs: 1, batch: 16 }
Y
cat >use.yaml <<'Y'
experiment: use
vars: { path: openai }
stages:
  seed: { uses: model, with: { path: "${path}" } }
  client: { uses: synthetic, with: { domain: stripes, per_class: 2, size: 16 }, private: stripes }
  expert: { uses: expert, in: { model: seed, private: client }, with: { rank: 4, alpha: 8, epochs: 1, batch: 8 } }
  soup: { uses: merge, in: { model: seed, experts: expert }, with: { method: soup } }
  unified: { uses: merge, in: { model: seed, experts: expert } }
Y
try run make.yaml; exits "make" 0
try export seed hf; exits "export of the pretrained seed" 0
python3 "$here/openai_names.py" hf openai || wrong "openai_names.py" "failed"
try run use.yaml; exits "OpenAI's names" 0
for what in seed soup unified expert.adapter; do try export "$what" "$what"; exits "export $what" 0; done

# the import is the folder that OpenAI's names were made of
cmp hf/model.safetensors seed/model.safetensors || wrong "seed" "has other weights"
check "folders" <<'P'
import json
from read_safetensors import read
def shapes(path): return {k: (d, s) for k, (d, s, _) in read(path).items()}
def pair(name, out, *rest): return {name + ".weight": [out, *rest], name + ".bias": [out]}
want = {"logit_scale": [], "visual_projection.weight": [16, 64], "text_projection.weight": [16, 64],
        "vision_model.embeddings.class_embedding": [64], "vision_model.embeddings.patch_embedding.weight": [64, 3, 8, 8],
        "vision_model.embeddings.position_embedding.weight": [5, 64],
        **pair("vision_model.pre_layrnorm", 64), **pair("vision_model.post_layernorm", 64), **pair("text_model.final_layer_norm", 64)}
seed = json.load(open("seed/config.json"))
text = seed["text_config"]
want["text_model.embeddings.token_embedding.weight"] = [text["vocab_size"], 64]
want["text_model.embeddings.position_embedding.weight"] = [text["max_position_embeddings"], 64]
for tower, config in ("vision", seed["vision_config"]), ("text", text):
    assert config["hidden_size"] == 64 and config["num_attention_heads"] == 1 and config["hidden_act"] == "quick_gelu", config
    for l in range(config["num_hidden_layers"]):
        at, mlp = f"{tower}_model.encoder.layers.{l}.", config["intermediate_size"]
        for name in ("q", "k", "v", "out"):
            want |= pair(f"{at}self_attn.{name}_proj", 64, 64)
        want |= pair(at + "layer_norm1", 64) | pair(at + "layer_norm2", 64) | pair(at + "mlp.fc1", mlp, 64) | pair(at + "mlp.fc2", 64, mlp)
for folder in "seed", "soup":
    assert shapes(folder + "/model.safetensors") == {k: ("F32", s) for k, s in want.items()}, folder
    config = json.load(open(folder + "/config.json"))
    assert config["architectures"] == ["CLIPModel"] and config["model_type"] == "clip" and config["torch_dtype"] == "float32", config
    assert config["projection_dim"] == 16 and config["vision_config"]["patch_size"] == 8 and config["vision_config"]["image_size"] == 16
    assert config["vision_config"]["model_type"] == "clip_vision_model" and config["text_config"]["model_type"] == "clip_text_model"
    assert open(folder + "/tokenizer.json").read() == open("hf/tokenizer.json").read()
    raw = open(folder + "/model.safetensors", "rb").read()
    n = int.from_bytes(raw[:8], "little")
    assert json.loads(raw[8:8 + n])["__metadata__"] == {"format": "pt"}, folder
images = json.load(open("seed/preprocessor_config.json"))
assert images["crop_size"] == {"height": 16, "width": 16} and images["size"] == {"shortest_edge": 16} and images["resample"] == 3, images
assert images["image_mean"][0] == 0.48145466 and images["image_std"][2] == 0.27577711 and images["do_normalize"] is True, images
a, b = read("seed/model.safetensors"), read("soup/model.safetensors")
changed = {k for k in a if a[k] != b[k]}
assert changed == {f"vision_model.encoder.layers.{l}.mlp.fc{i}.weight" for l in (0, 1) for i in (1, 2)}, changed

def adapter(folder, base):
    config = json.load(open(folder + "/adapter_config.json"))
    keys = """peft_type r lora_alpha lora_dropout target_modules bias task_type base_model_name_or_path inference_mode use_rslora
              use_dora rank_pattern alpha_pattern""".split()
    assert all(k in config for k in keys), config
    assert config["peft_type"] == "LORA" and config["r"] == 4 and config["lora_alpha"] == 8 and config["bias"] == "none"
    assert config["base_model_name_or_path"] == base, config
    modules = [f"vision_model.encoder.layers.{l}.mlp.fc{i}" for l in (0, 1) for i in (1, 2)]
    assert config["target_modules"] == modules and all(m + ".weight" in want for m in modules)
    tensors = {}
    for m in modules:
        out, size = want[m + ".weight"]
        tensors[f"base_model.model.{m}.lora_A.weight"] = ("F32", [4, size])
        tensors[f"base_model.model.{m}.lora_B.weight"] = ("F32", [out, 4])
    assert shapes(folder + "/adapter_model.safetensors") == tensors
adapter("expert.adapter", None)
adapter("unified/expert_0", None)
unified = json.load(open("unified/config.json"))
assert unified["model_type"] == "weft_moe" and unified["seed_config"] == seed
assert shapes("unified/model.safetensors") == shapes("seed/model.safetensors")
P

# Hugging Face's own folder, which has a name: adapters say it; the same weights give the same adapter
check "a name" <<'P'
import json
config = json.load(open("hf/config.json"))
json.dump(config | {"_name_or_path": "somebody/tiny"}, open("hf/config.json", "w"))
P
try run use.yaml --set path=hf; exits "Hugging Face's names" 0
try export expert.adapter named; exits "export of the second adapter" 0
cmp named/adapter_model.safetensors expert.adapter/adapter_model.safetensors || wrong "adapters" "differ by the names of the seed"
check "the seed's name" <<'P'
import json
assert json.load(open("named/adapter_config.json"))["base_model_name_or_path"] == "somebody/tiny"
P

# what is no model
mkdir pickles; echo PK >pickles/ViT-B-32.pt
for path in pickles pickles/ViT-B-32.pt; do
    try run use.yaml --set path=$path; exits "$path" 2
    says "$path" "ViT-B-32.pt' is in PyTorch's own format.*docs/models.md"
done
exit $bad
