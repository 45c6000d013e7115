#!/bin/sh
# weft cache export and import: what goes and what stays, and bundles that are damaged or none.
. "$(dirname "$0")/lib.sh"
cp "$here/tiny.yaml" .
"$WEFT" run tiny.yaml --quiet || fail "run"
other() { WEFT_STORE=$tmp/other "$WEFT" "$@" >out 2>err; rc=$?; }
refused() { name=$1 what=$2; shift 2; "$@"; exits "$name" 2; says "$name" "$what"; [ "$(wc -l <err)" -le 3 ] || wrong "$name" "too many lines"; }

# -- all of it but what is private: the data of two clients
try cache export all.tar; exits export 0; says export "^12 records with [0-9]* objects, "
says export "^6 left out: they carry private data; --private takes them too$"
tar tf all.tar >names || fail "export: no tar"
head -n 1 names | grep -qx weft-bundle || fail "export: no list in front"
grep -v '^weft-bundle$\|^objects/../[0-9a-f]\{62\}$\|^records/../[0-9a-f]\{62\}$' names && fail "export: other names"
[ "$(grep -c ^records names)" = 12 ] || fail "export: records"
mkdir plain && tar xf all.tar -C plain && find plain -path '*objects*' -type f -exec zstd -tq {} + || fail "export: objects"
(cd plain && find objects records -type f) | while read -r f; do cmp "plain/$f" "store/$f"; done | grep . && fail "export: other bytes than in the store"
for client in stripes blobs; do
    grep -qx "records/$("$WEFT" cache path "client[$client]" | sed 's|.*/records/||')" names && fail "export: private data of $client"
done
cp all.tar first.tar; try cache export all.tar; cmp all.tar first.tar || fail "export: twice, and other bytes"
try cache export private.tar --private --json; exits "export --private" 0
python3 -c 'import json; e = json.load(open("out")); assert e["records"] == 18 and e["private"] == e["unknown"] == e["incomplete"] == 0 and e["objects"] and e["bytes"], e' ||
    wrong "export --private" "report"

# -- in: hits there, and nothing twice
other cache import all.tar; exits import 0; says import "^12 records and [0-9]* objects (.*) came in, 0 records were here$"
other cache verify; exits "verify after import" 0; says "verify after import" " 12 records, .*all is well$"
other run tiny.yaml --json
states | grep -q 'client\[blobs\]=ran client\[stripes\]=ran expert\[blobs\]=hit' || wrong "run after import" "$(states)"
[ "$(states | tr ' ' '\n' | grep -c =hit)" = 12 ] || wrong "run after import" "not 12 hits: $(states)"
rm -rf other
"$WEFT" cache export - --private 2>err | { WEFT_STORE=$tmp/other "$WEFT" cache import - --json >out 2>err2; } || fail "export to import"
python3 -c 'import json; i = json.load(open("out")); assert i["records"] == 18 and i["known"] == 0 and i["whole"], i' || fail "export to import: report"
other cache import private.tar; exits "import again" 0; says "import again" "^0 records and 0 objects (0 B) came in, 18 records were here$"
other run tiny.yaml --json; [ "$(states | tr ' ' '\n' | grep -c =hit)" = 18 ] || wrong "run after import" "not 18 hits"
"$WEFT" export unified a >out && WEFT_STORE=$tmp/other "$WEFT" export unified b >out && diff -r a b || fail "a result is another there"
other cache export unknown.tar; rm -rf other/runs/*; other cache export unknown.tar; exits "export of unknown" 0
says "export of unknown" "^0 records with 0 objects, 0 B$"; [ "$(tar tf unknown.tar)" = weft-bundle ] || wrong "export of unknown" "something went"
says "export of unknown" "^18 left out: no run's log says that they carry no private data; --private takes them too$"

# -- parts of it
try cache export one.tar table; exits "export of a task" 0; says "export of a task" "^1 record with [0-9]* objects\{0,1\}, "
try cache export one.tar 'client[blobs]'; exits "export of a private task" 0; says "export of a private task" "^1 left out: they carry private data"
try cache export last.tar last; exits "export of a run" 0; cmp last.tar all.tar || fail "export of the only run: not all"
rm "$("$WEFT" cache path table.table | head -n 1 | cut -f 1)"
try cache export part.tar; exits "export with a hole" 0; says "export with a hole" "^1 left out: what they name is missing or damaged$"

# -- outside data by reference
mkdir data && python3 - <<'P'
import struct, zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
for label in "ab":
    import os
    os.makedirs("data/" + label)
    for i in range(3):
        rows = b"".join(b"\0" + bytes((i * 40, 90, ord(label))) * 8 for _ in range(8))
        open("data/%s/%d.png" % (label, i), "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
P
echo 'experiment: outside
stages: { photos: { uses: images, with: { path: data, split: "" } } }' >outside.yaml
"$WEFT" run outside.yaml --quiet || fail "run outside"
try cache export ref.tar photos; exits "export by reference" 0; says "export by reference" "^1 record with "
says "export by reference" "^1 of them take outside data by reference, which is not in the bundle$"
rm -rf other; other cache import ref.tar; exits "import by reference" 0; says "import by reference" "hits where it is found here$"
other run outside.yaml --json; exits "run of it" 0

# -- damage, cuts, what is none: what is whole comes in
size=$(wc -c <all.tar)
rm -rf other; head -c $((size / 2)) all.tar >cut.tar
refused "a cut" "^weft: error: 'cut.tar' is damaged ('.*': it is cut short): [0-9]* records did not come in: .* and [0-9]* more$" other cache import cut.tar
says "a cut" "records and [0-9]* objects (.*) came in"
other cache verify; exits "verify after a cut" 0; [ "$(ls other/tmp)" = "" ] || wrong "a cut" "left something"
other cache import all.tar; exits "the whole one then" 0; other cache ls; [ "$(wc -l <out)" = 12 ] || wrong "the whole one then" "not 12"
rm -rf other; python3 - <<'P'
b = bytearray(open("all.tar", "rb").read())
at = b.index(b"weft", b.index(b"objects/")) + 200 # in the first object
b[at] ^= 16
open("flip.tar", "wb").write(b)
P
refused "a flipped bit" "is damaged ('objects/.*': .*): [0-9]* records* did not come in: " other cache import flip.tar
lost=$(sed -n 's/.*: \([0-9]*\) records* did not come in.*/\1/p' err) # those that have that object
other cache ls; [ "$(wc -l <out)" = $((12 - lost)) ] || wrong "a flipped bit" "not 12 - $lost"; other cache verify; exits "verify after a flipped bit" 0
refused "no tar" "'tiny.yaml' is no bundle: not a tar$" other cache import tiny.yaml
refused "nothing" "cannot open 'nothing.tar'" other cache import nothing.tar
refused "a folder" "'data'" other cache import data
tar cf foreign.tar tiny.yaml; refused "another tar" "'foreign.tar' is no bundle: it holds 'tiny.yaml', no record and no object$" other cache import foreign.tar
refused "no result" "no task 'tabel' has come to an end.*did you mean 'table'" try cache export x.tar tabel
refused "two outputs" "would both go to stdout" try cache export - --json
refused "no folder" "cannot create 'no/x.tar" try cache export no/x.tar
[ -e x.tar ] && wrong "no result" "wrote something"
"$WEFT" cache export - >/dev/full 2>err; exits "full disk" 1 $?; says "full disk" "No space left"
ls | grep weft- && fail "temporary files are left"
[ $bad = 0 ]
