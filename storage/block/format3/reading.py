"""How are the lines and metadata of a family read? Column by column, for all its shapes at once.

A column of a row group is decoded once for all shapes that have it, checked, and remembered without
its nulls: the values of a shape are a run there.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import cast

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import U8, Spans
from storage.block.bloom import Bloom
from storage.block.column_filters import ColumnFilters, filters_of, make_filters, note_searched
from storage.block.footer import DamagedBlockError
from storage.block.format3.access import Access
from storage.block.format3.opening import OpenFamily, Section
from storage.block.format3.parquet import single
from storage.block.format3.stored_columns import shared_column
from storage.block.layout import LINE_COLUMN
from storage.block.ngrams import Ngrams
from storage.block.read_again import filter_of, make_filter, note_read
from storage.lines.base import LineColumn
from storage.lines.holes import HoleColumn, WordsColumn
from storage.lines.mixed import MixedLines, MixedRows
from storage.lines.plain import PlainLines
from storage.lines.shaped import Bounds, Index
from storage.lines.shared_column import SharedColumn
from storage.lines.template import HoleKind

READ_AHEAD = 16
"""Columns of a row group that are read at once: a file costs as much to open as a column to read,
and what is read has a place for each row, also where it is null."""


TEXT_KINDS = (HoleKind.WORDS, HoleKind.BYTES)
"""Of columns that are stored as the texts that they print."""


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
