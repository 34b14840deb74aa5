"""How is a block read? Row groups after pruning by stream, time and literals, column by column.

Rows are numbered through the whole block, sorted by (stream, ts, tie); each file holds some of
them. Which row lies where, and the timestamps of all rows, are decoded once and remembered.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np

from narfi.core.columns import I64, concat_spans
from storage.batch import LogBatch, StreamTable
from storage.block.files import FileIndex, FileReader
from storage.block.layout import METADATA_PREFIX, block_prefix
from storage.block.manifest import read_manifest
from storage.block.opening import BlockIndex, read_index
from storage.block.order import BlockOrder, order_of
from storage.block.prune import may_hold
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.lines.plain import PlainLines
from storage.memory_source import selected_ranges
from storage.metadata import Metadata, concat_metadata
from storage.objects.base import ObjectStore
from storage.scan import Columns, Pieces, ReadStats, RowGroup, ScanRequest

KEPT_FETCH_BYTES = 4 << 20
"""Lines of chosen rows of a file, about, beyond which their columns are not remembered: of an
answer of wide lines there would be two copies, and nothing else in the cache."""

FILE_SHIFT = 20
"""A row group's index is the number of its file, shifted, and of its row group."""


def open_block(
    row: BlockRow,
    objects: ObjectStore,
    indexes: ByteCache[BlockIndex],
    columns: ByteCache[object],
) -> "BlockSource":
    """Read what is known of a block, unless it is remembered.

    Raises `DamagedBlockError`, and `ObjectError` for what cannot be read.
    """
    index = indexes.get(row.block_id)
    if index is None:
        index = read_index(row, objects)
        indexes.put(row.block_id, index, index.nbytes)
    return BlockSource(row, index, objects, columns)


class BlockSource:
    """A `LogSource` over an open block; made by `open_block`."""

    def __init__(
        self, row: BlockRow, index: BlockIndex, objects: ObjectStore, columns: ByteCache[object]
    ) -> None:
        self._row, self.index, self._objects, self._columns = row, index, objects, columns
        self._prefix = block_prefix(row.tenant, row.min_ts, row.block_id)
        self._order: BlockOrder | None = None  # only where the cache does not take it

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

    def journals(self) -> Mapping[str, int]:
        """The newest position of each journal whose records are in it, as the manifest says."""
        return read_manifest(self._objects, self._prefix).journals

    def order(self) -> BlockOrder:
        """Where the rows are: read once, then in the cache, or held here if it is too small."""
        if self._order is not None:
            return self._order
        key = (self._row.block_id, "order")
        known = self._columns.get(key)
        if isinstance(known, BlockOrder):
            return known
        found = [self.reader(file).order() for file in self.index.files]
        order = order_of(found, self._row.rows, self._prefix)
        if not self._columns.put(key, order, order.nbytes):
            self._order = order
        return order

    def times(self) -> I64:
        """The timestamps of all rows."""
        return self.order().ts

    def reader(self, file: FileIndex, stats: ReadStats | None = None) -> FileReader:
        """Reads a file of the block; `stats` are added to."""
        stats = stats or ReadStats()
        return FileReader(
            index=file,
            block_id=self._row.block_id,
            objects=self._objects,
            cache=self._columns,
            stats=stats,
        )

    def row_groups(self, request: ScanRequest) -> Sequence[RowGroup]:
        """The row groups in which a selected row lies that may hold all needles."""
        index, order = self.index, self.order()
        ordinal, low, high = selected_ranges(index.table, order.ts, request)
        found: list[RowGroup] = []
        for file in index.files:
            first, end = (order.first_places(file.number, rows) for rows in (low, high))
            pieces = Pieces(ordinal, first, end).filled()
            row_groups = _row_groups(file, order, pieces)
            kept = self._that_may_hold(file, row_groups, request)
            request.stats.row_groups_pruned += len(file.bounds) - 1 - len(kept)
            request.stats.rows_pruned += sum(s.rows for s in row_groups) - sum(s.rows for s in kept)
            found += kept
        return found

    def _that_may_hold(
        self, file: FileIndex, row_groups: list[RowGroup], request: ScanRequest
    ) -> list[RowGroup]:
        """Row groups that may hold all needles; filters are read where a whole id is looked for."""
        if not request.needles or file.template is None:
            return row_groups
        if not may_hold(file.template, request.needles, None):
            return []
        reader = self.reader(file, request.stats)
        return [
            row_group
            for row_group in row_groups
            if may_hold(
                file.template,
                request.needles,
                partial(reader.bloom, row_group.index & ((1 << FILE_SHIFT) - 1)),
            )
        ]

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """Rows of the selected streams within the time range."""
        _, low, high = selected_ranges(self.index.table, self.times(), request)
        return low, high

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """The selected rows of a row group."""
        assert row_group.pieces is not None
        index = self.index
        number, group = row_group.index >> FILE_SHIFT, row_group.index & ((1 << FILE_SHIFT) - 1)
        file = index.files[number]
        places = row_group.pieces.places()
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
        rows, ts = self._rows_and_times(file, places, keep=request.keep)
        return LogBatch(
            table=index.table,
            stream=row_group.pieces.streams(),
            ts=ts,
            rows=rows,
            lines=lines,
            metadata=metadata,
        )

    def _rows_and_times(
        self, file: FileIndex, places: slice | I64, *, keep: bool
    ) -> tuple[I64, I64]:
        """Of places of a file; a file that is kept decoded has them in its own order."""
        order = self.order()
        if not keep and file.template is None:
            rows = order.rows_at(file.number, places)
            return rows, order.ts[rows]

        def load() -> tuple[object, int]:
            found = order.in_order_of(file.number)
            return found, 16 * len(found[0])

        key = (self._row.block_id, file.number, "order")
        whole = cast(tuple[I64, I64], self._columns.get_or_load(key, load))
        return whole[0][places], whole[1][places]

    def fetch(self, rows: I64, columns: Columns, stats: ReadStats | None = None) -> LogBatch:
        """The given rows, reading only the row groups that hold them."""
        index, order = self.index, self.order()
        places: list[I64] = []  # in `rows`, of each piece that is read
        lines, metadata = [], []
        for file in index.files:
            place = order.first_places(file.number, rows)
            size = int(file.bounds[-1])
            hit = np.flatnonzero(order.rows_at(file.number, np.minimum(place, size - 1)) == rows)
            keep = len(hit) * file.line_bytes <= KEPT_FETCH_BYTES
            groups = np.searchsorted(file.bounds, place[hit], side="right") - 1
            for group in np.unique(groups).tolist():
                mine = hit[groups == group]
                inside = place[mine] - file.bounds[group]
                reader = self.reader(file, stats)
                places.append(mine)
                if columns.lines:
                    found = reader.lines(group, inside, keep=keep)
                    lines.append(found.spans().packed())
                metadata.append((reader.metadata(group, inside, columns, keep=True), len(mine)))
        back = np.argsort(np.concatenate(places)) if places else np.zeros(0, np.int64)
        return LogBatch(
            table=index.table,
            stream=(np.searchsorted(index.table.first_row, rows, side="right") - 1).astype(
                np.int32
            ),
            ts=order.ts[rows],
            rows=rows,
            lines=PlainLines(concat_spans(lines).take(back)) if columns.lines else None,
            metadata=concat_metadata(metadata).take(back) if metadata else Metadata(),
        )

    def metadata_names(self) -> frozenset[str]:
        """Names that occur; those of the shared columns are found by reading them."""
        names: set[str] = set()
        for file in self.index.files:
            names |= {name.removeprefix(METADATA_PREFIX) for name in file.dictionaries}
            names |= self.reader(file).rest_names()
        return frozenset(names)


def _row_groups(file: FileIndex, order: BlockOrder, pieces: Pieces) -> list[RowGroup]:
    """A row group for each row group that some piece touches; no piece is empty."""
    found = []
    for group in _groups_hit(file.bounds, pieces.low, pieces.high):
        first, end = int(file.bounds[group]), int(file.bounds[group + 1])
        mine = pieces.within(first, end)
        rows = int((mine.high - mine.low).sum())
        oldest = order.ts[order.rows_at(file.number, mine.low)].min()
        newest = order.ts[order.rows_at(file.number, mine.high - 1)].max()
        found.append(
            RowGroup(
                index=file.number << FILE_SHIFT | group,
                first_row=first,
                rows=rows,
                min_ts=int(oldest),
                max_ts=int(newest),
                line_bytes=int(rows * file.line_bytes),
                pieces=mine,
                shaped=file.template is not None,
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
