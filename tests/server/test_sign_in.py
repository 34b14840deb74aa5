"""Who gets in to a real server by which door, with which token, and what does nobody see?"""

import base64
import gzip
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.server import Running, start, stop
from narfi.access.routes import NEEDS, SOCKET
from narfi.access.secret import new_token
from narfi.core.grant import Scope
from narfi.core.wire.push_encode import encode_push_request
from tests.served import Answer, Api

PUSH, QUERY = "/loki/api/v1/push", "/loki/api/v1/query_range"
WRONG = new_token().text
PAGE = {"X-Narfi-Request": "1"}
"""Of requests of the page: without it nobody's session is changed."""
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Place:
    """A server that asks for tokens."""

    running: Running
    config: Path
    log: Path
    tokens: dict[str, str]

    def api(self, token: str, tenant: str = "") -> Api:
        """Somebody who has a token, by its name or as it is."""
        return Asker(self.running.url, tenant, self.running.grpc, self.tokens.get(token, token))

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`narfi token …` beside the server."""
        where = ("--config", str(self.config), "--data-dir", str(self.running.data_dir))
        command = [sys.executable, "-m", "narfi.cli", "token", *arguments, *where]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Asker(Api):
    """Sends a token, and a tenant only where one is given."""

    token: str = ""

    def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Any request."""
        found = {"X-Scope-OrgID": self.tenant} if self.tenant else {}
        found |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(self.url + path, body, found | headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), dict(error.headers))


def listed(tokens: dict[str, str]) -> str:
    """A file of a token for each scope, and of some for tenants."""
    rows = []
    for scope in Scope:
        tenant = "*" if scope in (Scope.ADMIN, Scope.METRICS) else "a"
        rows.append({"name": str(scope), "tenants": [tenant], "scopes": [str(scope)]})
    all_of_tenant = ["read", "write", "delete", "rules"]
    for name, tenants in (("b", ["b"]), ("ab", ["a", "b"]), ("all", ["*"])):
        rows.append({"name": name, "tenants": tenants, "scopes": all_of_tenant})
    for row in rows:
        tokens[str(row["name"])] = str(row.setdefault("token", new_token().text))
    return json.dumps({"tokens": rows})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server with tokens of a file and of its catalog."""
    folder, tokens = tmp_path_factory.mktemp("sign-in"), dict[str, str]()
    (folder / "tokens.yaml").write_text(listed(tokens))
    config = folder / "narfi.yaml"
    config.write_text(
        f"tenancy: header\nauth: {{enabled: true, tokens_file: {folder}/tokens.yaml}}\n"
        "limits: {multi_tenant_queries_enabled: true}\n"
    )
    running = start(folder / "data", config, folder / "log")
    yield Place(running, config, folder / "log", tokens)
    stop(running)


def filled(path: str) -> str:
    """A path of a route with names in it."""
    return path.replace("{name}", "app").replace("{rest:path}", "/ns/group")


ROUTES = sorted((method, path) for method, path in NEEDS if method != SOCKET)
OF_TENANT = [route for route in ROUTES if NEEDS[route].of_tenant]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_only_open_routes_answer(place: Place, method: str, path: str) -> None:
    need = NEEDS[method, path]
    answer = place.api("").send(method, filled(path), None, {})
    assert (answer.status == 401) != need.is_open
    wrong = place.api(WRONG, "a").send(method, filled(path), None, {})
    assert (wrong.status in (401, 429)) != need.is_open
    if not need.is_open:
        assert "a token is required" in answer.text
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_token_opens_the_routes_of_its_scope_alone(place: Place, method: str, path: str) -> None:
    need = NEEDS[method, path]
    for scope in Scope:
        answer = place.api(str(scope)).send(
            method, filled(path), b"" if method != "GET" else None, PAGE
        )
        may = need.is_open or scope in need.scopes
        assert (answer.status not in (401, 403, 429)) == may, (scope, answer)
        if not may:
            assert "has not the scope" in answer.text


@pytest.mark.parametrize(("method", "path"), OF_TENANT)
def test_no_route_answers_for_a_tenant_of_somebody_else(
    place: Place, method: str, path: str
) -> None:
    for tenant in ("a", "a|b", "b|a", "a:b=b"):
        answer = place.api("b", tenant).send(method, filled(path), None, {})
        assert answer.status == 403, (tenant, answer)
        assert answer.text == "the token 'b' is not for tenant 'a'\n"


def test_a_token_of_one_tenant_needs_no_header(place: Place) -> None:
    place.api("write").push({"app": "mine"}, "line")
    assert place.api("read").get(QUERY, query='{app="mine"}').json["data"]["result"]
    assert not place.api("b").get(QUERY, query='{app="mine"}').json["data"]["result"]


def test_a_token_of_several_tenants_names_them(place: Place) -> None:
    ab = place.api("ab")
    assert ab.get(QUERY, query='{app="x"}').status == 400
    assert "name one in X-Scope-OrgID" in ab.get(QUERY, query='{app="x"}').text
    assert place.api("ab", "a|b").get(QUERY, query='{app="x"}').status == 200
    assert place.api("ab", "a|b|c").get(QUERY, query='{app="x"}').status == 403
    assert place.api("all", "a|b|c").get(QUERY, query='{app="x"}').status == 200
    assert place.api("all").get(QUERY, query='{app="x"}').text == "no org id\n"
    place.api("ab", "b").push({"app": "of-b"}, "line")
    pair = base64.b64encode(f"b:{place.tokens['ab']}".encode()).decode()
    basic = {"Authorization": f"Basic {pair}"}
    found = place.api("").get(QUERY, basic, query='{app="of-b"}')
    assert found.json["data"]["result"]


@pytest.mark.parametrize(
    "path",
    [
        "//ready/../loki/api/v1/labels",
        "/ready/../loki/api/v1/labels",
        "/ready/%2e%2e/loki/api/v1/labels",
        "/loki/api/v1/labels;/ready",
        "/loki/api/v1/labels?/ready",
        "/loki/api/v1/labels%3f/ready",
        "/loki/api/v1/labels/",
        "/LOKI/API/V1/LABELS",
        "/%6c%6f%6b%69/api/v1/labels",
        "/loki/api/v1/label/..%2f..%2fready/values",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "TRACE"])
def test_no_spelling_of_a_path_leads_past_the_door(place: Place, method: str, path: str) -> None:
    with httpx.Client(base_url=place.running.url, follow_redirects=False) as client:
        answer = client.request(method, path)
        if answer.status_code == 301:
            answer = client.request(method, answer.headers["Location"])
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-User": "admin", "X-Scope-OrgID": "a"},
        {"narfi.grant": "anybody", "Narfi-Grant": "anybody"},
        {"Cookie": "token=x"},
        {"Proxy-Authorization": "Bearer x"},
        {"X-Original-URL": "/ready"},
        {"X-HTTP-Method-Override": "GET"},
    ],
)
def test_no_other_header_signs_in(place: Place, headers: dict[str, str]) -> None:
    assert place.api("").get("/loki/api/v1/labels", headers).status == 401


def test_no_parameter_signs_in(place: Place) -> None:
    token = place.tokens["read"]
    for name in ("token", "access_token", "authorization", "password"):
        assert place.api("").get("/loki/api/v1/labels", **{name: token}).status == 401


def test_two_tokens_in_one_request_are_one_at_most(place: Place) -> None:
    with httpx.Client(base_url=place.running.url) as client:
        headers = [
            ("Authorization", f"Bearer {WRONG}"),
            ("Authorization", f"Bearer {place.tokens['read']}"),
        ]
        assert client.get("/loki/api/v1/labels", headers=headers).status_code in (401, 429)


@pytest.mark.parametrize(
    "name", ["..", "..%2f..%2fcatalog.db", "%2e%2e%2f%2e%2e", "a%252f..%252f.."]
)
def test_names_lead_to_no_file(place: Place, name: str) -> None:
    """Of rule groups, and of labels: a name is a row of the catalog, or a column, or refused."""
    before = sorted(place.running.data_dir.iterdir())
    group = b"name: g\nrules: [{record: r, expr: 'sum(count_over_time({a=\"b\"}[1m]))'}]\n"
    made = place.api("rules").send("POST", f"/loki/api/v1/rules/{name}", group, {})
    assert made.status in (301, 400, 401, 403, 404, 405, 500)
    read = place.api("read").get(f"/loki/api/v1/label/{name}/values")
    assert read.status in (200, 400, 401, 403, 404)
    assert b"SQLite" not in read.body
    assert sorted(place.running.data_dir.iterdir()) == before


@pytest.mark.parametrize("path", [PUSH, "/otlp/v1/logs", QUERY, "/loki/api/v1/rules/ns"])
def test_who_is_not_let_in_sends_no_bomb(place: Place, path: str) -> None:
    """Answered from the head: of the body, which never comes, not a byte is needed."""
    host, _, port = place.running.url.removeprefix("http://").partition(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 600000000\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=25) as client:
        client.sendall(head.encode() + gzip.compress(bytes(1 << 20)))
        assert client.recv(12) == b"HTTP/1.1 401"  # sooner than the read timeout of 30 s


def test_calls_over_grpc(place: Place) -> None:
    def push(token: str, *more: tuple[str, str | bytes]) -> grpc.StatusCode:
        message = encode_push_request([('{app="rpc"}', [(time.time_ns(), b"x", ())])])
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        with grpc.insecure_channel(place.running.grpc) as channel:
            call = channel.unary_unary("/logproto.Pusher/Push")
            try:
                call(message, metadata=(*metadata, *more), timeout=60)
            except grpc.RpcError as error:
                return error.code()
        return grpc.StatusCode.OK

    denied, unknown = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
    assert push(place.tokens["write"]) is grpc.StatusCode.OK
    assert push("") is unknown
    assert push(WRONG) in (unknown, grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert push(place.tokens["read"]) is denied
    assert push(place.tokens["b"], ("x-scope-orgid", "a")) is denied
    assert push(place.tokens["write"], ("x-scope-orgid", "b")) is denied
    assert push("", ("x-scope-orgid", "a"), ("narfi.grant", "anybody")) is unknown
    assert push("", ("authorization-bin", place.tokens["write"].encode())) is unknown


def test_export_over_grpc(place: Place) -> None:
    with grpc.insecure_channel(place.running.grpc) as channel:
        call = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        with pytest.raises(grpc.RpcError) as error:
            call(b"", timeout=60)
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
        token = place.tokens["write"]
        with pytest.raises(grpc.RpcError) as error:
            call(b"", metadata=(("authorization", f"Bearer {token}"),), timeout=60)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # let in, and empty


def test_sockets(place: Place) -> None:
    url = place.running.url.replace("http", "ws") + '/loki/api/v1/tail?query={app="s"}'

    def status(token: str, tenant: str = "") -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"X-Scope-OrgID": tenant} if tenant else {}
        try:
            with connect(url, additional_headers=headers):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    assert status(place.tokens["read"]) == 101
    assert status("") == 401
    assert status(WRONG) in (401, 429)
    assert status(place.tokens["write"]) == 403
    assert status(place.tokens["b"], "a") == 403


def test_tokens_are_made_and_revoked_while_the_server_runs(place: Place) -> None:
    made = place.command("create", "--tenant", "a", "--scope", "read", "--name", "made")
    assert made.stdout.startswith("narfi_")
    assert made.stdout.count("\n") == 1
    token = made.stdout.strip()

    def until(status: int) -> bool:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if place.api(token).get("/loki/api/v1/labels").status == status:
                return True
            time.sleep(0.2)
        return False

    assert until(200)
    turned = place.command("rotate", "made").stdout.strip()
    assert until(401)
    assert place.api(turned).get("/loki/api/v1/labels").status == 200
    shown = place.command("list").stdout
    assert "made" in shown
    assert turned.split("_", 2)[2] not in shown
    assert "revoked" in place.command("revoke", "made").stdout
    token = turned
    assert until(401)
    catalog = place.running.data_dir
    for file in catalog.glob("catalog.db*"):
        assert turned.split("_", 2)[2].encode() not in file.read_bytes()


def test_a_changed_file_of_tokens_is_taken_up(place: Place) -> None:
    path = place.config.with_name("tokens.yaml")
    before = path.read_text()
    fresh = new_token().text
    row = {"name": "fresh", "token": fresh, "tenants": ["a"], "scopes": ["read"]}
    path.write_text(json.dumps({"tokens": [*json.loads(before)["tokens"], row]}))
    deadline = time.monotonic() + 60
    while place.api(fresh).get("/loki/api/v1/labels").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    path.write_text(before)


def test_nothing_that_is_shown_tells_a_token(place: Place) -> None:
    admin = place.api("admin")
    shown = admin.get("/config").text + admin.get("/status").text + admin.get("/metrics").text
    shown += place.log.read_text()
    assert "auth:" in shown
    secrets = [token.split("_", 2)[2] for token in (*place.tokens.values(), WRONG)]
    assert [one for one in secrets if one in shown] == []
    assert place.api("read").get("/config").status == 403


def test_the_door_keeps_count(place: Place) -> None:
    text = place.api("metrics").get("/metrics").text
    for result in ("ok", "missing", "wrong", "forbidden"):
        assert f'narfi_sign_ins_total{{result="{result}"}}' in text
