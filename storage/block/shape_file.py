"""How is a shape stored? A Parquet file: stream, ts, row, a typed column per hole, metadata.

`row` is the entry's place in the block's order, so a file can be read alone or with the others. The
template with its stamps stands in the footer. docs/format/block.md describes every byte.
"""

from collections.abc import Iterator

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I64, Spans
from narfi.core.kernels.shape_values import count_distinct
from narfi.core.label_column import SpansColumn
from storage.block.draft import Draft, ShapePart
from storage.block.layout import (
    METADATA_PREFIX,
    SHAPE_GROUP_BYTES,
    SHAPE_GROUP_ROWS,
    TEMPLATE_KEY,
)
from storage.block.metadata import stored_names, to_arrow
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import Hole, HoleKind, Template, from_json, to_json

BLOOM_FALSE_SHARE = 0.05
"""Groups that are read in vain; a filter takes about a byte a value."""
BLOOM_SAMPLE = 4096
BLOOM_DISTINCT_SHARE = 0.9
MS_PER_S = 1000
FEW_NUMBERS = 1024
"""So few distinct numbers are written as a dictionary (page)."""
_UNITS = {0: "ms", 3: "ms", 6: "us", 9: "ns"}
"""Parquet's unit by decimals; it has no seconds."""

Encoding = tuple[str, str]
"""(Parquet encoding, compression)."""


def encode_shape_file(part: ShapePart, draft: Draft) -> pa.Buffer:
    """The file of a shape; `draft` is the block that its rows point into."""
    shape = part.shape
    metadata = part.metadata.without_absent()
    own, rest = stored_names(metadata)
    order = {
        "stream": pa.array(draft.stream[shape.rows]),
        "ts": pa.array(draft.ts[shape.rows]),
        "row": pa.array(shape.rows.astype(np.int32)),
    }
    holes = list(zip(shape.template.holes, shape.columns, strict=True))
    columns = order | {hole.name: to_column(hole, column) for hole, column in holes}
    columns |= to_arrow(metadata, own, rest, len(shape.rows))
    encodings = {"ts": ("DELTA_BINARY_PACKED", "NONE"), "row": ("DELTA_BINARY_PACKED", "ZSTD")}
    encodings |= {h.name: how for h, c in holes if (how := choose_encoding(h, c)) is not None}
    table = pa.table(
        columns,
        schema=pa.schema(
            [pa.field(n, a.type, nullable=n.startswith("metadata")) for n, a in columns.items()],
            metadata={TEMPLATE_KEY: orjson.dumps(to_json(shape.template))},
        ),
    )
    sink = pa.BufferOutputStream()
    writer = pq.ParquetWriter(
        sink,
        table.schema,
        compression={n: encodings.get(n, ("", "ZSTD"))[1] for n in columns},
        compression_level={n: 1 for n in columns if encodings.get(n, ("", "ZSTD"))[1] == "ZSTD"},
        use_dictionary=[n for n in columns if n not in encodings],
        column_encoding={n: found[0] for n, found in encodings.items()},
        write_statistics=["stream", "ts", *(h.name for h, c in holes if _ordered(c))],
        write_page_checksum=True,
        store_schema=False,
        store_decimal_as_integer=True,
        data_page_size=SHAPE_GROUP_BYTES,
        dictionary_pagesize_limit=SHAPE_GROUP_BYTES,
        bloom_filter_options={
            h.name: {"ndv": min(len(shape.rows), SHAPE_GROUP_ROWS), "fpp": BLOOM_FALSE_SHARE}
            for h, c in holes
            if _nearly_unique(c)
        }
        or None,
    )
    with writer:
        writer.add_key_value_metadata(
            {TEMPLATE_KEY: orjson.dumps(to_json(shape.template)).decode()}
        )
        for first, end in shape_row_groups(part):
            writer.write_table(table.slice(first, end - first), row_group_size=end - first)
    return sink.getvalue()


def shape_row_groups(part: ShapePart) -> Iterator[tuple[int, int]]:
    """`[first, end)` rows of each group: bounded in rows and, about, in bytes of lines."""
    rows = len(part.rows)
    size = int(part.lengths().sum(dtype=np.int64))
    each = max(1, min(SHAPE_GROUP_ROWS, rows * SHAPE_GROUP_BYTES // max(size, 1)))
    for first in range(0, rows, each):
        yield first, min(first + each, rows)


def template_of(footer: pq.FileMetaData) -> Template | None:
    """The template in a footer; None for plain lines."""
    text = (footer.metadata or {}).get(TEMPLATE_KEY.encode())
    return None if text is None else from_json(orjson.loads(text))


def _nearly_unique(column: HoleColumn) -> bool:
    """Ids: what people look for whole, and what no dictionary holds."""
    if not isinstance(column, HexColumn | BytesColumn):
        return False
    spans = column.take(np.arange(min(len(column), BLOOM_SAMPLE))).spans()
    return len(SpansColumn(spans).values) >= BLOOM_DISTINCT_SHARE * len(spans)


def _ordered(column: HoleColumn) -> bool:
    return isinstance(column, IntegerColumn)


def choose_encoding(hole: Hole, column: HoleColumn) -> Encoding | None:
    """How a hole is written; None for a dictionary."""
    if isinstance(column, WordsColumn):
        return None
    if isinstance(column, HexColumn):
        return "PLAIN", "NONE"  # random digits: nothing to gain
    if isinstance(column, BytesColumn):
        return "DELTA_LENGTH_BYTE_ARRAY", "ZSTD"
    assert isinstance(column, IntegerColumn)
    values = column.values
    size = 4 * FEW_NUMBERS
    table, used = np.empty(size, np.int64), np.zeros(size, np.int64)
    distinct = count_distinct(values, FEW_NUMBERS, table, used)
    if distinct <= min(FEW_NUMBERS, len(values) // 4):
        return None
    spread = float(values.max()) - float(values.min()) + 1.0
    steps = float(np.abs(np.diff(values)).mean()) + 1.0 if len(values) > 1 else 1.0
    if steps < spread / 8:  # neighbours are near each other: times, counters
        return "DELTA_BINARY_PACKED", "ZSTD"
    return "BYTE_STREAM_SPLIT", "ZSTD"


def to_column(hole: Hole, column: HoleColumn) -> pa.Array:
    """The Arrow array of a hole."""
    if isinstance(column, WordsColumn):
        return pa.DictionaryArray.from_arrays(pa.array(column.codes), _texts(column.words))
    if isinstance(column, BytesColumn):
        return _texts(column.values, large=True)
    if isinstance(column, HexColumn):
        width = column.values.shape[1]
        data = pa.py_buffer(np.ascontiguousarray(column.values))
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(column), [None, data])
    assert isinstance(column, IntegerColumn)
    values, kind = column.values, hole.type
    if kind.kind is HoleKind.IPV4:
        return pa.array(values.astype(np.uint32))
    if kind.kind is HoleKind.TIME:
        decimals = kind.layout.count(b"f")
        stored = values if decimals else values * MS_PER_S
        return pa.array(stored).cast(pa.timestamp(_UNITS[decimals]))
    if kind.scale == 0:
        return pa.array(values)
    wide = np.empty((len(values), 2), np.int64)
    wide[:, 0] = values
    wide[:, 1] = values >> 63
    return pa.Array.from_buffers(
        pa.decimal128(18, kind.scale), len(values), [None, pa.py_buffer(wide)]
    )


def _texts(values: Spans, *, large: bool = False) -> pa.Array:
    """Text where all of it is UTF-8, else binary."""
    array = values.to_arrow(text=True)
    try:
        array.validate(full=True)
        kind = pa.string()
    except pa.ArrowInvalid:
        array, kind = values.to_arrow(), pa.binary()
    return array if large else array.cast(kind)


def from_column(hole: Hole, array: pa.Array) -> HoleColumn:
    """The values of a hole as they were read."""
    kind = hole.type.kind
    if kind is HoleKind.WORDS:
        codes = array.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        return WordsColumn(codes, Spans.from_arrow(array.dictionary))
    if kind is HoleKind.BYTES:
        return BytesColumn(Spans.from_arrow(array))
    if kind is HoleKind.HEX:
        width = hole.type.layout.count(b"x") // 2
        data = np.frombuffer(array.buffers()[1], np.uint8)
        first = array.offset * width
        found = data[first : first + len(array) * width].reshape(len(array), width)
        return HexColumn(found, hole.type.layout)
    values = _integers(array)
    if kind is HoleKind.TIME and not hole.type.layout.count(b"f"):
        values = values // MS_PER_S
    return IntegerColumn(values, hole.type)


def is_sound(hole: Hole, column: HoleColumn) -> bool:
    """Whether codes are valid and texts as long as the stamp says: lines are put together by it."""
    if isinstance(column, WordsColumn):
        if column.codes.min() < 0 or column.codes.max() >= len(column.words):
            return False
        length = column.words.length
    elif isinstance(column, BytesColumn):
        length = column.values.length
    else:
        return True
    return bool(hole.min_length <= length.min() and length.max() <= hole.max_length)


def _integers(array: pa.Array) -> I64:
    if pa.types.is_decimal(array.type):
        wide = np.frombuffer(array.buffers()[1], np.int64)[2 * array.offset :]
        return np.ascontiguousarray(wide[: 2 * len(array) : 2])
    if pa.types.is_timestamp(array.type):
        array = array.view(pa.int64())
    values: I64 = array.to_numpy(zero_copy_only=False).astype(np.int64, copy=False)
    return values


def dictionary_columns(template: Template) -> list[str]:
    """Holes that are read as dictionaries."""
    return [hole.name for hole in template.holes if hole.type.kind is HoleKind.WORDS]


def metadata_columns(footer: pq.FileMetaData) -> tuple[str, ...]:
    """Columns of structured metadata that have a name of their own."""
    names = [footer.schema.column(i).path for i in range(len(footer.schema))]
    return tuple(name for name in names if name.startswith(METADATA_PREFIX))
