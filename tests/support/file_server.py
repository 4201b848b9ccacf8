"""A file server on this machine that fails on demand, for tests of downloads.

The fixtures are taken up by the `conftest.py` of the tests that use them.
"""

import contextlib
import http.server
import threading

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; can break a connection in mid-file, ignore ranges, change the file."""

    daemon_threads = True

    def __init__(self, content: bytes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.break_after: list[int] = []  # bytes after which each of the next answers breaks
        self.ranges = True
        self.chunked = False  # as GitHub sends archives: of unknown length
        self.tag: str | None = '"one"'
        self.status = 200
        self.asked: list[str | None] = []  # the Range headers, in order

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"

    def handle_error(self, request, client_address):
        pass  # connections that break are the point


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.end_headers()
                return
        if server.chunked:
            self.send_chunks(server.content)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            end = len(server.content) - 1
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(server.content)}")
        if server.tag:
            self.send_header("ETag", server.tag)
        self.end_headers()
        self.wfile.write(body[: server.break_after.pop(0)] if server.break_after else body)
        self.close_connection = True

    def send_chunks(self, body):
        stop = self.server.break_after.pop(0) if self.server.break_after else None
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n" % len(body) + body[:stop])
        if stop is None:
            self.wfile.write(b"\r\n0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:

        def start(content: bytes) -> Server:
            server = stack.enter_context(Server(content))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start
