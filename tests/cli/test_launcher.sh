#!/bin/sh
# Workers that a command starts: the same to the bit as without one, nodes by name, a node that is lost, a command that
# cannot. tests/slurm has the real thing.
. "$(dirname "$0")/lib.sh"

# -- a command that reaches a node unless the node is switched off, and one end of which can be cut
cat >reach <<'S'
#!/bin/sh
node=$1; shift
[ ! -e "$0.off.$node" ] || { echo "no route to $node" >&2; exit 255; }
echo "$node" >>"$0.used"
case $* in *--far*) echo $$ >"$0.at.$node.$$" ;; esac
exec sh -c "$*"
S
chmod +x reach
far="$tmp/reach {node} {quoted}"

try run "$here/tiny.yaml" --json; exits "here" 0; digests >local
WEFT_STORE=$tmp/there
try run "$here/tiny.yaml" --json --launcher "$far" --nodes a,b; exits "there" 0
digests >other; diff local other >diff || wrong "there" "other results: $(cat diff)"
says "there" "start public (a, "
grep -q a reach.used && grep -q b reach.used || wrong "there" "one node alone has worked"
try run "$here/tiny.yaml" --json --launcher "$far" --nodes a,b; exits "again" 0
says "again" "18 tasks: 18 hit"

# -- what runs on a node that is lost runs again, on another; no attempt of its own is spent
cat >wait.yaml <<Y
experiment: wait
stages:
  work:
    foreach: [0, 1, 2]
    uses: command
    outputs: { x: files }
    with: { argv: [sh, -c, 'echo \$\$ >>$tmp/started.\${item}; until [ -e $tmp/go ]; do sleep 0.02; done; echo \${item} >"{out:x}/n"'] }
    resources: { cores: 1 }
Y
started() { [ "$(cat started.* 2>/dev/null | wc -l)" -ge "$1" ]; }
lose() { : >"reach.off.$1"; for p in $(cat "reach.at.$1".*); do kill -9 "$p"; done; } # NODE: its far ends, and no way back
WEFT_STORE=$tmp/lost
rm -f reach.at.*
"$WEFT" run wait.yaml --json --launcher "$far" --nodes a,b --cores 2 >out 2>err & engine=$!
wait_until 20 started 3 || wrong "lost" "does not start"
lose b; : >go
wait $engine; exits "lost" 0 $?
says "lost" "^node b is lost$"
says "lost" "work\[[0-2]\]: node b was lost under it: the connection to node b is lost; it runs again$"
[ "$(states)" = "work[0]=ran work[1]=ran work[2]=ran" ] || wrong "lost" "$(states)"
for p in $(cat started.*); do
    wait_until 20 eval '! alive '"$p" || wrong "lost" "process $p lives on"
done

# -- the only node is lost under a task again and again: that is an end, too
rm -f go started.* reach.off.* reach.at.*
WEFT_STORE=$tmp/losing
cat >cut <<'S'
#!/bin/sh
case $* in *--probe*) exec sh -c "$*" ;; *) exit 255 ;; esac
S
chmod +x cut
try run wait.yaml --json --launcher "$tmp/cut {quoted}" --nodes a; exits "losing" 1
says "losing" "FAILED work\[[0-2]\]: node a was lost under it: the connection to node a is lost"

# -- Ctrl-C twice, and the engine's death: nothing is left
for signals in "INT INT" KILL; do
    name="ended by $signals"
    rm -f go started.* reach.at.*
    WEFT_STORE=$tmp/ended
    "$WEFT" run wait.yaml --launcher "$far" --nodes a,b >out 2>err & engine=$!
    wait_until 20 started 2 || wrong "$name" "does not start"
    for s in $signals; do kill -"$s" $engine; sleep 0.1; done
    wait $engine 2>/dev/null
    for p in $(cat started.* reach.at.*); do
        wait_until 20 eval '! alive '"$p" || wrong "$name" "process $p lives on"
    done
done

# -- what cannot be
for args in "no-such-launcher" "$far" "ssh {nod} {command} --nodes a" "$far --nodes a,a" "slurm --nodes a" "local --slurm nodes=2"; do
    launcher=${args%% --*}; rest=${args#"$launcher"}
    try run wait.yaml --launcher "$launcher" $rest; exits "$args" 2
    [ "$(wc -l <err)" = 1 ] || wrong "$args" "not one message"
done
try run wait.yaml --launcher "$tmp/cut {quoted}" --nodes a --slurm nodes=2; exits "wishes" 2
: >reach.off.c
try run wait.yaml --launcher "$far" --nodes a,c; exits "no answer" 1
says "no answer" "node c: exit status 255: no route to c"
cat >wide.yaml <<'Y'
experiment: wide
stages:
  data: { uses: synthetic, with: { domain: public, per_class: 6, size: 16 }, resources: { cores: 5000 } }
Y
try run wide.yaml --launcher "$far" --nodes a; exits "too wide" 2
says "too wide" "wide.yaml:3:3: error: task 'data' asks for 5000 cores; the largest node, a, has [0-9]*$"
exit $bad
