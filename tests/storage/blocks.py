"""Blocks on objects in memory, for tests that make many."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pyarrow as pa

from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.block import shape_file, writer
from storage.block.format3 import family_file, rows_file
from storage.block.identity import BlockIdentity, Layout
from storage.block.reader import BlockSource, open_block
from storage.block.writer import write_run
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.objects.base import BadObjectError, ObjectExistsError, ObjectMissingError

TENANT = TenantId("t")
DEFAULT = Layout()
LAYOUTS = (Layout(2), Layout(3), Layout(3, packed=True))
"""All that are written."""


class MemoryObjects:
    """An `ObjectStore` in a dictionary."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Keep a copy."""
        self.content[key] = data if isinstance(data, bytes) else data.to_pybytes()

    def put_file(self, key: str, path: Path) -> None:
        """Keep a copy."""
        self.put(key, path.read_bytes())

    def get(self, key: str) -> bytes:
        """The whole object."""
        if key not in self.content:
            raise ObjectMissingError(key)
        return self.content[key]

    def create(self, key: str, data: bytes | pa.Buffer) -> None:
        """Keep a copy of what is new."""
        content = data if isinstance(data, bytes) else data.to_pybytes()
        if self.content.setdefault(key, content) != content:
            raise ObjectExistsError(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (start, length)."""
        found = [self.get(key)[start : start + length] for start, length in ranges]
        if any(len(data) != length for data, (_, length) in zip(found, ranges, strict=True)):
            raise BadObjectError(key, "it is shorter than it was")
        return found

    def open(self, key: str, size: int | None = None) -> pa.NativeFile:
        """A reader of the object."""
        return pa.BufferReader(self.get(key))

    def size(self, key: str) -> int:
        """Bytes of the object."""
        return len(self.get(key))

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that start with the prefix, sorted."""
        return iter(sorted(key for key in self.content if key.startswith(prefix)))

    def move(self, key: str, target: str) -> None:
        """Give it another key."""
        self.content[target] = self.get(key)
        del self.content[key]

    def delete(self, key: str) -> None:
        """Forget it."""
        self.content.pop(key, None)


@contextmanager
def small_groups(rows: int | None) -> Iterator[None]:
    """Files with row groups of so many rows; None: as they are."""
    if rows is None:
        yield
        return
    with (
        mock.patch.object(shape_file, "SHAPE_GROUP_ROWS", rows),
        mock.patch.object(writer, "ROW_GROUP_ROWS", rows),
        mock.patch.object(family_file, "SHAPE_GROUP_ROWS", rows),
        mock.patch.object(rows_file, "SHAPE_GROUP_ROWS", rows),
    ):
        yield


def stored(
    run: LogBatch, min_rows: int, name: str = "b", layout: Layout = DEFAULT
) -> tuple[BlockRow, MemoryObjects]:
    """A run as a block."""
    objects = MemoryObjects()
    return write_run(
        run,
        BlockIdentity(block_id=name, tenant=TENANT, cut_id=name, level=0, created_ns=1),
        objects,
        min_rows,
        layout=layout,
    ), objects


def opened(row: BlockRow, objects: MemoryObjects) -> BlockSource:
    """The block with empty caches."""
    return open_block(row, objects, ByteCache(1 << 24), ByteCache(1 << 24))


def block_of(
    run: LogBatch, min_rows: int, name: str = "b", layout: Layout = DEFAULT
) -> BlockSource:
    """A run, written and opened."""
    return opened(*stored(run, min_rows, name, layout))


Row = tuple[tuple[tuple[str, str], ...], int, bytes, tuple[tuple[str, str], ...]]
"""Stream labels, ts, line, structured metadata."""


def rows_in(batch: LogBatch) -> dict[int, Row]:
    """The rows of a batch by number."""
    assert batch.lines is not None
    lines = batch.lines.spans().to_list()
    extras: list[dict[str, str]] = [{} for _ in range(len(batch))]
    for place, name, text in batch.metadata.items() if batch.metadata else ():
        extras[place][name] = text
    return {
        row: (
            batch.table.labels[stream].pairs,
            ts,
            lines[place] or b"",
            tuple(sorted(extras[place].items())),
        )
        for place, (row, stream, ts) in enumerate(
            zip(batch.rows.tolist(), batch.stream.tolist(), batch.ts.tolist(), strict=True)
        )
    }


def merged(parts: Sequence[dict[int, Row]]) -> dict[int, Row]:
    """All rows; none is in two parts."""
    found: dict[int, Row] = {}
    for part in parts:
        assert not found.keys() & part.keys()
        found |= part
    return found
