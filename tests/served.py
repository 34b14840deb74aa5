"""One server for all tests of the HTTP API and of real clients, and ways to talk to it."""

import json
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.server import Running, start, stop

CONFIG = """
tenancy: header
limits: {reject_old_samples: false, max_concurrent_tail_requests: 2}
compactor: {interval: 1s, delete_request_cancel_period: 2s}
overrides: {test-no-more-pending-requests-than-allowed: {max_pending_delete_requests: 2}}
"""


def hear_interrupts() -> None:
    """For a child: SIGINT is heard, which a shell's background jobs ignore and hand on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(frozen=True)
class Api:
    """Requests of one tenant."""

    url: str
    tenant: str
    grpc: str

    def get(self, path: str, headers: dict[str, str] | None = None, /, **parameters: str) -> Answer:
        """A GET request."""
        query = urllib.parse.urlencode(parameters)
        return self.send("GET", f"{path}?{query}" if query else path, None, headers or {})

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Any request."""
        all_headers = {"X-Scope-OrgID": self.tenant, **headers}
        request = urllib.request.Request(self.url + path, body, all_headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), dict(error.headers))

    def push(self, labels: dict[str, str], *lines: str, ts_ns: int | None = None) -> int:
        """Push lines one ns apart; the first one's time."""
        first = time.time_ns() if ts_ns is None else ts_ns
        values = [[str(first + k), line] for k, line in enumerate(lines)]
        body = json.dumps({"streams": [{"stream": labels, "values": values}]}).encode()
        headers = {"Content-Type": "application/json"}
        answer = self.send("POST", "/loki/api/v1/push", body, headers)
        assert answer.status == 204, answer.text
        return first


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server process."""
    folder = tmp_path_factory.mktemp("api")
    config: Path = folder / "narfi.yaml"
    config.write_text(CONFIG)
    server = start(folder / "data", config, folder / "log")
    yield server
    stop(server)


@pytest.fixture
def api(running: Running, request: pytest.FixtureRequest) -> Api:
    """A tenant of its own for each test."""
    tenant = "".join(c if c.isalnum() else "-" for c in request.node.name)[:100]
    return Api(running.url, tenant, running.grpc)
