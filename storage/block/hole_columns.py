"""How are the values of a hole a column of a Parquet file? Types and encodings, there and back."""

import numpy as np
import pyarrow as pa

from narfi.core.columns import I64, Spans
from narfi.core.kernels.shape_values import count_distinct
from narfi.core.label_column import SpansColumn
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import Hole, HoleKind, HoleType

BLOOM_SAMPLE = 4096
BLOOM_DISTINCT_SHARE = 0.9
MS_PER_S = 1000
FEW_NUMBERS = 1024
"""So few distinct numbers are written as a dictionary (page)."""
_UNITS = {0: "ms", 3: "ms", 6: "us", 9: "ns"}
"""Parquet's unit by decimals; it has no seconds."""

Encoding = tuple[str, str]
"""(Parquet encoding, compression)."""


def nearly_unique(column: HoleColumn) -> bool:
    """Ids: what people look for whole, and what no dictionary holds."""
    if not isinstance(column, HexColumn | BytesColumn):
        return False
    spans = column.take(np.arange(min(len(column), BLOOM_SAMPLE))).spans()
    return len(SpansColumn(spans).values) >= BLOOM_DISTINCT_SHARE * len(spans)


def choose_encoding(column: HoleColumn) -> Encoding | None:
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


def to_column(column: HoleColumn) -> pa.Array:
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
    values, kind = column.values, column.type
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


def from_column(stored: HoleType, array: pa.Array) -> HoleColumn:
    """The values of a hole as they were read."""
    kind = stored.kind
    if kind is HoleKind.WORDS:
        codes = array.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        return WordsColumn(codes, Spans.from_arrow(array.dictionary))
    if kind is HoleKind.BYTES:
        return BytesColumn(Spans.from_arrow(array))
    if kind is HoleKind.HEX:
        width = stored.layout.count(b"x") // 2
        data = np.frombuffer(array.buffers()[1], np.uint8)
        first = array.offset * width
        found = data[first : first + len(array) * width].reshape(len(array), width)
        return HexColumn(found, stored.layout)
    values = _integers(array)
    if kind is HoleKind.TIME and not stored.layout.count(b"f"):
        values = values // MS_PER_S
    return IntegerColumn(values, stored)


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
