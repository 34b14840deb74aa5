"""Is a page of somebody else kept from a real server on loopback, and is everybody else let in?"""

from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from benchmarks.server import Running, start, stop

EVIL = {"Origin": "http://evil.example"}
CHANGES = [
    ("POST", "/loki/api/v1/push"),
    ("POST", "/otlp/v1/logs"),
    ("POST", "/loki/api/v1/delete?query=%7Ba%3D%22b%22%7D&start=1"),
    ("DELETE", "/loki/api/v1/delete?request_id=x"),
    ("POST", "/flush"),
    ("POST", "/log_level?log_level=loud"),
    ("POST", "/loki/api/v1/rules/ns"),
    ("DELETE", "/loki/api/v1/rules/ns"),
    ("POST", "/loki/api/v1/query?query=1"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with defaults, but for one page of another origin."""
    folder = tmp_path_factory.mktemp("browsers")
    settings = {"SERVER__CORS_ORIGINS": "https://ui.example.com"}
    running = start(folder / "data", settings=settings)
    yield running
    stop(running)


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    """A program."""
    with httpx.Client(base_url=server.url, timeout=60) as found:
        yield found


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize(
    "headers", [EVIL, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}], ids=str
)
def test_nothing_is_changed(
    client: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> None:
    """Not even by a simple request, which no browser asks about first."""
    answer = client.request(method, path, headers=headers | {"Content-Type": "text/plain"})
    assert (answer.status_code, "may not do this" in answer.text) == (403, True)
    assert client.request(method, path).status_code != 403


@pytest.mark.parametrize(
    "path", ["/ready", "/metrics", "/config", "/loki/api/v1/labels", "/nowhere"]
)
def test_a_name_that_was_made_to_lead_here_is_not_answered(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers={"Host": "evil.example:3100"})
    assert (answer.status_code, "server.hosts" in answer.text) == (403, True)
    assert client.get(path, headers={"Host": "localhost:3100"}).status_code != 403


def follow(server: Running, **headers: str) -> int:
    """The status of a tail's handshake."""
    url = server.url.replace("http", "ws") + '/loki/api/v1/tail?query={app="x"}'
    origin = headers.pop("origin", None)
    try:
        with connect(url, origin=origin, additional_headers=headers):  # type: ignore[arg-type]
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_sockets(server: Running) -> None:
    assert follow(server) == 101
    assert follow(server, origin=server.url) == 101
    assert follow(server, origin="https://ui.example.com") == 101
    assert follow(server, origin="http://evil.example") == 403
    assert follow(server, origin="null") == 403
    assert follow(server, **{"Sec-Fetch-Site": "cross-site"}) == 403


def test_answers_are_read_by_the_pages_that_are_named(client: httpx.Client) -> None:
    named = client.get("/loki/api/v1/labels", headers={"Origin": "https://ui.example.com"})
    assert named.headers["access-control-allow-origin"] == "https://ui.example.com"
    other = client.get("/loki/api/v1/labels", headers=EVIL)
    assert "access-control-allow-origin" not in other.headers
    asked = {"Access-Control-Request-Method": "POST"}
    preflight = client.options("/loki/api/v1/query", headers={**EVIL, **asked})
    assert "access-control-allow-origin" not in preflight.headers
    preflight = client.options(
        "/loki/api/v1/query", headers={"Origin": "https://ui.example.com", **asked}
    )
    assert (preflight.status_code, "POST" in preflight.headers["access-control-allow-methods"]) == (
        200,
        True,
    )


@pytest.mark.parametrize("path", ["/ready", "/loki/api/v1/labels", "/nowhere", "//ready"])
def test_every_answer_tells_browsers_to_be_careful(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_no_answer_holds_a_header_of_the_request(client: httpx.Client) -> None:
    """Names in paths and parameters come back in texts, never as headers."""
    told = "a%0d%0aX-Injected:%20yes"
    for path in (f"//x/{told}", f"/loki/api/v1/labels?{told}", f"/loki/api/v1/label/{told}/values"):
        answer = client.get(f"{path}?query={told}&start={told}")
        assert "x-injected" not in answer.headers
        assert answer.status_code in (200, 301, 400, 404)
