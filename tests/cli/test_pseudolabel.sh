#!/bin/sh
# A unified model compared with the clients' experts on public images, as configs/beyond.yaml does it: labels that an expert gave
# are no client's data, an expert agrees with itself, and a sweep over the mixture's options makes the experts once.
. "$(dirname "$0")/lib.sh"
cat "$here/tiny.yaml" - >agree.yaml <<'Y'
  further:
    foreach: ${clients}
    uses: dpp
    in: { features: features, relevance: "relevance[${item}]" }
    with: { pool: 60, size: 40 }
  held:
    foreach: ${clients}
    uses: pseudolabel
    in: { model: seed, adapter: "expert[${item}]", data: public, selection: "further[${item}]", except: "proxy[*]", classes: "client[${item}]" }
    with: { count: 10 }
  itself:
    foreach: ${clients}
    uses: evaluate
    in: { model: seed, adapter: "expert[${item}]", data: "held[${item}]" }
    with: { system: itself, domain: "${item}" }
  agreement:
    foreach: ${clients}
    uses: evaluate
    in: { model: router, data: "held[${item}]" }
    with: { system: unified, domain: "${item}" }
  # images of two clients would be refused here
  taught: { uses: router, in: { model: unified, private: "held[*]" }, with: { epochs: 1, batch: 8 } }
  both: { uses: table, in: { scores: ["itself[*]", "agreement[*]"] } }
sweep: { lambda: [0, 1] }
objective: agreement.accuracy, max
Y
try run agree.yaml -q --target both --target taught; exits "the run" 0
try show both --json; exits "the table" 0; cp out both.json
check "agreement" <<'E'
import json
got = {(r['system'], r['domain']): (r['n'], r['value']) for r in json.load(open('both.json'))['rows']}
for client in ('stripes', 'blobs'):
    assert got['itself', client] == (10, 1), got
    n, value = got['unified', client]
    assert n == 10 and 0 <= value <= 1, got
E
try export 'held[blobs]' held; exits "what an expert says is no client's data" 0
try audit agree.yaml; exits "the ledger" 0
prints "the ledger" 'held\[blobs\].images .* names of classes'
try sweep agree.yaml --json; exits "the sweep" 0
try history --json; cp out runs.json
check "experts are made once" <<'E'
import json
run = json.load(open('runs.json'))['runs'][0]
assert run['hit'] > 0 and run['failed'] == 0, run
ran = [json.loads(l) for l in open('store/runs/%s/events.jsonl' % run['run'])]
ran = [e['stage'] for e in ran if e['event'] == 'ran']
assert ran.count('merge') == 2 and 'expert' not in ran and 'pseudolabel' not in ran, ran
E
exit $bad
