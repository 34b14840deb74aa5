"""What does the log tell of requests, slow queries and changes, and what does it never tell?"""

import base64
import json
import time
import urllib.parse
from collections.abc import Iterator

import grpc
import pytest

from benchmarks.server import start, stop
from narfi.access.routes import NEEDS, SOCKET
from narfi.access.secret import new_token
from narfi.core.grant import Scope
from narfi.core.wire.push_encode import encode_push_request
from tests.server.test_sign_in import Place, filled
from tests.written import whole_lines

FORGED = 'x"\n\r\x1b[2J level=error msg=forged\u2028'
YAML = {"Content-Type": "application/yaml"}
GROUP = b"name: g\nrules: [{alert: A, expr: 'count_over_time({app=\"a\"}[1m]) > 0'}]"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A server that logs all requests, and all queries as slow ones, as JSON."""
    folder, tokens = tmp_path_factory.mktemp("audit"), dict[str, str]()
    rows = []
    for scope in Scope:
        tenant = "*" if scope in (Scope.ADMIN, Scope.METRICS) else "a"
        tokens[str(scope)] = new_token().text
        rows.append(
            {
                "name": str(scope),
                "tenants": [tenant],
                "scopes": [str(scope)],
                "token": tokens[str(scope)],
            }
        )
    (folder / "tokens.yaml").write_text(json.dumps({"tokens": rows}))
    config = folder / "narfi.yaml"
    config.write_text(
        "tenancy: header\n"
        f"auth: {{enabled: true, tokens_file: {folder}/tokens.yaml}}\n"
        "log: {format: json, requests: all}\n"
        "querier: {log_queries_longer_than: 1us}\n"
        "compactor: {interval: 1s, delete_request_cancel_period: 1s}\n"
    )
    running = start(folder / "data", config, folder / "log")
    yield Place(running, config, folder / "log", tokens)
    stop(running)


def events(place: Place, **wanted: object) -> list[dict[str, object]]:
    """The events of the log with these fields, once there is one; every line is one."""
    until = time.monotonic() + 60
    while True:
        rows = [json.loads(line) for line in whole_lines(place.log)]
        found = [row for row in rows if wanted.items() <= row.items()]
        if found or time.monotonic() > until:
            return found
        time.sleep(0.1)


def event(place: Place, **wanted: object) -> dict[str, object]:
    """The only one."""
    (found,) = events(place, **wanted)
    return found


def test_each_request_is_a_line_with_its_id(place: Place) -> None:
    api = place.api("write", "a")
    body = json.dumps({"streams": [{"stream": {"app": "a"}, "values": [["1", "x"]]}]}).encode()
    headers = {"Content-Type": "application/json", "X-Request-Id": "mine-1"}
    answer = api.send("POST", "/loki/api/v1/push", body, headers)
    assert answer.headers["x-request-id"] == "mine-1"
    found = event(place, msg="request", request_id="mine-1")
    assert found["route"] == found["path"] == "/loki/api/v1/push"
    assert (found["tenant"], found["token"], found["method"]) == ("a", "write", "POST")
    assert (found["status"], found["bytes_in"]) == (answer.status, len(body))
    assert found["client"] == "127.0.0.1"
    assert isinstance(found["ms"], float)


def test_answers_of_every_kind_have_an_id(place: Place) -> None:
    ids = set()
    for token, path, status in (
        ("", "/loki/api/v1/labels", 401),
        ("read", "/config", 403),
        ("read", "/nowhere", 404),
        ("read", "/loki/api/v1/query?query=%7B", 400),
        ("", "/ready", 200),
    ):
        answer = place.api(token, "a").get(path)
        assert answer.status == status
        ids.add(answer.headers["x-request-id"])
        found = event(place, msg="request", request_id=answer.headers["x-request-id"])
        assert found["status"] == status
        assert found["bytes_out"] == len(answer.body)
    assert len(ids) == 5


def test_a_call_over_grpc_is_a_line_with_its_id(place: Place) -> None:
    with grpc.insecure_channel(place.running.grpc) as channel:
        push = channel.unary_unary("/logproto.Pusher/Push")
        message = encode_push_request([('{app="a"}', [(time.time_ns(), b"x", ())])])
        metadata = (
            ("authorization", f"Bearer {place.tokens['write']}"),
            ("x-scope-orgid", "a"),
            ("x-request-id", "call-1"),
        )
        _, call = push.with_call(message, metadata=metadata)
        assert ("x-request-id", "call-1") in call.trailing_metadata()
        with pytest.raises(grpc.RpcError) as raised:
            push(message, metadata=(("x-request-id", "call-2"),))
        assert ("x-request-id", "call-2") in raised.value.trailing_metadata()
    found = event(place, msg="request", request_id="call-1")
    assert (found["status"], found["tenant"], found["token"]) == ("OK", "a", "write")
    assert found["route"] == "/logproto.Pusher/Push"
    assert event(place, msg="request", request_id="call-2")["status"] == "UNAUTHENTICATED"


def test_a_slow_query_is_told_with_what_it_cost(place: Place) -> None:
    now = time.time_ns()
    place.api("write", "a").push({"app": "slow"}, *["level=info x"] * 100, ts_ns=now)
    query = 'sum by (level) (count_over_time({app="slow"} | logfmt [1m]))'
    answer = place.api("read", "a").get(
        "/loki/api/v1/query", {"X-Request-Id": "slow-1"}, query=query, time=str(now + 10**9)
    )
    assert answer.status == 200
    found = event(place, msg="slow query", request_id="slow-1")
    assert (found["query"], found["type"], found["outcome"]) == (query, "metric_instant", "ok")
    assert (found["tenant"], found["token"]) == ("a", "read")
    assert found["lines"] == 100
    assert found["bytes"] == 100 * len("level=info x")
    assert found["waited_ms"] <= found["ms"]  # type: ignore[operator]
    assert "scan:" in str(found["phases_ms"])
    broken = place.api("read", "a").get("/loki/api/v1/query", {"X-Request-Id": "b"}, query="{")
    told = event(place, msg="slow query", request_id="b")
    assert (told["type"], told["outcome"]) == ("unparsed", "invalid")
    assert str(told["error"]) == broken.text


def test_deletes_are_told_from_the_request_to_the_receipt(place: Place) -> None:
    now = time.time_ns()
    place.api("write", "a").push({"app": "gone"}, "x", "y", ts_ns=now - 60 * 10**9)
    place.api("delete", "a").send(
        "POST",
        "/loki/api/v1/delete?"
        + urllib.parse.urlencode({"query": '{app="gone"}', "start": "1000000000"}),
        None,
        {"X-Request-Id": "del-1"},
    )
    asked = event(place, logger="audit", msg="delete requested")
    assert (asked["token"], asked["tenant"], asked["request_id"]) == ("delete", "a", "del-1")
    assert asked["query"] == '{app="gone"}'
    done = event(place, logger="audit", msg="delete done")
    assert done["delete_request"] == asked["delete_request"]
    assert done["entries"] == 2


def test_a_cancelled_delete_is_told(place: Place) -> None:
    delete = place.api("delete", "a")
    asked = delete.send(
        "POST", "/loki/api/v1/delete?query=%7Bapp%3D%22c%22%7D&start=1000000000", None, {}
    )
    request = asked.headers["x-delete-request-id"]
    gone = delete.send("DELETE", f"/loki/api/v1/delete?request_id={request}&force=true", None, {})
    assert gone.status == 204
    found = event(place, logger="audit", msg="delete cancelled")
    assert (found["delete_request"], found["token"]) == (request, "delete")


def test_changes_of_rules_are_told(place: Place) -> None:
    rules = place.api("rules", "a")
    path = "/loki/api/v1/rules/ns"
    assert rules.send("POST", path, GROUP, YAML).status == 202
    written = event(place, logger="audit", msg="rule group written")
    assert (written["token"], written["tenant"], written["namespace"]) == ("rules", "a", "ns")
    assert rules.send("DELETE", f"{path}/g", None, {}).status == 202
    assert event(place, logger="audit", msg="rule group removed")["groupname"] == "g"
    assert rules.send("POST", path, GROUP, YAML).status == 202
    assert rules.send("DELETE", path, None, {}).status == 202
    assert event(place, logger="audit", msg="rule groups removed")["namespace"] == "ns"
    assert rules.send("POST", path, b"no", YAML).status == 400
    assert len(events(place, logger="audit", msg="rule group written")) == 2


def test_changes_of_tokens_are_told(place: Place) -> None:
    made = place.command("create", "--name", "extra", "--tenant", "a", "--scope", "read")
    token_id = made.stdout.split("_")[1]
    found = event(place, logger="audit", msg="tokens changed", source="catalog")
    assert found["added"] == f"extra({token_id})"
    assert place.command("revoke", token_id).returncode == 0
    event(place, msg="tokens changed", source="catalog", removed=f"extra({token_id})")
    path = place.log.parent / "tokens.yaml"
    listed = json.loads(path.read_text())
    more = {"name": "listed", "tenants": ["a"], "scopes": ["read"], "token": new_token().text}
    path.write_text(json.dumps({"tokens": [*listed["tokens"], more]}))
    event(place, logger="audit", msg="tokens changed", source="file")
    path.write_text(json.dumps(listed))


def test_the_log_level_is_told_and_silences_no_audit(place: Place) -> None:
    admin = place.api("admin")
    assert admin.send("POST", "/log_level?log_level=error", None, {}).status == 200
    found = event(place, logger="audit", msg="log level changed", now="error")
    assert (found["before"], found["token"]) == ("info", "admin")
    answer = admin.get("/log_level")
    assert admin.send("POST", "/log_level?log_level=info", None, {}).status == 200
    event(place, logger="audit", msg="log level changed", now="info")
    rows = [json.loads(line) for line in whole_lines(place.log)]
    assert answer.headers["x-request-id"] not in [row.get("request_id") for row in rows]


ROUTES = sorted((method, path) for method, path in NEEDS if method != SOCKET)


def test_no_token_gets_into_the_log_by_any_route_or_header(place: Place) -> None:
    """As a header of any kind, in path, parameters and body, right and wrong ones."""
    wrong = new_token().text
    tokens = [*place.tokens.values(), wrong]
    for method, path in ROUTES:
        for token in (place.tokens["admin"], wrong):
            _send_everywhere(place, method, filled(path), token)
    before = len(_grpc_calls(place))
    with grpc.insecure_channel(place.running.grpc) as channel:
        for token in tokens:
            names = ("authorization", "x-scope-orgid", "x-request-id", "user-agent", "x-other")
            with pytest.raises(grpc.RpcError):
                channel.unary_unary("/logproto.Pusher/Push")(
                    token.encode(), metadata=tuple((name, token) for name in names)
                )
    until = time.monotonic() + 60
    while len(found := _grpc_calls(place)[before:]) < len(tokens) and time.monotonic() < until:
        time.sleep(0.1)
    assert len(found) == len(tokens)
    # Exhausted: this client guessed too often; how many come through before is a matter of time.
    assert {row["status"] for row in found} <= {"UNAUTHENTICATED", "RESOURCE_EXHAUSTED"}
    text = place.log.read_text()
    assert len(text.splitlines()) > 4 * len(ROUTES)
    for token in tokens:
        secret = token.split("_", 2)[2]
        assert secret not in text
        assert base64.b64encode(f"u:{token}".encode()).decode() not in text
        assert secret[:20] not in text


def _grpc_calls(place: Place) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in whole_lines(place.log)]
    return [row for row in rows if row.get("method") == "gRPC"]


def _send_everywhere(place: Place, method: str, path: str, token: str) -> None:
    basic = base64.b64encode(f"u:{token}".encode()).decode()
    body = token.encode() if method != "GET" else None
    told = {
        "X-Scope-OrgID": token,
        "X-Request-Id": token,
        "X-Query-Tags": f"Source={token}",
        "User-Agent": token,
        "Referer": f"http://a/?t={token}",
        "Cookie": f"t={token}",
        "X-Forwarded-For": token,
    }
    api = place.api("")
    address = f"{path}?query={token}&token={token}&request_id={token}&log_level={token}"
    for authorization in (f"Bearer {token}", f"Basic {basic}", token):
        api.send(method, address, body, {**told, "Authorization": authorization})
    api.send(method, f"{path}/{token}", body, {"Authorization": f"Bearer {token}"})


def test_no_request_forges_a_line(place: Place) -> None:
    quoted = urllib.parse.quote(FORGED)
    read = place.api("read", "a")
    read.get(f"/nowhere/{quoted}")
    read.get(f"/loki/api/v1/label/{quoted}/values")
    read.get("/loki/api/v1/query", {"X-Query-Tags": "a\tb"}, query=f'{{app="{FORGED}"}}')
    read.get("/loki/api/v1/query", query='{app="' + "a" * 20_000 + '"}')
    place.api("rules", "a").send("POST", f"/loki/api/v1/rules/{quoted}", GROUP, YAML)
    place.api("delete", "a").send(
        "POST", f"/loki/api/v1/delete?start=1000000000&query={quoted}%7Bapp%3D%22x%22%7D", None, {}
    )
    event(place, msg="request", path=f"/nowhere/{FORGED}")
    lines = whole_lines(place.log)
    for line in lines:
        assert line.isprintable()
        assert len(line) < 20_000
        assert json.loads(line)["msg"] != "forged"
    assert any("… (20008 characters)" in str(json.loads(line).get("query")) for line in lines)
