"""Faults at the calls of weft cache import, export, config and pin: whatever happens, the store is whole, what was said to
be done is done, and the same command then works. cache.py BUILD [--stride N] [--seed N]"""
import argparse
import json
import os
import shutil
import struct
import subprocess
import sys

from weft import HERE, Wrong, environment, folder, run

KINDS = ["eio", "enospc", "full", "eintr", "short", "crash", "power"]
COUNTERS = 96  # bytes of faulty.c's struct counters, of which the second number says whether the fault struck


class Case:
    def __init__(self, weft, faulty, root):
        self.weft, self.faulty, self.root = weft, faulty, root
        self.store, self.bundle = os.path.join(root, "store"), os.path.join(root, "all.tar")
        self.clean = os.path.join(root, "clean")

    def cache(self, *args, store=None):
        return run([self.weft, "cache", *args, "--store", store or self.store])

    def must(self, *args):
        done = self.cache(*args)
        if done.code != 0:
            raise Wrong("cache %s ends with %d:\n%s%s" % (" ".join(args), done.code, done.out, done.err))
        return done.out

    def strike(self, fault, *args):
        """The command with the fault; whether the fault struck."""
        out, aside = os.path.join(self.root, "counters"), os.path.join(self.root, "aside")
        shutil.rmtree(aside, ignore_errors=True)
        with open(out, "wb") as f:
            f.write(bytes(COUNTERS))
        env = environment(WEFT_FAULT=fault, WEFT_FAULT_IN="engine", WEFT_FAULT_OUT=out, WEFT_FAULT_STORE=self.store,
                          WEFT_FAULT_ASIDE=aside)
        done = run([self.faulty, "cache", *args, "--store", self.store], env)
        with open(out, "rb") as f:
            struck = struct.unpack_from("QQ", f.read())[1] > 0
        kind = fault.split(":")[0]
        wanted = [77] if struck and kind in ("crash", "power") else [0] if kind in ("eintr", "short") or not struck else [0, 1, 2]
        if done.code not in wanted:
            raise Wrong("it ends with %d, may with %s:\n%s" % (done.code, wanted, done.err))
        if done.code in (1, 2) and "error:" not in done.err:
            raise Wrong("it fails without a word")
        return done, struck

    def sound(self):
        self.must("verify")
        left = [n for n in os.listdir(os.path.join(self.store, "tmp")) if n != ".lock"]
        if left:
            raise Wrong("left in tmp: %s" % left)


class Import(Case):
    """Into a new store."""
    kinds = KINDS

    def prepare(self):
        shutil.rmtree(self.store, ignore_errors=True)
        os.mkdir(self.store)

    def case(self, fault):
        done, struck = self.strike(fault, "import", self.bundle)
        if done.code == 0 and len(self.must("ls").splitlines()) != 4:
            raise Wrong("it says that all came in, and it did not")
        self.sound()
        self.must("import", self.bundle)
        if [x.split("\t")[1] for x in self.must("ls").splitlines()] != ["whole"] * 4:
            raise Wrong("the next import does not bring the rest:\n%s" % self.must("ls"))
        self.sound()
        return struck


class Config(Case):
    kinds = KINDS

    def prepare(self):
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self.clean, self.store, symlinks=True)
        self.must("config", "level=5")

    def case(self, fault):
        done, struck = self.strike(fault, "config", "level=7")
        got = self.must("config", "level").strip()
        if got not in ("5", "7") or (done.code == 0 and got != "7"):
            raise Wrong("it ends with %d, and the level is %s" % (done.code, got))
        self.sound()
        self.must("config", "level=7")
        return struck


class Pin(Case):
    kinds = KINDS

    def prepare(self):
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self.clean, self.store, symlinks=True)

    def case(self, fault):
        done, struck = self.strike(fault, "pin", "last", "--name", "kept")
        pins = json.loads(self.must("pins", "--json"))["pins"]
        if len(pins) > 1 or (done.code == 0 and len(pins[0]["keys"]) != 4):
            raise Wrong("it ends with %d, and there are these pins: %s" % (done.code, pins))
        self.sound()
        self.must("pin", "last", "--name", "kept")
        return struck


class Export(Case):
    """The bundle is there whole, or not at all."""
    kinds = [k for k in KINDS if k != "power"]  # the journal is of the store alone

    def prepare(self):
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self.clean, self.store, symlinks=True)
        self.to = os.path.join(self.root, "to")
        shutil.rmtree(self.to, ignore_errors=True)
        os.mkdir(self.to)

    def case(self, fault):
        path = os.path.join(self.to, "b.tar")
        done, struck = self.strike(fault, "export", path, "--private")
        if os.path.exists(path) or done.code == 0:
            left_out = "left out" in done.err
            with open(path, "rb") as a, open(self.bundle, "rb") as b:
                if a.read() != b.read() and not left_out:
                    raise Wrong("another bundle than without a fault")
        elif done.code != 77 and os.listdir(self.to):
            raise Wrong("left beside it: %s" % os.listdir(self.to))
        self.must("export", path, "--private")
        return struck


def main():
    sys.stdout.reconfigure(line_buffering=True)
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("build")
    p.add_argument("--stride", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    opt = p.parse_args()
    weft, faulty = (os.path.abspath(os.path.join(opt.build, x)) for x in ("weft", "weft-faulty"))
    root, cases = folder(), 0
    try:
        clean = os.path.join(root, "clean")
        subprocess.run([weft, "run", os.path.join(HERE, "tiny.yaml"), "--store", clean, "--quiet"], check=True)
        subprocess.run([weft, "cache", "export", os.path.join(root, "all.tar"), "--private", "--store", clean],
                       check=True, stderr=subprocess.DEVNULL)
        for kind_of_case in (Import, Config, Pin, Export):
            c, before = kind_of_case(weft, faulty, root), cases
            for kind in c.kinds:
                n, struck = 1 + opt.seed % opt.stride, True
                while struck:
                    fault = "%s:%d:%d" % (kind, n, opt.seed)
                    c.prepare()
                    try:
                        struck = c.case(fault)
                    except Wrong as e:
                        kept = root + "-failed"
                        shutil.rmtree(kept, ignore_errors=True)
                        shutil.copytree(c.store, kept, symlinks=True)
                        print("FAIL cache %s, WEFT_FAULT=%s: %s\nthe store: %s" % (kind_of_case.__name__.lower(), fault, e, kept))
                        return 1
                    n, cases = n + opt.stride, cases + 1
            print("cache %-7s %4d cases" % (kind_of_case.__name__.lower(), cases - before))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print("%d cases of weft cache, none failed" % cases)
    return 0


if __name__ == "__main__":
    sys.exit(main())
