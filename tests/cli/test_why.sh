#!/bin/sh
# weft why --against RUN, how runs are named, and which file of an import changed.
. "$(dirname "$0")/lib.sh"
runs() { ls store/runs | sort; }

cat >seed.yaml <<'Y'
experiment: seed
vars: { epochs: 1, seed: 0, per_class: 1 }
stages:
  data: { uses: synthetic, with: { domain: public, split: train, per_class: "${per_class}", size: 16 } }
  seed:
    uses: pretrain
    in: { public: data }
    with: { image_size: 16, patch: 8, width: 16, layers: 1, heads: 1, embed: 8, text_width: 8, text_layers: 1,
            text_heads: 1, epochs: "${epochs}", seed: "${seed}" }
Y
try why seed.yaml data --against last; exits "no runs" 2; says "no runs" "has no runs"
"$WEFT" run seed.yaml -q && "$WEFT" run seed.yaml -q --set epochs=2 && "$WEFT" run seed.yaml -q --set epochs=2 --set seed=1 || exit 1
first=$(runs | sed -n 1p); second=$(runs | sed -n 2p); third=$(runs | sed -n 3p)

# a miss: both fields against the first run, though another record is nearer
at=$(grep -n 'epochs: "' seed.yaml | cut -d: -f1)
try why seed.yaml seed --set epochs=3 --set seed=1 --against "$first"; exits "miss" 0
prints "miss" '^seed would run'; prints "miss" "^  compared with run $first, whose result was made 20"
grep '^    ' out >got
printf '    param epochs: 1 -> 3 (seed.yaml:%s:36)\n    param seed: 0 -> 1 (seed.yaml:%s:55)\n' "$at" "$at" | diff - got || wrong "miss" "other changes"
# hits: who made them, then what the run had
try why seed.yaml seed --against "$second"; exits "hit" 0
prints "hit" "^seed is a hit: made .* on .* as task 'seed'"; prints "hit" '^    param epochs: 2 -> 1 '
try why seed.yaml seed --set epochs=2 --set seed=1 --against last; prints "same" "^  the same key as in run $third$"
# a wait goes up to its cause
try why seed.yaml seed --set per_class=2 --against "$first"; prints "cause" '^seed would wait'; prints "cause" '^data would run'
prints "cause" '^    param per_class: 1 -> 2 '
try why seed.yaml seed --against "$first" --json; grep -q "\"against\": \"$first\"" out || wrong "JSON" "no run"
# names of runs
year=$(echo "$first" | cut -c1-3)
try why seed.yaml seed --against "$year"; exits "several" 2; says "several" "^weft: error: 3 runs of the store begin with '$year', the newest is '$third'$"
try why seed.yaml seed --against 1999; exits "none" 2; says "none" "has no run '1999'"
sed 's/  seed:$/  other:/' seed.yaml >other.yaml
try why other.yaml other --against "$first"; exits "no task" 0; prints "no task" "^  run $first had no task 'other'$"
rm -rf store/records
try why seed.yaml data --against "$first"; exits "gone" 0; prints "gone" "left no record to compare with"

# an import: the file that changed, and one that is gone
"$WEFT" run seed.yaml -q && "$WEFT" export seed model >out 2>err || wrong "export" "failed"
chmod -R u+w model
printf 'experiment: import\nstages:\n  seed: { uses: model, with: { path: model } }\n' >import.yaml
"$WEFT" run import.yaml -q || exit 1
sed -i '$ s/$/ /' model/config.json
try why import.yaml seed --against last; exits "import" 0
prints "import" '^    import path: [0-9a-f]* -> [0-9a-f]* (import.yaml:3:38) (config.json changed)$'
try why import.yaml seed; prints "import, nearest" ' (config.json changed)$'
try why import.yaml seed --json; tr -d ' \n' <out | grep -q '"files":\[{"file":"config.json","what":"changed"}\]' || wrong "import" "JSON"
[ $bad = 0 ]
