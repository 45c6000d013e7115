#!/bin/sh
# make fault: all faults at all calls, kills, and many runs on one store. Variables: docs/testing.md.
set -eu
obj=$1
python3 tests/fault/campaign.py "$obj" --stride "${FAULT_STRIDE:-1}" --seed "${FAULT_SEED:-1}" --kills "${FAULT_KILLS:-500}"
[ ! -e tests/fault/concurrency.py ] || python3 tests/fault/concurrency.py "$obj" --rounds "${FAULT_ROUNDS:-20}" --seed "${FAULT_SEED:-1}"
