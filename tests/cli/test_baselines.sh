#!/bin/sh
# The systems that the unified model is compared with, as an experiment's author writes them: dense merges, ensemble,
# BTX, and experts of proxies alone in both readings. From file to table, and the dense model to another reader.
. "$(dirname "$0")/lib.sh"
cat "$here/tiny.yaml" - >baselines.yaml <<'Y'
  # experts of the clients' images alone
  alone:
    foreach: ${clients}
    uses: expert
    in: { model: seed, private: "client[${item}]" }
    with: { rank: 4, alpha: 8, epochs: "${epochs}", batch: 16, seed: "${seed}" }
  dense:
    foreach: [soup, task, ties, dare, dare_ties]
    uses: merge
    in: { model: seed, experts: "alone[*]" }
    with: { method: "${item}" }
  dense_score:
    foreach: [soup, task, ties, dare, dare_ties]
    uses: evaluate
    in: { model: "dense[${item}]", data: "test[stripes]" }
    with: { system: "${item}", domain: stripes }
  btm:
    foreach: ${clients}
    uses: ensemble
    in: { model: seed, experts: "alone[*]", data: "test[${item}]" }
    with: { system: btm, domain: "${item}" }
  # BTX: a random router over tokens alone, then public rows
  drawn:
    foreach: ${clients}
    uses: dpp
    in: { features: features, relevance: "relevance[${item}]" }
    with: { method: random, draw: "${item}", pool: 40, size: "${proxies}" }
  btx: { uses: merge, in: { model: seed, experts: "alone[*]" }, with: { init: random, lambda: 0 } }
  btx_tuned:
    uses: router
    in: { model: btx, public: public, proxies: "drawn[*]" }
    with: { epochs: 1, batch: 16, lr_lambda: 0 }
  btx_score: { uses: evaluate, in: { model: btx_tuned, data: "test[stripes]" }, with: { system: btx, domain: stripes } }
  # proxies alone: (a) an expert a client, merged as ever; (b) one expert of all proxies, no mixture
  of_proxies:
    foreach: ${clients}
    uses: expert
    in: { model: seed, public: public, proxy: "proxy[${item}]" }
    with: { rank: 4, alpha: 8, epochs: "${epochs}", batch: 16, seed: "${seed}" }
  proxy_a: { uses: merge, in: { model: seed, experts: "of_proxies[*]" } }
  proxy_a_tuned: { uses: router, in: { model: proxy_a, public: public, proxies: "proxy[*]" }, with: { epochs: 1, batch: 16 } }
  proxy_a_score: { uses: evaluate, in: { model: proxy_a_tuned, data: "test[stripes]" }, with: { system: proxy_a, domain: stripes } }
  proxy_b:
    uses: expert
    in: { model: seed, public: public, proxy: "proxy[*]" }
    with: { rank: 4, alpha: 8, epochs: "${epochs}", batch: 16, seed: "${seed}" }
  proxy_b_score:
    uses: evaluate
    in: { model: seed, adapter: proxy_b, data: "test[stripes]" }
    with: { system: proxy_b, domain: stripes }
  all:
    uses: table
    in: { scores: ["dense_score[*]", "btm[*]", btx_score, proxy_a_score, proxy_b_score] }
Y
try run baselines.yaml -q --target all; exits "the run" 0
try show all --json; exits "the table" 0; cp out table.json
check "rows of the table" <<'E'
import json
rows = json.load(open('table.json'))['rows']
got = {(r['system'], r['domain']) for r in rows if r['n'] > 0 and 0 <= r['value'] <= 1}
want = {(s, 'stripes') for s in ('soup', 'task', 'ties', 'dare', 'dare_ties', 'btm', 'btx', 'proxy_a', 'proxy_b')}
assert want | {('btm', 'blobs')} <= got, want - got
E

# -- the soup is a Hugging Face folder, complete, with the seed's tokenizer; the rest of the seed is in it unchanged
try export 'dense[soup]' soup; exits "export of a soup" 0
try export seed seed; exits "export of the seed" 0
check "the soup's folder" <<'E'
import json, os
soup, seed = json.load(open('soup/config.json')), json.load(open('seed/config.json'))
assert soup['model_type'] == 'clip' and soup['architectures'] == ['CLIPModel'] and soup == seed, soup
assert set(os.listdir('soup')) == set(os.listdir('seed')), os.listdir('soup')
def tensors(path):
    b = open(path, 'rb').read()
    n = int.from_bytes(b[:8], 'little')
    head = json.loads(b[8:8 + n])
    assert head.pop('__metadata__')['format'] == 'pt'
    return {k: (v['shape'], b[8 + n + v['data_offsets'][0]:8 + n + v['data_offsets'][1]]) for k, v in head.items()}
a, b = tensors('soup/model.safetensors'), tensors('seed/model.safetensors')
assert {k: v[0] for k, v in a.items()} == {k: v[0] for k, v in b.items()}
changed = {k for k in a if a[k] != b[k]}
assert changed == {f'vision_model.encoder.layers.{l}.mlp.fc{i}.weight' for l in (0, 1) for i in (1, 2)}, changed
E

# -- what has no private data in it has no label; what does not fit is told before anything runs
try audit baselines.yaml; exits audit 0
grep -q "leaves  *\(of_proxies\|proxy_b\.\)" out && wrong audit "experts of public images are in a client's ledger"
prints audit "btm\[blobs\].metrics .* counts and averages"
sed 's/method: "${item}"/method: "${item}", top_k: 2/' baselines.yaml >bad.yaml
try check bad.yaml; exits "a parameter of another method" 2
says "a parameter of another method" "'top_k' has no effect with method 'soup', only with moe: leave it out"
exit $bad
