"""An independent reader of safetensors and PEFT folders: nothing of weft, nothing but the standard library.
usage: read_safetensors.py FILE...   prints name, dtype, shape and the sum of each tensor; exit 1 on a malformed file."""
import json
import math
import struct
import sys

SIZE = {"F64": ("d", 8), "F32": ("f", 4), "I64": ("q", 8), "I32": ("i", 4), "U8": ("B", 1)}


def read(path):
    raw = open(path, "rb").read()
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    data = raw[8 + n:]
    assert (8 + n) % 8 == 0, "header is not padded to 8"
    header.pop("__metadata__", None)
    end = 0
    tensors = {}
    for name, t in sorted(header.items(), key=lambda kv: kv[1]["data_offsets"]):
        begin, stop = t["data_offsets"]
        assert begin == end, f"hole before {name}"
        code, size = SIZE[t["dtype"]]
        count = math.prod(t["shape"])
        assert stop - begin == count * size, f"size of {name}"
        tensors[name] = (t["dtype"], t["shape"], struct.unpack(f"<{count}{code}", data[begin:stop]))
        end = stop
    assert end == len(data), "bytes after the last tensor"
    return tensors


if __name__ == "__main__":
    for path in sys.argv[1:]:
        for name, (dtype, shape, values) in sorted(read(path).items()):
            print(name, dtype, shape, f"{math.fsum(values):.6g}")
