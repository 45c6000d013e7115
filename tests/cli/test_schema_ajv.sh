#!/bin/sh
# weft schema by a second validator, ajv of Node, in its strict mode: the files and cases of test_schema.sh. Its packages
# come from npm once, by the versions and digests of ajv/package-lock.json, into build/ajv.
. "$(dirname "$0")/lib.sh"
root=$(cd "$here/../.." && pwd)
command -v node >/dev/null && command -v npm >/dev/null || { echo "no node with npm"; exit 77; }
CASES=$tmp/cases.json sh "$here/test_schema.sh" >"$tmp/log" 2>&1
case $? in
0) ;;
77) cat "$tmp/log"; exit 77 ;;
*) echo "test_schema.sh fails: see there"; exit 1 ;;
esac
modules=$root/build/ajv
if ! cmp -s "$here/ajv/package-lock.json" "$modules/done"; then
    mkdir -p "$modules" && cp "$here/ajv/package.json" "$here/ajv/package-lock.json" "$modules" || exit 1
    (cd "$modules" && npm ci --no-audit --no-fund --ignore-scripts --fetch-retries=0 --fetch-timeout=20000) >"$tmp/log" 2>&1 || {
        grep -q 'EINTEGRITY' "$tmp/log" && { cat "$tmp/log"; exit 1; }
        echo "npm cannot get ajv: $(grep -m 1 'npm error' "$tmp/log")"
        exit 77
    }
    cp "$here/ajv/package-lock.json" "$modules/done"
fi
"$WEFT" schema >"$tmp/schema.json" || exit 1
NODE_PATH=$modules/node_modules node "$here/ajv/check.js" "$tmp/schema.json" "$tmp/cases.json"
