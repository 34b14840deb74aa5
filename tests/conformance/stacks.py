"""On which stacks are the cases run? Each gives a URL of a server that holds the data set.

`head`: nothing flushed. `blocks`: flushed and restarted, everything is in blocks. `replayed`:
killed with kill -9 and restarted, so everything comes from the journal.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.push import flush
from benchmarks.server import Running, start, stop
from tests.conformance import check

HERE = Path(__file__).parent
CONFIG = HERE / "narfi.yaml"
TENANT = "conformance"
STACKS = ("head", "blocks", "replayed")


def push_dataset(url: str) -> None:
    """Push the data set and run the cases that push themselves."""
    client = check.Client(url, 60)
    check.push(client, str(HERE / "dataset"), TENANT)


@contextmanager
def serve_stack(name: str, folder: Path) -> Iterator[Running]:
    """A server with the data set on the named stack."""
    running = start(folder / name, CONFIG, folder / f"{name}.log")
    try:
        push_dataset(running.url)
        run_serial(running.url)
        if name == "blocks":
            flush(running.url)
            stop(running)
            running = start(folder / name, CONFIG, folder / f"{name}.log")
        elif name == "replayed":
            running.process.kill()
            running.process.wait()
            running = start(folder / name, CONFIG, folder / f"{name}.log")
        yield running
    finally:
        stop(running)


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
