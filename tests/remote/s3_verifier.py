"""A server for one S3 bucket's objects that checks signatures (version 4) for itself, from what AWS documents ("Signature
Calculations for the Authorization Header"), and refuses what is not signed as it should be: 403. Objects are kept in memory.
GET /-/counts, unsigned, tells how many requests were taken and refused, and why the last one was."""
import argparse
import calendar
import hashlib
import hmac
import json
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALGORITHM = "AWS4-HMAC-SHA256"
MINUTES = 15  # that clocks may differ


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def encoded(path):
    """URI-encode each byte but the unreserved ones and '/': once, as S3 does."""
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/-_.~")


def canonical_query(query):
    pairs = [p.partition("=") for p in query.split("&") if p]
    pairs = [tuple(urllib.parse.quote(urllib.parse.unquote_to_bytes(x), safe="-_.~") for x in (k, v)) for k, _, v in pairs]
    return "&".join(f"{k}={v}" for k, v in sorted(pairs))


def signature(method, target, headers, signed, payload, when, scope, secret):
    """headers: a dict by lower-case names; signed: the names that are signed, in order; scope: date/region/service/aws4_request."""
    path, _, query = target.partition("?")
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed)
    request = "\n".join([method, encoded(path), canonical_query(query), lines, ";".join(signed), payload])
    text = "\n".join([ALGORITHM, when, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac256(key, part)
    return hmac256(key, text).hex()


def refuse_why(method, target, headers, body, known, now):
    """Why the request is not right; None: it is."""
    m = re.fullmatch(rf"{ALGORITHM} Credential=([^/,]+)/(\S+?), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{{64}})",
                     headers.get("authorization", ""))
    if not m:
        return "no signature of version 4"
    access, scope, signed, given = m.group(1), m.group(2), m.group(3).split(";"), m.group(4)
    when = headers.get("x-amz-date", "")
    if access != known.access_key:
        return "another access key"
    if not re.fullmatch(r"\d{8}T\d{6}Z", when) or scope != f"{when[:8]}/{known.region}/s3/aws4_request":
        return f"scope {scope} with date {when}"
    if abs(calendar.timegm(time.strptime(when, "%Y%m%dT%H%M%SZ")) - now) > MINUTES * 60:
        return "too old or too new"
    if signed != sorted(signed) or "host" not in signed:
        return "signed headers"
    if any(name.startswith("x-amz-") and name not in signed for name in headers):
        return "a header of x-amz is not signed"
    if headers.get("x-amz-security-token", "") != known.token:
        return "session token"
    payload = headers.get("x-amz-content-sha256")
    if payload != hashlib.sha256(body).hexdigest():
        return "x-amz-content-sha256 is not that of the body"
    want = signature(method, target, headers, signed, payload, when, scope, known.secret_key)
    return None if hmac.compare_digest(want, given) else "signature"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects, counts, lock = {}, {"taken": 0, "refused": 0, "last": None}, threading.Lock()

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def checked(self):
        """The body; None: refused."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            pass  # http.server has answered it
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {k.lower(): v for k, v in self.headers.items()}
        why = refuse_why(self.command, self.path, headers, body, self.server.known, time.time())
        with self.lock:
            self.counts["refused" if why else "taken"] += 1
            self.counts["last"] = why or self.counts["last"]
        if why:
            self.answer(403, f"<Error><Code>SignatureDoesNotMatch</Code><Message>{why}</Message></Error>".encode())
            return None
        return body

    def do_PUT(self):
        body = self.checked()
        if body is not None:
            with self.lock:
                self.objects[self.path] = body
            self.answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def do_GET(self):
        if self.path == "/-/counts":
            return self.answer(200, json.dumps(self.counts).encode())
        if self.checked() is None:
            return None
        body = self.objects.get(self.path)
        if body is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        if self.command == "HEAD":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            return self.end_headers()
        m = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if m and int(m.group(1)) < len(body):
            at = int(m.group(1))
            return self.answer(206, body[at:], Content_Range=f"bytes {at}-{len(body) - 1}/{len(body)}")
        return self.answer(200, body)

    do_HEAD = do_GET


def self_test():
    """The examples of the documentation: GET Object and PUT Object."""
    secret, empty = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", hashlib.sha256(b"").hexdigest()
    scope, when, host = "20130524/us-east-1/s3/aws4_request", "20130524T000000Z", "examplebucket.s3.amazonaws.com"
    headers = {"host": host, "range": "bytes=0-9", "x-amz-content-sha256": empty, "x-amz-date": when}
    got = signature("GET", "/test.txt", headers, sorted(headers), empty, when, scope, secret)
    assert got == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", got
    body = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()
    headers = {"date": "Fri, 24 May 2013 00:00:00 GMT", "host": host, "x-amz-content-sha256": body, "x-amz-date": when,
               "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    got = signature("PUT", "/test%24file.text", headers, sorted(headers), body, when, scope, secret)
    assert got == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd", got
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": when}
    got = signature("GET", "/?max-keys=2&prefix=J", headers, sorted(headers), empty, when, scope, secret)
    assert got == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7", got
    print("the documentation's signatures: as there")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--self-test", action="store_true")
    p.add_argument("--port", type=int, default=9000)
    p.add_argument("--region", default="us-east-1")
    for name in "access-key", "secret-key", "token":
        p.add_argument(f"--{name}", default="")
    known = p.parse_args()
    if known.self_test:
        return self_test()
    server = ThreadingHTTPServer(("127.0.0.1", known.port), Handler)
    server.known = known
    return server.serve_forever()


sys.exit(main())
