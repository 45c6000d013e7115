#!/bin/sh
# Where tasks really run, as the kernel tells: tasks at work at one time have CPUs of their own, a stage's threads one CPU
# each, a user's program all of its task's, memory its node.
. "$(dirname "$0")/lib.sh"
cpus=$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0)))')
set -- $cpus; [ $# -ge 2 ] || { echo "one CPU only: nothing to tell apart"; exit 77; }
taskset -p $$ >/dev/null 2>&1 || { echo "no taskset"; exit 77; }
taskset -cp "$1,$2" $$ >/dev/null || { echo "cannot bind"; exit 77; } # any machine is one of two CPUs for this test
first=$1 second=$2
cc -O2 -fopenmp -o stream "$here/stream.c" || { echo "cannot compile"; exit 77; }

# -- two programs of a core each, at the same time (each waits for the other's mark), then one of two cores
cat >two.yaml <<Y
experiment: two
stages:
  one:
    foreach: [x, y]
    uses: command
    outputs: { made: files }
    resources: { cores: 1 }
    with:
      argv:
        - sh
        - -c
        - 'touch "\$1/here.\$0"; n=0; until [ -e "\$1/here.x" ] && [ -e "\$1/here.y" ]; do
             n=\$((n + 1)); [ \$n -lt 1000 ] || exit 1; sleep 0.01; done;
           $tmp/stream >"\$2/stream"'
        - "\${item}"
        - "$tmp"
        - "{out:made}"
  wide:
    uses: command
    in: { a: "one[*]" }
    outputs: { made: files }
    resources: { cores: 2 }
    with: { argv: [sh, -c, '$tmp/stream >"\$0/stream"', "{out:made}"] }
Y
"$WEFT" run two.yaml -q 2>err; exits "two" 0 $?
for task in 'one[x]' 'one[y]' wide; do "$WEFT" export "$task.made" "$task" >/dev/null 2>err || wrong "export" "$task"; done
sort 'one[x]/stream' 'one[y]/stream' | grep thread >out
same "a core each" <<T
thread 0 on $first
thread 0 on $second
T
sort wide/stream | grep thread >out # all of the cpuset for each thread: the program may start others
same "two cores" <<T
thread 0 on $first $second
thread 1 on $first $second
T
grep -h memory 'one[x]/stream' wide/stream | sort -u >out
nodes=$("$WEFT" topo --place 2 --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["places"][0]["nodes"])')
grep -qx "memory none" out || [ "$nodes" != 0 ] || same "memory" <<T
memory preferred 1
T

# -- a stage of ours on two cores: a thread on each, at work
cat >slow.yaml <<Y
experiment: slow
stages:
  data: { uses: synthetic, with: { domain: public, per_class: 50, size: 16 } }
  slow: { uses: pretrain, in: { public: data }, with: { image_size: 16, patch: 8, width: 64, layers: 2, heads: 2, epochs: 10000, batch: 64 },
          resources: { cores: 2 } }
Y
"$WEFT" run slow.yaml -q 2>err & engine=$!
trap 'kill -9 $engine 2>/dev/null; rm -rf "$tmp"' EXIT
at_work() {
    for worker in $(workers $engine); do
        case $(readlink "/proc/$worker/fd/2" 2>/dev/null) in */slow.log) "$WEFT" status 2>/dev/null | grep -q '^  slow .*steps' && return 0 ;; esac
    done
    return 1
}
wait_until 20 at_work || { wrong "slow" "no worker"; exit 1; }
sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/"$worker"/task/*/status | sort -n >out
same "threads" <<T
$first
$second
T
if [ -r "/proc/$worker/numa_maps" ]; then
    head -n 1 "/proc/$worker/numa_maps" >out; prints "memory of a stage" "prefer"
fi
try topo; exits "topo" 0
prints "topo" "^2 cores, .*; 2 at work\$"; prints "topo" "> slow on .* for .* (run 20"
try topo --json; cpuset=$(python3 -c 'import json
(t,) = json.load(open("out"))["tasks"]
assert t["task"] == "slow" and t["cores"] == 2 and t["run"].startswith("20"), t
print(t["cpuset"])') || wrong "topo --json" "no task"
[ "$cpuset" = "$first-$second" ] || [ "$cpuset" = "$first,$second" ] || wrong "topo --json" "on $cpuset"
try topo --topology "core:4 pu:1"; ! grep -q slow out || wrong "topo" "tasks on a described machine"
kill -9 $engine; wait $engine 2>/dev/null

# -- what the environment of OpenMP says binds neither engine nor worker
for name in OMP_PROC_BIND=close OMP_PLACES=cores GOMP_CPU_AFFINITY="$first $second"; do
    env "$name" "$WEFT" topo >out 2>err; prints "$name" "^2 cores"
done
[ $bad = 0 ]
