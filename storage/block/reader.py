"""How is a block read? Row groups after pruning by stream, time and literals, column by column.

Rows are numbered through the whole block, sorted by (stream, ts, tie); each file holds some of
them. Which row lies where, and the timestamps of all rows, are decoded once and remembered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np

from narfi.core.columns import I32, I64, concat_spans
from narfi.core.patience import check_wanted
from storage.batch import LogBatch, StreamTable
from storage.block.choosing import chosen_groups, groups_without_lines, pieces_that_may_hold
from storage.block.files import FileIndex, FileReader
from storage.block.footer import DamagedBlockError
from storage.block.format3.access import Access, Kept
from storage.block.format3.opening import OpenFamily, Section
from storage.block.format3.reading import FamilyReader, SectionReader
from storage.block.format3.rows_reading import read_metadata, read_times_and_rows, rest_names
from storage.block.format3.small_object import TINY, SmallObject, is_small
from storage.block.layout import METADATA_PREFIX, block_prefix
from storage.block.manifest import read_manifest
from storage.block.opening import BlockIndex, read_index
from storage.block.order import BlockOrder, order_of
from storage.block.selection import Selection, key_of
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.lines.plain import PlainLines
from storage.memory_source import selected_ranges, sums_of
from storage.metadata import Metadata, concat_metadata
from storage.objects.base import ObjectStore
from storage.scan import Columns, Pieces, ReadStats, RowGroup, ScanRequest

KEPT_FETCH_BYTES = 4 << 20
"""Lines of chosen rows of a section, about, beyond which their columns are not remembered: of an
answer of wide lines there would be two copies, and nothing else in the cache."""
MIN_KEPT_ROWS = 4096
"""Rows and times of a section that are remembered in its order: of fewer they are gathered."""


def open_block(
    row: BlockRow,
    objects: ObjectStore,
    indexes: ByteCache[BlockIndex],
    columns: ByteCache[object],
) -> "BlockSource":
    """Read what is known of a block, unless it is remembered.

    Raises `DamagedBlockError`, `ObjectError` for what cannot be read, and as `check_wanted` before
    something is read: a question may need many blocks that nobody asked for before.
    """
    index = indexes.get(row.block_id)
    if index is None:
        check_wanted()
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
        self._small: SmallObject | None = None
        if index.families is not None and is_small(index.families.rows):
            self._small = SmallObject(objects, columns, row.block_id, index.families.rows)
        self._order: BlockOrder | None = None  # only where the cache does not take it

    @property
    def row(self) -> BlockRow:
        """The block as the catalog knows it: all that somebody else needs to open it."""
        return self._row

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
        order = self._read_order()
        if not self._columns.put(key, order, order.nbytes):
            self._order = order
        return order

    def _read_order(self) -> BlockOrder:
        index = self.index
        table, families = index.table, index.families
        stream = np.repeat(np.arange(len(table), dtype=np.int32), table.rows)
        if families is not None:
            access = self.access()
            if families.rows.object_size > TINY:
                access = replace(access, objects=self._objects)
            ts, files = read_times_and_rows(families, access)
            numbers = [
                files[section.family.number][section.first :][: int(section.bounds[-1])]
                for section in families.sections
            ]
            return order_of(numbers, ts, stream, self._prefix)
        found = [self._file_reader(file).rows_and_times() for file in self._files()]
        size = sum(len(rows) for rows, _ in found)
        ts = np.zeros(size, np.int64)
        for rows, times in found:
            if len(rows) and not 0 <= rows.min() <= rows.max() < size:
                raise DamagedBlockError(self._prefix, "rows are missing or there twice")
            ts[rows] = times
        return order_of([rows for rows, _ in found], ts, stream, self._prefix)

    def times(self) -> I64:
        """The timestamps of all rows."""
        return self.order().ts

    def line_sums(self, *, load: bool) -> I64 | None:
        """The bytes of all lines in front of each row: from stored lengths, then remembered."""
        key = (self._row.block_id, "line_sums")
        known = cast(I64 | None, self._columns.get(key))
        if known is None and load:
            known = sums_of(self._lengths())
            self._columns.put(key, known, known.nbytes)
        return known

    def _lengths(self) -> I32:
        """Bytes of the line of each row."""
        units, own = self.index.units, dict[object, object]()
        found = np.empty(self._row.rows, np.int32)
        rows = self.order().rows_at(slice(0, self._row.rows))
        for number, group, low, high in zip(
            units.file.tolist(),
            units.group.tolist(),
            units.bounds[:-1].tolist(),
            units.bounds[1:].tolist(),
            strict=True,
        ):
            reader = self._reader(self.index.files[number], own=own)
            lines = reader.lines(group, slice(0, high - low), keep=False)
            found[rows[low:high]] = lines.lengths()
        return found

    def access(self, stats: ReadStats | None = None, own: Kept | None = None) -> Access:
        """Where columns are read; `own` is what one call remembers when the cache cannot."""
        return Access(
            block_id=self._row.block_id,
            objects=self._small or self._objects,
            cache=self._columns,
            stats=stats or ReadStats(),
            own=own,
        )

    def section_reader(
        self, section: FileIndex | Section, own: Kept | None = None
    ) -> FileReader | SectionReader:
        """Reads a section of the block. `own` as in `access`."""
        if isinstance(section, Section):
            return SectionReader(section, self.access(own=own))
        return self._file_reader(section)

    def _reader(
        self, file: FileIndex | OpenFamily, stats: ReadStats | None = None, own: Kept | None = None
    ) -> FileReader | FamilyReader:
        if isinstance(file, OpenFamily):
            return FamilyReader(file, self.access(stats, own))
        return self._file_reader(file, stats)

    def _file_reader(self, file: FileIndex, stats: ReadStats | None = None) -> FileReader:
        return FileReader(
            index=file,
            block_id=self._row.block_id,
            objects=self._objects,
            cache=self._columns,
            stats=stats or ReadStats(),
        )

    def _files(self) -> list[FileIndex]:
        return [file for file in self.index.files if isinstance(file, FileIndex)]

    def row_groups(self, request: ScanRequest) -> Sequence[RowGroup]:
        """The row groups in which a selected row lies that may hold all needles."""
        index, order = self.index, self.order()
        if index.families is not None and not request.columns.lines:
            mean = self._row.line_bytes / max(self._row.rows, 1)
            return groups_without_lines(index, order.ts, mean, request)
        chosen = self._selection(request)
        if request.needles:
            selected, before = chosen, int(chosen.rows().sum())
            reader_of = partial(self._reader, stats=request.stats)
            chosen = selected.only(pieces_that_may_hold(index, selected, request, reader_of))
            request.stats.rows_pruned += before - int(chosen.rows().sum())
        request.stats.row_groups_pruned += len(index.units.file) - len(chosen.units)
        if len(chosen.units) and not chosen.groups:
            chosen.groups[:] = chosen_groups(index, chosen, order)
        return chosen.groups

    def _selection(self, request: ScanRequest) -> Selection:
        """The selected rows, whatever their lines hold."""
        key = key_of(self._row.block_id, self.index.table, request)
        known = None if key is None else cast(Selection | None, self._columns.get(key))
        if known is None:
            order = self.order()
            ranges = selected_ranges(self.index.table, order.ts, request)
            known = Selection(*self.index.units.hit(order.pieces(*ranges)))
            if key is not None:
                self._columns.put(key, known, known.nbytes)
        return known

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """Rows of the selected streams within the time range."""
        _, low, high = selected_ranges(self.index.table, self.times(), request)
        return low, high

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """The selected rows of a row group."""
        assert row_group.pieces is not None
        units, places = self.index.units, row_group.pieces.places()
        if row_group.index >= len(units.file):
            return self._without_lines(row_group.pieces, request)
        number = int(units.file[row_group.index])
        group, base = int(units.group[row_group.index]), int(units.bounds[row_group.index])
        inside = (
            slice(places.start - base, places.stop - base)
            if isinstance(places, slice)
            else places - base
        )
        reader = self._reader(self.index.files[number], request.stats)
        lines = None
        if request.columns.lines:
            lines = reader.lines(group, inside, keep=request.keep)
            if request.plain:
                lines = PlainLines(lines.spans())
        keep = request.keep or row_group.shaped
        rows, ts = self._rows_and_times(number, places, keep=keep)
        if isinstance(reader, FileReader):
            metadata = reader.metadata(group, inside, request.columns, keep=request.keep)
        else:
            metadata = self._metadata(rows, request.columns, request.stats)
        return LogBatch(
            table=self.index.table,
            stream=row_group.pieces.streams(),
            ts=ts,
            rows=rows,
            lines=lines,
            metadata=metadata,
        )

    def _without_lines(self, pieces: Pieces, request: ScanRequest) -> LogBatch:
        """Rows in their order, as rows.parquet has them."""
        places = pieces.places()
        rows = (
            np.arange(places.start, places.stop, dtype=np.int64)
            if isinstance(places, slice)
            else places
        )
        return LogBatch(
            table=self.index.table,
            stream=pieces.streams(),
            ts=self.times()[places],
            rows=rows,
            lines=None,
            metadata=self._metadata(places, request.columns, request.stats),
        )

    def all_metadata(self) -> Metadata:
        """Of all rows, in their order."""
        whole = Columns(lines=False)
        if self.index.families is not None:
            return self._metadata(slice(0, self._row.rows), whole, None)
        rows = np.arange(self._row.rows, dtype=np.int64)
        return self.fetch(rows, whole).metadata or Metadata()

    def _metadata(self, rows: slice | I64, columns: Columns, stats: ReadStats | None) -> Metadata:
        """Of rows in any order, in format 3."""
        assert self.index.families is not None
        return read_metadata(self.index.families, rows, columns, self.access(stats))

    def _rows_and_times(self, file: int, places: slice | I64, *, keep: bool) -> tuple[I64, I64]:
        """Of places; a file that is kept decoded has them in its own order."""
        order = self.order()
        base, end = self.index.units.firsts[file : file + 2].tolist()
        if not keep or end - base < MIN_KEPT_ROWS:
            rows = order.rows_at(places)
            return rows, order.ts[rows]
        whole_rows, whole_ts = self.rows_and_times_of(file)
        if isinstance(places, slice):
            mine = slice(places.start - base, places.stop - base)
            return whole_rows[mine], whole_ts[mine]
        return whole_rows[places - base], whole_ts[places - base]

    def rows_and_times_of(self, file: int) -> tuple[I64, I64]:
        """Of all places of a file, in their order; remembered where they are many."""
        order = self.order()
        base, end = self.index.units.firsts[file : file + 2].tolist()

        def load() -> tuple[object, int]:
            rows = order.rows_at(slice(base, end))
            return (rows, order.ts[rows]), 16 * len(rows)

        key = (self._row.block_id, file, "order")
        if end - base < MIN_KEPT_ROWS:
            return cast(tuple[I64, I64], load()[0])
        return cast(tuple[I64, I64], self._columns.get_or_load(key, load))

    def fetch(
        self,
        rows: I64,
        columns: Columns,
        stats: ReadStats | None = None,
        charge: Callable[[int], None] | None = None,
    ) -> LogBatch:
        """The given rows, reading only the row groups that hold them."""
        index, order = self.index, self.order()
        place = order.places_of(rows)
        back = np.argsort(place, kind="stable")
        place = place[back]
        units = np.searchsorted(index.units.bounds, place, side="right") - 1
        touched, starts = np.unique(units, return_index=True)
        wanted = np.bincount(index.units.file[units])  # rows of each file
        lines, metadata = [], []
        own: Kept = {}
        for unit, mine in zip(touched.tolist(), np.split(place, starts[1:]), strict=False):
            group = int(index.units.group[unit])
            inside = mine - index.units.bounds[unit]
            number = int(index.units.file[unit])
            file = index.files[number]
            reader = self._reader(file, stats, own)
            if columns.lines:
                keep = wanted[number] * file.line_bytes <= KEPT_FETCH_BYTES
                found = reader.lines(group, inside, keep=keep)
                if charge is not None:
                    charge(found.nbytes())
                lines.append(found.spans().packed())
            if isinstance(reader, FileReader):
                metadata.append((reader.metadata(group, inside, columns, keep=True), len(mine)))
        again = np.empty(len(rows), np.int64)
        again[back] = np.arange(len(rows))
        if index.families is not None:
            extra = self._metadata(rows, columns, stats)
        else:
            extra = concat_metadata(metadata).take(again) if metadata else Metadata()
        if charge is not None:
            charge(extra.nbytes())
        return LogBatch(
            table=index.table,
            stream=(np.searchsorted(index.table.first_row, rows, side="right") - 1).astype(
                np.int32
            ),
            ts=order.ts[rows],
            rows=rows,
            lines=PlainLines(concat_spans(lines).take(again)) if columns.lines else None,
            metadata=extra,
        )

    def metadata_names(self) -> frozenset[str]:
        """Names that occur; those of the shared columns are found by reading them."""
        families = self.index.families
        if families is not None:
            own = (name.removeprefix(METADATA_PREFIX) for name in families.dictionaries)
            return frozenset(own) | rest_names(families, self.access())
        names: set[str] = set()
        for file in self._files():
            names |= {name.removeprefix(METADATA_PREFIX) for name in file.dictionaries}
            names |= self._file_reader(file).rest_names()
        return frozenset(names)
