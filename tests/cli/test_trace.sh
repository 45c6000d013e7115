#!/bin/sh
# The records of a run: times in its events, trace.json, environment.json; weft trace, also of a run that was killed.
. "$(dirname "$0")/lib.sh"
try trace; exits "no run" 2

cat >naps.yaml <<'Y'
experiment: naps
vars: { last: "true" }
stages:
  nap:
    foreach: [1, 2, 3]
    uses: command
    outputs: { made: files }
    with: { argv: [sh, -c, 'echo weft:metric depth 0.$0 7; sleep 0.$0; echo $0 >$1/x', "${item}", "{out:made}"] }
    resources: { cores: 1 }
  after:
    uses: command
    in: { naps: "nap[*]" }
    outputs: { made: files }
    with: { argv: [sh, -c, '${last}; echo x >$0/x', "{out:made}"] }
    resources: { cores: 1 }
Y
git() { command git -c user.name=n -c user.email=e@e "$@" >/dev/null 2>&1; }
if command -v git >/dev/null; then git init && git add naps.yaml && git commit -m x && command git rev-parse HEAD >commit; fi
OMP_SCHEDULE=static BLIS_X=http://me:secret@host/x MINE=1 "$WEFT" run naps.yaml -q --set last=true || exit 1
run=$(ls store/runs)
try trace --format text; exits "text" 0
prints "text" '^stage  *tasks  0'; prints "text" '^nap  *3  .*█'; prints "text" '^after  *1  '; prints "text" '^all cores  *[0-9]*%  '
python3 -c 'assert all(len(l) <= 101 for l in open("out", encoding="utf-8"))' || wrong "text" "too wide"
try trace last -o run.svg; exits "svg" 0; [ ! -s out ] || wrong "svg" "prints"
python3 -c 'import xml.dom.minidom as m; assert len(m.parse("run.svg").getElementsByTagName("g")) == 4' || wrong "svg" "not four bars"
try trace "$run"; exits "trace" 0; cmp out "store/runs/$run/trace.json" || wrong "trace" "is not what the run kept"
run=$run check "records" <<'P'
import json, os
folder = "store/runs/%s/" % os.environ["run"]
events = [json.loads(l) for l in open(folder + "events.jsonl")]
at = [e["at"] for e in events]
assert at == sorted(at) and at[0] >= 0 and events[-1]["event"] == "end" and at[-1] >= events[-1]["seconds"] - 1e-3
starts = {e["task"]: e for e in events if e["event"] == "start"}
ends = {e["task"]: e for e in events if e["event"] == "ran"}
assert set(starts) == set(ends) == {"nap[1]", "nap[2]", "nap[3]", "after"}
for name, s in starts.items():
    assert s["cores"] == 1 and s["cpuset"].isdigit() and s["node"] and "text" not in s
    took = ends[name]["at"] - s["at"]
    assert took > (0.1 * int(name[4]) if name != "after" else 0) and took > ends[name]["seconds"] - 1e-3, (name, took)
trace = json.load(open(folder + "trace.json"))
assert trace["otherData"] == {"experiment": "naps", "run": os.environ["run"]}
bars = [e for e in trace["traceEvents"] if e["ph"] == "X"]
assert len(bars) == 4
for b in bars:
    s, e = starts[b["name"]], ends[b["name"]]
    assert b["pid"] == 1 and b["tid"] == int(s["cpuset"]) and b["cat"] == "command"
    assert abs(b["ts"] - s["at"] * 1e6) < 1 and abs(b["dur"] - (e["at"] - s["at"]) * 1e6) < 1, (b, s, e)
    assert b["args"]["key"] == e["key"] and b["args"]["state"] == "ran" and b["args"]["cores"] == 1
lanes = {}
for b in sorted(bars, key=lambda b: b["ts"]):
    assert b["ts"] >= lanes.get(b["tid"], 0) - 1, b
    lanes[b["tid"]] = b["ts"] + b["dur"]
names = {(e["pid"], e.get("tid")): e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M" and e["name"].endswith("_name")}
assert names[1, None] == starts["after"]["node"] and all(names[1, b["tid"]] == "core %d" % b["tid"] for b in bars)
marks = {e["args"]["task"]: e for e in trace["traceEvents"] if e["ph"] == "i"}
assert marks["nap[2]"]["name"] == "depth" and marks["nap[2]"]["args"]["value"] == 0.2 and marks["nap[2]"]["args"]["step"] == 7
env = json.load(open(folder + "environment.json"))
assert env["host"] == starts["after"]["node"] and env["nodes"][0]["cores"] >= 1 and env["memory"] > 1 << 20 and env["blis_kernels"]
assert len(env["libraries"]) >= 8 and env["weft"]["compiler"] and env["command"][1:] == ["run", "naps.yaml", "-q", "--set", "last=true"]
v = env["variables"]
assert v["OMP_SCHEDULE"] == "static" and v["BLIS_X"] == "http://host/x" and "MINE" not in v and v["WEFT_STORE"]
if os.path.exists("commit"):
    assert env["experiment"]["commit"] == open("commit").read().strip()
P

# -- hits leave no bars; a failure and a run that was killed do
try run naps.yaml -q; [ ! -e "store/runs/$(ls store/runs | tail -n 1)/trace.json" ] || wrong "hits" "left a trace"
try trace; exits "hits" 2; says "hits" "ran nothing"
try run naps.yaml -q --set 'last=exit 3'; exits "fails" 1
try trace; exits "fails" 0; prints "fails" '"name":"after".*"state":"failed"'
"$WEFT" run naps.yaml -q --set 'last=exec sleep 60' & engine=$!
begun() { [ "$(grep -l '"start".*"after"' store/runs/*/events.jsonl | wc -l)" = 3 ]; }
wait_until 20 begun || fail "killed: it does not start"
kill -9 $engine; wait $engine 2>/dev/null
[ ! -e "store/runs/$(ls store/runs | tail -n 1)/trace.json" ] || wrong "killed" "left a trace"
try trace -f trace; exits "killed" 0; prints "killed" '"name":"after".*"state":"cut off"'
try trace nothing; exits "no such run" 2
try trace -f jpeg; exits "no such format" 2
try trace -o /nowhere/x.svg; exits "no such folder" 2
[ $bad = 0 ]
