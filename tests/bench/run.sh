#!/bin/sh
# Every benchmark beside its peer, turn and turn about: tests/bench/run.sh OBJDIR. Prints a table and writes
# build/bench.json. ROUNDS (3) medians are taken over; THREADS (2) each side gets; PYTHON runs the peers; ONLY, a pattern,
# chooses rows, TASKS (10000) is how many do nothing: ONLY='noop|sweep' make bench.
#
# PyTorch and numpy are Debian's, and each peer runs twice: on OpenBLAS, which Debian recommends with python3-torch, and
# on BLIS, the library that weft itself uses: then the same matrix products stand on both sides. The greedy MAP runs in
# float64, as published and as weft chooses, and in float32, where it is fastest.
set -u
obj=$1
TASKS=${TASKS:-10000} ROUNDS=${ROUNDS:-3} THREADS=${THREADS:-2} PYTHON=${PYTHON:-/usr/bin/python3}
export OMP_NUM_THREADS=$THREADS BLIS_NUM_THREADS=$THREADS OPENBLAS_NUM_THREADS=$THREADS
sh tests/deps.sh python3-torch python3-numpy libopenblas0-pthread python3-pil ninja-build parallel || echo "bench: cannot install the peers" >&2
"$PYTHON" -c 'import torch, numpy' || echo "bench: no PyTorch and numpy for $PYTHON: the peers' columns stay empty" >&2
work=$(mktemp -d) && shm=$(mktemp -d -p /dev/shm) && trap 'rm -rf "$work" "$shm"' EXIT INT TERM # memory: a disk's costs vary
bench=$obj/tests/bench here=tests/bench
photos=${WEFT_DATA:-../shared/data}/vision/caltech101.tar # real JPEGs of about 300 x 200; without them, no rows of images
# The library that stands in for libblas.so.3. BLIS does not always take its AVX-512 kernels by itself (see
# stages/tensor/gemm.c); its peer is told better.
lib=/usr/lib/$(cc -print-multiarch)
openblas="env LD_LIBRARY_PATH=$lib/openblas-pthread"
blis="env LD_LIBRARY_PATH=$lib/blis-openmp"
grep -q avx512vl /proc/cpuinfo && blis="$blis BLIS_ARCH_TYPE=0"

# One row each: peer's name | our command | the peer's command. A program prints one JSON line a run: name, value, unit
# (of time: less is better; else: more is), and where it applies gflops.
rows() { # BLAS COMMAND
    vit="$2 $PYTHON $here/peer_vit.py" dpp="$2 $PYTHON $here/peer_dpp.py"
    cat <<ROWS
PyTorch on $1|$bench/bench_gemm|$vit gemm 20
PyTorch on $1|$bench/bench_vit forward 7|$vit forward 3
PyTorch on $1|$bench/bench_vit train 5|$vit train 2
PyTorch on $1|$bench/bench_vit forward 5 16|$vit forward 2 16
PyTorch on $1|$bench/bench_vit train 3 16|$vit train 2 16
PyTorch on $1|env PEAK=1 $bench/bench_vit forward 2|env PEAK=1 $vit forward 2
PyTorch on $1|env PEAK=1 $bench/bench_vit train 2|env PEAK=1 $vit train 2
PyTorch, masks, on $1|env PEAK=1 $bench/bench_vit router 2|env PEAK=1 $vit router 2
PyTorch, masks, on $1|$bench/bench_vit moe 7|$vit moe 3
PyTorch, gathers, on $1|$bench/bench_vit moe 7|$vit moe_gather 3
PyTorch, masks, on $1|$bench/bench_vit router 5|$vit router 2
PyTorch, gathers, on $1|$bench/bench_vit router 5|$vit router_gather 2
PyTorch, masks, on $1|$bench/bench_vit moe 5 16|$vit moe 2 16
PyTorch, masks, on $1|$bench/bench_vit router 3 16|$vit router 2 16
numpy greedy MAP, float64 on $1|$bench/bench_dpp $work/dpp3000 500|$dpp $work/dpp3000 500 float64
numpy greedy MAP, float64 on $1|$bench/bench_dpp $work/dpp20000 500|$dpp $work/dpp20000 500 float64
numpy greedy MAP, float32 on $1|$bench/bench_dpp $work/dpp3000 500|$dpp $work/dpp3000 500 float32
numpy greedy MAP, float32 on $1|$bench/bench_dpp $work/dpp20000 500|$dpp $work/dpp20000 500 float32
ROWS
}
{
    rows OpenBLAS "$openblas"
    rows BLIS "$blis"
    echo "the dense model|$bench/bench_vit moe 7|$bench/bench_vit forward 7"
    echo "the dense model|$bench/bench_vit moe 5 16|$bench/bench_vit forward 5 16"
    if [ -e "$photos" ]; then
        for short in 224 256; do echo "Pillow|$bench/bench_image $photos $short|$PYTHON $here/peer_image.py $photos $short"; done
    fi
    echo "ninja|$bench/bench_noop weft $work/noop1000 $obj/weft|$bench/bench_noop ninja $work/noop1000"
    echo "none|$bench/bench_noop weft $work/noop10000 $obj/weft|true"
    echo "none|$bench/bench_hit look $work/noop1000|true"
    echo "none|$bench/bench_hit run $work/noop1000 $obj/weft|true"
    echo "none|$bench/bench_hit put $shm|true"
    echo "none|$bench/bench_sweep 1|true"
    for peer in ninja make parallel; do
        echo "$peer -j2|$bench/bench_true weft $shm/true $TASKS $obj/weft|$bench/bench_true $peer $shm/true $TASKS"
    done
    echo "ninja -j2|env OWN=1 $bench/bench_true weft $shm/true $TASKS $obj/weft|env OWN=1 $bench/bench_true ninja $shm/true $TASKS"
    for what in read predict; do echo "none|$bench/bench_history $what $shm|true"; done
    echo "none|$bench/bench_pick core:2|true"
    echo "none|$bench/bench_pick pack:2 numa:4 l3:2 core:8|true"
    echo "none|$bench/bench_pick pack:4 numa:4 l3:4 core:16|true"
    for width in 1 4 64; do
        for policy in compact spread; do echo "none|$bench/bench_place $policy $width|true"; done
    done
    for kind in weights embeddings; do
        echo "zstd -3 -T$THREADS|$bench/bench_store put $work/$kind|$bench/bench_store put $work/$kind zstd $THREADS"
        for what in first again; do
            echo "zstd -d x $THREADS|$bench/bench_store $what $work/$kind|$bench/bench_store $what $work/$kind zstd $THREADS"
        done
    done
} | grep -E "${ONLY:-.}" >"$work/rows" || { echo "bench: ONLY='$ONLY' chooses no row" >&2; exit 2; }

# What the rows read. Of a no-op everything is in the store, and ninja's files are there: what is left is to see that.
for n in 3000 20000; do
    ! grep -q "/dpp$n" "$work/rows" || "$bench/bench_dpp" data "$work/dpp$n" "$n" 768 || exit 1
done
for width in 1000 10000; do
    ! grep -Eq "/noop$width( |\||$)" "$work/rows" || "$bench/bench_noop" data "$work/noop$width" $width || exit 1
done
for kind in weights embeddings; do
    ! grep -q "/$kind" "$work/rows" || "$bench/bench_store" data "$work/$kind" $kind || exit 1
done
! grep -q "$shm/true" "$work/rows" || "$bench/bench_true" data "$shm/true" "$TASKS" || exit 1
[ ! -d "$work/noop1000" ] || ninja -C "$work/noop1000" >/dev/null || echo "bench: no ninja to compare with" >&2

round=1
while [ "$round" -le "$ROUNDS" ]; do
    row=0
    while IFS='|' read -r name ours peer; do
        row=$((row + 1))
        echo "round $round of $ROUNDS: $ours | $name" | sed "s#$work/##g; s#$bench/##g; s# $shm##; s#$photos#photos#g" >&2
        $ours </dev/null >>"$work/ours.$row" || exit 1
        $peer </dev/null >>"$work/peer.$row" 2>>"$work/log" || true
    done <"$work/rows"
    round=$((round + 1))
done
mkdir -p build
exec "$PYTHON" tests/bench/table.py "$work" build/bench.json
