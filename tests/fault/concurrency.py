"""Many runs on one store at once, some of them killed, while room is made: see docs/testing.md.
concurrency.py BUILD [--rounds N] [--first N] [--seconds S] [--runs N] [--seed N] [--no-single-flight]"""
import argparse
import collections
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import time

from weft import HERE, Clean, Progress, Wrong, command, environment, folder, has_command, kill, none_left, outputs, run

VARIANTS = ["0", "1", "2"]  # seeds of the experiment: runs of one share all, the others the data
MARK = "WEFT_FAULT_MARK"


def parse():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build")
    p.add_argument("--rounds", type=int, default=20)
    p.add_argument("--first", type=int, default=0, help="the number of the first round: what happens in it")
    p.add_argument("--runs", type=int, default=8, help="at once")
    p.add_argument("--seconds", type=float, default=2, help="a round, in which runs begin")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--no-single-flight", action="store_true", help="a key may be computed by two at once")
    return p.parse_args()


class Round:
    """kills: some runs are killed. collects: room is made all the time."""

    def __init__(self, opt, weft, root, wanted, seed, kills, collects):
        self.opt, self.weft, self.wanted = opt, weft, wanted
        self.store = os.path.join(root, "store")
        shutil.rmtree(self.store, ignore_errors=True)
        self.chance = random.Random("%d %s %s" % (seed, kills, collects))
        self.kills, self.collects = kills, collects
        self.mark = "%d-%d" % (os.getpid(), seed)
        self.env = environment(**{MARK: self.mark})
        self.files = os.path.join(root, "out")
        os.makedirs(self.files, exist_ok=True)
        self.live, self.ended, self.killed = [], 0, set()

    def begin(self):
        seed, n = self.chance.choice(VARIANTS), self.ended + len(self.live)
        out, err = [open(os.path.join(self.files, "%d.%s" % (n, x)), "w+") for x in ("out", "err")]
        argv = command(self.weft, self.store, "--set", "seed=" + seed)
        p = subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        self.live.append((p, seed, out, err))

    def end(self, run_):
        p, seed, out, err = run_
        self.ended += 1
        texts = []
        for f in (out, err):
            f.seek(0)
            texts.append(f.read())
            f.close()
        if p.pid in self.killed and p.returncode == -9:
            return
        self.killed.discard(p.pid)  # it was done before
        if p.returncode != 0:
            raise Wrong("a run that nobody killed ends with %d:\n%s" % (p.returncode, texts[1]))
        if outputs(texts[0]) != self.wanted[seed]:
            raise Wrong("a run has other outputs than alone:\n%s" % texts[0])

    def reap(self):
        for r in [r for r in self.live if r[0].poll() is not None]:
            self.live.remove(r)
            self.end(r)

    def collect(self):
        done = run([self.weft, "cache", "gc", "--max-size", "20K", "--store", self.store], self.env)
        if done.code != 0:
            raise Wrong("cache gc ends with %d:\n%s" % (done.code, done.err))

    def churn(self):
        """Runs begin as others end; then all come to their end."""
        stop = time.monotonic() + self.opt.seconds
        try:
            while time.monotonic() < stop or self.live:
                while time.monotonic() < stop and len(self.live) < self.opt.runs:
                    self.begin()
                if self.kills and self.live and time.monotonic() < stop and self.chance.random() < 0.05:
                    victim = self.chance.choice(self.live)[0]
                    self.killed.add(victim.pid)
                    kill(victim.pid)
                if self.collects and time.monotonic() < stop:
                    self.collect()
                self.reap()
                if time.monotonic() > stop + 120:
                    raise Wrong("runs hang: %s" % [r[0].pid for r in self.live])
                time.sleep(0.01)
        finally:
            for r in self.live:
                kill(r[0].pid)
                r[0].wait()
        none_left("%s=%s" % (MARK, self.mark))

    def computed_once(self):
        """A key that two runs computed: only where the first was killed before others could know of it."""
        by_key = collections.defaultdict(list)
        for path in glob.glob(os.path.join(self.store, "runs", "*", "events.jsonl")):
            pid = None
            with open(path) as f:
                for line in f:
                    try:
                        e = json.loads(line)
                    except ValueError:
                        continue  # the last words of one that was killed
                    pid = e.get("pid", pid)
                    if e["event"] == "ran":
                        by_key[e["key"]].append((e["task"], pid))
        for key, ran in by_key.items():
            alive = [x for x in ran if x[1] not in self.killed]
            if len(alive) > 1:
                raise Wrong("task %s, key %.12s, was computed %d times by runs that nobody killed: %s" %
                            (ran[0][0], key, len(alive), alive))

    def run(self):
        self.churn()
        if not self.opt.no_single_flight and not self.collects:
            self.computed_once()


def pin(clean, r, seed):
    """Pin the newest run of this seed in a store of its own kind: it stays whatever room is made."""
    done = run(command(clean.weft, r.store, "--set", "seed=" + seed))
    name = json.loads(done.out)["run"]
    done = run([clean.weft, "cache", "pin", name, "--store", r.store])
    if done.code != 0:
        raise Wrong("cache pin ends with %d:\n%s" % (done.code, done.err))


def still_there(clean, r, seed):
    done = run(command(clean.weft, r.store, "--set", "seed=" + seed))
    ran = [t["task"] for t in json.loads(done.out)["tasks"] if t["state"] != "hit"]
    if ran:
        raise Wrong("pinned results went: %s" % ran)


def main():
    sys.stdout.reconfigure(line_buffering=True)
    opt = parse()
    weft = os.path.abspath(os.path.join(opt.build, "weft"))
    root, progress = folder(), Progress()
    clean = Clean(weft, root)
    wanted, total, killed, last = {}, 0, 0, opt.first + opt.rounds
    for seed in VARIANTS:
        wanted[seed] = outputs(run(command(weft, os.path.join(root, "alone"), "--set", "seed=" + seed)).out)
    pins = clean.collects and has_command(weft, "cache", "pin")
    print("seed %d, %d rounds of %d runs at once%s" % (opt.seed, opt.rounds, opt.runs,
                                                        "" if clean.collects else "; this weft has no cache gc"))
    try:
        for i in range(opt.first, last):
            kills, collects = i % 2 == 1, clean.collects and i % 4 >= 2
            progress.show("round %d, the last is %d, %d runs" % (i, last - 1, total))
            r = Round(opt, weft, root, wanted, opt.seed + i, kills, collects)
            if pins and collects:
                pin(clean, r, VARIANTS[-1])
            r.run()
            if pins and collects:
                still_there(clean, r, VARIANTS[-1])
            clean.recovers(r.store, [])
            total, killed = total + r.ended, killed + len(r.killed)
    except Wrong as e:
        kept = root + "-failed"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(r.store, kept, symlinks=True)
        progress.say("FAIL round %d: %s\nthe store: %s\nagain: python3 tests/fault/concurrency.py %s --rounds 1 --first %d "
                     "--seed %d" % (i, e, kept, opt.build, i, opt.seed))
        return 1
    finally:
        shutil.rmtree(root, ignore_errors=True)
    progress.say("%d runs, %d of them killed: right" % (total, killed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
