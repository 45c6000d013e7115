#!/bin/sh
# weft schema: an independent validator takes our files by it and refuses wrong ones, as weft check does.
. "$(dirname "$0")/lib.sh"
"$WEFT" schema >schema.json || { echo "schema: exit $?"; exit 1; }
"$WEFT" schema more 2>err; [ $? = 2 ] || { echo "schema with an argument"; exit 1; }
"$WEFT" schema >/dev/full 2>err; [ $? = 1 ] || { echo "schema: full disk"; exit 1; }
python=/usr/bin/python3 # Debian's own: the packages are its
$python -c 'import jsonschema, yaml; jsonschema.Draft202012Validator' 2>/dev/null ||
    { echo "no python3-jsonschema with draft 2020-12, or no python3-yaml"; exit 77; }
HERE=$here $python - <<'P'
import glob, json, os, re, subprocess, sys
import jsonschema, yaml

schema = json.load(open("schema.json"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)

class Loader(yaml.SafeLoader): # the types of YAML 1.2: `no` and `1:30` are text
    yaml_implicit_resolvers = {}
for tag, first, pattern in (("bool", "tf", r"true|false"), ("null", "n~", r"null|~"), ("int", "-+0123456789", r"[-+]?[0-9]+"),
                            ("float", "-+.0123456789", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"),
                            ("merge", "<", "<<")):
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile("^(?:%s)$" % pattern), list(first))

def check(text): return subprocess.run([os.environ["WEFT"], "check", "case.yaml"], capture_output=True).returncode
bad, cases = [], [] # cases: for test_schema_ajv.sh, in the file $CASES
def case(name, text, valid, weft=True): # weft: does `weft check` agree?
    cases.append({"name": name, "text": text, "valid": valid})
    errors = list(validator.iter_errors(yaml.load(text, Loader)))
    if valid != (not errors):
        bad.append("%s: %s" % (name, errors[0].message[:300] if errors else "taken, and should not be"))
    if weft:
        open("case.yaml", "w").write(text)
        if check(text) != (0 if valid else 2):
            bad.append(name + ": weft check sees it otherwise")

here = os.environ["HERE"]
files = glob.glob(here + "/*.yaml") + [f for d in ("examples", "configs") for f in
                                       glob.glob(here + "/../../" + d + "/**/*.yaml", recursive=True)]
files = [f for f in files if re.search("^experiment:", open(f).read(), re.M)] # parts of others have none
assert len(files) >= 4, files
for f in files:
    case(f, open(f).read(), True, weft=False)

def one(stage, more=""): # a file with one more stage, over stages that the checks need
    return ("experiment: e\nvars: { n: 4, list: [a, b], t: true, p: spread, u: { gpu: 1 }, r: { cores: 2 } }\n%sstages:\n"
            "  public: { uses: synthetic, with: { domain: public } }\n"
            "  seed: { uses: pretrain, in: { public: public } }\n"
            "  features: { uses: embedding, in: { model: seed, data: public } }\n"
            "  x: %s\n" % (more, stage))
synthetic = "{ uses: synthetic, with: { domain: blobs%s }%s }"
for name, stage in {
        "plain": synthetic % ("", ""),
        "integer": synthetic % (", per_class: 3", ""),
        "variable": synthetic % (', per_class: "${n}"', ""),
        "number with an exponent": "{ uses: pretrain, in: { public: public }, with: { lr: 1e-3 } }",
        "integer for a number": "{ uses: pretrain, in: { public: public }, with: { lr: 1 } }",
        "one reference as a list": "{ uses: pretrain, in: { public: [public] } }",
        "output": "{ uses: embedding, in: { model: seed.model, data: public } }",
        "matrix that leaves one out": '{ matrix: { d: [blobs, rings], s: [1, 2], exclude: [{ d: blobs, s: 2 }] }, uses: synthetic, '
                                      'with: { domain: "${item.d}", seed: "${item.s}" } }',
        "foreach list": '{ foreach: [a, 1], uses: synthetic, with: { domain: "blobs" }, private: "${item}" }',
        "foreach variable": '{ foreach: "${list}", uses: synthetic, with: { domain: blobs } }',
        "foreach map": '{ foreach: { a: 1, b: { c: 2 } }, uses: synthetic, with: { domain: blobs } }',
        "matrix": '{ matrix: { a: [1, 2], b: "${list}" }, uses: synthetic, with: { domain: blobs } }',
        "no outputs": "{ uses: command, outputs: {}, with: { argv: [sh] } }",
        "rounds": '{ rounds: 2, uses: synthetic, with: { domain: blobs, seed: "${round}" } }',
        "rounds with a first": '{ rounds: "${n}", uses: pretrain, in: { public: public }, first: { public: [public] } }',
        "resources": synthetic % ("", ', resources: { cores: "2..8", memory: 6GiB }'),
        "timeout": synthetic % ("", ', resources: { timeout: 1h30m, retries: 2 }'),
        "timeout in seconds": synthetic % ("", ', resources: { timeout: 0.5, retries: "${n}" }'),
        "timeout with a unit": synthetic % ("", ', resources: { timeout: 1.5h }'),
        "cores": synthetic % ("", ", resources: { cores: 4, memory: 1000000 }"),
        "cores from": synthetic % ("", ', resources: { cores: "4.." }'),
        "cores by weft": synthetic % ("", ", resources: { cores: auto }"),
        "all resources": synthetic % ("", ", resources: { cores: 2, memory: 1GiB, exclusive: true, place: spread, units: { gpu: 1, "
                                      "a-b: '${n}' }, timeout: 1h, retries: { times: 3, backoff: 1m30s, memory: x1.5 } }"),
        "resources of variables": synthetic % ("", ", resources: { exclusive: '${t}', place: '${p}', units: '${u}', retries: { times: "
                                               "'${n}', backoff: '${n}', memory: 'x${n}' }, memory: 1 }"),
        "nothing of units": synthetic % ("", ", resources: { units: {}, place: compact, exclusive: false }"),
        "resources in a variable": synthetic % ("", ", resources: '${r}'"),
        "resources variable": synthetic % ("", ', resources: { cores: "${n}" }'),
        "command": "{ uses: command, in: { a: features, b: [seed, 'public'] }, outputs: { m: metrics, o: { type: files } }, with: "
                   "{ argv: [sh, -c, 1, '{in:a}'], env: [PATH], set: { A: 1, B: x }, version: 2 } }",
        "command without inputs": "{ uses: command, outputs: { m: files }, with: { argv: ['${n}'] } }",
        "command of a variable": "{ uses: command, outputs: { m: files }, with: { argv: '${list}' } }",
        "text for people": synthetic % ("", ", tags: [a, 1], description: some text"),
        "word that YAML 1.1 took for a boolean": synthetic % (", seed: 1", ", private: no")}.items():
    case(name, one(stage), True)
case("coordinates by name", one('{ matrix: { d: [blobs, rings], s: [1, 2] }, uses: synthetic, with: { domain: "${item.d}", seed: "${item.s}" } }\n'
                                '  y: { uses: pretrain, in: { public: "x[s=1, d=blobs]" } }'), True)
axes = "sweep: { n: [1, 2], list: { choice: [[a], [a, b]] } }\n"
case("sweep", one(synthetic % ("", ""), axes + "search: { where: n > 1, method: grid }\n"), True)
case("random sweep", one(synthetic % ("", ""), "sweep: { n: { integer: [1, 9] } }\nsearch: { method: random, count: 4, seed: 1, "
     "where: [n > 1] }\n"), True)
case("halving", one("{ uses: pretrain, in: { public: public }, with: { epochs: '${n}' } }\n  z: { uses: evaluate, in: { model: x, data: public } }",
     "sweep: { list: [[a], [b]] }\nobjective: 'z.average, max'\nsearch: { halving: { over: n, rungs: [1, 2], keep: 0.5, wait: true } }\n"), True)
for name, more in {"halving": axes + "search: { halving: { over: n, rungs: [1], keep: 2 } }\n", "sweep of nothing": "sweep: {}\n", "range of two": "sweep: { n: { range: [1, 2] } }\n",
                   "unknown range": "sweep: { n: { rang: [1, 2, 3] } }\n", "scalar axis": "sweep: { n: 3 }\n",
                   "method": axes + "search: { method: magic }\n", "search key": axes + "search: { metod: grid }\n",
                   "count": "sweep: { n: { integer: [1, 9] } }\nsearch: { method: lhs, count: 0 }\n",
                   "objective": axes + "objective: x\n"}.items():
    case("sweep, " + name, one(synthetic % ("", ""), more), False)
case("privacy", one(synthetic % ("", ""), "privacy: { allow: [x] }\n"), True)
for name, stage in {
        "unknown parameter": synthetic % (", per_clas: 3", ""),
        "text for an integer": synthetic % (", per_class: many", ""),
        "number for text": "{ uses: synthetic, with: { domain: 3 } }",
        "number for an integer": synthetic % (", per_class: 1.5", ""),
        "out of range": synthetic % (", per_class: 0", ""),
        "no choice": "{ uses: pretrain, in: { public: public }, with: { optimizer: magic } }",
        "missing parameter": "{ uses: synthetic }",
        "missing parameter in with": "{ uses: synthetic, with: {} }",
        "missing port": "{ uses: embedding, in: { model: seed } }",
        "no ports": "{ uses: embedding }",
        "unknown port": "{ uses: embedding, in: { model: seed, data: public, date: public } }",
        "two references for one": "{ uses: pretrain, in: { public: [public, public] } }",
        "no reference": "{ uses: pretrain, in: { public: [] } }",
        "a number as reference": '{ uses: pretrain, in: { public: "a b" } }',
        "unknown stage": "{ uses: synthetik }",
        "no stage": "{ with: { domain: blobs } }",
        "unknown key": "{ uses: synthetic, with: { domain: blobs }, foreech: [a] }",
        "foreach and matrix": "{ foreach: [a], matrix: { a: [1] }, uses: synthetic, with: { domain: blobs } }",
        "foreach of nothing": "{ foreach: [], uses: synthetic, with: { domain: blobs } }",
        "foreach of text": "{ foreach: a, uses: synthetic, with: { domain: blobs } }",
        "no rounds": "{ rounds: 0, uses: synthetic, with: { domain: blobs } }",
        "rounds of text": "{ rounds: some, uses: synthetic, with: { domain: blobs } }",
        "first without rounds": "{ uses: pretrain, in: { public: public }, first: { public: public } }",
        "first of text": "{ rounds: 2, uses: pretrain, in: { public: public }, first: public }",
        "axis of text": "{ matrix: { a: b }, uses: synthetic, with: { domain: blobs } }",
        "cores of text": synthetic % ("", ", resources: { cores: some }"),
        "no cores": synthetic % ("", ", resources: { cores: 0 }"),
        "memory of text": synthetic % ("", ", resources: { memory: 6 gigs }"),
        "timeout of text": synthetic % ("", ", resources: { timeout: long }"),
        "timeout as of a clock": synthetic % ("", ", resources: { timeout: 1:30 }"),
        "timeout of nothing": synthetic % ("", ", resources: { timeout: '' }"),
        "timeout upside down": synthetic % ("", ", resources: { timeout: 3m2h }"),
        "no timeout": synthetic % ("", ", resources: { timeout: 0 }"),
        "retries": synthetic % ("", ", resources: { retries: -1 }"),
        "many retries": synthetic % ("", ", resources: { retries: 101 }"),
        "exclusive of text": synthetic % ("", ", resources: { exclusive: yes }"),
        "place": synthetic % ("", ", resources: { place: near }"),
        "units of text": synthetic % ("", ", resources: { units: gpu }"),
        "no units": synthetic % ("", ", resources: { units: { gpu: 0 } }"),
        "many units": synthetic % ("", ", resources: { units: { gpu: 10001 } }"),
        "units of a wrong name": synthetic % ("", ", resources: { units: { 1x: 1 } }"),
        "map of retries without times": synthetic % ("", ", resources: { retries: { backoff: 1s } }"),
        "map of many retries": synthetic % ("", ", resources: { retries: { times: 101 } }"),
        "backoff of text": synthetic % ("", ", resources: { retries: { times: 1, backoff: later } }"),
        "growth": synthetic % ("", ", resources: { memory: 1GiB, retries: { times: 1, memory: 2 } }"),
        "unknown key of retries": synthetic % ("", ", resources: { retries: { times: 1, wait: 1s } }"),
        "unknown resource": synthetic % ("", ", resources: { gpus: 1 }"),
        "tags of text": synthetic % ("", ", tags: a"),
        "command without argv": "{ uses: command, outputs: { m: files }, with: { set: { A: 1 } } }",
        "command without outputs": "{ uses: command, with: { argv: [sh] } }",
        "command of text": "{ uses: command, outputs: { m: files }, with: { argv: sh -c x } }",
        "output of no type": "{ uses: command, outputs: { m: file }, with: { argv: [sh] } }",
        "output with more": "{ uses: command, outputs: { m: { type: files, release: x } }, with: { argv: [sh] } }",
        "output of a wrong name": "{ uses: command, outputs: { '1': files }, with: { argv: [sh] } }",
        "outputs of a list": "{ uses: command, outputs: [m], with: { argv: [sh] } }",
        "input of nothing": "{ uses: command, in: { a: [] }, outputs: { m: files }, with: { argv: [sh] } }",
        "set a list": "{ uses: command, outputs: { m: files }, with: { argv: [sh], set: [A] } }",
        "version 0": "{ uses: command, outputs: { m: files }, with: { argv: [sh], version: 0 } }",
        "unknown key of a command": "{ uses: command, outputs: { m: files }, with: { argv: [sh], shell: x } }",
        "outputs of ours": synthetic % ("", ", outputs: { m: files }"),
        "private list": synthetic % ("", ", private: [a]")}.items():
    case(name, one(stage), False)
case("defaults", one("{ uses: synthetic }", 'defaults: { synthetic: { with: { domain: blobs, per_class: "${n}" }, resources: { cores: "2.." } }, table: {} }\n'), True)
case("wrong default", one(synthetic % ("", ""), "defaults: { synthetic: { with: { per_class: 0 } } }\n"), False)
case("unknown default", one(synthetic % ("", ""), "defaults: { synthetic: { with: { sise: 8 } } }\n"), False)
case("default of no stage", one(synthetic % ("", ""), "defaults: { synthetik: {} }\n"), False)
case("default of in", one(synthetic % ("", ""), "defaults: { embedding: { in: { data: public } } }\n"), False)
for name, text, valid in (
        ("reference", "[{ name: paper, source: arXiv, rows: { a: { b: 85.5, c: 1 } } }]", True),
        ("reference without a name", "[{ rows: { a: { b: 1 } } }]", False),
        ("reference without rows", "[{ name: paper }]", False),
        ("reference of text", "[{ name: paper, rows: { a: { b: high } } }]", False),
        ("reference of one system", "[{ name: paper, rows: { a: 1 } }]", False),
        ("reference that is no list", "{ name: paper, rows: { a: { b: 1 } } }", False)):
    case(name, one(synthetic % ("", ""), "reference: " + text + "\n"), valid)
case("no name", one(synthetic % ("", "")).replace("experiment: e\n", ""), False)
case("no stages", "experiment: e\nstages: {}\n", False)
case("name", one(synthetic % ("", "")).replace("experiment: e\n", "experiment: e/f\n"), False)
case("unknown key on top", one(synthetic % ("", ""), "stage: {}\n"), False)
case("allow", one(synthetic % ("", ""), "privacy: { allow: x }\n"), False)
case("a stage's name", one(synthetic % ("", "")).replace("  x:", "  x.y:"), False)

stages = {s["name"]: s for s in json.loads(subprocess.run([os.environ["WEFT"], "stages", "--json"], capture_output=True).stdout)}
for name, s in stages.items():
    assert set(schema["$defs"][name + ".with"]["properties"]) == set(s["parameters"]), name
    assert set(schema["$defs"][name + ".in"]["properties"]) == {p["name"] for p in s["inputs"]}, name
open("part.yaml", "w").write("stages:\n  public: { uses: synthetic, with: { domain: public } }\n")
case("include alone", "experiment: e\ninclude: part.yaml\n", True)
case("include of a list", "experiment: e\ninclude: [part.yaml]\nstages: { x: { uses: pretrain, in: { public: public } } }\n", True)
case("include of a map", "experiment: e\ninclude: { a: part.yaml }\n", False)
case("neither stages nor include", "experiment: e\n", False)
case("exclude of no list", one('{ matrix: { d: [blobs], exclude: { d: blobs } }, uses: synthetic, with: { domain: "${item.d}" } }'), False)

print("\n".join(bad))
if "CASES" in os.environ: json.dump(cases, open(os.environ["CASES"], "w"))
sys.exit(1 if bad else 0)
P
