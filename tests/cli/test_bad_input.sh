#!/bin/sh
# Bad input: one clear error, exit status 2 (3rd column pattern must be in the message), nothing written to the store.
. "$(dirname "$0")/lib.sh"
# check NAME PATTERN: runs case.yaml, whether the mistake is seen before anything runs or by the task that reads the data
check() {
    "$WEFT" run case.yaml --store "$tmp/store" >out 2>err; rc=$?
    if [ $rc != 2 ] || ! grep -qi -- "$2" err || { [ -e "$tmp/store/records" ] && find "$tmp/store/records" -type f | grep -q .; }; then
        echo "case '$1': exit $rc, wanted 2 and '$2':"; cat err; bad=1
    fi
    rm -rf "$tmp/store"
}
head='experiment: e
stages:'
put() { printf '%s\n' "$head" "$@" >case.yaml; }

printf 'experiment: e\nstages: {a: [\n' >case.yaml;                        check "broken yaml" 'case.yaml:'
printf 'experiment: e\n\tstages: 1\n' >case.yaml;                          check "tab" 'case.yaml:2'
printf 'experiment: e\nstages: {}\nstages: {}\n' >case.yaml;               check "duplicate key" 'stages'
put '  a: { uses: syntetic, with: { domain: public } }';                   check "unknown stage" 'did you mean.*synthetic'
put '  a: { uses: synthetic, with: { domian: public } }';                  check "unknown parameter" 'did you mean.*domain'
put '  a: { uses: synthetic, with: { domain: public, per_class: many } }'; check "wrong type" 'per_class.*integer'
put '  a: { uses: synthetic, with: { domain: public, per_class: -3 } }';   check "out of range" 'per_class'
put '  a: { uses: synthetic, with: { domain: nowhere } }';                 check "choice" 'domain'
put '  a: { uses: embedding, in: { model: b, data: c } }' '  b: { uses: model, with: { path: . } }' '  c: { uses: table, in: { scores: a } }'
check "wrong artifact type or missing file" 'case.yaml:'
put '  a: { uses: merge, in: { model: b, experts: c } }' '  b: { uses: router, in: { model: a, public: p, proxies: d } }' \
    '  p: { uses: synthetic, with: { domain: public } }' '  c: { uses: expert, in: { model: b, private: p } }' \
    '  d: { uses: dpp, in: { features: f, relevance: r } }' '  f: { uses: embedding, in: { model: b, data: p } }' \
    '  r: { uses: classifier, in: { model: b, public: f, private: p } }'
check "cycle" 'cycle.*->'
put '  a: { uses: embedding, in: { model: nothing, data: nothing } }';     check "unknown reference" 'nothing'
put '  a: { uses: embedding }';                                            check "missing input" 'model'
put '  a: { uses: images, with: { path: /nonexistent/folder } }';          check "missing file" 'nonexistent'
put '  a: { uses: synthetic, with: { domain: public } }' '  b: { uses: synthetic, with: { domain: "${nix}" } }'
check "unknown variable" 'nix'
sed 's/pool: 40, size: "${proxies}"/pool: 10, size: 11/' "$here/tiny.yaml" >case.yaml; check "size over pool" 'pool'
sed 's/in: { model: router, data: "test\[${item}\]" }/in: { model: seed, data: "test[*]" }/' "$here/tiny.yaml" >case.yaml
check "many into one" 'data'
cat >case.yaml <<'Y'
experiment: e
stages:
  a: { uses: synthetic, with: { domain: stripes }, private: one }
  t: { uses: pretrain, in: { public: a } }
Y
check "private data into a public port" 'private\|label'
"$WEFT" run none.yaml >out 2>err; [ $? = 2 ] && grep -q none.yaml err || { echo "missing experiment file"; cat err; bad=1; }
"$WEFT" run case.yaml --frob >out 2>err; [ $? = 2 ] && grep -q frob err || { echo "unknown option"; cat err; bad=1; }
"$WEFT" rum case.yaml >out 2>err; [ $? = 2 ] && grep -q 'run' err || { echo "unknown command"; cat err; bad=1; }

# damaged data
data='  a: { uses: images, with: { path: set } }'
mkdir -p set/train
put "$data"; check "no classes" 'class'
mkdir -p set/train/cat set/train/dog
python3 - <<'P'
import struct, zlib
def png(path, cut=None, flip=None):
    def chunk(t, d): return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
    raw = b"".join(b"\0" + bytes(range(24)) for _ in range(8))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    if cut: out = out[:cut]
    if flip: out = out[:flip] + bytes([out[flip] ^ 0xff]) + out[flip + 1:]
    open(path, "wb").write(out)
for c in ("cat", "dog"):
    for i in range(3): png(f"set/train/{c}/{i}.png")
png("cut.png", cut=60); png("flip.png", flip=48)
open("fake.jpg", "wb").write(b"\xff\xd8\xff\xe0" + b"x" * 50)
P
cp cut.png set/train/cat/bad.png; put "$data"; check "truncated png" 'bad.png'
cp flip.png set/train/cat/bad.png;             check "corrupt png" 'bad.png'
rm set/train/cat/bad.png; cp fake.jpg set/train/dog/bad.jpg; check "corrupt jpeg" 'bad.jpg'
put '  a: { uses: images, with: { path: set, on_corrupt: skip } }'
"$WEFT" run case.yaml --store "$tmp/store" >out 2>err && "$WEFT" show a --store "$tmp/store" >show 2>&1 && grep -qi 'skipped.*1\|1.*skipped' show ||
    { echo "on_corrupt: skip"; cat err show; bad=1; }
rm -rf "$tmp/store" set/train/dog/bad.jpg
tar cf set.tar set; head -c 3000 set.tar >cut.tar
put '  a: { uses: images, with: { path: cut.tar } }'; check "truncated tar" 'cut.tar'
mkdir clip; echo '{"model_type": "clip"}' >clip/config.json; head -c 100 /dev/zero >clip/model.safetensors
put '  a: { uses: model, with: { path: clip } }';     check "corrupt safetensors" 'model.safetensors'
: >set/train/cat/empty.jpg; put "$data";              check "empty jpeg" 'empty.jpg'
rm set/train/cat/empty.jpg; printf 'PK\003\004junk' >junk.zip
put '  a: { uses: images, with: { path: junk.zip } }'; check "corrupt zip" 'junk.zip'
put '  a: { uses: images, with: { path: set, split: tset } }'; check "no such split" 'tset'
put '  a: { uses: model, with: { path: case.yaml } }'; check "a file for a folder" 'case.yaml'
[ $bad = 0 ]
