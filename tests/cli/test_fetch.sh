#!/bin/sh
# weft fetch and experiments that name their data by URL, with a small hub (hub.py): what is printed, what is asked for,
# the keys of fetched data, trouble on the way, and that plan, check and why ask nobody.
. "$(dirname "$0")/lib.sh"
unset HF_TOKEN http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
hub=
trap '[ -z "$hub" ] || kill $hub; rm -rf "$tmp"' EXIT
a=$(printf 'a%.0s' $(seq 40)); b=$(printf 'b%.0s' $(seq 40))
asked() { [ -f hub/log ] && cat hub/log; rm -f hub/log; } # the requests since the last time
silent() { [ ! -s hub/log ] || { wrong "$1" "asks the hub"; cat hub/log; rm -f hub/log; }; } # NAME

# -- a model to fetch: the one that a tiny pretraining makes, as a repository of two commits
cat >make.yaml <<'Y'
experiment: make
stages:
  public: { uses: synthetic, with: { domain: public, split: train, per_class: 4, size: 16 } }
  seed: { uses: pretrain, in: { public: public }, with: { image_size: 16, patch: 8, width: 32, layers: 1, heads: 2, epochs: 1, batch: 16 } }
Y
"$WEFT" run make.yaml -q && "$WEFT" export seed model >out || exit 1
repo=hub/repos/models/acme/seed; mkdir -p $repo/refs hub/repos/datasets/acme/flowers/$a hub/repos/models/acme/gated/$a
cp -r model $repo/$a; echo "not a model's file" >$repo/$a/README.md; mkdir $repo/$a/onnx; echo x >$repo/$a/onnx/x.txt
cp -r $repo/$a $repo/$b; echo more >>$repo/$b/README.md
echo $a >$repo/refs/main; echo $b >$repo/refs/refs%2Fpr%2F1; echo data >hub/repos/datasets/acme/flowers/$a/train.txt
echo secret >hub/repos/models/acme/gated/$a/x
python3 "$here/hub.py" hub & hub=$!
wait_until 20 test -f hub/ports || { echo "the hub does not start"; exit 1; }
read -r port cdn <hub/ports
HF_ENDPOINT=http://127.0.0.1:$port; export HF_ENDPOINT
mkdir -p store; echo '{"fetch_tries": 2, "fetch_silence": 1}' >store/config

# -- a snapshot: the path on stdout, a line a file on stderr, and a tree that is the repository's
try fetch hf://acme/seed; exits "snapshot" 0
path=$(cat out); diff -r "$path" $repo/$a >diff || wrong "snapshot" "another tree"
says "snapshot" '^fetched README.md, 19 B$'; says "snapshot" '^hf://acme/seed: [0-9]* files, .* in '
[ "$(grep -c ^fetched err)" = "$(find $repo/$a -type f | wc -l)" ] || wrong "snapshot" "not a line a file"
asked >log
grep -q "^$port GET /api/models/acme/seed/revision/main?blobs=true - -$" log || wrong "snapshot" "asks otherwise"
grep -q "^$cdn GET /cdn/.*/model.safetensors - -$" log || wrong "snapshot" "does not follow to the other host"
try fetch hf://acme/seed --json; exits "again" 0; [ ! -s err ] || wrong "again" "says something"; silent "again"; cp out again.json
check "again" <<P
import json
f, = json.load(open("again.json"))["fetched"]
assert f["url"] == "hf://acme/seed" and f["pinned"] == "hf://acme/seed@$a" and f["path"] == "$path", f
assert f["fetched"] == f["fetched_bytes"] == 0 and f["files"] == 5 and f["bytes"] > 10000, f
P

# -- other sources
try fetch hf://datasets/acme/flowers@$a hf://acme/seed@refs%2Fpr%2F1/README.md -q; exits "two" 0
[ "$(wc -l <out)" = 2 ] && [ ! -s err ] || wrong "two" "not two paths"
same "two" "$(sed -n 2p out)" <$repo/$b/README.md
try fetch "$HF_ENDPOINT/file/repos/datasets/acme/flowers/$a/train.txt"; exits "unknown" 0
sha=$(sha256sum <hub/repos/datasets/acme/flowers/$a/train.txt | cut -d' ' -f1)
url=$HF_ENDPOINT/file/repos/datasets/acme/flowers/$a/train.txt
says "unknown" "^in an experiment: path: \"$url#sha256=$sha\"$"
asked >log
try fetch "$url#sha256=$sha"; exits "known" 0; silent "known"
try fetch "$url#sha256=$(echo "$sha" | tr 0-9a-f 1-9a-f0)"; exits "another" 1; says "another" "is not the content with SHA-256"

# -- what is wrong
try fetch hf://acme; exits "form" 2; says "form" "hf://\[datasets/\]OWNER/NAME"
try fetch gopher://a/b; exits "scheme" 2; says "scheme" "begin with hf://"
try fetch hf://acme/none; exits "none" 2; says "none" "set HF_TOKEN"
try fetch hf://acme/seed@v9; exits "revision" 2; says "revision" "no branch, tag or commit 'v9'"
try fetch hf://acme/seed/confg.json; exits "file" 2; says "file" "did you mean 'config.json'?"
try fetch none.yaml; exits "no experiment" 2
try fetch hf://acme/gated@$a; exits "gated" 2; says "gated" "is gated: accept its conditions at $HF_ENDPOINT/acme/gated"
asked >log
HF_TOKEN=sesame "$WEFT" fetch hf://acme/gated@$a >out 2>err; exits "token" 0 $?
HF_TOKEN=sesame "$WEFT" fetch hf://acme/seed@$b >out 2>err; exits "token" 0 $?
asked >log
grep -q "^$port .*Bearer_sesame$" log || wrong "token" "is not used"
grep "^$cdn " log >cdn.log; [ -s cdn.log ] || wrong "token" "nothing came from the other host"
grep -q sesame cdn.log && wrong "token" "goes to another host"
echo "1 evil /api/" >hub/trouble
try fetch hf://acme/seed --update; exits "evil" 2; says "evil" "'../../../evil', which is no file name"
[ -e store/fetched/hub/models/evil ] || [ -e evil ] && wrong "evil" "was written"

# -- an experiment: plan, check and why ask nobody; run fetches; the key is that of a local copy
cat >exp.yaml <<Y
experiment: exp
vars: { from: hf://acme/seed }
stages:
  public: { uses: synthetic, with: { domain: public, split: train, per_class: 4, size: 16 } }
  seed:
    uses: model
    with:
      path: "\${from}"
  features: { uses: embedding, in: { model: seed, data: public } }
Y
rm -rf store/fetched; rm -f hub/log
try check exp.yaml; exits "check" 0; silent "check"
try plan exp.yaml; exits "plan" 0; silent "plan"
prints "plan" '^wait  seed .* hf://acme/seed is not fetched yet$'
prints "plan" '^1 of those that wait needs data that is not fetched yet'; prints "plan" '^wait  features .* for seed'
try plan exp.yaml --json; exits "plan" 0; cp out plan.json
check "plan" <<'P'
import json
t = {x["task"]: x for x in json.load(open("plan.json"))["tasks"]}["seed"]
assert t["state"] == "wait" and t["fetch"] == "hf://acme/seed" and t["key"] is None and t["waits_for"] == []
P
try why exp.yaml seed; exits "why" 0; prints "why" "^seed would wait: hf://acme/seed is not fetched yet"
try why exp.yaml features; exits "why" 0; prints "why" "^seed would wait: hf://acme/seed"; silent "why"
try audit exp.yaml; exits "audit" 0; try graph exp.yaml --states; exits "graph" 0; silent "audit"
try run exp.yaml --json; exits "run" 0
became "run" "features=ran public=hit seed=ran"; says "run" "^hf://acme/seed: "; digests >fetched.txt
try run exp.yaml --json; exits "run again" 0; became "run again" "features=hit public=hit seed=hit"
try run exp.yaml --set from="$tmp/$repo/$a" --json; exits "copy" 0
became "copy" "features=hit public=hit seed=hit"; same "copy: keys" fetched.txt <<P
$(digests)
P
asked >log
try run exp.yaml -t public -q --set from=hf://acme/none; exits "target" 0; silent "target"
try run exp.yaml --set from=hf://acme/none; exits "run: none" 2; says "run: none" "^exp.yaml:8:13: error: .*'hf://acme/none'"
try sweep exp.yaml --dry-run; try fetch exp.yaml; exits "fetch exp" 0; prints "fetch exp" "/acme/seed/$a/files$"

# -- URLs that are wrong are errors of the file
try check exp.yaml --set from="$url"; exits "no digest" 2
says "no digest" "^exp.yaml:8:13: error: 'path': '$url' does not say which content it means: 'weft fetch $url' prints it"
try check exp.yaml --set from=hf://acme; exits "bad URL" 2; says "bad URL" "^exp.yaml:8:13: error: 'path': 'hf://acme'"

# -- the branch moves on: nobody notices before --update; then the key is another
echo $b >$repo/refs/main; rm -f hub/log
try run exp.yaml --json; exits "moved" 0; silent "moved"; became "moved" "features=hit public=hit seed=hit"
try fetch exp.yaml --update; exits "update" 0; prints "update" "/acme/seed/$b/files$"
try run exp.yaml --json; exits "updated" 0; became "updated" "features=hit public=hit seed=ran"; digests >updated.txt

# -- a changed file is not used, and comes anew; --verify finds a flipped bit
path=store/fetched/hub/models/acme/seed/$b/files
rm -f hub/log; cp -p $path/config.json old.json; echo '{}' >$path/config.json
try plan exp.yaml; prints "changed" '^wait  seed .* is not fetched yet$'
try run exp.yaml --json; exits "changed" 0; became "changed" "features=hit public=hit seed=ran"; digests >changed.txt
same "changed: keys" updated.txt <changed.txt
cmp -s $path/config.json old.json || wrong "changed" "is still another"
asked >log; [ "$(grep -c . log)" = 1 ] || wrong "changed" "asks for more than the file"
touch -r $path/merges.txt stamp 2>/dev/null || touch -r $path/model.safetensors stamp
printf 'X' | dd of=$path/model.safetensors bs=1 seek=5000 conv=notrunc 2>/dev/null; touch -r stamp $path/model.safetensors
try fetch exp.yaml --verify; exits "verify" 0; says "verify" "^fetched model.safetensors"
cmp -s $path/model.safetensors $repo/$b/model.safetensors || wrong "verify" "is still another"

# -- a sweep fetches what its points name
sed 's/^vars:.*/&\nsweep: { from: ["hf:\/\/acme\/seed", "hf:\/\/acme\/seed@'$a'"] }/' exp.yaml >sweep.yaml; rm -rf store/fetched
try sweep sweep.yaml; exits "sweep" 0; says "sweep" "^hf://acme/seed@$a: "; says "sweep" "^hf://acme/seed: "
asked >log; try fetch sweep.yaml --sweep -q; exits "fetch --sweep" 0; [ "$(wc -l <out)" = 2 ] || wrong "fetch --sweep" "not two paths"
silent "fetch --sweep"

# -- trouble that passes, and trouble that does not; a large file takes two requests
fresh() { rm -rf store/fetched; rm -f hub/log; }
fresh; printf '1 429 /api/\n1 503 config.json\n2 cut model.safetensors\n' >hub/trouble
try fetch hf://acme/seed; exits "passes" 0; diff -r "$(cat out)" $repo/$b >diff || wrong "passes" "another tree"
fresh; echo "9 cut cdn" >hub/trouble
try fetch hf://acme/seed; exits "cut" 1; rm hub/trouble; asked >log
try run exp.yaml -q; exits "resumed" 0; asked >log
grep -q "model.safetensors bytes=[1-9]" log || wrong "resumed" "begins anew"
grep -q config.json log && wrong "resumed" "asks for what was there"
fresh; echo "9 wrong cdn" >hub/trouble
try run exp.yaml; exits "wrong" 1; says "wrong" "is not the content with SHA-256"
fresh; echo "9 hang /api/" >hub/trouble
try fetch hf://acme/seed; exits "hang" 1; says "hang" "nothing came for 1 seconds (tried 2 times)"
rm hub/trouble

# -- Ctrl-C while a run fetches
echo "9 hang cdn" >hub/trouble; fresh; sed -i 's/"fetch_silence": 1/"fetch_silence": 60/' store/config
"$WEFT" run exp.yaml >out 2>err & fetching=$!
wait_until 10 grep -qs "^$cdn " hub/log || wrong "Ctrl-C" "did not begin"
kill -INT $fetching; wait $fetching; exits "Ctrl-C" 130 $?
says "Ctrl-C" "^weft: error: fetch of 'hf://acme/seed': interrupted; what came so far is kept$"
rm hub/log; "$WEFT" fetch hf://acme/seed -q >out 2>err & fetching=$!
wait_until 10 grep -qs "^$cdn " hub/log || wrong "Ctrl-C" "did not begin again"
"$WEFT" run exp.yaml >out2 2>err2 & waiting=$!
wait_until 10 grep -qs "another process fetches it" err2 || wrong "Ctrl-C" "does not wait"
kill -INT $waiting; wait $waiting; exits "Ctrl-C, waiting" 130 $?
kill -9 $fetching; wait $fetching 2>/dev/null; sed -i 's/"fetch_silence": 60/"fetch_silence": 1/' store/config

# -- killed in the middle, then many at once: all end well, and each file is asked for once
echo "9 hang cdn" >hub/trouble; fresh
"$WEFT" fetch hf://acme/seed >out 2>err & fetching=$!
wait_until 10 grep -qs "^$cdn " hub/log || wrong "killed" "did not begin"
kill -9 $fetching; wait $fetching 2>/dev/null; rm hub/trouble hub/log
for i in 1 2 3 4; do # each in the background
    "$WEFT" fetch hf://acme/seed -q >out$i 2>&1 & eval "p$i=\$!"
done
for i in 1 2 3 4; do eval "wait \$p$i" || wrong "at once" "one fails"; same "at once" out$i <out1; done
[ "$(grep -c "^$cdn .*model.safetensors" hub/log)" = 1 ] || wrong "at once" "fetched more than once"
find store/fetched -path '*parts*' | grep . && wrong "at once" "parts are left"

# -- on a terminal: a bar, the rate and the time left, and nothing of it at the end
fresh; echo "2 slow model.safetensors" >hub/trouble
TERM=xterm python3 - "$WEFT" >out 2>err <<'P' || wrong "terminal" "not as it should be"
import os, pty, re, sys
shown = b""
def see(fd):
    global shown
    piece = os.read(fd, 4096)
    shown += piece
    return piece
assert pty.spawn([sys.argv[1], "fetch", "hf://acme/seed"], see) == 0
assert re.search(rb"  model.safetensors  \[#+\.+\]  *\d+%, [0-9.]+ KiB/s, [0-9.]+ s left, \d", shown), shown
assert shown.count(b"fetched model.safetensors, ") == 1 and b"\033[" in shown, shown
assert re.search(rb"\033\[1A\r\033\[J.*hf://acme/seed: \d+ files", shown, re.S), shown
P
exit $bad
