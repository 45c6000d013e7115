#!/bin/sh
# Everything that may go wrong with a task, a row each: what the user sees, what --json says, and that nothing is left:
# no process, no temporary folder, no control group. The program of every row leaves a daemon behind, which hides as well
# as it can: a session of its own, two forks, deaf to signals, no descriptors.
. "$(dirname "$0")/lib.sh"
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$tmp"' EXIT
cat >daemon.py <<'P'
import os, signal, sys, time
for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(s, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 100)
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.005)
P
# do: a line of shell, behind the daemon's start; $pid is a file with the daemon's number
cat >rows.yaml <<'Y'
experiment: rows
vars: { do: 'true', memory: 1GiB, timeout: 10m, pid: none, helper: none }
stages:
  row:
    uses: command
    outputs: { o: files }
    with: { argv: [sh, -c, "python3 ${helper} ${pid} && echo begun && ${do} && touch {out:o}/x"] }
    resources: { memory: "${memory}", timeout: "${timeout}", cores: 1 }
  other: { uses: synthetic, with: { domain: blobs, per_class: 3, size: 16 } }
  after: { uses: command, in: { x: row }, outputs: { o: files }, with: { argv: [touch, "{out:o}/x"] } }
Y
groups() { find /sys/fs/cgroup -type d -name 'weft-*' 2>/dev/null; }
before=$(groups)
no_groups() { [ "$(groups)" = "$before" ]; }
no_daemon() { ! alive "$(cat "$pid")"; }
none_left() { # NAME: after the engine's end
    wait_until 10 no_daemon || wrong "$1" "the daemon lives on: $(cat "$pid")"
    [ "$(ls -A "$WEFT_STORE/tmp" 2>/dev/null)" = .lock ] || wrong "$1" "left in tmp: $(ls -A "$WEFT_STORE/tmp")"
    wait_until 10 no_groups || wrong "$1" "left a control group: $(groups)"
}
# begin NAME DO [SET...]: the run, in the background; returns when the program has begun
begin() {
    name=$1 pid=$tmp/pid do=$2; shift 2
    rm -f "$pid"
    "$WEFT" run rows.yaml --keep-going --json --set "helper=$tmp/daemon.py" --set "pid=$pid" --set "do=$do" "$@" >out 2>err &
    engine=$!
}
newest() { ls -d "$WEFT_STORE"/runs/* | tail -n 1; }
begun() { [ -s "$pid" ] && grep -qs begun "$(newest)/log/row.log"; }
finish() { wait $engine 2>/dev/null; rc=$?; }
# failed CAUSE TEXT: what the run said of it; all that does not need it is done
failed() {
    finish; exits "$name" 1; says "$name" "FAILED row: $2"; says "$name" "error: task 'row': $2"
    says "$name" "    | begun"
    became "$name" "after=skipped other=${other-hit} row=failed"
    cause=$1 python3 - <<'P' || wrong "$name" "--json is not as it should be"
import json, os, re
(t,) = [t for t in json.load(open("out"))["tasks"] if t["task"] == "row"]
assert t["cause"] == os.environ["cause"], t
assert t["log"][0] == "begun" and len(t["log"]) <= 12, t
assert "/tmp" not in t["error"] and not re.search(r"pid|attempt", t["error"]), t
P
    none_left "$name"
}
worker() { worker=$(workers $engine) && [ -n "$worker" ]; }

# -- it ends well: the daemon is ended with it
begin "well" true; finish; exits "well" 0; became "well" "after=ran other=ran row=ran"; none_left "well"

# -- a program that fails in its own ways
begin "exit" "exit 7"; failed "exit status" "'sh' ended with exit status 7: begun"
says "exit" "hint: the log has"
begin "crash" "kill -SEGV \$\$"; failed "signal" "'sh' was killed by signal 11 (Segmentation fault): begun"
begin "timeout" "sleep 600" --set timeout=0.5; failed "timeout" "timed out after 0.5 s"
says "timeout" "hint: raise resources: timeout"
begin "ignores everything" "(trap \"\" TERM HUP INT; while :; do sleep 1; done)" --set timeout=0.5
failed "timeout" "timed out after 0.5 s"
begin "forks away" "(setsid sleep 600 & exit 0); exit 3"; failed "exit status" "'sh' ended with exit status 3: begun"
begin "memory" "python3 -c \"x = [bytearray(1 << 20) for i in range(400)]; import time; time.sleep(60)\"" --set memory=80MiB
failed "out of memory" "out of memory: it took more than the 80 MiB that it asks for"
says "memory" "hint: raise resources: memory"
python3 -c 'import json
(t,) = [t for t in json.load(open("out"))["tasks"] if t["task"] == "row"]
assert t["memory_asked"] == 80 << 20 and t["peak_rss"] > 70 << 20, t' || wrong "memory" "asked and used are not told"

# -- the worker: killed, crashed, stopped
begin "worker killed" "sleep 600"; wait_until 20 begun; worker; kill -9 $worker
failed "signal" "the worker was killed by signal 9 (Killed): by hand, or by the kernel because memory ran out"
begin "worker stuck" "sleep 600" --set timeout=3; wait_until 20 begun; worker; kill -STOP $worker
failed "timeout" "timed out after 3 s"

# -- the keeper: its workers are gone with it, the rest of the run starts each by itself
begin "keeper killed" "sleep 600"; wait_until 20 begun; kill -9 $(children $engine)
failed "signal" "the worker was killed by signal 9 (Killed): by hand, or by the kernel because memory ran out"

# -- the engine, and both at once: nobody is left to say anything, and nothing runs on
for who in engine both; do
    begin "$who killed" "sleep 600"; wait_until 20 begun; worker
    [ $who = engine ] && worker=
    kill -9 $engine $worker; finish; exits "$name" 137
    wait_until 10 no_daemon || wrong "$name" "the daemon lives on"
    wait_until 10 no_groups || wrong "$name" "left a control group"
    begin "after $who" "true $who"; finish; exits "$name" 0; none_left "$name"
done

# -- a terminal that closes, a reader that is gone: the run goes on; Ctrl-C twice: nothing is left
begin "hang-up" "sleep 0.5"; wait_until 20 begun; kill -HUP $engine; finish; exits "hang-up" 0; none_left "hang-up"
begin "interrupted" "sleep 600"; wait_until 20 begun; kill -TERM $engine
wait_until 5 grep -q "waiting for 1 running" err || wrong "interrupted" "not taken"
kill -INT $engine; finish; exits "interrupted" 130; none_left "interrupted"

# -- no space where the program writes; the store keeps nothing half-written
mkdir disk
if mount -t tmpfs -o size=2m none "$tmp/disk" 2>/dev/null; then
    mounted=$tmp/disk; WEFT_STORE=$tmp/disk/store
    "$WEFT" run rows.yaml -q --target other || wrong "disk" "other failed"
    begin "disk full" "head -c 8000000 /dev/zero >big"
    failed "disk full" "'sh' ended with exit status 1: .*No space left on device"
    says "disk full" "hint: make room"
    "$WEFT" cache verify >out 2>err; exits "verify" 0 $?
    umount "$tmp/disk" && mounted=
else
    echo "skipped: a full disk (no mount allowed)"
fi
[ $bad = 0 ]
