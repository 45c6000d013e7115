#!/bin/sh
# node.sh DIR NODE: start the slurmd of one node of the cluster in DIR, at first or again.
slurmd -D -N "$2" -f "$1/slurm.conf" >>"$1/log/slurmd.$2.out" 2>&1 </dev/null &
echo $! >"$1/slurmd.$2.id"
