"""Where are the holes of n lines? Cut once, taken for any lines that are cut alike."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, U8, Mask, Spans
from narfi.core.kernels.shape_scan import cut_lines, gather_holes, max_holes
from narfi.core.kernels.sorting import rows_by_stream

BUCKET_SHIFT = 14
"""Lines within 16 KiB of each other are taken together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLines:
    """How lines are cut; `skeleton` and `words` are hashes, holes are in order of lines."""

    lines: Spans
    how: U8
    skeleton: NDArray[np.uint64]
    words: NDArray[np.uint64]
    hole_from: I64
    hole_count: U8
    hole_start: NDArray[np.uint16]
    hole_length: NDArray[np.uint16]
    hole_kind: U8

    def count(self, line: int) -> int:
        """The number of holes of a line."""
        return int(self.hole_count[line])

    def _own(self, line: int) -> slice:
        first = int(self.hole_from[line])
        return slice(first, first + int(self.hole_count[line]))

    def kinds(self, line: int) -> list[int]:
        """The kinds of the holes of a line."""
        return [int(kind) for kind in self.hole_kind[self._own(line)]]

    def holes(self, line: int) -> list[bytes]:
        """The texts of the holes of a line."""
        own = self._own(line)
        start = self.lines.start[line] + self.hole_start[own].astype(np.int64)
        found = Spans(self.lines.data, start, self.hole_length[own].astype(np.int32))
        return [text or b"" for text in found.to_list()]

    def constants(self, line: int) -> tuple[bytes, ...]:
        """The bytes around the holes of a line; one more than there are holes."""
        begin = int(self.lines.start[line])
        text = self.lines.data[begin : begin + int(self.lines.length[line])].tobytes()
        found, at = [], 0
        own = self._own(line)
        places = zip(self.hole_start[own].tolist(), self.hole_length[own].tolist(), strict=True)
        for first, size in places:
            found.append(text[at:first])
            at = first + size
        return (*found, text[at:])

    def gather(self, rows: I64, packed: Spans) -> tuple[I64, I32, Mask]:
        """(starts, lengths) as `[hole, line]` and which lines are cut as the first of `rows`.

        Starts are places in the data of `packed`, the lines at `rows`.
        """
        count = self.count(int(rows[0]))
        start, length = (
            np.empty((count, len(rows)), np.int64),
            np.empty((count, len(rows)), np.int32),
        )
        fits = np.empty(len(rows), np.bool_)
        gather_holes(
            packed.data,
            packed.start,
            packed.length,
            rows,
            self.how,
            self.hole_from,
            self.hole_count,
            self.hole_start,
            self.hole_length,
            self.hole_kind,
            start,
            length,
            fits,
        )
        return start, length, fits


def cut(lines: Spans, *, fine: bool) -> CutLines:
    """Cut every line; `fine`: values, into runs of letters and digits."""
    n, room = len(lines), max_holes(lines.length)
    found = CutLines(
        lines=lines,
        how=np.empty(n, np.uint8),
        skeleton=np.empty(n, np.uint64),
        words=np.empty(n, np.uint64),
        hole_from=np.empty(n, np.int64),
        hole_count=np.empty(n, np.uint8),
        hole_start=np.empty(room, np.uint16),
        hole_length=np.empty(room, np.uint16),
        hole_kind=np.empty(room, np.uint8),
    )
    cut_lines(
        lines.data,
        lines.start,
        lines.length,
        by_place(lines),
        fine,
        found.how,
        found.skeleton,
        found.words,
        found.hole_from,
        found.hole_count,
        found.hole_start,
        found.hole_length,
        found.hole_kind,
    )
    return found


def by_place(lines: Spans) -> I64:
    """Lines in the order in which they lie in memory, about: looking at them is then cheaper."""
    if lines.is_packed():
        return np.arange(len(lines), dtype=np.int64)
    bucket = (lines.start >> BUCKET_SHIFT).astype(np.int32)
    ends = np.cumsum(np.bincount(bucket))
    first = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    order = np.empty(len(lines), np.int64)
    rows_by_stream(bucket, first, order)
    return order
