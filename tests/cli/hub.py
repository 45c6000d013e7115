"""A small Hugging Face hub for tests: python3 hub.py ROOT. Repositories are folders
ROOT/repos/{models,datasets}/OWNER/NAME/COMMIT/..., branches files ROOT/repos/.../NAME/refs/BRANCH with a commit. Files of
more than 1,000 bytes are "large": their SHA-256 is told, and they come by a redirect from a second port. ROOT/ports has the
two ports once both listen, ROOT/log a line a request: PORT METHOD PATH RANGE TOKEN. ROOT/trouble has a line
"TIMES WHAT PATTERN" for each trouble: of the next TIMES requests whose path has the PATTERN each gets WHAT: a status, "cut"
(half of the content), "wrong" (other content of that length), "slow" (in 8 pieces within 2 seconds), "hang" (nothing) or "evil" (a list with a bad
name)."""
import hashlib
import http.server
import json
import os
import re
import sys
import threading
import time
import urllib.parse

root = sys.argv[1]
lock = threading.Lock()


def trouble(path):
    with lock:
        try:
            lines = open(f"{root}/trouble").read().splitlines()
        except FileNotFoundError:
            return None
        for i, line in enumerate(lines):
            times, what, pattern = line.split(" ", 2)
            if int(times) > 0 and pattern in path:
                lines[i] = f"{int(times) - 1} {what} {pattern}"
                open(f"{root}/trouble", "w").write("\n".join(lines) + "\n")
                return what
    return None


def sibling(base, name):
    data = open(f"{base}/{name}", "rb").read()
    row = {"rfilename": name, "size": len(data),
           "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    if len(data) > 1000:
        row["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return row


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self):
        with lock, open(f"{root}/log", "a") as f:
            f.write(" ".join([str(self.server.server_port), self.command, self.path, self.headers.get("Range", "-"),
                              self.headers.get("Authorization", "-").replace(" ", "_")]) + "\n")

    def fail(self, status, code="", extra=()):
        body = b"<html>words</html>"
        self.send_response(status)
        for name, value in (("X-Error-Code", code), *extra):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give(self, data, what, etag):
        first = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        at = int(first.group(1)) if first else 0
        if at and at >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if at else 200)
        if at:
            self.send_header("Content-Range", f"bytes {at}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - at))
        self.send_header("ETag", etag)
        self.end_headers()
        if what == "wrong":
            data = bytes(b ^ 1 for b in data)
        body = data[at:]
        if what == "cut":
            body = body[:(len(body) + 1) // 2]
            self.close_connection = True
        pieces = 8 if what == "slow" else 1
        for i in range(pieces):
            self.wfile.write(body[len(body) * i // pieces:len(body) * (i + 1) // pieces])
            time.sleep(0.25 if what == "slow" else 0)

    def list(self, base, commit, what):
        names = sorted(os.path.relpath(f"{d}/{f}", base) for d, _, fs in os.walk(base) for f in fs)
        files = [sibling(base, n) for n in names]
        if what == "evil":
            files.append({"rfilename": "../../../evil", "size": 1, "blobId": "0" * 40})
        data = json.dumps({"id": "x", "sha": commit, "siblings": files}).encode()
        self.give(data, what, '"list"')

    def do_GET(self):
        self.note()
        path, _, query = self.path.partition("?")
        parts = [urllib.parse.unquote(p) for p in path.split("/")[1:]]
        what = trouble(self.path)
        if what == "hang":
            return time.sleep(30)
        if what and what.isdigit():
            return self.fail(int(what), extra=(("Retry-After", "0"),) if what == "429" else ())
        if parts[0] == "file" or parts[0] == "cdn":
            return self.plain(parts, what)
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = parts[0] if parts[0] in ("models", "datasets") else "models"
        parts = parts[1:] if parts[0] == kind else parts
        owner, name, verb, revision = parts[:4]
        base = f"{root}/repos/{kind}/{owner}/{name}"
        if not os.path.isdir(base):
            return self.fail(401)
        if name.startswith("gated") and self.headers.get("Authorization") != "Bearer sesame":
            return self.fail(403, "GatedRepo")
        ref = f"{base}/refs/{revision.replace('/', '%2F')}"
        commit = open(ref).read().strip() if os.path.exists(ref) else revision
        if not os.path.isdir(f"{base}/{commit}"):
            return self.fail(404, "RevisionNotFound")
        if api:
            assert verb == "revision" and query == "blobs=true", self.path
            return self.list(f"{base}/{commit}", commit, what)
        self.resolve(f"{base}/{commit}/" + "/".join(parts[4:]), what)

    def resolve(self, file, what):
        data = open(file, "rb").read()
        if len(data) <= 1000:
            return self.give(data, what, '"%s"' % hashlib.sha1(data).hexdigest())
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{ports[1]}/cdn/" + urllib.parse.quote(os.path.relpath(file, root)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def plain(self, parts, what):
        file = f"{root}/" + "/".join(parts[1:])
        if not os.path.isfile(file):
            return self.fail(404)
        data = open(file, "rb").read()
        self.give(data, what, '"%s"' % hashlib.sha1(data).hexdigest())


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client):
        pass  # clients that are killed are part of the tests


servers = [Server(("127.0.0.1", 0), Hub) for _ in range(2)]
ports = [s.server_port for s in servers]
with open(f"{root}/ports.new", "w") as f:
    f.write(f"{ports[0]} {ports[1]}\n")
os.rename(f"{root}/ports.new", f"{root}/ports")
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
servers[0].serve_forever()
