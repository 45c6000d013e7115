#!/bin/sh
# Private labels: what weft refuses, with the path it would take; the ledger of what leaves a client; exports.
. "$(dirname "$0")/lib.sh"
cp "$here/tiny.yaml" tiny.yaml

# -- private data at a port that is not for it; pooling two clients' data, unless that is named
cat >plain.yaml <<'Y'
experiment: plain
stages:
  a: { uses: synthetic, with: { domain: stripes, per_class: 2 }, private: stripes }
  b: { uses: synthetic, with: { domain: blobs, per_class: 2 }, private: blobs }
  public: { uses: synthetic, with: { domain: public, per_class: 2 } }
  seed: { uses: pretrain, in: { public: public }, with: { epochs: 1 } }
  scored: { uses: classifier, in: { model: seed, public: features, private: a } }
  features: { uses: embedding, in: { model: seed, data: a } }
Y
try check plain.yaml; exits "private features" 2
grep -q "private data of 'stripes' must not reach input 'public' of 'scored': a -> features -> scored" err ||
    wrong "private features" "the path is not there"
cat >two.yaml <<'Y'
experiment: two
stages:
  a: { uses: synthetic, with: { domain: stripes, per_class: 2 }, private: stripes }
  b: { uses: synthetic, with: { domain: blobs, per_class: 2 }, private: blobs }
  public: { uses: synthetic, with: { domain: public, per_class: 2 } }
  seed: { uses: pretrain, in: { public: public }, with: { epochs: 1 } }
  features: { uses: embedding, in: { model: seed, data: public } }
  joined: { uses: classifier, in: { model: seed, public: features, private: a }, private: blobs }
Y
try check two.yaml; exits "two labels" 2
grep -q "'joined' would see private data of 'blobs' and of 'stripes': joined; a -> joined" err ||
    wrong "two labels" "the paths are not there"
sed 's/^stages:/privacy: { allow: [joined] }\nstages:/' two.yaml >named.yaml
try check named.yaml; exits "a named exception" 0
try audit named.yaml; exits "audit of an exception" 0
grep -q "^exception, named in privacy.allow: joined sees blobs, stripes$" out || wrong "audit" "no exception"

# -- a mixture fine-tuned on all clients' images (UnrestrictedMoE): its router alone needs the exception
pooled() { sed "$1" "$here/tiny.yaml"; cat <<'Y'; }
  pooled:
    uses: router
    in: { model: unified, private: "client[*]" }
    with: { epochs: 1, batch: 16, private_rows: 10 }
  pooled_score:
    foreach: ${clients}
    uses: evaluate
    in: { model: pooled, data: "test[${item}]" }
    with: { system: pooled, domain: "${item}" }
  pooled_table: { uses: table, in: { scores: "pooled_score[*]" } }
Y
pooled '' >pooled.yaml
try check pooled.yaml; exits "pooled data" 2
grep -q "'pooled' would see private data of 'blobs' and of 'stripes': client\[blobs\] -> pooled; client\[stripes\] -> pooled" err ||
    wrong "pooled data" "the paths are not there"
grep -q "pooled_score" err && wrong "pooled data" "its scores are refused, too"
pooled 's/^stages:/privacy: { allow: [pooled] }\nstages:/' >allowed.yaml
try check allowed.yaml; exits "pooled data, allowed" 0
try audit allowed.yaml; exits "audit of pooled data" 0
prints "audit of pooled data" "^exception, named in privacy.allow: pooled sees blobs, stripes$"
prints "audit of pooled data" "pooled.model .* weights of routers and experts"

# -- the ledger, before and after the run
try audit tiny.yaml; exits audit 0
grep -q "expert\[blobs\].adapter .* not made  LoRA weights of the feed-forwards" out || wrong audit "no release"
"$WEFT" run tiny.yaml -q 2>err || { cat err; exit 1; }
try audit tiny.yaml --json; exits "audit --json" 0; cp out ledger.json
check ledger <<'E'
import json
l = json.load(open('ledger.json'))
assert [c['client'] for c in l['clients']] == ['blobs', 'stripes'], l['clients']
for c in l['clients']:
    name = c['client']
    assert f'client[{name}]' in c['seen_by'] and 'unified' not in c['seen_by'] and 'table' not in c['seen_by']
    by = {f"{x['task']}.{x['output']}": x for x in c['leaves']}
    adapter = by[f'expert[{name}].adapter']
    assert adapter['bytes'] > 0 and 'unified' in adapter['to'], adapter
    assert all(x['releases'] and x['bytes'] is not None for x in c['leaves'])
    assert not any(x['task'].startswith('client[') for x in c['leaves']), 'images never leave'
assert l['exceptions'] == []
E
"$WEFT" run allowed.yaml -q --target pooled_table 2>err || { cat err; exit 1; }
try show pooled_table; prints "scores of pooled data" "pooled"
"$WEFT" run tiny.yaml -q 2>err || { cat err; exit 1; }
"$WEFT" export 'expert[blobs].adapter' adapter >out 2>err || wrong "export of an adapter" "refused"
size=$(cat adapter/* | wc -c)
python3 -c "
import json
for c in json.load(open('ledger.json'))['clients']:
    for x in c['leaves']:
        if (x['task'], x['output']) == ('expert[blobs]', 'adapter'): assert x['bytes'] == $size, x
" || wrong ledger "bytes are not those of the files"

# -- exports: what carries a label stays, unless that is said
try export 'client[blobs]' data; exits "export of private data" 2
grep -q "export of 'client\[blobs\]': output 'images' carries private data of 'blobs'; --private exports it" err ||
    wrong "export of private data" "does not say why"
[ ! -e data ] || wrong "export of private data" "left a folder"
try export --private 'client[blobs]' data; exits "export --private" 0
[ -s data/dataset.json ] || wrong "export --private" "wrote nothing"
try export public open; exits "export of public data" 0
"$WEFT" run tiny.yaml -q 2>err || wrong "second run" "failed" # all hits: their events keep the labels, too
try export 'client[stripes].images' again; exits "export of a private hit" 2
grep -q "output 'images' carries private data of 'stripes'" err || wrong "export of a private hit" "does not say why"
[ ! -e again ] || wrong "export of a private hit" "left a folder"
try export table open-table; exits "export of the table" 0
exit $bad
