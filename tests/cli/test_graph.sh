#!/bin/sh
# weft graph: dot, mermaid and SVG; groups, states, targets; names that need escaping.
. "$(dirname "$0")/lib.sh"

cat >g.yaml <<'Y'
experiment: g
vars: { size: 16 }
stages:
  public: { uses: synthetic, with: { domain: public, split: train, per_class: 1, size: "${size}" } }
  client:
    foreach: ['a"b', '<c> & #d']
    uses: synthetic
    with: { domain: blobs, split: train, per_class: 1, size: 16 }
  seed:
    uses: pretrain
    in: { public: public }
    with: { image_size: "${size}", patch: 8, width: 16, layers: 1, heads: 1, embed: 8, text_width: 8, text_layers: 1,
            text_heads: 1, epochs: 1 }
  features: { foreach: ['a"b', '<c> & #d'], uses: embedding, in: { model: seed, data: "client[${item}]" } }
Y
try graph g.yaml; exits "dot" 0; [ ! -d store ] || wrong "dot" "looks into the store"
grep -v '^  \(graph\|node\|edge\) ' out >got; mv got out; same "dot" <<'T'
digraph "g" {
  subgraph cluster_0 {
  label="client"; style="rounded"; color="#b0bec5";
  n1 [label="client[a\"b]\nsynthetic"];
  n2 [label="client[&lt;c&gt; &amp; #d]\nsynthetic"];
  }
  subgraph cluster_1 {
  label="features"; style="rounded"; color="#b0bec5";
  n4 [label="features[a\"b]\nembedding"];
  n5 [label="features[&lt;c&gt; &amp; #d]\nembedding"];
  }
  n0 [label="public\nsynthetic"];
  n3 [label="seed\npretrain"];
  n0 -> n3;
  n3 -> n4;
  n1 -> n4;
  n3 -> n5;
  n2 -> n5;
}
T
try graph g.yaml -f mermaid; exits "mermaid" 0; same "mermaid" <<'T'
flowchart TB
  subgraph g0["client"]
  n1["client[a#quot;b]<br/>synthetic"]
  n2["client[#lt;c#gt; #amp; #35;d]<br/>synthetic"]
  end
  subgraph g1["features"]
  n4["features[a#quot;b]<br/>embedding"]
  n5["features[#lt;c#gt; #amp; #35;d]<br/>embedding"]
  end
  n0["public<br/>synthetic"]
  n3["seed<br/>pretrain"]
  n0 --> n3
  n3 --> n4
  n1 --> n4
  n3 --> n5
  n2 --> n5
T
"$WEFT" run g.yaml -q -t 'features[a"b]' || exit 1
try graph g.yaml -f mermaid --states --collapse --set size=24; exits "collapsed" 0; same "collapsed" <<'T'
flowchart TB
  n0["public<br/>synthetic"]
  n1[["client x2: 2 hit<br/>synthetic"]]
  n2["seed<br/>pretrain"]
  n3[["features x2: 2 wait<br/>embedding"]]
  n0 --> n2
  n2 --> n3
  n1 --> n3
  class n0 run
  class n1 hit
  class n2 wait
  class n3 wait
  classDef hit fill:#c8e6c9,stroke:#2e7d32,color:#000
  classDef run fill:#ffe0b2,stroke:#ef6c00,color:#000
  classDef wait fill:#eceff1,stroke:#78909c,color:#000
T
try graph g.yaml --states --collapse; grep -q '^  n3 \[label="features x2: 2 hit\\nembedding", fillcolor="#c8e6c9", color="#2e7d32", peripheries=2\];$' out ||
    wrong "dot states" "no coloured group"
try graph g.yaml -t seed --json; exits "JSON" 0; { tr -d ' \n' <out; echo; } >got; mv got out; same "JSON" <<'T'
{"edges":[["public","seed"]],"experiment":"g","nodes":[{"name":"public","stage":"synthetic","tasks":1},{"name":"seed","stage":"pretrain","tasks":1}]}
T
try graph g.yaml --collapse --states --json; grep -q '"hit": 2' out || wrong "JSON states" "no counts"
try graph g.yaml -t sed; exits "target" 2; says "target" "did you mean 'seed'"
try graph g.yaml --format png; exits "format" 2; says "format" "one of dot|mermaid|svg, not 'png'"
try graph g.yaml -o no/where.dot; exits "no folder" 2
"$WEFT" graph g.yaml >/dev/full 2>err; rc=$?; exits "full disk" 1
try graph g.yaml -o g.mmd; exits "-o" 0; [ ! -s out ] && head -n 1 g.mmd | grep -q '^flowchart' || wrong "-o" "no mermaid"

# -- SVG: without dot, with one that fails, with graphviz
mkdir none fails; printf '#!/bin/sh\necho "no such font" >&2\nexit 3\n' >fails/dot; chmod +x fails/dot
PATH=$tmp/none "$WEFT" graph g.yaml -f svg >out 2>err; rc=$?; exits "no dot" 2; says "no dot" "apt install graphviz"
PATH=$tmp/fails:$PATH "$WEFT" graph g.yaml -f svg >out 2>err; rc=$?; exits "dot fails" 1; says "dot fails" "dot failed: no such font"
[ $bad = 0 ] || exit 1
command -v dot >/dev/null || { echo "no graphviz: SVG is not drawn"; exit 77; }
try graph g.yaml -o g.svg --states; exits "svg" 0
python3 - >out 2>err <<'P' || wrong "svg" "not as it should be"
import xml.etree.ElementTree as E
text = lambda kind: [t.text for g in E.parse("g.svg").getroot().iter("{http://www.w3.org/2000/svg}g") if g.get("class") == kind
                     for t in g.iter("{http://www.w3.org/2000/svg}text")]
assert {'client[a"b]', "client[<c> & #d]", "features[<c> & #d]", "seed", "pretrain"} <= set(text("node")), text("node")
assert set(text("cluster")) == {"client", "features"}
P
[ $bad = 0 ]
