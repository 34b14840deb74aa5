"""`http_sd_configs`: are targets those of the last good answer?"""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from promtail_agent.discovery.http import HttpDiscovery, HttpSdConfig

JSON = "application/json"


class Lister:
    """A server of target lists."""

    def __init__(self) -> None:
        self.status, self.content_type, self.body = 200, JSON, b"[]"
        self.headers: list[dict[str, str]] = []
        lister = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lister.headers.append(dict(self.headers))
                self.send_response(lister.status)
                self.send_header("Content-Type", lister.content_type)
                self.send_header("Content-Length", str(len(lister.body)))
                self.end_headers()
                self.wfile.write(lister.body)

            def log_message(self, *_args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/targets"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def lister() -> Iterator[Lister]:
    """A running one."""
    found = Lister()
    yield found
    found.close()


def test_targets_follow_good_answers_only(lister: Lister, eventually: Callable[..., None]) -> None:
    config: dict[str, Any] = {"url": lister.url, "refresh_interval": "20ms", "bearer_token": "t"}
    found = HttpDiscovery(HttpSdConfig.model_validate(config))
    found.start()
    try:
        lister.body = b'[{"targets": ["a"], "labels": {"job": "j"}}]'
        expected = [{"__meta_url": lister.url, "job": "j", "__address__": "a"}]
        eventually(lambda: list(found.targets()) == expected)
        same = found.targets()
        for status, content_type, body in (
            (500, JSON, b"[]"),
            (200, "text/html", b"[]"),
            (200, JSON, b"{"),
            (200, JSON, b'{"targets": []}'),
        ):
            lister.status, lister.content_type, lister.body = status, content_type, body
            asked = len(lister.headers)
            eventually(lambda asked=asked: len(lister.headers) > asked + 1)
            assert found.targets() is same
        lister.status, lister.content_type, lister.body = 200, f"{JSON}; charset=utf-8", b"[]"
        eventually(lambda: list(found.targets()) == [])
    finally:
        found.close()
    assert lister.headers[0]["Authorization"] == "Bearer t"
    assert lister.headers[0]["X-Prometheus-Refresh-Interval-Seconds"] == "0.02"


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="must start with http"):
        HttpSdConfig(url="localhost:80")
