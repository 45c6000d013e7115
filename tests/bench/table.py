"""The table of tests/bench/run.sh: medians over the rounds of WORK/ours.N and WORK/peer.N, and the median of the rounds'
ratios. table.py WORK OUT.json. A ratio above 1 means that weft is faster."""
import json
import os
import statistics
import sys


def runs(path):
    if not os.path.exists(path):
        return []
    return [json.loads(line) for line in open(path) if line.strip()]


def ratio(ours, peers):
    less = ours[0]["unit"] in ("s", "ms", "us", "MiB")
    each = [p["value"] / o["value"] if less else o["value"] / p["value"] for o, p in zip(ours, peers)]
    return statistics.median(each) if each else None


def row(work, number, peer_name):
    ours, peers = runs(f"{work}/ours.{number}"), runs(f"{work}/peer.{number}")
    if len(peers) != len(ours):
        peers = []
    median = lambda side: round(statistics.median(r["value"] for r in side), 4) if side else None
    out = {"name": ours[0]["name"], "ours": median(ours), "peer": median(peers), "peer_name": peer_name}
    r = ratio(ours, peers)
    out |= {"unit": ours[0]["unit"], "ratio": round(r, 3) if r else None}
    if "gflops" in ours[0]:
        out["gflops"] = round(statistics.median(o["gflops"] for o in ours), 1)
    if "kib_per_task" in ours[0]:
        out |= {k: statistics.median(o[k] for o in ours) for k in ("check", "plan", "kib_per_task")}
    if "stored" in ours[0]:
        out |= {"stored": ours[0]["stored"], "peer_stored": peers[0]["stored"] if peers else None}
    # A choice that is worth less than the peer's would be no faster choice.
    if "logdet" in ours[0] and peers and ours[0]["logdet"] < peers[0]["logdet"] - 1e-3 * abs(peers[0]["logdet"]):
        sys.exit(f"bench: {out['name']}: log det {ours[0]['logdet']} is below the peer's {peers[0]['logdet']}")
    return out


def main():
    work, path = sys.argv[1:]
    names = [line.split("|")[0] for line in open(f"{work}/rows")]
    table = [row(work, i + 1, name) for i, name in enumerate(names)]
    with open(path, "w") as f:
        json.dump(table, f, indent=1)
        f.write("\n")
    peak = max((r.get("gflops", 0) for r in table if r["name"].startswith("gemm")), default=0)
    show = lambda x: "-" if x is None else f"{x:.4g}"
    print(f"{'benchmark':30} {'ours':>8} {'peer':>8} {'unit':8} {'ratio':>6}  {'GFLOP/s (of gemm)':22} peer")
    for r in table:
        rate = f"{r['gflops']:.0f} ({r['gflops'] / peak:.0%})" if "gflops" in r and peak else ""
        if "kib_per_task" in r:
            rate = f"{r['kib_per_task']:.2f} KiB/task"
        if "stored" in r:
            rate = f"size / {r['stored']:.3f}, peer {show(r['peer_stored'])}"
        print(f"{r['name']:30} {show(r['ours']):>8} {show(r['peer']):>8} {r['unit']:8} {show(r['ratio']):>6}  {rate:22} {r['peer_name']}")


main()
