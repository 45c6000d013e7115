# Sourced by the command-line tests. It makes a folder of the test's own, goes there and removes it at the end: tmp.
# here is the folder of the tests, WEFT the command under test; bad is 1 once something was wrong.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
WEFT_STORE=$tmp/store; export WEFT_STORE
bad=0

# -- run a command: its stdout is in out, its stderr in err, its exit status in rc
try() { "$WEFT" "$@" >out 2>err; rc=$?; }

# -- asserts: the test goes on, with bad=1
fail() { echo "$1"; bad=1; } # WHAT
wrong() { echo "$1: $2"; cat out err 2>/dev/null; bad=1; } # NAME WHAT
exits() { [ "${3-$rc}" = "$2" ] || wrong "$1" "exit ${3-$rc}, wanted $2"; } # NAME WANTED [GOT]: rc, or another status
says() { grep -q -- "$2" err || wrong "$1" "does not say '$2'"; } # NAME PATTERN
prints() { grep -q -- "$2" out || wrong "$1" "does not print '$2'"; } # NAME PATTERN
same() { # NAME [FILE], what is wanted on stdin
    diff - "${2-out}" >diff || { echo "$1: differs (wanted <, got >)"; cat diff; bad=1; }
}
check() { name=$1; python3 - >out 2>err || wrong "$name" "not as it should be"; } # NAME, Python on stdin

# -- what `run --json` printed into out, or another file: "slow=ran data=hit ..." in order of names; keys and digests
states() { python3 -c 'import json, sys
print(" ".join(sorted("%s=%s" % (t["task"], t["state"]) for t in json.load(open(sys.argv[1]))["tasks"])))' "${1-out}"; }
digests() { python3 -c 'import json, sys
for t in json.load(open(sys.argv[1]))["tasks"]: print(t["task"], t["key"], sorted(t["outputs"].items()))' "${1-out}"; }
became() { [ "$(states)" = "$2" ] || wrong "$1" "became '$(states)', wanted '$2'"; } # NAME STATES

# -- processes: whether one is there and no zombie (pid 1 of a container may reap late or never), those that one started
alive() { [ -n "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | grep -v '^[ZX]')" ]; } # PID
children() { cat /proc/[0-9]*/stat 2>/dev/null |
    awk -v p="$1" '{ id = $1; sub(/.*\) /, ""); if ($2 == p && $1 != "Z" && $1 != "X") print id }'; } # PID
workers() { for keeper in $(children "$1"); do children "$keeper"; done; } # PID of an engine
wait_until() { # SECONDS COMMAND...
    n=$(($1 * 50)); shift
    until "$@"; do n=$((n - 1)); [ $n -gt 0 ] || return 1; sleep 0.02; done
}
