"""On which stacks are the cases run? Each gives a URL of a server that holds the data set.

`head`: nothing flushed. `blocks`: flushed and restarted, everything is in blocks. `replayed`:
killed with kill -9 and restarted, so everything comes from the journal. `without-<rule>`, `plain`:
as `blocks`, with one rule of the planner or all of them off. In blocks, lines are in shapes.
"""

import fcntl
import functools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.push import flush
from benchmarks.server import Running, start, stop
from querier.rules import Rule
from tests.conformance import check

HERE = Path(__file__).parent
CONFIG = HERE / "narfi.yaml"
TENANT = "conformance"
STACKS = ("head", "blocks", "replayed", "plain")
SHAPES = {"INGESTER__SHAPE_MIN_LINES": "2"}
"""The data set is small: nearly all of its lines are to have shapes."""
RULE_STACKS = tuple(f"without-{rule}" for rule in Rule)


def push_dataset(url: str) -> None:
    """Push the data set and run the cases that push themselves."""
    client = check.Client(url, 60)
    check.push(client, str(HERE / "dataset"), TENANT)


@contextmanager
def serve_stack(name: str, folder: Path) -> Iterator[Running]:
    """A server with the data set on the named stack."""
    if name not in ("head", "replayed"):
        with _serve_blocks(name, folder) as running:
            yield running
        return
    running = start(folder / name, CONFIG, folder / f"{name}.log")
    try:
        push_dataset(running.url)
        run_serial(running.url)
        if name == "replayed":
            running.process.kill()
            running.process.wait()
            running = start(folder / name, CONFIG, folder / f"{name}.log")
        yield running
    finally:
        stop(running)


@contextmanager
def _serve_blocks(name: str, folder: Path) -> Iterator[Running]:
    """Each block stack has a copy of the same blocks: several processes may serve at once."""
    data, log = folder / name, folder / f"{name}.log"
    shutil.copytree(_blocks(folder), data)
    off = list(Rule) if name == "plain" else [name.removeprefix("without-")]
    settings = {} if name == "blocks" else {"QUERIER__RULES_OFF": ",".join(off)}
    running = start(data, CONFIG, log, settings)
    try:
        yield running
    finally:
        stop(running)


def _blocks(folder: Path) -> Path:
    """The stored data set; the first process that asks makes it, others wait."""
    made, making = folder / "made", folder / "making"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            running = start(making, CONFIG, folder / "making.log", SHAPES)
            try:
                push_dataset(running.url)
                run_serial(running.url)
                flush(running.url)
            finally:
                stop(running)
            making.rename(made)
    return made


@functools.cache
def cases() -> list[dict[str, object]]:
    """All cases."""
    found: list[dict[str, object]] = check.load(str(HERE / "cases"))
    return found


def run_serial(url: str) -> None:
    """Cases that push: their data must be there before a restart."""
    client = check.Client(url, 60)
    for case in cases():
        if case.get("serial"):
            check.run_one(client, case, TENANT, loose=False)
