"""How is one file of a block read? Row groups of plain lines or of a shape, column by column.

A file holds some rows of the block; `rows` says which, ascending. Thread-safe: every read opens the
mapped file anew (about 50 µs) with the known footer; decoded columns are remembered.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64, Spans
from storage.batch import LineColumn, Metadata
from storage.block.footer import DamagedBlockError, read_footer
from storage.block.layout import LINE_COLUMN, METADATA_PREFIX, METADATA_REST, ROW_COLUMN
from storage.block.metadata import from_arrow
from storage.block.shape_file import (
    dictionary_columns,
    from_column,
    is_sound,
    metadata_columns,
    template_of,
)
from storage.cache import ByteCache
from storage.lines.holes import HoleColumn
from storage.lines.plain import PlainLines
from storage.lines.shaped import Index, ShapedLines, ShapeGroup
from storage.lines.template import Template
from storage.objects.base import ObjectStore
from storage.scan import Columns


@dataclass(frozen=True, slots=True)
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


def index_file(
    objects: ObjectStore, key: str, number: int, line_bytes: float, checksum: int | None
) -> FileIndex:
    """Read the footer; `line_bytes` is the mean of the block, for shapes (they store no lines)."""
    footer = read_footer(objects, key, checksum)
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
        key,
        number,
        footer,
        bounds,
        template,
        metadata_columns(footer),
        METADATA_REST in names,
        ROW_COLUMN in names,
        line_bytes,
    )


class FileReader:
    """Reads one file of one block."""

    def __init__(
        self, index: FileIndex, block_id: str, objects: ObjectStore, cache: ByteCache[object]
    ) -> None:
        self.index = index
        self._block_id, self._objects, self._cache = block_id, objects, cache

    def order(self) -> tuple[I64, I64]:
        """(rows in the block, timestamps) of all places of the file."""
        names = ["ts", ROW_COLUMN] if self.index.has_rows else ["ts"]
        with self._open() as file:
            table = file.read(columns=names, use_threads=False)
        ts: I64 = _single(table.column("ts")).to_numpy(zero_copy_only=False)
        if not self.index.has_rows:
            return np.arange(len(ts), dtype=np.int64), ts
        rows: I32 = _single(table.column(ROW_COLUMN)).to_numpy(zero_copy_only=False)
        return rows.astype(np.int64), ts

    def lines(
        self, group: int, index: Index, *, keep: bool, decoded: Callable[[int, int], None]
    ) -> LineColumn:
        """Lines at places of a row group; of a shape, nothing is read before it is asked for."""
        template = self.index.template
        if template is not None:
            rows = int(self.index.bounds[group + 1] - self.index.bounds[group])
            shape = ShapeGroup(template, rows, lambda hole: self._hole(group, hole))
            return ShapedLines(shape, index, decoded)
        found = self._remembered((group, LINE_COLUMN), lambda: self._plain(group), keep=keep)
        assert isinstance(found, Spans)
        return PlainLines(found.take(index))

    def metadata(self, group: int, index: Index, columns: Columns, *, keep: bool) -> Metadata:
        """Structured metadata at places of a row group."""
        names = self._metadata_names(columns)
        if not names:
            return Metadata()
        found = self._remembered((group, *names), lambda: self._metadata(group, names), keep=keep)
        assert isinstance(found, Metadata)
        return found.take(index)

    def rest_names(self) -> frozenset[str]:
        """Names in the shared metadata column."""
        if not self.index.has_rest:
            return frozenset()
        with self._open() as file:
            table = file.read(columns=[METADATA_REST], use_threads=False)
        return frozenset(from_arrow(table).columns)

    def _plain(self, group: int) -> tuple[object, int]:
        spans = Spans.from_arrow(_single(self._table(group, [LINE_COLUMN]).column(LINE_COLUMN)))
        return spans, spans.nbytes() + 12 * len(spans)

    def _metadata(self, group: int, names: list[str]) -> tuple[object, int]:
        found = from_arrow(self._table(group, names))
        for name, column in found.columns.items():
            if column.is_encoded and column.codes.max(initial=-1) >= len(column.values):
                raise DamagedBlockError(self.index.key, f"metadata {name} has codes without texts")
        return found, _size_of(found)

    def _hole(self, group: int, number: int) -> HoleColumn:
        template = self.index.template
        assert template is not None
        hole = template.holes[number]

        def load() -> tuple[object, int]:
            column = from_column(hole, _single(self._table(group, [hole.name]).column(hole.name)))
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
        rows = int(self.index.bounds[group + 1] - self.index.bounds[group])
        if any(len(column) != rows for column in table.columns):
            raise DamagedBlockError(self.index.key, f"a column has not {rows} rows")
        return table

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        """The file for reading; pages that are not as they were written raise."""
        template = self.index.template
        words = [] if template is None else dictionary_columns(template)
        try:
            with pq.ParquetFile(
                self._objects.open(self.index.key),
                metadata=self.index.footer,
                read_dictionary=[*self.index.dictionaries, *words],
                pre_buffer=False,
                page_checksum_verification=True,
            ) as file:
                yield file
        except (OSError, pa.ArrowException) as error:
            raise DamagedBlockError(self.index.key, error) from error

    def _metadata_names(self, columns: Columns) -> list[str]:
        if columns.metadata is False:
            return []
        rest = [METADATA_REST] if self.index.has_rest else []
        if columns.metadata is True:
            return [*self.index.dictionaries, *rest]
        own = [METADATA_PREFIX + name for name in sorted(columns.metadata)]
        found = [name for name in own if name in self.index.dictionaries]
        return found + (rest if len(found) < len(own) else [])


def _size_of(metadata: Metadata) -> int:
    """Bytes that decoded metadata holds, about."""
    return 64 + sum(
        4 * len(column) + column.values.nbytes() + 12 * len(column.values)
        for column in metadata.columns.values()
    )


def _single(chunked: pa.ChunkedArray) -> pa.Array:
    combined = chunked.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
