"""Does the server's log have one form, and do its level and the environment do what they should?"""

import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import Running, start, stop
from tests.written import whole_lines

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)')
KUBERNETES = {
    "PORT": "tcp://10.0.0.1:3100",
    "SERVICE_HOST": "10.0.0.1",
    "PORT_3100_TCP_ADDR": "10.0.0.1",
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server logs to."""
    return tmp_path_factory.mktemp("log") / "server.log"


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[Running]:
    """A server beside a Service named narfi."""
    running = start(log.parent / "data", log=log, settings=KUBERNETES)
    yield running
    stop(running)


def fields(line: str) -> dict[str, str]:
    """The pairs of a logfmt line; fails where there is anything else on it."""
    found = FIELD.findall(line)
    assert FIELD.sub("", line) == "", line
    return dict(found)


def ask(server: Running, path: str, data: bytes | None = None, tags: str = "") -> str:
    """The text of an answer."""
    request = urllib.request.Request(f"{server.url}{path}", data=data)
    request.add_header("X-Query-Tags", tags)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(answer.read().decode())


def tagged(server: Running, tag: str) -> None:
    """A query whose tags are logged at level info."""
    query = urllib.parse.urlencode({"query": '{a="b"}'})
    ask(server, f"/loki/api/v1/query_range?{query}", tags=f"Source={tag}")


def test_every_line_has_the_form(server: Running, log: Path) -> None:
    until = time.monotonic() + 60
    while "narfi is ready" not in "".join(whole_lines(log)) and time.monotonic() < until:
        time.sleep(0.05)
    rows = [fields(line) for line in whole_lines(log)]
    assert all({"ts", "level", "logger", "msg"} <= row.keys() for row in rows)
    assert all(row["ts"].endswith("Z") for row in rows)
    (ready,) = [row for row in rows if row["msg"] == '"narfi is ready"']
    assert ready["http"] == server.url
    (ignored,) = [row for row in rows if "no settings, ignored" in row["msg"]]
    assert ignored["names"] == "NARFI_PORT,NARFI_PORT_3100_TCP_ADDR,NARFI_SERVICE_HOST"


def test_the_endpoint_changes_what_is_logged(server: Running, log: Path) -> None:
    assert ask(server, "/log_level") == '{"message":"Current log level is info"}'
    tagged(server, "first")
    assert "Source=first" in log.read_text()
    told = ask(server, "/log_level", b"log_level=error")
    assert told == '{"status":"success","message":"Log level set to error"}'
    assert ask(server, "/log_level") == '{"message":"Current log level is error"}'
    tagged(server, "second")
    assert "Source=second" not in log.read_text()
    ask(server, "/log_level?log_level=debug", b"")
    tagged(server, "third")
    assert "Source=third" in log.read_text()
    for line in whole_lines(log):
        fields(line)
