"""Does an HTTP side of the agent listen where and how its section says?"""

import contextlib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from promtail_agent.listener import Listener
from promtail_agent.server_config import ServerConfig
from promtail_agent.targets.push_api import PushApiConfig, PushApiSource


class _Hello(BaseHTTPRequestHandler):
    name = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.name)))
        self.end_headers()
        self.wfile.write(self.name.encode())

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def listening(**section: object) -> Iterator[int]:
    """A listener that says hello, and its port."""
    config = ServerConfig.model_validate({"http_listen_port": 0, **section})
    found = Listener(config, _Hello, {"name": "hello"})
    thread = threading.Thread(target=found.serve_forever, args=(0.02,))
    thread.start()
    yield found.port
    found.shutdown()
    found.server_close()
    thread.join()


def get(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        return bytes(answer.read())


def test_addresses() -> None:
    with listening() as port:
        assert get(f"http://127.0.0.1:{port}/") == b"hello"
    with listening(http_listen_address="::1") as port:
        assert get(f"http://[::1]:{port}/") == b"hello"


def test_tls_and_who_needs_a_certificate(certificates: Any) -> None:
    tls = {"cert_file": str(certificates.cert), "key_file": str(certificates.key)}
    stranger = ssl.create_default_context(cafile=str(certificates.authority))
    known = ssl.create_default_context(cafile=str(certificates.authority))
    known.load_cert_chain(certificates.client_cert, certificates.client_key)
    with listening(http_tls_config=tls) as port:
        assert get(f"https://127.0.0.1:{port}/", stranger) == b"hello"
        with pytest.raises(OSError, match=r"."):
            get(f"http://127.0.0.1:{port}/")
    required = {"client_auth_type": "RequireAndVerifyClientCert"}
    mutual = {**tls, **required, "client_ca_file": str(certificates.authority)}
    with listening(http_tls_config=mutual) as port:
        with pytest.raises(OSError, match=r"."):
            get(f"https://127.0.0.1:{port}/", stranger)
        assert get(f"https://127.0.0.1:{port}/", known) == b"hello"


def test_pushes_come_behind_a_prefix() -> None:
    server = {"http_listen_address": "127.0.0.1", "http_path_prefix": "/agent/"}
    source = PushApiSource(PushApiConfig.model_validate({"server": server}), ())
    source.start()
    try:
        base = f"http://127.0.0.1:{source.port}"
        assert get(f"{base}/agent/ready") == b"ready"
        request = urllib.request.Request(f"{base}/agent/promtail/api/v1/raw", data=b"one\ntwo")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 204
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(f"{base}/ready")
        assert [entry.line for entry in source.take()] == [b"one", b"two"]
    finally:
        source.close()
