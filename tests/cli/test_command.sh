#!/bin/sh
# uses: command: programs of others as stages: hits and reruns, what they see, how they fail, and that none outlives its run.
. "$(dirname "$0")/lib.sh"
mkdir "$tmp/a" && cd "$tmp/a" || exit 1
weft() { "$WEFT" "$@" >out 2>err; }
# one NAME ARGV [MORE-WITH]: an experiment whose only task of interest is a command with this argv
one() {
    cat >one.yaml <<Y
experiment: one
stages:
  data: { uses: synthetic, with: { domain: public, per_class: 1, size: 16 } }
  task:
    uses: command
    in: { data: data }
    outputs: { made: files }
    with: { argv: $1${2:+, $2} }
Y
}

weft help command; exits "help" 0 $?
grep -q '^  {in:NAME} ' out && grep -q '^  WEFT_OUT_NAME ' out && grep -q '^  argv .*; required$' out || wrong "help" "is not whole"

# -- a script and its module: runs, hits, and runs again when a byte of either has changed
mkdir lib
cat >probe.py <<'P'
import json, os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/lib")
import helper
out, scores = sys.argv[1], sys.argv[2:]
rows = [json.loads(line) for s in scores for line in open(s + "/score.txt")]
print("some words")
print("weft:progress 1 2 steps")
print("weft:metric accuracy 0.5 3", flush=True)
print("weft:metric accuracy", file=sys.stderr)
json.dump({"rows": [{"system": "own", "domain": "d%d" % i, "metric": "accuracy", "value": r * helper.SCALE, "n": 1}
                    for i, r in enumerate(rows)]}, open(out + "/metrics.json", "w"))
P
echo 'SCALE = 0.5' >lib/helper.py
cat >own.yaml <<'Y'
experiment: own
stages:
  score:
    foreach: [0.25, 0.5, 1]
    uses: command
    outputs: { score: files }
    with: { argv: [sh, -c, 'echo "$0" >"$1/score.txt"', "${item}", "{out:score}"] }
  probe:
    uses: command
    in: { scores: "score[*]" }
    outputs: { metrics: metrics, extra: files }
    with:
      argv: [python3, "{file:probe.py}", "{out:metrics}", "{in:scores}"]
      files: [probe.py, lib]
      set: { EXTRA: "{out:extra}" }
  extra:
    uses: command
    in: { one: probe.extra }
    outputs: { made: files }
    with: { argv: [cp, "{in:one}/x", "{out:made}/y"] }
  table: { uses: table, in: { scores: probe } }
Y
sed -i '$a open(os.environ["EXTRA"] + "/x", "w").write("x")' probe.py
all() { echo "extra=$1 probe=$2 score[0.25]=$3 score[0.5]=$3 score[1]=$3 table=$4"; }
weft run own.yaml --json; exits "first" 0 $?; became "first" "$(all ran ran ran ran)"
[ "$("$WEFT" show table | tail -1)" = "| own | 12.50 | 25.00 | 50.00 | 29.17 |" ] || wrong "table" "$("$WEFT" show table)"
"$WEFT" log probe >log 2>err
printf 'some words\naccuracy 0.5 (step 3)\nweft:metric accuracy\n' | diff - log || wrong "log" "is another"
grep '"event": *"metric"' "$WEFT_STORE"/runs/*/events.jsonl | grep -q '"name": *"accuracy"' || wrong "metric" "no event"
weft show probe; grep -q '^probe.metrics: metrics, made by command' out || wrong "show" "type"
weft run own.yaml --json; became "second" "$(all hit hit hit hit)"
[ ! -e lib/__pycache__ ] || wrong "bytecode" "in the program's folder"

cp -r "$tmp/a" "$tmp/b"
sed -e 's/^  probe:/  renamed:/' -e 's/probe.extra/renamed.extra/' -e 's/scores: probe/scores: renamed/' own.yaml >"$tmp/b/own.yaml"
(cd "$tmp/b" && "$WEFT" run own.yaml --json >out 2>err)
cp "$tmp/b/out" out; became "moved and renamed" "extra=hit renamed=hit score[0.25]=hit score[0.5]=hit score[1]=hit table=hit"

sed -i 's/some words/other words/' probe.py
weft plan own.yaml; grep -q 'run *probe' out || wrong "plan" "sees no change"
weft why own.yaml probe; grep -q 'import files.probe.py: .* -> .*(own.yaml:14:15)' out || wrong "why" "does not name the file"
weft run own.yaml --json; became "changed script" "$(all hit ran hit hit)" # other words, the same bytes: no ripple
echo 'SCALE = 0.25' >lib/helper.py
weft run own.yaml --json; became "changed module" "$(all hit ran hit ran)"

# -- the environment: nothing but what is declared
SECRET=1 LENT=2 TMPDIR=/elsewhere; export SECRET LENT TMPDIR
one '[sh, -c, "env | sort >$WEFT_OUT_MADE/env; ls -A >$WEFT_OUT_MADE/ls; pwd >$WEFT_OUT_MADE/pwd"]' 'env: [LENT, ABSENT], set: { MODE: fast, LANG: C }'
weft run one.yaml --cores 1; exits "environment" 0 $?
unset SECRET LENT TMPDIR
weft export task got; exits "environment" 0 $?
sed -e "s,=$WEFT_STORE/tmp/.*/scratch\$,=SCRATCH," -e "s,=$WEFT_STORE/tmp/.*,=FOLDER," got/env >env
[ ! -s got/ls ] || wrong "environment" "the folder is not empty"
grep -q '/scratch$' got/pwd || wrong "environment" "starts elsewhere"
grep -v '^_=\|^PWD=\|^OLDPWD=' env >seen # which the shell sets
diff - seen <<'X' || wrong "environment" "differs (wanted <, got >)"
HOME=SCRATCH
LANG=C
LENT=2
MODE=fast
OMP_NUM_THREADS=1
PATH=/usr/local/bin:/usr/bin:/bin
PYTHONDONTWRITEBYTECODE=1
PYTHONUNBUFFERED=1
TMPDIR=SCRATCH
WEFT_IN_DATA=FOLDER
WEFT_OUT_MADE=FOLDER
WEFT_SCRATCH=SCRATCH
WEFT_THREADS=1
X

# -- failures: each with its reason, none is kept
fails() { # NAME PATTERN
    weft run one.yaml --json; exits "$1" 1 $?
    says "$1" "FAILED task: $2"; became "$1" "data=$3 task=failed"
    [ "$(ls -A "$WEFT_STORE/tmp")" = .lock ] || wrong "$1" "left in tmp: $(ls -A "$WEFT_STORE/tmp")"
}
one '[sh, -c, "echo working; echo no such thing >&2; exit 3"]'
fails "exit status" "'sh' ended with exit status 3: no such thing\$" hit
[ "$("$WEFT" log task 2>/dev/null | head -2)" = "working
no such thing" ] || wrong "exit status" "log"
weft run one.yaml --json; exits "failed again" 1 $?
one '[sh, -c, "kill -SEGV $$"]'; fails "signal" "'sh' was killed by signal 11 (Segmentation fault)" hit
one '[no-such-program]'; fails "no program" "there is no program 'no-such-program' in PATH=/usr/local/bin:/usr/bin:/bin" hit
one '[sh, -c, "printf \"10%%\\r\\033[1m99%%\\r\\n\\n\"; exit 1"]'; fails "last line" "'sh' ended with exit status 1:  *.1m99%\$" hit
one '[sh, -c, "rm -r $WEFT_OUT_MADE"]'; fails "no folder" "output 'made': " hit
one '[true]'; fails "nothing made" "output 'made': nothing was written" hit
one '[sh, -c, "echo x >>$WEFT_IN_DATA/dataset.json; echo >$WEFT_OUT_MADE/x"]'
[ "$(id -u)" = 0 ] && fails "inputs changed" "its inputs were changed while it ran" hit
one '[sh, -c, "echo >$WEFT_IN_DATA/more; echo >$WEFT_OUT_MADE/x"]'; fails "inputs grown" "its inputs were changed while it ran" hit
echo 1 >input
one '[sh, -c, "echo 2 >\"$0\"; echo >$WEFT_OUT_MADE/x", "{file:input}"]' 'files: [input]'
fails "file changed" "outside data that it reads changed while it ran" hit
one '[sh, -c, "echo {{ >$WEFT_OUT_MADE/metrics.json"]'; sed -i 's/made: files/made: metrics/' one.yaml
fails "no metrics" "output 'made': .*metrics.json'.*not valid JSON" hit
one '[sh, -c, "echo {{}} >$WEFT_OUT_MADE/m.json"]'; sed -i 's/made: files/made: metrics/' one.yaml
fails "no file" "output 'made': has no file 'metrics.json', which an artifact of type metrics has" hit
one '[./tool, x]'
weft check one.yaml; exits "no own program" 2 $?; says "no own program" "^one.yaml:8:20: error: files: cannot find './tool'"
printf '#!/bin/sh\necho "$1" >"$WEFT_OUT_MADE/x"\n' >tool; chmod +x tool
weft run one.yaml; exits "own program" 0 $?
sed -i 's/echo/printf/' tool; weft run one.yaml --json; became "own program changed" "data=hit task=ran"

# -- private data: one client's at most, and nothing leaves
cat >private.yaml <<'Y'
experiment: private
privacy: { allow: [] }
stages:
  client: { foreach: [a, b], uses: command, outputs: { made: files }, with: { argv: [sh, -c, 'echo >$WEFT_OUT_MADE/x'] }, private: "${item}" }
  one: { uses: command, in: { x: "client[a]" }, outputs: { sum: { type: files, releases: a count } }, with: { argv: [cp, "{in:x}/x", "{out:sum}"] } }
  both: { uses: command, in: { x: [one, "client[b]"] }, outputs: { made: files }, with: { argv: [cp, "{in:x:1}/x", "{out:made}"] } }
Y
weft check private.yaml; exits "private" 2 $?
says "private" "5:90: error: output 'sum' would release private data, and nothing can check what a program writes: name 'one' in"
says "private" "'both' would see private data of 'a' and of 'b': client\[a\] -> one -> both; client\[b\] -> both"
sed -i 's/allow: \[\]/allow: [one]/' private.yaml
weft run private.yaml; exits "released" 0 $?

# -- no program outlives its run: the engine killed, interrupted twice, the worker killed; a child of the program's too
gone() { ! alive "$1" && ! alive "$2"; }
long=$(printf '[sh, -c, "sleep 600 & echo $$ $! $PPID >%s/pids.new; mv %s/pids.new %s/pids; wait"]' "$tmp" "$tmp" "$tmp")
one "$long"
for how in 'kill -9 $engine' 'kill -INT $engine; wait_until 5 grep -q "waiting for" err; kill -INT $engine' 'kill -9 $worker' \
    'kill -STOP $worker; kill -9 $engine'; do
    rm -f "$tmp/pids"
    "$WEFT" run one.yaml >out 2>err & engine=$!
    wait_until 10 test -e "$tmp/pids" || { wrong "$how" "did not start"; kill -9 $engine; continue; }
    read -r program child worker <"$tmp/pids"
    eval "$how"
    wait $engine 2>/dev/null
    wait_until 10 gone "$program" "$child" || wrong "$how" "a program lives on"
done

# -- what a program spoils while others read it is made again, and what they made of it as well
cat >spoil.yaml <<Y
experiment: spoil
stages:
  data: { uses: synthetic, with: { domain: public, per_class: 1, size: 16 } }
  slow:
    uses: pretrain
    in: { public: data }
    with: { image_size: 16, patch: 8, width: 16, layers: 1, heads: 1, embed: 8, text_width: 8, text_layers: 1, text_heads: 1,
            epochs: 100 }
    resources: { cores: 1 }
  spoil:
    uses: command
    in: { data: data }
    outputs: { made: files }
    with: { argv: [sh, -c, 'chmod -R u+w "\$WEFT_IN_DATA"; : >"\$WEFT_IN_DATA/samples.jsonl"; echo >"\$WEFT_OUT_MADE/x"'] }
    resources: { cores: 1 }
  late: { uses: embedding, in: { model: slow, data: data } }
Y
kept() { digests | grep -v '^spoil '; }
WEFT_STORE=$tmp/pure; weft run spoil.yaml --json --target late; exits "not spoilt" 0 $?; kept >pure
WEFT_STORE=$tmp/spoilt; weft run spoil.yaml --json --keep-going; exits "spoilt" 1 $?
became "spoilt" "data=ran late=ran slow=ran spoil=failed"; kept | diff pure - || wrong "spoilt" "other digests"
says "spoilt" "FAILED spoil: its inputs were changed while it ran"
WEFT_STORE=$tmp/store

# -- the example
cd "$here/../.." || exit 1
"$WEFT" run examples/own-program.yaml --set epochs=1 >"$tmp/a/out" 2>"$tmp/a/err"; rc=$?
cd "$tmp/a" || exit 1
exits "example" 0 $rc
"$WEFT" show table | grep -q '^| centroid | ' || wrong "example" "table"
[ $bad = 0 ]
