"""How are the lines and metadata of a family read? Column by column, for all its shapes at once.

A column of a row group is decoded once for all shapes that have it, checked, and remembered without
its nulls: the values of a shape are a run there.
"""

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64, U8, Spans
from storage.block.bloom import Bloom
from storage.block.column_filters import ColumnFilters, filters_of, make_filters, note_searched
from storage.block.footer import DamagedBlockError
from storage.block.format3.opening import Families, OpenFamily, Section
from storage.block.format3.parquet import read_together, single
from storage.block.format3.rows_file import TIME_COLUMNS, times_of
from storage.block.hole_columns import from_column
from storage.block.layout import LINE_COLUMN, METADATA_PREFIX, METADATA_REST, ROW_COLUMN
from storage.block.metadata import from_arrow
from storage.block.ngrams import Ngrams
from storage.block.read_again import filter_of, make_filter, note_read
from storage.cache import ByteCache
from storage.lines.base import LineColumn
from storage.lines.holes import BytesColumn, HoleColumn, WordsColumn
from storage.lines.mixed import MixedLines, MixedRows
from storage.lines.plain import PlainLines
from storage.lines.shape_set import ShapeSet
from storage.lines.shaped import Bounds, Index
from storage.lines.shared_column import SharedColumn
from storage.lines.template import HoleKind
from storage.metadata import Metadata, concat_metadata
from storage.objects.base import Readable
from storage.scan import Columns, ReadStats

READ_AHEAD = 16
"""Columns of a row group that are read at once: a file costs as much to open as a column to read,
and what is read has a place for each row, also where it is null."""

FEW_RUNS = 16
"""Of rows that have a value in a column: then each is copied, in a third of the time."""

TEXT_KINDS = (HoleKind.WORDS, HoleKind.BYTES)
"""Of columns that are stored as the texts that they print."""

Kept = MutableMapping[object, object]
"""What the readers of one call share when the cache takes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Where a block is read from."""

    block_id: str
    objects: Readable
    cache: ByteCache[object]
    stats: ReadStats
    own: Kept | None = None

    def remembered(
        self, key: tuple[object, ...], load: Callable[[], tuple[object, int]], *, keep: bool
    ) -> object:
        """What `load` gives with its size in bytes, from the cache where it is there."""
        full = (self.block_id, *key)
        known = self.cache.get(full)
        if known is None and self.own is not None:
            known = self.own.get(full)
        if known is None:
            known, size = load()
            kept = keep and self.cache.put(full, known, size)
            if not kept and self.own is not None:
                self.own[full] = known
        return known

    def remembers(self, key: tuple[object, ...]) -> bool:
        """Whether nothing would have to be loaded."""
        full = (self.block_id, *key)
        return full in self.cache or (self.own is not None and full in self.own)

    def remembers_all(self, keys: Iterable[tuple[object, ...]]) -> bool:
        """Whether the cache has what is remembered under each of the keys."""
        return not self.cache.lacking((self.block_id, *key) for key in keys)


class SectionReader:
    """Reads one section of a block, column by column: for what writes blocks anew."""

    def __init__(self, section: Section, access: Access) -> None:
        self._section = section
        self._family = FamilyReader(section.family, access)

    def lines(self, group: int, index: Index, *, keep: bool) -> LineColumn:
        """Plain lines at places of a row group."""
        assert self._section.template is None
        return PlainLines(self._family.plain(self._section.group_of(group), keep=keep).take(index))

    def column(self, group: int, number: int) -> HoleColumn:
        """The values of a hole of the shape in a row group."""
        section = self._section
        assert section.template is not None
        column = section.family.shapes.columns[section.shape][number]
        shared = self._family.column(section.group_of(group), column)
        owner = int(section.family.shapes.owners(column).place[section.shape])
        return shared.of(owner, section.template.holes[number].type)


def read_ahead(wanted: Sequence[tuple[Section, Access]]) -> None:
    """Read all columns of some sections, those of a row group together.

    They stay where `Access` remembers them, so the sections of a block are given one access.
    """
    columns: dict[tuple[int, int, int], tuple[OpenFamily, Access, set[int]]] = {}
    for section, access in wanted:
        family = section.family
        for unit in range(len(section.bounds) - 1):
            group = section.group_of(unit)
            found = columns.setdefault((id(access), id(family), group), (family, access, set()))
            found[2].update(family.shapes.columns[section.shape])
    for (_, _, group), (family, access, numbers) in columns.items():
        reader, ordered = FamilyReader(family, access), sorted(numbers)
        for first in range(0, len(ordered), READ_AHEAD):
            some = ordered[first : first + READ_AHEAD]
            reader.fetch(group, some)
            for number in some:
                reader.column(group, number)


class FamilyReader:
    """Reads the row groups of a family; as `FileReader` does a file of other formats."""

    def __init__(self, family: OpenFamily, access: Access) -> None:
        self._family, self._access = family, access
        self._fetched: dict[tuple[int, int], pa.Array] = {}  # until they are asked for
        self._where: dict[int, dict[int, U8]] = {}  # by row group

    def lines(self, group: int, index: Index, *, keep: bool) -> LineColumn:
        """Lines at places of a row group; of shapes, nothing is read before it is asked for."""
        family = self._family
        bounds, filters = family.bounds_in(group), self.filters(group)
        whole = MixedLines(
            MixedRows(
                shapes=family.shapes,
                bounds=bounds,
                whole=partial(self.column, group),
                column=partial(self.column, group),
                soon=partial(self.fetch, group),
                plain=partial(self.plain, group, keep=keep),
                may_hold=filters.may_hold,
                searched=partial(self._searched, group),
                limits=partial(self._limits, group),
                decoded=self._access.stats.decoded,
            )
        )
        if isinstance(index, slice) and index.stop - index.start == len(whole):
            return whole.shape() or whole
        return whole.take(index)

    def plain(self, group: int, *, keep: bool) -> Spans:
        """The plain lines of a row group."""
        found = self._access.remembered(
            (self._family.number, group, LINE_COLUMN), lambda: self._plain(group), keep=keep
        )
        assert isinstance(found, Spans)
        if not keep:
            note_read(self._access.cache, self._group_key(group), found)
        return found

    def grams(self, group: int) -> Ngrams | None:
        """What is remembered of the plain lines of a row group; None: nothing."""
        return filter_of(self._access.cache, self._group_key(group))

    def filters(self, group: int) -> ColumnFilters:
        """What is remembered of the columns of a row group."""
        return filters_of(self._access.cache, self._group_key(group))

    def make_filters(self, group: int) -> None:
        """Remember which columns of a row group can hold which text, and which its plain lines."""
        texts = self._of_text(range(len(self._family.stored.columns)))
        key = self._group_key(group)
        make_filters(self._access.cache, key, texts, partial(self._texts, group))
        shaped, end = self._family.bounds_in(group)[-2:]
        if shaped < end:
            make_filter(self._access.cache, key, self.plain(group, keep=True))

    def _searched(self, group: int, numbers: Sequence[int]) -> None:
        texts, key = self._of_text(numbers), self._group_key(group)
        note_searched(self._access.cache, key, texts, partial(self._texts, group))

    def _of_text(self, numbers: Iterable[int]) -> list[int]:
        columns = self._family.stored.columns
        return [number for number in numbers if columns[number].type.kind in TEXT_KINDS]

    def _texts(self, group: int, number: int) -> Spans:
        values = self.column(group, number).values
        return values.words if isinstance(values, WordsColumn) else values.spans()

    def column(self, group: int, number: int) -> SharedColumn:
        """A column of a row group, remembered."""
        found = self._access.remembered(
            (self._family.number, group, number),
            lambda: self._shared_column(group, number),
            keep=True,
        )
        assert isinstance(found, SharedColumn)
        return found

    def fetch(self, group: int, numbers: Sequence[int], perhaps: Sequence[int] = ()) -> None:
        """Read columns together that are about to be asked for and are not remembered.

        `perhaps`: others, which are read with them where each read is a request.
        """
        here = self._family.number
        if not perhaps and self._access.remembers_all((here, group, k) for k in numbers):
            return  # as a rule
        missing = [number for number in numbers if not self._is_there(group, number)]
        others = {k for k in perhaps if not self._is_there(group, k)} - set(missing)
        if others and self._family.file.is_far(self._access.objects):
            missing += sorted(others)
        if len(missing) > 1:
            found = self._read_columns(group, missing)
            self._fetched |= {(group, k): array for k, array in zip(missing, found, strict=True)}

    def _is_there(self, group: int, number: int) -> bool:
        key = self._family.number, group, number
        return (group, number) in self._fetched or self._access.remembers(key)

    def _shared_column(self, group: int, number: int) -> tuple[object, int]:
        array = self._fetched.pop((group, number), None)
        if array is None:
            (array,) = self._read_columns(group, [number])
        where = self._where.setdefault(group, {})
        return shared_column(self._family, group, number, array, where)

    def _read_columns(self, group: int, numbers: Sequence[int]) -> list[pa.Array]:
        columns = [self._family.stored.columns[number] for number in numbers]
        words = [column.name for column in columns if column.type.kind is HoleKind.WORDS]
        table = self._read(group, [column.name for column in columns], words)
        return [single(table.column(column.name)) for column in columns]

    def bloom(self, group: int, number: int) -> Bloom | None:
        """The Bloom filter of a column in a row group; None when there is none."""
        chunk = self._chunk(group, number)
        offset, size = chunk.bloom_filter_offset, chunk.bloom_filter_length
        if offset is None or not size:
            return None
        file = self._family.file

        def load() -> tuple[object, int]:
            data = file.part(self._access.objects, offset, size)
            self._access.stats.bytes_read += len(data)
            if google_crc32c.value(data) != file.bloom_sums.get(str(offset)):
                raise DamagedBlockError(file.key, f"a filter of {file.name} has another sum")
            return Bloom.parse(data), len(data)

        return cast(
            Bloom,
            self._access.remembered((self._family.number, "bloom", offset), load, keep=True),
        )

    def _limits(self, group: int, number: int) -> Bounds:
        """Where the numbers of a column lie in a row group, at most; from the footer."""
        found = self._chunk(group, number).statistics
        if found is None or not found.has_min_max:
            return None
        return float(found.min), float(found.max)

    def _chunk(self, group: int, number: int) -> pq.ColumnChunkMetaData:
        file = self._family.file
        place = file.places[self._family.stored.columns[number].name]
        return file.footer.row_group(group).column(place)

    def _group_key(self, group: int) -> tuple[str, int, int]:
        return self._access.block_id, self._family.number, group

    def _plain(self, group: int) -> tuple[object, int]:
        first, end = self._family.bounds_in(group)[-2:].tolist()
        array = single(self._read(group, [LINE_COLUMN], []).column(LINE_COLUMN)).slice(first)
        if array.null_count or len(array) != end - first:
            raise DamagedBlockError(self._family.file.key, "a plain line is missing")
        spans = Spans.from_arrow(array)
        return spans, spans.nbytes() + 12 * len(spans)

    def _read(self, group: int, names: Sequence[str], words: Sequence[str]) -> pa.Table:
        access = self._access
        return self._family.file.read(access.objects, names, words, group=group, stats=access.stats)


def shared_column(
    family: OpenFamily,
    group: int,
    number: int,
    array: pa.Array,
    where: MutableMapping[int, U8],
) -> tuple[SharedColumn, int]:
    """The values of a column in a row group, and their memory; checked to be where they must be.

    `array` is what is stored: a place for each row. `where` remembers a bit for each row of the
    group that has a value, by the key of the owners of the column.
    """
    column, file = family.stored.columns[number], family.file
    owners = family.shapes.owners(number)
    bounds = family.bounds_in(group)
    first = bounds[owners.shapes]
    counts = bounds[owners.shapes + 1] - first
    starts = np.append(0, np.cumsum(counts))
    if array.null_count:
        low, high = joined_runs(first, counts)
        if len(low) <= FEW_RUNS:
            there = values_in(array, low, high)
        else:
            if owners.key not in where:
                where[owners.key] = bits_of_runs(first, counts, len(array))
            is_right = np.array_equal(valid_bits(array), where[owners.key])
            there = array.drop_null() if is_right else None
        if there is None:
            raise DamagedBlockError(file.key, f"column {column.name} has values elsewhere")
        array = there
    if len(array) != starts[-1]:
        raise DamagedBlockError(file.key, f"column {column.name} has not {starts[-1]} values")
    values = from_column(column.type, array)
    if isinstance(values, WordsColumn) and not has_valid_codes(values):
        raise DamagedBlockError(file.key, f"column {column.name} has codes without words")
    found = SharedColumn(values, owners.shapes, starts)
    if not is_as_stamped(family.shapes, number, found):
        raise DamagedBlockError(file.key, f"column {column.name} is not as its stamp")
    return found, found.nbytes()


def joined_runs(first: I64, counts: I64) -> tuple[I64, I64]:
    """Ascending runs of places as `[low, high)`, none empty, with those that touch put together."""
    filled = counts > 0
    low, high = first[filled], first[filled] + counts[filled]
    apart = low[1:] != high[:-1]
    return low[np.append(True, apart)[: len(low)]], high[np.append(apart, True)[: len(high)]]


def values_in(array: pa.Array, low: I64, high: I64) -> pa.Array | None:
    """A copy of the values in some runs; None unless an array has values there and nowhere else."""
    parts = [array.slice(a, b - a) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    size = sum(map(len, parts))
    if len(array) - array.null_count != size or any(part.null_count for part in parts):
        return None
    return pa.concat_arrays(parts) if parts else array.slice(0, 0)


def bits_of_runs(first: I64, counts: I64, size: int) -> U8:
    """A bit for each of so many places, the lowest first: those of runs, which do not overlap."""
    edges = np.zeros(size + 1, np.int8)
    there = counts > 0
    edges[first[there]] += 1
    edges[first[there] + counts[there]] -= 1
    return np.packbits(np.cumsum(edges[:-1], dtype=np.int8) > 0, bitorder="little")


def valid_bits(array: pa.Array) -> U8:
    """A bit for each place of an array that has nulls, as `bits_of_runs` has them."""
    stored, size = array.buffers()[0], len(array)
    if stored is None or array.offset:
        present = array.is_valid().to_numpy(zero_copy_only=False)
        return np.packbits(present, bitorder="little")
    found = np.frombuffer(stored, np.uint8, (size + 7) // 8)
    if not size % 8:
        return found
    found = found.copy()  # what stands behind the end means nothing
    found[-1] &= (1 << size % 8) - 1
    return found


def has_valid_codes(column: WordsColumn) -> bool:
    """Whether there is a word for each value."""
    low, high = column.codes.min(initial=0), column.codes.max(initial=-1)
    return bool(low >= 0 and high < len(column.words))


def is_as_stamped(shapes: ShapeSet, number: int, column: SharedColumn) -> bool:
    """Whether texts are as long as the stamps of their shapes say: lines are put together by it."""
    values = column.values
    if isinstance(values, WordsColumn):
        length: I32 = values.words.length[values.codes]
    elif isinstance(values, BytesColumn):
        length = values.values.length
    else:
        return True
    stamps = shapes.stamps
    mine = stamps.column == number
    filled = column.starts[1:] > column.starts[:-1]
    if not filled.any():
        return True
    first = column.starts[:-1][filled]
    least, most = np.minimum.reduceat(length, first), np.maximum.reduceat(length, first)
    return bool(
        (least >= stamps.least[mine][filled]).all() and (most <= stamps.most[mine][filled]).all()
    )


def read_times_and_rows(found: Families, access: Access) -> tuple[I64, list[I32]]:
    """The timestamps of all rows in ns; for each family the row of the block at each place."""
    names = [name for name in TIME_COLUMNS if name in found.rows.places]
    families = [(family.file, [ROW_COLUMN]) for family in found.families]
    table, *others = read_together(access.objects, [(found.rows, names), *families])
    ts = times_of([(name, single(table.column(name))) for name in names])
    check_times(found, ts)
    rows = [single(other.column(ROW_COLUMN)).to_numpy(zero_copy_only=False) for other in others]
    return ts, rows


def check_times(found: Families, ts: I64) -> None:
    """Whether each stream begins and ends when the index says; raises `DamagedBlockError`.

    So the file of another block, of equal size, is not taken for this one's.
    """
    table, key = found.table, found.rows.key
    if len(ts) != int(table.rows.sum()):
        raise DamagedBlockError(key, f"it has {len(ts)} rows, and its streams {table.rows.sum()}")
    ends, there = np.cumsum(table.rows), table.rows > 0
    first, last = ts[(ends - table.rows)[there]], ts[ends[there] - 1]
    if (first != table.first_ts[there]).any() or (last != table.last_ts[there]).any():
        raise DamagedBlockError(key, "its times are not those of the streams")


def read_metadata(found: Families, rows: slice | I64, columns: Columns, access: Access) -> Metadata:
    """Structured metadata of rows in any order, or of a run of them."""
    names = metadata_columns(found, columns)
    first, last = _ends(rows)
    if not names or first > last:
        return Metadata()

    def whole(group: int) -> Metadata:
        load = partial(_metadata, found, group, names, access)
        read = access.remembered((METADATA_REST, group, *names), load, keep=True)
        assert isinstance(read, Metadata)
        return read

    bounds = found.rows.bounds
    low, high = (np.searchsorted(bounds, [first, last], side="right") - 1).tolist()
    if low == high:
        return whole(low).take(_behind(rows, int(bounds[low])))
    places = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    group = np.searchsorted(bounds, places, side="right") - 1
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(1, len(bounds) - 1))
    parts = []
    for number, mine in enumerate(np.split(order, edges)):
        if len(mine):
            parts.append((whole(number).take(places[mine] - bounds[number]), len(mine)))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return concat_metadata(parts).take(back)


def _ends(rows: Index) -> tuple[int, int]:
    """The least and the largest."""
    if isinstance(rows, slice):
        return rows.start, rows.stop - 1
    return (int(rows.min()), int(rows.max())) if len(rows) else (0, -1)


def _behind(rows: Index, first: int) -> Index:
    """The rows counted from the first."""
    return slice(rows.start - first, rows.stop - first) if isinstance(rows, slice) else rows - first


def metadata_columns(found: Families, columns: Columns) -> list[str]:
    """The columns of rows.parquet that have what is asked for."""
    if columns.metadata is False:
        return []
    rest = [METADATA_REST] if found.has_rest else []
    if columns.metadata is True:
        return [*found.dictionaries, *rest]
    own = [METADATA_PREFIX + name for name in sorted(columns.metadata)]
    stored = [name for name in own if name in found.dictionaries]
    return stored + (rest if len(stored) < len(own) else [])


def _metadata(found: Families, group: int, names: list[str], access: Access) -> tuple[object, int]:
    words = [name for name in names if name != METADATA_REST]
    table = found.rows.read(access.objects, names, words, group=group, stats=access.stats)
    metadata = from_arrow(table)
    for name, column in metadata.columns.items():
        if column.is_encoded and column.codes.max(initial=-1) >= len(column.values):
            raise DamagedBlockError(found.rows.key, f"metadata {name} has codes without texts")
    return metadata, 64 + metadata.nbytes()


def rest_names(found: Families, access: Access) -> frozenset[str]:
    """Names in the shared metadata column."""
    if not found.has_rest:
        return frozenset()

    def load() -> tuple[object, int]:
        names = from_arrow(found.rows.read(access.objects, [METADATA_REST])).names()
        return names, 64 + sum(64 + len(name) for name in names)

    return cast(frozenset[str], access.remembered((METADATA_REST, "names"), load, keep=True))
