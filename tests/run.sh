#!/bin/sh
# Run the test programs under $1 (build folder), groups $2... (default: all, fast ones first), of cli and slurm the
# scripts. A program passes with exit 0 and is skipped with exit 77; the last line is "N passed, N failed, N skipped".
set -u
obj=$1; shift
[ $# -gt 0 ] || set -- unit ops sched store fault fuzz golden cli slurm
WEFT=$PWD/$obj/weft; export WEFT
pass=0; fail=0; skip=0
mkdir -p "$obj/log"
one() { # name command...
    name=$1; shift
    log=$obj/log/$(echo "$name" | tr / _).log
    "$@" >"$log" 2>&1; rc=$?
    case $rc in
    0) pass=$((pass + 1)); echo "ok    $name" ;;
    77) skip=$((skip + 1)); echo "skip  $name: $(tail -n 1 "$log")" ;;
    *) fail=$((fail + 1)); echo "FAIL  $name (exit $rc), log $log:"; tail -n 40 "$log" ;;
    esac
}
for group in "$@"; do
    if [ "$group" = cli ] || [ "$group" = slurm ]; then
        for t in tests/$group/test_*.sh; do [ -e "$t" ] && one "$t" sh "$t"; done
    else
        for t in tests/$group/test_*.c; do [ -e "$t" ] && one "${t%.c}" "$obj/${t%.c}"; done
    fi
done
echo "$pass passed, $fail failed, $skip skipped"
[ "$fail" = 0 ]
