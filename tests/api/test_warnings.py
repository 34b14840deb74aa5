"""Does every endpoint that would have needed a damaged block say so, and no other answer?

One server warns and one refuses. Each has a block whose file was cut, so that it is left out since
its lines were asked for; its streams are known, so selectors of others do not warn.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.push import flush
from benchmarks.server import Running, start, stop
from querier.http_api.requests import MAX_WARNING_BYTES, warned
from tests.served import Answer, Api, hear_interrupts
from tests.storage.form import ORDINARY

NS = 10**9
OLD = time.time_ns() // NS - 5 * 3600
NEW = OLD + 2 * 3600
WIDTH = 600
HEADER = "x-narfi-warning"
LINES = ORDINARY.entries
LOST, KEPT = '{app="lost"}', '{app="kept"}'


def endpoints(query: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Path and parameters by name, of all that read blocks; times come on top."""
    v1 = "/loki/api/v1"
    counted = f"count_over_time({query}[15m])"
    asked = {"query": query}
    return {
        "query_range": (f"{v1}/query_range", asked),
        "query_range, metric": (f"{v1}/query_range", {"query": counted, "step": "60"}),
        "query": (f"{v1}/query", {"query": counted}),
        "labels": (f"{v1}/labels", asked),
        "label values": (f"{v1}/label/app/values", asked),
        "series": (f"{v1}/series", {"match[]": query}),
        "index/stats": (f"{v1}/index/stats", asked),
        "index/volume": (f"{v1}/index/volume", asked),
        "index/volume_range": (f"{v1}/index/volume_range", {**asked, "step": "60"}),
        "patterns": (f"{v1}/patterns", asked),
        "detected_labels": (f"{v1}/detected_labels", asked),
        "detected_fields": (f"{v1}/detected_fields", asked),
        "detected_field values": (f"{v1}/detected_field/took/values", asked),
        "fields": ("/narfi/api/v1/fields", asked),
        "facets": ("/narfi/api/v1/facets", {**asked, "fields": "took"}),
        "histogram": ("/narfi/api/v1/histogram", asked),
        "distribution": ("/narfi/api/v1/distribution", {**asked, "field": "took"}),
        "narfi patterns": ("/narfi/api/v1/patterns", asked),
        "explain": ("/narfi/api/v1/explain", asked),
        "prom query": ("/api/prom/query", asked),
        "prom label": ("/api/prom/label", asked),
        "prom label values": ("/api/prom/label/app/values", asked),
        "prom series": ("/api/prom/series", {"match[]": query}),
    }


NAMES = tuple(endpoints(LOST))
IN_BODY = ("query_range", "query_range, metric", "query", "index/volume", "index/volume_range")
"""Whose body has a place for warnings."""
EXPLORING = ("fields", "facets", "histogram", "distribution", "narfi patterns", "explain")
"""Whose warnings know the time and the rows that are missing."""


@dataclass(frozen=True)
class Damaged:
    """A server with a damaged block of `LOST`, and a whole one of `KEPT` of the same time."""

    running: Running
    api: Api
    block: str

    def ask(self, name: str, query: str, first: int = OLD) -> Answer:
        """Any endpoint, over the ten minutes of a push."""
        path, parameters = endpoints(query)[name]
        times = {"start": str(first - 1), "end": str(first + WIDTH), "time": str(first + WIDTH)}
        return self.api.get(path, **parameters, **times)

    def status(self) -> Any:
        """Of the server."""
        return self.api.get("/status").json


def push(api: Api, app: str, first: int) -> None:
    """Lines of one stream."""
    api.push({"app": app}, *(f"took={k}ms of {app}" for k in range(20)), ts_ns=first * NS)


@pytest.fixture(scope="module", params=["warn", "refuse"])
def damaged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Damaged]:
    """Blocks of two streams and times, of which one is cut before anybody read it."""
    folder: Path = tmp_path_factory.mktemp("warnings")
    config = folder / "narfi.yaml"
    config.write_text(f"compactor: {{interval: 1h}}\nquerier: {{partial: {request.param}}}\n")
    running = start(folder / "data", config, folder / "log")
    api = Api(running.url, "fake", running.grpc)
    blocks = running.data_dir / "objects" / "blocks"
    known: set[Path] = set()
    for app, first in (("lost", OLD), ("kept", OLD), ("lost", NEW)):
        push(api, app, first)
        flush(running.url)
        if not known:
            (lines,) = blocks.rglob(LINES)
            content = lines.read_bytes()
            lines.write_bytes(content[: len(content) // 2])
        known |= set(blocks.rglob(LINES))
    assert len(known) == 3
    found = Damaged(running, api, lines.parent.name)
    found.ask("query_range", LOST)  # who asks for streams alone does not meet it
    assert found.status()["quarantine"]["count"] == 1
    yield found
    stop(running)


def warns(damaged: Damaged) -> bool:
    return "partial: warn" in (damaged.running.data_dir.parent / "narfi.yaml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_needed_the_block_says_so(damaged: Damaged, name: str) -> None:
    answer = damaged.ask(name, LOST)
    told = f"block {damaged.block} is damaged and was left out"
    if warns(damaged):
        assert answer.status == 200, answer.text
        assert answer.headers[HEADER].startswith(told)
        assert "of its 20 entries from" in answer.headers[HEADER]
        if name in EXPLORING:
            (warning,) = answer.json["warnings"]
            assert warning["text"] == answer.headers[HEADER]
            assert warning["rows"] == 20
            assert (int(warning["start"]), int(warning["end"])) == (OLD * NS, OLD * NS + 19)
        elif name in IN_BODY:
            assert answer.json["warnings"] == [answer.headers[HEADER]]
        else:
            assert "warnings" not in answer.text
    else:
        assert answer.status == 503
        assert answer.text.startswith(told)
        assert "querier.partial is refuse" in answer.text
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("name", NAMES)
def test_what_needed_nothing_of_it_does_not(damaged: Damaged, name: str) -> None:
    for query, first in ((KEPT, OLD), (LOST, NEW)):
        answer = damaged.ask(name, query, first)
        assert answer.status == 200, answer.text
        assert HEADER not in answer.headers
        assert name not in EXPLORING or answer.json["warnings"] == []
        assert "is damaged" not in answer.text


def followed(damaged: Damaged, query: str) -> Any:
    """The first message of a follower, or why it was closed."""
    asked = urllib.parse.urlencode({"query": query, "start": str((OLD - 1) * NS), "limit": "100"})
    url = damaged.running.url.replace("http", "ws") + f"/loki/api/v1/tail?{asked}"
    with connect(url) as socket:
        try:
            return json.loads(socket.recv(timeout=60))
        except ConnectionClosed as closed:
            return closed.rcvd.reason if closed.rcvd is not None else ""


def test_a_follower_is_told_first(damaged: Damaged) -> None:
    message = followed(damaged, LOST)
    told = f"block {damaged.block} is damaged"
    if warns(damaged):
        (warning,) = message["warnings"]
        assert warning.startswith(told)
        assert len(message["streams"]) == 20, "what is left, of the later block"
    else:
        assert message.startswith(told)
    assert "warnings" not in followed(damaged, KEPT)


@pytest.mark.parametrize("name", NAMES)
def test_an_outage_is_none_of_it(damaged: Damaged, name: str) -> None:
    """The folder of all objects is away, as a disk that is not mounted; then it is back."""
    before = damaged.status()["quarantine"]["count"]
    objects = damaged.running.data_dir / "objects"
    away = objects.with_name("away")
    push(damaged.api, "late", OLD - 3600)  # of which nothing is remembered yet
    flush(damaged.running.url)
    objects.rename(away)
    try:
        answer = damaged.ask(name, '{app="late"}', OLD - 3600)
    finally:
        away.rename(objects)
    assert answer.status == 503, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert "is damaged" not in answer.text
    assert HEADER not in answer.headers
    assert damaged.status()["quarantine"]["count"] == before
    again = damaged.ask(name, '{app="late"}', OLD - 3600)
    assert (again.status, HEADER in again.headers) == (200, False), again.text


def test_many_warnings_fit_into_headers() -> None:
    texts = [f"{number:03d} {'é' * 200}" for number in range(50)]
    found = warned(Response(), texts).headers.getlist(HEADER)
    assert found[0] == f"000 {'?' * 200}"
    assert found[-1] == f"{50 - len(found) + 1} more warnings"
    assert sum(map(len, found)) <= MAX_WARNING_BYTES + 30
    assert warned(Response(), texts[:3]).headers.getlist(HEADER)[2].startswith("002")
    assert len(warned(Response(), ["x" * 10_000]).headers[HEADER]) == MAX_WARNING_BYTES


def rfc3339(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


WINDOW = ("--from", rfc3339(OLD - 1), "--to", rfc3339(OLD + WIDTH))


def command(damaged: Damaged, *arguments: str, code: int = 0) -> tuple[str, list[str]]:
    """(what was printed, warnings) of a command."""
    environment = {**os.environ, "LOKI_ADDR": damaged.running.url}
    done = subprocess.run(
        [sys.executable, "-m", "narfi.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == code, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    return done.stdout, warnings


@pytest.mark.parametrize("damaged", ["warn"], indirect=True)
@pytest.mark.parametrize(
    "asked",
    [
        ("query", LOST, "--quiet", "--limit", "0", "--batch", "7"),
        ("query", LOST, "--explain"),
        ("labels", "app"),
        ("series", LOST),
        ("stats", LOST),
        ("volume", LOST),
        ("detected-fields", LOST),
    ],
    ids=lambda asked: " ".join(asked[:3]),
)
def test_commands_tell_it_on_stderr(damaged: Damaged, asked: tuple[str, ...]) -> None:
    _, warnings = command(damaged, *asked, *WINDOW)
    assert [f"block {damaged.block} is damaged" in text for text in warnings] == [True]


@pytest.mark.parametrize("damaged", ["warn"], indirect=True)
def test_a_strict_command_exits_with_3(damaged: Damaged) -> None:
    printed, warnings = command(damaged, "labels", "app", *WINDOW, "--strict", code=3)
    assert printed.split() == ["kept"], "what is there is printed all the same"
    assert len(warnings) == 1
    assert command(damaged, "query", KEPT, "--strict", *WINDOW)[1] == []
    data = ("--data-dir", str(damaged.running.data_dir))
    query = ("sql", "select count(*) as n from logs", "-o", "csv", *data, *WINDOW)
    assert command(damaged, *query, "--strict", code=3)[0] == "n\n20\n"
    (warning,) = command(damaged, *query)[1]
    assert f"block {damaged.block} is damaged" in warning
    assert len(command(damaged, "sql", "--tables", *data)[1]) == 1


@pytest.mark.parametrize("damaged", ["warn"], indirect=True)
def test_a_follow_tells_it(damaged: Damaged) -> None:
    asked = ["query", LOST, "--tail", "--from", WINDOW[1], "--limit", "100"]
    environment = {**os.environ, "LOKI_ADDR": damaged.running.url}
    with subprocess.Popen(
        [sys.executable, "-m", "narfi.cli", *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=hear_interrupts,
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        assert "of lost" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        told = following.stderr.read()
    assert f"warning: block {damaged.block} is damaged" in told
