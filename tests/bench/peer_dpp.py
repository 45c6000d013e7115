"""Greedy DPP MAP in numpy: the kernel matrix, then incremental Cholesky (Chen et al., "Fast Greedy MAP Inference for
Determinantal Point Process", 2018). peer_dpp.py FILE M TYPE prints one JSON line. TYPE float64 is the published form and
the precision in which weft chooses; float32 is the fastest form."""
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


def greedy(features, relevance, m, dtype):
    features, relevance = features.astype(dtype), relevance.astype(dtype)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True) * relevance[:, None]
    kernel = rows @ rows.T
    n = len(kernel)
    c = np.zeros((m, n), dtype)
    left = np.diag(kernel).astype(np.float64)
    logdet = 0.0
    for k in range(m):
        j = int(np.argmax(left))
        if left[j] < 1e-10:
            break
        logdet += np.log(left[j])
        e = (kernel[j] - c[:k, j] @ c[:k]) / dtype(np.sqrt(left[j]))
        c[k] = e
        left -= np.square(e, dtype=np.float64)
        left[j] = -np.inf
    return logdet


def main():
    features, relevance = read(sys.argv[1])
    m, dtype = int(sys.argv[2]), {"float32": np.float32, "float64": np.float64}[sys.argv[3]]
    start = time.perf_counter()
    logdet = greedy(features, relevance, m, dtype)
    seconds = time.perf_counter() - start
    n, d = features.shape
    print(json.dumps({"name": f"dpp n={n} d={d} m={m}", "value": round(seconds, 4), "unit": "s", "logdet": round(logdet, 3)}))


main()
