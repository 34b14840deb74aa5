"""Are credentials that a machine's role gives asked for again before they are over?"""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

import pytest

from storage.objects.base import BadObjectError, ObjectError
from storage.objects.places import objects_at
from tests.servers.fault_proxy import FaultProxy
from tests.servers.s3 import CREDENTIALS, S3


class Machine(ThreadingHTTPServer):
    """What tells programs of a cloud's machine its role's credentials, on loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key, self.lasts = "first", timedelta(hours=6)
        self.asked = 0


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        """A token for what is asked next."""
        self._answer("token")

    def do_GET(self) -> None:
        """The role's name, or its credentials."""
        machine = cast(Machine, self.server)
        if self.path.endswith("/security-credentials/"):
            self._answer("role")
            return
        machine.asked += 1
        until = datetime.now(UTC) + machine.lasts
        found = {
            "AccessKeyId": machine.key,
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._answer(json.dumps(found))

    def _answer(self, text: str) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine with a role, and no credentials in the environment."""
    with Machine() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{found.server_port}")
        for name in CREDENTIALS:
            monkeypatch.delenv(name, raising=False)
        yield found
        found.shutdown()
        thread.join()


def test_credentials_are_renewed_before_they_are_over(
    s3_server: S3, proxy: FaultProxy, machine: Machine
) -> None:
    url = s3_server.fresh()
    machine.lasts = timedelta(seconds=30)
    far = objects_at(S3(proxy.port).reaching(url))
    far.put("a", b"content")
    machine.key, machine.lasts = "second", timedelta(hours=6)
    time.sleep(0.3)  # what was given just now is not asked for again
    proxy.expired = {"first"}
    assert far.get("a") == b"content"
    asked = machine.asked
    far.put("b", b"content")
    assert machine.asked == asked, "those that last are not asked for at each request"


def test_credentials_that_are_refused_are_an_outage(
    s3_server: S3, proxy: FaultProxy, machine: Machine
) -> None:
    url = s3_server.fresh()
    far = objects_at(S3(proxy.port).reaching(url))
    far.put("a", b"content")
    proxy.expired = {"first"}
    with pytest.raises(ObjectError) as found:
        far.get("a")
    assert not isinstance(found.value, BadObjectError)
    proxy.expired = set()
    assert far.get("a") == b"content"
