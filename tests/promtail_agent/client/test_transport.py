"""How do pushes go over real wires? TLS, credentials, proxies, gRPC; statuses as they come back."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import grpc
import pytest

from narfi.core.wire.gen import push_pb2
from narfi.core.wire.push_encode import encode_push_request
from promtail_agent.client.config import ClientConfig
from promtail_agent.client.transport import Answer, open_transport
from promtail_agent.errors import ConfigError

BODY = encode_push_request([('{a="b"}', [(5, b"a line", [("k", "v")])])])


def push(tenant: str = "", body: bytes = BODY, **config: Any) -> Answer:
    """One push over a transport of its own."""
    transport = open_transport(ClientConfig.model_validate(config))
    try:
        return transport.push(tenant, body)
    finally:
        transport.close()


def test_basic_and_bearer_credentials(server: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    for config, expected in (
        ({"basic_auth": {"username": "u", "password": "p"}}, b"u:p"),
        ({"basic_auth": {"username": "u", "password_file": str(secret)}}, b"u:s3cret"),
        ({"basic_auth": {"username_file": str(secret), "password": "p"}}, b"s3cret:p"),
        ({"bearer_token": "t"}, "Bearer t"),
        ({"bearer_token_file": str(secret)}, "Bearer s3cret"),
        ({"authorization": {"type": "Token", "credentials": "c"}}, "Token c"),
        ({"authorization": {"credentials_file": str(secret)}}, "Bearer s3cret"),
    ):
        assert push(url=server.url, **config).is_good
        wanted = expected
        if isinstance(expected, bytes):
            wanted = f"Basic {base64.b64encode(expected).decode()}"
        assert server.headers[-1]["Authorization"] == wanted


def test_a_rotated_token_file_is_read_anew(server: Any, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("one")
    config = ClientConfig.model_validate({"url": server.url, "bearer_token_file": str(secret)})
    transport = open_transport(config)
    transport.push("", BODY)
    secret.write_text("two")
    transport.push("", BODY)
    transport.close()
    assert [h["Authorization"] for h in server.headers] == ["Bearer one", "Bearer two"]


def test_a_secret_that_is_not_there_is_told_at_the_start(server: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="secret cannot be read"):
        push(url=server.url, bearer_token_file=str(tmp_path / "absent"))


@pytest.fixture
def tokens() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A server that gives out OAuth2 tokens of a short life, and what it was asked."""
    asked: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            body = json.dumps({"access_token": f"tok{len(asked)}", "expires_in": 3600}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}/token", asked
    found.shutdown()
    found.server_close()
    thread.join()


def test_oauth2(server: Any, tokens: tuple[str, list[dict[str, list[str]]]]) -> None:
    url, asked = tokens
    oauth = {"client_id": "id", "client_secret": "sec", "token_url": url, "scopes": ["a", "b"]}
    transport = open_transport(ClientConfig.model_validate({"url": server.url, "oauth2": oauth}))
    for _ in range(3):
        assert transport.push("", BODY).is_good
    transport.close()
    assert {h["Authorization"] for h in server.headers} == {"Bearer tok1"}
    assert len(asked) == 1
    assert asked[0]["scope"] == ["a b"]
    assert asked[0]["grant_type"] == ["client_credentials"]


def test_tls_with_an_authority_and_a_client_certificate(certificates: Any) -> None:
    from tests.promtail_agent.conftest import PushServer

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.cert, certificates.key)
    context.load_verify_locations(certificates.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    server = PushServer(context)
    try:
        trust = {"ca_file": str(certificates.authority)}
        own = {
            "cert_file": str(certificates.client_cert),
            "key_file": str(certificates.client_key),
        }
        assert push(url=server.url, tls_config={**trust, **own}).is_good
        assert push(url=server.url, tls_config={**own, "insecure_skip_verify": True}).is_good
        named = {**trust, **own, "server_name": "localhost"}
        assert push(url=server.url, tls_config=named).is_good
        assert push(url=server.url, tls_config={**named, "server_name": "other"}).status == 0
        assert push(url=server.url, tls_config=own).status == 0  # nobody vouches for the server
        assert push(url=server.url, tls_config=trust).status == 0  # nor for the client
        assert len(server.entries) == 3
    finally:
        server.close()


def test_a_redirect_is_followed_or_is_an_answer(server: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", server.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Stay silent."""

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{found.server_port}/"
    try:
        assert push(url=url).is_good
        assert push(url=url, follow_redirects=False).status == 307
        assert server.lines() == ["a line"]
        # a proxy gets the whole address
        assert push(url="http://192.0.2.1/x", proxy_url=url, follow_redirects=False).status == 307
    finally:
        found.shutdown()
        found.server_close()
        thread.join()


def test_proxies_of_the_environment_and_exceptions(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")  # nobody is there
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert push(url=server.url).is_good
    assert push(url=server.url, proxy_from_environment=True).status == 0
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert push(url=server.url, proxy_from_environment=True).is_good
    nobody = "http://127.0.0.1:1/"
    assert push(url=server.url, proxy_url=nobody).status == 0
    for hosts in ("127.0.0.1", "example.org, 127.0.0.1", "*"):
        assert push(url=server.url, proxy_url=nobody, no_proxy=hosts).is_good
    named = server.url.replace("127.0.0.1", "localhost")
    assert push(url=named, proxy_url=nobody, no_proxy="localhost").is_good
    assert push(url=named, proxy_url=nobody, no_proxy=".localhost").status == 0


class GrpcServer:
    """`logproto.Pusher/Push` that records; answers with the queued codes first."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.codes: list[grpc.StatusCode] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(
            self._push, push_pb2.PushRequest.FromString, lambda answer: answer
        )
        service = grpc.method_handlers_generic_handler("logproto.Pusher", {"Push": handler})
        self._server.add_generic_rpc_handlers((service,))
        if credentials is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def _push(self, request: Any, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        if self.codes:
            context.abort(self.codes.pop(0), "refused for the test")
        self.requests.append(request)
        return b""

    def close(self) -> None:
        self._server.stop(0).wait()


@pytest.fixture
def grpc_server() -> Iterator[GrpcServer]:
    """A recording gRPC server."""
    found = GrpcServer()
    yield found
    found.close()


def test_grpc(grpc_server: GrpcServer) -> None:
    url = f"grpc://127.0.0.1:{grpc_server.port}"
    assert push("team", url=url, bearer_token="t", headers={"X-Extra": "1"}).is_good
    (stream,) = grpc_server.requests[0].streams
    assert (stream.labels, stream.entries[0].line) == ('{a="b"}', "a line")
    metadata = grpc_server.metadata[0]
    assert metadata["x-scope-orgid"] == "team"
    assert metadata["authorization"] == "Bearer t"
    assert metadata["x-extra"] == "1"
    assert push(url=url).is_good
    assert "x-scope-orgid" not in grpc_server.metadata[1]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.UNAUTHENTICATED, 401),
        (grpc.StatusCode.PERMISSION_DENIED, 403),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
        (grpc.StatusCode.UNAVAILABLE, 0),
        (grpc.StatusCode.INTERNAL, 0),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 0),
    ],
)
def test_grpc_codes(grpc_server: GrpcServer, code: grpc.StatusCode, status: int) -> None:
    grpc_server.codes = [code]
    answer = push(url=f"grpc://127.0.0.1:{grpc_server.port}")
    assert answer.status == status
    assert code.name in answer.text


def test_grpc_without_a_server_is_worth_another_attempt() -> None:
    assert push(url="grpc://127.0.0.1:9", timeout="500ms").status == 0


def test_grpc_over_tls(certificates: Any) -> None:
    pair = (certificates.key.read_bytes(), certificates.cert.read_bytes())
    credentials = grpc.ssl_server_credentials([pair])
    found = GrpcServer(credentials)
    try:
        url = f"grpcs://127.0.0.1:{found.port}"
        assert push(url=url, tls_config={"ca_file": str(certificates.authority)}).is_good
        named = {"ca_file": str(certificates.authority), "server_name": "localhost"}
        assert push(url=url, tls_config=named).is_good
        assert push(url=url, timeout="2s").status == 0
    finally:
        found.close()


def test_headers_that_the_agent_sets_itself_stay(server: Any) -> None:
    given = {"content-type": "text/plain", "User-agent": "mine", "x-any": "thing"}
    assert push("team", url=server.url, headers=given).is_good
    sent = [(name.lower(), value) for name, value in server.headers[-1].items()]
    assert [value for name, value in sent if name == "content-type"] == ["application/x-protobuf"]
    assert ("x-any", "thing") in sent
    assert "mine" not in dict(sent).values()


def test_a_refusal_is_told_with_its_status(server: Any) -> None:
    server.statuses = [400]
    answer = push(url=server.url)
    assert answer.text == "server returned HTTP status 400 Bad Request (400): refused for the test"
