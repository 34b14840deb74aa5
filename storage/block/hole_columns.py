"""How are the values of a hole a column of a Parquet file? Types and encodings, there and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class Places:
    """Where the values of a column stand among `size` rows; the others are null."""

    size: int
    runs: Sequence[tuple[int, int]]  # `[first, end)`, ascending
    count: int  # of values
    valid: pa.Buffer | None  # Arrow's bitmap; None: all have a value

    @staticmethod
    def of(runs: Sequence[tuple[int, int]], size: int) -> "Places":
        """Of `[first, end)` runs of rows, ascending."""
        joined: list[tuple[int, int]] = []
        for first, end in runs:
            if joined and joined[-1][1] == first:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((first, end))
        count = sum(end - first for first, end in joined)
        if count == size:
            return Places(size, joined, count, None)
        mask = np.zeros(size, np.bool_)
        for first, end in joined:
            mask[first:end] = True
        return Places(size, joined, count, pa.py_buffer(np.packbits(mask, bitorder="little")))

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Each value at its place, zeros between."""
        if self.valid is None:
            return np.ascontiguousarray(values)
        found = np.zeros((self.size, *values.shape[1:]), values.dtype)
        at = 0
        for first, end in self.runs:
            found[first:end] = values[at : at + end - first]
            at += end - first
        return found

    def array(self, kind: pa.DataType, values: NDArray[Any]) -> pa.Array:
        """An array of a type of fixed width."""
        nulls = self.size - self.count
        data = pa.py_buffer(self.spread(values))
        return pa.Array.from_buffers(kind, self.size, [self.valid, data], nulls)


def to_column(column: HoleColumn, places: Places | None = None) -> pa.Array:
    """The Arrow array of a hole; `places` of None: every row has a value."""
    places = places or Places.of([(0, len(column))], len(column))
    if isinstance(column, WordsColumn):
        codes = places.array(pa.int32(), column.codes)
        return pa.DictionaryArray.from_arrays(codes, _words(column.words))
    if isinstance(column, BytesColumn):
        return _texts(column.values, places)
    if isinstance(column, HexColumn):
        return places.array(pa.binary(column.values.shape[1]), column.values)
    assert isinstance(column, IntegerColumn)
    values, kind = column.values, column.type
    if kind.kind is HoleKind.IPV4:
        return places.array(pa.uint32(), values.astype(np.uint32))
    if kind.kind is HoleKind.TIME:
        decimals = kind.layout.count(b"f")
        stored = values if decimals else values * MS_PER_S
        return places.array(pa.timestamp(_UNITS[decimals]), stored)
    number = pa.decimal64(18, kind.scale) if kind.scale else pa.int64()
    return places.array(number, values)


def _words(words: Spans) -> pa.Array:
    """A string array where all are UTF-8, else binary."""
    packed = words if words.is_packed() else words.packed()
    ends = np.zeros(len(packed) + 1, np.int32)
    np.cumsum(packed.length, out=ends[1:])
    return _text_or_binary((pa.string(), pa.binary()), packed, ends, None)


def _texts(values: Spans, places: Places) -> pa.Array:
    """A large string array where all are UTF-8, else binary."""
    packed = values if values.is_packed() else values.packed()
    ends = np.zeros(places.size + 1, np.int64)
    if places.valid is None:
        np.cumsum(packed.length, out=ends[1:])
    else:
        at = 0
        for first, end in places.runs:
            ends[first + 1 : end + 1] = packed.length[at : at + end - first]
            at += end - first
        np.cumsum(ends, out=ends)
    return _text_or_binary((pa.large_string(), pa.large_binary()), packed, ends, places.valid)


def _text_or_binary(
    kinds: tuple[pa.DataType, pa.DataType],
    packed: Spans,
    ends: NDArray[np.integer],
    valid: pa.Buffer | None,
) -> pa.Array:
    """Of the first type if that is valid, else of the second; value k ends at `ends[k + 1]`."""
    first = int(packed.start[0]) if len(packed) else 0
    data = np.ascontiguousarray(packed.data[first : first + int(ends[-1])])
    buffers = [valid, pa.py_buffer(ends), pa.py_buffer(data)]
    array = pa.Array.from_buffers(kinds[0], len(ends) - 1, buffers)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return pa.Array.from_buffers(kinds[1], len(ends) - 1, buffers)
    return array


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
