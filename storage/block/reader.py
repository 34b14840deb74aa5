"""How is a block read? Row groups after pruning by stream and time, only the columns asked for.

Streams and row numbers come from the stream table; timestamps of a whole block are decoded once and
remembered. Thread-safe: every read opens the mapped file anew (about 50 µs) with the known footer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64, Mask, Spans, concat_spans
from storage.batch import LogBatch, Metadata, StreamTable, concat_metadata
from storage.block.layout import (
    FORMAT_VERSION,
    LINE_COLUMN,
    LINES,
    METADATA_PREFIX,
    METADATA_REST,
    STREAMS,
    block_prefix,
)
from storage.block.metadata import from_arrow
from storage.block.streams import decode_streams
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.lines.plain import PlainLines
from storage.memory_source import selected_ranges
from storage.objects.base import ObjectError, ObjectStore
from storage.scan import Columns, ReadStats, ScanRequest, Segment

PER_STREAM_BYTES = 400
"""Memory of a stream in a decoded table, about."""


@dataclass(frozen=True, slots=True)
class BlockIndex:
    """What is known of a block without reading its lines."""

    table: StreamTable
    footer: pq.FileMetaData
    bounds: I64  # first row of each row group, and the end
    group_bytes: I64  # uncompressed line bytes of each row group
    metadata_names: frozenset[str]
    dictionaries: tuple[str, ...]


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
        """The decoded stream table and footer, remembered."""
        return self._indexes.get_or_load(self._row.block_id, self._load_index)

    def _load_index(self) -> tuple[BlockIndex, int]:
        table = decode_streams(self._objects.get(f"{self._prefix}/{STREAMS}"))
        with self._objects.open(f"{self._prefix}/{LINES}") as file:
            footer = pq.read_metadata(file)
        groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
        names = [footer.schema.column(i).path for i in range(len(footer.schema))]
        line = names.index(LINE_COLUMN)
        bounds = np.zeros(len(groups) + 1, np.int64)
        np.cumsum([group.num_rows for group in groups], out=bounds[1:])
        sizes = np.array([g.column(line).total_uncompressed_size for g in groups], np.int64)
        own = tuple(name for name in names if name.startswith(METADATA_PREFIX))
        found = {name.removeprefix(METADATA_PREFIX) for name in own}
        if METADATA_REST in names:
            found.add(METADATA_REST)
        index = BlockIndex(table, footer, bounds, sizes, frozenset(found), own)
        return index, len(table) * PER_STREAM_BYTES + footer.serialized_size * 3

    def times(self) -> I64:
        """The timestamps of all rows, remembered."""
        key = (self._row.block_id, "ts")
        known = self._columns.get(key)
        if isinstance(known, np.ndarray):
            return known
        with self._open() as file:
            column = file.read(columns=["ts"], use_threads=False).column("ts")
        ts: I64 = column.combine_chunks().to_numpy(zero_copy_only=False)
        self._columns.put(key, ts, ts.nbytes)
        return ts

    def segments(self, request: ScanRequest) -> Sequence[Segment]:
        """The row groups in which a selected row lies."""
        index = self.index
        whole = self._selects_everything(request)
        ts = self.times()
        low, high = selected_ranges(index.table, ts, request)
        hit = _groups_hit(index.bounds, low, high, whole=whole)
        request.stats.segments_pruned += len(index.group_bytes) - len(hit)
        return [
            Segment(
                group,
                int(index.bounds[group]),
                int(index.bounds[group + 1] - index.bounds[group]),
                *_reach(ts, low, high, index.bounds[group], index.bounds[group + 1]),
                int(index.group_bytes[group]),
            )
            for group in hit
        ]

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """Rows of the selected streams within the time range."""
        return selected_ranges(self.index.table, self.times(), request)

    def _selects_everything(self, request: ScanRequest) -> bool:
        inside = request.start_ns <= self.min_ts and request.end_ns > self.max_ts
        return inside and bool(request.streams.all())

    def read(self, segment: Segment, request: ScanRequest) -> LogBatch:
        """The selected rows of a row group."""
        first, end = segment.first_row, segment.first_row + segment.rows
        stream, ts = self._streams(first, end), self.times()[first:end]
        keep: Mask = request.streams[stream]
        keep &= (ts >= request.start_ns) & (ts < request.end_ns)
        rows = np.arange(first, end)
        lines, metadata = self._group(
            segment.index, request.columns, request.stats, keep=request.keep
        )
        batch = LogBatch(
            self.index.table,
            stream,
            ts,
            rows,
            None if lines is None else PlainLines(lines),
            metadata,
        )
        found = batch if keep.all() else batch.take(np.flatnonzero(keep))
        _count_decoded(found, request.stats)
        return found

    def fetch(self, rows: I64, columns: Columns, stats: ReadStats | None = None) -> LogBatch:
        """The given rows, reading only the row groups that hold them."""
        index, stats = self.index, stats or ReadStats()
        groups = np.searchsorted(index.bounds, rows, side="right") - 1
        lines: list[Spans] = []
        metadata: list[tuple[Metadata, int]] = []
        for group in np.unique(groups).tolist():
            mine = rows[groups == group] - index.bounds[group]
            found, extra = self._group(group, columns, stats, keep=True)
            if found is not None:
                lines.append(found.take(mine).packed())
            metadata.append((extra.take(mine), len(mine)))
        batch = LogBatch(
            index.table,
            self._streams_of(rows),
            self.times()[rows],
            rows,
            PlainLines(concat_spans(lines)) if columns.lines else None,
            concat_metadata(metadata),
        )
        _count_decoded(batch, stats)
        return batch

    def metadata_names(self) -> frozenset[str]:
        """Names that occur; the shared column's names are found by reading it."""
        index = self.index
        if METADATA_REST not in index.metadata_names:
            return index.metadata_names
        key = (self._row.block_id, METADATA_REST, "names")
        rare = self._columns.get(key)
        if not isinstance(rare, frozenset):
            with self._open() as file:
                table = file.read(columns=[METADATA_REST], use_threads=False)
            rare = frozenset(from_arrow(table).columns)
            self._columns.put(key, rare, PER_STREAM_BYTES + sum(map(len, rare)))
        return (index.metadata_names - {METADATA_REST}) | rare

    def _open(self) -> pq.ParquetFile:
        index = self.index
        return pq.ParquetFile(
            self._objects.open(f"{self._prefix}/{LINES}"),
            metadata=index.footer,
            read_dictionary=list(index.dictionaries),
            pre_buffer=False,
        )

    def _group(
        self, group: int, columns: Columns, stats: ReadStats, *, keep: bool
    ) -> tuple[Spans | None, Metadata]:
        """Lines and metadata of a whole row group; `keep` remembers both."""
        names = self._metadata_columns(columns)
        line_key, metadata_key = (self._row.block_id, group), (self._row.block_id, group, *names)
        lines = self._columns.get(line_key) if columns.lines else None
        metadata = self._columns.get(metadata_key) if names else Metadata()
        wanted = [LINE_COLUMN] if columns.lines and lines is None else []
        wanted += names if metadata is None else []
        if wanted:
            with self._open() as file:
                table = file.read_row_group(group, columns=wanted, use_threads=False)
            stats.bytes_read += table.nbytes
            if LINE_COLUMN in wanted:
                lines = Spans.from_arrow(_single(table.column(LINE_COLUMN)))
                if keep:
                    self._columns.put(line_key, lines, lines.nbytes() + 12 * len(lines))
            if metadata is None:
                metadata = from_arrow(table)
                if keep:
                    self._columns.put(metadata_key, metadata, _size_of(metadata))
        assert isinstance(metadata, Metadata)
        return (lines if isinstance(lines, Spans) else None), metadata

    def _metadata_columns(self, columns: Columns) -> list[str]:
        index = self.index
        if columns.metadata is False:
            return []
        rest = [METADATA_REST] if METADATA_REST in index.metadata_names else []
        if columns.metadata is True:
            return [*index.dictionaries, *rest]
        own = [METADATA_PREFIX + name for name in sorted(columns.metadata)]
        found = [name for name in own if name in index.dictionaries]
        return found + (rest if len(found) < len(own) else [])

    def _streams(self, first: int, end: int) -> I32:
        return self._streams_of(np.arange(first, end))

    def _streams_of(self, rows: I64) -> I32:
        starts = self.index.table.first_row
        return (np.searchsorted(starts, rows, side="right") - 1).astype(np.int32)


def _count_decoded(batch: LogBatch, stats: ReadStats) -> None:
    """Plain lines are decoded by reading them."""
    if batch.lines is not None:
        stats.rows_decoded += len(batch)
        stats.bytes_decoded += batch.lines.nbytes()


def _size_of(metadata: Metadata) -> int:
    """Bytes that decoded metadata holds, about."""
    return 64 + sum(
        4 * len(column) + column.values.nbytes() + 12 * len(column.values)
        for column in metadata.columns.values()
    )


def _single(chunked: pa.ChunkedArray) -> pa.Array:
    combined = chunked.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined


def _groups_hit(bounds: I64, low: I64, high: I64, *, whole: bool) -> list[int]:
    """Row groups that some `[low, high)` range touches."""
    if whole:
        return list(range(len(bounds) - 1))
    real = high > low
    first = np.searchsorted(bounds, low[real], side="right") - 1
    last = np.searchsorted(bounds, high[real] - 1, side="right") - 1
    marks = np.zeros(len(bounds) + 1, np.int64)
    np.add.at(marks, first, 1)
    np.add.at(marks, last + 1, -1)
    return np.flatnonzero(np.cumsum(marks)[: len(bounds) - 1] > 0).tolist()


def _reach(ts: I64, low: I64, high: I64, first: int, end: int) -> tuple[int, int]:
    """Oldest and newest selected timestamp of a row group: ends of its ranges."""
    inside = np.flatnonzero((low < end) & (high > first))
    starts = np.maximum(low[inside], first)
    ends = np.minimum(high[inside], end) - 1
    return int(ts[starts].min()), int(ts[ends].max())
