# SPDX-License-Identifier: MIT
"""An HTTP server of files, with ranges, on loopback; what it does wrong, a test says.

    with Server(folder) as server: sonde("ps", server.url("vm.core"))

A path /FAULT/FILE serves FILE with that fault of FAULTS; /delay-MS/FILE waits that long before each answer; /after-N/FILE
is broken from request N on.
server.requests and server.bytes count what was sent.
"""
import collections
import http.server
import os
import re
import socketserver
import threading
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY

    def do_GET(self):
        owner = self.server.owner
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/")
        fault, _, leaf = path.rpartition("/")
        with owner.lock:
            owner.requests += 1
            owner.paths.append(self.path)
            owner.headers.append(dict(self.headers))
            owner.asked[path] += 1  # a client that is gone may have asked for another path just now
            number = owner.asked[path]
        if fault.startswith("delay-"):
            time.sleep(int(fault[6:]) / 1000)
            fault = ""
        if fault.startswith("after-"):
            fault = "" if number < int(fault[6:]) else "broken"
        FAULTS[fault](Answer(self, os.path.join(owner.folder, leaf), number))


class Answer:
    """One request, and the parts of an answer to it."""

    def __init__(self, handler, path, number):
        self.handler, self.path, self.number = handler, path, number
        self.size = os.path.getsize(path) if os.path.exists(path) else None
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        self.first, self.last = map(int, found.groups()) if found else (0, 0)
        self.etag = '"one"'

    def send(self, status, body=b"", length=None, **headers):
        handler = self.handler
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        with handler.server.owner.lock:  # who has got it all may ask how much that was
            handler.server.owner.bytes += len(body)
        try:
            handler.wfile.write(body)
        except OSError:
            handler.close_connection = True

    def body(self):
        with open(self.path, "rb") as file:
            file.seek(self.first)
            return file.read(self.last - self.first + 1)

    def part(self, body=None, length=None, **headers):
        if self.size is None:
            return self.send(404)
        if self.first >= self.size:
            return self.send(416, Content_Range=f"bytes */{self.size}")
        self.last = min(self.last, self.size - 1)
        wanted = {"Content_Range": f"bytes {self.first}-{self.last}/{self.size}", "ETag": self.etag}
        wanted.update(headers)
        body = self.body() if body is None else body
        return self.send(206, body, length, **{k: v for k, v in wanted.items() if v is not None})

    def short(self):
        """Fewer bytes than announced: the connection ends."""
        self.last = min(self.last, self.size - 1)
        self.part(self.body()[:-1], self.last - self.first + 1)
        self.handler.close_connection = True

    def stall(self):
        """Headers, and then nothing until the client is gone or the server ends."""
        self.part(b"", 100)
        self.handler.server.owner.ended.wait(60)
        self.handler.close_connection = True

    def changed(self):
        """Another file under the same name, from the second request on: what If-Range asks for."""
        if self.number == 1:
            return self.part()
        return self.send(200, b"another", ETag='"two"')

    def redirect(self):
        leaf = os.path.basename(self.path)
        self.send(302, Location=f"/moved/{leaf}?" + urllib.parse.urlsplit(self.handler.path).query)

    def later(self, fault):
        """All is well for the first two requests."""
        return self.part() if self.number <= 2 else fault()

    def once(self):
        """Busy, now and then."""
        return self.send(503) if self.number % 3 == 0 else self.part()


FAULTS = {
    "": Answer.part,
    "moved": Answer.part,
    "redirect": Answer.redirect,
    "loop": lambda a: a.send(302, Location=a.handler.path),
    "elsewhere": lambda a: a.send(302, Location="file:///etc/passwd"),
    "whole": lambda a: a.send(200, b"all of it"),
    "forbidden": lambda a: a.send(403),
    "unauthorized": lambda a: a.send(401),
    "broken": lambda a: a.send(500),
    "teapot": lambda a: a.send(418),
    "once": Answer.once,
    "no-range": lambda a: a.part(Content_Range=None),
    "other-range": lambda a: a.part(Content_Range=f"bytes {a.first + 1}-{a.last + 1}/{a.size}"),
    "wide-range": lambda a: a.part(Content_Range=f"bytes {a.first}-{a.last + 1}/{a.last + 2}"),
    "mad-range": lambda a: a.part(Content_Range="bytes 9-1/99999999999999999999999"),
    "no-size": lambda a: a.part(Content_Range=f"bytes {a.first}-{a.last}/*"),
    "long": lambda a: a.part(b"x" * (1 << 20)),
    "short": Answer.short,
    "packed": lambda a: a.part(Content_Encoding="gzip"),
    "stall": Answer.stall,
    "changed": Answer.changed,
    "resized": lambda a: a.part(Content_Range=f"bytes {a.first}-{min(a.last, a.size - 1)}/"
                                f"{a.size + (a.number > 1)}"),
    "later-broken": lambda a: a.later(lambda: a.send(500)),
    "later-gone": lambda a: a.later(lambda: a.send(404)),
    "later-stall": lambda a: a.later(a.stall),
}


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.forget()

    def forget(self):
        """Count anew."""
        self.requests = self.bytes = 0
        self.asked = collections.Counter()
        self.paths, self.headers = [], []

    def __enter__(self):
        class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *_):
                pass
        self.http = Threaded(("127.0.0.1", 0), Handler)
        self.http.owner = self
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def url(self, path, scheme="http", user=""):
        return f"{scheme}://{user}127.0.0.1:{self.http.server_address[1]}/{path}"
