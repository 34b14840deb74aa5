"""Stands in front of a real receiver: it remembers what passes, and answers itself when told to."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import snappy

from tests.ruler.remote_write.receiver import write_request

STALE = 0x7FF0000000000002
HOP = ("host", "content-length", "connection", "accept-encoding")


@dataclass(frozen=True)
class Passed:
    """A request, when it came (s since the epoch), and what was answered."""

    at: float
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Of a request to an Alertmanager."""
        return list(json.loads(self.body))

    @property
    def samples(self) -> list[tuple[dict[str, str], int, float]]:
        """Labels, time in ms and value of each sample of a remote write."""
        message: Any = write_request()()
        message.ParseFromString(snappy.decompress(self.body))
        return [
            ({label.name: label.value for label in series.labels}, one.timestamp, one.value)
            for series in message.timeseries
            for one in series.samples
        ]


class Gate:
    """In front of `behind`; `answers` are (status, headers, seconds to wait) of the next ones."""

    def __init__(self, behind: str) -> None:
        self.behind, self.url = behind, ""
        self.answers: list[tuple[int, dict[str, str], float]] = []
        self._passed: list[Passed] = []
        self._lock = threading.Lock()

    def passed(self) -> list[Passed]:
        """What came so far."""
        with self._lock:
            return list(self._passed)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer."""
        at = time.time()
        with self._lock:
            told = self.answers.pop(0) if self.answers else None
        more: dict[str, str] = {}
        if told is None:
            status = self._forward(path, headers, body)
        else:
            status, more, wait_s = told
            time.sleep(wait_s)
        with self._lock:
            self._passed.append(Passed(at, status, headers, body))
        return status, more

    def _forward(self, path: str, headers: dict[str, str], body: bytes) -> int:
        kept = {name: value for name, value in headers.items() if name not in HOP}
        request = urllib.request.Request(self.behind + path, body, kept, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


@contextmanager
def gate(behind: str) -> Iterator[Gate]:
    """One that listens."""
    found = Gate(behind)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            status, more = found.take(self.path, headers, body)
            try:
                self.send_response(status)
                for name, value in {**more, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()
            except OSError:  # who asked has given up
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
