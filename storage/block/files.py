"""How is one file of a block read? Row groups of plain lines or of a shape, column by column.

A file holds some rows of the block; `rows` says which, ascending. Thread-safe: every read opens the
mapped file anew (about 50 µs) with the known footer; decoded columns are remembered.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64, Spans
from storage.block.bloom import Bloom
from storage.block.footer import DamagedBlockError, read_footer, reading
from storage.block.hole_columns import from_column, is_sound
from storage.block.layout import LINE_COLUMN, METADATA_PREFIX, METADATA_REST, ROW_COLUMN
from storage.block.metadata import from_arrow
from storage.block.ngrams import Ngrams
from storage.block.read_again import filter_of, note_read
from storage.block.shape_file import dictionary_columns, metadata_columns, template_of
from storage.cache import ByteCache
from storage.lines.base import LineColumn
from storage.lines.holes import EXACT_DIGITS, HoleColumn
from storage.lines.plain import PlainLines
from storage.lines.shaped import Index, ShapedLines, ShapeGroup
from storage.lines.template import HoleKind, Template
from storage.metadata import Metadata
from storage.objects.base import ObjectStore
from storage.scan import Columns, ReadStats


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIndex:
    """What is known of a file without reading its columns."""

    key: str
    number: int  # of the file in its block
    footer: pq.FileMetaData
    bounds: I64  # first place of each row group, and the end
    template: Template | None  # None: plain lines
    dictionaries: tuple[str, ...]  # metadata columns
    has_rest: bool
    has_rows: bool  # whether there is a column `row`; without it the file is the whole block
    line_bytes: float  # of a line, on average
    places: Mapping[str, int]  # column number by name
    bloom_sums: Mapping[str, int]  # checksums of Bloom filters, by offset

    def is_shaped(self, _group: int) -> bool:
        """Whether the lines of a row group have a shape."""
        return self.template is not None


@dataclass(frozen=True, slots=True)
class FileChecks:
    """What the manifest says of a file; nothing in blocks of format 1."""

    footer: int | None = None
    blooms: Mapping[str, int] = field(default_factory=dict)


def index_file(
    objects: ObjectStore, key: str, number: int, line_bytes: float, checks: FileChecks
) -> FileIndex:
    """Read the footer; `line_bytes` is the mean of the block, for shapes (they store no lines)."""
    footer = read_footer(objects, key, checks.footer)
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    names = [footer.schema.column(i).path for i in range(len(footer.schema))]
    bounds = np.zeros(len(groups) + 1, np.int64)
    np.cumsum([group.num_rows for group in groups], out=bounds[1:])
    template = template_of(footer)
    if template is None and footer.num_rows:
        place = names.index(LINE_COLUMN)
        size = sum(group.column(place).total_uncompressed_size for group in groups)
        line_bytes = size / footer.num_rows
    return FileIndex(
        key=key,
        number=number,
        footer=footer,
        bounds=bounds,
        template=template,
        dictionaries=metadata_columns(footer),
        has_rest=METADATA_REST in names,
        has_rows=ROW_COLUMN in names,
        line_bytes=line_bytes,
        places={name: place for place, name in enumerate(names)},
        bloom_sums=checks.blooms,
    )


class FileReader:
    """Reads one file of one block."""

    def __init__(
        self,
        *,
        index: FileIndex,
        block_id: str,
        objects: ObjectStore,
        cache: ByteCache[object],
        stats: ReadStats,
    ) -> None:
        self.index, self._stats = index, stats
        self._block_id, self._objects, self._cache = block_id, objects, cache

    def rows_and_times(self) -> tuple[I64, I64]:
        """(rows in the block, timestamps) of all places of the file."""
        names = ["ts", ROW_COLUMN] if self.index.has_rows else ["ts"]
        with self._open() as file:
            table = file.read(columns=names, use_threads=False)
        ts: I64 = _single(table.column("ts")).to_numpy(zero_copy_only=False)
        if not self.index.has_rows:
            return np.arange(len(ts), dtype=np.int64), ts
        rows: I32 = _single(table.column(ROW_COLUMN)).to_numpy(zero_copy_only=False)
        return rows.astype(np.int64), ts

    def lines(self, group: int, index: Index, *, keep: bool) -> LineColumn:
        """Lines at places of a row group; of a shape, nothing is read before it is asked for."""
        template = self.index.template
        if template is not None:
            rows = int(self.index.bounds[group + 1] - self.index.bounds[group])
            shape = ShapeGroup(
                template, rows, partial(self.column, group), partial(self.bounds, group)
            )
            return ShapedLines(shape, index, self._stats.decoded)
        found = self._remembered((group, LINE_COLUMN), lambda: self._plain(group), keep=keep)
        assert isinstance(found, Spans)
        if not keep:
            note_read(self._cache, (self._block_id, self.index.number, group), found)
        lines = found.take(index)
        self._stats.decoded(len(lines), lines.nbytes())
        return PlainLines(lines)

    def grams(self, group: int) -> Ngrams | None:
        """What is remembered of the plain lines of a row group; None: nothing."""
        return filter_of(self._cache, (self._block_id, self.index.number, group))

    def metadata(self, group: int, index: Index, columns: Columns, *, keep: bool) -> Metadata:
        """Structured metadata at places of a row group."""
        names = self._metadata_names(columns)
        if not names:
            return Metadata()
        keep = keep or self.index.template is not None  # codes: few bytes
        found = self._remembered((group, *names), lambda: self._metadata(group, names), keep=keep)
        assert isinstance(found, Metadata)
        return found.take(index)

    def bounds(self, group: int, number: int) -> tuple[float, float] | None:
        """The least and largest number of a hole in a row group, from the footer."""
        template = self.index.template
        assert template is not None
        hole = template.holes[number]
        if hole.type.kind is not HoleKind.NUMBER or hole.max_length > EXACT_DIGITS:
            return None
        found = self.index.footer.row_group(group).column(self.index.places[hole.name]).statistics
        if found is None or not found.has_min_max:
            return None
        return float(found.min), float(found.max)

    def bloom(self, group: int, number: int) -> Bloom | None:
        """The Bloom filter of a hole in a row group, remembered; None when there is none."""
        template = self.index.template
        assert template is not None
        name = template.holes[number].name
        chunk = self.index.footer.row_group(group).column(self.index.places[name])
        if chunk.bloom_filter_offset is None or not chunk.bloom_filter_length:
            return None

        def load() -> tuple[object, int]:
            with reading(self.index.key), self._objects.open(self.index.key) as file:
                file.seek(chunk.bloom_filter_offset)
                data = file.read(chunk.bloom_filter_length)
            self._stats.bytes_read += len(data)
            wanted = self.index.bloom_sums.get(str(chunk.bloom_filter_offset))
            if google_crc32c.value(bytes(data)) != wanted:
                raise DamagedBlockError(self.index.key, f"the filter of {name} has another sum")
            return Bloom.parse(bytes(data)), len(data)

        return cast(Bloom, self._remembered((group, name, "bloom"), load, keep=True))

    def rest_names(self) -> frozenset[str]:
        """Names in the shared metadata column, remembered."""
        if not self.index.has_rest:
            return frozenset()

        def load() -> tuple[object, int]:
            with self._open() as file:
                table = file.read(columns=[METADATA_REST], use_threads=False)
            names = from_arrow(table).names()
            return names, 64 + sum(64 + len(name) for name in names)

        return cast(frozenset[str], self._remembered((METADATA_REST,), load, keep=True))

    def _plain(self, group: int) -> tuple[object, int]:
        spans = Spans.from_arrow(_single(self._table(group, [LINE_COLUMN]).column(LINE_COLUMN)))
        return spans, spans.nbytes() + 12 * len(spans)

    def _metadata(self, group: int, names: list[str]) -> tuple[object, int]:
        found = from_arrow(self._table(group, names))
        for name, column in found.columns.items():
            if column.is_encoded and column.codes.max(initial=-1) >= len(column.values):
                raise DamagedBlockError(self.index.key, f"metadata {name} has codes without texts")
        return found, 64 + found.nbytes()

    def column(self, group: int, number: int) -> HoleColumn:
        """The values of a hole of the shape in a row group, remembered."""
        template = self.index.template
        assert template is not None
        hole = template.holes[number]

        def load() -> tuple[object, int]:
            column = from_column(
                hole.type, _single(self._table(group, [hole.name]).column(hole.name))
            )
            if not is_sound(hole, column):
                raise DamagedBlockError(self.index.key, f"column {hole.name} is not as its stamp")
            return column, column.nbytes()

        return cast(HoleColumn, self._remembered((group, hole.name), load, keep=True))

    def _remembered(
        self, key: tuple[object, ...], load: Callable[[], tuple[object, int]], *, keep: bool
    ) -> object:
        full = (self._block_id, self.index.number, *key)
        known = self._cache.get(full)
        if known is None:
            known, size = load()
            if keep:
                self._cache.put(full, known, size)
        return known

    def _table(self, group: int, names: list[str]) -> pa.Table:
        with self._open() as file:
            table = file.read_row_group(group, columns=names, use_threads=False)
        self._stats.bytes_read += table.nbytes
        rows = int(self.index.bounds[group + 1] - self.index.bounds[group])
        if any(len(column) != rows for column in table.columns):
            raise DamagedBlockError(self.index.key, f"a column has not {rows} rows")
        return table

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        """The file for reading; pages that are not as they were written raise."""
        template = self.index.template
        words = [] if template is None else dictionary_columns(template)
        with (
            reading(self.index.key),
            pq.ParquetFile(
                self._objects.open(self.index.key),
                metadata=self.index.footer,
                read_dictionary=[*self.index.dictionaries, *words],
                pre_buffer=False,
                page_checksum_verification=True,
            ) as file,
        ):
            yield file

    def _metadata_names(self, columns: Columns) -> list[str]:
        if columns.metadata is False:
            return []
        rest = [METADATA_REST] if self.index.has_rest else []
        if columns.metadata is True:
            return [*self.index.dictionaries, *rest]
        own = [METADATA_PREFIX + name for name in sorted(columns.metadata)]
        found = [name for name in own if name in self.index.dictionaries]
        return found + (rest if len(found) < len(own) else [])


def _single(chunked: pa.ChunkedArray) -> pa.Array:
    combined = chunked.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
