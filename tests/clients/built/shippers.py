"""A program that reads files while they grow and rotate, and what came of each line."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.served import Api

LINES = 3000
FILES = 3
MOST_S = 120


@contextmanager
def running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is ended by its pid."""
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _write_files(folder: Path, seen: Callable[[set[str]], object]) -> set[str]:
    """CRI lines of three files in turns; each is renamed once, when a third is written.

    `seen` waits until the shipper has delivered what was written so far. It is called before a
    rename: Promtail opens the new file of a name when it hears of the rename, and lines of the old
    one that it had not read by then are lost, whoever receives (with a bare HTTP sink it read 666
    of 1,000 lines).
    """
    texts: set[str] = set()
    for number in range(LINES):
        path = folder / f"app{number % FILES}.log"
        now = time.time_ns()
        stamp = f"{datetime.fromtimestamp(now // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{now % 10**9:09d}Z"
        text = f"level=info n={number} msg=<é>"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} stdout F {text}\n")
        texts.add(text)
        if number // FILES == LINES // FILES // 3:
            seen(texts)
            path.rename(path.with_name(f"{path.name}.1"))
        if number % 100 == 0:
            time.sleep(0.05)
    return texts


def entries(api: Api, selector: str) -> list[tuple[dict[str, str], str]]:
    """(labels, line) of all visible lines."""
    answer = api.get("/loki/api/v1/query_range", query=selector, limit="5000")
    assert answer.status == 200, answer.text
    found = answer.json["data"]["result"]
    return [(stream["stream"], line) for stream in found for _, line in stream["values"]]


def written_and_delivered(
    folder: Path, shipper: "subprocess.Popen[bytes]", api: Api, selector: str
) -> list[tuple[dict[str, str], str]]:
    """(labels, line) of each line of three files that grew and rotated meanwhile."""
    texts = _write_files(folder, lambda so_far: _wait_for_all(shipper, api, selector, so_far))
    return _wait_for_all(shipper, api, selector, texts)


def _wait_for_all(
    shipper: "subprocess.Popen[bytes]", api: Api, selector: str, expected: set[str]
) -> list[tuple[dict[str, str], str]]:
    """Until every text is at the end of a line; then each is there exactly once."""
    until = time.monotonic() + MOST_S
    while True:
        found = entries(api, selector)
        counts = Counter(line[line.find("level=") :] for _, line in found)
        if expected <= counts.keys():
            assert counts == Counter(expected), "no line twice, none that nobody wrote"
            return found
        assert shipper.poll() is None, "the shipper ended; its output is beside its configuration"
        assert time.monotonic() < until, f"{len(expected - counts.keys())} lines are missing"
        time.sleep(0.3)
