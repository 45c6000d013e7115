"""plant_times.py STORE TASK=SECONDS[xTHREADS[xBYTES]]...: the store's records of these tasks say that they took so long."""
import glob
import hashlib
import json
import sys

store, times = sys.argv[1], dict(a.split("=") for a in sys.argv[2:])
found = set()
for path in glob.glob(store + "/records/*/*"):
    r = json.load(open(path))
    if r["task"] not in times:
        continue
    found.add(r["task"])
    seconds, *rest = times[r["task"]].split("x")
    r["seconds"] = float(seconds)
    r["threads"] = int(rest[0]) if rest else 1
    r["peak_rss"] = int(rest[1]) if rest[1:] else 1 << 20
    del r["sha256"]
    text = json.dumps(r, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    number = "%.17g" % r["seconds"] # as the store writes it
    text = text.replace('"seconds":%r' % r["seconds"], '"seconds":' + number + ("" if "." in number else ".0"))
    r["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    json.dump(r, open(path, "w"), sort_keys=True, indent=2, ensure_ascii=False)
sys.exit("no record of " + ", ".join(set(times) - found) if set(times) - found else 0)
