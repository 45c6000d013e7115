#!/bin/sh
# weft topo: the tree of described machines, where tasks would go, files that hwloc wrote, and what is wrong with others.
# What runs where is test_binding.sh's.
. "$(dirname "$0")/lib.sh"
topo() { try topo --topology "$@"; exits "$*" 0; }

topo 'pack:2 numa:4 l3:2 core:8 pu:2'; same "nested" <<'T'
128 cores
machine
  2 x package
    4 x NUMA node
      2 x L3: 8 x core (2 threads)
T
topo 'pack:2 [numa(memory=64GiB)] l3:4(size=32MiB) core:8 pu:1'; same "sizes" <<'T'
64 cores, 128.0 GiB of memory
machine
  2 x package, NUMA node (64.0 GiB)
    4 x L3 (32.0 MiB): 8 x core
T
topo 'pack:2 core:2 pu:2' --threads; same "threads" <<'T'
8 cores
machine
  2 x package
    2 x core: 2 x CPU
T
topo 'core:1 pu:1'; same "one core" <<'T'
1 core
machine: 1 x core
T

# -- where tasks would go
topo 'pack:2 numa:2 l3:2 core:4 pu:1' --place 4,3,1,9,16,1; same "compact" <<'T'
   4 cores on 0-3: L3 #0, memory of node 0
   3 cores on 4-6: L3 #1, memory of node 0
   1 core  on 7: core 7, memory of node 0
   9 cores on 16-24: package 1, memory of node 2-3
  16 cores: no room
   1 core  on 25: core 25, memory of node 3
T
topo 'pack:2 numa:2 l3:2 core:4 pu:1' --place 2,4 --spread; same "spread" <<'T'
   2 cores on 0,16: machine, memory of node 0,2
   4 cores on 4,8,20,24: machine, memory of node 0-3
T
topo 'pack:2 core:2 pu:2' --threads --place 2,1; same "places of threads" <<'T'
   2 cores on 0-1: core 0, memory of node 0
   1 core  on 2: CPU 2, memory of node 0
T
topo 'pack:2 [numa] l3:2 core:4 pu:2' --json --place 4,99; cp out topo.json; check "json" <<'P'
import json
t = json.load(open("topo.json"))
assert t["cores"] == 16 and t["memory"] == 0 and t["tasks"] == []
assert t["places"] == [{"cores": 4, "cpuset": "0,2,4,6", "nodes": "0", "object": "L3 #0"},
                       {"cores": 99, "cpuset": None, "nodes": None, "object": None}]
tree = t["tree"]
assert tree["name"] == tree["type"] == "machine" and len(tree["children"]) == 2 and "node" not in tree
package = tree["children"][1]
assert package["name"] == "package 1" and package["node"] == 1 and package["cores"] == 8
assert [c["name"] for c in package["children"]] == ["L3 #2", "L3 #3"]
assert package["children"][0] == {"type": "L3", "name": "L3 #2", "cores": 4, "cpuset": "16,18,20,22", "threads": 2}
P

# -- files: what one writes another reads, and writes again
topo 'pack:2 [numa(memory=1GiB)] l3:2 core:3 pu:2' --xml; cp out big.xml
topo big.xml; same "from a file" <<'T'
12 cores, 2.0 GiB of memory
machine
  2 x package, NUMA node (1.0 GiB)
    2 x L3 (16.0 MiB): 3 x core (2 threads)
T
topo big.xml --xml; cp out again.xml; topo again.xml --place 5; same "from a file of a file" <<'T'
   5 cores on 0,2,4,6,8: package 0, memory of node 0
T
try topo --xml; exits "this machine's" 0; cp out here.xml
try topo; exits "this machine" 0; cp out here
topo here.xml; tail -n +2 here >here.tree; tail -n +2 out | diff here.tree - || wrong "this machine's" "is not the same elsewhere"
[ "$(head -n 1 here | cut -d ' ' -f 1)" = "$(head -n 1 out | cut -d ' ' -f 1)" ] || wrong "this machine's" "has other cores"
[ ! -e store ] || wrong "topo" "made a store"

# -- an uneven machine: what differs has lines of its own
python3 - <<'P'
import re
t = open("big.xml").read() # of package 1 the second cache is gone
a = t.rindex('<object type="L3Cache"')
depth, at = 0, a
for m in re.finditer(r'<object[^>]*?(/?)>|</object>', t[a:]):
    depth += -1 if m.group(0).startswith("</") else 0 if m.group(1) else 1
    if depth == 0:
        at = a + m.end()
        break
open("uneven.xml", "w").write(t[:a] + t[at:])
P
topo uneven.xml; same "uneven" <<'T'
9 cores, 2.0 GiB of memory
machine
  package 0, NUMA node 0 (1.0 GiB)
    2 x L3 (16.0 MiB): 3 x core (2 threads)
  package 1, NUMA node 1 (1.0 GiB), L3 #2 (16.0 MiB): 3 x core (2 threads)
T

# -- what is wrong
refuse() { pattern=$1; shift; try topo "$@"; exits "$*" 2; says "$*" "$pattern"; [ ! -s out ] || wrong "$*" "prints on stdout"; }
head -c 1000 big.xml >cut.xml; : >empty.xml
refuse "'pack:x' is no topology: write type:count" --topology pack:x
refuse "topology: cannot open 'none.xml'" --topology none.xml
refuse "'cut.xml' is no topology that hwloc wrote" --topology cut.xml
refuse "'empty.xml' is no topology that hwloc wrote" --topology empty.xml
for w in '' 0 -1 x 1,,2 1, ,1 1.5 99999999999 '1 2'; do refuse "takes numbers of cores such as 4,4,8" --place "$w"; done
refuse "spread says how --place" --spread
refuse "goes with neither" --xml --json
refuse "goes with neither" --xml --place 1
[ $bad = 0 ]
