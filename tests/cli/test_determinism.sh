#!/bin/sh
# The same key gives the same bits: one core against two, and a run killed with -9 at three random moments and resumed.
. "$(dirname "$0")/lib.sh"
set -e
"$WEFT" run "$here/tiny.yaml" --store "$tmp/one" --cores 1 --json 2>"$tmp/log1" | digests /dev/stdin >"$tmp/one.txt"
"$WEFT" run "$here/tiny.yaml" --store "$tmp/two" --cores 2 --json 2>"$tmp/log2" | digests /dev/stdin >"$tmp/two.txt"
[ "$(wc -l <"$tmp/one.txt")" = 18 ] || { echo "expected 18 tasks"; cat "$tmp/one.txt"; exit 1; }
diff "$tmp/one.txt" "$tmp/two.txt"
for i in 1 2 3; do
    "$WEFT" run "$here/tiny.yaml" --store "$tmp/kill" >/dev/null 2>&1 & pid=$!
    sleep "0.$(awk -v s="$i$$" 'BEGIN { srand(s); printf "%d", 1 + rand() * 8 }')"
    kill -9 $pid 2>/dev/null || :
    wait $pid 2>/dev/null || :
done
"$WEFT" run "$here/tiny.yaml" --store "$tmp/kill" --json 2>"$tmp/log3" | digests /dev/stdin >"$tmp/kill.txt"
diff "$tmp/one.txt" "$tmp/kill.txt"
# Nothing is left over: no worker, no temporary folder.
"$WEFT" run "$here/tiny.yaml" --store "$tmp/kill" --json 2>/dev/null >"$tmp/hits.json"
grep -q '"state": *"hit"' "$tmp/hits.json"
[ -z "$(ls "$tmp/kill/tmp")" ] || { echo "left in tmp:"; ls -l "$tmp/kill/tmp"; exit 1; }
