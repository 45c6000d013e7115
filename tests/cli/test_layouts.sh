#!/bin/sh
# Data sets in the layouts of their authors, through the whole engine: lists inside and beside the data, what runs
# again when a list changes, and where a bad list is bad.
. "$(dirname "$0")/lib.sh"
python3 - <<'P'
import os, struct, tarfile, zlib
def png(path, k):
    def chunk(t, d): return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    raw = b"".join(b"\0" + bytes([k] * 24) for _ in range(8))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) +
                           chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
for k, n in enumerate(["pug_1", "pug_2", "Bengal_1", "Bengal_2"]): png(f"pets/images/{n}.jpg", k)
os.mkdir("pets/annotations")
open("pets/annotations/trainval.txt", "w").write("pug_2 2 2 1\nBengal_1 1 1 1\n")
for k, w in enumerate(["n01", "n02"]): png(f"imagenet/train/{w}/{w}_1.JPEG", k)
open("imagenet/classnames.txt", "w").write("n01 tench\nn02 great white shark\n")
tarfile.open("imagenet.tar.gz", "w:gz").add("imagenet")
P
echo '{"train": [["pug_1.jpg", 0, "pug dog"]], "test": [["Bengal_2.jpg", 1, "bengal cat"]]}' >split.json
cat >case.yaml <<'Y'
experiment: layouts
stages:
  own:    { uses: images, with: { path: pets, layout: pets, split: trainval, classnames: "" }, private: pets }
  coop:   { uses: images, with: { path: pets, layout: coop, split_file: split.json }, private: pets }
  public: { uses: images, with: { path: imagenet.tar.gz, layout: imagenet } }
Y
run() { # NAME STATES
    try run case.yaml --json
    exits "$1" 0
    became "$1" "$2"
}
# is NAME TASK IDS-AND-LABELS CLASSES
is() {
    rm -rf exported
    try export "$2" exported --private
    exits "$1: export" 0
    ids=$3 classes=$4 python3 - >out 2>err <<'P' || wrong "$1" "wrong samples or classes"
import json, os
samples = [json.loads(s) for s in open("exported/samples.jsonl")]
meta = json.load(open("exported/dataset.json"))
got = " ".join(f"{s['id']}={s['label']}" for s in samples), "|".join(meta["classes"])
there = all(os.path.exists(f"exported/source/{s['id']}") if meta["source"] == "folder" else s["size"] > 0 for s in samples)
print(got, there)
assert got == (os.environ["ids"], os.environ["classes"]) and there
P
}
refused() { # NAME PATTERN
    try run case.yaml
    exits "$1" 2
    says "$1" "$2"
}
run "first" "coop=ran own=ran public=ran"
is "own lists" own "Bengal_1.jpg=0 pug_2.jpg=1" "Bengal|pug"
is "CoOp's list" coop "pug_1.jpg=0" "pug dog|bengal cat"
is "names in an archive" public "train/n01/n01_1.JPEG=0 train/n02/n02_1.JPEG=1" "tench|great white shark"

# a list is input: what it changes runs again, and nothing else does
echo '{"train": [["pug_2.jpg", 0, "pug"]]}' >split.json
run "another list" "coop=ran own=hit public=hit"
is "another list" coop "pug_2.jpg=0" "pug"

printf 'pug_2 2 2 1\nBengal_1 1 1\n' >pets/annotations/trainval.txt
refused "bad line" 'pets/annotations/trainval.txt:2:1: error: .*two more numbers'
printf 'pug_1 1 2 1\n' >pets/annotations/trainval.txt
echo '{"train": [["pug_9.jpg", 0, "pug"]]}' >split.json
refused "image that is not there" "split.json': train\[0\]: 'pug_9.jpg' is listed, but"
sed -i 's/layout: coop, //' case.yaml
refused "a list without its layout" "case.yaml:4:.*'split_file' is for layout 'coop'"
[ $bad = 0 ]
