"""One address before many processes: pushes go to ingesters in turn, the rest to queriers."""

import contextlib
import http.client
import itertools
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from tests.servers.fault_proxy import HOP

PUSHES = ("/push", "/otlp/", "/flush")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, ingesters: Sequence[str], queriers: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._turns = itertools.cycle(ingesters), itertools.cycle(queriers)
        self._lock = threading.Lock()

    def target(self, path: str) -> str:
        """HOST:PORT of the process whose turn it is."""
        writes = any(part in path.partition("?")[0] for part in PUSHES)
        with self._lock:
            return next(self._turns[0 if writes else 1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        """Any method."""
        self.raw_requestline = self.rfile.readline(1 << 20)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = cast(_Server, self.server).target(self.path)
        connection = http.client.HTTPConnection(target, timeout=120)
        headers = {name: text for name, text in self.headers.items() if name.lower() not in HOP}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, text in answer.getheaders():
            if name.lower() not in (*HOP, "content-length"):
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextlib.contextmanager
def before(ingesters: Sequence[str], queriers: Sequence[str]) -> Iterator[str]:
    """The URL, until the `with` ends; arguments are URLs."""
    addresses = [[url.removeprefix("http://") for url in some] for some in (ingesters, queriers)]
    server = _Server(*addresses)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
