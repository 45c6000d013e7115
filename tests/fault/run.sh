#!/bin/sh
# make fault: all faults at all calls, kills, and many runs on one store. Variables: docs/testing.md.
set -eu
obj=$1
seed=${FAULT_SEED:-1}
python3 tests/fault/campaign.py "$obj" --stride "${FAULT_STRIDE:-1}" --seed "$seed" --kills "${FAULT_KILLS:-500}"
python3 tests/fault/cache.py "$obj" --stride "${FAULT_STRIDE:-1}" --seed "$seed"
python3 tests/fault/concurrency.py "$obj" --rounds "${FAULT_ROUNDS:-20}" --seed "$seed"
