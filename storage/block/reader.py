"""How is a block read? Row groups after pruning by stream, time and literals, column by column.

Rows are numbered through the whole block, sorted by (stream, ts, tie); each file holds some of
them. Which row lies where, and the timestamps of all rows, are decoded once and remembered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import google_crc32c
import numpy as np
import orjson

from narfi.core.columns import I64, concat_spans
from storage.batch import LogBatch, Metadata, StreamTable, concat_metadata
from storage.block.files import FileChecks, FileIndex, FileReader, index_file
from storage.block.footer import DamagedBlockError
from storage.block.layout import (
    FORMAT_VERSION,
    LINES,
    MANIFEST,
    METADATA_PREFIX,
    STREAMS,
    block_prefix,
)
from storage.block.manifest import parse_manifest, read_manifest
from storage.block.prune import may_hold
from storage.block.streams import decode_streams
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.lines.plain import PlainLines
from storage.memory_source import selected_ranges
from storage.objects.base import ObjectError, ObjectStore
from storage.scan import Columns, Pieces, ReadStats, ScanRequest, Segment

PER_STREAM_BYTES = 400
"""Memory of a stream in a decoded table, about."""
MANIFEST_KEYS = frozenset(("objects", "crc32c", "footer_crc32c", "bloom_crc32c"))
FILE_SHIFT = 20
"""A segment's index is the number of its file, shifted, and of its row group."""


@dataclass(frozen=True, slots=True)
class BlockIndex:
    """What is known of a block without reading its columns."""

    table: StreamTable
    files: tuple[FileIndex, ...]


@dataclass(frozen=True, slots=True)
class BlockOrder:
    """Where the rows are: timestamps by row; rows and timestamps by place in each file."""

    ts: I64
    rows: tuple[I64, ...]
    file_ts: tuple[I64, ...]


class BlockSource:
    """A `LogSource` over a stored block."""

    def __init__(
        self,
        row: BlockRow,
        objects: ObjectStore,
        indexes: ByteCache[BlockIndex],
        columns: ByteCache[object],
    ) -> None:
        self._row, self._objects = row, objects
        self._indexes, self._columns = indexes, columns
        if row.format_version > FORMAT_VERSION:
            message = (
                f"block {row.block_id} has format {row.format_version}; this version reads up to "
                f"{FORMAT_VERSION}"
            )
            raise ObjectError(message)
        self._prefix = block_prefix(row.tenant, row.min_ts, row.block_id)

    @property
    def source_id(self) -> str:
        """The block's id."""
        return self._row.block_id

    @property
    def cut_id(self) -> str:
        """The head part that it was made of."""
        return self._row.cut_id

    @property
    def table(self) -> StreamTable:
        """Its streams."""
        return self.index.table

    @property
    def min_ts(self) -> int:
        """The oldest timestamp in ns."""
        return self._row.min_ts

    @property
    def max_ts(self) -> int:
        """The newest timestamp in ns."""
        return self._row.max_ts

    @property
    def index(self) -> BlockIndex:
        """The decoded stream table and footers, remembered."""
        return self._indexes.get_or_load(self._row.block_id, self._load_index)

    def _load_index(self) -> tuple[BlockIndex, int]:
        streams = self._objects.get(f"{self._prefix}/{STREAMS}")
        names, checks = [LINES], {}
        if self._row.format_version > 1:
            manifest = self._manifest()
            names = [name for name in manifest["objects"] if name != STREAMS]
            checks = {
                name: FileChecks(
                    manifest["footer_crc32c"].get(name), manifest["bloom_crc32c"].get(name, {})
                )
                for name in names
            }
            if google_crc32c.value(streams) != manifest["crc32c"][STREAMS]:
                raise DamagedBlockError(f"{self._prefix}/{STREAMS}", "its checksum is wrong")
        table = decode_streams(streams)
        mean = self._row.line_bytes / max(self._row.rows, 1)
        files = tuple(
            index_file(
                self._objects,
                f"{self._prefix}/{name}",
                number,
                mean,
                checks.get(name, FileChecks()),
            )
            for number, name in enumerate(names)
        )
        size = sum(file.footer.serialized_size for file in files)
        return BlockIndex(table, files), len(table) * PER_STREAM_BYTES + size * 3

    def journals(self) -> Mapping[str, int]:
        """The newest position of each journal whose frames are in it, as the manifest says."""
        return read_manifest(self._objects, self._prefix).journals

    def _manifest(self) -> dict[str, Any]:
        key = f"{self._prefix}/{MANIFEST}"
        data = self._objects.get(key)
        if parse_manifest(key, data).row != self._row:
            raise DamagedBlockError(key, "it does not agree with the catalog's row")
        found: dict[str, Any] = orjson.loads(data)
        if not found.keys() >= MANIFEST_KEYS or STREAMS not in found["crc32c"]:
            raise DamagedBlockError(key, "it lacks objects or checksums")
        return found

    def order(self) -> BlockOrder:
        """Where the rows are, remembered."""
        key = (self._row.block_id, "order")
        known = self._columns.get(key)
        if isinstance(known, BlockOrder):
            return known
        found = [self.reader(file).order() for file in self.index.files]
        numbers = np.concatenate([rows for rows, _ in found])
        if not _is_each_once(numbers, self._row.rows):
            raise DamagedBlockError(self._prefix, "rows are missing or there twice")
        ts = np.empty(self._row.rows, np.int64)
        for rows, times in found:
            ts[rows] = times
        order = BlockOrder(ts, tuple(r for r, _ in found), tuple(t for _, t in found))
        self._columns.put(key, order, 3 * ts.nbytes)
        return order

    def times(self) -> I64:
        """The timestamps of all rows."""
        return self.order().ts

    def reader(self, file: FileIndex, stats: ReadStats | None = None) -> FileReader:
        """Reads a file of the block; `stats` are added to."""
        stats = stats or ReadStats()
        return FileReader(file, self._row.block_id, self._objects, self._columns, stats)

    def segments(self, request: ScanRequest) -> Sequence[Segment]:
        """The row groups in which a selected row lies that may hold all needles."""
        index, order = self.index, self.order()
        ordinal, low, high = selected_ranges(index.table, order.ts, request)
        found: list[Segment] = []
        for file in index.files:
            rows = order.rows[file.number]
            first, end = low, high
            if len(rows) < self._row.rows:
                first, end = np.searchsorted(rows, low), np.searchsorted(rows, high)
            pieces = Pieces(ordinal, first, end).filled()
            segments = _segments(file, order.file_ts[file.number], pieces)
            kept = self._that_may_hold(file, segments, request)
            request.stats.segments_pruned += len(file.bounds) - 1 - len(kept)
            request.stats.rows_pruned += sum(s.rows for s in segments) - sum(s.rows for s in kept)
            found += kept
        return found

    def _that_may_hold(
        self, file: FileIndex, segments: list[Segment], request: ScanRequest
    ) -> list[Segment]:
        """Row groups that may hold all needles; filters are read where a whole id is looked for."""
        if not request.needles or file.template is None:
            return segments
        if not may_hold(file.template, request.needles, None):
            return []
        reader = self.reader(file, request.stats)
        return [
            segment
            for segment in segments
            if may_hold(
                file.template,
                request.needles,
                partial(reader.bloom, segment.index & ((1 << FILE_SHIFT) - 1)),
            )
        ]

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """Rows of the selected streams within the time range."""
        _, low, high = selected_ranges(self.index.table, self.times(), request)
        return low, high

    def read(self, segment: Segment, request: ScanRequest) -> LogBatch:
        """The selected rows of a row group."""
        assert segment.pieces is not None
        index, order = self.index, self.order()
        number, group = segment.index >> FILE_SHIFT, segment.index & ((1 << FILE_SHIFT) - 1)
        file = index.files[number]
        places = segment.pieces.places()
        base = int(file.bounds[group])
        inside = (
            slice(places.start - base, places.stop - base)
            if isinstance(places, slice)
            else places - base
        )
        reader = self.reader(file, request.stats)
        lines = None
        if request.columns.lines:
            lines = reader.lines(group, inside, keep=request.keep)
            if request.plain:
                lines = PlainLines(lines.spans())
        metadata = reader.metadata(group, inside, request.columns, keep=request.keep)
        return LogBatch(
            index.table,
            segment.pieces.streams(),
            order.file_ts[number][places],
            order.rows[number][places],
            lines,
            metadata,
        )

    def fetch(self, rows: I64, columns: Columns, stats: ReadStats | None = None) -> LogBatch:
        """The given rows, reading only the row groups that hold them."""
        index, order = self.index, self.order()
        places: list[I64] = []  # in `rows`, of each piece that is read
        lines, metadata = [], []
        for file in index.files:
            own = order.rows[file.number]
            place = np.searchsorted(own, rows)
            hit = np.flatnonzero(own[np.minimum(place, len(own) - 1)] == rows)
            groups = np.searchsorted(file.bounds, place[hit], side="right") - 1
            for group in np.unique(groups).tolist():
                mine = hit[groups == group]
                inside = place[mine] - file.bounds[group]
                reader = self.reader(file, stats)
                places.append(mine)
                if columns.lines:
                    found = reader.lines(group, inside, keep=True)
                    lines.append(found.spans().packed())
                metadata.append((reader.metadata(group, inside, columns, keep=True), len(mine)))
        back = np.argsort(np.concatenate(places)) if places else np.zeros(0, np.int64)
        return LogBatch(
            index.table,
            (np.searchsorted(index.table.first_row, rows, side="right") - 1).astype(np.int32),
            order.ts[rows],
            rows,
            PlainLines(concat_spans(lines).take(back)) if columns.lines else None,
            concat_metadata(metadata).take(back) if metadata else Metadata(),
        )

    def metadata_names(self) -> frozenset[str]:
        """Names that occur; those of the shared columns are found by reading them."""
        names: set[str] = set()
        for file in self.index.files:
            names |= {name.removeprefix(METADATA_PREFIX) for name in file.dictionaries}
            names |= self.reader(file).rest_names()
        return frozenset(names)


def _is_each_once(numbers: I64, size: int) -> bool:
    """Whether the numbers are 0 to size - 1, in any order."""
    if len(numbers) != size or (size and not 0 <= numbers.min() <= numbers.max() < size):
        return False
    return bool((np.bincount(numbers, minlength=size) == 1).all())


def _segments(file: FileIndex, ts: I64, pieces: Pieces) -> list[Segment]:
    """A segment for each row group that some piece touches; no piece is empty."""
    found = []
    for group in _groups_hit(file.bounds, pieces.low, pieces.high):
        first, end = int(file.bounds[group]), int(file.bounds[group + 1])
        mine = pieces.within(first, end)
        rows = int((mine.high - mine.low).sum())
        found.append(
            Segment(
                file.number << FILE_SHIFT | group,
                first,
                rows,
                int(ts[mine.low].min()),
                int(ts[mine.high - 1].max()),
                int(rows * file.line_bytes),
                mine,
                file.template is not None,
            )
        )
    return found


def _groups_hit(bounds: I64, low: I64, high: I64) -> list[int]:
    """Row groups that some `[low, high)` range touches; no range is empty."""
    if len(bounds) == 2:
        return [0] if len(low) else []
    first = np.searchsorted(bounds, low, side="right") - 1
    last = np.searchsorted(bounds, high - 1, side="right") - 1
    marks = np.zeros(len(bounds) + 1, np.int64)
    np.add.at(marks, first, 1)
    np.add.at(marks, last + 1, -1)
    return np.flatnonzero(np.cumsum(marks)[: len(bounds) - 1] > 0).tolist()
