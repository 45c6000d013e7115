"""What bench_image measures, by Pillow: peer_image.py TAR SHORT. One JSON line."""
import io
import json
import sys
import tarfile
import time

from PIL import Image

SIDE = 224


def one(data, short):
    im = Image.open(io.BytesIO(data)).convert("RGB")
    w, h = im.size
    w, h = (short, short * h // w) if w <= h else (short * w // h, short)
    x, y = (w - SIDE) // 2, (h - SIDE) // 2
    return im.resize((w, h), Image.BICUBIC).crop((x, y, x + SIDE, y + SIDE))


def main():
    path, short = sys.argv[1], int(sys.argv[2])
    with tarfile.open(path) as tar:
        files = [tar.extractfile(m).read() for m in tar if m.name.endswith((".jpg", ".JPEG"))]
    for _ in range(2):
        start = time.process_time()
        for data in files:
            one(data, short)
        seconds = time.process_time() - start
    print(json.dumps({"name": f"JPEG to {short}, crop {SIDE}, a core", "value": len(files) / seconds, "unit": "img/s"}))


main()
