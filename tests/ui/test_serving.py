"""Does a real server give the page, under its rules, to everybody and at every time?"""

import gzip
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from benchmarks.server import Running, start, stop
from narfi.core.settings import Settings, load_settings
from narfi.server.addresses import page_url
from ui.serving import POLICY, page_files

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One behind a proxy that asks for tokens."""
    settings = {"SERVER__PATH_PREFIX": "/logs", "AUTH__ENABLED": "true"}
    folder = tmp_path_factory.mktemp("page")
    running = start(folder / "data", log=folder / "log", settings=settings)
    yield running
    stop(running)


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    """A browser without a token."""
    with httpx.Client(base_url=server.url, timeout=60) as found:
        yield found


def test_browsers_find_the_page(client: httpx.Client) -> None:
    answer = client.get("/", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (302, "/logs/ui/")
    assert client.get("/ui").headers["location"] == "/logs/ui/"
    assert client.get("/logs/ui/").text == client.get("/ui/").text
    assert "<title>Narfi</title>" in client.get("/ui/").text


def test_programs_find_what_they_found_before(client: httpx.Client) -> None:
    answer = client.get("/", headers={"Accept": "*/*"})
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("name", sorted(page_files()))
def test_every_file_has_the_rules(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/ui/{name}")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-frame-options"] == "DENY"
    is_hashed = name.endswith((".js", ".css"))
    assert ("immutable" in answer.headers["cache-control"]) == is_hashed
    assert answer.content == page_files()[name].content


def test_nothing_may_run_that_is_not_a_file_of_the_page() -> None:
    for rule in ("unsafe-inline", "unsafe-eval", "*", "http:", "https:", "blob:"):
        assert rule not in POLICY


def test_files_come_packed_and_are_not_sent_twice(client: httpx.Client) -> None:
    name = next(name for name in page_files() if name.startswith("app-") and name.endswith(".js"))
    with client.stream("GET", f"/ui/{name}", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == page_files()[name].content
    tag = {"If-None-Match": answer.headers["etag"], "Accept-Encoding": "gzip"}
    again = client.get(f"/ui/{name}", headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    plain = client.get(f"/ui/{name}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize(
    "path", ["/ui/none.js", "/ui/../serving.py", "/ui/%2e%2e/serving.py", "/ui/src/main.tsx"]
)
def test_there_is_nothing_else(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code in (301, 401, 404)


@pytest.mark.parametrize("way", ["setting", "flag"])
def test_it_can_be_left_out(way: str) -> None:
    given = {"server.ui": "false"} if way == "flag" else {}
    environment = {"NARFI_SERVER__UI": "false"} if way == "setting" else {}
    settings = load_settings(None, environment, given)
    assert page_url(settings) == ""
    assert page_url(load_settings(None, {}, {})) == "http://127.0.0.1:3100/ui/"


def test_the_flag_is_told() -> None:
    command = [sys.executable, "-m", "narfi.cli", "serve", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--no-ui" in told


def test_a_process_without_queries_has_no_page() -> None:
    assert page_url(Settings(roles=("ingester",), limits={}, overrides={})) == ""


def test_the_log_tells_where_it_is(server: Running) -> None:
    log = (server.data_dir.parent / "log").read_text()
    assert f"page={server.url}/logs/ui/" in log
