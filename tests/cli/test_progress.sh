#!/bin/sh
# What a run looks like on a terminal, read back from tmux: the block with bars, a narrow window, an end by kill -9,
# the screen after the end; and what a pipe gets.
. "$(dirname "$0")/lib.sh"
command -v tmux >/dev/null || { echo "tmux is not installed"; exit 77; }
tm() { tmux -f /dev/null -S "$tmp/socket" "$@"; }
trap 'tm kill-server 2>/dev/null; rm -rf "$tmp"' EXIT
wrong() { echo "$1"; tm capture-pane -p -t weft 2>/dev/null; bad=1; }
tm new-session -d -s weft -x 100 -y 24 "env -i PATH='$PATH' HOME='$tmp' TERM=screen PS1='ready> ' \
    WEFT_STORE='$tmp/store' WEFT='$WEFT' SLOW='$here/slow.yaml' sh" || { echo "tmux does not start"; exit 77; }
shows() { # PATTERN [SECONDS]: on the screen, waiting for it
    tries=$((${2:-20} * 10))
    while [ "$tries" -gt 0 ]; do
        tm capture-pane -p -t weft >"$tmp/screen"
        grep -q -- "$1" "$tmp/screen" && return 0
        sleep 0.1; tries=$((tries - 1))
    done
    wrong "the screen does not show '$1'"; return 1
}
type_in() { tm send-keys -t weft -l "$1"; tm send-keys -t weft Enter; }

shows 'ready>'
# -- a bar, a rate, the time left and the place; counts below it
type_in '"$WEFT" run "$SLOW" --set epochs=10000'
shows '^  slow  \[#*\.*\]  *[0-9]*%  *[0-9]*/10000 steps, [0-9.]*/s, [0-9:.]* s* *left  cores 0$' ||
    shows '^  slow .*steps, .*left  cores'
shows '^\[4/6\] 4 ran, 1 running, 1 waiting; '
[ "$(grep -c '^  slow ' "$tmp/screen")" = 1 ] || wrong "the task is there twice"
[ "$(grep -c ' running, ' "$tmp/screen")" = 1 ] || wrong "the counts are there twice"
one=$(grep '^  slow ' "$tmp/screen"); sleep 1.5; tm capture-pane -p -t weft >"$tmp/screen"
[ "$one" != "$(grep '^  slow ' "$tmp/screen")" ] || wrong "it stands still"

# -- a narrow window: nothing wraps, nothing stays behind
tm resize-window -t weft -x 40 -y 10
shows '^  slow [0-9]*/10000 steps'
sleep 1; tm capture-pane -p -t weft >"$tmp/screen"
[ "$(grep -c '^  slow ' "$tmp/screen")" = 1 ] || wrong "narrow: the task is there twice"
[ "$(grep -c ' running, ' "$tmp/screen")" = 1 ] || wrong "narrow: the counts are there twice"
tm resize-window -t weft -x 100 -y 24
shows '^  slow  \['

# -- dead in the middle: the next command line stands on a line of its own and works
pid=$(ps -o pid= --ppid "$(tm list-panes -t weft -F '#{pane_pid}')" | tr -d ' ')
kill -9 "$pid" || wrong "there is no process to kill"
shows '^ready>' && type_in 'echo still $((40 + 2))'
shows '^still 42$'
shows '^  slow  \[' 5 # what was drawn last stands above
grep -q "$(printf '\033')" "$tmp/screen" && wrong "escape sequences on the screen"

# -- to the end: event lines and the summary, no block
type_in 'clear; "$WEFT" run "$SLOW" --set epochs=300; echo the end: $?'
shows '^the end: 0$' 60
grep -q '^  slow ' "$tmp/screen" && wrong "the block is still there"
grep -q ' running, ' "$tmp/screen" && wrong "the counts are still there"
grep -q '^\[6/6\] ran   features, ' "$tmp/screen" || wrong "no event lines"
grep -q '^slow: 6 tasks: 4 hit, 2 ran in ' "$tmp/screen" || wrong "no summary"

# -- Ctrl-C says what it does
type_in 'clear; "$WEFT" run "$SLOW" --set epochs=9999'
shows '^  slow .*/9999 steps' && tm send-keys -t weft C-c
shows '^interrupted: ' && tm send-keys -t weft C-c
shows '^\(\^C\)*ready>' # the second one may come when weft has stopped already: the terminal shows it before the prompt

# -- many resizes: each event line is there once, above the block, and nothing below it
type_in 'clear; tmux -S "$HOME/socket" clear-history; "$WEFT" run "$SLOW" --set epochs=9998'
for width in 45 120 31 80; do
    tm resize-window -t weft -x $width -y 24
    shows '^  slow .*/9998 step'
    sleep 0.7
    tm capture-pane -p -S - -t weft >"$tmp/screen" # and what scrolled away
    [ "$(grep -c '^\[.*hit   ' "$tmp/screen")" = 4 ] || wrong "$width columns: an event is lost or there twice"
    [ "$(sed -n '/^  slow /,$p' "$tmp/screen" | grep -c .)" = 2 ] || wrong "$width columns: not two lines at the bottom"
done

# -- stopped, and on again: what was written meanwhile stays
tm send-keys -t weft C-z
shows '^ready>' && type_in 'echo mean''while; fg'
shows '^meanwhile$' && shows '^  slow .*/9998 step'
sleep 0.7
shows '^meanwhile$'
tm send-keys -t weft C-c; shows '^interrupted: ' && tm send-keys -t weft C-c
shows '^ready>$'

# -- colours: of events and warnings, on a terminal only
type_in 'clear; "$WEFT" run "$SLOW" --set epochs=4; echo the end: $?'
shows '^the end: 0$'
tm capture-pane -p -e -t weft | grep -q "$(printf '\033')\[32mran" || wrong "no colours"

# -- no terminal: one line an event and nothing to obey
WEFT_STORE=$tmp/store "$WEFT" run "$here/slow.yaml" --set epochs=3 2>"$tmp/err" || wrong "the run failed"
grep -q "$(printf '\033')" "$tmp/err" && wrong "escape sequences in a pipe"
[ "$(grep -c '^\[' "$tmp/err")" = 8 ] || { wrong "not one line an event"; cat "$tmp/err"; }
# -- what a task writes cannot steer the terminal
cat >"$tmp/evil.yaml" <<'Y'
experiment: evil
stages:
  evil: { uses: command, outputs: { x: files }, with: { argv: [sh, -c, 'printf "before\033[2J\033[31mafter\n"; exit 3'] } }
Y
WEFT_STORE=$tmp/store "$WEFT" run "$tmp/evil.yaml" 2>"$tmp/err"; [ $? = 1 ] || wrong "evil: exit status"
grep -q '^    | before\[2J\[31mafter$' "$tmp/err" || { wrong "evil: its log is not shown"; cat "$tmp/err"; }
grep -q "$(printf '\033')" "$tmp/err" && { wrong "evil: escape sequences come through"; cat -v "$tmp/err"; }
exit $bad
