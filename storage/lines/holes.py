"""What are the values of one hole? Typed arrays that answer questions about their texts.

Every answer equals that of the printed texts. Columns are immutable; `take` shares or copies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, U8, Mask, Spans, concat_spans
from narfi.core.kernels.shape_print import (
    decimal_lengths,
    digits_within,
    hex_contains,
    ipv4_lengths,
    write_constant,
    write_decimals,
    write_hex,
    write_ipv4,
    write_spans,
    write_times,
)
from narfi.core.kernels.shape_values import number_values
from narfi.core.label_column import (
    CodedColumn,
    LabelColumn,
    SpansColumn,
    TypedColumn,
    concat_columns,
)
from storage.lines.search import spans_contain
from storage.lines.template import HoleKind, HoleType
from storage.lines.texts import Rows, Texts, printed

F64 = NDArray[np.float64]

EXACT_DIGITS = 15
"""Integers of so many digits, and their quotients by powers of ten, are exact in a float64."""


class HoleColumn(Texts, Protocol):
    """The values of a hole in n rows."""

    def take(self, rows: Rows | slice) -> "HoleColumn":
        """The given rows."""
        ...

    def contains(self, text: bytes) -> Mask:
        """Which values contain a text that is not empty."""
        ...

    def label(self) -> LabelColumn:
        """The values as a label of n rows."""
        ...

    def nbytes(self) -> int:
        """Memory held, about."""
        ...


def printed_between(
    pieces: Sequence[bytes | int], columns: Mapping[int, HoleColumn], rows: int
) -> Spans:
    """Constants, and holes by their numbers, put together in each row."""
    length = np.zeros(rows, np.int32)
    for piece in pieces:
        length += columns[piece].lengths() if isinstance(piece, int) else len(piece)
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(length, out=offsets[1:])
    out, at = np.empty(int(offsets[-1]), np.uint8), offsets[:-1].copy()
    for piece in pieces:
        if isinstance(piece, int):
            columns[piece].write(at, out)
        else:
            write_constant(np.frombuffer(piece, np.uint8), at, out)
    return Spans(out, offsets[:-1].copy(), length)


@dataclass(frozen=True, slots=True)
class BytesColumn:
    """Any texts."""

    values: Spans

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows | slice) -> HoleColumn:
        """The given rows; shares the buffer."""
        return BytesColumn(self.values.take(rows))

    def lengths(self) -> I32:
        """Bytes of each value."""
        return self.values.length

    def write(self, at: I64, out: U8) -> None:
        """Copy each value."""
        write_spans(self.values.data, self.values.start, self.values.length, at, out)

    def spans(self) -> Spans:
        """The values."""
        return self.values

    def contains(self, text: bytes) -> Mask:
        """By searching the buffer."""
        return spans_contain(self.values, text)

    def label(self) -> LabelColumn:
        """The values as views."""
        return SpansColumn(self.values)

    def nbytes(self) -> int:
        """The texts and their places."""
        return self.values.nbytes() + 12 * len(self.values)


@dataclass(frozen=True, slots=True)
class WordsColumn:
    """Codes into few distinct texts; every code is valid."""

    codes: I32
    words: Spans

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Rows | slice) -> HoleColumn:
        """The given rows."""
        return WordsColumn(self.codes[rows], self.words)

    def lengths(self) -> I32:
        """Bytes of each value."""
        return self.words.length[self.codes]

    def write(self, at: I64, out: U8) -> None:
        """Copy each word."""
        write_spans(
            self.words.data, self.words.start[self.codes], self.words.length[self.codes], at, out
        )

    def spans(self) -> Spans:
        """Views of the words."""
        return self.words.take(self.codes)

    def contains(self, text: bytes) -> Mask:
        """Each word is asked once."""
        return self.rows_of(spans_contain(self.words, text))

    def rows_of(self, words: Mask) -> Mask:
        """The rows of the words that are marked."""
        if not words.any():
            return np.zeros(len(self.codes), np.bool_)
        found: Mask = words[self.codes]
        return found

    def label(self) -> LabelColumn:
        """The codes as they are."""
        return CodedColumn(codes=self.codes, values=self.words)

    def without_unused(self) -> "WordsColumn":
        """The same values; no word that is in none of them."""
        used = np.zeros(len(self.words), np.bool_)
        used[self.codes] = True
        if used.all():
            return self
        short = np.cumsum(used, dtype=np.int32) - np.int32(1)
        return WordsColumn(short[self.codes], self.words.take(np.flatnonzero(used)))

    def nbytes(self) -> int:
        """Codes and words."""
        return 4 * len(self.codes) + self.words.nbytes() + 12 * len(self.words)


@dataclass(frozen=True, slots=True)
class IntegerColumn:
    """NUMBER, IPV4 and TIME."""

    values: I64
    type: HoleType

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows | slice) -> "IntegerColumn":
        """The given rows."""
        return IntegerColumn(self.values[rows], self.type)

    def lengths(self) -> I32:
        """Bytes of each printed value."""
        out = np.empty(len(self.values), np.int32)
        kind = self.type
        if kind.kind is HoleKind.NUMBER:
            decimal_lengths(self.values, kind.scale, kind.least, kind.width, out)
        elif kind.kind is HoleKind.IPV4:
            ipv4_lengths(self.values, out)
        else:
            out.fill(len(kind.layout))
        return out

    def write(self, at: I64, out: U8) -> None:
        """Print each value."""
        kind = self.type
        if kind.kind is HoleKind.NUMBER:
            write_decimals(self.values, kind.scale, kind.least, kind.width, at, out)
        elif kind.kind is HoleKind.IPV4:
            write_ipv4(self.values, at, out)
        else:
            layout = np.frombuffer(kind.layout, np.uint8)
            write_times(self.values, layout, kind.time_factor, at, out)

    def spans(self) -> Spans:
        """The printed values."""
        return printed(self)

    def contains(self, text: bytes) -> Mask:
        """By arithmetic where the text is digits, else by searching the printed values."""
        kind = self.type
        plain = kind.kind is HoleKind.NUMBER and kind.scale == 0 and kind.width == 1
        if plain and text.isdigit() and len(text) <= EXACT_DIGITS:
            out = np.empty(len(self.values), np.bool_)
            digits_within(self.values, int(text), len(text), out)
            return out
        return spans_contain(self.spans(), text)

    def label(self) -> LabelColumn:
        """Printed, numbered or taken as numbers when that is asked for."""
        return TypedColumn(self)

    def encoded(self) -> tuple[I32, Spans]:
        """(code of each row, distinct printed values)."""
        n = len(self.values)
        if not n:
            return np.zeros(0, np.int32), printed(self)
        reach = int(self.values.max()) - int(self.values.min()) + 1
        size = 16  # of a table; more than twice as large as there can be distinct values
        while size < 2 * min(n, reach) + 2:
            size *= 2
        codes, distinct = np.empty(n, np.int32), np.empty(n, np.int64)
        count = number_values(self.values, np.full(size, -1, np.int64), distinct, codes)
        return codes, printed(IntegerColumn(distinct[:count].copy(), self.type))

    def numbers(self) -> F64 | None:
        """The float64 that each printed value means; None when a rounding could differ."""
        kind = self.type
        if kind.kind is not HoleKind.NUMBER:
            return None
        limit = 10**EXACT_DIGITS
        if len(self.values) and not -limit < self.values.min() <= self.values.max() < limit:
            return None
        found = self.values.astype(np.float64)
        return found / 10.0**kind.scale if kind.scale else found

    def bounds(self) -> tuple[float, float] | None:
        """Not worth looking for once the numbers are here."""
        return None

    def nbytes(self) -> int:
        """The integers."""
        return self.values.nbytes


@dataclass(frozen=True, slots=True)
class HexColumn:
    """Hex digits as bytes, `[rows, bytes]`."""

    values: NDArray[np.uint8]
    layout: bytes

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Rows | slice) -> HoleColumn:
        """The given rows."""
        return HexColumn(np.ascontiguousarray(self.values[rows]), self.layout)

    def lengths(self) -> I32:
        """The same for each value."""
        return np.full(len(self.values), len(self.layout), np.int32)

    def write(self, at: I64, out: U8) -> None:
        """Print each value."""
        write_hex(self.values, np.frombuffer(self.layout, np.uint8), at, out)

    def spans(self) -> Spans:
        """The printed values."""
        return printed(self)

    def contains(self, text: bytes) -> Mask:
        """By comparing digits; texts are printed only where the layout has more than digits."""
        if self.layout.strip(b"x"):
            return spans_contain(self.spans(), text)
        out = np.zeros(len(self.values), np.bool_)
        try:
            digits = np.array([int(chr(byte), 16) for byte in text], np.uint8)
        except ValueError:
            return out
        if text.lower() != text:
            return out
        width = self.values.shape[1]
        hex_contains(np.ascontiguousarray(self.values).reshape(-1), width, digits, out)
        return out

    def label(self) -> LabelColumn:
        """Printed when that is asked for."""
        return SpansColumn(self.spans())

    def nbytes(self) -> int:
        """The bytes."""
        return self.values.nbytes


def concat_holes(parts: Sequence[HoleColumn]) -> HoleColumn:
    """The values of all parts, one behind the other; the parts are of one type."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, WordsColumn):
        joined = concat_columns([part.label() for part in parts])
        return WordsColumn(joined.codes, joined.values)
    if isinstance(first, HexColumn):
        values = [part.values for part in parts if isinstance(part, HexColumn)]
        return HexColumn(np.concatenate(values), first.layout)
    if isinstance(first, IntegerColumn):
        numbers = [part.values for part in parts if isinstance(part, IntegerColumn)]
        return IntegerColumn(np.concatenate(numbers), first.type)
    return BytesColumn(concat_spans([part.spans() for part in parts]))
