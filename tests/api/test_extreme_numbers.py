"""Can a number of a client break the server, or keep it busy? Every parameter of every route, and
every number that a query or a push can hold: never a 5xx, and an answer at once."""

import ast
import http.client
import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock

import cramjam
import grpc
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.push import cpu_seconds
from benchmarks.server import Running, start, stop
from narfi.core.wire.push_encode import varint
from narfi.server.app import all_routers
from querier.http_api.form import FORM_TYPE
from tests.reference.budget import PROFILE

pytestmark = pytest.mark.slow

CONFIG = """
tenancy: header
limits:
  approx_topk_enabled: true
  max_query_length: 0s
  reject_old_samples: false
  creation_grace_period: 250y
  max_concurrent_tail_requests: 100
"""
TENANT = "extreme"
SOON_S = 5.0
"""Seconds of the server's CPU: far more than any needs, far less than an unclamped number costs."""
HTTP_API = Path(__file__).parents[2] / "querier" / "http_api"

NUMERIC = {
    *("start", "end", "time", "since", "step", "interval", "limit", "line_limit", "field_limit"),
    *("delay_for", "max_interval", "ts", "offset", "from", "max_line_bytes", "max_bytes"),
}
TEXTUAL = {
    *("query", "match", "match[]", "direction", "explain", "targetLabels", "aggregateBy", "regexp"),
    *("request_id", "force", "columns", "cursor", "flags", "format", "grouped", "labels", "parsed"),
    *("stream", "tenant", "id"),
}
VALUES = (
    *("9223372036854775807", "-9223372036854775808", "99999999999999999999", "9" * 5000),
    *("9999999999", "-999999999", "1e308", "1.7e308", "-1.5e300", "1e-400", "NaN", "-Inf", "+Inf"),
    *("0x7fffffffffffffff", "1_0", "4294967296", "2147483648", "-1", "0", "-0.0", "٣", " 5", ""),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
    *("292y", "300y", "9223372036854775807ms", "2562048h", "1ms", "99999999999999999999y"),
)
PARTS = 6 if PROFILE == "gate" else 1
"""A route gets a sixth of the values in the gate, the next route the next sixth: each value meets
each parameter on some routes, which parse alike; all meet on all with `make properties`."""
S = '{app="x"}'
HUGE = "99999999999999999999"
QUERIES = (
    *(f"count_over_time({S}[{r}])" for r in ("292y", "73y", "100y", "1ms", "0", "9999999y")),
    *(f"rate({S}[{r}])" for r in ("292y", "100y", "0s")),
    *(f"sum_over_time({S} | logfmt | unwrap v [{r}])" for r in ("292y", "100y")),
    *(f"quantile_over_time(0.9, {S} | logfmt | unwrap v [{r}])" for r in ("292y", "0s")),
    *(f"rate_counter({S} | logfmt | unwrap v [{r}])" for r in ("292y", "0s")),
    *(f"last_over_time({S} | logfmt | unwrap v [{r}])" for r in ("292y", "0s")),
    *(
        f"count_over_time({S}[{r}] offset {o})"
        for r in ("1h", "292y")
        for o in ("292y", "-2562047h", "146y", "-1281023h", "2562047h47m16.854775807s")
    ),
    f"absent_over_time({S}[5m] offset 292y)",
    *(f"topk({n}, count_over_time({S}[5m]))" for n in (2**63 - 1, HUGE, "1e18", "9" * 5000)),
    *(f"bottomk({n}, count_over_time({S}[5m]))" for n in (2**63 - 1, 2**31)),
    *(f"quantile_over_time({q}, {S} | logfmt | unwrap v [5m])" for q in ("1e308", HUGE, "1e-400")),
    *(f"{S} | logfmt | v > {n}" for n in (HUGE, "1e308", "-1e308", "5e-324", "9" * 400)),
    *(f"{S} | logfmt | v > {n}" for n in ("9223372036854775807ns", "292y", "300y", "-2562047h")),
    *(f"{S} | logfmt | v > {n}" for n in ("18446744073709551615B", "16EB", f"{HUGE}GB", "1e3B")),
    *(f'{S} | json x="[{n}]"' for n in (HUGE, 2**63 - 1, 2**31, 2**32, "9" * 5000)),
    *(f'{S} | json x="a[{n}].b"' for n in (HUGE, 2**63 - 1)),
    *(f'{S} | label_format y="{{{{ {f} }}}}"' for f in (f"add {2**63 - 1} 1", f"int `{HUGE}`")),
    *(f'{S} | line_format "{{{{ {f} }}}}"' for f in ("repeat 9223372036854775807 `a`",)),
    *(f'{S} | line_format "{{{{ {f} }}}}"' for f in ("trunc 9223372036854775807 .v",)),
    *(f'{S} | line_format "{{{{ {f} }}}}"' for f in ("alignLeft 9223372036854775807 .v",)),
    *(f'{S} | line_format "{{{{ {f} }}}}"' for f in ("indent 9223372036854775807 .v",)),
    *(f'{S} | line_format "{{{{ {f} }}}}"' for f in ("unixToTime `9999999999999999999`",)),
    *(f'{S} | line_format "{{{{ {f} }}}}"' for f in ("div -9223372036854775808 -1",)),
    f'{S} |~ "a{{1000}}{{1000}}"',
    f'{S} |~ "a{{99999999999999999999}}"',
    f'{S} |= ip("99999999999.1.1.1")',
    f'{S} |= ip("::/99999999999999999999")',
    f"vector({HUGE}) ^ {HUGE} ^ {HUGE}",
    "vector(1e308) * 1e308",
    f"2 ^ {HUGE}",
    f"{HUGE} % 1e-300",
    f"vector({'9' * 400})",
)


def routes() -> Iterator[BaseRoute]:
    """Every route of the application."""
    for router in all_routers(MagicMock(), MagicMock(), MagicMock()):
        yield from router.routes


ROUTES = sorted(
    (method, route.path.replace("{name}", "app"))
    for route in routes()
    if isinstance(route, APIRoute)
    for method in route.methods or ()
    if route.path != "/flush"
)
SOCKETS = sorted(route.path for route in routes() if isinstance(route, WebSocketRoute))


class Client:
    """One connection that is kept."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._open = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=120)

    def ask(
        self, method: str, path: str, body: bytes | None = None, content_type: str = ""
    ) -> tuple[int, bytes]:
        """Status and body; it must come soon, and not be a failure of the server."""
        headers = {"X-Scope-OrgID": TENANT}
        if content_type:
            headers["Content-Type"] = content_type
        before = self._spent()
        try:
            self._open.request(method, path, body, headers)
            with self._open.getresponse() as answer:
                found = answer.status, answer.read()
        finally:
            if self._spent() - before > SOON_S:
                self._open.close()  # the next request has a connection of its own
        what = f"{method} {urllib.parse.unquote(path)[:300]} {(body or b'')[:300]!r}"
        assert found[0] < 500, f"{what}: {found[0]} {found[1][:500]!r}"
        assert self._spent() - before < SOON_S, f"{what} took {self._spent() - before:.1f} s of CPU"
        return found

    def _spent(self) -> float:
        """Seconds of CPU that the server has used: a busy machine is no fault of it."""
        return cpu_seconds(self._running.process.pid)

    def get(self, path: str, **parameters: str) -> tuple[int, bytes]:
        """A GET request."""
        return self.ask("GET", f"{path}?{urllib.parse.urlencode(parameters)}")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server without a limit that would hide a number; lines in blocks and in the head."""
    folder = tmp_path_factory.mktemp("extreme")
    (folder / "narfi.yaml").write_text(CONFIG)
    running = start(folder / "data", folder / "narfi.yaml", folder / "log")
    client = Client(running)
    now = time.time_ns()
    for first in (now - 60 * 10**9, now - 10**9):
        values = [
            [str(first + k * 10**6), f'{{"a": [{k}]}} v={k} n=1 {"x" * k}'] for k in range(50)
        ]
        body = json.dumps({"streams": [{"stream": {"app": "x"}, "values": values}]}).encode()
        client.ask("POST", "/loki/api/v1/push", body, "application/json")
        if first < now - 30 * 10**9:
            client.ask("POST", "/flush")
    yield client
    stop(running)


def test_the_routes_are_found() -> None:
    assert {("GET", "/loki/api/v1/query_range"), ("POST", "/otlp/v1/logs")} <= set(ROUTES)
    assert SOCKETS == ["/api/prom/tail", "/loki/api/v1/tail"]


def test_every_parameter_is_known() -> None:
    """Whoever adds a parameter says here whether it is a number."""
    named = set()
    for file in HTTP_API.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _asks(node.func):
                texts = (a.value for a in node.args if isinstance(a, ast.Constant))
                named |= {text for text in texts if isinstance(text, str)}
    assert named == NUMERIC | TEXTUAL


def _asks(called: ast.expr) -> bool:
    """Whether a call names parameters: `parameters.get(…)` or one of the ways around it."""
    if isinstance(called, ast.Attribute):
        of = called.value
        return called.attr in ("get", "all") and isinstance(of, ast.Name) and of.id == "parameters"
    return isinstance(called, ast.Name) and called.id in ("parse_count", "_bound")


@pytest.mark.every_value
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_parameter_of_every_route(client: Client, method: str, path: str) -> None:
    base = {"query": S, "match[]": S}
    values = VALUES if method == "GET" else VALUES[:6]  # all methods parse alike
    for turn, name in enumerate(sorted(NUMERIC), ROUTES.index((method, path))):
        for value in values[turn % PARTS :: PARTS]:
            form = urllib.parse.urlencode({**base, name: value})
            client.ask(method, f"{path}?{form}")
            if method == "POST":
                client.ask(method, path, form.encode(), FORM_TYPE)


@pytest.mark.parametrize(
    "path", ["query_range", "index/volume_range", "patterns", "detected_fields"]
)
def test_steps_and_bounds_together(client: Client, path: str) -> None:
    """The widest ranges, so that the check of the number of points does not come first."""
    bounds = ("", "0", "-9223372036854775808", "9223372036854775807", "0001-01-01T00:00:00Z")
    steps = ("", "292y", "146y", "9223372036", "800000s", "1e9", "100")
    query = f"count_over_time({S}[5m])" if path == "query_range" else S
    for begin in bounds:
        for end in bounds:
            for step in steps:
                parameters = {"query": query, "start": begin, "end": end, "step": step}
                client.get(f"/loki/api/v1/{path}", **parameters)


@pytest.mark.parametrize("query", QUERIES)
def test_numbers_in_queries(client: Client, query: str) -> None:
    for path in ("query_range", "query", "detected_fields", "format_query"):
        client.get(f"/loki/api/v1/{path}", query=query)
    far = {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z", "step": "10y"}
    client.get("/loki/api/v1/query_range", query=query, **far)
    client.get("/loki/api/v1/query", query=query, time="9223372036854775807")


@pytest.mark.parametrize("name", sorted(NUMERIC))
@pytest.mark.parametrize("path", SOCKETS)
def test_numbers_of_sockets(client: Client, path: str, name: str) -> None:
    for value in VALUES[:8]:
        query = urllib.parse.urlencode({"query": S, name: value})
        url = f"{client._running.url.replace('http', 'ws')}{path}?{query}"
        refused = 400
        try:
            with connect(url, additional_headers={"X-Scope-OrgID": TENANT}, open_timeout=60):
                continue
        except InvalidStatus as error:
            refused = error.response.status_code
        assert refused == 400, url


TIMES = (
    *("0", "-1", "1", "9223372036854775807", "-9223372036854775808", "9223372036854775808", HUGE),
    *("9" * 5000, "1e18", "1e400", "0x10", "", "4611686018427387905", "-2305843009213693953"),
    *("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2262-04-12T00:00:00Z"),
)


@pytest.mark.parametrize("ts", TIMES)
def test_times_of_pushes(client: Client, ts: str) -> None:
    stream = {"stream": {"app": "old"}, "values": [[ts, "line"]]}
    body = json.dumps({"streams": [stream]}).encode()
    client.ask("POST", "/loki/api/v1/push", body, "application/json")
    record = {"timeUnixNano": ts, "body": {"stringValue": "line"}}
    resource = {"scopeLogs": [{"logRecords": [record]}]}
    body = json.dumps({"resourceLogs": [resource]}).encode()
    client.ask("POST", "/otlp/v1/logs", body, "application/json")
    legacy = {"streams": [{"labels": '{app="old"}', "entries": [{"ts": ts, "line": "line"}]}]}
    client.ask("POST", "/api/prom/push", json.dumps(legacy).encode(), "application/json")
    number = json.dumps({"resourceLogs": [resource]}).replace(f'"{ts}"', ts or "0").encode()
    client.ask("POST", "/otlp/v1/logs", number, "application/json")


@pytest.mark.parametrize(
    "seconds", [0, -1, 2**63 - 1, -(2**63), 9223372036, 9223372037, -9223372037]
)
@pytest.mark.parametrize("nanos", [0, -1, 2**31 - 1, -(2**31), 999_999_999])
def test_times_of_protobuf_pushes(client: Client, seconds: int, nanos: int) -> None:
    stamp = _field(1, seconds) + _field(2, nanos)
    entry = _message(1, stamp) + _message(2, b"line")
    push = _message(1, _message(1, b'{app="old"}') + _message(2, entry))
    packed = bytes(cramjam.snappy.compress_raw(push))
    client.ask("POST", "/loki/api/v1/push", packed, "application/x-protobuf")
    with grpc.insecure_channel(client._running.grpc) as channel:
        call = channel.unary_unary("/logproto.Pusher/Push")
        metadata = (("x-scope-orgid", TENANT),)
        code = call.future(push, timeout=120, metadata=metadata).code()
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT)


def _field(number: int, value: int) -> bytes:
    return bytes([number << 3]) + varint(value % 2**64)


def _message(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def test_what_was_pushed_with_extreme_times_can_be_stored_and_asked_for(client: Client) -> None:
    """After the pushes above: whatever was taken is no obstacle to anything."""
    far = {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}
    for _ in range(2):
        for query in ('{app=~".+"}', 'sum(count_over_time({app=~".+"}[100y]))'):
            client.get("/loki/api/v1/query_range", query=query, step="10y", **far)
            client.get("/loki/api/v1/query_range", query=query)
        for path in ("index/stats", "index/volume", "patterns", "labels", "series"):
            client.get(f"/loki/api/v1/{path}", query='{app=~".+"}', step="10y", **far)
        assert client.ask("POST", "/flush")[0] == 204
