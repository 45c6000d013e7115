"""Type lines and a tab into a real shell on a pseudo terminal: complete_keys.py bash|zsh|fish. On stdin a JSON list of lines
as typed; prints the arguments that the command then got, one JSON list a line. No waiting by the clock: a shell
completes before it reads on."""
import json
import os
import pty
import re
import select
import sys
import time

LIMIT = 30  # seconds without a word before we give up
shell = sys.argv[1]
START = {  # the command becomes a function that says what it got; what completion asks is the program itself
    "bash": (["bash", "--norc", "--noprofile", "-i"],
             "PS1=; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; . ./weft.bash\n"
             "weft() { printf '<%s>' \"$@\"; echo '<END>'; }\n"),
    "zsh": (["zsh", "-f", "-i"],
            "PS1=; PS2=; setopt no_beep no_zle_bracketed_paste 2>/dev/null; unset zle_bracketed_paste; fpath=($PWD $fpath)\n"
            "autoload -Uz compinit && compinit -u -D\n"
            "weft() { printf '<%s>' \"$@\"; echo '<END>'; }\n"),
    "fish": (["fish", "--no-config", "-i"],
             "function fish_prompt; end; function fish_greeting; end; source ./weft.fish\n"
             "function weft; printf '<%s>' $argv; echo '<END>'; end\n"),
}
argv, setup = START[shell]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb" if shell == "bash" else "xterm", COLUMNS="200", LINES="50")
    os.execvp(argv[0], argv)
seen = b""


def read_until(what):
    global seen
    end = time.monotonic() + LIMIT
    while what not in seen:
        if not select.select([fd], [], [], 1)[0]:
            if time.monotonic() > end:
                sys.exit("%s: nothing came of it; the screen has:\n%s" % (shell, seen[-2000:].decode("utf-8", "replace")))
            continue
        try:
            seen += os.read(fd, 65536)
        except OSError:
            sys.exit("%s: died; the screen has:\n%s" % (shell, seen[-2000:].decode("utf-8", "replace")))
    at = seen.index(what) + len(what)
    before, seen = seen[:at], seen[at:]
    return before.decode("utf-8", "replace")


os.write(fd, (setup + "echo rea''dy\n").encode())
read_until(b"ready")
for line in json.load(sys.stdin):
    os.write(fd, line.encode() + b"\t\r")
    text = read_until(b"<END>\r\n")
    last = re.search(r"((?:<[^\r\n]*?>)*)<END>\r\n$", text).group(1)
    print(json.dumps(re.findall(r"<(.*?)>(?=<|$)", last)))
os.write(fd, b"exit\n")
