# Sourced after tests/cli/lib.sh: a Slurm cluster of two nodes in $tmp/cluster, which ends with the test.
slurm=$here
conf=$tmp/cluster
sh "$slurm/up.sh" "$conf" >up.log 2>&1; rc=$?
[ $rc = 0 ] || { cat up.log; exit $rc; }
trap 'sh "$slurm/down.sh" "$conf"; rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
SLURM_CONF=$conf/slurm.conf; export SLURM_CONF

in_allocation() { salloc -Q -N2 --ntasks-per-node=1 --cpus-per-task=4 --mem=3000 --no-kill "$@"; }
no_jobs() { [ -z "$(squeue -h)" ]; }
all_gone() { wait_until 20 no_jobs || wrong "$1" "jobs are left: $(squeue -h)"; } # NAME
same_results() { digests >other; diff local other >diff || wrong "$1" "other results: $(cat diff)"; } # NAME: out is as local
# a node's power is gone: all its processes at once
kill_node() {
    read -r ids <"$conf/slurmd.$1.id"
    for p in /proc/[0-9]*; do
        tr '\0' ' ' 2>/dev/null <"$p/environ" | grep "SLURMD_NODENAME=$1 " | grep -q "=$conf/" || continue
        parent=$(sed 's/.*) //' "$p/stat" 2>/dev/null | cut -d' ' -f2)
        case $(cat "/proc/$parent/comm" 2>/dev/null) in slurmstepd) ids="$ids $parent" ;; esac
        ids="$ids ${p#/proc/}"
    done 2>/dev/null
    kill -9 $ids 2>/dev/null
} # NODE
back() { sh "$slurm/node.sh" "$conf" "$1"; scontrol update nodename="$1" state=resume >/dev/null 2>&1; wait_until 20 idle "$1"; } # NODE
idle() { [ "$(sinfo -h -p main -N -n "$1" -o %T)" = idle ]; } # NODE

