"""A cache server on loopback that can be trouble: server.py FOLDER. It keeps what is PUT below FOLDER/kept, writes a line a request to
FOLDER/log and its port to FOLDER/port, and reads before each request from FOLDER/mode what to do: ok; lie (other bytes of the same
length); flip (one bit); cut (half of the body); hang; full (507 to PUT); broken (500); denied (401); mute (closes without a word)."""
import http.server
import os
import sys
import time

ROOT = sys.argv[1]


def read(path):
    with open(path, "rb") as f:
        return f.read()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def place(self):
        return os.path.join(ROOT, "kept", *[p for p in self.path.split("/") if p and p not in ("..", ".")])

    def answer(self, status, body=b"", cut=False):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def trouble(self, mode):
        """True: there was, and the request is over."""
        with open(os.path.join(ROOT, "log"), "a") as f:
            f.write("%s %s\n" % (self.command, self.path))
        if mode == "hang":
            time.sleep(600)
        if mode in ("hang", "mute"):
            self.close_connection = True
        elif mode in ("broken", "denied") or (mode == "full" and self.command == "PUT"):
            self.answer({"broken": 500, "denied": 401, "full": 507}[mode])
        else:
            return False
        return True

    def do_GET(self):
        mode = read(os.path.join(ROOT, "mode")).decode().strip()
        if self.trouble(mode):
            return
        try:
            body = bytearray(read(self.place()))
        except OSError:
            return self.answer(404)
        if mode == "lie":
            body = bytearray(len(body))
        if mode == "flip" and body:
            body[len(body) // 2] ^= 4
        self.answer(200, bytes(body), mode == "cut")

    do_HEAD = do_GET

    def do_PUT(self):
        mode = read(os.path.join(ROOT, "mode")).decode().strip()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.trouble(mode):
            return
        if mode == "cut":
            self.close_connection = True
            return
        os.makedirs(os.path.dirname(self.place()), exist_ok=True)
        temp = "%s.%d" % (self.place(), time.monotonic_ns())
        with open(temp, "wb") as f:
            f.write(body)
        os.rename(temp, self.place())
        self.answer(201)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


os.makedirs(os.path.join(ROOT, "kept"), exist_ok=True)
server = Server(("127.0.0.1", 0), Handler)
with open(os.path.join(ROOT, "port.new"), "w") as f:
    f.write(str(server.server_address[1]))
os.rename(os.path.join(ROOT, "port.new"), os.path.join(ROOT, "port"))
server.serve_forever()
