"""What do logs that nobody made for it cost? CPU time of push and flush, stored bytes, plain lines.

`python -m benchmarks.real FOLDER …`: every `*.log` and `*.log.gz` is a format, a stream of its own,
with times at uneven distances. All formats together are pushed into blocks of `--block-mb`, then
each alone; every line is read back from the blocks and compared; `--merge` makes one block of all.
In process, one thread: a push is what follows the decompressed request (decode, levels, into the
head's memory), a flush is merge, encode and put into memory. `--synthetic` takes the bodies of
`benchmarks.data` instead.
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.data import SEED, bodies
from benchmarks.scale import MemoryObjects
from ingester.arena import ArenaPool
from ingester.records import CODEC_PROTOBUF, decode_record_body
from ingester.streams import StreamResolver
from narfi.core.clock import ManualClock
from narfi.core.kernels.warming import warm_up
from narfi.core.limits import Limits
from narfi.core.memory import leave_libraries_out
from narfi.core.tenant import TenantId
from narfi.core.wire.push_encode import encode_push
from storage.batch import LogBatch
from storage.block.files import FileIndex
from storage.block.format3.rows_file import TIME_COLUMNS
from storage.block.identity import Layout
from storage.block.layout import FORMAT_VERSION
from storage.block.merge_rows import Kept
from storage.block.reader import BlockSource
from storage.block.shapes.encode import MIN_ROWS
from storage.catalog.base import BlockRow
from storage.catalog.sql import SqlCatalog
from storage.journal.base import StoredRecord
from storage.lines.plain import PlainLines
from storage.scan import Columns
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices

START_NS = 1_795_507_200_000_000_000
MEAN_GAP_NS = 1_000_000
BODY_BYTES = 1_000_000
LARGEST_BODY = 16 << 20
"""Memory beyond a block's size; a body has a few lines more than `BODY_BYTES`."""
TURN = (20, 400)
"""Lines of a format that follow one another."""
LIMITS = Limits()
DEFAULT = Layout()
TENANT = TenantId("bench")

Formats = dict[str, list[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a load cost; times are CPU milliseconds for a MB of lines."""

    name: str
    mb: float
    lines: int
    stored_kb: float
    times_kb: float  # of that, columns of timestamps
    plain_percent: float
    push_ms_per_mb: float
    flush_ms_per_mb: float
    flushes: list[float]  # of each block
    merged_kb: float  # all of it as one block; 0: not merged
    merged_times_kb: float
    merge_ms_per_mb: float


def formats_of(folders: Sequence[Path]) -> Formats:
    """The lines of each file."""
    found: Formats = {}
    for folder in folders:
        for file in sorted(folder.glob("*.log*")):
            if file.suffix in (".log", ".gz"):
                read = gzip.decompress if file.suffix == ".gz" else bytes
                found[file.name.split(".")[0]] = read(file.read_bytes()).splitlines()
    return found


def pushed(formats: Formats, start_ns: int = START_NS) -> Iterator[bytes]:
    """Bodies: some lines of each format in turn, until all are through."""
    r = random.Random(SEED)
    left = {name: iter(lines) for name, lines in formats.items()}
    now, size = start_ns, 0
    pending: dict[str, list[tuple[int, bytes, tuple[()]]]] = {}

    def body() -> bytes:
        named = ((f'{{app="{name}"}}', entries) for name, entries in pending.items())
        return encode_push(named)

    while left:
        for name in list(left):
            for _ in range(r.randrange(*TURN)):
                line = next(left[name], None)
                if line is None:
                    del left[name]
                    break
                now += 1 + int(r.expovariate(1 / MEAN_GAP_NS))
                pending.setdefault(name, []).append((now, line, ()))
                size += len(line)
            if size >= BODY_BYTES:
                yield body()
                pending, size = {}, 0
    if pending:
        yield body()


class Load:
    """A block store in memory that takes push bodies."""

    def __init__(
        self,
        folder: str,
        block_bytes: int,
        cache_bytes: int = 0,
        least: int = MIN_ROWS,
        layout: Layout = DEFAULT,
    ) -> None:
        """`cache_bytes`: what the store may remember of what is read."""
        self._objects, clock = MemoryObjects(), ManualClock(START_NS)
        catalog = SqlCatalog(f"sqlite:///{folder}/catalog.db", clock)
        self._services = StoreServices(catalog=catalog, objects=self._objects, clock=clock)
        self.store = BlockStore(self._services, cache_bytes, least, layout)
        self._pool = ArenaPool(block_bytes + LARGEST_BODY)
        self._block_bytes = block_bytes
        self._blocks = 0
        self.push_s = 0.0
        self.flush_s: list[tuple[float, int]] = []  # and bytes of lines
        self.stored = self.plain = self.times = 0
        self.rows: list[BlockRow] = []

    def reopened(self, cache_bytes: int) -> BlockStore:
        """The same blocks, of which nothing is known yet."""
        return BlockStore(self._services, cache_bytes)

    def take(self, sent: Iterable[bytes]) -> tuple[int, int]:
        """Push and flush; returns (bytes, lines)."""
        resolver = StreamResolver()
        arena, waiting, size = self._pool.arena(0), list[LogBatch](), 0
        total = lines = 0
        for body in sent:
            frame = StoredRecord(
                tenant=TENANT,
                received_ns=START_NS,
                codec=CODEC_PROTOBUF,
                decided=b"",
                body=body,
                position=1,
                commit=1,
            )
            began = time.thread_time()
            batch = decode_record_body(frame, LIMITS, resolver)
            assert batch.lines is not None
            here = PlainLines(arena.take(batch.lines.spans()))
            self.push_s += time.thread_time() - began
            waiting.append(replace(batch, lines=here))
            size += here.spans().nbytes()
            lines += len(batch)
            if size >= self._block_bytes:
                self._flush(waiting, size)
                total += size
                arena, waiting, size = self._pool.arena(0), [], 0
        if waiting:
            self._flush(waiting, size)
        return total + size, lines

    def _flush(self, waiting: list[LogBatch], size: int) -> None:
        began = time.thread_time()
        run = merge_batches(waiting)
        row = self.store.write(run, TENANT, f"cut-{self._blocks}")
        self.flush_s.append((time.thread_time() - began, size))
        self.store.publish([row], [])
        self._blocks += 1
        self.rows.append(row)
        self.stored += row.stored_bytes
        with self.store.opened([row]) as (source,):
            self.times += sum(map(times_in, footers_of(source)))
            again = source.fetch(np.arange(len(run)), Columns())
            self.plain += sum(
                int(f.bounds[-1]) for f in source.index.sections if f.template is None
            )
        assert again.lines is not None
        assert run.lines is not None
        came, went = again.lines.spans().packed(), run.lines.spans().packed()
        assert np.array_equal(again.ts, run.ts), "times came back"
        assert np.array_equal(came.length, went.length), "every line came back"
        assert np.array_equal(came.data, went.data), "every line came back"

    def merged(self) -> tuple[int, int, float]:
        """All blocks as one: its bytes, those of timestamps, CPU seconds."""
        with self.store.opened(self.rows) as sources:
            began = time.thread_time()
            row = self.store.rewrite([Kept(s, None) for s in sources], TENANT, "merged", 1)
            seconds = time.thread_time() - began
        assert row is not None
        self.store.publish([row], [])
        with self.store.opened([row]) as (source,):
            return row.stored_bytes, sum(map(times_in, footers_of(source))), seconds


def footers_of(source: BlockSource) -> list[pq.FileMetaData]:
    """Of the files that have timestamps."""
    index = source.index
    if index.families is not None:
        return [index.families.rows.footer]
    return [section.footer for section in index.sections if isinstance(section, FileIndex)]


def times_in(footer: pq.FileMetaData) -> int:
    """Bytes of the timestamps of a file."""
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
    return sum(c.total_compressed_size for c in chunks if c.path_in_schema in TIME_COLUMNS)


def measure(
    name: str,
    sent: Iterator[bytes],
    block_bytes: int,
    least: int = MIN_ROWS,
    layout: Layout = DEFAULT,
    *,
    merge: bool = False,
) -> Cost:
    """Push and flush all bodies into a store of its own, then make one block of all."""
    with tempfile.TemporaryDirectory() as folder:
        load = Load(folder, block_bytes, 0, least, layout)
        size, lines = load.take(sent)
        merged, merged_times, merge_s = load.merged() if merge else (0, 0, 0.0)
    mb = size / 1e6
    flush_s = sum(seconds for seconds, _ in load.flush_s)
    return Cost(
        name=name,
        mb=round(mb, 2),
        lines=lines,
        stored_kb=round(load.stored / 1e3, 1),
        times_kb=round(load.times / 1e3, 1),
        plain_percent=round(100 * load.plain / lines, 1),
        push_ms_per_mb=round(1e3 * load.push_s / mb, 2),
        flush_ms_per_mb=round(1e3 * flush_s / mb, 2),
        flushes=[round(1e9 * seconds / part, 1) for seconds, part in load.flush_s],
        merged_kb=round(merged / 1e3, 1),
        merged_times_kb=round(merged_times / 1e3, 1),
        merge_ms_per_mb=round(1e3 * merge_s / mb, 2),
    )


def main() -> None:
    """Print Markdown, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="*", type=Path)
    parser.add_argument("--block-mb", type=int, default=36, help="line bytes of a block")
    parser.add_argument("--alone", action="store_true", help="each format alone too")
    parser.add_argument("--synthetic", type=int, metavar="MB", help="of benchmarks.data, at first")
    parser.add_argument("--merge", action="store_true", help="make one block of all, too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--format", type=int, default=FORMAT_VERSION, help="of the blocks")
    parser.add_argument("--least", type=int, default=MIN_ROWS, help="lines of a shape")
    given = parser.parse_args()
    leave_libraries_out()
    warm_up()
    cost_of = partial(
        measure,
        block_bytes=given.block_mb * 10**6,
        least=given.least,
        layout=Layout(given.format),
        merge=given.merge,
    )
    costs = []
    if given.synthetic:
        made = (body for body, _, _ in bodies(given.synthetic * 10**6, START_NS))
        costs.append(cost_of("synthetic", made))
    formats = formats_of(given.folder)
    if formats:
        costs.append(cost_of("all formats", pushed(formats)))
    if given.alone:
        for name, lines in formats.items():
            costs.append(cost_of(name, pushed({name: lines})))
    if given.json:
        for cost in costs:
            print(json.dumps(asdict(cost)))
        return
    sizes = "stored KB | of it times | plain"
    costs_ms = "push ms/MB | flush ms/MB | of each block"
    print(f"| load | MB | lines | {sizes} | {costs_ms} | merged KB | of it times | merge ms/MB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for c in costs:
        blocks = " ".join(f"{ms:.0f}" for ms in c.flushes)
        print(
            f"| {c.name} | {c.mb} | {c.lines} | {c.stored_kb} | {c.times_kb} | "
            f"{c.plain_percent} % | {c.push_ms_per_mb} | {c.flush_ms_per_mb} | {blocks} | "
            f"{c.merged_kb} | {c.merged_times_kb} | {c.merge_ms_per_mb} |"
        )


if __name__ == "__main__":
    main()
