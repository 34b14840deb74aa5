"""How is a family stored? A Parquet file: its shapes one behind the other, then its plain lines.

Every column of the family is nullable and has values where the row's shape has the field, so its
definition levels are runs. What the shapes are stands in the index (`stored.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64, Spans
from storage.block.family import Family, FamilyColumn
from storage.block.format3.stored import StoredColumn, StoredFamily, StoredShape
from storage.block.hole_columns import Places, choose_encoding, nearly_unique, to_column
from storage.block.layout import (
    LINE_COLUMN,
    ROW_COLUMN,
    SHAPE_COLUMN,
    SHAPE_GROUP_BYTES,
    SHAPE_GROUP_ROWS,
)
from storage.block.shape_file import BLOOM_FALSE_SHARE
from storage.block.shapes.encodings import DICTIONARY
from storage.block.utf8 import all_utf8
from storage.lines.holes import IntegerColumn
from storage.lines.template import HoleType

RESERVED = frozenset(("ts", ROW_COLUMN, SHAPE_COLUMN, "stream", LINE_COLUMN))
"""Columns of the files; a field of such a name gets a suffix."""
SUFFIX = "_extracted"
MIN_STATISTICS = 4096
"""Numbers have bounds from so many values on: for fewer they prune nothing worth their bytes."""
NUMBERS_LEVEL = 3
"""Of zstd, at most, for values of fixed width: higher ones find no more in them."""
PLAIN_GROUP_BYTES = 8 * 1024 * 1024
"""Lines of a row group that are stored as they are."""

TEXT_ARRAYS = (pa.DictionaryArray, pa.LargeStringArray, pa.LargeBinaryArray)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    values: pa.Array  # one for each row of the family
    encoding: tuple[str, str] | None  # None: a dictionary
    ordered: bool  # bounds may prune
    is_id: bool


def encode_family(family: Family, lengths: I32, level: int) -> tuple[pa.Buffer, StoredFamily]:
    """The file, and what the index says of it; `lengths` are those of the lines of all rows.

    `level` of zstd for texts.
    """
    rows = family.rows()
    lengths = lengths[rows]
    columns = _columns(family, len(rows))
    plain = family.plain.packed()
    text = all_utf8(plain)
    table = pa.table(
        [
            pa.array(rows.astype(np.int32)),
            _shape_column(family),
            *(column.values for column in columns),
            *_line_column(plain, len(rows), text=text),
        ],
        schema=_schema(columns, has_lines=bool(len(family.plain)), text=text),
    )
    sink = pa.BufferOutputStream()
    with _writer(sink, table.schema, columns, level) as writer:
        for first, end in _row_groups(lengths, len(rows) - len(family.plain_rows)):
            writer.write_table(table.slice(first, end - first), row_group_size=end - first)
    return sink.getvalue(), _stored(family, [column.name for column in columns], lengths)


def _columns(family: Family, size: int) -> list[_Column]:
    firsts = np.cumsum([0, *(len(shape.rows) for shape in family.shapes)])
    owners: list[list[int]] = [[] for _ in family.columns]
    for number, shape in enumerate(family.shapes):
        for place in shape.columns:
            owners[place].append(number)
    spread: dict[tuple[int, ...], Places] = {}
    found = []
    names = stored_column_names([column.name for column in family.columns])
    for column, name, mine in zip(family.columns, names, owners, strict=True):
        key = tuple(mine)
        if key not in spread:
            spread[key] = Places.of([(firsts[k], firsts[k + 1]) for k in mine], size)
        found.append(
            _Column(
                name=name,
                values=to_column(column.values, spread[key]),
                encoding=_encoding(column),
                ordered=isinstance(column.values, IntegerColumn)
                and len(column.values) >= MIN_STATISTICS,
                is_id=nearly_unique(column.values),
            )
        )
    return found


def _encoding(column: FamilyColumn) -> tuple[str, str] | None:
    if column.encoding is None:
        return choose_encoding(column.values)
    return None if column.encoding == DICTIONARY else (column.encoding, "ZSTD")


def stored_column_names(names: Sequence[str]) -> list[str]:
    """What the columns are called in the file: a field's name, unless it is one of ours."""
    used = {name.lower() for name in names} | RESERVED
    found = []
    for name in names:
        stored = name
        while stored.lower() in RESERVED or (stored != name and stored.lower() in used):
            stored += SUFFIX
        used.add(stored.lower())
        found.append(stored)
    return found


def _shape_column(family: Family) -> pa.Array:
    counts = [len(shape.rows) for shape in family.shapes]
    numbers = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return pa.concat_arrays([pa.array(numbers), pa.nulls(len(family.plain_rows), pa.int32())])


def _line_column(plain: Spans, size: int, *, text: bool) -> list[pa.Array]:
    if not len(plain):
        return []
    lines = plain.to_arrow(text=text)
    return [pa.concat_arrays([pa.nulls(size - len(lines), lines.type), lines])]


def _schema(columns: Sequence[_Column], *, has_lines: bool, text: bool) -> pa.Schema:
    fields = [
        pa.field(ROW_COLUMN, pa.int32(), nullable=False),
        pa.field(SHAPE_COLUMN, pa.int32()),
        *(pa.field(column.name, column.values.type) for column in columns),
    ]
    if has_lines:
        fields.append(pa.field(LINE_COLUMN, pa.large_string() if text else pa.large_binary()))
    return pa.schema(fields)


def _writer(
    sink: pa.NativeFile, schema: pa.Schema, columns: Sequence[_Column], level: int
) -> pq.ParquetWriter:
    encodings = {column.name: column.encoding for column in columns}
    encodings |= {
        ROW_COLUMN: ("DELTA_BINARY_PACKED", "ZSTD"),
        SHAPE_COLUMN: None,
        LINE_COLUMN: ("DELTA_LENGTH_BYTE_ARRAY", "ZSTD"),
    }
    fixed = {c.name for c in columns if not isinstance(c.values, TEXT_ARRAYS)}
    levels = {name: min(level, NUMBERS_LEVEL) if name in fixed else level for name in encodings}
    written = {name: encodings[name] for name in schema.names}
    compression = {name: how[1] if how else "ZSTD" for name, how in written.items()}
    return pq.ParquetWriter(
        sink,
        schema,
        compression=compression,
        compression_level={n: levels[n] for n, how in compression.items() if how == "ZSTD"},
        use_dictionary=[name for name, how in written.items() if how is None],
        column_encoding={name: how[0] for name, how in written.items() if how is not None},
        write_statistics=[
            ROW_COLUMN,
            SHAPE_COLUMN,
            *(column.name for column in columns if column.ordered),
        ],
        write_page_checksum=True,
        store_schema=False,
        store_decimal_as_integer=True,
        write_batch_size=SHAPE_GROUP_ROWS,
        data_page_size=SHAPE_GROUP_BYTES,
        dictionary_pagesize_limit=SHAPE_GROUP_BYTES,
        bloom_filter_options={
            column.name: {
                "ndv": min(len(column.values) - column.values.null_count, SHAPE_GROUP_ROWS),
                "fpp": BLOOM_FALSE_SHARE,
            }
            for column in columns
            if column.is_id
        }
        or None,
    )


def _row_groups(lengths: I32, shaped: int) -> Iterator[tuple[int, int]]:
    """`[first, end)` places of each group: bounded in rows and in bytes of lines.

    `lengths` are those of the lines at each place, of which `shaped` have a shape.
    """
    weights = lengths.astype(np.int64)
    weights[shaped:] *= SHAPE_GROUP_BYTES // PLAIN_GROUP_BYTES
    ends: I64 = np.cumsum(weights)
    first, base = 0, 0
    while first < len(lengths):
        by_bytes = int(np.searchsorted(ends, base + SHAPE_GROUP_BYTES, side="right"))
        end = min(first + SHAPE_GROUP_ROWS, max(by_bytes, first + 1), len(lengths))
        yield first, end
        base = int(ends[end - 1])
        first = end


def _stored(family: Family, names: Sequence[str], lengths: I32) -> StoredFamily:
    """`lengths` are those of the lines at each place of the file."""
    ends = np.cumsum([0, *(len(shape.rows) for shape in family.shapes)])
    sizes = np.diff(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])[ends]).tolist()
    columns = [StoredColumn(n, kind) for n, kind in zip(names, _types_of(family), strict=True)]
    shapes = [
        StoredShape(shape.template, shape.columns, len(shape.rows), size)
        for shape, size in zip(family.shapes, sizes, strict=True)
    ]
    return StoredFamily(
        name=family.name,
        columns=tuple(columns),
        shapes=tuple(shapes),
        plain_rows=len(family.plain_rows),
        plain_bytes=family.plain.nbytes(),
    )


def _types_of(family: Family) -> list[HoleType]:
    """What all holes of each column agree in."""
    found: list[HoleType | None] = [None] * len(family.columns)
    for shape in family.shapes:
        for hole, column in zip(shape.template.holes, shape.columns, strict=True):
            if found[column] is None:
                kind = hole.type
                found[column] = HoleType(kind=kind.kind, scale=kind.scale, layout=kind.layout)
    types = [kind for kind in found if kind is not None]
    assert len(types) == len(found), "a column without a shape"
    return types
