"""A Hugging Face CLIP folder as OpenAI names its tensors, without config.json. usage: openai_names.py FROM TO"""
import json
import os
import shutil
import struct
import sys

from read_safetensors import read

BLOCK = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj", "mlp.fc1": "mlp.c_fc",
         "mlp.fc2": "mlp.c_proj"}
ONE = {"logit_scale": "logit_scale", "vision_model.embeddings.class_embedding": "visual.class_embedding",
       "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
       "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
       "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
       "text_model.embeddings.position_embedding.weight": "positional_embedding"}
NORM = {"vision_model.pre_layrnorm": "visual.ln_pre", "vision_model.post_layernorm": "visual.ln_post",
        "text_model.final_layer_norm": "ln_final"}
TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}


def renamed(hf):
    out = {ONE[k]: hf[k] for k in ONE}
    for k, v in NORM.items():
        for end in (".weight", ".bias"):
            out[v + end] = hf[k + end]
    for k, v in TRANSPOSED.items():
        dtype, (rows, cols), x = hf[k]
        out[v] = dtype, [cols, rows], [x[r * cols + c] for c in range(cols) for r in range(rows)]
    for name in hf:
        if not name.endswith("self_attn.q_proj.weight"):
            continue
        block = name[:-len("self_attn.q_proj.weight")]
        number = block.split(".")[-2]
        to = ("visual." if block.startswith("vision") else "") + f"transformer.resblocks.{number}."
        for k, v in BLOCK.items():
            for end in (".weight", ".bias"):
                out[to + v + end] = hf[block + k + end]
        for end in ("weight", "bias"):
            parts = [hf[f"{block}self_attn.{p}_proj.{end}"] for p in "qkv"]
            shape = [3 * parts[0][1][0]] + parts[0][1][1:]
            out[f"{to}attn.in_proj_{end}"] = parts[0][0], shape, sum((list(p[2]) for p in parts), [])
    return out


def write(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, x) in tensors.items():
        raw = struct.pack(f"<{len(x)}f", *x)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    source, target = sys.argv[1:]
    os.makedirs(target)
    write(target + "/model.safetensors", renamed(read(source + "/model.safetensors")))
    shutil.copy(source + "/tokenizer.json", target)
