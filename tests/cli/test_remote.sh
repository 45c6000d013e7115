#!/bin/sh
# Two engines with stores of their own share work through a server; one that lies, cuts, fills up or breaks cannot
# fail a run, nor bring a wrong result; nothing private is sent.
. "$(dirname "$0")/lib.sh"

mkdir server && echo ok >server/mode
python3 "$here/../remote/server.py" "$tmp/server" & pid=$!
trap 'kill $pid 2>/dev/null; rm -rf "$tmp"' EXIT
wait_until 10 test -e server/port || { echo "the server does not start"; exit 1; }
url=http://127.0.0.1:$(cat server/port)/cache
run() { rm -f out err; WEFT_STORE=$tmp/$1; shift; try run "$here/tiny.yaml" --json "$@"; } # STORE OPTIONS...
outputs() { python3 -c 'import json
for t in sorted(json.load(open("out"))["tasks"], key=lambda t: t["task"]): print(t["task"], t["key"], sorted(t["outputs"].items()))'; }
count() { python3 -c 'import json, sys
tasks = json.load(open("out"))["tasks"]; print(sum(t["state"] == sys.argv[1] for t in tasks))' "$1"; }

run alone; exits alone 0; outputs >wanted
total=$(wc -l <wanted)

# -- the first uploads what is not private, the second finds it
run one --remote "$url"; exits first 0
outputs | same first wanted
says first "^remote $url: 0 hits, "
run two --remote "$url"; exits second 0
outputs | same second wanted
mv out two.json
check shared <<'P'
import glob, json, os
o = json.load(open("two.json"))
shared = {"public", "seed", "features", "unified", "router", "table", "proxy[stripes]", "proxy[blobs]"}  # all that sees no client's data
assert {t["task"] for t in o["tasks"] if t["state"] == "hit"} == shared, o
r = o["remote"]
assert (r["hits"], r["misses"], r["uploads"], r["failures"]) == (8, 0, 0, 0), r
# Nothing else lies on the server: those records, and what they name.
keys = {t["key"] for t in o["tasks"] if t["task"] in shared}
kept = "server/kept/cache/"
assert set(os.listdir(kept + "ac")) == keys
named = {f["sha256"] for k in keys for out in json.load(open(kept + "ac/" + k))["outputs"] for f in out["files"]}
assert set(os.listdir(kept + "cas")) == named
# Nor was anything else asked for.
asked = {line.split("/")[-1].strip() for line in open("server/log")}
assert asked == keys | named, asked - keys - named
P

# -- what the server has is not sent again; what is here is not asked for
: >server/log
run two --remote "$url"; exits again 0
[ ! -s server/log ] || wrong again "asked though all was there: $(head -n 3 server/log)"
run one --remote "$url" --set seed=1; exits more 0
! grep -q "PUT.*$(python3 -c 'import json; print([t["key"] for t in json.load(open("two.json"))["tasks"] if t["task"] == "public"][0])')" server/log ||
    wrong more "sent again what the server had"

# -- trouble: each ends well, with the outputs of a run alone; one warning at most
trouble() { # MODE HITS WARNINGS
    echo "$1" >server/mode
    run "trouble-$1" --remote "$url"; exits "$1" 0
    outputs | same "$1" wanted
    [ "$(count hit)" = "$2" ] || wrong "$1" "$(count hit) hits, wanted $2"
    [ "$(grep -c '^warning:' err)" = "$3" ] || wrong "$1" "$(grep -c '^warning:' err) warnings, wanted $3"
    [ -z "$(find "trouble-$1/tmp" -mindepth 1 ! -name .lock)" ] || wrong "$1" "something is left in tmp"
    echo ok >server/mode
}
trouble lie 0 1
trouble flip 0 1
trouble cut 0 1
trouble broken 0 1
trouble denied 0 1
trouble mute 0 1
trouble full 8 0
mkdir trouble-hang; echo '{"remote_timeout": 1}' >trouble-hang/config
trouble hang 0 1

# A server that takes nothing: the run ends well, and says so once.
rm -rf server/kept/*; echo full >server/mode
run full --remote "$url"; exits full 0
outputs | same full wanted
[ "$(grep -c '^warning:' err)" = 1 ] || wrong full "does not warn once"
[ "$(find server/kept -type f | wc -l)" = 0 ] || wrong full "the server has something"
echo ok >server/mode

# What the server had wrong is put right by who computed it anew.
run one --remote "$url"; exits refill 0
run fresh --remote "$url"; exits refill 0
for f in server/kept/cache/cas/*; do echo spoilt >"$f"; break; done
run heal --remote "$url"; exits heal 0
outputs | same heal wanted
[ -z "$(grep -l spoilt server/kept/cache/cas/*)" ] || wrong heal "the server's object is still spoilt"

# Whoever writes there may lie about what a key makes; a record without the outputs that its stage has is a miss.
check forge <<'P'
import hashlib, json, os
keys = [t["key"] for t in json.load(open("two.json"))["tasks"] if t["task"] == "features"]
path = "server/kept/cache/ac/" + keys[0]
record = json.load(open(path))
del record["sha256"]
for out in record["outputs"]: out["port"] += "x"
record["seconds"] = 1.5
record["sha256"] = hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
with open(path, "w") as f: json.dump(record, f, indent=2, sort_keys=True, ensure_ascii=False)
P
run forged --remote "$url"; exits forged 0
outputs | same forged wanted
[ "$(count hit)" = 7 ] || wrong forged "$(count hit) hits, wanted 7: all but features"

# -- modes
run reader --remote "$url"; exits reader 0; mkdir -p reader
echo '{"remote": "'"$url"'", "remote_mode": "read"}' >reader/config
: >server/log
run reader --set lambda=0.1; exits reader 0
! grep -q PUT server/log || wrong reader "a reader writes"
grep -q GET server/log || wrong reader "a reader does not ask"
mkdir -p writer; echo '{"remote": "'"$url"'", "remote_mode": "write"}' >writer/config
: >server/log
run writer --set lambda=0.2; exits writer 0
! grep -q GET server/log || wrong writer "a writer asks"
grep -q PUT server/log || wrong writer "a writer does not write"
: >server/log
run writer --set lambda=0.3 --remote off; exits off 0
[ ! -s server/log ] || wrong off "asks a server that is off"

# -- nobody there; bad words
run gone --remote http://127.0.0.1:1/x; exits gone 0
outputs | same gone wanted
[ "$(grep -c '^warning:' err)" = 1 ] || wrong gone "does not warn once"
try run "$here/tiny.yaml" --remote ftp://x/; exits scheme 2
[ "$(grep -c 'error:' err)" = 1 ] || wrong scheme "not one error"
AWS_ACCESS_KEY_ID='' AWS_SECRET_ACCESS_KEY='' try run "$here/tiny.yaml" --remote s3://bucket/x; exits keys 2; says keys AWS_

# -- a task without a label that has the key of one with a label is as private
cat >twins.yaml <<'Y'
experiment: twins
stages:
  open:   { uses: synthetic, with: { domain: blobs, per_class: 2 } }
  closed: { uses: synthetic, with: { domain: blobs, per_class: 2 }, private: pets }
  other:  { uses: synthetic, with: { domain: rings, per_class: 2 } }
Y
rm -rf server/kept/*
: >server/log
WEFT_STORE=$tmp/twins; try run twins.yaml --remote "$url"; exits twins 0
[ "$(ls server/kept/cache/ac | wc -l)" = 1 ] || wrong twins "not one record is on the server"
[ "$(grep -c 'GET.*/ac/' server/log)" = 1 ] || wrong twins "asked for a private key"
exit $bad
