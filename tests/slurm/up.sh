#!/bin/sh
# A Slurm cluster of this machine alone, for tests: up.sh DIR [NODES] starts munged, slurmctld and a slurmd for each node
# (n1, n2, ... of 4 cores and 4000 MB each, though the machine may have fewer) on loopback, without systemd; everything lies
# in DIR. Then `export SLURM_CONF=DIR/slurm.conf`. down.sh DIR ends it. Exit 77 with the reason where it cannot be.
set -eu
dir=$1 nodes=${2:-2}
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "a test cluster of Slurm wants root"; exit 77; }
if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
    sh "$here/../deps.sh" slurm-wlm munge || { echo "Slurm is not installed and cannot be"; exit 77; }
fi
mkdir -p "$dir/state" "$dir/log"
chmod 755 "$dir" # munged insists
host=$(hostname -s)
port=$((20000 + $$ % 10000 * 3)) # several clusters at one time

head -c 128 /dev/urandom >"$dir/munge.key"
chmod 400 "$dir/munge.key"
munged --foreground --force --key-file="$dir/munge.key" --socket="$dir/munge.sock" --pid-file="$dir/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed" --num-threads=2 >"$dir/log/munged.out" 2>&1 </dev/null &
echo $! >"$dir/munged.id"

cat >"$dir/slurm.conf" <<CONF
ClusterName=weft
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.sock
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0
DependencyParameters=kill_invalid_depend
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
AccountingStorageType=accounting_storage/none
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmdSpoolDir=$dir/spool.%n
StateSaveLocation=$dir/state
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
MailProg=/bin/true
ReturnToService=2
KillWait=2
MinJobAge=3600
SlurmctldTimeout=30
SlurmdTimeout=5
InactiveLimit=0
SlurmdParameters=config_overrides
DefMemPerCPU=500
CONF
names= i=1
while [ $i -le "$nodes" ]; do
    mkdir -p "$dir/spool.n$i"
    echo "NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + i)) CPUs=4 Boards=1 SocketsPerBoard=2" \
        "CoresPerSocket=2 ThreadsPerCore=1 RealMemory=4000 State=UNKNOWN" >>"$dir/slurm.conf"
    names=$names${names:+,}n$i
    i=$((i + 1))
done
cat >>"$dir/slurm.conf" <<CONF
PartitionName=main Nodes=$names Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=$names MaxTime=INFINITE State=UP PriorityTier=2
PartitionName=short Nodes=$names MaxTime=1 State=UP
CONF
SLURM_CONF=$dir/slurm.conf; export SLURM_CONF

wait_for() { # WHAT COMMAND...
    what=$1 n=500; shift
    until "$@"; do
        n=$((n - 1))
        [ $n -gt 0 ] || { echo "the test cluster does not start: $what"; tail -n 3 "$dir"/log/*; sh "$here/down.sh" "$dir"; exit 1; }
        sleep 0.02
    done
}
munged_answers() { munge -n -S "$dir/munge.sock" >/dev/null 2>&1; }
all_idle() { [ "$(sinfo -h -p main -N -t idle -o %N 2>/dev/null | wc -l)" = "$nodes" ]; }
wait_for "munged gives no answer" munged_answers
slurmctld -D -c -f "$SLURM_CONF" >"$dir/log/slurmctld.out" 2>&1 </dev/null &
echo $! >"$dir/slurmctld.id"
i=1
while [ $i -le "$nodes" ]; do
    sh "$here/node.sh" "$dir" n$i
    i=$((i + 1))
done
wait_for "the nodes are not idle" all_idle
