#!/bin/sh
# Runs on a Slurm cluster of two nodes that this script starts and ends: in an allocation, by asking for allocations,
# and when a node, an allocation or the engine goes. What is made is the same to the bit as on this machine alone.
. "$(dirname "$0")/../cli/lib.sh"
. "$here/cluster.sh"
tiny=$here/../cli/tiny.yaml

# what the events of the newest run say: events PYTHON-EXPRESSION over e, all of them, must be true
events() { python3 - "$2" <<'P' || wrong "$1" "not so: $2"
import glob, json, os, sys
run = max(glob.glob(os.environ["WEFT_STORE"] + "/runs/*/events.jsonl"), key=os.path.getmtime)
e = [json.loads(l) for l in open(run)]
sys.exit(0 if eval(sys.argv[1]) else 1)
P
} # NAME EXPRESSION

# -- the same to the bit, in both modes, on both nodes
try run "$tiny" --json; exits "here" 0; digests >local
WEFT_STORE=$tmp/inside
in_allocation "$WEFT" run "$tiny" --json --launcher slurm >out 2>err; exits "inside" 0 $?
same_results "inside"
events "inside" '{x["node"] for x in e if x["event"] == "start"} == {"n1", "n2"}'
all_gone "inside"
WEFT_STORE=$tmp/outside
try run "$tiny" --json --launcher slurm --slurm "nodes=2 cores=4"; exits "outside" 0
same_results "outside"
says "outside" "Slurm job [0-9]* has node n"
all_gone "outside"
jobs=$(scontrol -o show job | grep -c JobName=weft)
[ "$jobs" -ge 1 ] && [ "$jobs" -le 2 ] || wrong "outside" "$jobs jobs for $(wc -l <local) tasks"
try run "$tiny" --json --launcher slurm; exits "hits" 0 # nothing is asked for when nothing has to run
[ "$(scontrol -o show job | grep -c JobName=weft)" = "$jobs" ] || wrong "hits" "asked for an allocation"

# -- tasks that wait for a file, note where they are, and have no variable of ours but those they name
cat >wait.yaml <<Y
experiment: wait
vars: { n: [0, 1, 2, 3, 4, 5], cores: 1, memory: 1MiB }
stages:
  work:
    foreach: \${n}
    uses: command
    outputs: { x: files }
    with:
      argv: [sh, $tmp/wait.sh, "{out:x}", "\${item}"]
      env: [TEST_TOKEN, SLURMD_NODENAME]
    resources: { cores: "\${cores}", memory: "\${memory}" }
Y
cat >wait.sh <<Y
cd $tmp
echo "\$\$ \$SLURMD_NODENAME" >>at.\$2
echo "\$TEST_TOKEN" >token
tr '\\0' '\\n' <"/proc/\$PPID/environ" | grep -c '^TEST_SECRET=' >secret
until [ -e go ]; do sleep 0.05; done
echo "done \$2" >"\$1/text"
Y
TEST_SECRET=x TEST_TOKEN=y; export TEST_SECRET TEST_TOKEN
touch go
WEFT_STORE=$tmp/wait-here; try run wait.yaml --json; exits "wait here" 0; digests >local
[ $bad = 0 ] || exit 1
begin() { name=$1; rm -rf go at.* secret token "$tmp/store"; WEFT_STORE=$tmp/store; } # NAME
started() { [ "$(cat at.* 2>/dev/null | wc -l)" -ge "$1" ]; } # COUNT
at_work() { wait_until 30 started "$1" || { wrong "$name" "no $1 tasks have started"; squeue; }; } # COUNT
on() { [ "$(cat at.* | grep -c " $1$")" -ge 1 ] || wrong "$name" "nothing has run on $1"; } # NODE
none_alive() { for p in $(cut -d' ' -f1 at.*); do ! alive "$p" || return 1; done; }
begin "a node is killed"
in_allocation "$WEFT" run wait.yaml --json --launcher slurm >out 2>err & engine=$!
at_work 6; on n1; on n2
kill_node n2
lost() { grep -q "^node n2 is lost" err; }
wait_until 60 lost || wrong "$name" "nobody sees it"
touch go # only now: Slurm never gives back the cores of the steps that ran meanwhile
wait $engine; exits "$name" 0 $?
same_results "$name"
says "$name" "node n2 was lost under it"
events "$name" 'all("n2" in x["text"] for x in e if x["event"] == "retry") and any(x["event"] == "retry" for x in e)'
[ "$(cat token)" = y ] || wrong "$name" "a variable that a task names is '$(cat token)' there"
[ "$(cat secret)" = 0 ] || wrong "$name" "the environment leaks"
all_gone "$name"
back n2 || wrong "$name" "node n2 does not come back"

begin "a node is taken down"
"$WEFT" run wait.yaml --json --launcher slurm --slurm "nodes=2 cores=4" >out 2>err & engine=$!
at_work 6; on n1; on n2
scontrol update nodename=n2 state=down reason=test; touch go
wait $engine; exits "$name" 0 $?
same_results "$name"
says "$name" "node n2 was lost under it: Slurm job [0-9]* has lost its node"
[ "$(cat secret)" = 0 ] || wrong "$name" "the environment leaks"
scontrol update nodename=n2 state=resume >/dev/null 2>&1 # unless it is back by itself
all_gone "$name"

begin "an allocation is preempted"
"$WEFT" run wait.yaml --json --launcher slurm --slurm "nodes=1 cores=4" >out 2>err & engine=$!
at_work 4
urgent=$(sbatch --parsable -p urgent -N2 --exclusive -o /dev/null --wrap 'sleep 100')
preempted() { grep -q "was preempted" err; }
wait_until 20 preempted || wrong "$name" "it is not"
scancel "$urgent"; touch go
wait $engine; exits "$name" 0 $?
same_results "$name"
all_gone "$name"

begin "an allocation is cancelled"
"$WEFT" run wait.yaml --json --launcher slurm --slurm "nodes=1 cores=4" >out 2>err & engine=$!
at_work 4
scancel -Q -n weft
wait $engine; exits "$name" 1 $?
says "$name" "^weft: error: no node is left for what still has to run: Slurm job [0-9]* was cancelled"
wait_until 20 none_alive || wrong "$name" "tasks live on"
all_gone "$name"

begin "the engine is killed"
"$WEFT" run wait.yaml --launcher slurm --slurm "nodes=2 cores=4" >out 2>err & engine=$!
at_work 6
kill -9 $engine; wait $engine 2>/dev/null
all_gone "$name"
wait_until 20 none_alive || wrong "$name" "tasks live on"

begin "Ctrl-C while it waits"
other=$(sbatch --parsable -N2 --exclusive -o /dev/null --wrap 'sleep 100')
other_runs() { [ "$(squeue -h -j "$other" -o %T)" = RUNNING ]; }
waits() { grep -q "Slurm job [0-9]* waits: " err; }
wait_until 20 other_runs
"$WEFT" run wait.yaml --launcher slurm >out 2>err & engine=$!
wait_until 20 waits || wrong "$name" "says nothing"
kill -INT $engine
wait $engine; exits "$name" 130 $?
scancel "$other"
all_gone "$name"

begin "too large"
before=$(scontrol -o show job | wc -l)
try run wait.yaml --launcher slurm --set cores=5; exits "$name" 2
says "$name" "task 'work\[0\]' asks for 5 cores, and the largest node, n1, has 4"
try run wait.yaml --launcher slurm --set memory=5GiB; exits "$name" 2
says "$name" "task 'work\[0\]' asks for 5120 MiB of memory, and the largest node, n1, has 4000"
try run wait.yaml --launcher slurm --slurm partition=no; exits "$name" 2
try run wait.yaml --launcher slurm --slurm account=; exits "$name" 2
[ "$(scontrol -o show job | wc -l)" = "$before" ] || wrong "$name" "something was submitted"
in_allocation "$WEFT" run wait.yaml --launcher slurm --set cores=5 >out 2>err; exits "$name, inside" 2 $?
says "$name, inside" "task 'work\[0\]' asks for 5 cores; the largest node, n1, has 4"
all_gone "$name"

exit $bad
