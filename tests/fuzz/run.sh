#!/bin/sh
# make fuzz: $1 is the fuzzer, FUZZ_SECONDS how long (600), FUZZ_KEEP=1 replaces the corpus that is kept by the smallest
# one that reaches as much. Starts from the corpus, the examples, and the experiments and wrong experiments of tests/cli.
# Finds are left in build/fuzz/found.
set -eu
root=$(pwd)
fuzz=$root/$1
kept=$root/tests/fuzz/corpus/spec
work=$root/build/fuzz/corpus
seeds=$root/build/fuzz/seeds
found=$root/build/fuzz/found
mkdir -p "$work" "$seeds" "$found" "$kept"
cp examples/*.yaml tests/cli/*.yaml "$seeds"
python3 tests/cli/diagnostics.py --texts tests/cli/diagnostics "$seeds"
rm -f "$seeds"/limits-* # a million tasks each: allowed, and most of a minute under these sanitizers
set -- -dict="$root/tests/fuzz/spec.dict" -timeout=60 -rss_limit_mb=4096 -max_len=4096 -artifact_prefix="$found/"
# allocations beyond what may be are errors that the code under test sees, as on a small machine
export ASAN_OPTIONS=allocator_may_return_null=0:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
"$fuzz" "$@" -max_total_time="${FUZZ_SECONDS:-600}" -print_final_stats=1 "$work" "$kept" "$seeds"
[ -z "${FUZZ_KEEP:-}" ] || {
    rm -rf "$kept.new" && mkdir "$kept.new"
    "$fuzz" "$@" -merge=1 -use_counters=0 "$kept.new" "$kept" "$work" "$seeds"
    rm -rf "$kept" && mv "$kept.new" "$kept"
    echo "corpus: $(find "$kept" -type f | wc -l) files, $(du -sb "$kept" | cut -f1) bytes"
}
