#!/bin/sh
# make fuzz: $1 is the folder of the fuzzers, then their names; FUZZ_SECONDS how long each runs (600), FUZZ_KEEP=1 replaces
# the corpus that is kept by the smallest one that reaches as much. Starts from the corpus; that of experiment files also
# from the examples and the experiments and wrong experiments of tests/cli. Finds are left in build/fuzz/NAME/found.
set -eu
root=$(pwd)
bin=$root/$1
shift
# allocations beyond what may be are errors that the code under test sees, as on a small machine
export ASAN_OPTIONS=allocator_may_return_null=0:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

fuzz_one() { # NAME
    fuzz=$bin/fuzz_$1
    kept=$root/tests/fuzz/corpus/$1
    work=$root/build/fuzz/$1/corpus
    seeds=$root/build/fuzz/$1/seeds
    found=$root/build/fuzz/$1/found
    mkdir -p "$work" "$seeds" "$found" "$kept"
    if [ "$1" = spec ]; then
        cp examples/*.yaml tests/cli/*.yaml "$seeds"
        python3 tests/cli/diagnostics.py --texts tests/cli/diagnostics "$seeds"
        rm -f "$seeds"/limits-* # a million tasks each: allowed, and most of a minute under these sanitizers
    fi
    set -- -timeout=60 -rss_limit_mb=4096 -max_len=4096 -artifact_prefix="$found/"
    [ ! -e "$root/tests/fuzz/${fuzz##*_}.dict" ] || set -- "$@" -dict="$root/tests/fuzz/${fuzz##*_}.dict"
    "$fuzz" "$@" -max_total_time="${FUZZ_SECONDS:-600}" -print_final_stats=1 "$work" "$kept" "$seeds"
    [ -z "${FUZZ_KEEP:-}" ] || {
        rm -rf "$kept.new" && mkdir "$kept.new"
        "$fuzz" "$@" -merge=1 -use_counters=0 "$kept.new" "$kept" "$work" "$seeds"
        rm -rf "$kept" && mv "$kept.new" "$kept"
        echo "corpus: $(find "$kept" -type f | wc -l) files, $(du -sb "$kept" | cut -f1) bytes"
    }
}

for name in "$@"; do
    fuzz_one "$name"
done
