#!/bin/sh
# weft cache: what each command prints, changes and refuses. Bundles: test_cache_bundle.sh.
. "$(dirname "$0")/lib.sh"
tab=$(printf '\t')
as_before() { rm -rf store && cp -a whole store; } # as it was after two runs
run() { "$WEFT" run "$here/slow.yaml" --set epochs=2 --quiet "$@" || fail "run"; }
run && run && run --set seed=1 && cp -a store whole

# -- path
try cache path; exits path 0; prints path "^$tmp/store$"
try cache path slow; exits "path of a task" 0; prints "path of a task" "^$tmp/store/records/../[0-9a-f]*$"
[ -f "$(cat out)" ] || wrong "path of a task" "no file"
try cache path slow.model; exits "path of an output" 0
cut -f 1 out | while read -r f; do zstd -tq "$f" || echo bad; done | grep . && wrong "path of an output" "no objects"
cut -f 2 out | grep -qx config.json || wrong "path of an output" "no names"
try cache path slwo; exits "path of no task" 2; says "path of no task" "did you mean 'slow'"
try cache path slow.modle; exits "path of no output" 2; says "path of no output" "did you mean 'model'"

# -- stats
try cache stats; exits stats 0
for line in "^store  *$tmp/store$" '^records  *8, ' '^objects  *[0-9]*, .* content (' '^worth  *[0-9.]* core-seconds$' '^limit  *none' \
    '^hot  *.* files, at most 32.0 GiB' '^checkpoints' '^quarantine  *0 B in 0 files$' 'by 10 hits of 18 tasks in 3 runs (56%)$' '^dearest$'; do
    prints stats "$line"
done
[ "$(sed -n '/^dearest/,$p' out | wc -l)" = 6 ] || wrong stats "not five dearest"
try cache stats --json; exits "stats --json" 0; mv out stats.json
check "stats --json" <<'P'
import glob, json, os
s, size = json.load(open("stats.json")), lambda pattern: sum(os.path.getsize(f) for f in glob.glob(pattern))
assert s["records"] == 8 and s["lost"] == s["freed"] == 0, s
assert s["objects"] == len(glob.glob("store/objects/*/*")) and s["stored"] == size("store/objects/*/*"), s
assert s["record_bytes"] == size("store/records/*/*") and s["content"] > s["stored"], s
assert s["ratio"] == s["content"] / s["stored"] and s["limit"] == 0 and s["hot_limit"] == 1 << 35, s
assert s["orphans"] == s["quarantine"] == {"files": 0, "bytes": 0}, s
assert s["hot"]["files"] == len(glob.glob("store/hot/*/*/*")), s
took = {}
for f in glob.glob("store/records/*/*"):
    r = json.load(open(f))
    took[r["key"]] = r["seconds"] * r["threads"]
assert abs(s["core_seconds"] - sum(took.values())) < 1e-9, s
hits = [e["key"] for f in glob.glob("store/runs/*/events.jsonl") for e in map(json.loads, open(f)) if e["event"] == "hit"]
saved = s["saved"]
assert abs(saved["core_seconds"] - sum(took[k] for k in hits)) < 1e-9 and saved["core_seconds"] > 0, s
assert (saved["runs"], saved["hits"], saved["ran"], saved["failed"], saved["unknown"]) == (3, len(hits), 18 - len(hits), 0, 0), s
assert saved["hit_rate"] == len(hits) / 18, s
d = [e["core_seconds"] for e in s["dearest"]]
assert len(d) == 5 and d == sorted(d, reverse=True) and d[0] == max(took.values()), s
P
rm "$("$WEFT" cache path data)"
try cache stats; prints "stats without a record" 'of 3 hits the record is gone, not counted$\|of [0-9]* hits\{0,1\} the record is gone, not counted$'
as_before

# -- ls
try cache ls; exits ls 0; [ "$(wc -l <out)" = 8 ] || wrong ls "not 8 lines"
awk -F "$tab" 'NF != 7 || length($1) != 64 || $2 != "whole" || $3 !~ /^[0-9]+$/ || $4 + 0 <= 0 || $5 !~ /^20.*Z$/' out | grep . && wrong ls "columns"
try cache ls --sort size; cut -f 3 out | sort -rnc || wrong "ls --sort size" "order"
try cache ls --sort task; cut -f 7 out | LC_ALL=C sort -c || wrong "ls --sort task" "order"
try cache ls --sort time --json; python3 -c 'import json; e = [x["core_seconds"] for x in json.load(open("out"))["entries"]]
assert len(e) == 8 and e == sorted(e, reverse=True), e' || wrong "ls --sort time" "order"
try cache ls --stage pretrain --stage embedding --sort task; cut -f 7 out | same "ls --stage" - <<'W'
features
features
slow
slow
W
try cache ls --task 'quick[b*]' -t '?ata'; [ "$(cut -f 7 out | sort -u | tr '\n' ' ')" = 'data quick[blobs] ' ] || wrong "ls --task" "not these"
try cache ls -n 2; [ "$(wc -l <out)" = 2 ] || wrong "ls -n" "not two"
try cache ls --limit 0; exits "ls --limit 0" 2; says "ls --limit 0" "takes a number of entries, 1 or more, not 0"
try cache ls --stage pretrian; exits "no such stage" 2; says "no such stage" "no stage 'pretrian'; did you mean 'pretrain'"
try cache ls --sort worth; exits "no such order" 2; says "no such order" "one of value|time|size|used|task, not 'worth'"
rm "$("$WEFT" cache path 'quick[blobs].images' | head -n 1 | cut -f 1)"
try cache ls --task 'quick[blobs]'; prints "lost" "${tab}lost$tab"
try cache ls --json; mv out ls.json
check "ls --json" <<'P'
import glob, json, os
e = json.load(open("ls.json"))["entries"]
assert len(e) == 8 and [x["state"] for x in e].count("lost") == 1, e
assert [x["value"] for x in e] == sorted((x["value"] for x in e), reverse=True), e
x = [x for x in e if x["task"] == "data"][0]
r = json.load(open("store/records/%s/%s" % (x["key"][:2], x["key"][2:])))
files = {f["sha256"]: f["size"] for o in r["outputs"] for f in o["files"]}
name = lambda d: "store/objects/%s/%s" % (d[:2], d[2:])
assert x["stored"] == sum(os.path.getsize(name(d)) for d in files) + os.path.getsize("store/records/%s/%s" % (x["key"][:2], x["key"][2:])), x
assert x["content"] == sum(files.values()) and x["seconds"] == r["seconds"] and x["made"] == r["when"] and x["stage"] == "synthetic", x
P
as_before

# -- verify
try cache verify; exits verify 0; [ -s out ] && wrong verify "finds something"; says verify "^[0-9]* objects (.*), 8 records, [0-9]* checkpoints\{0,1\}: all is well$"
object=$("$WEFT" cache path slow.model | head -n 1 | cut -f 1); chmod u+w "$object"; printf x >>"$object"; echo hello >store/hello
try cache verify; exits "verify damage" 1; says "verify damage" ": 2 findings; --repair moves them to quarantine$"
prints "verify damage" "^object  *objects/../[0-9a-f]*  its seek table is spoilt$"; prints "verify damage" "^foreign  *hello  the store did not make this$"
try cache verify --json; exits "verify --json" 1; mv out verify.json
check "verify --json" <<'P'
import json
v = json.load(open("verify.json"))
assert sorted(f["kind"] for f in v["findings"]) == ["foreign", "object"] and v["counts"]["object"] == 1 and v["repaired"] == 0, v
assert v["records"] == 8 and v["objects"] > 9 and v["bytes"] > 1000 and all(f["why"] and f["path"] for f in v["findings"]), v
P
try cache verify --repair; exits "verify --repair" 0; says "verify --repair" ": 4 findings, 4 moved to quarantine$"; prints "verify --repair" "^missing  *records/"
[ -f store/hello ] && wrong "verify --repair" "left what is foreign"; [ "$(ls store/quarantine | wc -l)" = 4 ] || wrong "verify --repair" "quarantine"
try cache verify; exits "verify after repair" 0
try run "$here/slow.yaml" --set epochs=2 --json; became "run after repair" "data=hit features=hit quick[blobs]=hit quick[rings]=hit quick[stripes]=hit slow=ran"
as_before
python3 - "$WEFT" >screen <<'P' || fail "verify on a terminal"
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], [sys.argv[1], "cache", "verify"])
text = b""
while True:
    try:
        got = os.read(fd, 65536)
    except OSError:
        break
    if not got:
        break
    text += got
print(text.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
P
grep -q 'verify  \[[#.]*\] *[0-9]*%  .* of .*B' screen && grep -q 'all is well' screen || { fail "verify on a terminal"; cat -v screen; }

# -- config
try cache config; exits config 0; prints config '^max_size = 0$'; prints config '^block = 1048576 (1.0 MiB)$'; prints config "^    zstd level of objects"
try cache config max_size=1.5GiB; exits "config set" 0; [ -s out ] && wrong "config set" "prints"
try cache config max_size; prints "config get" '^1610612736$'
try cache config remote_mode=read; try cache config --json; mv out config.json
check "config --json" <<'P'
import json
c = json.load(open("config.json"))
assert c["max_size"]["value"] == 1610612736 and c["max_size"]["default"] == 0 and c["remote_mode"]["value"] == "read" and c["locks"]["value"] is True, c
assert json.load(open("store/config")) == {"max_size": 1610612736, "remote_mode": "read"}
P
refused() { name=$1 what=$2; shift 2; try "$@"; exits "$name" 2; says "$name" "$what"; [ "$(wc -l <err)" = 1 ] || wrong "$name" "more than a line"; }
cp store/config before
refused "config name" "a store has no setting 'max_sise'; did you mean 'max_size'?" cache config max_sise=1
refused "config get name" "a store has no setting 'max_sise'; did you mean 'max_size'?" cache config max_sise
refused "config size" "'max_size' must be a size such as 500MB, 1.5GiB or 20K, not 'ten'" cache config max_size=ten
refused "config range" "'level' must be an integer between 1 and 19, not 20" cache config level=20
refused "config choice" "'remote_mode' must be one of read-write, read, write" cache config remote_mode=none
cmp -s before store/config || wrong config "what was refused changed the file"
try cache stats; prints "stats with a limit" "^limit  *.* of 1.5 GiB, 0%$"
echo '{"level": 99}' >store/config
refused "wrong config" "'level' must be an integer" cache config
refused "wrong config, stats" "'level' must be an integer" cache stats
try cache config level=; exits "config put right" 0; try cache stats; exits "stats after" 0
try cache config level=7 --store fresh; exits "config of a new store" 0; grep -q '"level": 7' fresh/config || wrong "config of a new store" "not set"
as_before

# -- pins
run_id=$("$WEFT" history --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][-1]["run"])')
try cache pin "$run_id"; exits pin 0; prints pin "^$run_id$"; says pin "^pinned run $run_id: 6 results$"
try cache pin 'quick[blobs]'; exits "pin a task" 0; prints "pin a task" '^quick_blobs_$'; says "pin a task" "^pinned task quick\[blobs\]: 1 result$"
try cache pin data slow --name both; prints "pin two" '^both$'; says "pin two" "^pinned task data, task slow: 2 results$"
try cache pin last; exits "pin last" 0; says "pin last" "6 results$"
try cache pins; cut -f 1,2,4 out | grep -v "^[0-9]" | same pins - <<W
both${tab}2${tab}task data, task slow
quick_blobs_${tab}1${tab}task quick[blobs]
W
[ "$(wc -l <out)" = 4 ] || wrong pins "not four"
try cache pins --json; mv out pins.json
check "pins --json" <<'P'
import json
p = {x["name"]: x for x in json.load(open("pins.json"))["pins"]}
assert len(p["both"]["keys"]) == 2 and len(p["both"]["keys"][0]) == 64 and p["both"]["what"] == "task data, task slow" and p["both"]["when"], p
P
refused "pin nothing" "no task 'slwo' has come to an end.*did you mean 'slow'" cache pin data slwo
try cache pins; [ "$(wc -l <out)" = 4 ] || wrong "pin nothing" "pinned something"
refused "pin no run" "has no run '1999'" cache pin 1999
refused "pin two runs" "runs of the store begin with '20'" cache pin 20
refused "pin's name" "'a/b'" cache pin data --name a/b
"$WEFT" cache pin slow --name quick_blobs_ >out 2>err || wrong "pin over" "exit"
refused "name of another" "there is a pin 'quick_blobs_' already, of task slow: choose another name with --name" cache pin 'quick[blobs]'
refused "unpin nothing" "has no pin 'bth'; did you mean 'both'?" cache unpin bth
try cache unpin both quick_blobs_; exits unpin 0; try cache pins; [ "$(wc -l <out)" = 2 ] || wrong unpin "not two left"

# -- gc: the newest two runs are pinned, all of the store
try cache gc --max-size 1K; exits "gc of pinned" 0; [ -s out ] && wrong "gc of pinned" "something goes"
says "gc of pinned" "^that is above the limit: [0-9]* pinned or kept, 0 in use$"
"$WEFT" cache pins | cut -f 1 | xargs "$WEFT" cache unpin
before=$(ls -R store/objects store/records | cksum)
try cache gc --max-size 1K --dry-run; exits "gc --dry-run" 0; cp out would; says "gc --dry-run" "^would free [0-9]* results"
[ "$before" = "$(ls -R store/objects store/records | cksum)" ] || wrong "gc --dry-run" "something went"
awk -F "$tab" 'NF != 7 || length($1) != 64 || ($2 != "freed" && $2 != "removed") || $3 !~ /^[0-9]+$/' out | grep . && wrong "gc --dry-run" "columns"
try cache gc --max-size 1K --keep-run "$run_id"; exits "gc --keep-run" 0; says "gc --keep-run" "^freed [1-9][0-9]* results"
try run "$here/slow.yaml" --set epochs=2 --json; became "what was kept" "data=hit features=hit quick[blobs]=hit quick[rings]=hit quick[stripes]=hit slow=hit"
as_before
try cache gc --max-size 1K --json; mv out gc.json
check "gc --json" <<'P'
import glob, json, os
g = json.load(open("gc.json"))
size = sum(os.path.getsize(f) for p in ("objects", "records") for f in glob.glob("store/%s/*/*" % p))
assert g["limit"] == 1024 and g["after"] == size <= 1024 < g["before"] and not g["busy"], g
freed = [e for e in g["entries"] if e["what"] == "freed"]
assert len(freed) == g["freed"] > 0 and all(e["bytes"] >= 0 and e["task"] and len(e["key"]) == 64 for e in freed), g
wanted = [l.split("\t")[:2] for l in open("would")]
assert [[e["key"], e["what"]] for e in g["entries"]] == wanted, (g, wanted)
P
try cache verify; exits "verify after gc" 0
try cache gc; exits "gc without a limit" 0; says "gc without a limit" "; there is no limit$"
refused "gc size" "^weft: error: --max-size must be a size such as 500MB, 1.5GiB or 20K, not '20X'$" cache gc --max-size 20X
refused "gc --keep-run" "has no run 'nothing'" cache gc --keep-run nothing
refused "gc of a thing" "'x' is too much: weft cache gc" cache gc x
as_before
"$WEFT" cache pin slow --name s >out 2>err && chmod u+w store/pins/s && echo x >>store/pins/s
try cache gc --max-size 1K; exits "gc with a damaged pin" 1; says "gc with a damaged pin" "s"
try cache verify; exits "verify a damaged pin" 1; prints "verify a damaged pin" "^pin  *pins/s  "
try cache unpin s; exits "unpin a damaged one" 0; try cache gc --max-size 1K; exits "gc then" 0

# -- no room for words
as_before; "$WEFT" cache pin data >out 2>err
for c in stats ls "verify --json" config pins "gc --json" path; do
    "$WEFT" cache $c >/dev/full 2>err; exits "cache $c to a full disk" 1 $?; says "cache $c to a full disk" "cannot write the output"
done
[ $bad = 0 ]
