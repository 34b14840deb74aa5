"""What is a column of text? Views into one buffer, or codes into distinct values.

`Spans` never copies bytes when rows are taken; `LabelColumn` is one label over the rows of a batch
and makes whichever form is asked for. Invariant: length -1 (or code -1) means "this row has no such
label", which differs from the empty string.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from narfi.core.kernels.gather import encode_spans, gather_bytes

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

ABSENT = -1
EMPTY_BYTES: U8 = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Spans:
    """n byte strings: `data[start[i] : start[i] + length[i]]`; length -1 where absent."""

    data: U8
    start: I64
    length: I32

    def __len__(self) -> int:
        return len(self.start)

    @staticmethod
    def of(values: Iterable[bytes | None]) -> "Spans":
        """From Python values; for small columns, tests and edges only."""
        items = list(values)
        length = np.array([ABSENT if v is None else len(v) for v in items], np.int32)
        data = np.frombuffer(b"".join(v for v in items if v), np.uint8)
        start = np.zeros(len(items), np.int64)
        np.cumsum(np.maximum(length[:-1], 0), out=start[1:]) if len(items) > 1 else None
        return Spans(data, start, length)

    @staticmethod
    def from_arrow(array: pa.Array) -> "Spans":
        """Zero-copy view of a binary/string array (small or large offsets); null becomes absent."""
        large = pa.types.is_large_binary(array.type) or pa.types.is_large_string(array.type)
        _, offsets_buffer, data_buffer = array.buffers()
        n, at = len(array), array.offset
        if n == 0 or offsets_buffer is None:
            return Spans(EMPTY_BYTES, np.zeros(n, np.int64), np.zeros(n, np.int32))
        dtype = np.int64 if large else np.int32
        offsets = np.frombuffer(offsets_buffer, dtype)[at : at + n + 1]
        length = np.diff(offsets).astype(np.int32)
        if array.null_count:
            length[array.is_null().to_numpy(zero_copy_only=False)] = ABSENT
        data = EMPTY_BYTES if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
        return Spans(data, offsets[:-1].astype(np.int64), length)

    def take(self, rows: NDArray[np.integer] | Mask | slice) -> "Spans":
        """The given rows (indices, mask or a run), sharing the buffer."""
        return Spans(self.data, self.start[rows], self.length[rows])

    def packed(self) -> "Spans":
        """The same strings in a buffer of their own, one behind the other."""
        offsets = self._offsets()
        out = np.empty(int(offsets[-1]), np.uint8)
        gather_bytes(self.data, self.start, self.length, offsets, out)
        return Spans(out, offsets[:-1].copy(), self.length)

    def is_packed(self) -> bool:
        """Whether each string starts where the one before ended."""
        if len(self) < 2:
            return True
        ends = self.start[:-1] + np.maximum(self.length[:-1], 0)
        return bool(np.array_equal(self.start[1:], ends))

    def to_arrow(self, *, text: bool = False) -> pa.Array:
        """A large binary (or large string, bytes not checked) array; absent becomes null."""
        packed = self if self.is_packed() else self.packed()
        offsets = packed._offsets()
        first = int(packed.start[0]) if len(packed) else 0
        data = packed.data[first : first + int(offsets[-1])]
        absent = self.length < 0
        valid = None
        if absent.any():
            valid = pa.py_buffer(np.packbits(~absent, bitorder="little"))
        kind = pa.large_string() if text else pa.large_binary()
        buffers = [
            valid,
            pa.py_buffer(offsets),
            pa.py_buffer(np.ascontiguousarray(data)),
        ]
        return pa.Array.from_buffers(kind, len(self), buffers, int(absent.sum()))

    def to_list(self) -> list[bytes | None]:
        """Python bytes; only for distinct values or rows bounded by a limit."""
        view = self.data.data
        return [
            None if n < 0 else bytes(view[s : s + n])
            for s, n in zip(self.start.tolist(), self.length.tolist(), strict=True)
        ]

    def nbytes(self) -> int:
        """Sum of the lengths in bytes."""
        return int(np.maximum(self.length, 0).sum(dtype=np.int64))

    def _offsets(self) -> I64:
        offsets = np.zeros(len(self) + 1, np.int64)
        np.cumsum(np.maximum(self.length, 0), out=offsets[1:])
        return offsets


def concat_spans(parts: Sequence[Spans]) -> Spans:
    """The strings of all parts in one buffer."""
    if len(parts) == 1:
        return parts[0]
    packed = [p if p.is_packed() else p.packed() for p in parts]
    pieces, starts, at = [], [], 0
    for part in packed:
        first = int(part.start[0]) if len(part) else 0
        size = part.nbytes()
        pieces.append(part.data[first : first + size])
        starts.append(part.start - first + at)
        at += size
    if not pieces:
        return Spans.of([])
    lengths = np.concatenate([p.length for p in packed])
    return Spans(np.concatenate(pieces), np.concatenate(starts), lengths)


class TypedTexts(Protocol):
    """Texts that are kept as something else, every row present; printed only when asked."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def take(self, rows: "NDArray[np.integer] | Mask | slice") -> "TypedTexts":
        """The given rows."""
        ...

    def spans(self) -> Spans:
        """The texts."""
        ...

    def encoded(self) -> "tuple[I32, Spans]":
        """(code of each row, distinct texts)."""
        ...

    def numbers(self) -> "NDArray[np.float64] | None":
        """The number that each text means, exactly as parsing would give it; else None."""
        ...

    def bounds(self) -> "tuple[float, float] | None":
        """No number is below the first or above the second; None when that is not known."""
        ...


class LabelColumn:
    """One label over n rows, as spans, codes into distinct values, or typed texts; immutable.

    `codes` are int32 with -1 where the row lacks the label; `values` are distinct when the column
    was encoded here (columns from a dictionary page or from a stream table are distinct too).
    """

    __slots__ = ("_codes", "_spans", "_texts", "_typed", "_values")

    def __init__(
        self,
        *,
        spans: Spans | None = None,
        codes: I32 | None = None,
        values: Spans | None = None,
        typed: TypedTexts | None = None,
    ) -> None:
        if spans is None and typed is None and (codes is None or values is None):
            raise ValueError("a label column needs spans, or codes and values")
        self._spans, self._codes, self._values = spans, codes, values
        self._typed = typed
        self._texts: list[str] | None = None

    @staticmethod
    def constant(value: bytes, rows: int) -> "LabelColumn":
        """The same value in every row."""
        return LabelColumn(codes=np.zeros(rows, np.int32), values=Spans.of([value]))

    @staticmethod
    def absent(rows: int) -> "LabelColumn":
        """No row has the label."""
        return LabelColumn(codes=np.full(rows, ABSENT, np.int32), values=Spans.of([]))

    def __len__(self) -> int:
        if self._codes is not None:
            return len(self._codes)
        if self._typed is not None:
            return len(self._typed)
        assert self._spans is not None
        return len(self._spans)

    @property
    def is_encoded(self) -> bool:
        """Whether codes exist already (spans are cheap from codes; the reverse hashes)."""
        return self._codes is not None

    @property
    def spans(self) -> Spans:
        """The value of each row as a view."""
        if self._spans is None and self._typed is not None:
            self._spans = self._typed.spans()
        if self._spans is None:
            assert self._codes is not None
            assert self._values is not None
            if len(self._values) == 0:
                n = len(self._codes)
                self._spans = Spans(EMPTY_BYTES, np.zeros(n, np.int64), np.full(n, -1, np.int32))
            else:
                safe = np.maximum(self._codes, 0)
                length = np.where(self._codes < 0, np.int32(ABSENT), self._values.length[safe])
                self._spans = Spans(
                    self._values.data, self._values.start[safe], length.astype(np.int32)
                )
        return self._spans

    @property
    def codes(self) -> I32:
        """int32[n], -1 where absent."""
        self._encode()
        assert self._codes is not None
        return self._codes

    @property
    def values(self) -> Spans:
        """The value behind each code."""
        self._encode()
        assert self._values is not None
        return self._values

    @property
    def texts(self) -> list[str]:
        """The distinct values as text (invalid UTF-8 kept by surrogateescape); cached."""
        if self._texts is None:
            self._texts = [
                (v or b"").decode("utf-8", "surrogateescape") for v in self.values.to_list()
            ]
        return self._texts

    def numbers(self) -> "NDArray[np.float64] | None":
        """The number of each row where the column is typed so and no row lacks the label."""
        return None if self._typed is None else self._typed.numbers()

    def bounds(self) -> tuple[float, float] | None:
        """Where all numbers lie, when every row has one and it is known without reading them."""
        return None if self._typed is None else self._typed.bounds()

    def present(self) -> Mask:
        """Which rows have the label."""
        if self._typed is not None:
            return np.ones(len(self._typed), np.bool_)
        if self._codes is not None:
            return self._codes >= 0
        assert self._spans is not None
        return self._spans.length >= 0

    def take(self, rows: NDArray[np.integer] | Mask | slice) -> "LabelColumn":
        """The given rows (indices or mask)."""
        if self._typed is not None:
            return LabelColumn(typed=self._typed.take(rows))
        if self._codes is not None:
            assert self._values is not None
            column = LabelColumn(codes=self._codes[rows], values=self._values)
            column._texts = self._texts
            return column
        assert self._spans is not None
        return LabelColumn(spans=self._spans.take(rows))

    def compact(self) -> "LabelColumn":
        """The same rows, without values that no row has: for few rows of a large column."""
        if len(self.values) <= len(self):
            return self
        used = np.unique(self.codes[self.codes >= 0])
        codes = np.searchsorted(used, self.codes).astype(np.int32)
        codes[self.codes < 0] = ABSENT
        return LabelColumn(codes=codes, values=self.values.take(used))

    def without(self, rows: Mask) -> "LabelColumn":
        """The column with the label removed where the mask is true."""
        if self._typed is not None and not rows.any():
            return self
        if self._codes is not None:
            codes = np.where(rows, np.int32(ABSENT), self._codes).astype(np.int32)
            assert self._values is not None
            return LabelColumn(codes=codes, values=self._values)
        spans = self.spans
        length = np.where(rows, np.int32(ABSENT), spans.length).astype(np.int32)
        return LabelColumn(spans=Spans(spans.data, spans.start, length))

    def over(self, under: "LabelColumn") -> "LabelColumn":
        """This column where present, else the other."""
        mine = self.present()
        if mine.all():
            return self
        a, b = self.spans, under.spans
        length = np.where(mine, a.length, b.length).astype(np.int32)
        if a.data is b.data:
            return LabelColumn(spans=Spans(a.data, np.where(mine, a.start, b.start), length))
        # only what is used: the buffers may be whole lines, and of them a few bytes are labels
        mine_packed, other = a.take(mine).packed(), b.take(~mine).packed()
        start = np.empty(len(mine), np.int64)
        start[mine], start[~mine] = mine_packed.start, other.start + len(mine_packed.data)
        data = np.concatenate([mine_packed.data, other.data])
        return LabelColumn(spans=Spans(data, start, length))

    def _encode(self) -> None:
        if self._codes is not None:
            return
        if self._typed is not None:
            self._codes, self._values = self._typed.encoded()
            return
        spans = self._spans
        assert spans is not None
        n = len(spans)
        size = 16
        while size < 2 * n + 2:
            size *= 2
        codes, firsts = np.empty(n, np.int32), np.empty(n, np.int64)
        count = encode_spans(
            spans.data,
            spans.start,
            spans.length,
            np.full(size, -1, np.int64),
            codes,
            firsts,
        )
        self._codes, self._values = codes, spans.take(firsts[:count])


def concat_columns(parts: Sequence[LabelColumn]) -> LabelColumn:
    """Rows of all parts, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    if not all(part.is_encoded for part in parts):
        return LabelColumn(spans=concat_spans_keeping_views([p.spans for p in parts]))
    values = LabelColumn(spans=concat_spans([part.values for part in parts]))
    mapped, at = [], 0
    for part in parts:
        size = len(part.values)
        into = np.append(values.codes[at : at + size], np.int32(ABSENT))
        mapped.append(into[part.codes])  # code -1 picks the last place: absent
        at += size
    return LabelColumn(codes=np.concatenate(mapped), values=values.values)


def concat_spans_keeping_views(parts: Sequence[Spans]) -> Spans:
    """As `concat_spans`, but shares each distinct buffer once instead of packing the strings."""
    seen: dict[tuple[int, int], int] = {}
    buffers: list[U8] = []
    at = 0
    starts: list[I64] = []
    for part in parts:
        key = (part.data.__array_interface__["data"][0], len(part.data))
        if key not in seen:
            seen[key] = at
            buffers.append(part.data)
            at += len(part.data)
        starts.append(part.start + seen[key])
    data = buffers[0] if len(buffers) == 1 else np.concatenate(buffers)
    return Spans(data, np.concatenate(starts), np.concatenate([p.length for p in parts]))
