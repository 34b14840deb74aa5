"""What if the network or the store fails? An HTTP proxy for tests that does as it is told.

It stands before a server that speaks S3. A fault is for requests of a method whose path has a text
in it, a number of times; requests of which none is told pass unchanged. All requests are noted.
"""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"))
"""Headers of one connection, which a proxy does not pass on."""


class Kind(Enum):
    """What happens to a request."""

    REFUSE = "refuse"  # answered with a status; the server never gets it
    DROP = "drop"  # the connection is closed; the server never gets it
    LOSE = "lose"  # the server does it, and the connection is closed instead of an answer
    CUT = "cut"  # the answer ends in the middle of its body
    SLOW = "slow"  # passed on after a while


@dataclass
class Fault:
    """What shall happen, to which requests, how often."""

    kind: Kind
    method: str = ""  # any
    text: str = ""  # in the path or query
    times: int = 1
    every: int = 1  # of those requests only each so manieth
    status: int = 503
    seconds: float = 0.0
    met: int = 0


class FaultProxy:
    """Faults that are left, and requests that came; thread-safe."""

    def __init__(self, target: int) -> None:
        self.target = target  # port on loopback
        self.port = 0
        self.expired: set[str] = set()  # access keys that are refused from now on
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._requests: list[str] = []

    def tell(self, *faults: Fault) -> None:
        """Let these happen from now on, and none of those told before."""
        with self._lock:
            self._faults = list(faults)

    def requests(self) -> list[str]:
        """`METHOD path` of those that came since this was asked last."""
        with self._lock:
            found, self._requests = self._requests, []
        return found

    def fault_of(self, method: str, path: str) -> Fault | None:
        """What shall happen to this request; it counts as one time."""
        with self._lock:
            self._requests.append(f"{method} {path}")
            for fault in self._faults:
                if fault.times > 0 and fault.method in ("", method) and fault.text in path:
                    fault.met += 1
                    if fault.met % fault.every == 0:
                        fault.times -= 1
                        return fault
        return None


@contextlib.contextmanager
def before(target: int) -> Iterator[FaultProxy]:
    """A proxy before a port of this machine, until the `with` ends."""
    proxy = FaultProxy(target)
    server = _Server(proxy)
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        """Any method."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = cast(_Server, self.server).proxy
        fault = proxy.fault_of(self.command, self.path)
        signed = self.headers.get("Authorization", "")
        if any(f"={key}/" in signed for key in proxy.expired):
            self._answer(403, [], b"<Error><Code>ExpiredToken</Code></Error>")
        elif fault is not None and fault.kind is Kind.DROP:
            self.close_connection = True
        elif fault is not None and fault.kind is Kind.REFUSE:
            self._answer(fault.status, [], b"<Error><Code>SlowDown</Code></Error>")
        else:
            if fault is not None and fault.kind is Kind.SLOW:
                time.sleep(fault.seconds)
            self._pass_on(proxy.target, body, fault)

    def _pass_on(self, target: int, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", target, timeout=60)
        headers = {name: text for name, text in self.headers.items() if name.lower() not in HOP}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault is not None and fault.kind is Kind.LOSE:
            self.close_connection = True
            return
        sent = content[: len(content) // 2] if fault and fault.kind is Kind.CUT else content
        self._answer(answer.status, answer.getheaders(), sent, len(content))

    def _answer(
        self, status: int, headers: list[tuple[str, str]], sent: bytes, length: int | None = None
    ) -> None:
        """`length`: what is promised; the connection ends when less is sent."""
        promised = len(sent) if length is None else length
        self.send_response_only(status)
        told = [pair for pair in headers if pair[0].lower() not in (*HOP, "content-length")]
        size = [text for name, text in headers if name.lower() == "content-length"]
        for name, text in told:
            self.send_header(name, text)
        length_told = size[0] if self.command == "HEAD" and size else str(promised)
        self.send_header("Content-Length", length_told)
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = len(sent) < promised
