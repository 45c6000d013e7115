"""One fault a case, at every call in turn: see docs/testing.md.
campaign.py BUILD [--few N] [--stride N] [--seed N] [--kills N] [--kind K] [--store S] [--one CASE]"""
import argparse
import os
import random
import shutil
import struct
import sys
import time

from weft import (Clean, Progress, TASKS, Wrong, children, command, environment, folder, kill, none_left, run, workers)

KINDS = {  # whose calls; how the run may end
    "eio": ("both", (0, 1, 2)),
    "enospc": ("both", (0, 1, 2)),
    "full": ("both", (0, 1, 2)),
    "eintr": ("both", (0,)),
    "short": ("both", (0,)),
    "crash": ("both", (0, 1, 77)),
    "power": ("engine", (77,)),
}
STORES = ("fresh", "half", "stopped")


def parse():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build")
    p.add_argument("--few", type=int, help="about so many cases a kind and store")
    p.add_argument("--stride", type=int, default=1, help="every so many calls")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--kills", type=int, default=int(os.environ.get("FAULT_KILLS", 500)))
    p.add_argument("--kind", action="append", choices=[*KINDS, "kill"])
    p.add_argument("--store", action="append", choices=STORES)
    p.add_argument("--keep-going", action="store_true", help="after a failure too")
    p.add_argument("--one", help="STORE:KIND:N:SEED, as a failure prints it")
    return p.parse_args()


class Campaign:
    def __init__(self, opt):
        self.opt = opt
        self.weft = os.path.abspath(os.path.join(opt.build, "weft"))
        self.faulty = os.path.abspath(os.path.join(opt.build, "weft-faulty"))
        self.root = folder()
        self.store = os.path.join(self.root, "store")
        self.out = os.path.join(self.root, "counters")
        self.progress = Progress()
        self.cases = self.failed = 0
        self.clean = Clean(self.weft, self.root)
        self.prepare()

    def prepare(self):
        """half: two results are there, one of them damaged; stopped: a killed run's states are there."""
        half = os.path.join(self.root, "half")
        run(command(self.weft, half, "--target", "model"))
        objects = [os.path.join(top, n) for top, _, names in os.walk(os.path.join(half, "objects")) for n in names]
        if objects:
            largest = max(objects, key=os.path.getsize)
            os.chmod(largest, 0o644)
            with open(largest, "r+b") as f:
                f.seek(os.path.getsize(largest) // 2)
                f.write(b"damaged")
        shutil.rmtree(os.path.join(half, "hot"), ignore_errors=True)  # else what is damaged may never be read
        stopped = os.path.join(self.root, "stopped")

        def wait_for_state(p):
            while p.poll() is None:
                if any(names for _, _, names in os.walk(os.path.join(stopped, "checkpoints"))):
                    kill(p.pid)
                time.sleep(0.001)
        mark = "WEFT_FAULT_MARK=prepare-%d" % os.getpid()
        run(command(self.weft, stopped), environment(WEFT_FAULT_MARK=mark.split("=")[1]), wait_for_state)
        none_left(mark)

    def fresh(self, kind):
        shutil.rmtree(self.store, ignore_errors=True)
        if kind != "fresh":
            shutil.copytree(os.path.join(self.root, kind), self.store, symlinks=True)

    def fault(self, kind, n, seed):
        """The run with it; whether the fault was reached."""
        where, codes = KINDS.get(kind, ("both", (0,)))
        with open(self.out, "wb"):
            pass
        mark = "%d-%s-%d-%d" % (os.getpid(), kind, n, seed)
        env = environment(WEFT_FAULT="%s:%d:%d" % (kind, n, seed), WEFT_FAULT_IN=where, WEFT_FAULT_OUT=self.out,
                          WEFT_FAULT_STORE=self.store, WEFT_FAULT_ASIDE=self.store + ".aside",
                          WEFT_FAULT_MARK=mark)
        done = run(command(self.faulty, self.store), env)
        none_left("WEFT_FAULT_MARK=" + mark)
        with open(self.out, "rb") as f:
            self.calls, struck, name, *of_kind = struct.unpack("<QQ16s8Q", f.read(96))
        self.of_kind = dict(zip(["none", *KINDS], of_kind))
        self.what = "%s at call %d (%s)" % (kind, n, name.split(b"\0")[0].decode() or "none")
        self.clean.acceptable(done, codes if struck else (0,))
        return struck > 0

    def kill_one(self, n, seed):
        """kill -9 of the engine, the keeper of its workers, or a worker, at a random time."""
        find = {"engine": lambda engine: [engine], "keeper": children, "worker": workers}
        chance = random.Random("%d %d" % (seed, n))
        who, when = chance.choice(list(find)), chance.uniform(0, 1.1 * self.clean.seconds)
        self.what = "kill -9 of the %s after %.3f s" % (who, when)
        mark = "%d-kill-%d" % (os.getpid(), n)

        def strike(p):
            time.sleep(when)
            while p.poll() is None and not find[who](p.pid):
                time.sleep(0.0002)
            for pid in find[who](p.pid)[:1]:
                kill(pid)
        done = run(command(self.weft, self.store), environment(WEFT_FAULT_MARK=mark), strike)
        none_left("WEFT_FAULT_MARK=" + mark)
        self.clean.acceptable(done, (0, -9) if who == "engine" else (0, 1))
        return True

    def case(self, store, kind, n, seed):
        """Whether the fault was reached."""
        self.cases += 1
        name = "%s:%s:%d:%d" % (store, kind, n, seed)
        self.progress.show("%d cases, %d failed: %s" % (self.cases, self.failed, name))
        self.what = kind
        reached = True
        try:
            self.fresh(store)
            reached = self.kill_one(n, seed) if kind == "kill" else self.fault(kind, n, seed)
            self.clean.recovers(self.store, TASKS if kind == "power" else [TASKS[n % len(TASKS)]])
        except Wrong as e:
            self.failed += 1
            kept = "%s-%s" % (self.root, name.replace(":", "-"))
            shutil.rmtree(kept, ignore_errors=True)
            if os.path.isdir(self.store):
                shutil.copytree(self.store, kept, symlinks=True)
            self.progress.say("FAIL %s: %s: %s\nthe store: %s\nagain: python3 tests/fault/campaign.py %s --one %s" %
                              (name, self.what, e, kept, self.opt.build, name))
            if not self.opt.keep_going:
                raise SystemExit(1)
        return reached

    def count(self, store):
        """By kind, how many calls a run without faults makes that it could meet."""
        self.fresh(store)
        self.fault("none", 0, 0)
        self.counts = self.of_kind

    def sweep(self, store, kind):
        seed = self.opt.seed
        stride = self.opt.stride
        if self.opt.few:
            stride = max(1, self.counts[kind] // self.opt.few)
        n = 1 + random.Random("%s %s %d" % (store, kind, seed)).randrange(stride)
        began, first = time.monotonic(), self.cases
        while self.case(store, kind, n, seed):
            n += stride
        self.progress.say("%-8s %-7s %5d cases, every %d of %d calls, %.0f s" %
                          (store, kind, self.cases - first, stride, self.calls, time.monotonic() - began))

    def kills(self, store, times):
        began = time.monotonic()
        for n in range(times):
            self.case(store, "kill", n, self.opt.seed)
        self.progress.say("%-8s kill    %5d cases, %.0f s" % (store, times, time.monotonic() - began))

    def all(self):
        kinds, stores = self.opt.kind or [*KINDS, "kill"], self.opt.store or STORES
        print("seed %d, stores in %s" % (self.opt.seed, self.root))
        for store in stores:
            self.count(store)
            for kind in kinds:
                if kind == "kill":
                    self.kills(store, max(1, self.opt.kills // len(stores)))
                else:
                    self.sweep(store, kind)


def main():
    sys.stdout.reconfigure(line_buffering=True)
    c = Campaign(parse())
    try:
        if c.opt.one:
            store, kind, n, seed = c.opt.one.split(":")
            c.case(store, kind, int(n), int(seed))
            print("%s: %s" % (c.what, "failed" if c.failed else "right"))
        else:
            c.all()
            print("%d cases, %d failed" % (c.cases, c.failed))
    finally:
        shutil.rmtree(c.root, ignore_errors=True)
    return 1 if c.failed else 0


if __name__ == "__main__":
    sys.exit(main())
