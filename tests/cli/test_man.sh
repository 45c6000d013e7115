#!/bin/sh
# The manual pages: sound mdoc, and all that the rows have is in them.
. "$(dirname "$0")/lib.sh"
for page in weft.1 weft-experiment.5; do
    "$WEFT" man $page >$page || fail "$page: exit $?"
done
"$WEFT" man weft.5 >out 2>err; [ $? = 2 ] || fail "no such page"
grep -q "there is no manual page 'weft.5'" err || { fail "no such page"; cat err; }
"$WEFT" man weft.1 >/dev/full 2>err; [ $? = 1 ] || fail "full disk"
command -v mandoc >/dev/null || { [ $bad = 0 ] || exit 1; echo "no mandoc to check the pages with"; exit 77; }
for page in weft.1 weft-experiment.5; do
    mandoc -T lint -W warning $page >lint || { fail "$page:"; cat lint; }
done
mandoc -T ascii weft.1 | col -b | tr -s ' \t\n' ' ' >text
"$WEFT" help >commands || fail "help"
sed -n 's/^  \([a-z]*\) .*/\1/p' commands >names
"$WEFT" help cache | sed -n '/^commands:/,/^$/s/^  \([a-z][a-z]*\) .*/cache \1/p' >more
[ -s more ] && cat more >>names
[ "$(wc -l <names)" -ge 20 ] || fail "names"
while read -r name; do
    grep -q "weft $name" text || fail "weft.1 lacks $name"
    "$WEFT" help $name | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p' >options
    while read -r option; do
        grep -q -e "$option" text || fail "weft.1 lacks $option of $name"
    done <options
done <names
for word in WEFT_STORE NO_COLOR 'EXIT STATUS' events.jsonl 130 'weft-experiment(5)'; do
    grep -q -e "$word" text || fail "weft.1 lacks $word"
done
mandoc -T ascii weft-experiment.5 | col -b | tr -s ' \t\n' ' ' >text
"$WEFT" stages --json >stages.json
"$WEFT" schema >schema.json
python3 - >words <<'P'
import json
for s in json.load(open("stages.json")):
    print("%s, version %d" % (s["name"], s["version"]))
    for name in s["parameters"]: print(" %s " % name)
    for p in s["inputs"] + s["outputs"]: print(" %s " % p["name"])
schema = json.load(open("schema.json"))
for key in list(schema["properties"]) + list(schema["$defs"]["stage"]["properties"]): print(" %s " % key)
for key in "privacy.allow", "resources.cores", "resources.memory", "resources.units", "resources.retries.backoff", "matrix.exclude": print(" %s " % key)
P
[ "$(wc -l <words)" -ge 50 ] || fail "words"
while IFS= read -r word; do
    grep -q -F -e "$word" text || fail "weft-experiment.5 lacks '$word'"
done <words
# its example is one
mandoc -T ascii weft-experiment.5 | col -bx | sed -n '/^EXAMPLES/,/^SEE ALSO/{/^  /p;}' | sed 's/^ *experiment:/experiment:/' |
    awk 'NR == 1 { print; next } { sub(/^           /, ""); print }' >example.yaml
"$WEFT" check example.yaml >out 2>&1 || { fail "the example of weft-experiment.5"; cat out example.yaml; }
[ $bad = 0 ]
