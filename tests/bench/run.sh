#!/bin/sh
# Every benchmark beside its peer, turn and turn about: tests/bench/run.sh OBJDIR. Prints a table and writes
# build/bench.json. ROUNDS (3) medians are taken over; THREADS (2) each side gets; PYTHON runs the peers.
set -u
obj=$1
ROUNDS=${ROUNDS:-3} THREADS=${THREADS:-2} PYTHON=${PYTHON:-/usr/bin/python3}
export OMP_NUM_THREADS=$THREADS BLIS_NUM_THREADS=$THREADS OPENBLAS_NUM_THREADS=$THREADS
if ! "$PYTHON" -c 'import torch, numpy' 2>/dev/null && ! { sh tests/deps.sh python3-torch python3-numpy &&
    "$PYTHON" -c 'import torch, numpy'; }; then
    echo "bench: no PyTorch and numpy for $PYTHON: the peers' columns stay empty" >&2
fi
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT INT TERM
bench=$obj/tests/bench here=tests/bench
"$bench/bench_dpp" data "$work/dpp3000" 3000 768 && "$bench/bench_dpp" data "$work/dpp20000" 20000 768 || exit 1
vit="$PYTHON $here/peer_vit.py" torch='PyTorch, as installed'

# One row each: peer's name | our command | the peer's command. A program prints one JSON line a run: name, value, unit
# (of time: less is better; else: more is), and where it applies gflops.
cat >"$work/rows" <<ROWS
$torch|$bench/bench_gemm|$vit gemm 20
$torch|$bench/bench_vit forward 7|$vit forward 3
$torch|$bench/bench_vit train 5|$vit train 2
numpy greedy MAP|$bench/bench_dpp $work/dpp3000 500|$PYTHON $here/peer_dpp.py $work/dpp3000 500
numpy greedy MAP|$bench/bench_dpp $work/dpp20000 500|$PYTHON $here/peer_dpp.py $work/dpp20000 500
ROWS
# BLIS, which PyTorch and numpy call, may take AVX2 kernels on a machine with AVX-512 (see stages/tensor/gemm.c); told
# better by its environment, the peers are faster: the harder comparison, shown too.
if grep -q avx512vl /proc/cpuinfo && grep -q GenuineIntel /proc/cpuinfo; then
    hard='env BLIS_ARCH_TYPE=0'
    cat >>"$work/rows" <<ROWS
PyTorch, BLIS told to use AVX-512|$bench/bench_gemm|$hard $vit gemm 20
PyTorch, BLIS told to use AVX-512|$bench/bench_vit forward 7|$hard $vit forward 3
PyTorch, BLIS told to use AVX-512|$bench/bench_vit train 5|$hard $vit train 2
numpy greedy MAP, BLIS told to use AVX-512|$bench/bench_dpp $work/dpp20000 500|$hard $PYTHON $here/peer_dpp.py $work/dpp20000 500
ROWS
fi

round=1
while [ "$round" -le "$ROUNDS" ]; do
    row=0
    while IFS='|' read -r name ours peer; do
        row=$((row + 1))
        echo "round $round of $ROUNDS: $ours | $name" | sed "s#$work/##g; s#$bench/##g" >&2
        $ours </dev/null >>"$work/ours.$row" || exit 1
        $peer </dev/null >>"$work/peer.$row" 2>>"$work/log" || true
    done <"$work/rows"
    round=$((round + 1))
done
mkdir -p build
exec "$PYTHON" tests/bench/table.py "$work" build/bench.json
