#!/bin/sh
# The paper's vision graph (configs/vision.yaml) at a tiny size: every task once, whatever needs it; a change of an option
# runs what it touches and no more; all tables and pictures are there.
. "$(dirname "$0")/lib.sh"
graph=$here/vision.yaml
try run "$graph" --json; exits "run" 0; cp out first.json
try run "$graph" --json; exits "again" 0; cp out again.json
try plan "$graph" --set tuning=2 --json; exits "another tuning" 0; cp out tuning.json
try run "$graph" --set tuning=2 --json; exits "another tuning" 0; cp out tuned.json
try run "$graph" --set lambda=0.9 --json; exits "another lambda" 0; cp out lambda.json
check "counts" <<'P'
import json
from collections import Counter
def load(name): return json.load(open(name + ".json"))["tasks"]
def ran(name): return Counter(t["stage"] for t in load(name) if t["state"] == "ran")
systems, clients = 9, 2 # rows of `mixtures`; pets, flowers
first = load("first")
names = {t["task"]: t for t in first}
assert {t["state"] for t in first} == {"ran", "hit"} and len(first) == 119, Counter(t["state"] for t in first)
# no key twice: what two tasks have in common ran in one of them
keys = Counter(t["key"] for t in first if t["state"] == "ran")
assert max(keys.values()) == 1
for a, b in (("merged[HarmoMoE,0]", "untuned[no-tuning,0]"), ("merged[FlexOlmo,0]", "merged[FlexOlmo-dpp,0]")):
    assert names[a]["key"] == names[b]["key"] and {names[a]["state"], names[b]["state"]} == {"ran", "hit"}, (a, b)
assert ran("first") == Counter({
    "synthetic": 1 + 2 * clients, "pretrain": 1, "embedding": 1 + clients, "classifier": clients, "dpp": 3 * clients,
    "expert": 4 * clients + 1,                           # aligned, similar, private, proxied; one for all
    "merge": systems + 3 - 2,                            # and two without tuning, the soup; two are in it twice
    "router": systems + 1,                               # and the pooled one
    "comigs": 2 * clients + clients, "average": 2,       # two rounds, and what they end with
    "ensemble": clients,
    "evaluate": clients * (1 + clients + 1 + systems + 2 + 1 + 1 + 1),
    "compare": clients, "table": 9 + 3, "diagnose": clients, "map": clients, "contact": 3 * clients, "routing": 1}), ran("first")
assert all(t["state"] == "hit" for t in load("again"))
# an option of the router: routers, and what is made of them
touched = lambda t: t["task"].split("[")[0] in ("mixture", "pooled", "score", "pooled-score", "versus", "routing") or t["stage"] == "table"
plan = json.load(open("tuning.json"))
assert {t["task"] for t in plan["tasks"] if t["state"] != "hit"} == {
    t["task"] for t in first if touched(t) and not t["task"].startswith("proxies[")}, plan["totals"]
assert set(ran("tuned")) <= {"router", "evaluate", "compare", "table", "routing"}, ran("tuned")
assert ran("tuned")["router"] == systems + 1 and ran("tuned")["evaluate"] == clients * (systems + 1)
# one of the merge: from there on, and of the mixtures only those that it means
assert set(ran("lambda")) <= {"merge", "router", "evaluate", "compare", "table", "routing"}, ran("lambda")
assert [ran("lambda")[s] for s in ("merge", "router", "evaluate")] == [5, 5, 7 * clients], ran("lambda")
P
for table in 1 5 6 8 10 13 14 15; do
    try show "table-$table"; exits "table $table" 0; prints "table $table" '^| \(HarmoMoE\|Relevance-weighted DPP\|yes\|w/ final fine-tuning\) |'
done
try show others; prints "others" '^| CoMiGS |'
try times "$graph" --table table-15; exits "times in a table" 0
prints "times in a table" '^| system | accuracy | unify time (s) | inference (samples/s) | threads |$'
prints "times in a table" '^| BTM | [0-9.]* | – | [0-9.]* | [0-9-]* |$'
prints "times in a table" '^| HarmoMoE | [0-9.]* | [0-9.]* | [0-9.]* | [0-9-]* |$'
try times "$graph" --table table-10 --stages embedding,classifier,dpp --json; cp out selection.json
check "times of the selection" <<'P'
import json
tasks = {t["task"]: t["seconds"] for t in json.load(open("first.json"))["tasks"]}
top, dpp = json.load(open("selection.json"))["rows"]
assert (top["system"], top["labels"]) == ("HarmoMoE-top", ["Similarity-based selection"]) and dpp["system"] == "HarmoMoE"
for row, kind in (top, "top"), (dpp, "dpp"):
    stages = ("features[0]", "relevance[0,pets]", "relevance[0,flowers]", kind + "[0,pets]", kind + "[0,flowers]")
    assert abs(row["unify_seconds"] - sum(tasks[s] for s in stages)) < 1e-6, row
    assert 0 <= row["average"] <= 1 and row["missing"] == 0
P
try times "$graph" --table table-51; exits "no such table" 2; says "no such table" "did you mean 'table-"
try times "$graph" --table 'score'; exits "no table" 2; says "no table" "'score\[HarmoMoE,0,pets\]' is no table"
try times "$graph" --table table-15 --set tuning=3; exits "no table yet" 2; says "no table yet" "'table-15' was not made yet"
for client in pets flowers; do try show "random[0,$client]" --json; exits "random" 0; cp out "random-$client.json"; done
check "clients draw apart" <<'P'
import json
a, b = (set(json.load(open(f"random-{c}.json"))["ids"]) for c in ("pets", "flowers"))
assert len(a) == len(b) == 12 and a != b
P
for picture in 'contact[dpp,0,flowers]' routing; do try export "$picture" "picture-$picture"; exits "$picture" 0; done
try export 'figure-2[0,pets]' map; exits "a map of private images" 2; says "a map of private images" "private data of 'pets'"
try export 'figure-2[0,pets]' map --private; exits "a map, exported all the same" 0
grep -q "HarmoMoE's experts: pets, flowers" picture-routing/picture.md || fail "routing: experts have no names"
exit $bad
