#!/bin/sh
# A sample of what `make fault` does: faults of every kind, kills, and runs at once; docs/testing.md. FAULT_SEED=N
# draws another.
. "$(dirname "$0")/lib.sh"
cd "$here/../.." || exit 1
build=$(dirname "$WEFT")
[ -x "$build/weft-faulty" ] || { echo "weft-faulty is not built: make tests"; exit 1; }
seed=${FAULT_SEED-1}
python3 tests/fault/campaign.py "$build" --few 2 --kills 6 --seed "$seed" || exit 1
python3 tests/fault/cache.py "$build" --stride 37 --seed "$seed" || exit 1
python3 tests/fault/concurrency.py "$build" --rounds 2 --seconds 1 --runs 6 --seed "$seed"
