"""Runs of weft for the campaigns: where they happen, how they end, what must hold afterwards."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TASKS = ["data", "model", "features", "copy"]
TIMEOUT = 60


class Wrong(Exception):
    pass


def folder():
    """Where stores are made: in memory where there is room, so that fsync costs nothing."""
    root = os.environ.get("FAULT_DIR")
    if not root:
        shm = "/dev/shm"
        roomy = os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 1 << 28
        root = shm if roomy else None
    return tempfile.mkdtemp(prefix="weft-fault-", dir=root)


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("WEFT_")}
    env.update(OMP_NUM_THREADS="1", **more)
    return env


def command(binary, store, *args):
    return [binary, "run", os.path.join(HERE, "tiny.yaml"), "--store", store, "--cores", "1", "--json",
            "--checkpoint-every", "0", *args]


class Ended:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


def run(argv, env=None, during=None):
    """To its end; `during` is called with the process once it is started."""
    p = subprocess.Popen(argv, env=env or environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        if during:
            during(p)
        out, err = p.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        raise Wrong("it hangs: %s\n%s" % (" ".join(argv), err))
    return Ended(p.returncode, out, err)


def outputs(text):
    """Keys and digests of all tasks, of what `run --json` printed."""
    return sorted((t["task"], t["key"], sorted(t["outputs"].items())) for t in json.loads(text)["tasks"])


def with_mark(mark):
    """Processes that carry the mark in their environment and are no zombies."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if mark.encode() not in f.read():
                    continue
            with open("/proc/%s/stat" % pid) as f:
                if f.read().rsplit(")", 1)[1].split()[0] not in "ZX":
                    found.append(int(pid))
        except OSError:
            pass
    return found


def children(pid):
    found = []
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % other) as f:
                state, parent = f.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state not in "ZX":
            found.append(int(other))
    return found


def workers(engine):
    """The keeper is the engine's child, and the workers are the keeper's."""
    return [worker for keeper in children(engine) for worker in children(keeper)]


def none_left(mark):
    end = time.monotonic() + 10
    while with_mark(mark):
        if time.monotonic() > end:
            raise Wrong("processes are left: %s" % with_mark(mark))
        time.sleep(0.002)


def has_command(weft, *words):
    return run([weft, "help"]).out.find("  " + words[0] + " ") >= 0 and \
        run([weft, *words, "--help"]).code == 0


def tree_digest(root):
    h = hashlib.sha256()
    for top, dirs, files in os.walk(root):
        dirs.sort()
        for name in sorted(files):
            path = os.path.join(top, name)
            with open(path, "rb") as f:
                h.update(("%s\0" % os.path.relpath(path, root)).encode() + hashlib.sha256(f.read()).digest())
    return h.hexdigest()


class Clean:
    """What a run without faults makes, and the checks against it."""

    def __init__(self, weft, root):
        self.weft, self.root = weft, root
        self.verifies = has_command(weft, "cache", "verify")
        self.collects = has_command(weft, "cache", "gc")
        store = os.path.join(root, "clean")
        began = time.monotonic()
        done = run(command(weft, store))
        self.seconds = time.monotonic() - began
        if done.code != 0:
            sys.exit("fault: a run without faults ends with %d:\n%s" % (done.code, done.err))
        self.outputs = outputs(done.out)
        self.bytes = {t: self.export(store, t) for t in TASKS}

    def export(self, store, task):
        to = os.path.join(self.root, "export")
        shutil.rmtree(to, ignore_errors=True)
        done = run([self.weft, "export", task, to, "--private", "--store", store])
        if done.code != 0:
            raise Wrong("export %s ends with %d: %s" % (task, done.code, done.err))
        return tree_digest(to)

    def acceptable(self, done, codes):
        """A run that met a fault: it ends with one of these, says why, and is right when it says that it is."""
        if done.code not in codes:
            raise Wrong("the run with the fault ends with %d, may with %s:\n%s" % (done.code, codes, done.err))
        if done.code == 0 and outputs(done.out) != self.outputs:
            raise Wrong("the run with the fault ends well and with other outputs:\n%s" % done.out)
        if done.code in (1, 2) and "error:" not in done.err:
            raise Wrong("the run with the fault fails without a word:\n%s" % done.err)

    def recovers(self, store, tasks):
        """The next run, without help."""
        done = run(command(self.weft, store))
        if done.code != 0:
            raise Wrong("the next run ends with %d:\n%s" % (done.code, done.err))
        if outputs(done.out) != self.outputs:
            raise Wrong("the next run has other outputs:\n%s" % done.out)
        for t in tasks:
            if self.export(store, t) != self.bytes[t]:
                raise Wrong("task %s: other bytes than those of a clean run" % t)
        if self.verifies:
            done = run([self.weft, "cache", "verify", "--store", store])
            if done.code != 0:
                raise Wrong("cache verify ends with %d:\n%s%s" % (done.code, done.out, done.err))
        self.tidy(store)
        return done

    def tidy(self, store):
        if self.collects:
            done = run([self.weft, "cache", "gc", "--store", store])
            if done.code != 0:
                raise Wrong("cache gc ends with %d:\n%s%s" % (done.code, done.out, done.err))
        left = [n for n in os.listdir(os.path.join(store, "tmp")) if n != ".lock"]
        if left:
            raise Wrong("left in tmp: %s" % left)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Progress:
    def __init__(self):
        self.live, self.shown = sys.stderr.isatty(), 0

    def show(self, text):
        if self.live and time.monotonic() - self.shown > 0.1:
            self.shown = time.monotonic()
            sys.stderr.write("\r\033[K" + text)

    def say(self, text):
        if self.live:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        print(text, flush=True)
