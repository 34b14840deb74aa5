"""Does a query cost what it reads, however many blocks and streams there are?

`python -m benchmarks.scale`: asks for one hour (the last 100 lines of an app, counts by app, label
names, values of a label) of stores that differ in size, in turn, and prints CPU milliseconds beside
the ratio to a store of 10 blocks and 200 streams. Each hour has equally many lines. Objects lie in
memory; blocks outside the hour are catalog rows alone. Then one question over ranges of days.
`--shape`: what labels the streams have; `--days 0`: no ranges.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from narfi.core.clock import NS_PER_S, ManualClock
from narfi.core.columns import Spans
from narfi.core.kernels.warming import warm_up
from narfi.core.labels import Labels
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.query import QueryOptions
from querier.service import QueryService, TimeRange
from storage.batch import LogBatch
from storage.catalog.base import BlockRow
from storage.catalog.sql import SqlCatalog
from storage.lines.plain import PlainLines
from storage.metadata import Metadata
from storage.objects.base import ObjectMissingError
from storage.scan import LogSource
from storage.sorting import build_table
from storage.store import BlockStore, StoreServices

TENANT = TenantId("scale")
HOUR = 3600 * NS_PER_S
DAY = 24 * HOUR
END = 1_764_000_000 * NS_PER_S // DAY * DAY
HOUR_ROWS = 200_000
RUNS = 60
"""Rounds over all stores; two questions each, so that none of them waits for the next one."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Which labels streams have, by their numbers, and what is asked of them."""

    labels: Callable[[int], dict[str, str]]
    last: str = '{app="app-01"}'
    count: str = 'sum by (app) (count_over_time({job="scale"}[5m]))'


def _of_pods(number: int) -> dict[str, str]:
    return {
        "app": f"app-{number % 20:02d}",
        "job": "scale",
        "namespace": f"space-{number % 5}",
        "pod": f"app-{number % 20:02d}-{number:08x}",
    }


def _of_many_names(number: int) -> dict[str, str]:
    others = {f"name-{(number * 7 + k * 191) % 2_000}": f"v{number % 50}" for k in range(10)}
    return {**_of_pods(number), **others}


def _of_long_values(number: int) -> dict[str, str]:
    return {**_of_pods(number), "path": f"/{number % 1_000}" * 300, "owner": f"{number:08x}" * 12}


def _with_nothing_shared(number: int) -> dict[str, str]:
    return {name: f"{name}-{number:08x}" for name in ("app", "job", "namespace", "pod")}


SHAPES = {
    "pods": Shape(labels=_of_pods),
    "names": Shape(labels=_of_many_names),
    "long": Shape(labels=_of_long_values),
    "apart": Shape(
        labels=_with_nothing_shared,
        last='{app=~"app-.*[05a]"}',
        count='sum (count_over_time({job=~".+"}[5m]))',
    ),
}


class MemoryObjects:
    """An `ObjectStore` in a dictionary; counts what is opened."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self.reads = 0

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Store."""
        self._objects[key] = bytes(data)

    def put_file(self, key: str, path: Path) -> None:
        """Store a file."""
        self._objects[key] = path.read_bytes()

    def get(self, key: str) -> bytes:
        """The whole object."""
        self.reads += 1
        if key not in self._objects:
            raise ObjectMissingError(key)
        return self._objects[key]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Bytes of ranges."""
        content = self.get(key)
        return [content[start : start + length] for start, length in ranges]

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A file in memory."""
        return pa.BufferReader(self.get(key))

    def size(self, key: str) -> int:
        """Bytes."""
        return len(self._objects[key])

    def list(self, prefix: str) -> Iterator[str]:
        """Keys with the prefix."""
        return iter(sorted(key for key in self._objects if key.startswith(prefix)))

    def move(self, key: str, target: str) -> None:
        """Another key."""
        self._objects[target] = self._objects.pop(key)

    def delete(self, key: str) -> None:
        """Remove."""
        self._objects.pop(key, None)


class NoHeads:
    """Nothing that is not in a block."""

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """None."""
        return []


@dataclass(frozen=True, kw_only=True)
class Size:
    """A store: blocks in the hour, streams in each of them, rows of the catalog before the hour."""

    name: str
    blocks: int
    streams: int
    others: int = 0
    moving: bool = False  # each block has streams of its own


SIZES = (
    Size(name="10 blocks, 200 streams", blocks=10, streams=200),
    Size(name="10,000 blocks, 200 streams", blocks=10, streams=200, others=9_990),
    Size(name="100,000 streams, 10,000 a block", blocks=10, streams=10_000, moving=True),
    Size(name="100,000 streams in one block", blocks=1, streams=100_000),
    Size(name="1 M streams a day", blocks=10, streams=4_167, others=230, moving=True),
)


class Store:
    """A block store in memory with synthetic blocks."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.shape, self.objects = shape, MemoryObjects()
        self.catalog = SqlCatalog(f"sqlite:///{folder}/catalog.db", ManualClock(END))
        services = StoreServices(self.catalog, self.objects, ManualClock(END))
        self.store = BlockStore(services, 256 * 2**20)
        self.executor = LocalExecutor(2)
        engine = Engine(NoHeads(), self.store, self.executor)
        self.service = QueryService(engine, lambda _: Limits())

    def add(self, streams: range, rows: int, times: tuple[int, int]) -> BlockRow:
        """Write and publish a block."""
        run = run_of([self.shape.labels(number) for number in streams], rows, times)
        row = self.store.write(run, TENANT, f"cut-{times[0]}")
        self.store.publish([row], [])
        return row

    def fill(self, size: Size) -> None:
        """Blocks in the last hour, and rows before it."""
        step = HOUR // size.blocks
        for number in range(size.blocks):
            first = number * size.streams if size.moving else 0
            start = END - HOUR + number * step
            streams = range(first, first + size.streams)
            row = self.add(streams, HOUR_ROWS // size.blocks, (start, start + step))
        others = [
            replace(
                row,
                block_id=f"other-{k}",
                cut_id=f"other-{k}",
                min_ts=END - 2 * HOUR - (k + 1) * step,
                max_ts=END - 2 * HOUR - k * step - 1,
            )
            for k in range(size.others)
        ]
        self.catalog.adopt(others, [], [])

    def close(self) -> None:
        """Stop the threads."""
        self.executor.close()
        self.catalog.close()


def run_of(streams: Sequence[dict[str, str]], rows: int, times: tuple[int, int]) -> LogBatch:
    """A sorted run: equally many rows of each stream, evenly in time."""
    labels = sorted(map(Labels.of, streams), key=lambda found: found.pairs)
    each = max(rows // len(labels), 1)
    low, high = times
    apart = (high - low) // each
    base = low + np.arange(each, dtype=np.int64) * apart
    ts = (base[None, :] + np.arange(len(labels), dtype=np.int64)[:, None] % apart).ravel()
    lines = Spans.of(b"level=info msg=done n=%d" % (k % 1000) for k in range(len(ts)))
    bounds = np.arange(len(labels) + 1, dtype=np.int64) * each
    table = build_table(labels, ts, lines.length, bounds)
    stream = np.repeat(np.arange(len(labels), dtype=np.int32), each)
    return LogBatch(
        table=table,
        stream=stream,
        ts=ts,
        rows=np.arange(len(ts)),
        lines=PlainLines(lines),
        metadata=Metadata(),
    )


def questions(store: Store, range_ns: int) -> dict[str, Callable[[], object]]:
    """What is asked of the last so many ns."""
    service, shape = store.service, store.shape
    start = END - range_ns
    where = TimeRange((TENANT,), start, END)
    asked = QueryOptions(
        tenants=(TENANT,), start_ns=start, end_ns=END, step_ns=60 * NS_PER_S, limits=Limits()
    )
    return {
        "last 100": lambda: service.query(shape.last, asked),
        "count by app": lambda: service.query(shape.count, asked),
        "label names": lambda: service.label_names(where, "", Budget()),
        "label values": lambda: service.label_values(where, "app", "", Budget()),
    }


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of each of several runs."""

    cpu: list[float]
    wall: list[float]

    def run(self, work: Callable[[], object]) -> None:
        """Two runs more."""
        began, clock = time.process_time(), time.perf_counter()
        work()
        work()
        self.cpu.append((time.process_time() - began) * 500)
        self.wall.append((time.perf_counter() - clock) * 500)


def measure_sizes(shape: Shape) -> None:
    """One hour of each store; ratios are medians of those of each round."""
    with ExitStack() as stack:
        stores = []
        for size in SIZES:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            store = Store(Path(folder), shape)
            stack.callback(store.close)
            store.fill(size)
            stores.append((size, store))
        for name in questions(stores[0][1], HOUR):
            asks = [questions(store, HOUR)[name] for _, store in stores]
            for ask in asks:
                ask()  # fills the caches
            spent = [Spent([], []) for _ in asks]
            for _ in range(RUNS):
                for ask, mine in zip(asks, spent, strict=True):
                    mine.run(ask)
            print(name)
            for (size, store), ask, mine in zip(stores, asks, spent, strict=True):
                before = store.objects.reads
                ask()
                reads = store.objects.reads - before
                cpu, wall = (
                    statistics.median(map(float.__truediv__, of, base))
                    for of, base in ((mine.cpu, spent[0].cpu), (mine.wall, spent[0].wall))
                )
                print(
                    f"  {size.name:32} {min(mine.cpu):8.2f} ms of CPU  x{cpu:5.2f}"
                    f"  (by the clock x{wall:5.2f})  {reads} object reads"
                )


def measure_days(shape: Shape, days: int) -> None:
    """A month of ten blocks a day, by range."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), shape)
        step = DAY // 10
        for number in range(days * 10):
            start = END - (number + 1) * step
            store.add(range(200), 2_000, (start, start + step))
        for shown in (3, 10, 30):
            print(f"{shown} of {days} days, ten blocks a day")
            for name, ask in questions(store, shown * DAY - 1).items():
                ask()
                spent = Spent([], [])
                for _ in range(3):
                    spent.run(ask)
                least = min(spent.cpu)
                print(f"  {name:14} {least:9.2f} ms of CPU  {least / shown:7.2f} ms a day")
        store.close()


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--shape", choices=SHAPES, default="pods")
    arguments = parser.parse_args()
    warm_up()
    measure_sizes(SHAPES[arguments.shape])
    if arguments.days:
        measure_days(SHAPES[arguments.shape], arguments.days)


if __name__ == "__main__":
    main()
