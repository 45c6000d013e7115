"""How far do plain features get? Each class of the training images becomes the mean of its features; a test image gets
the class whose mean is nearest by cosine. Reads weft's artifacts with nothing but Python's own library.

    centroid.py --train FEATURES DATA --test FEATURES DATA --domain NAME --out DIR
"""
import argparse
import json
import math
import struct
from pathlib import Path


def features(folder):
    """The rows of features.safetensors by sample id: 8 bytes of header length, a JSON header, raw little-endian data."""
    raw = (Path(folder) / "features.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    entry = json.loads(raw[8 : 8 + length])["features"]
    rows, width = entry["shape"]
    flat = struct.unpack_from(f"<{rows * width}f", raw, 8 + length + entry["data_offsets"][0])
    ids = json.loads((Path(folder) / "ids.json").read_text())
    return {name: flat[i * width : (i + 1) * width] for i, name in enumerate(ids)}


def labels(folder):
    lines = (Path(folder) / "samples.jsonl").read_text().splitlines()
    return {sample["id"]: sample["label"] for sample in map(json.loads, lines)}


def unit(v):
    norm = math.sqrt(math.fsum(x * x for x in v)) or 1.0
    return [x / norm for x in v]


def means(rows, label):
    groups = {}
    for name in sorted(rows):
        groups.setdefault(label[name], []).append(unit(rows[name]))
    return {k: unit([math.fsum(column) for column in zip(*group)]) for k, group in sorted(groups.items())}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--train", nargs=2, required=True)
    p.add_argument("--test", nargs=2, required=True)
    p.add_argument("--domain", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    centre = means(features(a.train[0]), labels(a.train[1]))
    rows, label = features(a.test[0]), labels(a.test[1])
    hits = 0
    for done, (name, row) in enumerate(sorted(rows.items()), 1):
        best = max(centre, key=lambda k: math.fsum(x * y for x, y in zip(row, centre[k])))
        hits += best == label[name]
        print(f"weft:progress {done} {len(rows)} images")
    print(f"weft:metric accuracy {hits / len(rows)}")
    result = {"system": "centroid", "domain": a.domain, "metric": "accuracy", "value": hits / len(rows), "n": len(rows)}
    (Path(a.out) / "metrics.json").write_text(json.dumps({"rows": [result]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
