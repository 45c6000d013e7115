"""Greedy DPP MAP in numpy: the kernel matrix, then incremental Cholesky (Chen et al., "Fast Greedy MAP Inference for
Determinantal Point Process", 2018). peer_dpp.py FILE M prints one JSON line. float32 throughout: its fastest form."""
import json
import struct
import sys
import time

import numpy as np


def read(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = t["data_offsets"]
            out[name] = np.frombuffer(raw[8 + size + begin : 8 + size + end], "<f4").reshape(t["shape"])
    return out["features"], out["relevance"]


def greedy(features, relevance, m):
    rows = features / np.linalg.norm(features, axis=1, keepdims=True) * relevance[:, None]
    kernel = rows @ rows.T
    n = len(kernel)
    c = np.zeros((m, n), np.float32)
    left = np.diag(kernel).astype(np.float64)
    logdet = 0.0
    for k in range(m):
        j = int(np.argmax(left))
        if left[j] < 1e-10:
            break
        logdet += np.log(left[j])
        e = (kernel[j] - c[:k, j] @ c[:k]) / np.float32(np.sqrt(left[j]))
        c[k] = e
        left -= np.square(e, dtype=np.float64)
        left[j] = -np.inf
    return logdet


def main():
    features, relevance = read(sys.argv[1])
    m = int(sys.argv[2])
    start = time.perf_counter()
    logdet = greedy(features, relevance, m)
    seconds = time.perf_counter() - start
    n, d = features.shape
    print(json.dumps({"name": f"dpp n={n} d={d} m={m}", "value": round(seconds, 4), "unit": "s", "logdet": round(logdet, 3)}))


main()
