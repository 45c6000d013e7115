#!/bin/sh
# down.sh DIR: end the cluster that up.sh started there: its jobs, then the daemons by the numbers that it wrote down.
dir=$1
SLURM_CONF=$dir/slurm.conf; export SLURM_CONF
gone() { [ -z "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | grep -v '^[ZX]')" ]; } # a zombie is gone
wait_gone() { n=250; until gone "$1"; do n=$((n - 1)); [ $n -gt 0 ] || return 1; sleep 0.02; done; }
idle() { [ -z "$(squeue -h -t R,CG,CF 2>/dev/null)" ]; }
if [ -s "$dir/slurmctld.id" ]; then
    scancel -Q -u "$(id -un)" 2>/dev/null
    n=150; until idle; do n=$((n - 1)); [ $n -gt 0 ] || break; sleep 0.02; done
fi
for f in "$dir"/slurmd.*.id "$dir/slurmctld.id" "$dir/munged.id"; do
    [ -s "$f" ] || continue
    read -r id <"$f"
    kill "$id" 2>/dev/null
    wait_gone "$id" || kill -9 "$id"
    rm -f "$f"
done
# steps whose slurmd was killed live on; they name the cluster's configuration nowhere, but its folder is theirs
for p in /proc/[0-9]*; do
    case $(cat "$p/comm" 2>/dev/null) in slurmstepd)
        tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -qx "SLURM_CONF=$SLURM_CONF" && kill -9 "${p#/proc/}" ;;
    esac
done 2>/dev/null
exit 0
