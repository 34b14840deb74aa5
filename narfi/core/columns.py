"""What is a column of text? Places in one buffer, so that taking rows copies no bytes.

Invariant: length -1 means that the row has no text, which differs from the empty string.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from narfi.core.kernels.gather import gather_bytes, sum_lengths
from narfi.core.kernels.search import lie_together

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
        return lie_together(self.start, self.length)

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
        offsets = np.empty(len(self) + 1, np.int64)
        sum_lengths(self.length, offsets)
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
