#!/bin/sh
# The quickstart on this machine, then on a Slurm cluster of two nodes in both modes, one node killed in each while it works:
# the same results to the bit. It takes minutes, so that `make test` has test_slurm.sh instead. From the top folder:
# sh tests/slurm/quickstart.sh
WEFT=${WEFT:-$PWD/build/weft}
. "$(dirname "$0")/../cli/lib.sh"
. "$here/cluster.sh"
quickstart=$here/../../examples/quickstart.yaml
working() { grep -q "start expert.*(n2, " err; } # a task that trains is at work on the node
try run "$quickstart" --json; exits "here" 0; digests >local
tail -n 1 err

WEFT_STORE=$tmp/inside
in_allocation "$WEFT" run "$quickstart" --json --launcher slurm >out 2>err & engine=$!
wait_until 600 working || wrong "inside" "nothing trains on n2"
kill_node n2
wait $engine; exits "inside" 0 $?
same_results "inside"; says "inside" "node n2 was lost under it"
tail -n 1 err
back n2 || wrong "inside" "node n2 does not come back"

WEFT_STORE=$tmp/outside
"$WEFT" run "$quickstart" --json --launcher slurm --slurm "nodes=2 cores=4" >out 2>err & engine=$!
# Whether it asks for one node or for two follows from the times foretold; the node that trains is killed.
trains() { sed -n 's/.*start expert.*(\(n[12]\), .*/\1/p' err | head -n 1; }
training() { [ -n "$(trains)" ]; }
wait_until 600 training || wrong "outside" "nothing trains"
lost=$(trains); kill_node "$lost"
wait $engine; exits "outside" 0 $?
same_results "outside"; says "outside" "node $lost was lost under it"
tail -n 1 err
all_gone "outside"
[ $bad = 0 ] && echo "the same results, $(wc -l <local) tasks"
exit $bad
