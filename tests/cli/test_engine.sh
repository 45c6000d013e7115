#!/bin/sh
# The engine when things go wrong: workers and engines killed, interrupts, damage, no space, two runs at once; what the
# next run makes of it. A worker that was stopped (kill -STOP) is sure to be at work when the test acts.
. "$(dirname "$0")/lib.sh"
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
quiet() { ! grep -q -- "$2" err || wrong "$1" "says '$2'"; }
clean() { [ "$(ls -A "$WEFT_STORE/tmp")" = .lock ] || wrong "$1" "left in tmp: $(ls -A "$WEFT_STORE/tmp")"; }
quicks="quick[blobs]=X quick[rings]=X quick[stripes]=X"
other() { echo "data=$1 features=$2 $(echo "$quicks" | sed "s/X/$1/g") slow=$3"; } # QUICK FEATURES SLOW

# Sets worker: that of engine $1 whose log is that of task $2, once it has begun to work; it is stopped then.
at_work() {
    worker=
    for child in $(workers "$1"); do
        log=$(readlink "/proc/$child/fd/2" 2>/dev/null)
        case $log in */"$2.log") [ -s "$log" ] && kill -STOP "$child" && worker=$child && return 0 ;; esac
    done
    return 1
}
gone() { ! alive "$1"; }
# begin NAME ARGS...: the run in the background, its worker of task slow stopped at work
begin() {
    name=$1; shift
    "$WEFT" run "$here/slow.yaml" --json "$@" >out 2>err & engine=$!
    wait_until 10 at_work $engine slow || { wrong "$name" "no worker"; kill -9 $engine; wait $engine; return 1; }
}
finish() { wait "$engine" 2>/dev/null; rc=$?; }

# -- a worker is killed: its task fails with the signal in the message, what does not need it goes on; the next run heals
begin "worker killed" --keep-going && {
    kill -9 "$worker"; finish; exits "worker killed" 1 $rc
    says "worker killed" "FAILED slow: the worker was killed by signal 9 (Killed)"
    says "worker killed" "error: task 'slow': the worker was killed by signal 9"
    became "worker killed" "$(other ran skipped failed)"; clean "worker killed"
}
begin "worker crashed" && {
    kill -ABRT "$worker"; kill -CONT "$worker"; finish; exits "worker crashed" 1 $rc
    says "worker crashed" "killed by signal 6 (Aborted)"; quiet "worker crashed" "memory ran out"
}
"$WEFT" run "$here/slow.yaml" --json >out 2>err; exits "after kills" 0 $?
became "after kills" "$(other hit ran ran)"; clean "after kills"
digests out >slow.txt

# -- the engine is killed: no worker survives, stopped or not; the next run goes on
WEFT_STORE=$tmp/store2
begin "engine killed" && {
    kill -9 $engine; finish; exits "engine killed" 137 $rc
    wait_until 5 gone "$worker" || wrong "engine killed" "worker $worker lives on"
}
begin "engine killed again" && {
    kill -CONT "$worker"; kill -9 $engine; finish
    wait_until 5 gone "$worker" || wrong "engine killed again" "worker $worker lives on"
}
"$WEFT" run "$here/slow.yaml" --json >out 2>err; exits "after the engine" 0 $?
clean "after the engine"; digests out | diff slow.txt - || wrong "after the engine" "other digests"

# -- Ctrl-C, or SIGTERM: what keeps states stops after its next one, what keeps none is finished, nothing more starts
for how in INT TERM; do
    begin "interrupt" --set seed=1 && {
        kill -$how $engine
        wait_until 5 grep -q "waiting for 1 running task" err || wrong "interrupt" "not taken"
        alive "$worker" || wrong "interrupt" "killed the worker"
        kill -CONT "$worker"; finish; exits "interrupt" 130 $rc
        became "interrupt" "$(other hit skipped skipped)"; clean "interrupt"
        says "interrupt" "stop  slow, after pass"; says "interrupt" "interrupted; what is done is kept"
    }
done
"$WEFT" run "$here/slow.yaml" --set seed=1 --json >out 2>err; exits "after the interrupt" 0 $?
became "after the interrupt" "$(other hit ran ran)"; says "after the interrupt" "on    slow, after pass"
cat >whole.yaml <<'Y'
experiment: whole
stages:
  many: { uses: synthetic, with: { domain: public, split: train, per_class: 800, size: 16 } }
  features: { uses: pretrain, in: { public: many } }
Y
"$WEFT" run whole.yaml --json >out 2>err & engine=$!
stop_child() { worker=$(workers $engine) && [ -n "$worker" ] && kill -STOP "$worker"; }
wait_until 10 stop_child || wrong "whole" "no worker"
kill -INT $engine
wait_until 5 grep -q "waiting for 1 running task" err || wrong "whole" "not taken"
kill -CONT "$worker"; finish; exits "whole" 130 $rc; became "whole" "features=skipped many=ran"

# -- twice: workers die at once, and their tasks have not failed
for how in "INT INT" "TERM TERM" "INT TERM"; do
    begin "$how" --set seed=2 && {
        for signal in $how; do
            kill -"$signal" $engine
            wait_until 5 grep -q "interrupted: " err
        done
        finish; exits "$how" 130 $rc
        gone "$worker" || wrong "$how" "worker $worker lives on"
        became "$how" "$(other hit skipped skipped)"; quiet "$how" FAILED; clean "$how"
        says "$how" "stopping 1 running task"
    }
done

# -- damage of an object that a later task needs: a warning, what made it runs again, the digests are those of a clean run
damage() { # HOW: flip, cut, empty or delete the object of the seed's weights; --record: flip a byte of its record
    rm -rf "$WEFT_STORE/hot" # else its plain file serves as well
    python3 - "$WEFT_STORE" "$1" <<'P'
import json, os, sys
store, how = sys.argv[1:]
for folder, _, names in os.walk(store + "/records"):
    for name in names:
        path = os.path.join(folder, name)
        r = json.load(open(path))
        if r["task"] == "seed":
            record, files = path, r["outputs"][0]["files"]
sha = next(f["sha256"] for f in files if f["name"] == "model.safetensors")
path = record if how == "--record" else f"{store}/objects/{sha[:2]}/{sha[2:]}"
raw = bytearray(open(path, "rb").read())
os.unlink(path)
if how in ("flip", "--record"):
    raw[len(raw) // 2] ^= 1
if how != "delete":
    open(path, "wb").write({"cut": raw[:len(raw) // 3], "empty": b""}.get(how, raw))
P
}
"$WEFT" run "$here/tiny.yaml" --json --store "$tmp/pure" >out 2>err; exits "clean" 0 $?; digests out >tiny.txt
"$WEFT" run "$here/tiny.yaml" --json --store "$tmp/pure" --set lambda=0.25 >out 2>err; digests out >lambda.txt
WEFT_STORE=$tmp/damage
"$WEFT" run "$here/tiny.yaml" -q || wrong "before damage" "failed"
for how in flip cut empty delete --record; do
    damage $how
    "$WEFT" run "$here/tiny.yaml" --json --set lambda=0.25 >out 2>err; exits "damage $how" 0 $?
    digests out | diff lambda.txt - || wrong "damage $how" "other digests"
    [ $how = --record ] || says "damage $how" "^warning: .*'seed'.*; making it again"
    [ "$(grep -c warning: err)" -le 1 ] || wrong "damage $how" "says it more than once"
    says "damage $how" "ran   seed"; clean "damage $how"
    case $how in
    flip | cut | empty) ls "$WEFT_STORE"/quarantine/object-* >/dev/null || wrong "damage $how" "nothing in quarantine" ;;
    --record) ls "$WEFT_STORE"/quarantine/record-* >/dev/null || wrong "damage $how" "nothing in quarantine" ;;
    esac
    rm -rf "$WEFT_STORE"/quarantine/*
    "$WEFT" run "$here/tiny.yaml" --json >out 2>err; exits "after damage $how" 0 $?
    digests out | diff tiny.txt - || wrong "after damage $how" "other digests"
    quiet "after damage $how" warning
    find "$WEFT_STORE/records" -type f -exec grep -l '"task": "unified"' {} + | xargs rm # needs the seed the next time, too
done

# -- damage and a task that fails: with --keep-going both are dealt with in one run
cat >mixed.yaml <<'Y'
experiment: mixed
vars: { path: good, other: public }
stages:
  public: { uses: synthetic, with: { domain: public, split: train, per_class: 6, size: 16 } }
  more: { uses: synthetic, with: { domain: "${other}", split: train, per_class: 1, size: 16 } }
  seed:
    uses: pretrain
    in: { public: public }
    with: { image_size: 16, patch: 8, width: 32, layers: 2, heads: 2, epochs: 2, batch: 16, seed: 0 }
  bad: { uses: images, with: { path: "${path}" } }
  features: { uses: embedding, in: { model: seed, data: more } }
Y
mkdir -p good/train/a bad/train/a; echo no image >bad/train/a/x.png
damage flip
"$WEFT" run mixed.yaml --set path=bad --set other=blobs --keep-going --json >out 2>err; exits "mixed" 2 $?
became "mixed" "bad=failed features=ran more=ran public=hit seed=ran"

# -- two runs at once in one store; a task with the key of another in one experiment
WEFT_STORE=$tmp/both
"$WEFT" run "$here/tiny.yaml" --json >out1 2>err1 & one=$!
"$WEFT" run "$here/tiny.yaml" --json >out 2>err; exits "two runs" 0 $?
wait $one || { wrong "two runs" "the other failed"; cat err1; }
digests out | diff tiny.txt - || wrong "two runs" "other digests"
digests out1 | diff tiny.txt - || wrong "two runs" "other digests of the other"
clean "two runs"
cat >twins.yaml <<'Y'
experiment: twins
stages:
  a: { uses: synthetic, with: { domain: blobs, split: train, per_class: 3, size: 16 } }
  b: { uses: synthetic, with: { domain: blobs, split: train, per_class: 3, size: 16 } }
  x: { uses: pretrain, in: { public: a }, with: { image_size: 16, width: 16, layers: 1, epochs: 2 } }
  y: { uses: pretrain, in: { public: b }, with: { image_size: 16, width: 16, layers: 1, epochs: 2 } }
Y
"$WEFT" run twins.yaml --json >out 2>err; exits "twins" 0 $?
case $(states out) in
"a=ran b=hit x=ran y=hit" | "a=hit b=ran x=ran y=hit" | "a=ran b=hit x=hit y=ran" | "a=hit b=ran x=hit y=ran") ;;
*) wrong "twins" "became '$(states out)'" ;;
esac

# -- targets
WEFT_STORE=$tmp/targets
"$WEFT" run "$here/slow.yaml" --set epochs=2 --json --target 'quick[rings]' >out 2>err; exits "task" 0 $?
became "task" "quick[rings]=ran"
"$WEFT" run "$here/slow.yaml" --set epochs=2 --json -t quick >out 2>err; exits "stage" 0 $?
became "stage" "quick[blobs]=ran quick[rings]=hit quick[stripes]=ran"
"$WEFT" run "$here/slow.yaml" --set epochs=2 --json -t features -t 'quick[blobs]' >out 2>err; exits "two" 0 $?
became "two" "data=ran features=ran quick[blobs]=hit slow=ran"
wrong_command() { # NAME PATTERN ARGS...: exit 2, nothing on stdout
    name=$1; pattern=$2; shift 2
    "$WEFT" run "$here/slow.yaml" "$@" >out 2>err; exits "$name" 2 $?
    says "$name" "$pattern"; [ ! -s out ] || wrong "$name" "prints on stdout"
}
wrong_command "near task" "no task or stage 'quick\[ring\]'.*; did you mean 'quick\[rings\]'?" -t 'quick[ring]' --json
wrong_command "near stage" "no task or stage 'quik'.*; did you mean 'quick'?" -t data -t quik
wrong_command "no task" "no task or stage 'zzzzzzzz' in '.*slow.yaml'$" -t zzzzzzzz
wrong_command "part of a name" "no task or stage 'qui'" -t qui
wrong_command "empty name" "no task or stage ''" -t ''
wrong_command "no cores" "cores takes a number from 1 on" --cores 0
wrong_command "less than no cores" "cores takes a number from 1 on" --cores -3
wrong_command "many cores" "9999 cores asked for, but this process may use" --cores 9999
wrong_command "too many cores" "cores takes a number" --cores 4294967297
wrong_command "no number" "takes an integer, not '2x'" --cores 2x

# -- what is printed
WEFT_STORE=$tmp/print
for i in 1 2; do
    "$WEFT" run "$here/slow.yaml" --set epochs=2 -q >out 2>err; exits "-q" 0 $?
    [ ! -s out ] && [ ! -s err ] || wrong "-q" "prints $(cat out)"
done
"$WEFT" run mixed.yaml --set path=bad -q >out 2>err; exits "-q of a failure" 2 $?
says "-q of a failure" "task 'bad': "
[ ! -s out ] || wrong "-q of a failure" "prints on stdout"
"$WEFT" run mixed.yaml --set path=bad -k --json >out 2>err
python3 - <<'P' || bad=1
import json, re
r = json.load(open("out"))  # nothing but the JSON
assert set(r) == {"experiment", "run", "seconds", "tasks"} and r["experiment"] == "mixed", set(r)
for t in r["tasks"]:
    want = {"task", "stage", "key", "state", "seconds", "outputs"} | ({"error", "cause", "log"} if t["state"] == "failed" else set())
    assert set(t) - {"peak_rss"} == want, (t["task"], set(t))
    hexes = list(t["outputs"].values()) + [t["key"]]
    assert all(re.fullmatch("[0-9a-f]{64}", h) for h in hexes) and t["seconds"] >= 0, t
t = {t["task"]: t for t in r["tasks"]}
assert [x["task"] for x in r["tasks"]] == ["public", "more", "seed", "bad", "features"], list(t)
assert t["features"]["stage"] == "embedding" and list(t["features"]["outputs"]) == ["features"]
assert t["bad"]["outputs"] == {} and "x.png" in t["bad"]["error"], t["bad"]
P
for sink in '>/dev/full' '>&-' '<&- >&-' '<&- >&- 2>&-'; do
    eval '"$WEFT" run "$here/slow.yaml" --set epochs=3 --json 2>err '"$sink"; exits "stdout $sink" 1 $?
    case $sink in *'2>&-') ;; *) says "stdout $sink" "error: cannot write the output" ;; esac
done
python3 -c 'import glob, json
for path in glob.glob("print/runs/*/events.jsonl"):
    for line in open(path): json.loads(line)' || wrong "closed descriptors" "the log of the run is spoilt"
"$WEFT" run "$here/slow.yaml" --set epochs=3 --json >out 2>err; became "kept without stdout" "$(other hit hit hit)"
echo '{"task": 1}' | "$WEFT" worker >out 2>err; exits "worker without a job" 1 $?
python3 -c 'import json; e = json.load(open("out")); assert e["event"] == "error" and "\x27task\x27" in e["text"], e' || bad=1

# -- no space: a clear error, and with space the next run ends well
WEFT_STORE=$tmp/limit
(ulimit -f 8; exec "$WEFT" run "$here/tiny.yaml" --cores 1 >out 2>err); exits "file size limit" 1 $?
grep -q "File too large\|File size limit exceeded" err || wrong "file size limit" "is not named"
clean "file size limit"
mkdir disk
if mount -t tmpfs -o size=300k none "$tmp/disk" 2>/dev/null; then
    mounted=$tmp/disk; WEFT_STORE=$tmp/disk/store
    "$WEFT" run "$here/tiny.yaml" --json >out 2>err; exits "full disk" 1 $?
    says "full disk" "No space left on device"; clean "full disk"
    mount -o remount,size=64m "$tmp/disk"
    "$WEFT" run "$here/tiny.yaml" --json >out 2>err; exits "space again" 0 $?
    digests out | diff tiny.txt - || wrong "space again" "other digests"
    umount "$tmp/disk" && mounted=
else
    echo "skipped: a full disk (no mount allowed)"
fi

# -- a store that cannot be written, or is none
WEFT_STORE=$tmp/print
user=
if [ "$(id -u)" = 0 ]; then
    user="setpriv --reuid=65534 --regid=65534 --clear-groups"
    chmod 755 "$tmp"
    $user test -r "$here/slow.yaml" -a -x "$WEFT" 2>/dev/null || user=none
else
    chmod -R a-w "$WEFT_STORE"
fi
if [ "$user" = none ]; then
    echo "skipped: a read-only store (root, and nobody else can run $WEFT)"
else
    $user "$WEFT" run "$here/slow.yaml" --set epochs=2 --store "$WEFT_STORE" >out 2>err
    exits "read-only store" 2 $?; says "read-only store" "print/.*: Permission denied"
fi
WEFT_STORE=$tmp/tiny.txt
"$WEFT" run "$here/slow.yaml" >out 2>err; exits "store is a file" 2 $?
says "store is a file" "error: store: cannot create folder '.*tiny.txt': Not a directory"
[ $bad = 0 ]
