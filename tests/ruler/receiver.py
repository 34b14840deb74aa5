"""A strict Alertmanager for tests: it takes what version 2 of the API allows, and remembers it."""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEYS = {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}


class FakeAlertmanager:
    """Alerts in the order in which they came; `answers` are statuses of the next requests.

    So many answers as `endless` says have bodies that do not end.
    """

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.endless = 0
        self.changed = threading.Condition()
        self.url = ""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer."""
        with self.changed:
            self.headers.append(headers)
            status = self.answers.pop(0) if self.answers else 200
            if status == 200:
                wrong = complaint(path, headers, body)
                if wrong:
                    self.wrong.append(wrong)
                    status = 400
                else:
                    self.alerts += json.loads(body)
            self.changed.notify_all()
        return status

    def wait_for(self, count: int, timeout_s: float = 90) -> list[dict[str, Any]]:
        """The alerts, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.alerts) >= count, timeout_s), self.alerts
            return list(self.alerts)


def complaint(path: str, headers: dict[str, str], body: bytes) -> str:
    """What is wrong with a request."""
    if path != "/api/v2/alerts" or headers.get("content-type") != "application/json":
        return f"{path} {headers}"
    for alert in json.loads(body):
        if set(alert) - KEYS or not alert["labels"].get("alertname"):
            return f"keys {alert}"
        texts = {**alert["labels"], **alert.get("annotations", {"x": ""})}
        if not all(isinstance(v, str) for v in texts.values()) or "" in alert["labels"].values():
            return f"texts {alert}"
        starts, ends = (datetime.fromisoformat(alert[k]) for k in ("startsAt", "endsAt"))
        if starts > ends:
            return f"times {alert}"
    return ""


@contextmanager
def fake_alertmanager() -> Iterator[FakeAlertmanager]:
    """One that listens on the loopback interface."""
    found = FakeAlertmanager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = found.take(self.path, headers, self.rfile.read(size))
            self.send_response(status)
            if found.endless:
                found.endless -= 1
                self.send_header("Content-Length", str(1 << 40))
                self.end_headers()
                with contextlib.suppress(OSError):
                    while True:
                        self.wfile.write(b"x" * 4096)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()
