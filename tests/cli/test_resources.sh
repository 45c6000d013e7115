#!/bin/sh
# What tasks ask for is admitted: memory, named resources, a node of one's own, time between attempts.
. "$(dirname "$0")/lib.sh"
log=$tmp/log

# An experiment of sleeping programs, which note when they begin and end: experiment RESOURCES [SECONDS]
experiment() {
    rm -f "$log"; rm -rf "$WEFT_STORE"
    cat >e.yaml <<Y
experiment: e
stages:
  t:
    foreach: [a, b, c, d]
    uses: command
    outputs: { o: files }
    with:
      argv: [sh, -c, 'echo begin \$1 \$(date +%s.%N) >>$log; sleep ${2-0.15}; echo \$1 >\$WEFT_OUT_O/f; echo end \$1 \$(date +%s.%N) >>$log', sh, '\${item}']
    resources: $1
Y
}
# The most that were at work at one time.
most() { sort -s -k3,3 "$log" | awk '{ n += $1 == "begin" ? 1 : -1; if (n > m) m = n } END { print m }'; }

[ "$(nproc)" -ge 2 ] || { echo "needs two cores"; exit 77; }
experiment '{ cores: 1 }'
try run e.yaml -q; exits "beside" 0; [ "$(most)" -ge 2 ] || wrong "beside" "no two at one time"
experiment '{ cores: 1, units: { licence: 1 } }'
try run e.yaml -q --unit licence=1; exits "licence" 0; [ "$(most)" = 1 ] || wrong "licence" "$(most) at a time"
experiment '{ cores: 1, exclusive: true }'
try run e.yaml -q; exits "exclusive" 0; [ "$(most)" = 1 ] || wrong "exclusive" "$(most) at a time"
total=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
experiment "{ cores: 1, memory: $((total / 3 * 2))MiB }"
try run e.yaml; exits "memory" 0; [ "$(most)" = 1 ] || wrong "memory" "$(most) at a time"
says "memory" "ran   t\[a\], .*, [0-9.]* MiB of $((total / 3 * 2 / 1024))\.[0-9]* GiB"

# -- what no machine has is said before anything runs
experiment "{ memory: $((total * 4))MiB }"
try run e.yaml; exits "too much memory" 2
says "too much memory" "e.yaml:3:3: error: task 't\[a\]' asks for $((total * 4)) MiB of memory; the most that a node has free is [0-9]* MiB"
experiment '{ units: { licence: 2 } }'
try run e.yaml --unit licence=1; exits "too many" 2
says "too many" "e.yaml:[0-9]*:[0-9]*: error: task 't\[a\]' asks for 2 of 'licence'; there are 1: "
try run e.yaml; exits "none" 2; says "none" "there are 0: say what this machine has by --unit licence=2"
[ -e "$log" ] && wrong "refused" "something ran"

# -- an attempt after one that failed waits, twice as long each time
cat >retry.yaml <<Y
experiment: retry
stages:
  t:
    uses: command
    outputs: { o: files }
    with: { argv: [sh, -c, 'date +%s.%N >>$tmp/tries; echo >\$WEFT_OUT_O/f; [ \$(wc -l <$tmp/tries) = 3 ]'] }
    resources: { retries: { times: 2, backoff: 0.4 } }
Y
try run retry.yaml; exits "retries" 0
awk 'NR > 1 { if ($1 - last < 0.4 * (NR - 1)) exit 1 } { last = $1 } END { exit NR != 3 }' tries ||
    { echo "retries: not at their times"; cat tries; bad=1; }
exit $bad
